//! Bringing documents from one version of the application to the next, each exactly once.
//!
//! A migration in steps rewrites a few documents and notes where it ended in one transaction, so after a crash it goes on
//! behind the last document that was rewritten. From the first step on the definition names the version that is being made, and
//! an older application is refused: it would meet documents it does not know.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use super::build;
use super::definition::Definition;
use super::document::Document;
use super::handle::Collection;
use super::schema::Schema;
use super::schema_change::ensure;
use super::stored::Stored;
use super::transaction::WriteCollection;
use crate::db::Database;
use crate::document::{Value, cbor};
use crate::error::{Error, Result};

/// What brings documents of one version to the next.
#[derive(Default)]
pub struct Migrations<'m> {
    steps: Vec<(u32, Step<'m>)>,
}

/// A change of one document.
type EachDocument<'m> = Box<dyn FnMut(&mut Value) -> Result<()> + 'm>;
/// A change of a collection.
type WholeCollection<'m> = Box<dyn FnMut(&mut WriteCollection<'_, Value>) -> Result<()> + 'm>;

enum Step<'m> {
    Documents(EachDocument<'m>),
    Transaction(WholeCollection<'m>),
}

impl<'m> Migrations<'m> {
    /// None yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// From version `from` to the next each document is changed by itself, in steps that a crash does not undo: for
    /// collections of any size. Its key must stay.
    #[must_use]
    pub fn documents(mut self, from: u32, change: impl FnMut(&mut Value) -> Result<()> + 'm) -> Self {
        self.steps.push((from, Step::Documents(Box::new(change))));
        self
    }

    /// From version `from` to the next everything is changed in one transaction.
    #[must_use]
    pub fn transaction(
        mut self,
        from: u32,
        change: impl FnMut(&mut WriteCollection<'_, Value>) -> Result<()> + 'm,
    ) -> Self {
        self.steps.push((from, Step::Transaction(Box::new(change))));
        self
    }
}

impl fmt::Debug for Migrations<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.steps.iter().map(|(from, _)| from)).finish()
    }
}

/// Brings the documents of a collection from one version to another.
pub(super) fn run(collection: &Collection<Value>, from: u32, to: u32, mut migrations: Migrations<'_>) -> Result<()> {
    for version in from..to {
        let step = migrations.steps.iter_mut().find(|(from, _)| *from == version).map(|(_, step)| step);
        match step {
            None => {
                return Err(Error::SchemaMismatch {
                    collection: String::from(collection.name()),
                    what: format!(
                        "its documents have version {version}, the schema version {to}; give a migration from {version}"
                    ),
                });
            }
            Some(Step::Transaction(change)) => collection.write(|documents| {
                change(documents)?;
                set_version(documents, version + 1, None)
            })?,
            Some(Step::Documents(change)) => while !collection.write(|documents| some(documents, version, change))? {},
        }
    }
    Ok(())
}

/// A few documents of an old version, for who changes them outside of a transaction: another language, another thread.
///
/// [`Database::next_migration`] gives it, [`Database::migrate_documents`] takes what became of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MigrationStep {
    collection: String,
    /// The version of the application that asks.
    known: u32,
    version: u32,
    /// Keys and documents as they are stored, of all that the step passes.
    records: Vec<(Vec<u8>, Vec<u8>)>,
    /// Places among the records of those that are to be changed.
    present: Vec<usize>,
    /// Where the next step begins.
    next: Option<Vec<u8>>,
}

impl MigrationStep {
    /// The version that the documents have; they are to get the next.
    pub fn version(&self) -> u32 {
        self.version
    }

    /// The documents, as CBOR.
    pub fn documents(&self) -> impl ExactSizeIterator<Item = Result<&[u8]>> {
        self.present.iter().map(|at| {
            let stored = self.records.get(*at).map_or(&[][..], |(_, stored)| stored);
            Stored::read(stored).map(|stored| stored.document)
        })
    }

    /// The next documents of a version.
    fn read(documents: &mut WriteCollection<'_, Value>, known: u32, version: u32) -> Result<Self> {
        let Definition { name, id, .. } = documents.definition();
        let (collection, id, note) = (name.clone(), *id, documents.definition().migration_note());
        let tx = documents.transaction();
        let from = tx.note(&note)?.unwrap_or_default();
        let (records, next) = build::batch(tx, id, &from)?;
        let now_ms = tx.now_ms();
        let mut present = Vec::new();
        for (at, (_, stored)) in records.iter().enumerate() {
            if Stored::present(stored, now_ms)?.is_some() {
                present.push(at);
            }
        }
        Ok(Self { collection, known, version, records, present, next })
    }

    /// Writes what became of the documents, and notes where the next step begins. True when there is none.
    fn write(&self, documents: &mut WriteCollection<'_, Value>, changed: &[Value]) -> Result<bool> {
        for (at, document) in self.present.iter().zip(changed) {
            if let Some((record, _)) = self.records.get(*at) {
                documents.rewrite(record, document)?;
            }
        }
        let note = documents.definition().migration_note();
        documents.transaction().set_note(&note, self.next.as_deref())?;
        let version = self.version;
        match self.next {
            Some(_) if documents.definition().migrating_to.is_some() => {}
            Some(_) => set_version(documents, version, Some(version + 1))?,
            None => set_version(documents, version + 1, None)?,
        }
        Ok(self.next.is_none())
    }
}

impl Database {
    /// The next documents that are older than a schema's version, or `None` when the collection may be
    /// [opened](Database::collection) with it. The collection is made if there is none.
    ///
    /// For those who cannot give [`Migrations`]: their functions run elsewhere. Ask, change each document, give them to
    /// [`migrate_documents`](Self::migrate_documents), and ask again.
    pub fn next_migration(&self, name: &str, schema: &Schema) -> Result<Option<MigrationStep>> {
        let version = ensure(self, name, schema)?;
        if version >= schema.version {
            return Ok(None);
        }
        let collection = Collection::<Value>::of_version(self, name, schema.version);
        collection.write(|documents| MigrationStep::read(documents, schema.version, version).map(Some))
    }

    /// Writes what became of the documents of a step, one for each, in their order. Where other writers have changed them since,
    /// it is [`Error::Conflict`], nothing is written, and the step is to be asked for again.
    pub fn migrate_documents(&self, step: &MigrationStep, changed: &[Value]) -> Result<()> {
        if changed.len() != step.present.len() {
            let (given, asked) = (changed.len(), step.present.len());
            return Err(Error::invalid(format!("{asked} documents were to be migrated, and {given} were given")));
        }
        let collection = Collection::<Value>::of_version(self, &step.collection, step.known);
        let migrated = collection.write(|documents| {
            let is_as_it_was = documents.definition().version == step.version
                && MigrationStep::read(documents, step.known, step.version)? == *step;
            if !is_as_it_was {
                return Err(Error::Conflict { what: format!("documents of '{}' that are migrated", step.collection) });
            }
            step.write(documents, changed).map(drop)
        });
        leave_what_cannot_be(self, &step.collection, migrated)
    }

    /// A collection whose documents are older than the schema's version, for who changes all of them in one transaction, which
    /// [`WriteCollection::finish_migration`] is to end. After [`next_migration`](Self::next_migration) has said that there is
    /// something to do.
    pub fn older_collection<T: Document>(&self, name: &str, schema: &Schema) -> Result<Collection<T>> {
        ensure(self, name, schema)?;
        Ok(Collection::of_version(self, name, schema.version))
    }
}

impl<T: Document> WriteCollection<'_, T> {
    /// In the transaction that has changed them: the documents had version `from`, and have the next. Where somebody else has
    /// brought them there meanwhile, it is [`Error::Conflict`].
    pub fn finish_migration(&mut self, from: u32) -> Result<()> {
        if self.definition().version != from {
            return Err(Error::Conflict { what: format!("the version of '{}'", self.definition().name) });
        }
        set_version(self, from + 1, None)
    }
}

/// An index that cannot be made refuses the documents as they are. It is dropped, and not in the way of the next opening.
pub(super) fn leave_what_cannot_be<R>(database: &Database, name: &str, migrated: Result<R>) -> Result<R> {
    if let Err(Error::DuplicateKey { .. } | Error::InvalidDocument { .. } | Error::LimitExceeded { .. }) = migrated {
        build::finish(database, name, &mut |_| {})?;
    }
    migrated
}

/// Changes a few more documents; true when there are no more.
fn some(documents: &mut WriteCollection<'_, Value>, version: u32, change: &mut EachDocument<'_>) -> Result<bool> {
    // An earlier call may have been applied although it was told that it is complete later.
    if documents.definition().version > version {
        return Ok(true);
    }
    let step = MigrationStep::read(documents, version + 1, version)?;
    let mut changed = Vec::with_capacity(step.present.len());
    for document in step.documents() {
        let mut document = cbor::decode(document?)?;
        change(&mut document)?;
        changed.push(document);
    }
    step.write(documents, &changed)
}

fn set_version<T: Document>(
    documents: &mut WriteCollection<'_, T>,
    version: u32,
    migrating_to: Option<u32>,
) -> Result<()> {
    let mut definition = documents.definition().clone();
    let tx = documents.transaction();
    let created_ms = tx.definition(&definition.name)?.map_or(0, |entry| entry.created_ms);
    (definition.version, definition.migrating_to) = (version, migrating_to);
    if migrating_to.is_none() {
        // The next migration begins with the first document, whatever became of one in steps before.
        tx.set_note(&definition.migration_note(), None)?;
    }
    tx.set_definition(&definition.name, definition.entry(created_ms)?).map(drop)
}
