//! Phases that fill a database, change half of it and compact it, and the size of the files after each.

use super::Result;
use super::clock::Stopwatch;
use super::data::{Entry, Key, entry, key, value};
use super::dataset::{Datasets, ample, bytes_over, load, put_in_batches, verify, verify_entries};
use super::engine::Engine;
use super::measure::{Metric, Unit, rates};

/// The database that [`load_random`], [`update_half`] and [`compact`] work on in turn.
const LIFE: &str = "life";
/// Records compared whole, with their versions, at the end of it.
const SAMPLE: usize = 10_000;

/// Which of the three has been done to it in this round.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Stage {
    #[default]
    Nothing,
    Loaded,
    Updated,
}

pub(crate) fn load_sorted<E: Engine>(sets: &mut Datasets<E>, records: u64) -> Result<Vec<Metric>> {
    let directory = sets.empty("sorted")?;
    let engine = E::open(&directory, ample(records))?;
    let mut keys: Vec<Key> = (0..records).map(key).collect();
    keys.sort_unstable();
    let mut watch = Stopwatch::default();
    put_in_batches(&engine, keys.iter().map(|key| (*key, value(key, 0))), &mut watch)?;
    let mut metrics = with_rest("load-sorted", &engine, records, watch)?;
    verify(&engine, records)?;
    engine.close()?;
    metrics.push(Metric::new("size after sorted load", Unit::BytesOver, bytes_over(&directory, records)?));
    sets.empty("sorted")?;
    Ok(metrics)
}

pub(crate) fn load_random<E: Engine>(sets: &mut Datasets<E>, stage: &mut Stage, records: u64) -> Result<Vec<Metric>> {
    let directory = sets.empty(LIFE)?;
    let engine = E::open(&directory, ample(records))?;
    let mut watch = Stopwatch::default();
    load(&engine, records, &mut watch)?;
    let mut metrics = with_rest("load-random", &engine, records, watch)?;
    engine.close()?;
    metrics.push(Metric::new("size after random load", Unit::BytesOver, bytes_over(&directory, records)?));
    *stage = Stage::Loaded;
    Ok(metrics)
}

pub(crate) fn update_half<E: Engine>(sets: &mut Datasets<E>, stage: &mut Stage, records: u64) -> Result<Vec<Metric>> {
    if *stage != Stage::Loaded {
        load_random(sets, stage, records)?;
    }
    let directory = sets.existing(LIFE)?.ok_or("the loaded database is gone")?;
    let engine = E::open(&directory, ample(records))?;
    let mut watch = Stopwatch::default();
    put_in_batches(&engine, updates(records), &mut watch)?;
    let mut metrics = with_rest("update-half", &engine, records / 2, watch)?;
    engine.close()?;
    metrics.push(Metric::new("size after 50 % updates", Unit::BytesOver, bytes_over(&directory, records)?));
    *stage = Stage::Updated;
    Ok(metrics)
}

pub(crate) fn compact<E: Engine>(sets: &mut Datasets<E>, stage: &mut Stage, records: u64) -> Result<Vec<Metric>> {
    if *stage != Stage::Updated {
        update_half(sets, stage, records)?;
    }
    let directory = sets.existing(LIFE)?.ok_or("the updated database is gone")?;
    let settings = ample(records);
    let engine = E::open(&directory, settings)?;
    engine.settle()?;
    let mut watch = Stopwatch::default();
    watch.time(|| engine.compact(&directory, settings))?;
    let mut metrics = vec![
        Metric::new("compact", Unit::Milliseconds, watch.wall().as_secs_f64() * 1e3),
        Metric::new("size after compact", Unit::BytesOver, bytes_over(&directory, records)?),
    ];
    let mut watch = Stopwatch::default();
    let engine = watch.time(|| E::open(&directory, settings))?;
    metrics.push(Metric::new("open after close", Unit::Milliseconds, watch.wall().as_secs_f64() * 1e3));
    verify(&engine, records)?;
    verify_entries(&engine, updates(records).take(SAMPLE))?;
    verify_entries(&engine, (0..records).skip(1).step_by(2).map(|index| entry(index, 0)).take(SAMPLE))?;
    engine.close()?;
    sets.empty(LIFE)?;
    *stage = Stage::Nothing;
    Ok(metrics)
}

/// Rates of the commits, then what remains of them when the work they left to the background is waited for.
fn with_rest<E: Engine>(row: &str, engine: &E, records: u64, mut watch: Stopwatch) -> Result<Vec<Metric>> {
    let mut metrics = rates(row, records, &watch, 1);
    watch.time(|| engine.settle())?;
    metrics.extend(rates(&format!("{row}, until at rest"), records, &watch, 1));
    Ok(metrics)
}

/// New versions of every second record by index, which is a random half of the keys in random order.
fn updates(records: u64) -> impl Iterator<Item = Entry> {
    (0..records / 2).map(|index| entry(2 * index, 1))
}
