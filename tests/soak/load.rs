//! What is done to the database: reads, overwrites, scans, and churn that keeps the number of records about the same.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use lightning_db::{Database, Durability, Options, Snapshot, Table};
use lightning_db_tests::random::Random;

const TABLE: Table<'static, u64, &'static [u8]> = Table::new("records");
const BUDGET_BYTES: usize = 16 << 20;
const VALUE_BYTES_MAX: usize = 400;
/// Commits are synced within this.
const PERIODIC: Durability = Durability::Periodic { interval_ms: 100 };
/// One commit in so many is synced at once.
const SYNCED_ONE_IN: u64 = 1000;
/// Every so many operations a snapshot is taken anew and kept until then.
const SNAPSHOT_EVERY: u64 = 50_000;
/// Every so many a range is deleted and written again.
const PURGE_EVERY: u64 = 20_000;
const PURGED_KEYS: u64 = 500;
/// Records taken by a scan.
const SCANNED: usize = 50;

/// The database under load.
pub struct Load {
    database: Database,
    random: Random,
    keys: u64,
    done: u64,
    held: Option<Snapshot>,
    noise: Vec<u8>,
}

/// What one stretch of load measured, in nanoseconds.
#[derive(Default)]
pub struct Window {
    /// Each read of one record.
    pub reads: Vec<u64>,
    /// Each relaxed commit of one record.
    pub writes: Vec<u64>,
    /// A fixed piece of work in memory, which tells how fast the machine was just then.
    pub yardsticks: Vec<u64>,
}

impl Load {
    /// A new database of half of the keys.
    pub fn start(path: &Path, keys: u64) -> Result<Self> {
        let mut options = Options::default();
        options.memory_budget_bytes = BUDGET_BYTES;
        options.durability = PERIODIC;
        let database = Database::open(path, options)?;
        let mut random = Random::new(1);
        let noise = random.bytes(1 << 20);
        let load = Self { database, random, keys, done: 0, held: None, noise };
        for batch in (0..keys).collect::<Vec<_>>().chunks(1000) {
            load.database.transaction_with(Durability::Relaxed, |tx| {
                let mut table = tx.table(TABLE)?;
                batch.iter().filter(|key| **key % 2 == 0).try_for_each(|key| table.put(*key, load.value(*key, *key)))
            })?;
        }
        Ok(load)
    }

    pub fn database(&self) -> &Database {
        &self.database
    }

    /// `rate` operations a second for `duration`, evenly.
    pub fn run(&mut self, rate: u64, duration: Duration) -> Result<Window> {
        const TICK: Duration = Duration::from_millis(10);
        let mut window = Window::default();
        let start = Instant::now();
        let (mut done, mut ticks) = (0, 0);
        while ticks * TICK.as_millis() < duration.as_millis() {
            ticks += 1;
            let due = (TICK.as_secs_f64() * ticks as f64 * rate as f64) as u64;
            while done < due {
                self.operation(&mut window)?;
                done += 1;
            }
            let yardstick = Instant::now();
            std::hint::black_box(self.noise.iter().fold(0_u64, |sum, byte| sum.rotate_left(5) ^ u64::from(*byte)));
            window.yardsticks.push(nanoseconds(yardstick));
            // A machine that is too slow for the rate is not paced: it does what it can.
            std::thread::sleep((TICK * ticks as u32).saturating_sub(start.elapsed()));
        }
        Ok(window)
    }

    /// Everything must still be there, and whole.
    pub fn finish(mut self) -> Result<()> {
        self.held = None;
        let report = self.database.check()?;
        ensure!(report.is_clean(), "check found: {}", report.problems.join("; "));
        Ok(self.database.close()?)
    }

    fn operation(&mut self, window: &mut Window) -> Result<()> {
        self.done += 1;
        if self.done.is_multiple_of(SNAPSHOT_EVERY) {
            self.held = Some(self.database.snapshot());
        }
        if self.done.is_multiple_of(PURGE_EVERY) {
            return self.purge();
        }
        let key = self.random.below(self.keys);
        let kind = self.random.below(100);
        let start = Instant::now();
        match kind {
            0..=54 => {
                let snapshot = self.database.snapshot();
                if let Some(found) = snapshot.table(TABLE)?.get(key)? {
                    ensure!(found.bytes().starts_with(&key.to_le_bytes()), "key {key} holds another key's value");
                }
                window.reads.push(nanoseconds(start));
            }
            55..=59 => {
                let snapshot = self.database.snapshot();
                for entry in snapshot.table(TABLE)?.range(key..)?.take(SCANNED) {
                    std::hint::black_box(entry?);
                }
            }
            60..=89 => {
                let durability = if self.done.is_multiple_of(SYNCED_ONE_IN) { Durability::Sync } else { PERIODIC };
                self.database
                    .transaction_with(durability, |tx| tx.table(TABLE)?.put(key, self.value(key, self.done)))?;
                window.writes.push(nanoseconds(start));
            }
            // As many are removed as overwriting brings new ones: half of the keys exist.
            _ => {
                let other = self.random.below(self.keys);
                self.database.transaction(|tx| {
                    let mut table = tx.table(TABLE)?;
                    (0..3).try_for_each(|step| table.delete((other + step) % self.keys).map(drop))
                })?;
            }
        }
        Ok(())
    }

    fn purge(&mut self) -> Result<()> {
        let first = self.random.below(self.keys - PURGED_KEYS.min(self.keys - 1));
        let keys = first..(first + PURGED_KEYS).min(self.keys);
        self.database.transaction(|tx| tx.table(TABLE)?.delete_range(keys.clone()))?;
        self.database.transaction(|tx| {
            let mut table = tx.table(TABLE)?;
            keys.filter(|key| key % 2 == 0).try_for_each(|key| table.put(key, self.value(key, self.done)))
        })?;
        Ok(())
    }

    /// The key, then bytes of which half do not compress, of a length that varies.
    fn value(&self, key: u64, version: u64) -> Vec<u8> {
        let mut random = Random::new(key ^ version.rotate_left(32));
        let len = 8 + random.index(VALUE_BYTES_MAX - 8);
        let mut value = key.to_le_bytes().to_vec();
        value.extend(random.bytes(len / 2));
        value.resize(len.max(value.len()), b'.');
        value
    }
}

fn nanoseconds(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_nanos()).unwrap_or(u64::MAX)
}
