//! What a watched query costs the commits that have nothing to do with it.

use super::answers::Answers;
use super::city::City;
use super::engine::{DocumentEngine, Watched};
use crate::bench::Result;
use crate::bench::clock::Stopwatch;
use crate::bench::data::Random;
use crate::bench::measure::{Metric, Unit, rates};

/// Documents watched, or a few more.
const WATCHED: usize = 10_000;
/// Commits in each of the [`PARTS`], which alternate between watched and not.
const COMMITS: usize = 1_000;
const PARTS: usize = 20;

/// The watched documents are those with the least population but 0; the commits change the population of larger places,
/// in the same collection and the same index, and never so far that one of them would belong.
pub(crate) fn run<E: DocumentEngine>(engine: &E, cities: &mut [City], round: u64) -> Result<Option<Vec<Metric>>> {
    let answers = Answers::new(cities);
    let (from, to) = (1, answers.later(1, WATCHED));
    let rows = answers.count(from, to);
    let strangers: Vec<u64> = cities.iter().filter(|city| city.population > to + 1).map(|city| city.id).collect();
    let mut random = Random::new("watch", round);
    let mut commits = || -> Result<Stopwatch> {
        let updates: Vec<(u64, u64)> = (0..COMMITS)
            .map(|_| {
                let id = strangers[random.below(strangers.len() as u64) as usize];
                (id, to + 2 + random.below(1_000_000))
            })
            .collect();
        let mut watch = Stopwatch::default();
        watch.time(|| updates.iter().try_for_each(|&(id, population)| engine.set_population(id, population)))?;
        for (id, population) in updates {
            cities[id as usize].population = population;
        }
        Ok(watch)
    };

    let (mut with, mut without) = (Vec::new(), Vec::new());
    // The first commits after opening are slower.
    commits()?;
    for part in 0..PARTS {
        if part % 2 == 0 {
            without.push(commits()?);
            continue;
        }
        let Some(Watched { rows: seen, changes, result }) = engine.watching(from, to, &mut commits)? else {
            return Ok(None);
        };
        if seen != rows || changes != 0 {
            return Err(format!("{seen} rows of {rows} were watched, and changed {changes} times").into());
        }
        with.push(result);
    }
    let (with, without) = (median(&with), median(&without));
    let cost = |with: f64, without: f64| 100.0 * (with / without - 1.0);
    let count = COMMITS as u64;
    let mut metrics = rates("1,000 commits", count, without, 1);
    metrics.extend(rates("1,000 commits beside a watch of 10,000 rows", count, with, 1));
    metrics.push(Metric::new(
        "what the watch adds, CPU time",
        Unit::PercentMore,
        cost(with.cpu().as_secs_f64(), without.cpu().as_secs_f64()),
    ));
    metrics.push(Metric::new(
        "what the watch adds, wall time",
        Unit::PercentMore,
        cost(with.wall().as_secs_f64(), without.wall().as_secs_f64()),
    ));
    Ok(Some(metrics))
}

/// The one in the middle by CPU time.
fn median(parts: &[Stopwatch]) -> &Stopwatch {
    let mut sorted: Vec<&Stopwatch> = parts.iter().collect();
    sorted.sort_by_key(|watch| watch.cpu());
    sorted[sorted.len() / 2]
}
