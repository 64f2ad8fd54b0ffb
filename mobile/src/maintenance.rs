//! What keeps a database well, and what tells how it is.

use lightning_db::{CheckReport as CoreReport, CompactionProgress, Database, Result, Stats as CoreStats, Stop};

/// Is told how far a compaction is, from the thread that does it.
#[uniffi::export(with_foreign)]
pub trait CompactionListener: Send + Sync {
    /// After each step: changes that are still to be merged, bytes of the file, and those of them that are free.
    fn on_progress(&self, changes_left: u64, file_bytes: u64, free_bytes: u64);
}

/// Is told how far a scrub is, from the thread that does it.
#[uniffi::export(with_foreign)]
pub trait ScrubListener: Send + Sync {
    /// After each step: what was verified so far.
    fn on_progress(&self, progress: CheckReport);
}

/// Counters and sizes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, uniffi::Record)]
pub struct Stats {
    /// The newest commit.
    pub sequence: u64,
    /// Commits since it was opened.
    pub commits: u64,
    /// Those that were refused because of others.
    pub conflicts: u64,
    /// Entries, about: what was written over and not yet merged is counted again.
    pub entries: u64,
    /// Bytes of the data file.
    pub file_bytes: u64,
    /// Those of them that are used.
    pub used_bytes: u64,
    /// Bytes of the log.
    pub log_bytes: u64,
    /// Bytes in memory that were not merged yet.
    pub memtable_bytes: u64,
    /// Bytes of the file that are kept in memory.
    pub cache_bytes: u64,
    /// Reads that found what they needed there.
    pub cache_hits: u64,
    /// Reads that did not.
    pub cache_misses: u64,
    /// Memory for everything together.
    pub memory_budget_bytes: u64,
    /// Snapshots that are open.
    pub snapshots: u64,
    /// Bytes that cannot be used again because of them.
    pub snapshot_pinned_bytes: u64,
    /// Damaged parts that were found.
    pub quarantined: u64,
    /// Bytes that the background has verified this time.
    pub scrub_bytes: u64,
    /// Those that there are.
    pub scrub_bytes_all: u64,
    /// How often it has verified everything since the database was opened.
    pub scrubs: u64,
}

/// What was verified.
#[derive(Clone, Debug, PartialEq, Eq, uniffi::Record)]
pub struct CheckReport {
    /// Entries of all tables.
    pub entries: u64,
    /// Documents, each whole and under its own key.
    pub documents: u64,
    /// Entries of indexes, each held against its document.
    pub index_entries: u64,
    /// Collections.
    pub collections: u64,
    /// Bytes read.
    pub bytes: u64,
    /// Everything found wrong, in plain words; empty when the database is whole.
    pub problems: Vec<String>,
}

impl From<CoreStats> for Stats {
    fn from(stats: CoreStats) -> Self {
        Self {
            sequence: stats.sequence,
            commits: stats.commits,
            conflicts: stats.conflicts,
            entries: stats.base_entries + stats.run_entries + stats.memtable_entries,
            file_bytes: stats.file_bytes,
            used_bytes: stats.used_bytes,
            log_bytes: stats.log_bytes,
            memtable_bytes: stats.memtable_bytes,
            cache_bytes: stats.cache_bytes,
            cache_hits: stats.cache_hits,
            cache_misses: stats.cache_misses,
            memory_budget_bytes: stats.memory_budget_bytes,
            snapshots: stats.snapshots,
            snapshot_pinned_bytes: stats.snapshot_pinned_bytes,
            quarantined: stats.quarantined,
            scrub_bytes: stats.scrub_bytes,
            scrub_bytes_all: stats.scrub_bytes_all,
            scrubs: stats.scrubs,
        }
    }
}

impl From<CoreReport> for CheckReport {
    fn from(report: CoreReport) -> Self {
        Self {
            entries: report.entries,
            documents: report.documents,
            index_entries: report.index_entries,
            collections: report.collections,
            bytes: report.node_bytes + report.value_bytes,
            problems: report.problems,
        }
    }
}

/// Nodes that are verified between two calls of the listener.
const SCRUBBED_NODES: usize = 64;

pub fn scrub(database: &Database, listener: Option<&dyn ScrubListener>) -> Result<CheckReport> {
    let mut scrub = database.scrub();
    while scrub.step(SCRUBBED_NODES)? {
        Stop::check()?;
        if let Some(listener) = listener {
            listener.on_progress(scrub.report().clone().into());
        }
    }
    Ok(scrub.report().clone().into())
}

pub fn compact(database: &Database, listener: Option<&dyn CompactionListener>) -> Result<()> {
    database.compact_with(&mut |progress: &CompactionProgress| {
        if let Some(listener) = listener {
            listener.on_progress(progress.changes_left, progress.file_bytes, progress.free_bytes);
        }
    })
}
