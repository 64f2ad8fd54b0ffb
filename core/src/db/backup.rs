//! Backups: a database file made from a snapshot, beside whatever else goes on.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

use super::backup_permit::BackupPermit;
use super::database::Database;
use super::feed::FeedPosition;
use super::pieces::Pieces;
use super::snapshot::Snapshot;
use crate::engine::{BackupWork, Engine};
use crate::error::Result;

/// A copy of the database as it was at one commit: a database file, from its first byte to its last.
///
/// It is made in bounded steps from what a snapshot sees. Readers and writers go on meanwhile; what is to be copied keeps its
/// space until the backup is dropped. All that is read is verified. Whatever takes the bytes in their order has a database:
/// compact, closed properly, without a log.
///
/// ```
/// # use std::sync::Arc;
/// # use lightning_db::{env::*, Database, Environment, Options};
/// # let env = Environment { clock: Arc::new(FixedClock(0)), entropy: Arc::new(SeededEntropy::new(1)) };
/// # let db = Database::open_storage(Arc::new(MemoryStorage::new()), env, Options::default())?;
/// let mut backup = db.backup();
/// let mut file = Vec::new();
/// while let Some(piece) = backup.next()? {
///     file.extend(piece);
/// }
/// assert_eq!(backup.progress().bytes_all, Some(file.len() as u64));
/// # Ok::<(), lightning_db::Error>(())
/// ```
pub struct Backup {
    engine: Arc<Engine>,
    work: BackupWork,
    permit: BackupPermit,
    rate: Option<Rate>,
    #[cfg(all(feature = "std", any(unix, windows)))]
    pub(super) filling: Option<super::filling::Filling>,
}

/// How fast it may go.
#[derive(Clone, Copy, Debug)]
struct Rate {
    bytes_per_s: u64,
    /// By the monotonic clock, and the bytes that were there then.
    since_ns: u64,
    since_bytes: u64,
}

/// How far a backup is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct BackupProgress {
    /// Records read. Each is read twice, to find a place for it, and to copy it; once where the copy goes to a file.
    pub entries: u64,
    /// How many there are to read, about.
    pub entries_all: u64,
    /// Records that the copy has.
    pub copied: u64,
    /// Bytes that were given away.
    pub bytes: u64,
    /// Bytes of the file, once everything has its place; where it goes to a file, when all is made.
    pub bytes_all: Option<u64>,
}

impl Database {
    /// Begins a copy of the database as it is now.
    pub fn backup(&self) -> Backup {
        self.snapshot().backup()
    }
}

impl Snapshot {
    /// Begins a copy of the database as this snapshot sees it.
    pub fn backup(&self) -> Backup {
        Backup {
            permit: BackupPermit::new(&self.engine),
            engine: Arc::clone(&self.engine),
            work: BackupWork::new(&self.engine, Arc::clone(&self.version)),
            rate: None,
            #[cfg(all(feature = "std", any(unix, windows)))]
            filling: None,
        }
    }
}

impl Backup {
    /// The bytes that come next, about 256 KiB at a time; `None` behind the last.
    #[allow(clippy::should_implement_trait, reason = "it may fail, and be called again then")]
    pub fn next(&mut self) -> Result<Option<Vec<u8>>> {
        self.next_piece()
    }

    /// Goes on for a bounded while; tells whether there is more to do. [`take`](Self::take) gives what came of it. On an
    /// asynchronous storage it is called again after what it lacked was fetched.
    pub fn step(&mut self) -> Result<bool> {
        self.permit.require()?;
        self.work.step(&self.engine)
    }

    /// The bytes that were made since the last call, perhaps none.
    pub fn take(&mut self) -> Vec<u8> {
        self.work.take()
    }

    /// From here on it is not to lay out, and then not to make, more than so many bytes a second (at least 1): both read all
    /// of the database. A file is made at once, without being laid out. [`write_to`](Self::write_to) keeps to it; whoever calls [`step`](Self::step) waits for
    /// [`rest_ns`](Self::rest_ns) between two calls. Nobody else is held up by that.
    pub fn limit_rate(&mut self, bytes_per_s: u64) {
        let since_ns = self.engine.env.clock.monotonic_ns();
        self.rate = Some(Rate { bytes_per_s: bytes_per_s.max(1), since_ns, since_bytes: self.work.bytes_passed() });
    }

    /// How long to wait before the next step, in nanoseconds, so that the rate that was set is kept: 0 where none is.
    pub fn rest_ns(&self) -> u64 {
        let Some(Rate { bytes_per_s, since_ns, since_bytes }) = self.rate else { return 0 };
        let bytes = u128::from(self.work.bytes_passed().saturating_sub(since_bytes));
        let due_ns = u64::try_from(bytes * 1_000_000_000 / u128::from(bytes_per_s)).unwrap_or(u64::MAX);
        let passed_ns = self.engine.env.clock.monotonic_ns().saturating_sub(since_ns);
        due_ns.saturating_sub(passed_ns)
    }

    /// For a file, whose first bytes can be written in the end.
    #[cfg(all(feature = "std", any(unix, windows)))]
    pub(super) fn make_at_once(&mut self) {
        self.work.make_at_once(&self.engine);
    }

    /// How far it is.
    pub fn progress(&self) -> BackupProgress {
        let ((entries, entries_all), (bytes, bytes_all)) = (self.work.entries(), self.work.bytes());
        BackupProgress { entries, entries_all, copied: self.work.copied(), bytes, bytes_all }
    }

    /// The newest commit that the copy has.
    pub fn sequence(&self) -> u64 {
        self.work.sequence()
    }

    /// The same commit, for an [increment](Database::increment) of what comes after it.
    pub fn position(&self) -> FeedPosition {
        FeedPosition::of(&self.engine, self.work.sequence())
    }
}

impl Pieces for Backup {
    #[cfg(all(feature = "std", any(unix, windows)))]
    type State = BackupProgress;

    #[cfg(all(feature = "std", any(unix, windows)))]
    fn state(&self) -> BackupProgress {
        self.progress()
    }

    #[cfg(all(feature = "std", any(unix, windows)))]
    fn rest_ns(&self) -> u64 {
        self.rest_ns()
    }

    #[cfg(all(feature = "std", any(unix, windows)))]
    fn log_syncs(&self) -> impl Fn() -> u64 + Clone + Send + 'static {
        let engine = Arc::clone(&self.engine);
        move || engine.log_syncs()
    }

    fn go_on(&mut self) -> Result<bool> {
        self.step()
    }

    fn take_made(&mut self) -> Vec<u8> {
        self.take()
    }

    #[cfg(all(feature = "std", any(unix, windows)))]
    fn head(&self) -> Option<&[u8]> {
        self.work.head()
    }
}

impl fmt::Debug for Backup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Backup").field("sequence", &self.sequence()).field("progress", &self.progress()).finish()
    }
}

#[cfg(all(test, feature = "std"))]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;

    use super::*;
    use crate::codec::slot::Slot;
    use crate::engine::{Checksum, Environment, FoundValue};
    use crate::env::{FileId, FixedClock, MemoryStorage, SeededEntropy, Storage};
    use crate::{Compression, Error, Options, Since, Table};

    const T: Table<&[u8], &[u8]> = Table::new("t");

    fn environment(seed: u64) -> Environment {
        Environment { clock: Arc::new(FixedClock(1000)), entropy: Arc::new(SeededEntropy::new(seed)) }
    }

    fn options() -> Options {
        Options { background_thread: false, memtable_bytes: Some(64 << 10), ..Options::default() }
    }

    fn open(storage: &Arc<MemoryStorage>, options: Options) -> Result<Database> {
        Database::open_storage(storage.clone(), environment(2), options)
    }

    fn new_database(options: Options) -> Database {
        open(&Arc::new(MemoryStorage::new()), options).unwrap()
    }

    fn bytes_of(mut backup: Backup) -> Vec<u8> {
        let mut file = Vec::new();
        while let Some(piece) = backup.next().unwrap() {
            file.extend(piece);
        }
        if let Some(head) = backup.work.head() {
            file[..head.len()].copy_from_slice(head);
        }
        let BackupProgress { entries, entries_all, copied, bytes, bytes_all } = backup.progress();
        assert_eq!((entries, Some(bytes)), (entries_all, bytes_all));
        assert_eq!(entries, if backup.work.head().is_some() { copied } else { 2 * copied });
        assert_eq!(bytes, file.len() as u64);
        file
    }

    fn storage_with(file: &[u8]) -> Arc<MemoryStorage> {
        let storage = MemoryStorage::new();
        storage.write_at(FileId::Data, 0, file).unwrap();
        Arc::new(storage)
    }

    fn rows(db: &Database) -> Vec<(Vec<u8>, Vec<u8>)> {
        let snapshot = db.snapshot();
        match snapshot.table(T) {
            Err(Error::NoSuchTable { .. }) => Vec::new(),
            table => table.unwrap().range(..).unwrap().map(|row| row.unwrap()).collect(),
        }
    }

    /// A copy that is whole, holds the same, and goes on as a database does.
    fn require_copy(db: &Database, file: &[u8], expected: &[(Vec<u8>, Vec<u8>)]) {
        let storage = storage_with(file);
        let copy = open(&storage, Options { read_only: true, ..options() }).unwrap();
        assert!(copy.recovery().clean);
        assert_eq!(copy.check().unwrap().problems, Vec::<String>::new());
        assert_eq!(rows(&copy), expected);
        drop(copy);
        let copy = open(&storage, options()).unwrap();
        copy.table(T).unwrap().put(b"new", b"value").unwrap();
        copy.checkpoint().unwrap();
        assert_eq!(copy.check().unwrap().problems, Vec::<String>::new());
        copy.compact().unwrap();
        copy.close().unwrap();
        let copy = open(&storage, options()).unwrap();
        assert_eq!(copy.check().unwrap().problems, Vec::<String>::new());
        let mut with_new = expected.to_vec();
        with_new.retain(|(key, _)| key != b"new");
        let at = with_new.partition_point(|(key, _)| key.as_slice() < b"new".as_slice());
        with_new.insert(at, (b"new".to_vec(), b"value".to_vec()));
        assert_eq!(rows(&copy), with_new);
        assert_eq!(rows(db).is_empty(), expected.is_empty(), "the copy is another database");
    }

    #[test]
    fn an_empty_database_has_a_backup() {
        let db = new_database(options());
        require_copy(&db, &bytes_of(db.backup()), &[]);
        require_copy(&db, &bytes_of(at_once(db.backup())), &[]);
    }

    /// As a file gets it.
    fn at_once(mut backup: Backup) -> Backup {
        backup.make_at_once();
        backup
    }

    #[test]
    fn leaves_are_taken_over_where_nothing_newer_is_in_them_and_what_is_newer_is_in_the_copy() {
        for compression in [Compression::None, Compression::Lz4] {
            let db = new_database(Options { compression, ..options() });
            let value = |n: u32| std::vec![n as u8; 60];
            db.transaction(|tx| (0..8_000_u32).try_for_each(|n| tx.table(T)?.put(n.to_be_bytes(), value(n)))).unwrap();
            db.table(T).unwrap().put(b"long", std::vec![9; 100_000]).unwrap();
            db.compact().unwrap();
            // Leaves have about sixty entries.
            for step in 0..8_u32 {
                for backup in [db.backup(), at_once(db.backup())] {
                    let mut backup = backup;
                    while backup.next().unwrap().is_some() {}
                    let taken = backup.work.leaves_taken_over();
                    assert!(if step < 7 { taken > 80 } else { taken < 20 }, "{step}: {taken}");
                }
                require_copy(&db, &bytes_of(db.backup()), &rows(&db));
                require_copy(&db, &bytes_of(at_once(db.backup())), &rows(&db));
                let table = db.table(T).unwrap();
                match step {
                    0 => table.put(3_000_u32.to_be_bytes(), b"new").unwrap(),
                    1 => table.put([3_000_u32.to_be_bytes().as_slice(), b"beside"].concat(), b"new").unwrap(),
                    2 => _ = table.delete(3_500_u32.to_be_bytes()).unwrap(),
                    3 => table.delete_range(4_000_u32.to_be_bytes()..4_900_u32.to_be_bytes()).unwrap(),
                    4 => table.delete_range(5_010_u32.to_be_bytes()..5_020_u32.to_be_bytes()).unwrap(),
                    // Into a run or the base, and something above it.
                    5 => {
                        db.checkpoint().unwrap();
                        table.put(1_u32.to_be_bytes(), b"first").unwrap();
                        table.put(7_999_u32.to_be_bytes(), b"last").unwrap();
                    }
                    _ => (0..8_000_u32).step_by(20).for_each(|n| table.put(n.to_be_bytes(), b"all").unwrap()),
                }
            }
        }
    }

    #[test]
    fn what_is_committed_and_merged_while_a_backup_is_made_is_no_part_of_it() {
        let db = new_database(Options { step_entries: 500, ..options() });
        let value = std::vec![7; 100];
        db.transaction(|tx| (0..5000_u32).try_for_each(|n| tx.table(T)?.put(n.to_be_bytes(), &value))).unwrap();
        let before = rows(&db);
        let mut backup = db.backup();
        let mut file = Vec::new();
        let mut round = 0_u32;
        // Between steps, so that it happens in both passes.
        let mut more = true;
        while more {
            more = backup.step().unwrap();
            file.extend(backup.take());
            round += 1;
            db.transaction(|tx| {
                tx.table(T)?.put((round * 3).to_be_bytes(), b"changed")?;
                tx.table(T)?.delete_range((round * 50).to_be_bytes()..(round * 50 + 20).to_be_bytes())
            })
            .unwrap();
            db.compact().unwrap();
        }
        assert!(round > 20);
        require_copy(&db, &file, &before);
    }

    #[test]
    fn a_feed_goes_on_in_the_copy_and_not_beyond_where_it_left() {
        let db = new_database(Options { feed_retention_bytes: 1 << 20, ..options() });
        db.table(T).unwrap().put(b"a", b"1").unwrap();
        let common = db.snapshot().position();
        let file = bytes_of(db.backup());
        db.table(T).unwrap().put(b"b", b"2").unwrap();
        let beyond = db.snapshot().position();
        let copy = open(&storage_with(&file), options()).unwrap();
        copy.table(T).unwrap().put(b"c", b"3").unwrap();
        let mut feed = copy.changes(Since::Position(common)).unwrap();
        assert_eq!(feed.next().unwrap().unwrap().sequence(), beyond.sequence());
        assert_eq!(copy.changes(Since::Position(beyond)).unwrap_err().name(), "HistoryForked");
    }

    /// Time passes when it is told to.
    #[derive(Default)]
    struct Told(std::sync::atomic::AtomicU64);

    impl crate::env::Clock for Told {
        fn wall_ms(&self) -> u64 {
            1000
        }
        fn monotonic_ns(&self) -> u64 {
            self.0.load(std::sync::atomic::Ordering::Relaxed)
        }
    }

    #[test]
    fn a_limited_backup_rests_as_long_as_its_rate_asks_and_no_longer() {
        let clock = Arc::new(Told::default());
        let env = Environment { clock: clock.clone(), entropy: Arc::new(SeededEntropy::new(3)) };
        let storage = Arc::new(MemoryStorage::new());
        let db = Database::open_storage(storage, env, Options { step_entries: 100, ..options() }).unwrap();
        db.transaction(|tx| (0..5000_u32).try_for_each(|n| tx.table(T)?.put(n.to_be_bytes(), n.to_le_bytes())))
            .unwrap();
        let mut backup = db.backup();
        assert_eq!(backup.rest_ns(), 0);
        backup.limit_rate(100_000);
        let (mut rested_ns, mut bytes) = (0, 0);
        while backup.step().unwrap() {
            bytes += backup.take().len() as u64;
            let rest_ns = backup.rest_ns();
            clock.0.fetch_add(rest_ns, std::sync::atomic::Ordering::Relaxed);
            rested_ns += rest_ns;
            assert_eq!(backup.rest_ns(), 0);
        }
        // Laid out once and made once; what is behind the trees is made at the end.
        let due_ns = 2 * bytes * 10_000;
        assert!(
            bytes > 15_000 && rested_ns > due_ns / 10 * 8 && rested_ns < due_ns / 10 * 12,
            "{rested_ns} of {due_ns}"
        );
    }

    #[test]
    fn damage_is_no_part_of_a_backup_but_an_error() {
        let storage = Arc::new(MemoryStorage::new());
        let db = open(&storage, options()).unwrap();
        let value = std::vec![7; 100];
        db.transaction(|tx| (0..5000_u32).try_for_each(|n| tx.table(T)?.put(n.to_be_bytes(), &value))).unwrap();
        db.table(T).unwrap().put(b"long", std::vec![9; 100_000]).unwrap();
        db.close().unwrap();
        let len = storage.len(FileId::Data).unwrap();
        let mut refused = 0;
        for at in (8192..len).step_by(10_000) {
            let mut byte = [0];
            storage.read_at(FileId::Data, at, &mut byte).unwrap();
            storage.write_at(FileId::Data, at, &[byte[0] ^ 0x55]).unwrap();
            if let Ok(db) = open(&storage, Options { read_only: true, ..options() }) {
                let mut backup = db.backup();
                let outcome = loop {
                    match backup.next() {
                        Ok(Some(_)) => {}
                        outcome => break outcome,
                    }
                };
                match outcome {
                    Err(error) => {
                        assert_eq!(error.name(), "Corrupt");
                        refused += 1;
                    }
                    Ok(_) => assert_eq!(bytes_of(db.backup()).len(), backup.progress().bytes as usize),
                }
            }
            storage.write_at(FileId::Data, at, &byte).unwrap();
        }
        assert!(refused > 3, "{refused}");
    }

    #[test]
    fn a_backup_leaves_the_cache_as_it_was() {
        let db = new_database(options());
        db.transaction(|tx| (0..8_000_u32).try_for_each(|n| tx.table(T)?.put(n.to_be_bytes(), [7; 60]))).unwrap();
        db.compact().unwrap();
        db.trim_memory(crate::Trim::All);
        assert_eq!(db.table(T).unwrap().get(5_u32.to_be_bytes()).unwrap().unwrap(), [7; 60]);
        let before = db.stats();
        // With leaves that are taken over, and with some that are not.
        for key in [None, Some(1_000_u32), Some(3_000)] {
            if let Some(key) = key {
                db.table(T).unwrap().put(key.to_be_bytes(), b"new").unwrap();
            }
            assert!(bytes_of(db.backup()).len() > 50_000);
        }
        let after = db.stats();
        assert_eq!(after.cache_evictions, before.cache_evictions);
        assert!(
            after.cache_nodes <= before.cache_nodes + 4,
            "{} nodes, {} before",
            after.cache_nodes,
            before.cache_nodes
        );
    }

    #[test]
    fn a_backup_fails_where_a_record_cannot_be_read_and_nowhere_else() {
        let memory = Arc::new(MemoryStorage::new());
        let db = open(&memory, Options { compression: Compression::None, ..options() }).unwrap();
        let put = |part: core::ops::Range<u32>, round: u8| {
            db.transaction(|tx| {
                part.clone().try_for_each(|n| tx.table(T)?.put((n * 7 % 6_000).to_be_bytes(), [round; 60]))
            })
            .unwrap();
            db.checkpoint().unwrap();
        };
        put(0..6_000, 0);
        // Nodes lie between others that are not needed any more.
        (1..12).for_each(|round| put(u32::from(round) * 100..u32::from(round) * 150, round));
        db.close().unwrap();
        let failing = Arc::new(crate::env::Failing { memory: Arc::clone(&memory), ..Default::default() });
        let (mut whole, mut refused) = (0, 0);
        for at in (8192..memory.len(FileId::Data).unwrap()).step_by(4096) {
            let opened =
                || Database::open_storage(failing.clone(), environment(2), Options { read_only: true, ..options() });
            *failing.unreadable.lock().unwrap() = Some(at + 100);
            let Ok(db) = opened() else { continue };
            let mut backup = db.backup();
            let copied = loop {
                match backup.next() {
                    Ok(Some(_)) => {}
                    Ok(None) => break true,
                    Err(_) => break false,
                }
            };
            drop((backup, db));
            // Another handle: what keeps failing is not tried for a while.
            let db = opened().unwrap();
            let snapshot = db.snapshot();
            let read = snapshot.table(T).and_then(|table| table.range(..)?.try_for_each(|row| row.map(drop))).is_ok();
            assert_eq!(copied, read, "with byte {} unreadable", at + 100);
            if copied { whole += 1 } else { refused += 1 }
        }
        assert!(whole > 5 && refused > 20, "{whole} and {refused}");
    }

    #[test]
    fn a_copy_is_hardly_larger_than_one_that_is_made_of_all_entries() {
        for compression in [Compression::None, Compression::Lz4] {
            let db = new_database(Options { compression, ..options() });
            let mut random = 7_u32;
            let mut next = |below: u32| {
                random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (random >> 8) % below
            };
            for round in 0..30_u32 {
                db.transaction(|tx| {
                    let mut table = tx.table(T)?;
                    for _ in 0..1_500 {
                        let key = next(20_000).to_be_bytes();
                        match next(3) {
                            0 => _ = table.delete(key)?,
                            n => table.put(key, std::vec![(round * n) as u8; 40 + next(60) as usize])?,
                        }
                    }
                    Ok(())
                })
                .unwrap();
                db.checkpoint().unwrap();
            }
            let anew = new_database(Options { compression, ..options() });
            anew.transaction(|tx| {
                rows(&db).iter().try_for_each(|(key, value)| tx.table(T)?.put(key.as_slice(), value))
            })
            .unwrap();
            anew.compact().unwrap();
            let (copy, of_entries) = (bytes_of(db.backup()).len(), bytes_of(anew.backup()).len());
            assert!(copy * 100 < of_entries * 115, "{copy} bytes, {of_entries} made of entries");
        }
    }

    #[test]
    fn a_backup_to_a_file_that_is_cancelled_goes_on_where_it_was() {
        let folder = std::env::temp_dir().join(std::format!("lightning-cancelled-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let db = new_database(Options { compression: Compression::None, ..options() });
        db.transaction(|tx| {
            (0..20_000_u32).try_for_each(|n| tx.table(T)?.put(n.to_be_bytes(), n.to_be_bytes().repeat(20)))
        })
        .unwrap();
        let to = folder.join("copy.ldb");
        let mut backup = db.backup();
        let stop = crate::Stop::new();
        let entered = stop.enter();
        let cancelled = backup.write_to(&to, &mut |_| stop.stop());
        assert_eq!(cancelled.unwrap_err(), Error::Cancelled);
        assert!(!to.exists());
        drop(entered);
        let done = backup.write_to(&to, &mut |_| {}).unwrap();
        assert_eq!(done.bytes, std::fs::metadata(&to).unwrap().len());
        assert!(done.bytes > 1_000_000);
        require_copy(&db, &std::fs::read(&to).unwrap(), &rows(&db));
        std::fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn a_value_that_many_keys_lead_to_is_refused_and_not_copied_for_each() {
        let db = new_database(options());
        // Of the only table there is.
        let key = |n: u8| [1, n];
        db.table(T).unwrap().put([0], [9; 100_000]).unwrap();
        db.transaction(|tx| {
            let Some(FoundValue::Extent(value)) = tx.get_raw(&key(0))? else { panic!("it is short") };
            (1..100).try_for_each(|n| tx.write(&key(n), Slot::Extent(value.value)))
        })
        .unwrap();
        assert_eq!(rows(&db).len(), 100, "each is read as what it is");
        let file_bytes = db.stats().file_bytes;
        let mut backup = db.backup();
        let error = loop {
            match backup.next() {
                Ok(Some(bytes)) => assert!(bytes.len() as u64 <= file_bytes),
                Ok(None) => panic!("{} bytes out of {file_bytes}", backup.progress().bytes),
                Err(error) => break error,
            }
        };
        assert_eq!(error.name(), "Corrupt");
        // What was made up cannot be merged.
        db.shut_down_now().unwrap();
    }

    /// The files of a database that goes on after its backup was made, and the backup.
    fn left_behind(goes_on: impl FnOnce(Database, &Arc<MemoryStorage>)) -> (Vec<u8>, Vec<u8>) {
        let storage = Arc::new(MemoryStorage::new());
        let db = open(&storage, options()).unwrap();
        db.table(T).unwrap().put(b"a", b"1").unwrap();
        let file = bytes_of(db.backup());
        db.table(T).unwrap().put(b"b", b"not in the backup").unwrap();
        goes_on(db, &storage);
        let log = storage.contents(FileId::Log);
        assert!(!log.is_empty());
        (file, log)
    }

    #[test]
    fn a_log_that_was_left_beside_a_restored_file_is_neither_replayed_nor_written_over() {
        let killed = left_behind(|db, _| db.shut_down_now().unwrap());
        let opened_again = left_behind(|db, storage| {
            db.close().unwrap();
            let db = open(storage, options()).unwrap();
            db.table(T).unwrap().put(b"c", b"not in the backup").unwrap();
            db.shut_down_now().unwrap();
        });
        for (file, log) in [killed, opened_again] {
            // With one superblock lost whatever the log holds seems to be needed.
            for lost in [None, Some(0), Some(4096)] {
                let mut file = file.clone();
                if let Some(lost) = lost {
                    file[lost..lost + 512].fill(0);
                }
                let storage = Arc::new(MemoryStorage::with_contents(file.clone(), log.clone()));
                let opened = open(&storage, options());
                let error = opened.map(|copy| panic!("{lost:?}: {:?}", rows(&copy))).unwrap_err();
                assert!(error.to_string().contains("restored from a backup"), "{lost:?}: {error}");
                assert!(storage.contents(FileId::Log) == log && storage.contents(FileId::Data) == file);
                require_copy_of_one(&Arc::new(MemoryStorage::with_contents(file, Vec::new())));
            }
        }
    }

    /// Without the log it opens.
    fn require_copy_of_one(storage: &Arc<MemoryStorage>) {
        let copy = open(storage, options()).unwrap();
        assert_eq!(rows(&copy), [(b"a".to_vec(), b"1".to_vec())]);
    }

    #[test]
    fn a_copy_that_was_written_to_opens_beside_its_own_log_however_it_ends() {
        let (file, _) = left_behind(|db, _| db.shut_down_now().unwrap());
        let storage = storage_with(&file);
        for n in 0..6_u8 {
            let copy = open(&storage, options()).unwrap();
            copy.table(T).unwrap().put([b'k', n], b"1").unwrap();
            assert_eq!(rows(&copy).len(), 2 + usize::from(n));
            match n % 3 {
                0 => copy.shut_down_now().unwrap(),
                1 => copy.close().unwrap(),
                _ => {}
            }
        }
    }

    #[test]
    fn a_file_gets_its_name_when_it_is_whole_and_none_is_written_over() {
        let folder = std::env::temp_dir().join(std::format!("lightning-backup-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let db = new_database(options());
        db.table(T).unwrap().put(b"a", b"1").unwrap();
        let to = folder.join("copy.ldb");
        let mut told = 0;
        let done = db.backup_to(&to, &mut |_| told += 1).unwrap();
        assert!(told > 0);
        assert_eq!(std::fs::metadata(&to).unwrap().len(), done.bytes);
        assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 1);
        require_copy(&db, &std::fs::read(&to).unwrap(), &rows(&db));
        let again = db.backup_to(&to, &mut |_| {}).unwrap_err();
        assert!(again.to_string().contains("exists"), "{again}");
        assert!(db.backup_to(folder.join("none/copy.ldb"), &mut |_| {}).is_err());
        let others = folder.join("other.ldb-partial");
        std::fs::write(&others, "somebody's").unwrap();
        let refused = db.backup_to(folder.join("other.ldb"), &mut |_| {}).unwrap_err();
        assert!(refused.to_string().contains("exists"), "{refused}");
        assert_eq!(std::fs::read(&others).unwrap(), b"somebody's");
        std::fs::remove_dir_all(&folder).unwrap();
    }

    #[derive(Clone, Debug)]
    enum Step {
        Put(u16, usize),
        DeleteRange(u16, u16),
        Checkpoint,
        Compact,
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            6 => (0..500_u16, prop_oneof![0..200_usize, 8_000..9_000_usize, 60_000..140_000_usize])
                .prop_map(|(key, len)| Step::Put(key, len)),
            2 => (0..500_u16, 0..60_u16).prop_map(|(from, len)| Step::DeleteRange(from, len)),
            1 => Just(Step::Checkpoint),
            1 => Just(Step::Compact),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]
        #[test]
        fn a_backup_holds_what_the_snapshot_sees_in_whichever_layers_it_lies(
            steps in proptest::collection::vec(step(), 1..60),
            checksum in proptest::sample::select(Checksum::ALL),
        ) {
            let db = new_database(Options { checksum, ..options() });
            for (number, step) in steps.iter().enumerate() {
                match *step {
                    Step::Put(key, len) => {
                        let value = std::vec![number as u8; len];
                        db.table(T).unwrap().put(key.to_be_bytes(), &value).unwrap();
                    }
                    Step::DeleteRange(from, len) => {
                        let to = from.saturating_add(len);
                        db.table(T).unwrap().delete_range(from.to_be_bytes()..to.to_be_bytes()).unwrap();
                    }
                    Step::Checkpoint => db.checkpoint().unwrap(),
                    Step::Compact => db.compact().unwrap(),
                }
            }
            let file = bytes_of(db.backup());
            require_copy(&db, &file, &rows(&db));
        }
    }
}
