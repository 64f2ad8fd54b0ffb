//! The one place that knows how an engine is called.

use std::sync::Arc;

use lightning_db::Error;
use lightning_db::env::Storage;

use super::action::{Answer, Durability, Query, TxOp};
use super::clock::SimClock;
use super::plan::Plan;
use crate::paging::PagingStorage;
use crate::sim_disk::SimDisk;

/// Sizes small enough that everything happens within a few hundred operations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tuning {
    /// Size at which a memtable is frozen.
    pub memtable_bytes: u32,
    /// Size of a log segment.
    pub segment_bytes: u32,
    /// Size from which values are stored outside the tree.
    pub large_value_bytes: u32,
    /// Entries that one step of background work handles.
    pub step_entries: u32,
}

/// Where a simulated database lives.
#[derive(Clone, Debug)]
pub struct Site {
    /// The disk.
    pub disk: Arc<SimDisk>,
    /// The clock.
    pub clock: Arc<SimClock>,
    /// In front of the disk, if reads must be fetched first.
    pub pager: Option<Arc<PagingStorage<SimDisk>>>,
    /// Sizes.
    pub tuning: Tuning,
    /// For the engine's own randomness; another one at every opening.
    pub entropy_seed: u64,
}

impl Site {
    /// A disk, and all that is beside it.
    pub fn new(disk: SimDisk, plan: &Plan) -> Self {
        let disk = Arc::new(disk);
        let pager = plan.paging.map(|miss| Arc::new(PagingStorage::new(Arc::clone(&disk), plan.seed, miss)));
        Self { clock: Arc::new(SimClock::new(&disk)), disk, pager, tuning: plan.tuning, entropy_seed: plan.seed }
    }

    /// What the engine is opened on.
    pub fn storage(&self) -> Arc<dyn Storage> {
        match &self.pager {
            Some(pager) => Arc::clone(pager) as Arc<dyn Storage>,
            None => Arc::clone(&self.disk) as Arc<dyn Storage>,
        }
    }

    /// Runs one operation of the engine, fetching what it misses.
    pub fn drive<T>(&self, mut operation: impl FnMut() -> Result<T, Error>) -> Result<T, Error> {
        match &self.pager {
            Some(pager) => pager.drive(operation),
            None => operation(),
        }
    }
}

/// An engine under simulation. Every method wraps its reads in [`Site::drive`].
pub trait Engine: Sized {
    /// A consistent view that later commits do not change.
    type Snapshot;

    /// Opens the database, making it if there is none.
    fn open(site: &Site) -> Result<Self, Error>;
    /// Runs a transaction and answers its questions; commits unless `durability` is `None`.
    fn transaction(&self, durability: Option<Durability>, ops: &[TxOp]) -> Result<Vec<Answer>, Error>;
    /// The newest state.
    fn snapshot(&self) -> Result<Self::Snapshot, Error>;
    /// Answers a question.
    fn ask(&self, snapshot: &Self::Snapshot, query: &Query) -> Result<Answer, Error>;
    /// Does a bounded piece of background work; whether there is more.
    fn step(&self) -> Result<bool, Error>;
    /// Checks all that is stored; what is wrong, one line each.
    fn check(&self) -> Result<Vec<String>, Error>;
    /// Ends cleanly.
    fn close(self) -> Result<(), Error>;
}
