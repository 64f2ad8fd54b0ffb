//! A clock that is set forward and back by anything up to centuries while transactions run.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use lightning_db::env::{Clock, FileStorage, OpenMode, SystemClock, SystemEntropy};
use lightning_db::{Database, Durability, Environment, Options};
use lightning_db_tests::random::Random;

use super::Site;
use super::witness::Witness;

/// The system's clock, whose wall is wherever somebody put it.
#[derive(Debug, Default)]
struct SkewedClock {
    system: SystemClock,
    wall_ms: AtomicU64,
}

impl Clock for SkewedClock {
    fn wall_ms(&self) -> u64 {
        self.wall_ms.load(Ordering::Relaxed)
    }
    fn monotonic_ns(&self) -> u64 {
        self.system.monotonic_ns()
    }
}

/// Milliseconds since 1970: then, the day before, today, the year 2554 (where nanoseconds end), the end of time.
const TIMES: [u64; 5] = [0, 1_790_000_000_000 - 86_400_000, 1_790_000_000_000, 18_446_744_073_710, u64::MAX];

pub fn run(site: &Site) -> Result<String> {
    let clock = Arc::new(SkewedClock::default());
    let mut witness = Witness::new(site.seed, 5000, 300);
    let (mut openings, start) = (0, Instant::now());
    let stop = AtomicBool::new(false);
    let jumps = std::thread::scope(|scope| {
        let jumping = scope.spawn(|| {
            let (mut random, mut jumps) = (Random::new(site.seed), 0_u64);
            while !stop.load(Ordering::Relaxed) {
                let about = TIMES[random.index(TIMES.len())];
                clock.wall_ms.store(about.wrapping_add(random.below(1000)), Ordering::Relaxed);
                jumps += 1;
                std::thread::sleep(Duration::from_micros(random.below(500)));
            }
            jumps
        });
        let outcome = (|| {
            while start.elapsed() < site.seconds || openings < 3 {
                openings += 1;
                life(site, &clock, &mut witness)?;
            }
            Ok(())
        })();
        stop.store(true, Ordering::Relaxed);
        let jumps = jumping.join().unwrap_or_default();
        outcome.map(|()| jumps)
    })
    .map_err(|error: anyhow::Error| error)?;
    ensure!(jumps > 100, "the clock jumped only {jumps} times");
    Ok(format!(
        "the clock jumped {jumps} times in {openings} openings; {} transactions at each durability, none lost or late",
        witness.acknowledged()
    ))
}

/// From opening to closing.
fn life(site: &Site, clock: &Arc<SkewedClock>, witness: &mut Witness) -> Result<()> {
    let storage = FileStorage::open(site.path(), OpenMode::CREATE)?;
    let environment = Environment { clock: Arc::clone(clock) as Arc<dyn Clock>, entropy: Arc::new(SystemEntropy) };
    let mut options = Options::default();
    options.memory_budget_bytes = 4 << 20;
    options.memtable_bytes = Some(128 << 10);
    let database = Database::open_storage(Arc::new(storage), environment, options)?;
    witness.verify_reopened(&database).context("after opening")?;
    for durability in [Durability::Relaxed, Durability::Periodic { interval_ms: 20 }, Durability::Sync] {
        for _ in 0..200 {
            witness.commit(&database, durability)?;
        }
    }
    // What is synced periodically must not wait for a time that never comes.
    let synced = |database: &Database| database.stats().sync_latency.count();
    let (before, commits) = (synced(&database), database.stats().commits);
    // A transaction that deletes only what is not there commits nothing.
    while database.stats().commits == commits {
        witness.commit(&database, Durability::Periodic { interval_ms: 20 })?;
    }
    let deadline = Instant::now() + Duration::from_secs(20);
    while synced(&database) == before {
        ensure!(Instant::now() < deadline, "a commit with an interval of 20 ms is not synced after 20 s");
        std::thread::sleep(Duration::from_millis(1));
    }
    witness.verify(&database)?;
    Ok(database.close()?)
}
