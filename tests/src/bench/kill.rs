//! How long a database takes to open after its process was killed, and what it has kept.

use super::Result;
use super::clock::Stopwatch;
use super::data::{Entry, RECORD_BYTES, Random, entry, key};
use super::dataset::Datasets;
use super::engine::{Engine, Settings, View};
use super::measure::{Metric, Unit};

/// What the log of Lightning DB holds by default before it is merged: two memtables of 8 MB.
const LOG_BYTES: usize = 16 << 20;
const BATCH: usize = 100;
const DATASET: &str = "kill";

/// Overwrites random records of a database at rest until a full log's worth is written. Then the conductor kills.
pub(crate) fn fill_log<E: Engine>(
    sets: &mut Datasets<E>,
    records: u64,
    settings: Settings,
    round: u64,
) -> Result<Vec<Metric>> {
    let engine = sets.open(DATASET, records, settings)?;
    let overwrites: Vec<Entry> = overwrites(records, round).collect();
    for batch in overwrites.chunks(BATCH) {
        engine.put_batch(batch)?;
    }
    Ok(Vec::new())
}

/// Opens, reads one value, and then counts which of the overwrites are there.
pub(crate) fn reopen<E: Engine>(
    sets: &mut Datasets<E>,
    records: u64,
    settings: Settings,
    round: u64,
) -> Result<Vec<Metric>> {
    let directory = sets.existing(DATASET)?.ok_or("there is nothing to reopen")?;
    let mut watch = Stopwatch::default();
    let engine = watch.time(|| -> Result<E> {
        let engine = E::open(&directory, settings)?;
        if !engine.read(|view| view.get(&key(0), |_| {}))? {
            return Err("a record loaded before the kill is missing".into());
        }
        Ok(engine)
    })?;
    let mut kept = 0_u64;
    let mut total = 0_u64;
    engine.read(|view| {
        for (key, value) in overwrites(records, round) {
            total += 1;
            // Only the version is looked for: a key drawn twice has the last one's value, which is the same.
            view.get(&key, |found| kept += u64::from(found == value))?;
        }
        Ok(())
    })?;
    engine.close()?;
    Ok(vec![
        Metric::new("open and first get after a kill", Unit::Milliseconds, watch.wall().as_secs_f64() * 1e3),
        Metric::new("commits kept after a kill", Unit::PercentKept, 100.0 * kept as f64 / total as f64),
    ])
}

fn overwrites(records: u64, round: u64) -> impl Iterator<Item = Entry> {
    let mut random = Random::new("kill", round);
    (0..LOG_BYTES / RECORD_BYTES).map(move |_| entry(random.below(records), 1_000 + round))
}
