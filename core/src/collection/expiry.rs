//! Removing documents that are gone. They are invisible from their time on; this gives their space back, in bounded steps.

use alloc::vec::Vec;

use super::definition::Definition;
use super::read::{Reader, Span};
use super::stored::Stored;
use super::write::Writer;
#[cfg(feature = "std")]
use crate::db::Snapshot;
use crate::db::{Database, WriteTransaction};
use crate::engine::{Durability, Progress};
use crate::error::{Error, Result};

/// A step removes at most so many documents.
const STEP_DOCUMENTS: usize = 256;

/// Steps that the background thread does before it sees whether the database is being closed.
#[cfg(feature = "std")]
const STEPS_MAX: usize = 4;

/// Removes what is gone, and gives when to do so again.
#[cfg(feature = "std")]
pub(super) fn sweep(database: &Database) -> Result<Option<u64>> {
    for _ in 0..STEPS_MAX {
        if database.remove_expired()? == Progress::Idle {
            let (snapshot, mut next) = (database.snapshot(), None);
            for name in snapshot.collection_names()? {
                if let Some(definition) = snapshot.collection_definition(&name)? {
                    let first = first_expiry(&snapshot, &definition)?;
                    next = next.into_iter().chain(first).min();
                }
            }
            return Ok(next.map(with_neighbours));
        }
    }
    Ok(Some(0))
}

/// A little later, so that the documents of a second go together.
#[cfg(feature = "std")]
pub(super) fn with_neighbours(at_ms: u64) -> u64 {
    at_ms.saturating_add(1000)
}

/// When the first document of a collection goes.
#[cfg(feature = "std")]
pub(super) fn first_expiry(snapshot: &Snapshot, definition: &Definition) -> Result<Option<u64>> {
    let first = (&*snapshot)
        .cursor(definition.expiry_id, &Span::all())?
        .first()?
        .and_then(|(key, _)| key.first_chunk().copied());
    Ok(first.map(u64::from_be_bytes))
}

impl Database {
    /// Removes some of the documents that are gone; whether there is more to do. A database with a background thread does it by
    /// itself, about once a second.
    pub fn remove_expired(&self) -> Result<Progress> {
        let snapshot = self.snapshot();
        for name in snapshot.collection_names()? {
            let Some(definition) = snapshot.collection_definition(&name)? else { continue };
            if (&snapshot).cursor(definition.expiry_id, &due(snapshot.now_ms()))?.first()?.is_none() {
                continue;
            }
            let removed = self.transaction_with(Durability::Relaxed, |tx| remove(tx, &name))?;
            if removed > 0 {
                return Ok(Progress::More);
            }
        }
        Ok(Progress::Idle)
    }
}

/// The notes of documents that are gone by now.
pub(super) fn due(now_ms: u64) -> Span {
    Span { from: Vec::new(), to: Some(Vec::from(now_ms.saturating_add(1).to_be_bytes())) }
}

/// Removes documents of one collection; gives how many notes of when one goes were dealt with.
fn remove(tx: &mut WriteTransaction, name: &str) -> Result<usize> {
    let Some(entry) = tx.definition(name)? else { return Ok(0) };
    let definition = Definition::of(name, &entry)?;
    let mut notes = Vec::new();
    let span = due(tx.now_ms());
    let documents_max = STEP_DOCUMENTS.min(tx.step_entries());
    for row in tx.bytes_table(definition.expiry_id).range(span.bounds())?.take(documents_max) {
        notes.push(row?.0);
    }
    let (id, expiry_id) = (definition.id, definition.expiry_id);
    let mut writer = Writer::new(tx, definition);
    for note in &notes {
        let (at, record) =
            note.split_first_chunk().ok_or_else(|| Error::invalid("a note of when a document goes is malformed"))?;
        // It may have been written again since, to stay longer.
        let goes = match writer.tx.bytes_table(id).get(record)? {
            Some(found) => Stored::read(&found)?.expires_ms == Some(u64::from_be_bytes(*at)),
            None => false,
        };
        if goes {
            writer.delete(record)?;
        }
        writer.tx.bytes_table(expiry_id).delete(&**note)?;
    }
    Ok(notes.len())
}
