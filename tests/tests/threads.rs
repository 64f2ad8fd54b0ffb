//! A whole database under real threads: what they do together keeps what each relies on. `cargo xtask test thread` runs this
//! with every access watched for races; the orders are chosen in `tests/schedules` instead.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use lightning_db::env::{FixedClock, SeededEntropy, Storage};
use lightning_db::{Database, Durability, Environment, Error, Isolation, Options, Table};
use lightning_db_tests::random::Random;
use lightning_db_tests::sim_disk::SimDisk;

const ACCOUNTS: Table<'static, u64, i64> = Table::new("accounts");
const LETTERS: Table<'static, (u64, u64), Vec<u8>> = Table::new("letters");
const ACCOUNT_COUNT: u64 = 64;
const WRITERS: u64 = 4;
const READERS: u64 = 3;
const ROUNDS: u64 = 150;

fn open(disk: &Arc<SimDisk>) -> Database {
    let env = Environment { clock: Arc::new(FixedClock(1)), entropy: Arc::new(SeededEntropy::new(1)) };
    let mut options = Options::default();
    options.memory_budget_bytes = 2 << 20;
    // Small, so that flushes and merges go on all the time.
    options.memtable_bytes = Some(16 << 10);
    options.log_segment_bytes = 64 << 10;
    options.inline_bytes_max = 1 << 10;
    Database::open_storage(Arc::clone(disk) as Arc<dyn Storage>, env, options).unwrap()
}

/// Moves 1 from one account to another, in one of the ways there are.
fn transfer(db: &Database, random: &mut Random) {
    let (from, to) = (random.below(ACCOUNT_COUNT), random.below(ACCOUNT_COUNT));
    let durability = if random.chance(1, 4) { Durability::Sync } else { Durability::Relaxed };
    let way = random.below(3);
    loop {
        let result = match way {
            0 => db.transaction_with(durability, |tx| {
                let mut accounts = tx.table(ACCOUNTS)?;
                accounts.increment(from, -1)?;
                accounts.increment(to, 1).map(drop)
            }),
            1 => db.optimistic(Isolation::Serializable, |tx| {
                let mut accounts = tx.table(ACCOUNTS)?;
                accounts.increment(from, -1)?;
                accounts.increment(to, 1).map(drop)
            }),
            _ => (|| {
                let mut tx = db.begin(Isolation::Snapshot);
                for (account, by) in [(from.min(to), 1), (from.max(to), -1)] {
                    let mut accounts = tx.table(ACCOUNTS)?;
                    let value = accounts.get_for_update(account)?.unwrap().into_owned()?;
                    accounts.put(account, value + by)?;
                }
                tx.commit_with(durability)
            })(),
        };
        match result {
            Ok(()) => return,
            Err(Error::Conflict { .. } | Error::Deadlock { .. } | Error::TransactionTooOld) => {}
            Err(error) => panic!("{error}"),
        }
    }
}

#[test]
fn threads_share_a_database() {
    let disk = Arc::new(SimDisk::new(1));
    let db = open(&disk);
    db.transaction(|tx| (0..ACCOUNT_COUNT).try_for_each(|account| tx.table(ACCOUNTS)?.put(account, 100))).unwrap();
    db.transaction(|tx| tx.table(LETTERS).map(drop)).unwrap();
    let done = AtomicBool::new(false);
    let reads = AtomicU64::new(0);
    thread::scope(|scope| {
        let (db, done, reads) = (&db, &done, &reads);
        let writers: Vec<_> = (0..WRITERS)
            .map(|writer| {
                scope.spawn(move || {
                    let mut random = Random::new(writer);
                    for round in 0..ROUNDS {
                        transfer(db, &mut random);
                        // Some in the log, some in extents of their own.
                        let letter = vec![writer as u8; random.between(1, 3000) as usize];
                        db.table(LETTERS).unwrap().put((writer, round), letter).unwrap();
                        if round >= 20 {
                            assert!(db.table(LETTERS).unwrap().delete((writer, round - 20)).unwrap());
                        }
                    }
                })
            })
            .collect();
        for _ in 0..READERS {
            scope.spawn(move || {
                while !done.load(Ordering::Relaxed) {
                    let snapshot = db.snapshot();
                    let accounts = snapshot.table(ACCOUNTS).unwrap();
                    let sum: i64 = accounts.range(..).unwrap().map(|row| row.unwrap().1).sum();
                    assert_eq!(sum, 100 * ACCOUNT_COUNT as i64);
                    for row in snapshot.table(LETTERS).unwrap().range(..).unwrap() {
                        let ((writer, _), letter) = row.unwrap();
                        assert!(letter.iter().all(|byte| u64::from(*byte) == writer));
                    }
                    reads.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        scope.spawn(move || {
            while !done.load(Ordering::Relaxed) {
                db.checkpoint().unwrap();
                db.compact().unwrap();
                db.check().unwrap();
                db.sync().unwrap();
            }
        });
        writers.into_iter().for_each(|writer| writer.join().unwrap());
        done.store(true, Ordering::Relaxed);
    });
    assert!(reads.load(Ordering::Relaxed) > 0);
    assert_eq!(db.table(LETTERS).unwrap().len().unwrap(), WRITERS * 20);
    db.check().unwrap();
    db.close().unwrap();
    drop(db);
    disk.power_loss(1);
    let again = open(&disk);
    assert_eq!(again.table(LETTERS).unwrap().len().unwrap(), WRITERS * 20);
    again.check().unwrap();
}
