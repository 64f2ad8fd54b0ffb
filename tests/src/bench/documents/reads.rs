//! Steps that read. What is asked for is drawn, and the answers are compared, outside the timed part; the sum over the
//! documents found is taken inside it.

use super::answers::Answers;
use super::city::City;
use super::engine::{DocumentEngine, DocumentView};
use crate::bench::Result;
use crate::bench::clock::Stopwatch;
use crate::bench::data::Random;
use crate::bench::measure::{Metric, rates};

const LIMIT: usize = 20;
/// Documents between the two ends of a count, more where several have the same population.
const COUNTED: usize = 2_000;

/// What every step here has in common.
pub(crate) struct Reading<'a> {
    pub(crate) row: &'a str,
    pub(crate) cities: &'a [City],
    pub(crate) seconds: f64,
    pub(crate) round: u64,
}

impl Reading<'_> {
    pub(crate) fn lookup<E: DocumentEngine>(&self, engine: &E) -> Result<Vec<Metric>> {
        engine.read(|view| {
            self.repeat(
                1_024,
                |city| (&city.code, city.fingerprint()),
                |code| view.lookup(code)?.map_or(Err("a document is missing".into()), |city| Ok(city.fingerprint())),
            )
        })
    }

    pub(crate) fn range<E: DocumentEngine>(&self, engine: &E) -> Result<Vec<Metric>> {
        let answers = Answers::new(self.cities);
        engine.read(|view| {
            self.repeat(
                64,
                |city| (city.population, answers.range(city.population, LIMIT).fold(0, chain)),
                |&from| {
                    let mut sum = 0;
                    view.range(from, LIMIT, |city| sum = chain(sum, &city))?;
                    Ok(sum)
                },
            )
        })
    }

    pub(crate) fn count<E: DocumentEngine>(&self, engine: &E) -> Result<Vec<Metric>> {
        let answers = Answers::new(self.cities);
        engine.read(|view| {
            self.repeat(
                8,
                |city| {
                    let (from, to) = (city.population, answers.later(city.population, COUNTED));
                    ((from, to), answers.count(from, to))
                },
                |&(from, to)| view.count(from, to),
            )
        })
    }

    /// Draws documents, makes `drawn` questions with their answers of them, and asks those, until the time is up.
    fn repeat<'s, Q>(
        &'s self,
        drawn: usize,
        question: impl Fn(&'s City) -> (Q, u64),
        mut ask: impl FnMut(&Q) -> Result<u64>,
    ) -> Result<Vec<Metric>> {
        let mut random = Random::new(self.row, self.round);
        let mut watch = Stopwatch::default();
        let mut asked = 0;
        while watch.wall().as_secs_f64() < self.seconds {
            let (questions, answers): (Vec<Q>, Vec<u64>) =
                (0..drawn).map(|_| question(&self.cities[random.below(self.cities.len() as u64) as usize])).unzip();
            let right = answers.iter().fold(0, |sum: u64, answer| sum.wrapping_mul(31).wrapping_add(*answer));
            let given = watch.time(|| {
                questions.iter().try_fold(0, |sum: u64, question| -> Result<u64> {
                    Ok(sum.wrapping_mul(31).wrapping_add(ask(question)?))
                })
            })?;
            if given != right {
                return Err(format!("{}: a wrong answer among questions {asked} to {}", self.row, asked + drawn).into());
            }
            asked += drawn;
        }
        Ok(rates(self.row, asked as u64, &watch, 1))
    }
}

/// Adds a document to a sum in which the order counts.
fn chain(sum: u64, city: &City) -> u64 {
    sum.wrapping_mul(31).wrapping_add(city.fingerprint())
}
