//! Transactions that change the indexed field of one document each.

use super::answers::Answers;
use super::city::City;
use super::collections::verify;
use super::engine::{DocumentEngine, DocumentView};
use crate::bench::Result;
use crate::bench::clock::Stopwatch;
use crate::bench::data::Random;
use crate::bench::measure::{Metric, rates};

const DRAWN: usize = 16;
/// Ranges counted afterwards.
const COUNTS: u64 = 20;

/// Gives random documents the population of other random ones, which keeps the index's shape, and `cities` in step.
pub(crate) fn run<E: DocumentEngine>(
    engine: &E,
    cities: &mut [City],
    row: &str,
    seconds: f64,
    round: u64,
) -> Result<Vec<Metric>> {
    let count = cities.len() as u64;
    let mut random = Random::new(row, round);
    let mut watch = Stopwatch::default();
    let mut done = 0;
    while watch.wall().as_secs_f64() < seconds {
        let updates: Vec<(u64, u64)> = (0..DRAWN)
            .map(|_| (random.below(count), cities[random.below(count) as usize].population + random.below(2)))
            .collect();
        watch.time(|| updates.iter().try_for_each(|&(id, population)| engine.set_population(id, population)))?;
        for (id, population) in updates {
            cities[id as usize].population = population;
        }
        done += DRAWN as u64;
    }
    verify(engine, cities, row)?;
    let answers = Answers::new(cities);
    engine.read(|view| {
        for _ in 0..COUNTS {
            let from = cities[random.below(count) as usize].population;
            let to = answers.later(from, 5_000);
            if view.count(from, to)? != answers.count(from, to) {
                return Err(format!("the index is wrong between {from} and {to}").into());
            }
        }
        Ok(())
    })?;
    Ok(rates(row, done, &watch, 1))
}
