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

use super::build::batch;
use super::handle::Collection;
use super::stored::Stored;
use super::transaction::WriteCollection;
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

/// Changes a few more documents; true when there are no more.
fn some(documents: &mut WriteCollection<'_, Value>, version: u32, change: &mut EachDocument<'_>) -> Result<bool> {
    let (id, note) = (documents.definition().id, documents.definition().migration_note());
    // An earlier call may have been applied although it was told that it is complete later.
    if documents.definition().version > version {
        return Ok(true);
    }
    let tx = documents.transaction();
    let from = tx.note(&note)?.unwrap_or_default();
    let (batch, next) = batch(tx, id, &from)?;
    let now_ms = tx.now_ms();
    for (record, stored) in &batch {
        let stored = Stored::read(stored)?;
        if stored.is_expired(now_ms) {
            continue;
        }
        let mut document = cbor::decode(stored.document)?;
        change(&mut document)?;
        documents.rewrite(record, &document)?;
    }
    documents.transaction().set_note(&note, next.as_deref())?;
    match next {
        Some(_) if documents.definition().migrating_to.is_some() => {}
        Some(_) => set_version(documents, version, Some(version + 1))?,
        None => set_version(documents, version + 1, None)?,
    }
    Ok(next.is_none())
}

fn set_version(documents: &mut WriteCollection<'_, Value>, version: u32, migrating_to: Option<u32>) -> Result<()> {
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
