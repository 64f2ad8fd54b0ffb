//! What the scenarios share: a disk on which syncs take time and may fail, and a database on it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use lightning_db::env::{Clock, FileId, FixedClock, SeededEntropy, Storage, StorageError, Sync};
use lightning_db::{Database, Environment, Options, Snapshot, Table};
use lightning_db_tests::sim_disk::{Fault, SimDisk};
use shuttle::rand::{Rng, thread_rng};
use shuttle::sync::atomic::{AtomicBool, Ordering};
use shuttle::thread;

/// Who wrote which of its rows: client and round; the value is both again.
pub const ROWS: Table<'static, (u64, u64), u64> = Table::new("rows");
/// Rows that clients compete for.
pub const NUMBERS: Table<'static, u64, i64> = Table::new("numbers");

/// A simulated disk. What is written while a sync is under way is not made durable by it.
#[derive(Debug)]
pub struct Disk {
    disk: SimDisk,
    failing: AtomicBool,
}

impl Disk {
    pub fn new() -> Arc<Self> {
        Self::holding(SimDisk::new(1))
    }

    fn holding(disk: SimDisk) -> Arc<Self> {
        Arc::new(Self { disk, failing: AtomicBool::new(false) })
    }

    /// From now on each sync fails one time in two, and may lose what it should have made durable.
    pub fn fail_syncs(&self) {
        self.failing.store(true, Ordering::SeqCst);
    }

    /// The disk as a power loss at this moment leaves it.
    pub fn after_power_loss(&self) -> Arc<Self> {
        let disk = self.disk.clone();
        disk.cancel_faults();
        disk.power_loss(thread_rng().r#gen());
        Self::holding(disk)
    }
}

impl Storage for Disk {
    fn read_at(&self, file: FileId, offset: u64, buf: &mut [u8]) -> Result<(), StorageError> {
        self.disk.read_at(file, offset, buf)
    }

    fn write_at(&self, file: FileId, offset: u64, buf: &[u8]) -> Result<(), StorageError> {
        self.disk.write_at(file, offset, buf)
    }

    fn len(&self, file: FileId) -> Result<u64, StorageError> {
        self.disk.len(file)
    }

    fn set_len(&self, file: FileId, len: u64) -> Result<(), StorageError> {
        self.disk.set_len(file, len)
    }

    fn sync(&self, file: FileId) -> Result<Sync, StorageError> {
        if self.failing.load(Ordering::SeqCst) && thread_rng().gen_bool(0.5) {
            self.disk.schedule(0, Fault::Error);
        }
        let result = self.disk.sync(file);
        // The others go on, and see only later how it ended.
        thread::yield_now();
        result
    }

    fn name(&self) -> String {
        self.disk.name()
    }
}

/// Not one of the scheduler's atomics: looking at the clock is nothing that could go on in another order.
#[derive(Debug, Default)]
struct Ticking(AtomicU64);

impl Clock for Ticking {
    fn wall_ms(&self) -> u64 {
        self.monotonic_ns() / 1_000_000
    }

    fn monotonic_ns(&self) -> u64 {
        self.0.fetch_add(1_000_000, Ordering::Relaxed)
    }
}

/// A small database with a thread for background work.
pub fn options() -> Options {
    let mut options = Options::default();
    options.memory_budget_bytes = 2 << 20;
    options.log_segment_bytes = 64 << 10;
    options
}

/// Without that thread: fewer orders, of which more are tried.
pub fn quiet() -> Options {
    let mut options = options();
    options.background_thread = false;
    options
}

pub fn open(disk: &Arc<Disk>, options: Options) -> Database {
    open_by(disk, options, Arc::new(FixedClock(1000)))
}

/// Like [`open`], with both tables made.
pub fn open_with_tables(disk: &Arc<Disk>, options: Options) -> Database {
    with_tables(open(disk, options))
}

/// The same, with a clock that goes on by a millisecond whenever it is looked at.
pub fn open_ticking(disk: &Arc<Disk>, options: Options) -> Database {
    with_tables(open_by(disk, options, Arc::new(Ticking::default())))
}

fn open_by(disk: &Arc<Disk>, options: Options, clock: Arc<dyn Clock>) -> Database {
    let entropy = Arc::new(SeededEntropy::new(7));
    let storage = Arc::clone(disk) as Arc<dyn Storage>;
    Database::open_storage(storage, Environment { clock, entropy }, options).expect("the database opens")
}

fn with_tables(db: Database) -> Database {
    db.transaction(|tx| {
        tx.table(ROWS)?;
        tx.table(NUMBERS)?;
        Ok(())
    })
    .expect("tables are made");
    db
}

/// How many rows of each client are there now. Panics when one is missing before another of the same client.
pub fn rounds(db: &Database) -> BTreeMap<u64, u64> {
    rounds_of(&db.snapshot())
}

/// The same of an earlier moment.
pub fn rounds_of(snapshot: &Snapshot) -> BTreeMap<u64, u64> {
    let mut rounds = BTreeMap::new();
    let table = snapshot.table(ROWS).expect("the table");
    for row in table.range(..).expect("a range") {
        let ((client, round), value) = row.expect("a row");
        assert_eq!(value, client * 1000 + round);
        let next = rounds.entry(client).or_insert(0);
        assert_eq!(*next, round, "client {client} lacks a row before this one");
        *next += 1;
    }
    rounds
}

/// Every client has at least as many rows in `after` as in `before`.
#[track_caller]
pub fn assert_kept(before: &BTreeMap<u64, u64>, after: &BTreeMap<u64, u64>, what: &str) {
    for (client, rounds) in before {
        let kept = after.get(client).copied().unwrap_or(0);
        assert!(kept >= *rounds, "{what}: client {client} had {rounds} rows and has {kept}");
    }
}
