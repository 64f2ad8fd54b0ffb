//! A database that was closed properly is opened without writing; what that leaves to be done comes before the first write.

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use lightning_db::env::{FileId, FixedClock, SeededEntropy, Storage, StorageError, Sync};
use lightning_db::{Database, Environment, Error, Isolation, Options, Since, Table};
use lightning_db_tests::paging::PagingStorage;
use lightning_db_tests::sim_disk::{Fault, SimDisk};

const ROWS: Table<u32, &[u8]> = Table::new("rows");
/// Kept outside the trees.
const LONG: &[u8] = &[7; 20_000];

/// Counts what changes a storage, and every sync.
#[derive(Debug)]
struct Counting {
    disk: SimDisk,
    changes: AtomicU64,
    syncs: AtomicU64,
}

impl Counting {
    fn new(disk: SimDisk) -> Arc<Self> {
        Arc::new(Self { disk, changes: AtomicU64::new(0), syncs: AtomicU64::new(0) })
    }

    fn counted(&self) -> [u64; 2] {
        [&self.changes, &self.syncs].map(|count| count.load(Ordering::Relaxed))
    }
}

impl Storage for Counting {
    fn read_at(&self, file: FileId, offset: u64, buf: &mut [u8]) -> Result<(), StorageError> {
        self.disk.read_at(file, offset, buf)
    }
    fn write_at(&self, file: FileId, offset: u64, buf: &[u8]) -> Result<(), StorageError> {
        self.changes.fetch_add(1, Ordering::Relaxed);
        self.disk.write_at(file, offset, buf)
    }
    fn len(&self, file: FileId) -> Result<u64, StorageError> {
        self.disk.len(file)
    }
    fn set_len(&self, file: FileId, len: u64) -> Result<(), StorageError> {
        self.changes.fetch_add(1, Ordering::Relaxed);
        self.disk.set_len(file, len)
    }
    fn allocate(&self, file: FileId, len: u64) -> Result<(), StorageError> {
        self.changes.fetch_add(1, Ordering::Relaxed);
        self.disk.allocate(file, len)
    }
    fn sync(&self, file: FileId) -> Result<Sync, StorageError> {
        self.syncs.fetch_add(1, Ordering::Relaxed);
        self.disk.sync(file)
    }
    fn name(&self) -> String {
        self.disk.name()
    }
}

fn environment() -> Environment {
    Environment { clock: Arc::new(FixedClock(1)), entropy: Arc::new(SeededEntropy::new(1)) }
}

fn open_with<S: Storage + 'static>(storage: &Arc<S>, background_thread: bool) -> Result<Database, Error> {
    let mut options = Options::default();
    options.background_thread = background_thread;
    options.log_segment_bytes = 64 << 10;
    options.feed_retention_bytes = 256 << 10;
    Database::open_storage(Arc::<S>::clone(storage), environment(), options)
}

fn open<S: Storage + 'static>(storage: &Arc<S>) -> Result<Database, Error> {
    open_with(storage, false)
}

/// A database with some rows, closed.
fn closed() -> SimDisk {
    let disk = Arc::new(SimDisk::new(3));
    let database = open(&disk).unwrap();
    let rows = database.table(ROWS).unwrap();
    (0..500).for_each(|id| rows.put(id, &id.to_be_bytes()[..]).unwrap());
    rows.put(500, LONG).unwrap();
    database.close().unwrap();
    drop(database);
    Arc::into_inner(disk).unwrap()
}

fn rows(database: &Database) -> Vec<(u32, Vec<u8>)> {
    let snapshot = database.snapshot();
    snapshot.table(ROWS).unwrap().range(..).unwrap().map(Result::unwrap).collect()
}

#[test]
fn a_session_that_only_reads_writes_no_byte_and_syncs_nothing() {
    let disk = closed();
    let before = disk.contents();
    for (background_thread, closes) in [(false, true), (false, false), (true, true), (true, false)] {
        let storage = Counting::new(disk.clone());
        let database = open_with(&storage, background_thread).unwrap();
        assert!(database.recovery().clean);
        assert_eq!(rows(&database).len(), 501);
        assert_eq!(database.table(ROWS).unwrap().get(500).unwrap().as_deref(), Some(LONG));
        let mut feed = database.changes(Since::Oldest).unwrap();
        let mut commits = 0;
        while feed.next().unwrap().is_some() {
            commits += 1;
        }
        assert!(commits > 100, "the log is kept for feeds");
        assert_eq!(database.check().unwrap().problems, Vec::<String>::new());
        database.sync().unwrap();
        while database.step().unwrap() != lightning_db::Progress::Idle {}
        let mut read = database.begin(Isolation::Serializable);
        assert_eq!(read.table(ROWS).unwrap().get(3).unwrap().as_deref(), Some(&[0, 0, 0, 3][..]));
        read.commit().unwrap();
        let mut undone = database.begin(Isolation::Serializable);
        undone.table(ROWS).unwrap().put(3, &b"undone"[..]).unwrap();
        drop(undone);
        if closes {
            database.close().unwrap();
            assert!(matches!(database.table(ROWS).unwrap().put(1, &b"late"[..]), Err(Error::Closed)));
            assert!(matches!(database.checkpoint(), Err(Error::Closed)));
        }
        drop((feed, database));
        assert_eq!(storage.counted(), [0, 0]);
        assert_eq!(storage.disk.contents(), before);
    }
}

#[test]
fn what_was_read_before_the_first_write_is_followed_by_it() {
    let storage = Counting::new(closed());
    let database = open(&storage).unwrap();
    let mut feed = database.changes(Since::Now).unwrap();
    let position = database.snapshot().position();
    assert!(feed.next().unwrap().is_none());
    database.table(ROWS).unwrap().put(1000, &b"new"[..]).unwrap();
    assert!(storage.counted()[1] >= 4, "the log, the checkpoint, its superblock, the commit");
    assert_eq!(feed.next().unwrap().map(|commit| commit.sequence()), Some(position.sequence() + 1));
    assert!(feed.next().unwrap().is_none());
    let mut since = database.changes(position).unwrap();
    assert!(since.next().unwrap().is_some() && since.next().unwrap().is_none());
    let mut all = database.changes(Since::Oldest).unwrap();
    let mut commits = 0;
    while all.next().unwrap().is_some() {
        commits += 1;
    }
    assert!(commits > 100, "what was kept before is kept");
}

/// Opens, writes twice, and closes, until something fails. How many of the two writes were acknowledged.
fn session(disk: &Arc<SimDisk>) -> (u32, Result<(), Error>) {
    let acknowledged = Cell::new(0);
    let go = || {
        let database = open(disk)?;
        let rows = database.table(ROWS)?;
        // The first is a transaction with a value outside the trees, written before its commit.
        let mut tx = database.begin(Isolation::Serializable);
        tx.table(ROWS)?.put(1000, LONG)?;
        tx.commit()?;
        acknowledged.set(1);
        rows.put(1001, &b"second"[..])?;
        acknowledged.set(2);
        drop(tx);
        database.close()
    };
    let result = go();
    (acknowledged.get(), result)
}

/// What must be there after a crash: everything that was acknowledged, nothing that was not written.
fn find(disk: SimDisk, acknowledged: u32) -> Result<(), String> {
    let database = open(&Arc::new(disk)).map_err(|error| format!("cannot open: {error}"))?;
    let found: Vec<u32> = rows(&database).into_iter().map(|(id, _)| id).skip(501).collect();
    if ![&[][..], &[1000], &[1000, 1001]].contains(&&*found) || (found.len() as u32) < acknowledged {
        return Err(format!("{acknowledged} acknowledged, found {found:?}"));
    }
    database.table(ROWS).and_then(|rows| rows.put(1002, LONG)).map_err(|error| format!("cannot write: {error}"))?;
    let problems = database.check().map_err(|error| format!("cannot check: {error}"))?.problems;
    if problems.is_empty() { Ok(()) } else { Err(format!("{problems:?}")) }
}

/// The machine goes down at each I/O of a session that writes, in several ways.
fn crash_everywhere() -> Result<u64, String> {
    let start = closed();
    for ios in 0.. {
        let disk = Arc::new(start.clone());
        disk.schedule(ios, Fault::Crash);
        let (acknowledged, _) = session(&disk);
        if !disk.is_crashed() {
            return Ok(ios);
        }
        for way in 0..12 {
            let disk = (*disk).clone();
            if way == 0 {
                disk.kill()
            } else {
                disk.power_loss(1000 * ios + way)
            }
            find(disk, acknowledged).map_err(|what| format!("down at I/O {ios}, way {way}: {what}"))?;
        }
    }
    Ok(0)
}

#[test]
fn a_crash_at_any_io_of_the_first_write_loses_nothing() {
    let ios = crash_everywhere().unwrap();
    assert!(ios > 30, "{ios} I/Os");
}

#[cfg(feature = "testing")]
#[test]
fn a_commit_before_the_mark_is_lost_and_that_is_noticed() {
    let _active = lightning_db::testing::mutant::Mutant::CommitBeforeMark.activate();
    let what = crash_everywhere().unwrap_err();
    assert!(what.contains("acknowledged, found []"), "{what}");
}

/// An I/O that fails where the first write is prepared is told to whoever writes, and is no end of reading. Where it was no
/// sync, the same write may be tried again.
#[test]
fn an_error_at_any_io_of_the_first_write_is_told_and_leaves_nothing_half_done() {
    let start = closed();
    let (mut retried, mut poisoned) = (0, 0);
    for fault in [Fault::Error, Fault::Full] {
        for ios in 0.. {
            let disk = Arc::new(start.clone());
            let database = open(&disk).unwrap();
            let table = database.table(ROWS).unwrap();
            disk.schedule(ios, fault);
            let met = disk.faults_met();
            let first = table.put(1000, &b"first"[..]);
            if disk.faults_met() == met {
                break;
            }
            disk.cancel_faults();
            if let Err(error) = &first {
                assert!(!error.to_string().is_empty());
                assert_eq!(rows(&database).len(), 501, "not half done");
                match table.put(1000, &b"first"[..]) {
                    Ok(()) => retried += 1,
                    Err(Error::Poisoned { .. }) => poisoned += 1,
                    Err(other) => panic!("{fault:?} at {ios}: {error}, then {other}"),
                }
            }
            let there = rows(&database).len();
            let closes = database.close();
            drop(database);
            for power in [None, Some(1), Some(2), Some(3)] {
                let disk = (*disk).clone();
                match power {
                    Some(seed) => disk.power_loss(seed),
                    None => disk.kill(),
                }
                let again = open(&Arc::new(disk)).unwrap_or_else(|error| panic!("{fault:?} at {ios}: {error}"));
                let found = rows(&again).len();
                assert!(found == there || found == 502 && first.is_err(), "{fault:?} at {ios}: {found}, not {there}");
                assert_eq!(again.check().unwrap().problems, Vec::<String>::new());
                assert!(closes.is_err() || again.recovery().clean);
            }
        }
    }
    assert!(retried > 5 && poisoned > 2, "{retried} retried, {poisoned} poisoned");
}

/// The last checkpoint says that the log is not needed, and it is gone.
#[test]
fn a_closed_database_makes_no_further_checkpoint() {
    let disk = Arc::new(closed());
    let database = open(&disk).unwrap();
    database.table(ROWS).unwrap().put(1000, &b"new"[..]).unwrap();
    database.close().unwrap();
    assert!(matches!(database.checkpoint(), Err(Error::Closed)));
    assert!(matches!(database.compact(), Err(Error::Closed)));
    drop(database);
    let again = open(&disk).unwrap();
    assert!(again.recovery().clean);
    assert_eq!(rows(&again).len(), 502);
}

/// Closing after the preparation failed, before anything else was written.
#[test]
fn a_failed_first_write_leaves_a_database_that_is_closed() {
    let start = closed();
    for ios in 0..3 {
        let disk = Arc::new(start.clone());
        let database = open(&disk).unwrap();
        let table = database.table(ROWS).unwrap();
        disk.schedule(ios, Fault::Error);
        table.put(1000, &b"first"[..]).unwrap_err();
        database.close().unwrap();
        drop(database);
        let again = open(&disk).unwrap();
        assert!(again.recovery().clean);
        assert_eq!(rows(&again).len(), 501);
    }
}

#[test]
fn where_barriers_complete_later_the_first_write_waits_and_values_do_not() {
    let storage = Arc::new(PagingStorage::new(closed(), 1, (1, 2)).with_pending_syncs());
    let database = storage.drive(|| open(&storage)).unwrap();
    assert_eq!(storage.pending(), 0);
    let mut tx = database.begin(Isolation::Serializable);
    storage.drive(|| tx.table(ROWS)?.put(1000, LONG)).unwrap();
    let mut waited = 0;
    while let Err(error) = storage.drive(|| tx.commit()) {
        assert!(matches!(error, Error::Pending(_)), "{error}");
        waited += 1;
        let (ticket, result) = storage.complete_sync().unwrap();
        database.complete_sync(ticket, result.map_err(|error| error.to_string()));
    }
    assert!(waited >= 4, "{waited}");
    drop((tx, database));
    let disk = storage.inner().clone();
    disk.power_loss(5);
    let database = open(&Arc::new(disk)).unwrap();
    assert_eq!(database.table(ROWS).unwrap().get(1000).unwrap().as_deref(), Some(LONG));
}
