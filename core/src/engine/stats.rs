//! Counters and histograms, cheap enough to be always on: each event adds to one relaxed atomic.

use core::sync::atomic::{AtomicUsize, Ordering};

use super::options::{Checksum, Compression};
use super::state::Engine;

/// A count of events.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicUsize);

impl Counter {
    #[inline]
    pub(crate) fn add(&self, by: usize) {
        self.0.fetch_add(by, Ordering::Relaxed);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed) as u64
    }
}

/// Durations in powers of two of a microsecond: bucket *i* counts those below 2^*i* µs.
#[derive(Debug, Default)]
pub(crate) struct Histogram {
    buckets: [Counter; Self::BUCKETS],
}

impl Histogram {
    /// The last bucket holds everything from about 9 minutes on.
    const BUCKETS: usize = 30;

    pub(crate) fn record_ns(&self, duration_ns: u64) {
        let micros = duration_ns / 1000;
        let bucket = (64 - micros.leading_zeros() as usize).min(Self::BUCKETS - 1);
        if let Some(counter) = self.buckets.get(bucket) {
            counter.add(1);
        }
    }

    pub(crate) fn snapshot(&self) -> Latency {
        let mut latency = Latency { buckets: [0; Self::BUCKETS] };
        for (to, from) in latency.buckets.iter_mut().zip(&self.buckets) {
            *to = from.get();
        }
        latency
    }
}

/// How long something took, counted in powers of two of a microsecond.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Latency {
    /// `buckets[i]` counts durations below 2^i µs and not below 2^(i-1) µs.
    pub buckets: [u64; Histogram::BUCKETS],
}

impl Latency {
    /// How many were counted.
    pub fn count(&self) -> u64 {
        self.buckets.iter().sum()
    }

    /// An upper bound of the duration that `per_cent` of them stayed below, in microseconds; 0 when none was counted.
    pub fn percentile_us(&self, per_cent: u64) -> u64 {
        let rank = (self.count() * per_cent).div_ceil(100);
        let mut seen = 0;
        for (bucket, count) in self.buckets.iter().enumerate() {
            seen += count;
            if seen >= rank && seen > 0 {
                return 1 << bucket;
            }
        }
        0
    }
}

/// What the engine counted since the database was opened.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub commits: Counter,
    pub conflicts: Counter,
    pub log_bytes: Counter,
    pub flushes: Counter,
    pub checkpoints: Counter,
    pub commit_latency: Histogram,
    pub sync_latency: Histogram,
    pub step_latency: Histogram,
}

/// The state of one database, as [`stats`](crate::Database::stats) shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// The newest visible commit.
    pub sequence: u64,
    /// The newest durable checkpoint.
    pub checkpoint: u64,
    /// How leaves are compressed.
    pub compression: Compression,
    /// What proves nodes and values.
    pub checksum: Checksum,
    /// Records in the bottom tree.
    pub base_entries: u64,
    /// Runs above it, and their entries.
    pub runs: u64,
    /// Entries of all runs, tombstones included.
    pub run_entries: u64,
    /// Entries of the active and the frozen memtables.
    pub memtable_entries: u64,
    /// Bytes of the active and the frozen memtables.
    pub memtable_bytes: u64,
    /// Resident nodes and their bytes.
    pub cache_nodes: u64,
    /// Bytes of resident nodes.
    pub cache_bytes: u64,
    /// The most bytes resident nodes may take.
    pub cache_bytes_max: u64,
    /// The memory budget everything above shares.
    pub memory_budget_bytes: u64,
    /// Reads of nodes that were resident.
    pub cache_hits: u64,
    /// Reads of nodes that came from storage.
    pub cache_misses: u64,
    /// Nodes dropped to make room.
    pub cache_evictions: u64,
    /// Length of the data file.
    pub file_bytes: u64,
    /// Bytes in use, in grains, superblocks included.
    pub used_bytes: u64,
    /// Wholly free sectors inside the file.
    pub free_bytes: u64,
    /// Freed, waiting for a checkpoint or a snapshot.
    pub pending_bytes: u64,
    /// Nodes and values found damaged since the database was opened: reading them is an error, and their space is not given
    /// out again.
    pub quarantined: u64,
    /// Bytes of those.
    pub quarantined_bytes: u64,
    /// Merges keep away from damage: `check` tells where it is, `repair` brings back what is whole.
    pub damaged: bool,
    /// Bytes that the newest scrub has read: see [`Database::scrub`](crate::Database::scrub).
    pub scrub_bytes: u64,
    /// About how many it will read; as many once it has come to its end.
    pub scrub_bytes_all: u64,
    /// Scrubs that came to their end since the database was opened.
    pub scrubs: u64,
    /// Log not yet merged into the trees.
    pub log_bytes: u64,
    /// Commits since the database was opened.
    pub commits: u64,
    /// Transactions refused because another changed what they had read.
    pub conflicts: u64,
    /// Bytes appended to the log since the database was opened.
    pub log_bytes_written: u64,
    /// Bytes of nodes written since the database was opened.
    pub node_bytes_written: u64,
    /// Memtables flushed since the database was opened.
    pub flushes: u64,
    /// Checkpoints since the database was opened.
    pub checkpoints: u64,
    /// States older than the newest that snapshots, cursors and transactions still hold.
    pub snapshots: u64,
    /// For how long the oldest of those has been replaced, in milliseconds: see
    /// [`snapshot_ms_max`](crate::Limits::snapshot_ms_max).
    pub snapshot_oldest_ms: u64,
    /// Bytes that cannot be used again because of them.
    pub snapshot_pinned_bytes: u64,
    /// How many of them have expired since the database was opened.
    pub snapshots_expired: u64,
    /// Interactive transactions that are open.
    pub transactions: u64,
    /// Log and overwritten values that wait for the [archive](crate::Database::archive_on), where there is one.
    #[cfg(feature = "std")]
    pub archive_held_bytes: u64,
    /// The archive's last attempt failed.
    #[cfg(feature = "std")]
    pub archive_failing: bool,
    /// The archive lacks commits, and nobody has taken note of it yet.
    #[cfg(feature = "std")]
    pub archive_gap: bool,
    /// How far [encrypting everything anew](crate::Database::reencrypt) is, where that is under way.
    #[cfg(feature = "encryption")]
    pub reencryption: Option<super::reencryption::Reencryption>,
    /// From the start of a commit to its acknowledgement.
    pub commit_latency: Latency,
    /// Syncs of the log.
    pub sync_latency: Latency,
    /// Steps of background work.
    pub step_latency: Latency,
}

impl Engine {
    /// The figures as they are now.
    pub(crate) fn stats(&self, memory_budget_bytes: usize) -> Stats {
        let version = self.version();
        let cache = self.nodes.counters();
        let (quarantined, quarantined_bytes) = self.nodes.quarantine().size();
        let (checkpoint, node_bytes_written) = {
            let work = self.work.lock();
            (work.superblock.checkpoint, work.node_bytes_written)
        };
        let log_bytes = self.writer.lock().log.as_ref().map_or(self.replayed_log_bytes, crate::log::Log::live_bytes);
        let scrub = self.scrubs.progress();
        #[cfg(feature = "encryption")]
        let reencryption = self.reencryption();
        let transactions = self.transactions_open() as u64;
        #[cfg(feature = "std")]
        let (archive_held_bytes, archive_gap) =
            (self.held_for_archive(), self.archive.lock().as_ref().is_some_and(|record| record.gap.is_some()));
        let mut space = self.space.lock();
        let held = space.held_states(self.env.clock.monotonic_ns());
        let snapshots_expired = space.expired;
        let layers = &version.layers;
        let memtables = || layers.frozen.iter().map(|frozen| &frozen.memtable).chain([&version.memtable]);
        Stats {
            sequence: version.sequence,
            checkpoint,
            compression: self.options.compression,
            checksum: self.options.checksum,
            base_entries: layers.base.as_ref().map_or(0, |root| root.entries),
            runs: layers.runs.len() as u64,
            run_entries: layers.runs.iter().map(|layer| layer.run.entries()).sum(),
            memtable_entries: memtables().map(|memtable| memtable.len() as u64).sum(),
            memtable_bytes: memtables().map(|memtable| memtable.bytes() as u64).sum(),
            cache_nodes: cache.resident_nodes as u64,
            cache_bytes: cache.resident_bytes as u64,
            cache_bytes_max: self.nodes.budget_bytes() as u64,
            memory_budget_bytes: memory_budget_bytes as u64,
            cache_hits: cache.hits as u64,
            cache_misses: cache.misses as u64,
            cache_evictions: cache.evictions as u64,
            file_bytes: space.map.file_bytes(),
            used_bytes: space.map.used_bytes(),
            free_bytes: space.map.free_bytes(),
            pending_bytes: space.pending.bytes(),
            quarantined,
            quarantined_bytes,
            damaged: quarantined > 0 || self.is_damaged.load(core::sync::atomic::Ordering::Relaxed),
            scrub_bytes: scrub.bytes,
            scrub_bytes_all: scrub.bytes_all,
            scrubs: scrub.finished,
            log_bytes,
            commits: self.counters.commits.get(),
            conflicts: self.counters.conflicts.get(),
            log_bytes_written: self.counters.log_bytes.get(),
            node_bytes_written,
            flushes: self.counters.flushes.get(),
            checkpoints: self.counters.checkpoints.get(),
            snapshots: held.count,
            snapshot_oldest_ms: held.oldest_ms,
            snapshot_pinned_bytes: held.pinned_bytes,
            snapshots_expired,
            transactions,
            #[cfg(feature = "std")]
            archive_held_bytes,
            #[cfg(feature = "std")]
            archive_failing: false,
            #[cfg(feature = "std")]
            archive_gap,
            #[cfg(feature = "encryption")]
            reencryption,
            commit_latency: self.counters.commit_latency.snapshot(),
            sync_latency: self.counters.sync_latency.snapshot(),
            step_latency: self.counters.step_latency.snapshot(),
        }
    }
}
