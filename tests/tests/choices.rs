//! What is chosen when a database is made (compression, checksum) changes how it is stored and nothing else.

use std::collections::BTreeMap;
use std::sync::Arc;

use lightning_db::env::{FileId, FixedClock, MemoryStorage, SeededEntropy};
use lightning_db::{Checksum, Compression, Database, Environment, Error, Options, Progress, Table};
use lightning_db_tests::random::Random;

const TABLE: Table<u32, &[u8]> = Table::new("table");

const CHOICES: [(Compression, Checksum); 6] = [
    (Compression::None, Checksum::Crc32),
    (Compression::Lz4, Checksum::Crc32),
    (Compression::Zstd, Checksum::Crc32),
    (Compression::None, Checksum::Blake3),
    (Compression::Lz4, Checksum::Blake3),
    (Compression::Zstd, Checksum::Blake3),
];

type Contents = BTreeMap<u32, Vec<u8>>;

fn options((compression, checksum): (Compression, Checksum)) -> Options {
    let mut options = Options::default();
    options.compression = compression;
    options.checksum = checksum;
    options.memory_budget_bytes = 2 << 20;
    options.memtable_bytes = Some(64 << 10);
    options.log_segment_bytes = 64 << 10;
    options.inline_bytes_max = 2 << 10;
    options.background_thread = false;
    options
}

fn open(storage: &Arc<MemoryStorage>, options: Options) -> Result<Database, Error> {
    let env = Environment { clock: Arc::new(FixedClock(1000)), entropy: Arc::new(SeededEntropy::new(7)) };
    Database::open_storage(Arc::<MemoryStorage>::clone(storage), env, options)
}

fn read(db: &Database) -> Result<Contents, Error> {
    db.snapshot().table(TABLE)?.range(..)?.collect()
}

/// A base of two levels, runs, deleted ranges, values in extents of their own, and commits that are only in the log.
fn crashed(choice: (Compression, Checksum)) -> (Arc<MemoryStorage>, Contents) {
    let storage = Arc::new(MemoryStorage::new());
    let db = open(&storage, options(choice)).unwrap();
    let table = db.table(TABLE).unwrap();
    let mut random = Random::new(5);
    let mut contents = Contents::new();
    db.transaction(|tx| {
        let mut table = tx.table(TABLE)?;
        for key in 0..9000 {
            // Repetition, which LZ4 finds too, and digits, which only entropy coding makes smaller.
            let value = format!("value of key {key}, alike: {:016x}{:016x}", random.bits(), random.bits()).into_bytes();
            table.put(key, &value)?;
            contents.insert(key, value);
        }
        Ok(())
    })
    .unwrap();
    for round in 0..6u32 {
        for _ in 0..60 {
            let (key, len) = (random.below(9000) as u32, random.below(1500) as usize);
            let value = vec![round as u8; len];
            table.put(key, &value).unwrap();
            contents.insert(key, value);
        }
        let start = random.below(8000) as u32;
        table.delete_range(start..start + 40).unwrap();
        contents.retain(|key, _| !(start..start + 40).contains(key));
        let long: Vec<u8> = (0..90_000u32).map(|at| (at.wrapping_mul(at) >> 5) as u8).collect();
        table.put(round * 1000, &long).unwrap();
        contents.insert(round * 1000, long);
        while db.step().unwrap() == Progress::More {}
    }
    assert!(db.stats().runs > 0, "{:?}", db.stats());
    table.put(1, b"only in the log").unwrap();
    contents.insert(1, b"only in the log".to_vec());
    let files = MemoryStorage::with_contents(storage.contents(FileId::Data), storage.contents(FileId::Log));
    (Arc::new(files), contents)
}

#[test]
fn every_choice_stores_recovers_and_checks_alike() {
    let mut node_bytes = BTreeMap::new();
    for choice in CHOICES {
        let (storage, contents) = crashed(choice);
        // Opened with other options than it was made with: those it was made with stay.
        let db = open(&storage, options((Compression::Lz4, Checksum::Crc32))).unwrap();
        assert!(db.recovery().replayed_commits > 0);
        assert_eq!((db.stats().compression, db.stats().checksum), choice);
        assert!(read(&db).unwrap() == contents, "{choice:?}");
        assert_eq!(db.check().unwrap().problems, Vec::<String>::new(), "{choice:?}");
        db.compact().unwrap();
        node_bytes.insert(format!("{choice:?}"), db.check().unwrap().node_bytes);
        db.close().unwrap();
        let db = open(&storage, Options::default()).unwrap();
        assert_eq!((db.stats().compression, db.stats().checksum), choice, "after it was written to");
        assert!(read(&db).unwrap() == contents, "{choice:?}, closed");
        assert_eq!(db.check().unwrap().problems, Vec::<String>::new(), "{choice:?}, closed");
    }
    let bytes = |choice: (Compression, Checksum)| node_bytes[&format!("{choice:?}")];
    for checksum in [Checksum::Crc32, Checksum::Blake3] {
        let [none, lz4, zstd] = [Compression::None, Compression::Lz4, Compression::Zstd].map(|c| bytes((c, checksum)));
        assert!(lz4 * 10 < none * 9 && zstd * 10 < lz4 * 9, "{node_bytes:?}");
    }
    let (crc32, blake3) = (bytes((Compression::Lz4, Checksum::Crc32)), bytes((Compression::Lz4, Checksum::Blake3)));
    assert!(crc32 < blake3 && blake3 * 100 < crc32 * 102, "12 bytes more for each node: {node_bytes:?}");
}

#[test]
fn a_flipped_bit_is_noticed_whatever_was_chosen() {
    for choice in CHOICES {
        let (storage, contents) = crashed(choice);
        let (data, log) = (storage.contents(FileId::Data), storage.contents(FileId::Log));
        let mut noticed = 0;
        for at in (8192..data.len()).step_by(data.len() / 60) {
            let mut data = data.clone();
            data[at] ^= 1 << (at % 8);
            let damaged = Arc::new(MemoryStorage::with_contents(data, log.clone()));
            let Ok(db) = open(&damaged, Options::default()) else {
                noticed += 1;
                continue;
            };
            let whole = db.check().is_ok_and(|report| report.is_clean());
            match read(&db) {
                Ok(found) => assert!(found == contents, "{choice:?}: byte {at}: other contents"),
                Err(error) => {
                    assert!(matches!(error, Error::Corrupt(_)), "{error}");
                    assert!(!whole, "{choice:?}: byte {at}: the check found nothing");
                }
            }
            noticed += usize::from(!whole);
        }
        assert!(noticed > 20, "{choice:?}: {noticed}");
    }
}
