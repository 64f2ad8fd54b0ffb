//! Making indexes over documents that are there, in bounded steps, while the collection is used.
//!
//! **Order.** The index is in the definition, not ready, before the first step: from then on every write keeps it, wherever the
//! builder is. A step goes from the document where the last ended to the next few, brings their entries in, and
//! notes where it ended in the same transaction. When no document is left the index is ready, and may be read. So after a crash at
//! any moment the next opening goes on, and an entry that a writer brought in already is brought in again, unchanged.

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::definition::Definition;
use super::entries::{Subject, entries};
use super::stored::Stored;
use super::write::Writer;
use crate::db::{Database, WriteTransaction};
use crate::engine::Durability;
use crate::error::{Error, Result};
use crate::testing::Mutant;

/// A step takes in at most so many documents, and about so many bytes of them.
const STEP_DOCUMENTS: usize = 1000;
const STEP_BYTES: usize = 1 << 20;

/// How far the making of an index is.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct IndexProgress {
    /// The collection.
    pub collection: String,
    /// The index.
    pub index: String,
    /// Documents taken in since this opening.
    pub done: u64,
    /// Documents there are.
    pub total: u64,
}

/// Makes every index of a collection that is not ready. One that cannot be made, because documents have the same value where
/// they must not, is dropped, and the error says which.
pub(super) fn finish(database: &Database, name: &str, progress: &mut dyn FnMut(&IndexProgress)) -> Result<()> {
    let mut done = 0;
    loop {
        Error::if_cancelled()?;
        let snapshot = database.snapshot();
        let Some(entry) = snapshot.definition(name)? else { return Ok(()) };
        let definition = Definition::of(name, &entry)?;
        let Some(index) = definition.indexes.iter().find(|index| !index.ready) else { return Ok(()) };
        let total = snapshot.bytes_table(definition.id).len()?;
        progress(&IndexProgress { collection: String::from(name), index: index.name.clone(), done, total });
        match database.transaction_with(Durability::Relaxed, |tx| step(tx, name, &index.name)) {
            Ok(0) => done = 0,
            Ok(count) => done += count,
            // It was applied, and is complete later.
            Err(Error::Pending(ticket)) => return Err(Error::Pending(ticket)),
            Err(error @ (Error::DuplicateKey { .. } | Error::InvalidDocument { .. } | Error::LimitExceeded { .. })) => {
                database.transaction(|tx| super::schema_change::drop_index(tx, name, &index.name))?;
                return Err(error);
            }
            Err(error) => return Err(error),
        }
    }
}

/// Takes a few more documents into an index; 0 when there are no more, and it is ready.
fn step(tx: &mut WriteTransaction, name: &str, index: &str) -> Result<u64> {
    let Some(entry) = tx.definition(name)? else { return Ok(0) };
    let definition = Definition::of(name, &entry)?;
    let Some(index) = definition.index(index).filter(|index| !index.ready).cloned() else { return Ok(0) };
    let note = index.build_note();
    let from = tx.note(&note)?.unwrap_or_default();
    let (batch, next) = batch(tx, definition.id, &from)?;
    let count = batch.len() as u64;
    let now_ms = tx.now_ms();
    let mut writer = Writer::new(tx, definition.clone());
    for (key, stored) in &batch {
        let stored = Stored::read(stored)?;
        if stored.is_expired(now_ms) {
            // Nobody sees it, and it is in nobody's way.
            writer.delete(key)?;
            continue;
        }
        let document = stored.document;
        for entry in entries(&Subject { collection: name, key, document }, &index)? {
            writer.enter(&index, key, &entry)?;
        }
    }
    match next {
        Some(next) if !Mutant::ReadyBeforeLastDocument.is_active() => tx.set_note(&note, Some(&next))?,
        _ => {
            tx.set_note(&note, None)?;
            let mut ready = definition;
            let built = ready.indexes.iter_mut().find(|other| other.id == index.id);
            built.into_iter().for_each(|index| Arc::make_mut(index).ready = true);
            tx.set_definition(name, ready.entry(entry.created_ms)?)?;
            return Ok(0);
        }
    }
    Ok(count)
}

/// Records from a key on, and where those after them begin.
type Batch = (Vec<(Vec<u8>, Vec<u8>)>, Option<Vec<u8>>);

/// The documents from `from` on, as many as a step takes.
pub(super) fn batch(tx: &mut WriteTransaction, id: u64, from: &[u8]) -> Result<Batch> {
    let (mut batch, mut bytes) = (Vec::new(), 0);
    let documents_max = STEP_DOCUMENTS.min(tx.step_entries());
    for row in tx.bytes_table(id).range(from..)? {
        let (key, stored) = row?;
        if batch.len() >= documents_max || bytes >= STEP_BYTES {
            return Ok((batch, Some(key)));
        }
        bytes += stored.len();
        batch.push((key, stored));
    }
    Ok((batch, None))
}
