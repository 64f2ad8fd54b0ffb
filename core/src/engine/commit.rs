//! Commit: append to the log, apply to the head, sync, publish, acknowledge.
//!
//! Publication is in sequence order. While one sync is under way arriving commits are appended and share the next.

use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::options::Durability;
use super::recent::{OptimisticPin, Recent};
use super::state::{Engine, Held, Stopped, Writer};
use super::version::{Frozen, Layers, MemtableValues, Version};
use crate::codec::slot::{Slot, ValueRef};
#[cfg(feature = "std")]
use crate::env::sync::Condvar;
use crate::env::sync::Mutex;
use crate::env::sync::atomic::Ordering;
use crate::env::{FileId, Storage, Sync, SyncTicket};
use crate::error::{Error, Result};
use crate::limit::Limit;
#[cfg(feature = "encryption")]
use crate::log::seal_payload;
use crate::log::{Log, Operation, OperationWriter, Operations, Preamble};
use crate::memtable::{Lookup, Memtable};
use crate::testing::Mutant;

/// A sync is put off by at most this many turns of other threads, some 20 microseconds when none has anything to do.
#[cfg(feature = "std")]
const GROUP_YIELDS_MAX: usize = 50;

/// How far the log is durable, and who is syncing it.
#[derive(Debug, Default)]
pub(super) struct Durable {
    state: Mutex<SyncState>,
    #[cfg(feature = "std")]
    changed: Condvar,
}

impl Durable {
    /// Everything up to `sequence` was found on the medium.
    pub(super) fn at(sequence: u64) -> Self {
        let state = Mutex::new(SyncState { durable: sequence, ..SyncState::default() });
        Self { state, ..Self::default() }
    }
}

#[derive(Debug, Default)]
struct SyncState {
    durable: u64,
    syncing: bool,
    ticket: Option<SyncTicket>,
    target: u64,
    started_ns: u64,
    /// How many commits the last sync was for.
    group: u64,
    failed: Option<String>,
}

/// The result of an append: what to wait for before telling anyone.
#[derive(Clone, Copy, Debug)]
#[must_use]
pub(crate) struct Appended {
    pub sequence: u64,
    /// Acknowledge only when the log is durable up to `sequence`.
    pub wait: bool,
    /// A periodic commit, and due before all others: whoever syncs it must hear of it.
    pub due: bool,
}

impl Engine {
    /// Appends the operations that `write` gives as one commit and applies it. `validate` sees the head before anything
    /// is written and may refuse. `values_unsynced` when it refers to values in extents whose barrier is not complete. `buffer` holds the encoded commit meanwhile.
    pub(crate) fn append(
        &self,
        buffer: &mut Vec<u8>,
        durability: Durability,
        values_unsynced: bool,
        validate: impl FnOnce(&Version, &Recent) -> Result<()>,
        write: impl FnOnce(&mut OperationWriter<'_>),
    ) -> Result<Appended> {
        let mut writer = self.writer.lock();
        if let Some(stopped) = &writer.stopped {
            return Err(stopped.error());
        }
        let (sequence, time_ms) = {
            let head = self.head_of(&writer);
            validate(&head, &writer.recent)?;
            (head.sequence + 1, self.env.clock.wall_ms().max(head.time_ms))
        };
        write(&mut OperationWriter::begin(buffer, Preamble { values_unsynced, ..Preamble::at(time_ms) }));
        let Some(log) = writer.log.as_mut() else { return Err(Error::ReadOnly) };
        #[cfg(feature = "encryption")]
        let sealed = seal_payload(&self.nodes.seal().envelope, self.history.incarnation, sequence, buffer);
        #[cfg(feature = "encryption")]
        let payload = sealed.as_deref().unwrap_or(buffer);
        #[cfg(not(feature = "encryption"))]
        let payload: &[u8] = buffer;
        let payload_len = payload.len();
        if let Err(error) = log.append(self.storage(), sequence, payload) {
            #[cfg(feature = "std")]
            self.guard.append_failed(&error, sequence - 1, self.env.clock.monotonic_ns());
            // A log that found no room for a segment has written nothing.
            if !log.has_remains() || Mutant::FailedAppendLeft.is_active() {
                return Err(error);
            }
            return Err(match overwrite(log, self.storage()) {
                Ok(()) => error,
                Err(again) => {
                    let cause = format!("{error}, and then {again}");
                    let why = writer.stopped.insert(Stopped::Poisoned(cause.clone())).error();
                    self.watchers.stopped(&why);
                    Error::OutcomeUnknown { cause }
                }
            });
        }
        #[cfg(feature = "std")]
        self.guard.appended();
        self.counters.commits.add(1);
        self.counters.log_bytes.add(payload_len);
        writer.appended = sequence;
        let wait = durability == Durability::Sync;
        let Some((_, operations)) = Preamble::split(buffer) else {
            return Err(Error::invalid("a commit was malformed"));
        };
        #[cfg(feature = "std")]
        self.take_back_for(&mut writer, operations.len());
        self.apply(&mut writer, operations, sequence, time_ms, wait);
        let waits = wait || writer.head.is_some();
        if wait {
            writer.must_sync = sequence;
        }
        let due =
            matches!(durability, Durability::Periodic { interval_ms } if self.sync_within(&mut writer, interval_ms));
        let appended = Appended { sequence, wait: waits, due };
        self.note_log_room(&writer);
        self.freeze_if_full(&mut writer);
        if self.watchers.any() {
            let watchers = self.watchers.listed();
            watchers.committed(sequence, Operations::new(operations, sequence, 0));
            // Visible already, if it waits for nothing.
            if writer.head.is_none() {
                drop(writer);
                watchers.published(sequence);
            }
        }
        Ok(appended)
    }

    /// Applies to the visible state itself when nothing is waiting for a sync and this commit need not wait, else to the
    /// head. A visible state that nobody else holds is changed in place.
    fn apply(&self, writer: &mut Writer, operations: &[u8], sequence: u64, time_ms: u64, wait: bool) {
        let Writer { head, values, .. } = writer;
        let memtable_bytes = if (wait || head.is_some()) && !Mutant::VisibleBeforeDurable.is_active() {
            let version = head.get_or_insert_with(|| self.version());
            change(version, operations, sequence, time_ms, values)
        } else {
            let mut visible = self.visible.lock();
            change(&mut visible, operations, sequence, time_ms, values)
        };
        self.memtable_bytes.store(memtable_bytes, Ordering::Relaxed);
    }

    fn freeze_if_full(&self, writer: &mut Writer) {
        if self.memtable_bytes() >= self.options.memtable_bytes {
            self.freeze(writer, 1);
        }
    }

    /// Turns the active memtable into a frozen layer and starts an empty one, unless `frozen_max` are waiting already.
    pub(super) fn freeze(&self, writer: &mut Writer, frozen_max: usize) {
        let head = self.head_of(writer);
        if head.memtable.is_empty() || head.layers.frozen.len() >= frozen_max {
            return;
        }
        let Some(log) = writer.log.as_ref() else { return };
        let frozen = Arc::new(Frozen {
            memtable: head.memtable.clone(),
            log_end: log.position(),
            sequence: head.sequence,
            values: core::mem::take(&mut writer.values),
        });
        let mut stack = head.layers.frozen.clone();
        let place = if Mutant::OldestFrozenFirst.is_active() { stack.len() } else { 0 };
        stack.insert(place, frozen);
        let layers = Arc::new(Layers { frozen: stack, ..(*head.layers).clone() });
        let next = Arc::new(Version {
            memtable: Memtable::with_pool(&self.chunks),
            layers: Arc::clone(&layers),
            ..(*head).clone()
        });
        let mut space = self.space.lock();
        space.live.push(Held::new(&layers));
        drop(space);
        if writer.head.is_some() {
            writer.head = Some(next);
        } else {
            *self.visible.lock() = next;
        }
        self.memtable_bytes.store(0, Ordering::Relaxed);
        #[cfg(feature = "std")]
        writer.lending.memtable_was_frozen();
    }

    /// Returns when the log is durable up to `sequence` and everything up to there is visible. One caller syncs for all
    /// who wait.
    pub(crate) fn make_durable(&self, sequence: u64) -> Result<()> {
        loop {
            let mut state = self.durable.state.lock();
            if state.durable >= sequence {
                return Ok(());
            }
            if let Some(cause) = &state.failed {
                return Err(Error::OutcomeUnknown { cause: cause.clone() });
            }
            if state.syncing && state.ticket.is_none() {
                #[cfg(feature = "std")]
                {
                    drop(self.durable.changed.wait(state));
                    continue;
                }
                #[cfg(not(feature = "std"))]
                return Err(Error::invalid("a sync is already under way"));
            }
            if !state.syncing {
                state.syncing = true;
                #[cfg(feature = "std")]
                {
                    let (durable, group) = (state.durable, state.group);
                    drop(state);
                    self.let_others_append(durable + group);
                    state = self.durable.state.lock();
                }
                let mut writer = self.writer.lock();
                let head = self.head_of(&writer);
                state.target = writer.appended;
                state.started_ns = self.env.clock.monotonic_ns();
                writer.sync_due_ns = None;
                writer.syncing = Some(head);
            }
            let (target, mut ticket) = (state.target, state.ticket);
            drop(state);
            let unsynced = Mutant::CommitNotSynced.is_active();
            let result = if unsynced { Ok(()) } else { self.barrier(FileId::Log, &mut ticket) };
            let mut state = self.durable.state.lock();
            if !state.syncing || state.target != target {
                // Somebody else who asked after the same barrier was answered first.
                continue;
            }
            state.ticket = ticket;
            match result {
                Err(error @ Error::Pending(_)) => return Err(error),
                Ok(()) => {
                    // Before anyone learns that it is durable, because then it must be visible, and before another sync
                    // begins, whose state is not to be taken for the one of this.
                    if !Mutant::AcknowledgedBeforeVisible.is_active() {
                        self.publish(target);
                    }
                    let now_ns = self.env.clock.monotonic_ns();
                    self.counters.sync_latency.record_ns(now_ns.saturating_sub(state.started_ns));
                    state.group = target.saturating_sub(state.durable);
                    state.durable = state.durable.max(target);
                }
                Err(error) => {
                    self.poison(&error);
                    state.failed = Some(format!("{error}"));
                }
            }
            state.syncing = false;
            drop(state);
            #[cfg(feature = "std")]
            if !Mutant::SyncEndsSilently.is_active() {
                self.durable.changed.notify_all();
            }
            if Mutant::AcknowledgedBeforeVisible.is_active() {
                self.publish(target);
            }
        }
    }

    /// How often the log was synced, for one commit or for many.
    #[cfg(all(feature = "std", any(unix, windows)))]
    pub(crate) fn log_syncs(&self) -> u64 {
        self.counters.sync_latency.snapshot().count()
    }

    /// Makes every commit so far durable. Of a poisoned handle nobody knows which those are.
    pub(crate) fn make_all_durable(&self) -> Result<()> {
        let appended = {
            let writer = self.writer.lock();
            match &writer.stopped {
                Some(stopped @ Stopped::Poisoned(_)) => return Err(stopped.error()),
                _ => writer.appended,
            }
        };
        self.make_durable(appended)
    }

    /// A periodic commit was appended. Whether none was due before, or not as soon.
    fn sync_within(&self, writer: &mut Writer, interval_ms: u32) -> bool {
        if Mutant::LocksInOtherOrder.is_active() {
            drop(self.durable.state.lock());
        }
        let due_ns = self.env.clock.monotonic_ns().saturating_add(u64::from(interval_ms) * 1_000_000);
        let sooner = writer.sync_due_ns.is_none_or(|earlier| due_ns < earlier);
        if sooner {
            writer.sync_due_ns = Some(due_ns);
        }
        sooner
    }

    /// Nanoseconds until a periodic commit must be synced; `None` when all are, or none can be any more.
    pub(crate) fn sync_due_in_ns(&self) -> Option<u64> {
        let due_ns = {
            let writer = self.writer.lock();
            writer.sync_due_ns.filter(|_| writer.stopped.is_none())?
        };
        Some(due_ns.saturating_sub(self.env.clock.monotonic_ns()))
    }

    /// Syncs the log if a periodic commit is due, and goes on with a sync that waits for the platform. Whoever does background
    /// work calls it; a failure poisons the handle, so the next writer hears of it.
    pub(super) fn sync_if_due(&self) {
        let waiting = {
            let state = self.durable.state.lock();
            state.syncing && state.ticket.is_some()
        };
        if waiting || self.sync_due_in_ns() == Some(0) {
            let appended = self.writer.lock().appended;
            let _ = self.make_durable(appended);
        }
    }

    /// Those whom the last sync has set free are about to commit again: a sync that starts before them is for few, and
    /// they wait for the next. Whoever commits alone waits for nobody.
    #[cfg(feature = "std")]
    fn let_others_append(&self, expected: u64) {
        for _ in 0..GROUP_YIELDS_MAX {
            if self.writer.lock().appended >= expected {
                return;
            }
            crate::env::sync::thread::yield_now();
        }
    }

    /// Everything up to `durable` is on the medium: shows it, and what follows without waiting for a sync of its own.
    fn publish(&self, durable: u64) {
        let mut writer = self.writer.lock();
        if let Some(log) = writer.log.as_mut() {
            log.set_durable(durable);
        }
        let synced = writer.syncing.take();
        if writer.must_sync <= durable {
            if let Some(head) = writer.head.take() {
                *self.visible.lock() = head;
            }
        } else if let Some(synced) = synced {
            let mut visible = self.visible.lock();
            // Commits that wait for no sync may have moved it on meanwhile.
            if synced.sequence > visible.sequence {
                *visible = synced;
            }
        }
        if self.watchers.any() {
            let sequence = self.version().sequence;
            drop(writer);
            self.watchers.listed().published(sequence);
        }
    }

    /// Makes values in extents of their own durable, before a commit refers to them.
    pub(crate) fn sync_values(&self) -> Result<bool> {
        if Mutant::ValuesNotSynced.is_active() {
            return Ok(true);
        }
        // Barriers complete in order, so the log's own, which follows, covers it: a commit acknowledged as durable has its
        // values. One that is not may survive without them, so it says that they are to be looked for.
        Ok(self.sync(FileId::Data)? == Sync::Done)
    }

    /// An error after a failed sync: what is visible may not be what the next opening finds.
    pub(crate) fn require_unpoisoned(&self) -> Result<()> {
        match &self.writer.lock().stopped {
            Some(stopped @ Stopped::Poisoned(_)) => Err(stopped.error()),
            _ => Ok(()),
        }
    }

    /// The platform has completed a barrier. One that failed may be one that nobody asks after, because another follows it.
    pub(crate) fn complete_sync(&self, ticket: SyncTicket, result: core::result::Result<(), String>) {
        if let Err(cause) = &result {
            self.poison(&Error::Poisoned { cause: cause.clone() });
        }
        self.tickets.lock().complete(ticket, result);
    }

    /// An optimistic transaction begins after commit `start`, now, and ends at `until_ns` at the latest: what it needs for
    /// validation is kept. Where there are too many that have time left, nothing is, and the pin is none.
    pub(crate) fn begin_optimistic(
        &self,
        start: u64,
        now_ns: u64,
        until_ns: u64,
    ) -> core::result::Result<OptimisticPin, (OptimisticPin, Error)> {
        let allowed = self.options.limits.transactions_max;
        let mut optimistic = self.optimistic.lock();
        if optimistic.count() >= allowed {
            optimistic.end_overdue(now_ns);
        }
        let used = optimistic.count();
        if used >= allowed {
            let (allowed, used) = (allowed as u64, used as u64);
            return Err((OptimisticPin(0), Error::LimitReached { limit: Limit::Transactions, allowed, used }));
        }
        Ok(optimistic.begin(start, until_ns))
    }

    /// Interactive transactions that are open.
    pub(super) fn transactions_open(&self) -> usize {
        self.optimistic.lock().count()
    }

    /// It has ended, one way or the other. Saying so again does nothing.
    pub(crate) fn end_optimistic(&self, pin: &OptimisticPin) {
        self.optimistic.lock().end(pin);
    }

    /// Shows what a commit would be validated against.
    pub(crate) fn examine_head<R>(&self, look: impl FnOnce(&Version, &Recent) -> R) -> R {
        let writer = self.writer.lock();
        look(&self.head_of(&writer), &writer.recent)
    }

    /// Whether a frozen memtable waits to be merged.
    #[cfg(feature = "std")]
    pub(crate) fn has_frozen(&self) -> bool {
        !self.version().layers.frozen.is_empty()
    }

    /// The last checkpoint of a session was not made: there may be commits again.
    pub(super) fn go_on_after_failed_close(&self) {
        let mut writer = self.writer.lock();
        if matches!(writer.stopped, Some(Stopped::Closing)) {
            writer.stopped = None;
        }
    }

    /// Takes no more writes and says so to everyone who tries.
    pub(super) fn stop(&self, why: Stopped) {
        let error = why.error();
        self.writer.lock().stopped = Some(why);
        self.watchers.stopped(&error);
    }
}

/// What a failed append has written of its commit is overwritten at once, and that made durable, so that no crash can bring the
/// commit back after it was refused. An error, and why, when nobody knows that it was: then the commit is not refused, and nothing
/// may follow it. Where syncs complete later nobody can wait for this one, as the writer lock is held.
fn overwrite(log: &mut Log, storage: &dyn Storage) -> core::result::Result<(), String> {
    log.mark(storage).map_err(|error| format!("{error}"))?;
    match storage.sync(FileId::Log) {
        Ok(Sync::Done) => Ok(()),
        Ok(Sync::Pending(_)) => Err("the medium cannot overwrite it at once".into()),
        Err(error) => Err(format!("{error}")),
    }
}

/// Applies one commit to a version, in place if nobody else holds it. Returns the bytes of its memtable.
fn change(
    version: &mut Arc<Version>,
    operations: &[u8],
    sequence: u64,
    time_ms: u64,
    values: &mut MemtableValues,
) -> usize {
    if Arc::get_mut(version).is_none() {
        *version = Arc::new((**version).clone());
    }
    let Some(version) = Arc::get_mut(version) else { return 0 };
    apply_operations(&mut version.memtable, Operations::new(operations, sequence, 0), sequence, values);
    version.sequence = sequence;
    version.time_ms = time_ms;
    version.memtable.bytes()
}

/// Applies logged operations to a memtable; value extents they bring or overwrite join `values`. Stops at the first
/// malformed operation and answers false.
pub(super) fn apply_operations(
    memtable: &mut Memtable,
    operations: Operations<'_>,
    sequence: u64,
    values: &mut MemtableValues,
) -> bool {
    let mut operations = operations.peekable();
    while let Some(operation) = operations.next() {
        let Ok(operation) = operation else { return false };
        let (key, slot) = match operation {
            Operation::Put { key, value } => (key, Slot::Inline(value)),
            Operation::PutExtent { key, value } => {
                values.all.push(value);
                (key, Slot::Extent(value))
            }
            Operation::Delete { key } => (key, Slot::Tombstone),
            Operation::DeleteRange { start, end } => {
                if !values.all.is_empty() {
                    collect_values(memtable, start, end, &mut values.dead);
                }
                memtable.delete_range(start, end, sequence);
                continue;
            }
        };
        if !values.all.is_empty() {
            if let Lookup::Found { slot: Slot::Extent(old), .. } = memtable.get(key) {
                values.dead.push(old);
            }
            memtable.put(key, slot, sequence);
        } else if operations.peek().is_none() {
            memtable.put(key, slot, sequence);
        } else {
            // A batch comes in key order, which the memtable takes leaf by leaf.
            let rest = core::iter::from_fn(|| operations.next_if(|next| inline_point(next).is_some()))
                .filter_map(|next| inline_point(&next));
            memtable.extend_sorted(core::iter::once((key, slot)).chain(rest), sequence);
        }
    }
    true
}

/// The point that an operation sets, unless it takes more than that.
fn inline_point<'a>(operation: &Result<Operation<'a>>) -> Option<(&'a [u8], Slot<'a>)> {
    match operation {
        Ok(Operation::Put { key, value }) => Some((key, Slot::Inline(value))),
        Ok(Operation::Delete { key }) => Some((key, Slot::Tombstone)),
        _ => None,
    }
}

fn collect_values(memtable: &Memtable, start: &[u8], end: Option<&[u8]>, dead: &mut Vec<ValueRef>) {
    let mut cursor = memtable.cursor();
    cursor.seek(start);
    while let Some(entry) = cursor.entry() {
        if end.is_some_and(|end| entry.key >= end) {
            break;
        }
        if let Slot::Extent(value) = entry.slot {
            dead.push(value);
        }
        cursor.next();
    }
}
