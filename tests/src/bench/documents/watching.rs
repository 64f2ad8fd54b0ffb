//! What a watched query costs the commits that have nothing to do with it.

use std::time::Duration;

use super::answers::Answers;
use super::city::City;
use super::engine::{DocumentEngine, Watched};
use crate::bench::Result;
use crate::bench::clock::Stopwatch;
use crate::bench::data::Random;
use crate::bench::measure::{Metric, Unit};

/// Documents watched, or a few more.
const WATCHED: usize = 10_000;
/// Commits in each of the [`PARTS`], which alternate between watched and not.
const COMMITS: usize = 1_000;
const PARTS: usize = 20;
/// Commits before them that do not count: reading the rows that are watched leaves the processor's caches full of those.
const BEFORE: usize = 200;

/// The watched documents are those with the least population but 0; the commits change the population of larger places,
/// in the same collection and the same index, and never so far that one of them would belong.
pub(crate) fn run<E: DocumentEngine>(engine: &E, cities: &mut [City], round: u64) -> Result<Option<Vec<Metric>>> {
    let answers = Answers::new(cities);
    let (from, to) = (1, answers.later(1, WATCHED));
    let rows = answers.count(from, to);
    let strangers: Vec<u64> = cities.iter().filter(|city| city.population > to + 1).map(|city| city.id).collect();
    let mut random = Random::new("watch", round);
    let mut commits = || -> Result<Stopwatch> {
        let updates: Vec<(u64, u64)> = (0..BEFORE + COMMITS)
            .map(|_| {
                let id = strangers[random.below(strangers.len() as u64) as usize];
                (id, to + 2 + random.below(1_000_000))
            })
            .collect();
        let set = |updates: &[(u64, u64)]| -> Result<()> {
            updates.iter().try_for_each(|&(id, population)| engine.set_population(id, population))
        };
        let mut watch = Stopwatch::default();
        set(&updates[..BEFORE])?;
        watch.time(|| set(&updates[BEFORE..]))?;
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
    let cost = |time: fn(&Stopwatch) -> Duration| {
        100.0 * (median(&with, time).as_secs_f64() / median(&without, time).as_secs_f64() - 1.0)
    };
    Ok(Some(vec![
        Metric::new("a commit", Unit::Milliseconds, each(median(&without, Stopwatch::wall))),
        Metric::new("a commit, CPU time", Unit::Milliseconds, each(median(&without, Stopwatch::cpu))),
        Metric::new("what a watch of 10,000 rows adds to it", Unit::PercentMore, cost(Stopwatch::wall)),
        Metric::new("what a watch of 10,000 rows adds to it, CPU time", Unit::PercentMore, cost(Stopwatch::cpu)),
    ]))
}

fn median(parts: &[Stopwatch], time: fn(&Stopwatch) -> Duration) -> Duration {
    let mut times: Vec<Duration> = parts.iter().map(time).collect();
    times.sort();
    times[times.len() / 2]
}

/// The milliseconds of one of the commits that took so long together.
fn each(together: Duration) -> f64 {
    together.as_secs_f64() * 1e3 / COMMITS as f64
}
