//! Phases that read. Keys are drawn outside the timed part, and every value read is checked inside it.

use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

use super::Result;
use super::clock::Stopwatch;
use super::data::{Check, Key, MISSING, Random, ScanCheck, key};
use super::engine::{Direction, Engine, View};
use super::measure::{Metric, rates};

/// Keys drawn at a time: 128 KiB, which leaves most of the second cache level to the database.
const DRAWN: usize = 8_192;
/// Keys in one call of `get_many`.
const MANY: usize = 64;
const SEEKS: usize = 512;
const THREADS: u32 = 2;

/// What every phase here has in common.
pub(crate) struct Reading<'a> {
    pub(crate) row: &'a str,
    pub(crate) records: u64,
    pub(crate) seconds: f64,
    pub(crate) round: u64,
}

impl Reading<'_> {
    pub(crate) fn get<E: Engine>(&self, engine: &E) -> Result<Vec<Metric>> {
        let mut check = Check::default();
        engine.read(|view| {
            let (asked, watch) = self.repeat(DRAWN, |keys| {
                for key in keys {
                    view.get(key, |value| check.value(key, value))?;
                }
                Ok(())
            })?;
            check.finish(asked)?;
            Ok(rates(self.row, asked, &watch, 1))
        })
    }

    pub(crate) fn get_many<E: Engine>(&self, engine: &E) -> Result<Vec<Metric>> {
        let mut check = Check::default();
        engine.read(|view| {
            let (asked, watch) = self.repeat(DRAWN, |keys| {
                for keys in keys.chunks(MANY) {
                    view.get_many(keys, |index, value| check.value(&keys[index], value))?;
                }
                Ok(())
            })?;
            check.finish(asked)?;
            Ok(rates(self.row, asked, &watch, 1))
        })
    }

    pub(crate) fn get_missing<E: Engine>(&self, engine: &E) -> Result<Vec<Metric>> {
        let mut found = 0_u64;
        engine.read(|view| {
            let (asked, watch) = self.repeat_from(MISSING, DRAWN, |keys| {
                for key in keys {
                    found += u64::from(view.get(key, |_| {})?);
                }
                Ok(())
            })?;
            if found != 0 {
                return Err(format!("{found} keys were found that were never written").into());
            }
            Ok(rates(self.row, asked, &watch, 1))
        })
    }

    pub(crate) fn get_fresh<E: Engine>(&self, engine: &E) -> Result<Vec<Metric>> {
        let mut check = Check::default();
        let (asked, watch) = self.repeat(DRAWN, |keys| {
            for key in keys {
                engine.get_fresh(key, |value| check.value(key, value))?;
            }
            Ok(())
        })?;
        check.finish(asked)?;
        Ok(rates(self.row, asked, &watch, 1))
    }

    /// Each thread draws its keys beforehand and goes through them again and again.
    pub(crate) fn get_two_threads<E: Engine>(&self, engine: &E) -> Result<Vec<Metric>> {
        let barrier = Barrier::new(THREADS as usize + 1);
        let budget = Duration::from_secs_f64(self.seconds);
        let mut watch = Stopwatch::default();
        let (asked, check) = thread::scope(|scope| {
            let threads: Vec<_> = (0..THREADS)
                .map(|thread| {
                    let barrier = &barrier;
                    scope.spawn(move || -> Result<(u64, Check)> {
                        let mut random = Random::new("threads", self.round * u64::from(THREADS) + u64::from(thread));
                        let keys = draw(&mut random, 0, self.records, 32 * DRAWN);
                        let mut check = Check::default();
                        let mut asked = 0;
                        barrier.wait();
                        engine.read(|view| {
                            let start = Instant::now();
                            for keys in keys.chunks(DRAWN / 8).cycle() {
                                if start.elapsed() >= budget {
                                    break;
                                }
                                for key in keys {
                                    view.get(key, |value| check.value(key, value))?;
                                }
                                asked += keys.len() as u64;
                            }
                            Ok(())
                        })?;
                        Ok((asked, check))
                    })
                })
                .collect();
            barrier.wait();
            watch.time(|| -> Result<_> {
                let mut total = (0, Check::default());
                for thread in threads {
                    let (asked, check) = thread.join().map_err(|_| "a reading thread panicked")??;
                    total.0 += asked;
                    total.1.add(&check);
                }
                Ok(total)
            })
        })?;
        check.finish(asked)?;
        Ok(rates(self.row, asked, &watch, THREADS))
    }

    /// Counts seeks, not entries.
    pub(crate) fn seek<E: Engine>(&self, engine: &E, entries: u64) -> Result<Vec<Metric>> {
        let mut scan = ScanCheck::new(Direction::Forward);
        engine.read(|view| {
            let (asked, watch) = self.repeat(SEEKS, |keys| {
                for key in keys {
                    scan.restart();
                    view.seek(key, entries as usize, |key, value| scan.entry(key, value))?;
                }
                Ok(())
            })?;
            // A seek near the end finds fewer entries; nearly all of them must find all.
            let seen = scan.check.seen();
            scan.check.finish(seen)?;
            if seen > asked * entries || seen < asked * entries * 9 / 10 {
                return Err(format!("{asked} seeks found {seen} entries, {entries} wanted each").into());
            }
            Ok(rates(self.row, asked, &watch, 1))
        })
    }

    /// Counts entries. At least one whole scan.
    pub(crate) fn scan<E: Engine>(&self, engine: &E, direction: Direction) -> Result<Vec<Metric>> {
        let mut watch = Stopwatch::default();
        let mut entries = 0;
        while watch.wall().as_secs_f64() < self.seconds {
            let mut scan = ScanCheck::new(direction);
            engine.read(|view| watch.time(|| view.scan(direction, |key, value| scan.entry(key, value))))?;
            scan.check.finish(self.records)?;
            entries += self.records;
        }
        Ok(rates(self.row, entries, &watch, 1))
    }

    /// Gives `body` freshly drawn keys of the data set until the time is up; how many they were, and their time.
    fn repeat(&self, drawn: usize, body: impl FnMut(&[Key]) -> Result<()>) -> Result<(u64, Stopwatch)> {
        self.repeat_from(0, drawn, body)
    }

    fn repeat_from(
        &self,
        first: u64,
        drawn: usize,
        mut body: impl FnMut(&[Key]) -> Result<()>,
    ) -> Result<(u64, Stopwatch)> {
        let mut random = Random::new(self.row, self.round);
        let mut watch = Stopwatch::default();
        let mut asked = 0;
        while watch.wall().as_secs_f64() < self.seconds {
            let keys = draw(&mut random, first, self.records, drawn);
            watch.time(|| body(&keys))?;
            asked += drawn as u64;
        }
        Ok((asked, watch))
    }
}

fn draw(random: &mut Random, first: u64, records: u64, count: usize) -> Vec<Key> {
    (0..count).map(|_| key(first + random.below(records))).collect()
}
