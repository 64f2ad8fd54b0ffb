//! Loading an empty database, and its size.

use super::city::City;
use super::collections::{Collections, load, settings, verify};
use super::engine::DocumentEngine;
use crate::bench::Result;
use crate::bench::clock::Stopwatch;
use crate::bench::measure::{Metric, Unit, rates};
use crate::bench::process;

const NAME: &str = "load";

/// Nothing where this durability is not to be had.
pub(crate) fn run<E: DocumentEngine>(
    collections: &mut Collections<E>,
    cities: &[City],
    row: &str,
    synced: bool,
) -> Result<Option<Vec<Metric>>> {
    if !synced && !E::RELAXED {
        return Ok(None);
    }
    let count = cities.len() as u64;
    let directory = collections.empty(NAME)?;
    let engine = E::open(&directory, settings(synced))?;
    let mut watch = Stopwatch::default();
    load(&engine, cities, &mut watch)?;
    let mut metrics = rates(row, count, &watch, 1);
    watch.time(|| engine.settle())?;
    metrics.extend(rates(&format!("{row}, until at rest"), count, &watch, 1));
    verify(&engine, cities, row)?;
    engine.close()?;
    if synced {
        let bytes = process::allocated_bytes(&directory)? as f64 / count as f64;
        metrics.push(Metric::new("bytes on disk for a document", Unit::Bytes, bytes));
    }
    collections.empty(NAME)?;
    Ok(Some(metrics))
}
