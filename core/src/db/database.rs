//! The handle an application holds.

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::marker::PhantomData;

use super::catalogue::Catalogue;
use super::exclusive::{Exclusive, ExclusiveGuard};
use super::found::Found;
use super::isolation::Isolation;
use super::options::Options;
use super::snapshot::{ReadTable, Snapshot, TableInfo};
use super::transaction::WriteTransaction;
use crate::codec::slot::Slot;
use crate::engine::{
    self, Activity, Appended, CompactionProgress, Durability, Engine, Environment, Limits, OpenArguments, Progress,
    RecoveryReport, RecoveryStage, Stats,
};
use crate::env::sync::Mutex;
use crate::env::{Storage, SyncTicket};
use crate::error::{Error, Result};
use crate::log::OperationWriter;
use crate::table::{Key, KeyBuffer, KeyRange, Lend, Table, Value, prefix};

/// The closure form of an optimistic transaction tries this often before it takes the writer lock.
const CONFLICTS_MAX: usize = 5;

/// An open database. Clones share it; the last one dropped closes it.
#[derive(Clone)]
pub struct Database {
    pub(super) shared: Arc<Shared>,
}

/// What the clones of one handle share.
pub(super) struct Shared {
    pub engine: Arc<Engine>,
    pub catalogue: Arc<Catalogue>,
    pub exclusive: Arc<Exclusive>,
    pub options: Options,
    pub recovery: RecoveryReport,
    pub watched: Arc<super::watched::WatchedTables>,
    #[cfg(feature = "std")]
    pub row_locks: Arc<super::row_locks::RowLocks>,
    #[cfg(feature = "std")]
    pub background: Option<Arc<super::background::Background>>,
    #[cfg(feature = "std")]
    pub scrubbing: Option<super::stoppable_thread::StoppableThread>,
    #[cfg(feature = "std")]
    pub alarm: Arc<super::alarm::Alarm>,
    #[cfg(feature = "std")]
    pub archive: Arc<super::archive::Archive>,
    /// Names the database among those open in this process.
    #[cfg(feature = "std")]
    pub registered: Option<std::path::PathBuf>,
    /// Of a thread that the owner ends and waits for: dropping it closes nothing.
    pub is_lent: bool,
}

impl Database {
    /// Opens a database on any storage. On a storage that answers `NotResident`, fetch and call again with the same one.
    pub fn open_storage(storage: Arc<dyn Storage>, env: Environment, options: Options) -> Result<Self> {
        Self::open_storage_with(storage, env, options, &mut |_| {})
    }

    /// Like [`open_storage`](Self::open_storage), and tells each stage as it begins.
    pub fn open_storage_with(
        storage: Arc<dyn Storage>,
        env: Environment,
        options: Options,
        progress: &mut dyn FnMut(RecoveryStage),
    ) -> Result<Self> {
        let (engine, recovery) =
            Engine::open(OpenArguments { storage, env, options: options.engine_options()?, progress })?;
        let engine = Arc::new(engine);
        #[cfg(feature = "std")]
        let background = (options.background_thread && !options.read_only)
            .then(|| Arc::new(super::background::Background::new(&engine)));
        #[cfg(feature = "std")]
        if let Some(background) = &background
            && !engine.is_opening()
        {
            // What recovery found may be merged.
            background.start();
        }
        Ok(Self {
            shared: Arc::new(Shared {
                #[cfg(feature = "std")]
                background,
                #[cfg(feature = "std")]
                scrubbing: options.scrub_interval_s.map(|interval| {
                    super::scrub::start(&engine, core::time::Duration::from_secs(u64::from(interval.max(1))))
                }),
                #[cfg(feature = "std")]
                alarm: Arc::default(),
                #[cfg(feature = "std")]
                archive: Arc::default(),
                #[cfg(feature = "std")]
                row_locks: Arc::new(super::row_locks::RowLocks::new(&engine.env.clock)),
                #[cfg(feature = "std")]
                registered: None,
                engine,
                catalogue: Arc::new(Catalogue::default()),
                watched: Arc::default(),
                exclusive: Arc::default(),
                options,
                recovery,
                is_lent: false,
            }),
        })
    }

    /// What opening found.
    pub fn recovery(&self) -> &RecoveryReport {
        &self.shared.recovery
    }

    /// The database as it is now.
    #[inline]
    pub fn snapshot(&self) -> Snapshot {
        Snapshot {
            engine: Arc::clone(&self.shared.engine),
            catalogue: Arc::clone(&self.shared.catalogue),
            version: self.shared.engine.version(),
            now_ms: Mutex::new(None),
        }
    }

    /// All tables, by name.
    pub fn tables(&self) -> Result<Vec<TableInfo>> {
        self.snapshot().tables()
    }

    /// A table of which each write is a transaction of its own. A table that is not there is made by the first write.
    pub fn table<K: Key, V: Value>(&self, table: Table<'_, K, V>) -> Result<AutoTable<'_, K, V>> {
        let shared = &*self.shared;
        let id = match shared.catalogue.id_of(&shared.engine, &shared.engine.version(), &table)? {
            Some(id) => id,
            None => self.transaction(|tx| Ok(tx.table(table)?.id()))?,
        };
        Ok(AutoTable { database: self, id, types: PhantomData })
    }

    /// Runs `body` with the writer lock: it never conflicts with other writers. What it returns is committed, with the
    /// database's durability, if it is `Ok`, and undone if it is `Err`.
    ///
    /// Inside `body` use `tx`; using the database handle to write there is an error, not a deadlock. Where barriers complete
    /// later, [`Error::Pending`] means that `body` was not run, or that what it did is applied and will be durable:
    /// [`sync`](Self::sync) waits for it.
    pub fn transaction<T>(&self, body: impl FnOnce(&mut WriteTransaction) -> Result<T>) -> Result<T> {
        self.transaction_with(self.shared.options.durability, body)
    }

    /// Like [`transaction`](Self::transaction), acknowledged as `durability` says.
    pub fn transaction_with<T>(
        &self,
        durability: Durability,
        body: impl FnOnce(&mut WriteTransaction) -> Result<T>,
    ) -> Result<T> {
        let shared = &*self.shared;
        let start = shared.engine.env.clock.monotonic_ns();
        let (result, appended) = {
            let mut exclusive = shared.exclusive.lock()?;
            self.admit(true)?;
            // Before `body`, which is not run for nothing: on a storage that completes barriers later, `Pending` from here on
            // means that what it did is applied.
            shared.engine.finish_opening()?;
            let mut tx = WriteTransaction::new(shared, shared.engine.head(), Isolation::Serializable);
            tx.reads.exclusive = true;
            #[cfg(feature = "std")]
            let _writer = super::row_locks::WriterParty::new(&shared.row_locks, tx.rows.party);
            tx.end_after(start, shared.engine.options.limits.transaction_ms_max);
            let result = body(&mut tx)?;
            (result, self.commit_changes(&mut tx, durability, exclusive.buffer())?)
        };
        self.acknowledge(appended, start)?;
        Ok(result)
    }

    /// Begins an interactive transaction. It takes no lock: its commit is refused with a retryable error when others
    /// have changed what `isolation` protects. Where as many are open as the [limits](crate::Limits) allow, every call of this
    /// one is [`Error::LimitReached`].
    pub fn begin(&self, isolation: Isolation) -> Transaction {
        let shared = &*self.shared;
        let engine = &shared.engine;
        let mut tx = WriteTransaction::new(shared, engine.version(), isolation);
        let now_ns = engine.env.clock.monotonic_ns();
        let until_ns = tx.end_after(now_ns, engine.options.limits.transaction_ms_max);
        let pin = engine.begin_optimistic(tx.version.sequence, now_ns, until_ns).unwrap_or_else(|(pin, error)| {
            tx.refuse(error);
            pin
        });
        #[cfg(feature = "std")]
        if let Err(error) = engine.guard.require_open() {
            engine.end_optimistic(&pin);
            tx.refuse(error);
        }
        Transaction { pin, database: self.clone(), tx, appended: None }
    }

    /// Runs `body` as an optimistic transaction, again after each conflict, and with the writer lock after several.
    pub fn optimistic<T>(
        &self,
        isolation: Isolation,
        mut body: impl FnMut(&mut WriteTransaction) -> Result<T>,
    ) -> Result<T> {
        for _ in 0..CONFLICTS_MAX {
            let mut transaction = self.begin(isolation);
            let result = body(&mut transaction.tx)?;
            match transaction.commit() {
                Err(error) if error.is_retryable() => {}
                committed => return committed.map(|()| result),
            }
        }
        self.transaction(body)
    }

    /// Does one bounded piece of background work, and syncs the periodic commits that are due. Only needed without a
    /// background thread.
    pub fn step(&self) -> Result<Progress> {
        self.shared.engine.step()
    }

    /// Makes every commit so far durable, whatever durability it was made with. On an asynchronous storage this answers
    /// [`Error::Pending`] until the barrier is complete, and is called again then; a commit that answered so itself was
    /// applied, and this is what it waits for.
    pub fn sync(&self) -> Result<()> {
        self.shared.engine.make_all_durable()
    }

    /// The platform has completed a barrier it had answered with [`Sync::Pending`](crate::env::Sync::Pending).
    pub fn complete_sync(&self, ticket: SyncTicket, result: Result<(), String>) {
        self.shared.engine.complete_sync(ticket, result);
    }

    /// Merges what is in memory and makes it durable, so that reopening has nothing to replay.
    pub fn checkpoint(&self) -> Result<()> {
        self.shared.engine.settle()
    }

    /// Merges everything into one tree, moves the end of the file down, and gives the space back to the platform.
    pub fn compact(&self) -> Result<()> {
        self.compact_with(&mut |_| {})
    }

    /// Like [`compact`](Self::compact), and tells after each bounded step how far it is. On an asynchronous storage it is
    /// called again after what it lacked was fetched, and goes on where it was.
    pub fn compact_with(&self, progress: &mut dyn FnMut(&CompactionProgress)) -> Result<()> {
        self.shared.engine.compact(progress)
    }

    /// What the database gives at most, as it was opened with, and what the memory budget decides.
    pub fn limits(&self) -> &Limits {
        &self.shared.engine.options.limits
    }

    /// Counters and sizes.
    pub fn stats(&self) -> Stats {
        let stats = self.shared.engine.stats(self.shared.options.memory_budget_bytes);
        #[cfg(feature = "std")]
        let stats = Stats { archive_failing: self.shared.archive.is_failing(), ..stats };
        stats
    }

    /// Which background work is under way now. Costs one load, also while that work holds its locks.
    pub fn activity(&self) -> Activity {
        self.shared.engine.activity()
    }

    /// Brings everything into the data file, which alone is the database afterwards, and closes it for every clone.
    /// Writes afterwards are [`Error::Closed`]. Restartable on asynchronous storages.
    pub fn close(&self) -> Result<()> {
        #[cfg(feature = "std")]
        {
            self.shared.stop_threads();
            self.shared.archive_the_rest();
        }
        let result = self.shared.engine.close();
        #[cfg(feature = "std")]
        if result.is_ok() {
            self.shared.deregister();
        }
        result
    }

    /// Waits, or works, until there is room in memory and in the log for more changes. The caller holds the writer lock, so
    /// that nobody else takes that room; background work does not need it. `is_new` when a transaction begins with that.
    pub(super) fn admit(&self, is_new: bool) -> Result<()> {
        let engine = &self.shared.engine;
        #[cfg(feature = "std")]
        if engine.guard.is_alert() {
            self.pass_guard(is_new)?;
        }
        #[cfg(not(feature = "std"))]
        let _ = is_new;
        if !engine.must_wait() {
            return Ok(());
        }
        // Until then background work rests.
        engine.finish_opening()?;
        #[cfg(feature = "std")]
        if let Some(background) = &self.shared.background
            && background.wait_for_room(engine)?
        {
            return Ok(());
        }
        while engine.must_wait() {
            if engine.step()? == Progress::Idle {
                engine.freeze_now();
                if engine.step()? == Progress::Idle {
                    break;
                }
            }
        }
        Ok(())
    }

    /// Logs and applies a transaction's changes; gives what its acknowledgement waits for. The caller holds the writer lock.
    /// Where opening has left something to be done, that comes first: [`Error::Pending`] then means that nothing was logged.
    fn commit_changes(
        &self,
        tx: &mut WriteTransaction,
        durability: Durability,
        buffer: &mut Vec<u8>,
    ) -> Result<Option<Appended>> {
        let engine = &self.shared.engine;
        if let Some(error) = &tx.changes.broken_off {
            return Err(error.clone());
        }
        let memtable = &tx.changes.memtable;
        if memtable.is_empty() {
            // Where nothing was to be changed because of what was found, that may be wrong: a commit whose outcome is unknown
            // is not seen, but may be there after the next opening.
            engine.require_unpoisoned()?;
            // What it has read may be known to writers alone. Nobody is told of it before it is durable and everybody sees
            // it: a crash could take it back, and whoever begins next would see less.
            let sequence = tx.version.sequence;
            return Ok((sequence > engine.version().sequence).then_some(Appended { sequence, wait: true, due: false }));
        }
        engine.finish_opening()?;
        // A commit's values are durable before the frame that refers to them, or the frame says that they may not be.
        let values_unsynced = !tx.values.is_empty() && !engine.sync_values()?;
        let mut catalogue_was_changed_at = None;
        let appended = engine.append(
            buffer,
            durability,
            values_unsynced,
            |head, recent| {
                if let Some(seen) = tx.catalogue_seen.as_ref().filter(|_| tx.changes_catalogue) {
                    super::isolation::validate_catalogue(seen, memtable, head, recent)?;
                }
                super::isolation::validate(tx.isolation, &tx.version, &tx.reads, memtable, head, recent)?;
                if let Some(seen) = tx.constrained_at.as_ref().filter(|_| !tx.reads.exclusive) {
                    tx.validate_constraints(seen, head, recent)?;
                }
                if tx.changes_catalogue {
                    // Before anyone sees the commit: what is remembered is wrong for it.
                    catalogue_was_changed_at = Some(self.shared.catalogue.changed(head.sequence + 1));
                }
                Ok(())
            },
            |writer| {
                if let Some(remembered) = &tx.remembered {
                    remembered.write_ranges(writer);
                }
                let mut intervals = memtable.intervals();
                intervals.seek(&[]);
                while let Some(interval) = intervals.interval() {
                    writer.delete_range(interval.start, interval.end);
                    intervals.next();
                }
                if let Some(remembered) = &tx.remembered {
                    remembered.write_points(writer);
                }
                for entry in memtable.iter() {
                    match entry.slot {
                        Slot::Inline(value) => writer.put(entry.key, value),
                        Slot::Extent(value) => writer.put_extent(entry.key, value),
                        Slot::Tombstone => writer.delete(entry.key),
                    }
                }
            },
        );
        if let (Err(_), Some(earlier)) = (&appended, catalogue_was_changed_at) {
            self.shared.catalogue.unchanged(earlier);
        }
        let appended = appended?;
        tx.committed = true;
        self.withdraw_unused(tx);
        self.poke(appended.due);
        #[cfg(feature = "std")]
        if let Some((at_ms, work)) = tx.wakes.take() {
            self.wake_at(at_ms, work);
        }
        Ok(Some(appended))
    }

    /// Values that were overwritten or rolled back inside the transaction go with nothing.
    fn withdraw_unused(&self, tx: &mut WriteTransaction) {
        if tx.values.is_empty() {
            return;
        }
        let mut used: Vec<u64> =
            tx.changes.memtable.iter().filter_map(|e| e.slot.extent()).map(|value| value.offset).collect();
        used.sort_unstable();
        for value in tx.values.drain(..) {
            if used.binary_search(&value.offset).is_err() {
                self.shared.engine.withdraw_value(&value);
            }
        }
    }

    fn acknowledge(&self, appended: Option<Appended>, start_ns: u64) -> Result<()> {
        let engine = &self.shared.engine;
        if let Some(appended) = appended {
            if appended.wait {
                engine.make_durable(appended.sequence)?;
            }
            engine.counters.commit_latency.record_ns(engine.env.clock.monotonic_ns().saturating_sub(start_ns));
        }
        Ok(())
    }

    /// Tells the background thread that there may be work; without one whoever calls [`step`](Self::step) finds it.
    #[cfg_attr(not(feature = "std"), allow(unused_variables))]
    pub(super) fn poke(&self, due: bool) {
        #[cfg(feature = "std")]
        if let Some(background) = &self.shared.background
            && background.start()
            && (due || self.shared.engine.has_frozen())
        {
            background.wake();
        }
        #[cfg(not(feature = "std"))]
        let _ = due;
    }

    /// Whether some transaction has locked rows, so that writers must look before they write.
    fn rows_locked(&self) -> bool {
        #[cfg(feature = "std")]
        return self.shared.row_locks.any();
        #[cfg(not(feature = "std"))]
        false
    }

    /// Commits one operation without a transaction around it. False, and nothing done, when some transaction has locked
    /// rows: then a transaction looks which.
    fn write_one(&self, key: &[u8], write: impl FnOnce(&mut OperationWriter<'_>)) -> Result<bool> {
        let shared = &*self.shared;
        let start = shared.engine.env.clock.monotonic_ns();
        super::key_length::check_key_length(key)?;
        let appended = {
            let mut exclusive = shared.exclusive.lock()?;
            if self.rows_locked() {
                return Ok(false);
            }
            self.admit(true)?;
            shared.engine.finish_opening()?;
            shared.engine.append(exclusive.buffer(), shared.options.durability, false, |_, _| Ok(()), write)?
        };
        self.poke(appended.due);
        self.acknowledge(Some(appended), start)?;
        Ok(true)
    }
}

impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Database").field("name", &self.shared.engine.storage().name()).finish_non_exhaustive()
    }
}

#[cfg(feature = "std")]
impl Shared {
    /// The same database for a thread that ends before this one closes. It does not keep the database open, and is not what the
    /// last to hold it would close: so closing never falls to that thread, while whoever dropped the last handle has gone on.
    pub(super) fn lent(&self) -> Self {
        Self {
            engine: Arc::clone(&self.engine),
            catalogue: Arc::clone(&self.catalogue),
            exclusive: Arc::clone(&self.exclusive),
            options: self.options.clone(),
            recovery: self.recovery.clone(),
            watched: Arc::clone(&self.watched),
            row_locks: Arc::clone(&self.row_locks),
            background: self.background.clone(),
            scrubbing: None,
            alarm: Arc::clone(&self.alarm),
            archive: Arc::clone(&self.archive),
            registered: None,
            is_lent: true,
        }
    }

    pub(super) fn stop_threads(&self) {
        self.alarm.stop();
        self.archive.thread.stop();
        if let Some(scrubbing) = &self.scrubbing {
            scrubbing.stop();
        }
        if let Some(background) = &self.background {
            background.stop();
        }
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        if self.is_lent {
            return;
        }
        // A fault of the engine's own, too, ends here: where libraries are built so that what unwinds out of a destructor ends the
        // program, closing must not.
        #[cfg(feature = "std")]
        let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| self.close()));
        #[cfg(not(feature = "std"))]
        self.close();
    }
}

impl Shared {
    fn close(&self) {
        #[cfg(feature = "std")]
        {
            self.stop_threads();
            self.archive_the_rest();
            self.deregister();
        }
        // Whatever fails here is found again in the log.
        let _ = self.engine.close();
    }
}

/// An interactive transaction: [`commit`](Transaction::commit) it, or drop it to undo everything.
pub struct Transaction {
    database: Database,
    tx: WriteTransaction,
    pin: engine::OptimisticPin,
    /// What was logged, once it was; the acknowledgement may come later.
    appended: Option<Option<Appended>>,
}

impl Transaction {
    /// The writer lock, with none of the rows that are to be written locked by others.
    fn writer_lock<'s>(&self, shared: &'s Shared) -> Result<ExclusiveGuard<'s>> {
        #[cfg(feature = "std")]
        loop {
            let rows = &self.tx.rows;
            let guard = rows.take_writer(&shared.exclusive)?;
            let written = &self.tx.changes.memtable;
            let taken = rows.locks.taken(rows.party, |key| engine::get_in_memtable(written, key).is_some());
            let Some(taken) = taken else {
                self.tx.require_rows()?;
                return Ok(guard);
            };
            drop(guard);
            rows.locks.wait(rows.party, self.tx.deadline_ns, &taken)?;
        }
        #[cfg(not(feature = "std"))]
        shared.exclusive.lock()
    }

    /// Makes everything permanent, with the database's durability, or nothing.
    ///
    /// On an asynchronous storage it is called again after what it lacked was fetched; what is done is not done twice.
    pub fn commit(&mut self) -> Result<()> {
        let durability = self.database.shared.options.durability;
        self.commit_with(durability)
    }

    /// Like [`commit`](Self::commit), acknowledged as `durability` says.
    pub fn commit_with(&mut self, durability: Durability) -> Result<()> {
        let shared = Arc::clone(&self.database.shared);
        let start = shared.engine.env.clock.monotonic_ns();
        if self.appended.is_none() {
            self.tx.require_in_time(start)?;
            let appended = {
                let mut exclusive = self.writer_lock(&shared)?;
                self.database.admit(false)?;
                self.database.commit_changes(&mut self.tx, durability, exclusive.buffer())
            };
            if let Err(Error::Conflict { .. } | Error::TransactionTooOld) = &appended {
                shared.engine.counters.conflicts.add(1);
            }
            self.appended = Some(appended?);
            self.tx.committed = true;
            shared.engine.end_optimistic(&self.pin);
            #[cfg(feature = "std")]
            self.tx.rows.locks.release(self.tx.rows.party);
        }
        self.database.acknowledge(self.appended.flatten(), start)
    }
}

impl core::ops::Deref for Transaction {
    type Target = WriteTransaction;
    fn deref(&self) -> &WriteTransaction {
        &self.tx
    }
}

impl core::ops::DerefMut for Transaction {
    fn deref_mut(&mut self) -> &mut WriteTransaction {
        &mut self.tx
    }
}

impl Drop for Transaction {
    fn drop(&mut self) {
        self.database.shared.engine.end_optimistic(&self.pin);
    }
}

impl fmt::Debug for Transaction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.tx.fmt(f)
    }
}

/// A table of which each write is a transaction of its own, acknowledged with the database's durability.
pub struct AutoTable<'d, K: Key, V: Value> {
    database: &'d Database,
    id: u64,
    types: PhantomData<fn() -> (K, V)>,
}

impl<K: Key, V: Value> AutoTable<'_, K, V> {
    fn key(&self, key: &K::Borrowed<'_>) -> Result<KeyBuffer> {
        let mut bytes = KeyBuffer::new();
        prefix::encode_prefix(self.id, &mut bytes);
        K::encode(key, &mut bytes)?;
        Ok(bytes)
    }

    /// Writes `value` under `key`, whatever was there.
    pub fn put(&self, key: impl Lend<K>, value: impl Lend<V>) -> Result<()> {
        let key = self.key(&key.lend())?;
        let value = value.lend();
        let bytes = V::encode(&value);
        let bytes = bytes.as_ref();
        if bytes.len() <= self.database.shared.engine.options.inline_bytes_max
            && self.database.write_one(&key, |writer| writer.put(&key, bytes))?
        {
            return Ok(());
        }
        self.database.transaction(|tx| tx.write_value(&key, bytes))
    }

    /// Deletes a key; tells whether it was there.
    pub fn delete(&self, key: impl Lend<K>) -> Result<bool> {
        let key = self.key(&key.lend())?;
        self.database.transaction(|tx| tx.delete_key(&key))
    }

    /// Deletes every key of a range, at a cost that does not depend on how many there are.
    pub fn delete_range(&self, range: impl KeyRange<K>) -> Result<()> {
        let (from, to) = crate::table::range_bounds::<K>(self.id, &range)?;
        if *from >= *to {
            return Ok(());
        }
        if self.database.write_one(&to, |writer| writer.delete_range(&from, Some(&to)))? {
            return Ok(());
        }
        self.database.transaction(|tx| tx.delete_span(&from, &to))
    }

    /// The value of `key` as it is now, if there is one.
    pub fn get(&self, key: impl Lend<K>) -> Result<Option<V::Owned>> {
        let snapshot = self.database.snapshot();
        let table = self.read(&snapshot);
        table.get(key)?.map(Found::into_owned).transpose()
    }

    /// How many keys the table holds.
    pub fn len(&self) -> Result<u64> {
        let snapshot = self.database.snapshot();
        self.read(&snapshot).len()
    }

    /// Whether the table holds no key.
    pub fn is_empty(&self) -> Result<bool> {
        let snapshot = self.database.snapshot();
        self.read(&snapshot).is_empty()
    }

    fn read<'s>(&self, snapshot: &'s Snapshot) -> ReadTable<'s, K, V> {
        ReadTable::new(snapshot, self.id)
    }
}

impl<K: Key, V: Value> fmt::Debug for AutoTable<'_, K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AutoTable").field("id", &self.id).finish_non_exhaustive()
    }
}
