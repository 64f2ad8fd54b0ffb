//! How fast reads of a database at rest are: `read-profile [records [threads [what [batches]]]]`, in millions a second.
//!
//! Keys of 16 bytes in no order, values of 100, everything merged into the base and resident. For counting instructions
//! give one `what` and a number of batches, which are then done once, and run it under `valgrind --tool=callgrind`: the
//! difference of two runs, divided by that of the operations they tell, is what one costs.

use std::hint::black_box;
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use lightning_db::env::{FixedClock, MemoryStorage, SeededEntropy, Storage};
use lightning_db::{Database, Durability, Environment, Options, Result, Snapshot, Table};

const RECORDS: Table<&[u8], &[u8]> = Table::new("records");
/// Each figure is the best of this many rounds.
const ROUNDS: usize = 5;
const ROUND_TIME: Duration = Duration::from_millis(200);

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |at: usize, default: u64| arguments.get(at).and_then(|text| text.parse().ok()).unwrap_or(default);
    let (records, threads) = (number(0, 1_000_000), number(1, 1));
    let wanted = arguments.get(2).map_or("all", String::as_str);
    let db = filled(records)?;
    for (name, work) in LOADS {
        if wanted != "all" && wanted != name {
            continue;
        }
        if let Some(batches) = arguments.get(3).and_then(|text| text.parse().ok()) {
            println!("{name}: {} operations", count(&db, records, work, batches)?);
            continue;
        }
        let mut best = 0.0f64;
        for _ in 0..ROUNDS {
            best = best.max(measure(&db, threads, records, work)?);
        }
        println!("{records} records, {threads} threads, {name}: {best:.3} M/s");
    }
    Ok(())
}

/// Does a batch and tells how many operations it was.
type Load = fn(&Database, &Snapshot, &mut Random, u64) -> Result<u64>;

const LOADS: [(&str, Load); 7] = [
    ("get", |_, snapshot, random, records| gets(snapshot, random, records, 0)),
    ("missing", |_, snapshot, random, records| gets(snapshot, random, records, 1)),
    ("fresh snapshot", |db, _, random, records| {
        for _ in 0..1000 {
            let fresh = db.snapshot();
            black_box(fresh.table(RECORDS)?.get(&key(random.below(records), 0)[..])?);
        }
        Ok(1000)
    }),
    ("get_many", |_, snapshot, random, records| {
        let table = snapshot.table(RECORDS)?;
        for _ in 0..20 {
            let keys: [[u8; 16]; 100] = std::array::from_fn(|_| key(random.below(records), 0));
            let keys: Vec<&[u8]> = keys.iter().map(|key| &key[..]).collect();
            black_box(table.get_many(&keys)?);
        }
        Ok(2000)
    }),
    ("seek+10", |_, snapshot, random, records| {
        let table = snapshot.table(RECORDS)?;
        let mut cursor = table.cursor(..)?;
        for _ in 0..1000 {
            black_box(cursor.seek(&key(random.below(records), 0)[..])?);
            for _ in 0..9 {
                black_box(cursor.next()?);
            }
        }
        Ok(1000)
    }),
    ("fresh range+10", |_, snapshot, random, records| {
        let table = snapshot.table(RECORDS)?;
        for _ in 0..1000 {
            let from = key(random.below(records), 0);
            let mut cursor = table.cursor(&from[..]..)?;
            black_box(cursor.first()?);
            for _ in 0..9 {
                black_box(cursor.next()?);
            }
        }
        Ok(1000)
    }),
    ("scan", |_, snapshot, _, records| {
        let table = snapshot.table(RECORDS)?;
        let mut cursor = table.cursor(..)?;
        let mut entries = 0;
        let mut bytes = 0;
        let mut entry = cursor.first()?;
        while let Some((key, value)) = entry {
            entries += 1;
            bytes += key.len() + value.len();
            entry = cursor.next()?;
        }
        assert_eq!(entries, records);
        black_box(bytes);
        Ok(entries)
    }),
];

fn gets(snapshot: &Snapshot, random: &mut Random, records: u64, variant: u8) -> Result<u64> {
    let table = snapshot.table(RECORDS)?;
    for _ in 0..5000 {
        let key = key(random.below(records), variant);
        let found = table.get(&key[..])?;
        assert_eq!(found.is_some(), variant == 0);
        if let Some(found) = &found {
            black_box(found.bytes()[0]);
        }
    }
    Ok(5000)
}

fn measure(db: &Database, threads: u64, records: u64, work: Load) -> Result<f64> {
    let rates: Vec<Result<f64>> = std::thread::scope(|scope| {
        let running: Vec<_> = (0..threads)
            .map(|thread| {
                scope.spawn(move || {
                    let snapshot = db.snapshot();
                    let mut random = Random(thread + 1);
                    let start = on_processor();
                    let mut done = 0;
                    while on_processor() - start < ROUND_TIME {
                        done += work(db, &snapshot, &mut random, records)?;
                    }
                    Ok(done as f64 / (on_processor() - start).as_secs_f64() / 1e6)
                })
            })
            .collect();
        running.into_iter().map(|thread| thread.join().unwrap_or(Ok(0.0))).collect()
    });
    rates.into_iter().sum()
}

fn count(db: &Database, records: u64, work: Load, batches: u64) -> Result<u64> {
    let (snapshot, mut random) = (db.snapshot(), Random(1));
    (0..batches).map(|_| work(db, &snapshot, &mut random, records)).sum()
}

/// The processor time of this thread where the system tells it, so that other programs disturb less.
fn on_processor() -> Duration {
    let told = std::fs::read_to_string("/proc/thread-self/schedstat").ok();
    let nanoseconds = told.as_deref().and_then(|text| text.split(' ').next()?.parse().ok());
    nanoseconds.map_or_else(|| BEGUN.elapsed(), Duration::from_nanos)
}

static BEGUN: LazyLock<Instant> = LazyLock::new(Instant::now);

fn filled(records: u64) -> Result<Database> {
    let env = Environment { clock: Arc::new(FixedClock(1000)), entropy: Arc::new(SeededEntropy::new(7)) };
    let mut options = Options::default();
    options.memory_budget_bytes = 1 << 30;
    options.durability = Durability::Relaxed;
    options.background_thread = false;
    let db = Database::open_storage(Arc::new(MemoryStorage::new()) as Arc<dyn Storage>, env, options)?;
    let mut random = Random(99);
    for batch in 0..records.div_ceil(1000) {
        db.transaction(|tx| {
            let mut table = tx.table(RECORDS)?;
            for record in batch * 1000..records.min(batch * 1000 + 1000) {
                let value: Vec<u8> = (0..100).map(|_| random.next() as u8).collect();
                table.put(&key(record, 0)[..], &value[..])?;
            }
            Ok(())
        })?;
        while db.step()? == lightning_db::Progress::More {}
    }
    db.compact()?;
    Ok(db)
}

/// Record `record`'s key; variants other than 0 are never put, and lie among those that are.
fn key(record: u64, variant: u8) -> [u8; 16] {
    let mixed = mix(record.wrapping_add(1));
    let mut key = [0; 16];
    key[..8].copy_from_slice(&mixed.to_be_bytes());
    key[8..].copy_from_slice(&mix(mixed).to_be_bytes());
    key[15] = variant;
    key
}

fn mix(mut x: u64) -> u64 {
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0)
    }

    fn below(&mut self, limit: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(limit)) >> 64) as u64
    }
}
