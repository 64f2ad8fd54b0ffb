//! Tables by their number, and the catalogue's definitions as they are: for the collections, which are tables with a schema and
//! indexes beside them.
//!
//! **What a write of a collection was decided upon must be so at its commit, at every isolation level:** the schema, else an
//! index made meanwhile would miss the write; the old record, else entries of another version of it would stay; and that a
//! unique value is free. `constrain` sees to it.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::marker::PhantomData;

use super::isolation::Isolation;
use super::snapshot::{ReadTable, Snapshot};
use super::transaction::{WriteTable, WriteTransaction};
use crate::codec::slot::Slot;
use crate::engine;
use crate::error::{Error, Result};
use crate::table::catalogue::{TableEntry, entry_key};
use crate::table::{KeyBuffer, prefix, validate_name};
use crate::testing::Mutant;

/// A table as bytes.
pub(crate) type Bytes = &'static [u8];

impl Snapshot {
    /// The definition of `name`.
    pub(crate) fn definition(&self, name: &str) -> Result<Option<Arc<TableEntry>>> {
        self.catalogue.entry(&self.engine, &self.version, name)
    }

    /// About how many keys table `id` has from `from` up to, not including, `to`.
    pub(crate) fn estimate_keys(&self, id: u64, from: &[u8], to: Option<&[u8]>) -> Result<u64> {
        let (from, to) = span_of(id, from, to);
        engine::estimate(&self.version, None, &self.engine.nodes, &from, &to)
    }

    /// Table `id` as bytes.
    pub(crate) fn bytes_table(&self, id: u64) -> ReadTable<'_, Bytes, Bytes> {
        ReadTable::new(self, id)
    }

    /// The wall clock, in milliseconds since 1970, as it was when the snapshot was first asked for it; never before its
    /// newest commit.
    pub(crate) fn now_ms(&self) -> u64 {
        let mut now = self.now_ms.lock();
        *now.get_or_insert_with(|| self.engine.env.clock.wall_ms().max(self.version.time_ms))
    }
}

impl WriteTransaction {
    /// The definition of `name`, which must be the same at the commit.
    pub(crate) fn definition(&mut self, name: &str) -> Result<Option<Arc<TableEntry>>> {
        // At read committed it is another one once others have committed that: what it names may be gone.
        if self.moves_on() && !self.changes_catalogue {
            self.see_what_is_committed()?;
            self.tables.remove(name);
        }
        if !Mutant::DefinitionUnvalidated.is_active() {
            self.constrain(&entry_key(name))?;
        }
        self.find_table(name)
    }

    /// Reads that belong together: at read committed, too, all of them see one state.
    pub(crate) fn as_one_read<R>(&mut self, read: impl FnOnce(&mut Self) -> Result<R>) -> Result<R> {
        self.see_what_is_committed()?;
        let before = core::mem::replace(&mut self.is_one_read, true);
        let result = read(self);
        self.is_one_read = before;
        result
    }

    /// Whether each read sees what is committed at that moment.
    pub(crate) fn moves_on(&self) -> bool {
        self.isolation == Isolation::ReadCommitted
    }

    /// Changes that belong together were made in part: from here on the transaction can go back to a savepoint from before
    /// that, and never be committed.
    pub(crate) fn break_off(&mut self, error: &Error) {
        self.changes.broken_off.get_or_insert_with(|| error.clone());
    }

    /// How much of anything one step of background work takes.
    pub(crate) fn step_entries(&self) -> usize {
        self.engine.options.step_entries
    }

    /// Writes the definition of `name`, a new one or another one.
    pub(crate) fn set_definition(&mut self, name: &str, entry: TableEntry) -> Result<Arc<TableEntry>> {
        validate_name(name)?;
        self.see_catalogue()?;
        self.define(name, entry)
    }

    /// A number for a table that is to be made.
    pub(crate) fn take_table_id(&mut self) -> Result<u64> {
        self.see_catalogue()?;
        self.new_table_id()
    }

    /// Deletes everything in table `id`.
    pub(crate) fn clear_table(&mut self, id: u64) -> Result<()> {
        let mut from = KeyBuffer::new();
        prefix::encode_prefix(id, &mut from);
        self.delete_span(&from, &prefix::end_of(id))
    }

    /// About how many keys table `id` has from `from` up to, not including, `to`. Counts as reading nothing: it decides how
    /// something is read, never what.
    pub(crate) fn estimate_keys(&self, id: u64, from: &[u8], to: Option<&[u8]>) -> Result<u64> {
        let (from, to) = span_of(id, from, to);
        engine::estimate(&self.version, Some(&self.changes.memtable), &self.engine.nodes, &from, &to)
    }

    /// Table `id` as bytes.
    pub(crate) fn bytes_table(&mut self, id: u64) -> WriteTable<'_, Bytes, Bytes> {
        WriteTable { tx: self, id, types: PhantomData }
    }

    /// A note of the engine's own, beside the definitions but none of them, so that writing it is in nobody's way.
    pub(crate) fn note(&mut self, name: &str) -> Result<Option<Vec<u8>>> {
        let key = note_key(name);
        let nodes = Arc::clone(&self.engine.nodes);
        self.get_raw(&key)?.map(|found| found.to_vec(&nodes)).transpose()
    }

    /// Writes such a note, or takes it away.
    pub(crate) fn set_note(&mut self, name: &str, value: Option<&[u8]>) -> Result<()> {
        self.write(&note_key(name), value.map_or(Slot::Tombstone, Slot::Inline))
    }

    /// A [`note`](Self::note) of a number that only rises, of table `id`: what is noted on the strength of it is noted by nobody
    /// else meanwhile.
    pub(crate) fn rising_note(&mut self, id: u64, name: &str) -> Result<Option<u64>> {
        let key = note_key(name);
        self.constrain(&key)?;
        let noted = self.note(name)?.and_then(|bytes| bytes.try_into().ok()).map(u64::from_le_bytes);
        if let Some(number) = noted.filter(|_| engine::get_in_memtable(&self.changes.memtable, &key).is_none()) {
            self.catalogue.has_risen(id, number);
        }
        Ok(noted)
    }

    /// The [number noted](Self::rising_note) of table `id` is this or higher in the newest commit, and so in what this transaction
    /// goes on from when it commits. Reads nothing, and counts as reading nothing.
    pub(crate) fn risen(&self, id: u64) -> u64 {
        self.catalogue.risen(id)
    }

    /// A UUID of version 7.
    pub(crate) fn next_uuid(&self) -> [u8; 16] {
        let env = &self.engine.env;
        self.engine.uuids.next(&*env.clock, &*env.entropy)
    }

    /// Whatever is under this key of the key space must be at the commit as it is seen now.
    pub(crate) fn constrain(&mut self, key: &[u8]) -> Result<()> {
        if self.reads.exclusive {
            return Ok(());
        }
        if self.constrained_at.is_none() {
            self.constrained_at = Some(Arc::clone(&self.version));
        }
        self.constraints.definition(Isolation::Serializable, key);
        Ok(())
    }

    /// As [`constrain`](Self::constrain), a key of table `id`. Snapshot isolation protects what is written too.
    pub(crate) fn constrain_row(&mut self, id: u64, key: &[u8]) -> Result<()> {
        let is_protected = self.isolation != Isolation::ReadCommitted || self.reads.exclusive;
        if is_protected || Mutant::RowConstraintUnvalidated.is_active() {
            return Ok(());
        }
        let mut whole = KeyBuffer::new();
        prefix::encode_prefix(id, &mut whole);
        whole.extend(key);
        self.constrain(&whole)
    }

    /// Has `work` done at this time, once this is committed; see [`Database::wake_at`](super::Database::wake_at).
    #[cfg(feature = "std")]
    pub(crate) fn wake_at(&mut self, at_ms: u64, work: super::alarm::Work) {
        if self.wakes.is_none_or(|(first_ms, _)| at_ms < first_ms) {
            self.wakes = Some((at_ms, work));
        }
    }

    /// The wall clock, in milliseconds since 1970, as it was when the transaction was first asked for it; never before the
    /// newest commit it saw then.
    pub(crate) fn now_ms(&mut self) -> u64 {
        let (engine, version) = (&self.engine, &self.version);
        *self.now_ms.get_or_insert_with(|| engine.env.clock.wall_ms().max(version.time_ms))
    }
}

fn span_of(id: u64, from: &[u8], to: Option<&[u8]>) -> (KeyBuffer, KeyBuffer) {
    let (mut start, mut end) = (KeyBuffer::new(), prefix::end_of(id));
    prefix::encode_prefix(id, &mut start);
    if let Some(to) = to {
        end = start.clone();
        end.extend(to);
    }
    start.extend(from);
    (start, end)
}

/// The name of a note, from its key.
pub(crate) fn note_name(key: &[u8]) -> Option<&str> {
    str::from_utf8(key.strip_prefix(&*note_key(""))?).ok()
}

fn note_key(name: &str) -> KeyBuffer {
    let mut key = entry_key("\0");
    key.extend(name.as_bytes());
    key
}
