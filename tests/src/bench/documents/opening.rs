//! How long it takes until a database that nobody has open answers.

use super::city::City;
use super::collections::{Collections, forget_cached, settings};
use super::engine::{DocumentEngine, DocumentView};
use crate::bench::Result;
use crate::bench::clock::Stopwatch;
use crate::bench::data::Random;
use crate::bench::measure::{Metric, Unit};

const NAME: &str = "loaded";

/// Leaves a closed database whose files are not in the system's cache.
pub(crate) fn leave_cold<E: DocumentEngine>(collections: &mut Collections<E>, cities: &[City]) -> Result<Vec<Metric>> {
    forget_cached(&collections.closed(NAME, cities)?)?;
    Ok(Vec::new())
}

/// Opens it and looks one document up.
pub(crate) fn open_cold<E: DocumentEngine>(
    collections: &mut Collections<E>,
    cities: &[City],
    round: u64,
) -> Result<Vec<Metric>> {
    let directory = collections.closed(NAME, cities)?;
    let city = &cities[Random::new("open", round).below(cities.len() as u64) as usize];
    let mut watch = Stopwatch::default();
    let engine = watch.time(|| -> Result<E> {
        let engine = E::open(&directory, settings(true))?;
        let found = engine.read(|view| view.lookup(&city.code))?;
        if found.as_ref() == Some(city) { Ok(engine) } else { Err(format!("found {found:?}").into()) }
    })?;
    engine.close()?;
    Ok(vec![Metric::new("cold open and first lookup", Unit::Milliseconds, watch.wall().as_secs_f64() * 1e3)])
}
