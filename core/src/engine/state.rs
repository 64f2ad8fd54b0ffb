//! The engine: what is visible, what is being written, where space is, what work is under way.
//!
//! Lock order: `work`, then the state of `durable`, then `writer`, then `archive` or `named`, then `space` or `visible`. Readers take `visible` alone,
//! for the time of cloning one reference. No lock but `work` is held over reads of nodes; `writer` is held over appends to
//! the log, never over a sync.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;

use super::activity::SharedActivity;
use super::archive::ArchiveRecord;
use super::commit::Durable;
use super::feed::History;
use super::job::JobExtents;
use super::limits::Limits;
use super::maintenance::Work;
use super::named::NamedSnapshots;
use super::node_ages::NodeAges;
use super::nodes::Nodes;
use super::options::EngineOptions;
use super::recent::{Optimistic, Recent};
use super::stats::Counters;
use super::version::{Layers, MemtableValues, Version};
use super::watchers::Watchers;
use crate::env::sync::Mutex;
use crate::env::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use crate::env::{Clock, Entropy, FileId, Storage, SyncTicket, Uuids};
use crate::error::{Error, Result};
use crate::hashing::HashMap;
use crate::limit::Limit;
use crate::log::{Log, framed_len};
use crate::memtable::ChunkPool;
use crate::space::{Extent, GRAINS_PER_SECTOR, PendingFree, PendingFrees, SECTOR_BYTES, SECTORS_PER_PAGE, SpaceMap};
use crate::testing::Mutant;

/// The world around one database.
#[derive(Clone)]
pub struct Environment {
    /// Wall and monotonic time.
    pub clock: Arc<dyn Clock>,
    /// Random bytes for ids and incarnations.
    pub entropy: Arc<dyn Entropy>,
}

impl core::fmt::Debug for Environment {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Environment").finish_non_exhaustive()
    }
}

/// One open database.
#[derive(Debug)]
pub(crate) struct Engine {
    pub(crate) nodes: Arc<Nodes>,
    pub(crate) env: Environment,
    pub(crate) options: EngineOptions,
    pub(crate) counters: Counters,
    pub(super) visible: Mutex<Arc<Version>>,
    pub(super) writer: Mutex<Writer>,
    pub(super) space: Mutex<Space>,
    pub(super) work: Mutex<Work>,
    pub(super) durable: Durable,
    pub(super) tickets: Mutex<Tickets>,
    /// Held while a barrier over the data file is asked for.
    pub(super) data_syncs: Mutex<()>,
    #[cfg(feature = "std")]
    pub(super) beside: super::beside::Beside,
    pub(super) optimistic: Mutex<Optimistic>,
    pub(super) memtable_bytes: AtomicUsize,
    /// Memory of memtables that are gone, at most as much as one of them may take.
    pub(crate) chunks: Arc<ChunkPool>,
    /// The checkpoint that follows opening is not durable yet: nothing may be committed before it is.
    pub(super) opening: AtomicBool,
    /// Bytes of log that opening replayed. Where nothing is ever merged they stay so many.
    pub(super) replayed_log_bytes: u64,
    /// Runs of the newest layers.
    pub(super) run_count: AtomicUsize,
    pub(super) activity: SharedActivity,
    /// The log may lack room for a transaction as large as is allowed.
    pub(super) log_is_full: AtomicBool,
    /// Background work has met damage in the data file.
    pub(super) is_damaged: AtomicBool,
    #[cfg(feature = "std")]
    pub(crate) transaction_memory: super::transaction_memory::TransactionMemory,
    #[cfg(feature = "std")]
    pub(super) healed: super::healed::Healed,
    /// Which incarnation this is, and those before it.
    pub(super) history: History,
    /// What is archived of the log; taken after `writer` and before `space`.
    pub(super) archive: Mutex<Option<Box<ArchiveRecord>>>,
    /// Nobody is to write, whoever opens the database: checkpoints record it.
    pub(super) is_frozen: AtomicBool,
    /// Snapshots that have a name; taken after `work` and before `space`.
    pub(super) named: Mutex<NamedSnapshots>,
    /// Who is told of commits.
    pub(super) watchers: Watchers,
    pub(crate) uuids: Uuids,
    pub(crate) scrubs: super::scrubs::Scrubs,
    #[cfg(feature = "std")]
    pub(crate) guard: super::guard::Guard,
    #[cfg(feature = "std")]
    pub(super) guarded: Arc<super::guarded_storage::GuardedStorage>,
}

/// What commits change; one at a time.
#[derive(Debug)]
pub(super) struct Writer {
    /// Absent when the database is open for reading only.
    pub log: Option<Log>,
    /// The newest state, when it is ahead of what is visible: commits that wait for a sync.
    pub head: Option<Arc<Version>>,
    /// The state whose log is being synced.
    pub syncing: Option<Arc<Version>>,
    /// Value extents the active memtable names or named.
    pub values: MemtableValues,
    /// Merged memtables that validation still needs.
    pub recent: Recent,
    /// Why nothing more can be written.
    pub stopped: Option<Stopped>,
    /// The newest commit that must be synced before it is visible.
    pub must_sync: u64,
    /// Everything up to here has been appended.
    pub appended: u64,
    /// When the oldest periodic commit that no sync under way covers must be durable, by the monotonic clock.
    pub sync_due_ns: Option<u64>,
    #[cfg(feature = "std")]
    pub lending: super::lending::Lending,
}

/// Why a database takes no writes.
#[derive(Clone, Debug)]
pub(super) enum Stopped {
    /// The last checkpoint is being made: the log is not read after it.
    Closing,
    Closed,
    /// Closed as fast as can be: what is in the log is not merged any more.
    #[cfg(feature = "std")]
    ShutDown,
    /// Nothing is to be read or written until it is resumed.
    #[cfg(feature = "std")]
    Suspended,
    ReadOnly,
    Poisoned(String),
}

impl Stopped {
    /// Whether background work is refused, too.
    #[inline]
    pub(super) fn stops_work(&self) -> bool {
        #[cfg(feature = "std")]
        if matches!(self, Self::Suspended | Self::ShutDown) {
            return true;
        }
        matches!(self, Self::Poisoned(_))
    }

    /// Whether the handle has ended, with nothing left to be said about what it did.
    pub(super) fn is_closed(&self) -> bool {
        #[cfg(feature = "std")]
        if matches!(self, Self::ShutDown) {
            return true;
        }
        matches!(self, Self::Closed)
    }

    pub(super) fn error(&self) -> Error {
        match self {
            Stopped::Closing | Stopped::Closed => Error::Closed,
            #[cfg(feature = "std")]
            Stopped::ShutDown => Error::Closed,
            #[cfg(feature = "std")]
            Stopped::Suspended => Error::suspended(),
            Stopped::ReadOnly => Error::ReadOnly,
            Stopped::Poisoned(cause) => Error::Poisoned { cause: cause.clone() },
        }
    }
}

/// The data file's space and who may still read what was freed.
#[derive(Debug)]
pub(super) struct Space {
    pub map: SpaceMap,
    pub pending: PendingFrees,
    /// The checkpoint being built: one more than the newest durable one.
    pub building: u64,
    /// Counts publications of layers.
    pub publication: u64,
    /// Layers that may still be read by a snapshot; the last are the current ones. No more than
    /// [`snapshots_max`](super::Limits::snapshots_max) others: the oldest of those expire.
    pub live: Vec<Held>,
    /// How many have expired since the database was opened.
    pub expired: u64,
    /// Value extents that no tree refers to yet: written by transactions that have not committed, or named by memtables.
    /// They are left out of the persisted map; recovery finds those that matter in the log.
    pub in_flight: BTreeMap<u64, u64>,
    /// The numbers that tell newer nodes from older ones.
    pub ages: NodeAges,
    /// The publication that brought the sectors written while older layers were held.
    pub born: HashMap<u64, u64>,
}

/// Layers that may still be read.
#[derive(Debug)]
pub(super) struct Held {
    pub publication: u64,
    layers: Weak<Layers>,
    /// When others took their place, by the monotonic clock.
    replaced_ns: Option<u64>,
}

impl Held {
    pub(super) fn new(layers: &Arc<Layers>) -> Self {
        Self { publication: layers.publication, layers: Arc::downgrade(layers), replaced_ns: None }
    }

    /// For how long others have been in their place.
    fn age_ms(&self, now_ns: u64) -> Option<u64> {
        Some(now_ns.saturating_sub(self.replaced_ns?) / 1_000_000)
    }
}

/// The states older than the newest that somebody holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct HeldStates {
    pub count: u64,
    /// For how long the oldest has been one, in milliseconds.
    pub oldest_ms: u64,
    /// Bytes that would be free without them.
    pub pinned_bytes: u64,
}

/// Grains in use, by sector.
#[derive(Debug, Default)]
pub(super) struct GrainCounts(BTreeMap<u64, u8>);

impl GrainCounts {
    pub(super) fn of<'e>(extents: impl Iterator<Item = &'e Extent>) -> Self {
        let mut counts = BTreeMap::new();
        for grain in extents.flat_map(|extent| extent.grains()) {
            *counts.entry(grain / GRAINS_PER_SECTOR).or_insert(0) += 1;
        }
        Self(counts)
    }
}

/// A barrier of background work, between the calls that ask for it.
#[derive(Debug, Default)]
pub(super) struct BarrierSlot {
    pub ticket: Option<SyncTicket>,
    #[cfg(feature = "std")]
    beside: Option<super::beside::Outcome>,
}

/// Barriers that the platform completes later, in the order they were asked for.
#[derive(Debug, Default)]
pub(super) struct Tickets {
    completed: Option<SyncTicket>,
    failed: Option<(SyncTicket, String)>,
}

impl Tickets {
    pub(super) fn complete(&mut self, ticket: SyncTicket, result: core::result::Result<(), String>) {
        match result {
            Ok(()) => self.completed = self.completed.max(Some(ticket)),
            // The first failure stays: nothing after it can be trusted.
            Err(cause) => {
                self.failed.get_or_insert((ticket, cause));
            }
        }
    }

    /// The result of a barrier, once it is known.
    pub(super) fn result(&self, ticket: SyncTicket) -> Option<core::result::Result<(), String>> {
        match &self.failed {
            Some((failed, cause)) if *failed <= ticket => Some(Err(cause.clone())),
            _ => (self.completed >= Some(ticket)).then_some(Ok(())),
        }
    }
}

impl Engine {
    pub(crate) fn storage(&self) -> &dyn Storage {
        self.nodes.storage()
    }

    /// The newest visible state.
    #[inline]
    pub(crate) fn version(&self) -> Arc<Version> {
        Arc::clone(&self.visible.lock())
    }

    /// The newest state, whether visible or still waiting for its sync: what writers see.
    pub(crate) fn head(&self) -> Arc<Version> {
        let writer = self.writer.lock();
        self.head_of(&writer)
    }

    pub(super) fn head_of(&self, writer: &Writer) -> Arc<Version> {
        writer.head.as_ref().map_or_else(|| self.version(), Arc::clone)
    }

    /// Replaces the layers of every state that is visible or about to be. The caller holds `work`, so layers change in
    /// one order; the writer lock keeps commits from slipping in between.
    pub(super) fn publish_layers(&self, change: impl Fn(&Layers) -> Layers, extents: &mut JobExtents) {
        #[cfg(feature = "std")]
        self.note_freed_damage(extents);
        let mut writer = self.writer.lock();
        let mut space = self.space.lock();
        extents.include(&mut space);
        space.publication += 1;
        let publication = space.publication;
        let mut visible = self.visible.lock();
        let mut replaced: Vec<(Arc<Layers>, Arc<Layers>)> = Vec::new();
        let mut base_changed = false;
        let mut replace = |version: &mut Arc<Version>| {
            let known =
                replaced.iter().find(|(old, _)| Arc::ptr_eq(old, &version.layers)).map(|(_, new)| Arc::clone(new));
            let layers = known.unwrap_or_else(|| {
                let changed = change(&version.layers);
                // What readers remember of a base, they remember under this number.
                let same_base = changed.base == version.layers.base;
                base_changed |= !same_base;
                let base_since = if same_base { version.layers.base_since } else { publication };
                let layers = Arc::new(Layers { publication, base_since, ..changed });
                replaced.push((Arc::clone(&version.layers), Arc::clone(&layers)));
                layers
            });
            match Arc::get_mut(version) {
                Some(version) => version.layers = layers,
                None => *version = Arc::new(Version { layers, ..(**version).clone() }),
            }
        };
        replace(&mut visible);
        writer.head.as_mut().map(&mut replace);
        writer.syncing.as_mut().map(&mut replace);
        drop(visible);
        let newest = self.head_of(&writer).sequence;
        let current: Vec<Arc<Layers>> = replaced.into_iter().map(|(_, new)| new).collect();
        if let Some(layers) = current.last() {
            self.run_count.store(layers.runs.len(), Ordering::Relaxed);
        }
        if base_changed {
            space.ages.base_published();
        }
        space.freed(&extents.freed, 0);
        space.freed(&extents.freed_values, newest);
        space.published(&current, extents.fresh(), self.env.clock.monotonic_ns());
    }

    /// Waits for a barrier over `file`, or answers `Pending` where the platform completes it later. `slot` remembers the
    /// ticket between calls.
    pub(super) fn barrier(&self, file: FileId, slot: &mut Option<SyncTicket>) -> Result<()> {
        let ticket = match slot {
            Some(ticket) => *ticket,
            None => match self.sync(file)? {
                crate::env::Sync::Done => return Ok(()),
                crate::env::Sync::Pending(ticket) => *slot.insert(ticket),
            },
        };
        let result = self.tickets.lock().result(ticket).ok_or(Error::Pending(ticket))?;
        *slot = None;
        result.map_err(|cause| Error::Poisoned { cause })
    }

    /// Asks for a barrier. Of those over the data file one is under way at a time, and when it fails the handle is poisoned
    /// before the next begins: the system tells one of two who ask together, and both may have lost what they wrote.
    pub(super) fn sync(&self, file: FileId) -> Result<crate::env::Sync> {
        if file == FileId::Log {
            return Ok(self.storage().sync(file)?);
        }
        let _one_at_a_time = self.data_syncs.lock();
        self.storage().sync(file).map_err(|error| {
            let error = Error::from(error);
            // What was not asked for has lost nothing.
            if !error.is_suspended() {
                self.poison(&error);
            }
            error
        })
    }

    /// A barrier over the data file for background work, which does something else until it is complete. A data sync that
    /// fails leaves unknown which superblock is durable: nothing may be written any more.
    pub(super) fn data_barrier(&self, slot: &mut BarrierSlot) -> Result<()> {
        #[cfg(feature = "std")]
        let beside = self.barrier_beside(super::beside::Barrier::Data, &mut slot.beside);
        #[cfg(not(feature = "std"))]
        let beside = None;
        let result = beside.unwrap_or_else(|| self.barrier(FileId::Data, &mut slot.ticket));
        result.inspect_err(|error| {
            if !matches!(error, Error::Pending(_)) {
                self.poison(error);
            }
        })
    }

    /// Makes the log durable up to `sequence`, likewise.
    pub(super) fn log_barrier(&self, sequence: u64, slot: &mut BarrierSlot) -> Result<()> {
        #[cfg(feature = "std")]
        if let Some(result) = self.barrier_beside(super::beside::Barrier::Log(sequence), &mut slot.beside) {
            return result;
        }
        let _ = slot;
        self.make_durable(sequence)
    }

    /// Refuses every further write: what is durable is no longer known.
    pub(super) fn poison(&self, cause: &Error) {
        let mut writer = self.writer.lock();
        let mut told = None;
        if !writer
            .stopped
            .as_ref()
            .is_some_and(|stopped| stopped.is_closed() || matches!(stopped, Stopped::Poisoned(_)))
        {
            told = Some(writer.stopped.insert(Stopped::Poisoned(alloc::format!("{cause}"))).error());
        }
        writer.head = None;
        writer.syncing = None;
        drop(writer);
        if let Some(why) = told {
            self.watchers.stopped(&why);
        }
    }

    /// The checkpoint that follows opening is not durable yet.
    pub(crate) fn is_opening(&self) -> bool {
        self.opening.load(Ordering::Acquire)
    }

    /// Takes note of whether the log has room for one more transaction. To be called when the log grew or was released.
    pub(super) fn note_log_room(&self, writer: &Writer) {
        let len = framed_len(&self.nodes.seal().envelope, self.options.transaction_bytes_max) as u64;
        let full = writer.log.as_ref().is_some_and(|log| log.is_full_for(len));
        self.log_is_full.store(full, Ordering::Relaxed);
    }

    /// Space for a value of `len` stored bytes, in flight until it is settled or withdrawn.
    pub(super) fn allocate_value(&self, len: u64) -> Result<Extent> {
        let mut space = self.space.lock();
        let extent = space.allocate_value(len)?;
        match space.wipe_given_out(self.storage()) {
            Ok(()) => Ok(extent),
            Err(error) => {
                space.withdraw(extent);
                Err(error)
            }
        }
    }

    /// Bytes the active memtable holds, read without a lock.
    pub(crate) fn memtable_bytes(&self) -> usize {
        self.memtable_bytes.load(Ordering::Relaxed)
    }
}

impl Space {
    /// Takes note of what the newest publication dropped, and the commit up to which an archive needs it.
    fn freed(&mut self, freed: &[Extent], until_archived: u64) {
        for &extent in freed {
            self.map.expect_in_use(extent);
            let born = self.born.get(&(extent.offset / SECTOR_BYTES)).copied().unwrap_or(0);
            let (checkpoint, readable) = (self.building, born..self.publication);
            self.pending.push(PendingFree { extent, checkpoint, readable, until_archived });
        }
    }

    /// Takes note of what the newest publication brought. `fresh` is what it brought in sectors of the checkpoint being
    /// built. A job that a checkpoint came across has also brought nodes in older sectors, which may hold nodes of earlier
    /// publications: nothing is noted of those, so they count as old as the database.
    fn published(&mut self, current: &[Arc<Layers>], fresh: &[Extent], now_ns: u64) {
        let publication = self.publication;
        self.live.retain(|held| held.layers.strong_count() > 0);
        for held in &mut self.live {
            held.replaced_ns.get_or_insert(now_ns);
        }
        for extent in fresh {
            // A sector may be filled by several publications of one checkpoint: the earliest counts.
            self.born.entry(extent.offset / SECTOR_BYTES).or_insert(publication);
        }
        self.live.extend(current.iter().map(Held::new));
    }

    /// Publications that someone still reads, in ascending order.
    pub(super) fn live_publications(&mut self) -> Vec<u64> {
        self.live.retain(|held| held.layers.strong_count() > 0);
        self.live.iter().map(|held| held.publication).collect()
    }

    /// Ends what was held for too long, or is one too many. What a read is inside of counts as held until it has left; the
    /// next call looks again.
    #[inline]
    pub(super) fn expire(&mut self, limits: &Limits, clock: &dyn Clock) {
        // The newest state is there always.
        if self.live.len() > 1 {
            self.expire_held(limits, clock.monotonic_ns());
        }
    }

    #[inline(never)]
    fn expire_held(&mut self, limits: &Limits, now_ns: u64) {
        self.live.retain(|held| held.layers.strong_count() > 0);
        let replaced = self.live.iter().filter(|held| held.replaced_ns.is_some()).count();
        let mut excess = replaced.saturating_sub(limits.snapshots_max);
        let expired = &mut self.expired;
        self.live.retain(|held| {
            let Some(age_ms) = held.age_ms(now_ns) else { return true };
            let is_one_too_many = excess > 0;
            excess = excess.saturating_sub(1);
            if !is_one_too_many && age_ms < limits.snapshot_ms_max {
                return true;
            }
            let Some(layers) = held.layers.upgrade() else { return false };
            *expired += u64::from(!layers.lease.has_expired());
            !layers.lease.expire(|| match is_one_too_many {
                true => Error::SnapshotExpired {
                    limit: Limit::Snapshots,
                    allowed: limits.snapshots_max as u64,
                    used: replaced as u64,
                },
                false => {
                    Error::SnapshotExpired { limit: Limit::SnapshotAge, allowed: limits.snapshot_ms_max, used: age_ms }
                }
            })
        });
    }

    /// What is held beside the newest state.
    pub(super) fn held_states(&mut self, now_ns: u64) -> HeldStates {
        self.live.retain(|held| held.layers.strong_count() > 0);
        let held = || self.live.iter().filter_map(|held| Some((held.publication, held.age_ms(now_ns)?)));
        let publications: Vec<u64> = held().map(|(publication, _)| publication).collect();
        HeldStates {
            count: publications.len() as u64,
            oldest_ms: held().map(|(_, age_ms)| age_ms).max().unwrap_or(0),
            pinned_bytes: self.pending.pinned_bytes(&publications),
        }
    }

    /// Wipes what was given out, where that is to be done before anything is written there. To be called before the lock is let go
    /// of: sectors that were given out and back are others' afterwards.
    #[inline]
    pub(super) fn wipe_given_out(&mut self, storage: &dyn Storage) -> Result<()> {
        #[cfg(feature = "encryption")]
        while let Some(&extent) = self.map.unwiped().first() {
            if !Mutant::StaleSpaceUnwiped.is_active() {
                storage.write_at(FileId::Data, extent.offset, &alloc::vec![0; extent.len as usize])?;
            }
            self.map.wiped(&[extent]);
        }
        #[cfg(not(feature = "encryption"))]
        let _ = storage;
        Ok(())
    }

    /// Space for a value of `len` stored bytes, in flight until [`settle`](Self::settle) or [`withdraw`](Self::withdraw).
    fn allocate_value(&mut self, len: u64) -> Result<Extent> {
        let extent = self.map.allocate_sectors(len)?;
        self.in_flight.insert(extent.offset, extent.len);
        Ok(extent)
    }

    /// The value will never be committed.
    pub(super) fn withdraw(&mut self, extent: Extent) {
        if self.in_flight.remove(&extent.offset).is_some() {
            self.map.release(extent);
        }
    }

    /// The value is now referred to by a tree, or waits to be freed.
    pub(super) fn settle(&mut self, extent: Extent) {
        if self.in_flight.remove(&extent.offset).is_some() {
            self.map.touch(extent);
        }
    }

    /// One page of the map as it is persisted: without values in flight, whose sectors are theirs alone, and without what
    /// jobs under way have written, which shares sectors with nodes that belong to the checkpoint.
    pub(super) fn page_image(&self, page: u64, under_way: &GrainCounts) -> Vec<u8> {
        let mut image = self.map.page(page).to_vec();
        let first = page * SECTORS_PER_PAGE;
        let left_out = under_way.0.range(first..first + SECTORS_PER_PAGE);
        for (sector, grains) in left_out.filter(|_| !Mutant::UnfinishedJobCounted.is_active()) {
            if let Some(count) = image.get_mut((sector - first) as usize) {
                *count = count.saturating_sub(*grains);
            }
        }
        for (&offset, &len) in &self.in_flight {
            let sectors = offset / SECTOR_BYTES..(offset + len).div_ceil(SECTOR_BYTES);
            for sector in sectors {
                if let Some(count) = sector.checked_sub(first).and_then(|at| image.get_mut(at as usize)) {
                    *count = 0;
                }
            }
        }
        image
    }

    /// Reuses what may be reused now that checkpoint `durable` is durable.
    pub(super) fn release_pending(&mut self, durable: u64, is_kept: &dyn Fn(&PendingFree) -> bool) {
        let live = self.live_publications();
        for extent in self.pending.release(&mut self.map, durable, &live, is_kept) {
            self.born.remove(&(extent.offset / SECTOR_BYTES));
        }
        if live.len() <= 1 {
            self.born.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::*;
    use crate::env::MemoryStorage;

    fn space() -> Space {
        Space {
            map: SpaceMap::new(1 << 30),
            pending: PendingFrees::default(),
            building: 1,
            publication: 0,
            live: Vec::new(),
            expired: 0,
            in_flight: BTreeMap::new(),
            born: HashMap::default(),
            ages: NodeAges::opened(0, 0, true),
        }
    }

    #[test]
    fn an_extent_is_as_old_as_the_first_publication_of_its_sector() {
        let mut space = space();
        let layers = [1, 2, 3].map(|publication| Arc::new(Layers { publication, ..Layers::default() }));
        let extents = [(); 2].map(|()| space.map.allocate(100).unwrap());
        assert_eq!(extents[0].offset / SECTOR_BYTES, extents[1].offset / SECTOR_BYTES);
        for (number, layers) in layers.iter().enumerate() {
            let freed: &[_] = if number == 2 { &extents[..1] } else { &[] };
            let fresh = extents.get(number..=number).unwrap_or(&[]);
            space.publication = number as u64 + 1;
            space.freed(freed, 0);
            space.published(core::slice::from_ref(layers), fresh, 0);
        }
        // The first publication reads the extent, the third does not any more.
        let readable: Vec<_> = space.pending.iter().map(|free| free.readable.clone()).collect();
        assert_eq!(readable.as_slice(), core::slice::from_ref(&(1..3)));
    }

    /// What a job wrote before a checkpoint shares its sectors with nodes of earlier publications, of which nothing may be
    /// known any more: its publication is not their birth.
    #[test]
    fn a_job_that_a_checkpoint_came_across_gives_its_neighbours_no_birth() {
        let mut space = space();
        let layers = [1, 2, 3].map(|publication| Arc::new(Layers { publication, ..Layers::default() }));
        let [earlier, job] = [(); 2].map(|()| space.map.allocate(100).unwrap());
        assert_eq!(earlier.offset / SECTOR_BYTES, job.offset / SECTOR_BYTES);
        space.publication = 1;
        space.published(&layers[..1], &[earlier], 0);
        let mut extents = JobExtents::default();
        extents.written.push(job);
        extents.leave_out(&MemoryStorage::new()).unwrap();
        // Nobody held older layers when the checkpoint became durable.
        space.building = 2;
        space.release_pending(1, &|_| false);
        assert!(space.born.is_empty());
        extents.written.push(space.map.allocate_sectors(100).unwrap());
        space.publication = 2;
        space.published(&layers[1..2], extents.fresh(), 0);
        space.publication = 3;
        space.freed(&[earlier], 0);
        space.published(&layers[2..], &[], 0);
        // A snapshot of the first publication reads it still.
        assert!(space.live_publications().contains(&1));
        space.building = 9;
        space.release_pending(9, &|_| false);
        assert_eq!(space.pending.iter().map(|free| free.extent).collect::<Vec<_>>(), [earlier]);
    }
}
