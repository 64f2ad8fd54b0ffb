//! Histories with real threads, a real file, and background work in a thread of its own.
//!
//! Nobody knows the order of commits here. So every key is written only after it was read, which tells the order of its
//! versions, and no key is deleted, so that nothing there always means not yet.

use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};

use lightning_db::{Database, Durability, Error, Isolation, Options};

use super::anomalies::{find, violation};
use super::history::{History, Key, Outcome, Transaction};
use super::operations::{Running, TABLE, stop};
use super::record::{Recorder, Recording, history};
use super::store::{Answer, Operations, Stop, Walk};
use super::workload::Counts;
use crate::random::Random;

/// How a transaction of the threads is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    /// Begun and committed at the level.
    Begun,
    /// In a closure that holds the writer lock.
    Closure,
    /// In a closure that is run again after each conflict.
    Optimistic,
    /// Begun at read committed, where every read locks: no update may be lost.
    Locking,
}

/// One database file and the threads on it.
#[derive(Debug)]
pub struct Threads {
    database: Database,
    count: u32,
    /// Each history has keys of its own.
    rounds: AtomicU32,
}

/// Keys of one history.
const KEYS: Key = 24;

impl Threads {
    /// A new database at `path`, for so many threads.
    pub fn new(path: &Path, count: u32) -> Result<Self, Error> {
        let mut options = Options::default();
        options.memory_budget_bytes = 4 << 20;
        options.memtable_bytes = Some(64 << 10);
        options.log_segment_bytes = 64 << 10;
        let database = Database::open(path, options)?;
        database.transaction(|tx| tx.table(TABLE).map(|_| ()))?;
        Ok(Self { database, count, rounds: AtomicU32::new(0) })
    }

    /// Runs `each` transactions in every thread, all at `level`, and checks the history of them.
    pub fn check(&self, seed: u64, level: Isolation, each: u32) -> Result<Counts, String> {
        let history = self.run(seed, level, None, each)?;
        let found = find(&history, level);
        match violation(&found, level) {
            Some(words) => Err(words),
            None => Ok(Counts::of(&history, &found)),
        }
    }

    /// Like [`check`](Threads::check) with transactions that lock what they read: at read committed nothing is lost.
    pub fn check_locking(&self, seed: u64, each: u32) -> Result<Counts, String> {
        let history = self.run(seed, Isolation::ReadCommitted, Some(Manner::Locking), each)?;
        let found = find(&history, Isolation::ReadCommitted);
        let lost = found.iter().find(|finding| finding.anomaly == super::anomalies::Anomaly::LostUpdate);
        let lost = lost.map(|finding| format!("lost update in spite of locks:\n{}", finding.words));
        match violation(&found, Isolation::ReadCommitted).or(lost) {
            Some(words) => Err(words),
            None => Ok(Counts::of(&history, &found)),
        }
    }

    fn run(&self, seed: u64, level: Isolation, manner: Option<Manner>, each: u32) -> Result<History, String> {
        let first = self.rounds.fetch_add(1, Ordering::Relaxed) * KEYS;
        let recorder = Recorder::default();
        let results: Vec<Result<Vec<(u32, Transaction)>, String>> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..self.count)
                .map(|session| {
                    let client = Client {
                        database: &self.database,
                        recorder: &recorder,
                        random: Random::new(seed ^ u64::from(session) << 32),
                        session,
                        level,
                        manner,
                        first,
                    };
                    scope.spawn(move || client.run(each))
                })
                .collect();
            let panicked = |_| Err("a thread panicked".to_string());
            threads.into_iter().map(|thread| thread.join().unwrap_or_else(panicked)).collect()
        });
        let mut recorded = Vec::new();
        for result in results {
            recorded.extend(result?);
        }
        recorded.push(self.audit(&recorder, first)?);
        Ok(history(recorded, std::collections::BTreeMap::new()))
    }

    fn audit(&self, recorder: &Recorder, first: Key) -> Result<(u32, Transaction), String> {
        let mut recording = recorder.begin(u32::MAX);
        let mut tx = self.database.begin(Isolation::Serializable);
        let found =
            Running::new(&mut *tx, 0).scan(first, first + KEYS, Walk::Forward).map_err(|stop| format!("{stop:?}"))?;
        recording.scanned(first, first + KEYS, &found, None)?;
        tx.commit().map_err(|error| error.to_string())?;
        Ok(recording.end_alone(Outcome::Committed, Some(recorder.moment())))
    }
}

struct Client<'a> {
    database: &'a Database,
    recorder: &'a Recorder,
    random: Random,
    session: u32,
    level: Isolation,
    manner: Option<Manner>,
    first: Key,
}

impl Client<'_> {
    fn run(mut self, each: u32) -> Result<Vec<(u32, Transaction)>, String> {
        let mut recorded = Vec::new();
        for _ in 0..each {
            let manner = self.manner.unwrap_or_else(|| match self.random.below(8) {
                0 => Manner::Closure,
                1 => Manner::Optimistic,
                _ => Manner::Begun,
            });
            match self.transaction(manner, &mut recorded) {
                Ok(()) | Err(Stop::Refused) => {}
                Err(Stop::Failed(error)) => return Err(error),
            }
        }
        Ok(recorded)
    }

    fn durability(&mut self) -> Durability {
        match self.random.below(4) {
            0 => Durability::Sync,
            1 => Durability::Periodic { interval_ms: 1 },
            _ => Durability::Relaxed,
        }
    }

    fn transaction(&mut self, manner: Manner, recorded: &mut Vec<(u32, Transaction)>) -> Answer<()> {
        let seed = self.random.bits();
        let durability = self.durability();
        match manner {
            Manner::Closure => {
                let mut recording = self.recorder.begin(self.session);
                let mut stopped = Ok(());
                let result = self.database.transaction_with(durability, |tx| {
                    stopped = self.body(tx, &mut recording, seed, false);
                    stopped.clone().map_err(|_| Error::Closed)
                });
                stopped?;
                self.ended(recording, result, recorded)
            }
            Manner::Optimistic => {
                let mut last: Option<Recording> = None;
                let mut stopped = Ok(());
                // Each attempt has its snapshot before the closure runs: it began after the one before it, or this, at the latest.
                let mut before = self.recorder.moment();
                let result = self.database.optimistic(self.level, |tx| {
                    // The attempt before this one was refused.
                    recorded.extend(last.take().map(|refused| refused.end_alone(Outcome::Aborted, None)));
                    let mut recording = self.recorder.begin_at(self.session, before);
                    stopped = self.body(tx, &mut recording, seed, false);
                    before = self.recorder.moment();
                    last = Some(recording);
                    stopped.clone().map_err(|_| Error::Closed)
                });
                stopped?;
                match last {
                    Some(recording) => self.ended(recording, result, recorded),
                    None => Err(Stop::Failed("a closure was not run".into())),
                }
            }
            Manner::Begun | Manner::Locking => {
                let mut recording = self.recorder.begin(self.session);
                let mut tx = self.database.begin(self.level);
                let body = self.body(&mut tx, &mut recording, seed, manner == Manner::Locking);
                if body.is_err() || seed.is_multiple_of(16) {
                    drop(tx);
                    recorded.push(recording.end_alone(Outcome::Aborted, None));
                    return body;
                }
                let result = tx.commit_with(durability);
                self.ended(recording, result, recorded)
            }
        }
    }

    fn ended(
        &self,
        recording: Recording,
        result: Result<(), Error>,
        recorded: &mut Vec<(u32, Transaction)>,
    ) -> Answer<()> {
        let moment = self.recorder.moment();
        let committed = result.is_ok();
        let outcome = if committed { Outcome::Committed } else { Outcome::Aborted };
        recorded.push(recording.end_alone(outcome, committed.then_some(moment)));
        result.map_err(stop)
    }

    /// Reads, and writes some of what it has read.
    fn body(
        &self,
        tx: &mut lightning_db::WriteTransaction,
        recording: &mut Recording,
        seed: u64,
        locking: bool,
    ) -> Answer<()> {
        let mut random = Random::new(seed);
        let writes = random.chance(3, 4);
        for _ in 0..random.between(1, 5) {
            let key = self.first + random.below(u64::from(KEYS)) as Key;
            if !locking && random.chance(1, 6) {
                self.look(tx, recording, key, &mut random)?;
                continue;
            }
            let value = if locking || random.chance(1, 8) {
                let mut table = tx.table(TABLE).map_err(stop)?;
                table.get_for_update(key).map_err(stop)?.map(|found| found.to_vec())
            } else {
                Running::new(&mut *tx, 0).get(key)?
            };
            recording.read(key, value.as_deref(), None).map_err(Stop::Failed)?;
            if writes && random.chance(2, 3) {
                let value = recording.write(key, random.skewed(300) as usize);
                Running::new(&mut *tx, 0).put(key, &value)?;
            }
            if random.chance(1, 4) {
                std::thread::yield_now();
            }
        }
        Ok(())
    }

    fn look(
        &self,
        tx: &mut lightning_db::WriteTransaction,
        recording: &mut Recording,
        from: Key,
        random: &mut Random,
    ) -> Answer<()> {
        let to = (from + 1 + random.below(8) as Key).min(self.first + KEYS);
        let walk = [Walk::Forward, Walk::Backward, Walk::Cursor][random.index(3)];
        let counted = random.chance(1, 2).then(|| Running::new(&mut *tx, 0).count(from, to)).transpose()?;
        let found = Running::new(&mut *tx, 0).scan(from, to, walk)?;
        if let Some(count) = counted
            && self.level != Isolation::ReadCommitted
            && count != found.len() as u64
        {
            let seen = found.len();
            return Err(Stop::Failed(format!("T{} counted {count} keys in a range and saw {seen}", recording.id)));
        }
        recording.scanned(from, to, &found, None).map_err(Stop::Failed)
    }
}
