//! Writing to the new database: changes in the order they come, many to a transaction.

use alloc::vec::Vec;

use crate::codec::slot::ValueRef;
use crate::collection::is_counter;
use crate::db::{Database, WriteTransaction, is_remembered};
use crate::engine::{Durability, KEY_BYTES_MAX, ValueReader};
use crate::error::Result;
use crate::table::catalogue::{TableEntry, entry_name, next_id_key};
use crate::table::{prefix, validate_name};

/// Bytes of changes in one transaction: less than any database allows.
const BATCH_BYTES: usize = 256 << 10;
/// What a change takes beside its bytes, about.
const CHANGE_BYTES: usize = 64;
/// Bytes of a long value copied at once.
const PIECE_BYTES: usize = 64 << 10;

enum Change {
    Put { key: Vec<u8>, value: Vec<u8> },
    Delete { key: Vec<u8> },
    DeleteRange { from: Vec<u8>, to: Vec<u8> },
}

/// Collects changes and commits them. Nothing waits for the medium: closing the new database does.
pub(super) struct Sink<'d> {
    database: &'d Database,
    changes: Vec<Change>,
    bytes: usize,
}

impl<'d> Sink<'d> {
    pub(super) fn new(database: &'d Database) -> Self {
        Self { database, changes: Vec::new(), bytes: 0 }
    }

    pub(super) fn database(&self) -> &'d Database {
        self.database
    }

    /// Writes a record. False, and nothing done, for a key that no database has, or a definition that is none.
    pub(super) fn put(&mut self, key: &[u8], value: &[u8]) -> Result<bool> {
        if !is_possible(key, Some(value)) {
            return Ok(false);
        }
        self.add(key.len() + value.len(), Change::Put { key: key.to_vec(), value: value.to_vec() })?;
        Ok(true)
    }

    /// Copies a value from an extent of its own. False, and nothing done, when it is damaged.
    pub(super) fn copy_value(&mut self, key: &[u8], value: ValueRef, reader: &mut ValueReader) -> Result<bool> {
        if !is_possible(key, None) {
            return Ok(false);
        }
        self.commit()?;
        let mut damaged = None;
        let copied = self.write(|tx| {
            tx.put_raw_stream(key, value.len, |append| {
                let mut piece = alloc::vec![0; PIECE_BYTES];
                let mut at = 0;
                while at < value.len {
                    let read = reader.read_at(at, &mut piece).inspect_err(|error| damaged = Some(error.clone()))?;
                    append(piece.get(..read).unwrap_or_default())?;
                    at += read.max(1) as u64;
                }
                Ok(())
            })
        });
        match (copied, damaged) {
            (Ok(()), _) => Ok(true),
            (Err(_), Some(damage)) if damage.not_resident().is_none() => Ok(false),
            (Err(error), _) => Err(error),
        }
    }

    pub(super) fn delete(&mut self, key: &[u8]) -> Result<()> {
        if key.len() > KEY_BYTES_MAX {
            return Ok(());
        }
        self.add(key.len(), Change::Delete { key: key.to_vec() })
    }

    /// Deletes from `from` on and before `to`; without `to` everything from there on.
    pub(super) fn delete_range(&mut self, from: &[u8], to: Option<&[u8]>) -> Result<()> {
        let end = prefix::end_of(u64::MAX);
        let to = to.unwrap_or(&end);
        if from >= to || from.len() > KEY_BYTES_MAX || to.len() > KEY_BYTES_MAX {
            return Ok(());
        }
        self.add(from.len() + to.len(), Change::DeleteRange { from: from.to_vec(), to: to.to_vec() })
    }

    /// Commits what is left.
    pub(super) fn finish(&mut self) -> Result<()> {
        self.commit()
    }

    fn add(&mut self, bytes: usize, change: Change) -> Result<()> {
        if self.bytes + bytes > BATCH_BYTES {
            self.commit()?;
        }
        self.bytes += bytes + CHANGE_BYTES;
        self.changes.push(change);
        Ok(())
    }

    fn commit(&mut self) -> Result<()> {
        self.bytes = 0;
        let changes = core::mem::take(&mut self.changes);
        if changes.is_empty() {
            return Ok(());
        }
        self.write(|tx| {
            changes.iter().try_for_each(|change| match change {
                Change::Put { key, value } => tx.put_raw(key, value),
                Change::Delete { key } => tx.delete_raw(key),
                Change::DeleteRange { from, to } => tx.delete_raw_range(from, to),
            })
        })
    }

    fn write(&self, body: impl FnOnce(&mut WriteTransaction) -> Result<()>) -> Result<()> {
        self.database.transaction_with(Durability::Relaxed, body)
    }
}

/// Whether a database may have this record. Damage cannot make another one, but a file made up can.
fn is_possible(key: &[u8], value: Option<&[u8]>) -> bool {
    match prefix::split(key) {
        None => false,
        Some(_) if key.len() > KEY_BYTES_MAX => false,
        Some((prefix::CATALOGUE, _)) => {
            value.is_some_and(|value| is_definition(key, value) || is_remembered(key, value) || is_counter(key, value))
        }
        Some(_) => true,
    }
}

fn is_definition(key: &[u8], value: &[u8]) -> bool {
    if key == &*next_id_key() {
        return value.len() == 8;
    }
    entry_name(key).is_some_and(|name| validate_name(name).is_ok() && TableEntry::decode(name, value).is_ok())
}
