//! Collections in a database that was brought back from a damaged one. What is lost of the documents is not what is lost of the
//! indexes' entries, so every index is made again over the documents that came back.

use alloc::collections::BTreeSet;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::build::{self, note_of};
use super::definition::Definition;
use crate::db::{Database, Snapshot, WriteTransaction};
use crate::error::{Error, Result};

impl Snapshot {
    /// The numbers of tables that collections have beside those of their documents: no name leads to these.
    pub(crate) fn tables_of_collections(&self) -> Result<BTreeSet<u64>> {
        let mut ids = BTreeSet::new();
        for name in self.names_by_id()?.values() {
            if let Some(definition) = self.readable_definition(name)? {
                ids.extend(definition.indexes.iter().map(|index| index.id).chain([definition.expiry_id]));
            }
        }
        Ok(ids)
    }

    /// The definition of a collection; `None` for what is none, or has one that cannot be read.
    fn readable_definition(&self, name: &str) -> Result<Option<Definition>> {
        Ok(self.definition(name)?.and_then(|entry| Definition::of(name, &entry).ok()))
    }
}

impl Database {
    /// Makes the indexes of all collections again. Gives why some could not be made; those are dropped.
    pub(crate) fn make_indexes_again(&self) -> Result<Vec<Error>> {
        let snapshot = self.snapshot();
        let names = snapshot.names_by_id()?;
        let mut taken: BTreeSet<u64> = names.keys().copied().collect();
        let mut refused = Vec::new();
        for name in names.values() {
            if snapshot.readable_definition(name)?.is_none() {
                continue;
            }
            self.transaction(|tx| begin_again(tx, name, &mut taken))?;
            // Each time one index less is to be made.
            while let Err(error) = build::finish(self, name, &mut |_| {}) {
                match error {
                    Error::DuplicateKey { .. } | Error::InvalidDocument { .. } | Error::LimitExceeded { .. } => {
                        refused.push(error);
                    }
                    error => return Err(error),
                }
            }
        }
        Ok(refused)
    }
}

/// Empties the indexes of a collection, and gives them new numbers: a file that was made up may give theirs to other tables too,
/// which `taken` says.
fn begin_again(tx: &mut WriteTransaction, name: &str, taken: &mut BTreeSet<u64>) -> Result<()> {
    let Some(entry) = tx.definition(name)? else { return Ok(()) };
    let mut definition = Definition::of(name, &entry)?;
    for index in definition.indexes.iter_mut().map(Arc::make_mut) {
        if taken.insert(index.id) {
            tx.clear_table(index.id)?;
            tx.set_note(&note_of(index.id), None)?;
        }
        index.id = tx.take_table_id()?;
        index.ready = false;
    }
    if !taken.insert(definition.expiry_id) {
        definition.expiry_id = tx.take_table_id()?;
    }
    tx.set_definition(name, definition.entry(entry.created_ms)?)?;
    Ok(())
}
