//! The one place that knows how an engine is called.

use std::sync::Arc;

use lightning_db::env::Storage;
use lightning_db::{Checksum, Compression, Encryption, EncryptionKey, Error, Isolation, Mode, Options, Verify};

use super::action::{Answer, Durability, Query, TxOp};
use super::archive::SimSink;
use super::clock::SimClock;
use super::keeper::{Keeping, Kept};
use super::plan::Plan;
use super::replica::{Followed, Replica};
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
    /// Memory for everything.
    pub budget_bytes: u32,
    /// How leaves are compressed.
    pub compression: Compression,
    /// What proves nodes and values.
    pub checksum: Checksum,
    /// What is proven how often.
    pub verify: Verify,
    /// How everything is sealed, if it is.
    pub encryption: Option<Encryption>,
    /// How much of the log is kept for change feeds.
    pub retention_bytes: u64,
    /// How long what a snapshot sees is kept after it was replaced.
    pub snapshot_ms: u64,
    /// Whoever keeps backups has the log archived, and so much held for it.
    pub archive_hold_bytes: Option<u64>,
}

/// Longer than any run.
pub const SNAPSHOT_MS_LONG: u64 = 1 << 40;

/// Enough for all of a run.
pub const HOLD_BYTES_ALL: u64 = 1 << 34;
impl Tuning {
    /// Gives a database of this tuning its key, if it has one.
    pub fn lock(&self, options: &mut Options) {
        if let Some(encryption) = self.encryption {
            (options.encryption, options.key) = (encryption, self.key());
        }
    }

    /// That key.
    pub fn key(&self) -> Option<EncryptionKey> {
        self.encryption.map(|_| EncryptionKey::raw([0x5a; 32]))
    }
}

/// Enough for all of a run.
pub const RETENTION_BYTES_ALL: u64 = 1 << 34;

impl Default for Tuning {
    fn default() -> Self {
        Self {
            memtable_bytes: 4096,
            segment_bytes: 65536,
            large_value_bytes: 256,
            step_entries: 4096,
            budget_bytes: 2 << 20,
            compression: Compression::Lz4,
            checksum: Checksum::Crc32,
            verify: Verify::Resident,
            encryption: None,
            retention_bytes: 0,
            snapshot_ms: SNAPSHOT_MS_LONG,
            archive_hold_bytes: None,
        }
    }
}

/// Where a simulated database lives.
#[derive(Clone, Debug)]
pub struct Site {
    /// The disk.
    pub disk: Arc<SimDisk>,
    /// The clock.
    pub clock: Arc<SimClock>,
    /// Whether the platform completes syncs later.
    pub late_syncs: bool,
    /// In front of the disk, if reads must be fetched first.
    pub pager: Option<Arc<PagingStorage<SimDisk>>>,
    /// Sizes.
    pub tuning: Tuning,
    /// Where the log is archived.
    pub sink: Arc<SimSink>,
    /// For the engine's own randomness; another one at every opening.
    pub entropy_seed: u64,
}

impl Site {
    /// A disk, and all that is beside it.
    pub fn new(disk: SimDisk, plan: &Plan) -> Self {
        let disk = Arc::new(disk);
        let pager = plan.paging.map(|miss| Arc::new(PagingStorage::new(Arc::clone(&disk), plan.seed, miss)));
        disk.complete_syncs_later(plan.late_syncs);
        Self {
            clock: Arc::new(SimClock::new(&disk)),
            sink: Arc::new(SimSink::new(&disk)),
            disk,
            late_syncs: plan.late_syncs,
            pager,
            tuning: plan.tuning,
            entropy_seed: plan.seed,
        }
    }

    /// The same with another disk, and what is beside that.
    pub fn with_disk(self, disk: SimDisk) -> Self {
        let disk = Arc::new(disk);
        Self { clock: Arc::new(SimClock::new(&disk)), sink: Arc::new(SimSink::new(&disk)), disk, ..self }
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

/// How far a commit has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ack {
    /// It is acknowledged.
    Done,
    /// It has its place in the order of commits, and is acknowledged later.
    Later,
}

/// Snapshots with their names.
pub type ByName<S> = Vec<(String, S)>;

/// An engine under simulation. Every method wraps its reads in [`Site::drive`].
pub trait Engine: Sized {
    /// Whether [`set_mode`](Self::set_mode) does anything.
    const HAS_MODES: bool = false;
    /// Whether a transaction is ended that takes longer than it may.
    const ENDS_TRANSACTIONS: bool = false;
    /// A consistent view that later commits do not change.
    type Snapshot;
    /// An interactive transaction.
    type Transaction;

    /// Opens the database, making it if there is none.
    fn open(site: &Site) -> Result<Self, Error>;
    /// Runs a transaction and answers its questions; commits unless `durability` is `None`.
    fn transaction(&self, durability: Option<Durability>, ops: &[TxOp]) -> Result<(Vec<Answer>, Ack), Error>;
    /// Begins an interactive transaction.
    fn begin(&self, isolation: Isolation) -> Result<Self::Transaction, Error>;
    /// Takes one step of it.
    fn perform(&self, tx: &mut Self::Transaction, op: &TxOp) -> Result<Option<Answer>, Error>;
    /// Commits it; called again where it was to be acknowledged later.
    fn commit(&self, tx: &mut Self::Transaction, durability: Durability) -> Result<Ack, Error>;
    /// Makes everything committed durable.
    fn sync(&self) -> Result<Ack, Error>;
    /// Passes on that the platform has completed a sync; false when none is under way.
    fn complete_sync(&self) -> bool;
    /// The newest state.
    fn snapshot(&self) -> Result<Self::Snapshot, Error>;
    /// Decides who may write. Engines without modes let everybody.
    fn set_mode(&self, mode: Mode) -> Result<(), Error> {
        let _ = mode;
        Ok(())
    }
    /// Makes durable what was acknowledged, and does nothing any more; false of engines that cannot but close.
    fn shut_down(&self) -> Result<bool, Error> {
        Ok(false)
    }
    /// Answers a question.
    fn ask(&self, snapshot: &Self::Snapshot, query: &Query) -> Result<Answer, Error>;
    /// Brings a replica up to what is visible now, by its change feed alone. Engines without one never do.
    fn follow(&self, replica: &mut Replica) -> Result<Followed, Error> {
        let _ = replica;
        Ok(Followed::Never)
    }
    /// Makes a backup, or an increment of the one there is. Engines without backups never do.
    fn keep(&self, kept: &mut Kept) -> Result<Keeping, Error> {
        let _ = kept;
        Ok(Keeping::Never)
    }
    /// The snapshots that have a name. `None` of engines without.
    fn named(&self) -> Result<Option<ByName<Self::Snapshot>>, Error> {
        Ok(None)
    }
    /// Gives what is there now a name.
    fn name(&self, name: &str) -> Result<(), Error> {
        let _ = name;
        Ok(())
    }
    /// Gives that up.
    fn unname(&self, name: &str) -> Result<(), Error> {
        let _ = name;
        Ok(())
    }
    /// Changes the keys, where there are any: adds one, removes one, or encrypts everything anew, as the number says. The one that the
    /// database is opened with stays.
    fn rekey(&self, which: u64) -> Result<(), Error> {
        let _ = which;
        Ok(())
    }
    /// Does a bounded piece of background work; whether there is more. `Error::Pending` when all of it waits for syncs.
    fn step(&self) -> Result<bool, Error>;
    /// Checks all that is stored; what is wrong, one line each.
    fn check(&self) -> Result<Vec<String>, Error>;
    /// Ends cleanly.
    fn close(self) -> Result<(), Error>;
}
