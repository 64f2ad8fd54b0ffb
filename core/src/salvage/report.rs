//! What a salvage tells: what came back, and what is lost where.

use alloc::string::String;
use alloc::vec::Vec;
use core::ops::RangeInclusive;

use crate::error::Error;

/// What a salvage could rely on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SalvageBasis {
    /// A superblock, and the checkpoint record it names.
    Superblock,
    /// The copy of a superblock in front of a checkpoint record: the superblocks are lost.
    Copy,
    /// No checkpoint record is left: only nodes. Which of several versions of a record is the newest was judged by the
    /// ages of the nodes, and records that had been deleted may have come back.
    NodesAlone,
}

/// What exactly is lost in a range of keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum LossKind {
    /// Records.
    Records,
    /// Changes made after what came back: records of the range may be older versions, missing, or deleted ones.
    Changes,
}

/// Something lost: keys of one table, from `from` on and before `to`, as their type encodes them.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Loss {
    /// The table's name; `None` for one that is not in the new database, and for the catalogue.
    pub table: Option<String>,
    /// The table's number in the damaged database; 0 is the catalogue, which defines the tables.
    pub table_id: u64,
    /// The first key that may be lost.
    pub from: Vec<u8>,
    /// The first key behind the range; `None` reaches to the end of the table.
    pub to: Option<Vec<u8>>,
    /// How many records or changes, about: those of a loss that spans several tables are told with each.
    pub records: u64,
    /// What is lost.
    pub kind: LossKind,
}

/// The last commit that was found of a database that was not closed: commits after it may be missing, because what was lost
/// at the very end of a log looks as if it had never been written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LogEnd {
    /// Its number.
    pub commit: u64,
    /// Its wall-clock time, in milliseconds since 1970.
    pub time_ms: u64,
}

/// What a salvage has brought back, and what it could not.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SalvageReport {
    /// What it relied on.
    pub basis: SalvageBasis,
    /// The number of the checkpoint it began with.
    pub checkpoint: Option<u64>,
    /// Tables in the new database.
    pub tables: u64,
    /// Records in them; while the salvage is under way, those written so far.
    pub records: u64,
    /// Commits brought back from the log.
    pub commits: u64,
    /// Commits that were in the log and are lost; what they changed is not known. A damaged log does not tell where it
    /// ended, so a last range that ends with `u64::MAX` means: from this one on, if there were any.
    pub lost_commits: Vec<RangeInclusive<u64>>,
    /// The last commit that was found, where nothing proves that it was the last there was; that is so wherever the
    /// database was not closed, or what tells that it was is not whole. `None` for one that was: everything is in its trees,
    /// and nothing is missing at the end.
    pub log_end: Option<LogEnd>,
    /// Nodes that were read and whole.
    pub nodes: u64,
    /// Nodes that were not.
    pub damaged_nodes: u64,
    /// Values in extents of their own that were not whole.
    pub damaged_values: u64,
    /// Tables whose definitions are lost: the names they have now, and their numbers.
    pub renamed: Vec<(String, u64)>,
    /// Why indexes of collections could not be made again over the documents that came back. They are dropped.
    pub lost_indexes: Vec<Error>,
    /// What is lost, by table and key.
    pub losses: Vec<Loss>,
}

impl SalvageReport {
    pub(super) fn new(basis: SalvageBasis) -> Self {
        Self {
            basis,
            checkpoint: None,
            tables: 0,
            records: 0,
            commits: 0,
            lost_commits: Vec::new(),
            log_end: None,
            nodes: 0,
            damaged_nodes: 0,
            damaged_values: 0,
            renamed: Vec::new(),
            lost_indexes: Vec::new(),
            losses: Vec::new(),
        }
    }

    /// Whether everything came back that the files show to have been there.
    ///
    /// Of a database that was closed that is everything. One that was not closed ends with its log, and the end of a log
    /// cannot be proven: a last block that is zeros now looks as if it had never been written. So where [`log_end`] is there,
    /// commits after the one that it names may be missing, also when this is true.
    ///
    /// [`log_end`]: Self::log_end
    pub fn is_complete(&self) -> bool {
        self.basis != SalvageBasis::NodesAlone
            && self.losses.is_empty()
            && self.lost_commits.is_empty()
            && self.renamed.is_empty()
            && self.lost_indexes.is_empty()
    }
}
