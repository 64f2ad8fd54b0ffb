//! Phases that write to a loaded database.

use std::path::Path;
use std::thread;

use super::Result;
use super::clock::Stopwatch;
use super::data::{Entry, RECORD_BYTES, Random, entry};
use super::dataset::{put_in_batches, verify_entries};
use super::engine::Engine;
use super::measure::{Metric, Unit, rates};
use super::process::Written;

/// Entries made at a time, outside the timed part.
const MADE: usize = 1_000;
/// Synced transactions in one sample, all clients together.
const SYNCED: u64 = 2_000;

/// New random keys, one transaction each.
pub(crate) fn put_relaxed<E: Engine>(engine: &E, row: &str, records: u64, round: u64) -> Result<Vec<Metric>> {
    let puts = (records / 20).clamp(1_000, 100_000);
    let first = new_indices(0, round);
    let mut watch = Stopwatch::default();
    let mut done = 0;
    while done < puts {
        let entries: Vec<Entry> = (first + done..first + puts).take(MADE).map(|index| entry(index, 0)).collect();
        watch.time(|| entries.iter().try_for_each(|(key, value)| engine.put(key, value)))?;
        done += entries.len() as u64;
    }
    verify_entries(engine, (first..first + puts).map(|index| entry(index, 0)))?;
    Ok(rates(row, puts, &watch, 1))
}

/// New random keys, one synced transaction each, from so many threads.
pub(crate) fn put_sync<E: Engine>(
    engine: &E,
    row: &str,
    clients: u32,
    seconds: f64,
    round: u64,
) -> Result<Vec<Metric>> {
    // A short run (`--quick`) has less time for a sample, and as much fewer transactions.
    let puts = ((SYNCED as f64 * seconds.min(1.0)) as u64 / u64::from(clients)).max(1);
    let first = new_indices(u64::from(clients), round);
    let shares: Vec<Vec<Entry>> = (0..u64::from(clients))
        .map(|client| (first + client * puts..).take(puts as usize).map(|index| entry(index, 0)).collect())
        .collect();
    let mut watch = Stopwatch::default();
    watch.time(|| {
        thread::scope(|scope| -> Result<()> {
            let threads: Vec<_> = shares
                .iter()
                .map(|share| scope.spawn(|| share.iter().try_for_each(|(key, value)| engine.put(key, value))))
                .collect();
            threads.into_iter().try_for_each(|thread| thread.join().map_err(|_| "a writing thread panicked")?)
        })
    })?;
    verify_entries(engine, shares.iter().flatten().copied())?;
    Ok(rates(row, puts * u64::from(clients), &watch, 1))
}

/// As many random overwrites as there are records, in synced batches. What the background still writes for them
/// counts as written.
pub(crate) fn overwrite<E: Engine>(
    engine: &E,
    directory: &Path,
    row: &str,
    records: u64,
    round: u64,
) -> Result<Vec<Metric>> {
    let before = Written::until_now(directory)?;
    let mut random = Random::new(row, round);
    let entries = (0..records).map(|_| entry(random.below(records), 2 + round));
    let mut watch = Stopwatch::default();
    put_in_batches(engine, entries, &mut watch)?;
    let mut metrics = rates(row, records, &watch, 1);
    watch.time(|| engine.settle())?;
    metrics.extend(rates(&format!("{row}, until at rest"), records, &watch, 1));
    let written = Written::until_now(directory)?.since(&before);
    let given = records * RECORD_BYTES as u64;
    metrics.push(Metric::new("write amplification", Unit::Amplification, written as f64 / given as f64));
    Ok(metrics)
}

/// The first of 2^28 indices that no other phase or round writes: above all loaded ones, below those never written.
fn new_indices(kind: u64, round: u64) -> u64 {
    (kind + 1) << 48 | round << 28
}
