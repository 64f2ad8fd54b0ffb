//! Making a collection, adding and dropping its indexes.

use alloc::format;
use alloc::string::String;

use super::auto_key::{self, AutoKey};
use super::definition::{Definition, IndexDefinition};
use super::read::{Reader, Span};
use super::schema::{INDEXES_MAX, Schema, too_many_indexes};
use crate::db::{Database, WriteTransaction};
use crate::document::Path;
use crate::error::{Error, Result};
use alloc::sync::Arc;

/// Sees to it that the collection is there, with all indexes of the schema, though perhaps not ready yet. Gives the version of
/// its documents.
pub(super) fn ensure(database: &Database, name: &str, schema: &Schema) -> Result<u32> {
    schema.validate(name)?;
    let snapshot = database.snapshot();
    if let Some(entry) = snapshot.definition(name)? {
        let definition = Definition::of(name, &entry)?;
        let expires = schema.expires_after_ms.is_none_or(|after| definition.expires_after_ms == Some(after));
        let is_empty = || (&snapshot).cursor(definition.id, &Span::all())?.first().map(|first| first.is_none());
        let keys = schema.auto_key.is_none() || definition.auto_key == schema.auto_key;
        // Where there is no document there is nothing to migrate.
        let migrated = definition.version == schema.version || !is_empty()?;
        if missing(&definition, schema)?.is_none() && expires && keys && migrated {
            return Ok(definition.version);
        }
    }
    database.transaction(|tx| change(tx, name, schema))
}

fn change(tx: &mut WriteTransaction, name: &str, schema: &Schema) -> Result<u32> {
    let (mut definition, created_ms, is_empty) = match tx.definition(name)? {
        Some(entry) => {
            let definition = Definition::of(name, &entry)?;
            let is_empty = tx.bytes_table(definition.id).is_empty()?;
            if schema.auto_key == Some(AutoKey::Increment) && definition.auto_key != schema.auto_key {
                auto_key::count_again(tx, &definition)?;
            }
            (definition, entry.created_ms, is_empty)
        }
        None => {
            let (id, expiry_id) = (tx.take_table_id()?, tx.take_table_id()?);
            (Definition::new(name, schema, id, expiry_id)?, tx.now_ms(), true)
        }
    };
    while let Some(index) = missing(&definition, schema)? {
        if definition.indexes.len() >= INDEXES_MAX {
            return Err(too_many_indexes(definition.indexes.len() + 1));
        }
        let id = tx.take_table_id()?;
        definition.indexes.push(Arc::new(IndexDefinition::new(index, id, is_empty)?));
    }
    if is_empty {
        (definition.version, definition.migrating_to) = (schema.version, None);
        tx.set_note(&definition.migration_note(), None)?;
    }
    definition.expires_after_ms = schema.expires_after_ms.or(definition.expires_after_ms);
    definition.auto_key = schema.auto_key.or(definition.auto_key);
    tx.set_definition(name, definition.entry(created_ms)?)?;
    Ok(definition.version)
}

/// The first index of the schema that is not there. Refuses a schema that contradicts what is.
fn missing<'s>(definition: &Definition, schema: &'s Schema) -> Result<Option<&'s super::schema::Index>> {
    let mismatch = |what: String| Error::SchemaMismatch { collection: definition.name.clone(), what };
    if Path::parse(&schema.key)? != definition.key {
        return Err(mismatch(format!(
            "its documents have their key at '{}', not at '{}'; open it with that, or use another collection",
            definition.key, schema.key
        )));
    }
    if schema.version < definition.newest_version() {
        return Err(Error::SchemaTooNew {
            collection: definition.name.clone(),
            found: definition.newest_version(),
            known: schema.version,
        });
    }
    for index in &schema.indexes {
        match definition.index(&index.name()) {
            None => return Ok(Some(index)),
            Some(there) if there.is_as(index) => {}
            Some(there) => {
                return Err(mismatch(format!(
                    "its index '{}' is on {}; drop it first, or give the new one another name",
                    there.name,
                    there.describe()
                )));
            }
        }
    }
    Ok(None)
}

/// Deletes an index; false when there is none of this name.
pub(super) fn drop_index(tx: &mut WriteTransaction, name: &str, index: &str) -> Result<bool> {
    let Some(entry) = tx.definition(name)? else { return Ok(false) };
    let mut definition = Definition::of(name, &entry)?;
    let Some(at) = definition.indexes.iter().position(|there| there.name == index) else { return Ok(false) };
    let index = definition.indexes.remove(at);
    tx.clear_table(index.id)?;
    tx.set_note(&index.build_note(), None)?;
    tx.set_definition(name, definition.entry(entry.created_ms)?)?;
    Ok(true)
}

/// Deletes a collection with everything in it; false when there is none.
pub(super) fn drop_collection(tx: &mut WriteTransaction, name: &str) -> Result<bool> {
    let Some(entry) = tx.definition(name)? else { return Ok(false) };
    let definition = Definition::of(name, &entry)?;
    for index in &definition.indexes {
        tx.clear_table(index.id)?;
        tx.set_note(&index.build_note(), None)?;
    }
    tx.set_note(&definition.migration_note(), None)?;
    tx.set_note(&super::auto_key::note(&definition), None)?;
    tx.clear_table(definition.expiry_id)?;
    tx.forget_table(name)
}
