//! Read-write transactions.

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::marker::PhantomData;

use super::catalogue::{Catalogue, check_type_names};
use super::database::Shared;
#[cfg(feature = "std")]
use super::exclusive::{Exclusive, ExclusiveGuard};
use super::found::Found;
use super::isolation::{Isolation, ReadSet};
use super::range::{Cursor, Range, View};
use super::requests::Remembered;
#[cfg(feature = "std")]
use super::row_locks::{Party, RowLocks};
use crate::codec::slot::{Slot, ValueRef};
use crate::engine::{self, Engine, FoundValue, Recent, ValueWriter, Version};
use crate::error::{Error, Result};
use crate::hashing::HashMap;
use crate::memtable::Memtable;
use crate::table::catalogue::{SCHEMA_OPTION, TableEntry, entry_key, next_id_key};
use crate::table::{
    Key, KeyBuffer, KeyPrefix, KeyRange, Lend, Table, Value, prefix, prefix_bounds, range_bounds, validate_name,
};
use crate::testing::Mutant;

/// What a transaction has changed so far; a clone is a savepoint.
#[derive(Clone, Debug)]
pub(super) struct Changes {
    pub memtable: Memtable,
    /// Why they lack a part of what belongs together; they cannot be committed.
    pub broken_off: Option<Error>,
}

/// A transaction: sees the database as it was at its start, with its own changes, and commits them all or none.
///
/// Dropping it without a commit undoes everything.
pub struct WriteTransaction {
    pub(super) engine: Arc<Engine>,
    pub(super) catalogue: Arc<Catalogue>,
    pub(super) version: Arc<Version>,
    pub(super) changes: Changes,
    pub(super) isolation: Isolation,
    pub(super) reads: ReadSet,
    /// What must be at the commit as it was seen, at every isolation, and when the first of it was seen.
    pub(super) constraints: ReadSet,
    pub(super) constrained_at: Option<Arc<Version>>,
    pub(super) now_ms: Option<u64>,
    /// Reads that belong together are under way: all of them see one state.
    pub(super) is_one_read: bool,
    #[cfg(feature = "std")]
    pub(super) wakes: Option<(u64, super::alarm::Work)>,
    /// Values written to extents of their own; given back if the transaction does not commit.
    pub(super) values: Vec<ValueRef>,
    pub(super) tables: HashMap<String, Arc<TableEntry>>,
    pub(super) changes_catalogue: bool,
    /// At read committed, what the first change of the catalogue was decided upon.
    pub(super) catalogue_seen: Option<Arc<Version>>,
    pub(super) deadline_ns: Option<(u64, u64)>,
    /// What its commit writes beside the changes, of the request that it carries out.
    pub(super) remembered: Option<Remembered>,
    pub(super) committed: bool,
    /// Memory that it may fill.
    #[cfg(feature = "std")]
    pub(super) granted_bytes: usize,
    #[cfg(feature = "std")]
    pub(super) rows: Rows,
}

/// A transaction's place among the row locks.
#[cfg(feature = "std")]
#[derive(Debug)]
pub(super) struct Rows {
    pub locks: Arc<RowLocks>,
    pub writer: Arc<Exclusive>,
    pub party: Party,
    /// It has locked some.
    pub has_locked: bool,
}

#[cfg(feature = "std")]
impl Rows {
    /// The writer lock; a transaction that holds rows waits for it as part of the wait-for graph.
    pub(super) fn take_writer<'e>(&self, writer: &'e Exclusive) -> Result<ExclusiveGuard<'e>> {
        if self.locks.holds_any(self.party) {
            return self.locks.take_writer(self.party, || writer.try_lock());
        }
        writer.lock()
    }
}

#[cfg(feature = "std")]
impl Drop for Rows {
    fn drop(&mut self) {
        self.locks.release(self.party);
    }
}

/// A point inside a transaction to go back to.
#[derive(Clone, Debug)]
pub struct Savepoint {
    changes: Changes,
    changes_catalogue: bool,
}

impl WriteTransaction {
    pub(super) fn new(shared: &Shared, version: Arc<Version>, isolation: Isolation) -> Self {
        let (engine, catalogue) = (Arc::clone(&shared.engine), Arc::clone(&shared.catalogue));
        let changes = Changes { memtable: Memtable::with_pool(&engine.chunks), broken_off: None };
        Self {
            #[cfg(feature = "std")]
            rows: Rows {
                party: shared.row_locks.party(),
                locks: Arc::clone(&shared.row_locks),
                writer: Arc::clone(&shared.exclusive),
                has_locked: false,
            },
            engine,
            catalogue,
            version,
            changes,
            isolation,
            reads: ReadSet::default(),
            constraints: ReadSet::default(),
            constrained_at: None,
            now_ms: None,
            is_one_read: false,
            #[cfg(feature = "std")]
            wakes: None,
            values: Vec::new(),
            tables: HashMap::default(),
            changes_catalogue: false,
            catalogue_seen: None,
            deadline_ns: None,
            remembered: None,
            committed: false,
            #[cfg(feature = "std")]
            granted_bytes: engine::OWN_BYTES,
        }
    }

    /// The newest commit this transaction sees.
    pub fn sequence(&self) -> u64 {
        self.version.sequence
    }

    /// Opens a table for reading and writing; it is made with the first write if there is none.
    pub fn table<K: Key, V: Value>(&mut self, table: Table<'_, K, V>) -> Result<WriteTable<'_, K, V>> {
        let entry = self.ensure_table(table.name(), &table.key_type(), &table.value_type())?;
        Ok(WriteTable { id: entry.id, tx: self, types: PhantomData })
    }

    /// Opens a table as bytes, making it with these types if there is none: for tools.
    pub fn untyped_table(
        &mut self,
        name: &str,
        key_type: &str,
        value_type: &str,
    ) -> Result<WriteTable<'_, &'static [u8], &'static [u8]>> {
        let entry = self.ensure_table(name, key_type, value_type)?;
        Ok(WriteTable { id: entry.id, tx: self, types: PhantomData })
    }

    /// Deletes a table with everything in it; false when there is none. A collection has more than its table: see
    /// [`drop_collection`](super::Database::drop_collection).
    pub fn drop_table(&mut self, name: &str) -> Result<bool> {
        self.see_catalogue()?;
        let found = self.find_table(name)?;
        if found.is_some_and(|entry| entry.option(SCHEMA_OPTION).is_some()) {
            return Err(Error::invalid(alloc::format!("'{name}' is a collection; delete it with drop_collection")));
        }
        self.forget_table(name)
    }

    /// Deletes a table and its definition, whatever goes with it elsewhere.
    pub(crate) fn forget_table(&mut self, name: &str) -> Result<bool> {
        self.see_catalogue()?;
        let Some(entry) = self.find_table(name)? else {
            self.reads.observed = true;
            return Ok(false);
        };
        let mut from = KeyBuffer::new();
        prefix::encode_prefix(entry.id, &mut from);
        self.delete_span(&from, &prefix::end_of(entry.id))?;
        self.write(&entry_key(name), Slot::Tombstone)?;
        self.tables.remove(name);
        self.changes_catalogue = true;
        Ok(true)
    }

    /// Marks this point. Going back to it undoes writes made since, never what was read.
    pub fn savepoint(&self) -> Savepoint {
        Savepoint { changes: self.changes.clone(), changes_catalogue: self.changes_catalogue }
    }

    /// Undoes everything written since the savepoint of this transaction was taken.
    pub fn rollback_to(&mut self, savepoint: &Savepoint) {
        if !Mutant::SavepointKeepsChanges.is_active() {
            self.changes = savepoint.changes.clone();
        }
        self.changes_catalogue = savepoint.changes_catalogue;
        if !Mutant::SavepointKeepsTables.is_active() {
            self.tables.clear();
        }
    }

    /// At read committed a change of the catalogue is decided upon the newest one, and must find it so at the commit: two
    /// tables never get one number, and none is made twice.
    pub(super) fn see_catalogue(&mut self) -> Result<()> {
        if self.isolation == Isolation::ReadCommitted {
            self.see_what_is_committed()?;
            if self.catalogue_seen.is_none() {
                self.catalogue_seen = Some(Arc::clone(&self.version));
            }
        }
        Ok(())
    }

    pub(super) fn find_table(&mut self, name: &str) -> Result<Option<Arc<TableEntry>>> {
        self.check_refused()?;
        if let Some(entry) = self.tables.get(name) {
            return Ok(Some(Arc::clone(entry)));
        }
        let key = entry_key(name);
        let entry = match engine::get_in_memtable(&self.changes.memtable, &key) {
            Some(None) => None,
            Some(Some(found)) => Some(Arc::new(TableEntry::decode(name, &found.to_vec(&self.engine.nodes)?)?)),
            None => self.catalogue.entry(&self.engine, &self.version, name)?,
        };
        self.reads.definition(self.isolation, &key);
        if let Some(entry) = &entry {
            self.tables.insert(String::from(name), Arc::clone(entry));
        }
        Ok(entry)
    }

    fn ensure_table(&mut self, name: &str, key_type: &str, value_type: &str) -> Result<Arc<TableEntry>> {
        let mut found = self.find_table(name)?;
        if found.is_none() && self.isolation == Isolation::ReadCommitted {
            self.see_catalogue()?;
            found = self.find_table(name)?;
        }
        if let Some(entry) = found {
            check_type_names(name, key_type, value_type, &entry)?;
            return Ok(entry);
        }
        validate_name(name)?;
        let id = self.new_table_id()?;
        let entry = TableEntry {
            id,
            key_type: String::from(key_type),
            value_type: String::from(value_type),
            created_ms: self.engine.env.clock.wall_ms(),
            options: Vec::new(),
        };
        self.define(name, entry)
    }

    /// A number that no table has had.
    pub(super) fn new_table_id(&mut self) -> Result<u64> {
        let id_key = next_id_key();
        let nodes = Arc::clone(&self.engine.nodes);
        let id = match self.get_raw(&id_key)? {
            None => 1,
            Some(found) => found.to_vec(&nodes)?.try_into().map(u64::from_le_bytes).map_err(|_| malformed_counter())?,
        };
        // A file that was made up may say anything: 0 is the catalogue's own number, and after the last there is none.
        let next = id.checked_add(1).filter(|_| id != prefix::CATALOGUE).ok_or_else(malformed_counter)?;
        self.write(&id_key, Slot::Inline(&next.to_le_bytes()))?;
        Ok(id)
    }

    /// Writes the definition of a table.
    pub(super) fn define(&mut self, name: &str, entry: TableEntry) -> Result<Arc<TableEntry>> {
        self.write(&entry_key(name), Slot::Inline(&entry.encode()))?;
        self.changes_catalogue = true;
        let entry = Arc::new(entry);
        self.tables.insert(String::from(name), Arc::clone(&entry));
        Ok(entry)
    }

    pub(super) fn get_raw(&mut self, key: &[u8]) -> Result<Option<FoundValue<'_>>> {
        self.check_deadline()?;
        self.reads.point(self.isolation, key);
        self.require_memory_of_reads()?;
        self.see_what_is_committed()?;
        match engine::get_in_memtable(&self.changes.memtable, key) {
            Some(said) => Ok(said),
            None => engine::get(&self.version, &self.engine.nodes, key),
        }
    }

    fn check_writable(&self) -> Result<()> {
        self.check_deadline()?;
        if self.committed {
            return Err(Error::invalid("the transaction has been committed; begin another"));
        }
        Ok(())
    }

    pub(super) fn write(&mut self, key: &[u8], slot: Slot<'_>) -> Result<()> {
        self.check_writable()?;
        #[cfg(feature = "std")]
        self.rows.locks.wait(self.rows.party, self.deadline_ns, key)?;
        super::key_length::check_key_length(key)?;
        let more = match slot {
            Slot::Inline(bytes) => bytes.len(),
            _ => 0,
        } + key.len();
        self.require_room(more)?;
        self.changes.memtable.put(key, slot, 0);
        Ok(())
    }

    /// An error where so many bytes more are more than a transaction may change.
    fn require_room(&mut self, more: usize) -> Result<()> {
        let limit = self.engine.options.transaction_bytes_max;
        let bytes = self.changes.memtable.bytes() + more;
        if bytes > limit {
            return Err(Error::LimitExceeded {
                what: "the size of a transaction's changes in bytes",
                value: bytes as u64,
                limit: limit as u64,
            });
        }
        #[cfg(feature = "std")]
        self.require_memory(bytes)?;
        Ok(())
    }

    /// What was read is remembered for the commit, and takes memory like what was changed.
    #[inline]
    fn require_memory_of_reads(&mut self) -> Result<()> {
        #[cfg(feature = "std")]
        if self.reads.bytes() > engine::OWN_BYTES / 2 {
            return self.require_memory(self.changes.memtable.bytes());
        }
        Ok(())
    }

    /// An error where changes of so many bytes, and what was read, take more memory than there is for it.
    #[cfg(feature = "std")]
    #[inline]
    fn require_memory(&mut self, changed: usize) -> Result<()> {
        let bytes = changed + self.reads.bytes();
        if bytes > self.granted_bytes { self.take_memory(bytes) } else { Ok(()) }
    }

    /// Asks for memory that all transactions share, for some time ahead where there is enough.
    #[cfg(feature = "std")]
    #[cold]
    fn take_memory(&mut self, bytes: usize) -> Result<()> {
        let ahead = bytes.next_multiple_of(engine::OWN_BYTES);
        let memory = &self.engine.transaction_memory;
        let granted = match memory.take(ahead - self.granted_bytes) {
            Ok(()) => ahead,
            Err(_) => memory.take(bytes - self.granted_bytes).map(|()| bytes)?,
        };
        self.granted_bytes = granted;
        Ok(())
    }

    /// Deletes what lies from `from` up to, not including, `to`.
    pub(super) fn delete_span(&mut self, from: &[u8], to: &[u8]) -> Result<()> {
        self.check_writable()?;
        #[cfg(feature = "std")]
        self.rows.locks.wait_range(self.rows.party, self.deadline_ns, from, to)?;
        self.require_room(from.len() + to.len())?;
        self.changes.memtable.delete_range(from, Some(to), 0);
        Ok(())
    }

    /// Stores a value inline or in an extent of its own, by its length.
    pub(super) fn write_value(&mut self, key: &[u8], value: &[u8]) -> Result<()> {
        if value.len() <= self.engine.options.inline_bytes_max {
            return self.write(key, Slot::Inline(value));
        }
        self.engine.finish_opening_for_values()?;
        let mut writer = ValueWriter::new(&self.engine, value.len() as u64)?;
        if let Err(error) = writer.write(&self.engine, value) {
            writer.abandon(&self.engine);
            return Err(error);
        }
        let value = writer.finish(&self.engine)?;
        self.values.push(value);
        self.write(key, Slot::Extent(value))
    }

    /// As [`write_value`](Self::write_value), of bytes that `fill` brings in pieces.
    pub(super) fn write_stream(
        &mut self,
        key: &[u8],
        len: u64,
        fill: impl FnOnce(&mut dyn FnMut(&[u8]) -> Result<()>) -> Result<()>,
    ) -> Result<()> {
        if len <= self.engine.options.inline_bytes_max as u64 {
            let mut bytes = Vec::new();
            fill(&mut |piece| {
                bytes.extend_from_slice(piece);
                Ok(())
            })?;
            if bytes.len() as u64 != len {
                return Err(Error::invalid(alloc::format!(
                    "the value was announced with {len} bytes and got {}",
                    bytes.len()
                )));
            }
            return self.write(key, Slot::Inline(&bytes));
        }
        let engine = Arc::clone(&self.engine);
        engine.finish_opening_for_values()?;
        let mut writer = ValueWriter::new(&engine, len)?;
        if let Err(error) = fill(&mut |piece| writer.write(&engine, piece)) {
            writer.abandon(&engine);
            return Err(error);
        }
        let value = writer.finish(&engine)?;
        self.values.push(value);
        self.write(key, Slot::Extent(value))
    }

    /// At read committed each read sees what is committed at that moment, and never less than the one before.
    pub(super) fn see_what_is_committed(&mut self) -> Result<()> {
        let moves_on = match self.isolation {
            Isolation::ReadCommitted => !Mutant::ReadCommittedStays.is_active(),
            _ => Mutant::SnapshotMovesOn.is_active(),
        };
        if moves_on && !self.is_one_read {
            let visible = self.engine.version();
            if visible.sequence >= self.version.sequence {
                // A table it has made has perhaps the number of one that others have made meanwhile: their rows are not its.
                if let Some(seen) = self.catalogue_seen.as_ref().filter(|_| self.changes_catalogue)
                    && self.catalogue.changed_since(seen.sequence)
                {
                    return Err(Error::Conflict { what: String::from("the tables that were made or dropped") });
                }
                self.go_on_from(&visible)?;
                self.version = visible;
            }
        }
        Ok(())
    }

    /// What the writes so far were decided upon must be in `visible` as it was then, or the commit would be refused and the
    /// reads until then would mix both: an entry of an index that the transaction replaced hides one that others made.
    fn go_on_from(&mut self, visible: &Arc<Version>) -> Result<()> {
        let Some(seen) = self.constrained_at.as_ref().filter(|seen| seen.sequence < visible.sequence) else {
            return Ok(());
        };
        if self.changes.memtable.is_empty() || Mutant::MovesOnUnvalidated.is_active() {
            return Ok(());
        }
        self.engine.examine_head(|_, recent| self.validate_constraints(seen, visible, recent))?;
        // It holds there too, and what is decided from here on is decided upon that.
        self.constrained_at = Some(Arc::clone(visible));
        Ok(())
    }

    /// Refuses what others have made impossible since what the writes were decided upon was `seen`.
    pub(super) fn validate_constraints(&self, seen: &Version, head: &Version, recent: &Recent) -> Result<()> {
        let nothing = Memtable::new();
        super::isolation::validate(Isolation::Serializable, seen, &self.constraints, &nothing, head, recent)
    }

    /// Locks the row, and sees to it that what is read of it now can still be committed.
    #[cfg(feature = "std")]
    fn lock_row(&mut self, key: &[u8]) -> Result<()> {
        self.check_deadline()?;
        if self.reads.exclusive {
            return self.rows.locks.wait(self.rows.party, self.deadline_ns, key);
        }
        // Under the writer lock, so that no writer is half-way who looked before the row was locked: whoever writes looks
        // at the locks under the writer lock too.
        let writer = Arc::clone(&self.rows.writer);
        let guard = loop {
            let guard = self.rows.take_writer(&writer)?;
            let until_ns = self.deadline_ns.map_or(u64::MAX, |(end_ns, _)| end_ns);
            if self.rows.locks.try_acquire(self.rows.party, key, until_ns)? {
                break guard;
            }
            drop(guard);
            self.rows.locks.wait(self.rows.party, self.deadline_ns, key)?;
        };
        self.rows.has_locked = true;
        let result = self.see_locked_row(key);
        drop(guard);
        result
    }

    /// Moves to the head if nothing binds the transaction to an older state; else the row must be as it was there.
    #[cfg(feature = "std")]
    fn see_locked_row(&mut self, key: &[u8]) -> Result<()> {
        if self.isolation == Isolation::ReadCommitted || !self.reads.observed && self.changes.memtable.is_empty() {
            return self.begin_at_head();
        }
        let mut seen = ReadSet::default();
        seen.point(Isolation::Serializable, key);
        self.engine.examine_head(|head, recent| {
            super::isolation::validate(Isolation::Serializable, &self.version, &seen, &Memtable::new(), head, recent)
        })
    }

    /// Moves to the newest state: right while nothing that was read binds the transaction to an older one. The head, not
    /// what is visible, because whoever held a row before gives it back as soon as its commit has its place in the log,
    /// before that is durable.
    #[cfg(feature = "std")]
    fn begin_at_head(&mut self) -> Result<()> {
        let head = self.engine.head();
        for (name, entry) in &self.tables {
            if self.catalogue.entry(&self.engine, &head, name)?.is_none_or(|now| now.id != entry.id) {
                return Err(Error::Conflict { what: alloc::format!("table \"{name}\"") });
            }
        }
        self.version = head;
        Ok(())
    }

    pub(super) fn delete_key(&mut self, key: &[u8]) -> Result<bool> {
        let was_there = self.get_raw(key)?.is_some();
        if was_there {
            self.write(key, Slot::Tombstone)?;
        }
        Ok(was_there)
    }

    /// It is ended so many milliseconds after `start_ns`; gives when that is.
    pub(super) fn end_after(&mut self, start_ns: u64, limit_ms: u64) -> u64 {
        let end_ns = start_ns.saturating_add(limit_ms.saturating_mul(1_000_000));
        self.deadline_ns = Some((end_ns, limit_ms));
        end_ns
    }

    /// Every call is this error.
    pub(super) fn refuse(&mut self, error: Error) {
        self.deadline_ns = Some((0, 0));
        self.changes.broken_off = Some(error);
    }

    /// As [`check_deadline`](Self::check_deadline), of one that was refused from the beginning: without a look at the clock.
    fn check_refused(&self) -> Result<()> {
        match self.deadline_ns {
            Some((0, _)) => self.check_deadline(),
            _ => Ok(()),
        }
    }

    fn check_deadline(&self) -> Result<()> {
        match self.deadline_ns {
            Some((deadline, _)) if self.engine.env.clock.monotonic_ns() >= deadline => Err(self.timed_out()),
            _ => Ok(()),
        }
    }

    /// What whoever is out of time, or was refused from the beginning, is told.
    #[cold]
    fn timed_out(&self) -> Error {
        let limit_ms = self.deadline_ns.map_or(0, |(_, limit_ms)| limit_ms);
        self.changes.broken_off.clone().unwrap_or(Error::TransactionTimeout { limit_ms })
    }

    /// An error where its time had ended at `now_ns`, when its commit began.
    pub(super) fn require_in_time(&self, now_ns: u64) -> Result<()> {
        match self.deadline_ns {
            Some((deadline, _)) if now_ns >= deadline && !Mutant::OverdueCommits.is_active() => Err(self.timed_out()),
            _ => Ok(()),
        }
    }

    /// An error where others have taken what it had locked, because its time had ended. The caller holds the writer lock,
    /// under which rows are locked.
    #[cfg(feature = "std")]
    pub(super) fn require_rows(&self) -> Result<()> {
        match self.rows.has_locked && !self.rows.locks.holds_any(self.rows.party) {
            true => Err(self.timed_out()),
            false => Ok(()),
        }
    }
}

impl Drop for WriteTransaction {
    fn drop(&mut self) {
        if !self.committed {
            for value in self.values.drain(..) {
                self.engine.withdraw_value(&value);
            }
        }
        #[cfg(feature = "std")]
        if self.granted_bytes > engine::OWN_BYTES {
            self.engine.transaction_memory.give_back(self.granted_bytes - engine::OWN_BYTES);
        }
    }
}

impl fmt::Debug for WriteTransaction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WriteTransaction")
            .field("sequence", &self.version.sequence)
            .field("isolation", &self.isolation)
            .field("changes", &self.changes.memtable.len())
            .finish_non_exhaustive()
    }
}

/// A table inside a transaction: sees the transaction's own changes.
pub struct WriteTable<'t, K: Key, V: Value> {
    pub(super) tx: &'t mut WriteTransaction,
    pub(super) id: u64,
    pub(super) types: PhantomData<fn() -> (K, V)>,
}

impl<K: Key, V: Value> WriteTable<'_, K, V> {
    pub(super) fn id(&self) -> u64 {
        self.id
    }

    fn key(&self, key: &K::Borrowed<'_>) -> Result<KeyBuffer> {
        let mut bytes = KeyBuffer::new();
        prefix::encode_prefix(self.id, &mut bytes);
        K::encode(key, &mut bytes)?;
        Ok(bytes)
    }

    /// Writes `value` under `key`, whatever was there.
    pub fn put(&mut self, key: impl Lend<K>, value: impl Lend<V>) -> Result<()> {
        let key = self.key(&key.lend())?;
        self.tx.write_value(&key, V::encode(&value.lend()).as_ref())
    }

    /// Writes a new key; one that exists is [`Error::Unexpected`].
    pub fn insert(&mut self, key: impl Lend<K>, value: impl Lend<V>) -> Result<()> {
        let key = self.key(&key.lend())?;
        if self.tx.get_raw(&key)?.is_some() {
            return Err(unexpected("the key exists already", &key));
        }
        self.tx.write_value(&key, V::encode(&value.lend()).as_ref())
    }

    /// Writes over an existing key; one that is missing is [`Error::Unexpected`].
    pub fn replace(&mut self, key: impl Lend<K>, value: impl Lend<V>) -> Result<()> {
        let key = self.key(&key.lend())?;
        if self.tx.get_raw(&key)?.is_none() {
            return Err(unexpected("there is no such key to replace", &key));
        }
        self.tx.write_value(&key, V::encode(&value.lend()).as_ref())
    }

    /// Deletes a key; tells whether it was there.
    pub fn delete(&mut self, key: impl Lend<K>) -> Result<bool> {
        let key = self.key(&key.lend())?;
        self.tx.delete_key(&key)
    }

    /// Deletes every key of a range, at a cost that does not depend on how many there are.
    pub fn delete_range(&mut self, range: impl KeyRange<K>) -> Result<()> {
        let (from, to) = range_bounds::<K>(self.id, &range)?;
        if *from < *to { self.tx.delete_span(&from, &to) } else { Ok(()) }
    }

    /// Writes `new` if the value is `expected` (`None`: no such key); tells whether it was.
    pub fn compare_and_swap(&mut self, key: impl Lend<K>, expected: Option<&[u8]>, new: impl Lend<V>) -> Result<bool> {
        let key = self.key(&key.lend())?;
        let nodes = Arc::clone(&self.tx.engine.nodes);
        let found = self.tx.get_raw(&key)?.map(|found| found.to_vec(&nodes)).transpose()?;
        if found.as_deref() != expected {
            return Ok(false);
        }
        self.tx.write_value(&key, V::encode(&new.lend()).as_ref())?;
        Ok(true)
    }

    /// Writes a value of `len` bytes in pieces, for values too long to hold at once: `fill` is called with a function
    /// that appends bytes.
    pub fn put_stream(
        &mut self,
        key: impl Lend<K>,
        len: u64,
        fill: impl FnOnce(&mut dyn FnMut(&[u8]) -> Result<()>) -> Result<()>,
    ) -> Result<()> {
        let key = self.key(&key.lend())?;
        self.tx.write_stream(&key, len, fill)
    }

    /// The value of `key`, if there is one.
    pub fn get(&mut self, key: impl Lend<K>) -> Result<Option<Found<'_, V>>> {
        let key = self.key(&key.lend())?;
        let nodes = Arc::clone(&self.tx.engine.nodes);
        self.tx.get_raw(&key)?.map(|found| Found::new(found, &nodes)).transpose()
    }

    /// The value of `key`, locked: until this transaction ends, others that write or lock this key wait for it. A wait
    /// that could never end is [`Error::Deadlock`]. Deleting a range waits for the rows in it.
    #[cfg(feature = "std")]
    pub fn get_for_update(&mut self, key: impl Lend<K>) -> Result<Option<Found<'_, V>>> {
        let key = self.key(&key.lend())?;
        self.tx.lock_row(&key)?;
        let nodes = Arc::clone(&self.tx.engine.nodes);
        self.tx.get_raw(&key)?.map(|found| Found::new(found, &nodes)).transpose()
    }

    /// Whether there is such a key.
    pub fn contains(&mut self, key: impl Lend<K>) -> Result<bool> {
        let key = self.key(&key.lend())?;
        Ok(self.tx.get_raw(&key)?.is_some())
    }

    /// The entries of a range in key order, from either end, as they are now: what is written later does not show.
    pub fn range(&mut self, range: impl KeyRange<K>) -> Result<Range<K, V>> {
        let (from, to) = range_bounds::<K>(self.id, &range)?;
        Ok(Range::new(self.view(&from, &to)?, self.id, from, to))
    }

    /// The entries whose keys begin with `prefix`, as they are now.
    pub fn prefix(&mut self, prefix: impl KeyPrefix<K>) -> Result<Range<K, V>> {
        let (from, to) = prefix_bounds::<K>(self.id, &prefix)?;
        Ok(Range::new(self.view(&from, &to)?, self.id, from, to))
    }

    /// A cursor over a range as it is now; it stands nowhere until it is moved.
    pub fn cursor(&mut self, range: impl KeyRange<K>) -> Result<Cursor<K, V>> {
        let (from, to) = range_bounds::<K>(self.id, &range)?;
        Ok(Cursor::new(self.view(&from, &to)?, self.id, from, to))
    }

    /// How many keys the range holds.
    pub fn count(&mut self, range: impl KeyRange<K>) -> Result<u64> {
        let (from, to) = range_bounds::<K>(self.id, &range)?;
        if *from >= *to {
            return Ok(0);
        }
        self.tx.reads.range(self.tx.isolation, &from, &to);
        self.tx.require_memory_of_reads()?;
        self.tx.see_what_is_committed()?;
        engine::count(&self.tx.version, Some(&self.tx.changes.memtable), &self.tx.engine.nodes, &from, Some(&to))
    }

    /// How many keys the table holds.
    pub fn len(&mut self) -> Result<u64> {
        self.count(..)
    }

    /// Whether the table holds no key.
    pub fn is_empty(&mut self) -> Result<bool> {
        Ok(self.cursor(..)?.first()?.is_none())
    }

    /// The whole range asked for counts as read, whatever part of it is then looked at.
    fn view(&mut self, from: &[u8], to: &[u8]) -> Result<View> {
        self.tx.reads.range(self.tx.isolation, from, to);
        self.tx.require_memory_of_reads()?;
        self.tx.see_what_is_committed()?;
        Ok(View {
            engine: Arc::clone(&self.tx.engine),
            version: Arc::clone(&self.tx.version),
            changes: (!self.tx.changes.memtable.is_empty()).then(|| self.tx.changes.clone()),
        })
    }
}

impl<K: Key> WriteTable<'_, K, i64> {
    /// Adds `by` to the number under `key` (0 when missing) and gives the sum; overflow is an error.
    pub fn increment(&mut self, key: impl Lend<K>, by: i64) -> Result<i64> {
        let key = self.key(&key.lend())?;
        let nodes = Arc::clone(&self.tx.engine.nodes);
        let old = match self.tx.get_raw(&key)? {
            None => 0,
            Some(found) => <i64 as Value>::decode(&found.to_vec(&nodes)?)?,
        };
        let new =
            old.checked_add(by).ok_or_else(|| Error::invalid(alloc::format!("{old} + {by} does not fit 64 bits")))?;
        self.tx.write(&key, Slot::Inline(&new.to_le_bytes()))?;
        Ok(new)
    }
}

impl<K: Key, V: Value> fmt::Debug for WriteTable<'_, K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WriteTable").field("id", &self.id).finish_non_exhaustive()
    }
}

/// The error for a condition on a key that does not hold.
pub(super) fn unexpected(what: &'static str, key: &[u8]) -> Error {
    let key = prefix::split(key).map_or(key, |(_, key)| key);
    let shown = key.get(..64).unwrap_or(key).escape_ascii();
    Error::Unexpected { what, key: alloc::format!("\"{shown}\"") }
}

/// Nobody writes such a number for the next table.
fn malformed_counter() -> Error {
    Error::invalid("the catalogue's table counter is malformed; run 'lightning check'")
}
