//! Plans for what small databases do not show: many layers over a large base, and commits larger than a segment of the log.

use std::ops::Bound;

use super::action::{Action, Crash, Durability, Key, Query, TxOp, Value, key};
use super::engine::Tuning;
use super::plan::{Plan, Weather, with_follower};
use crate::random::Random;

/// Records of the base, and as many in one commit.
const RECORDS: u64 = 2400;
const BATCH: u64 = 150;
/// What is near to a record, in its table.
const NEAR: u64 = 14;
/// Tables they are in.
const TABLES: u64 = 2;

impl Plan {
    /// Many small commits over a base so large that their changes are sparse in it: runs pile up, merge among themselves
    /// and go into the base, a few entries a step, between commits, reads and crashes.
    pub fn layered(seed: u64, actions: usize, weather: Weather) -> Self {
        let mut random = Random::new(seed);
        let plan = Plan::new(seed, 0, weather);
        let tuning = Tuning {
            memtable_bytes: 4096,
            segment_bytes: 1 << 16,
            large_value_bytes: 1 << random.between(6, 9),
            step_entries: 1 << random.between(0, 8),
            budget_bytes: 2 << 20,
            ..plan.tuning
        };
        let mut many = Many { tag: 0, relaxed: random.chance(1, 3), gets: random.chance(1, 4), recent: [0; 8] };
        let mut all = many.load();
        all.push(Action::Settle);
        for _ in 0..actions {
            all.push(many.action(&mut random, weather));
            if random.chance(1, 8) {
                all.extend(many.look_around());
            }
        }
        if many.gets {
            // Twice: the second time where they were found the first.
            all.extend((0..2 * RECORDS).map(|id| Action::Ask(Query::Get(table(id), record(id % RECORDS)))));
        }
        Plan { tuning, actions: all, ..plan }
    }

    /// A range is deleted after so many steps of a merge of runs into the base, and its keys are looked for from then on;
    /// or the process is killed a little later.
    pub fn after_steps(seed: u64, steps: u32) -> Self {
        const RUNS: u64 = 6;
        let mut random = Random::new(seed);
        let plan = Plan::new(seed, 0, Weather::Fair);
        let step_entries = 1 << random.between(0, 6);
        let tuning = Tuning {
            memtable_bytes: 4096,
            large_value_bytes: 4096,
            step_entries,
            budget_bytes: 2 << 20,
            ..plan.tuning
        };
        let mut tag = 0;
        let mut put = |id: u64, len: u32| {
            tag += 1;
            TxOp::Put(0, record(id), Value { tag, len })
        };
        let mut actions = Vec::new();
        for batch in 0..4 {
            actions.push(Action::Commit(
                Durability::Sync,
                (batch * BATCH..(batch + 1) * BATCH).map(|id| put(id, 8)).collect(),
            ));
        }
        actions.push(Action::Settle);
        for run in 0..RUNS {
            let sparse = (0..60).map(|n| put(n * 10 + run, 40)).collect();
            actions.push(Action::Commit(Durability::Sync, sparse));
            actions.push(if run + 1 < RUNS { Action::Settle } else { Action::Step(steps) });
        }
        let start = random.below(40);
        let gone = (Bound::Included(record(start)), Bound::Excluded(record(start + 60)));
        actions.push(Action::Commit(Durability::Sync, vec![TxOp::DeleteRange(0, gone)]));
        actions.push(Action::Commit(Durability::Sync, (0..60).map(|n| put(1000 + n, 60)).collect()));
        if random.chance(1, 2) {
            actions.push(Action::Step(random.between(8, 30) as u32));
            actions.extend([Action::CrashNow(Crash::Kill), Action::Check]);
        }
        for _ in 0..30 {
            actions.push(Action::Step(12));
            actions.extend((start..start + 60).step_by(3).map(|id| Action::Ask(Query::Get(0, record(id)))));
        }
        actions.push(Action::Compare);
        Plan { tuning, paging: None, late_syncs: false, actions, ..plan }
    }

    /// Commits that fill segments of the log, one each and more, with little background work between them.
    pub fn of_large_commits(seed: u64, actions: usize, weather: Weather) -> Self {
        let mut random = Random::new(seed);
        let plan = Plan::new(seed, 0, weather);
        let tuning = Tuning {
            memtable_bytes: 1 << random.between(12, 18),
            segment_bytes: 1 << 16,
            large_value_bytes: 1 << random.between(13, 16),
            ..plan.tuning
        };
        let relaxed = random.chance(1, 2);
        let mut tag = 0;
        let mut action = || match random.below(20) {
            0..=10 => {
                let len = random.between(1, 12);
                let puts = (0..len).map(|_| {
                    tag += 1;
                    TxOp::Put(0, record(random.below(60)), Value { tag, len: random.between(4, 15_000) as u32 })
                });
                let ops = puts.collect();
                Action::Commit(if relaxed { Durability::Relaxed } else { Durability::Sync }, ops)
            }
            11..=16 => Action::Step(random.skewed(6) as u32),
            17 => Action::Compare,
            _ => accident(&mut random, weather),
        };
        let (actions, _) = with_follower(seed, (0..actions).map(|_| action()).collect());
        Plan { tuning, actions, ..plan }
    }
}

/// Work on many records.
struct Many {
    tag: u32,
    relaxed: bool,
    gets: bool,
    /// What was written lately is written and read again.
    recent: [u64; 8],
}

impl Many {
    fn load(&mut self) -> Vec<Action> {
        let batches = (0..RECORDS / BATCH).map(|batch| {
            let mut ops: Vec<TxOp> = (batch * BATCH..(batch + 1) * BATCH).map(|id| self.put(id, 20)).collect();
            // The first makes the tables, and takes that back before it does.
            ops.insert(1, TxOp::Rollback);
            ops.insert(0, TxOp::Savepoint);
            Action::Commit(Durability::Sync, ops)
        });
        batches.collect()
    }

    fn put(&mut self, id: u64, len: u32) -> TxOp {
        self.tag += 1;
        TxOp::Put(table(id), record(id), Value { tag: self.tag, len })
    }

    fn action(&mut self, random: &mut Random, weather: Weather) -> Action {
        match random.below(40) {
            0..=11 => {
                let ops = (0..random.between(1, 8)).map(|_| self.op(random)).collect();
                Action::Commit(if self.relaxed { Durability::Relaxed } else { Durability::Sync }, ops)
            }
            12..=22 => Action::Step(random.skewed(12) as u32),
            23..=28 => {
                let id = self.id(random);
                Action::Ask(Query::Get(table(id), record(id)))
            }
            29..=30 => Action::TakeSnapshot,
            31..=32 => Action::CompareSnapshot(random.index(4)),
            33 => Action::Compare,
            34 => Action::Check,
            35..=38 => Action::Commit(Durability::Relaxed, vec![self.op(random)]),
            _ => accident(random, weather),
        }
    }

    /// All that may have been written lately, what was deleted too.
    fn look_around(&self) -> impl Iterator<Item = Action> {
        let ids = self.recent.iter().flat_map(|id| (0..NEAR).map(move |more| id + more * TABLES));
        ids.map(|id| Action::Ask(Query::Get(table(id), record(id))))
    }

    /// Any, or one near to what was written lately.
    fn id(&self, random: &mut Random) -> u64 {
        match random.chance(1, 2) {
            true => self.recent[random.index(self.recent.len())] + random.below(NEAR) * TABLES,
            false => random.below(RECORDS),
        }
    }

    fn op(&mut self, random: &mut Random) -> TxOp {
        let id = self.id(random);
        self.recent[random.index(8)] = id;
        match random.below(10) {
            0..=2 => TxOp::Delete(table(id), record(id)),
            3 => {
                let end = id + random.between(1, 30);
                TxOp::DeleteRange(table(id), (Bound::Included(record(id)), Bound::Excluded(record(end))))
            }
            4 => self.put(id, 600),
            _ => self.put(id, random.between(4, 60) as u32),
        }
    }
}

fn accident(random: &mut Random, weather: Weather) -> Action {
    let crash = if random.chance(1, 3) { Crash::Kill } else { Crash::Power(random.bits()) };
    match weather {
        Weather::Fair => Action::Step(1),
        _ if random.chance(1, 3) => Action::CrashNow(crash),
        _ => Action::CrashAfter(random.skewed(40), crash),
    }
}

fn table(id: u64) -> usize {
    (id % TABLES) as usize
}

fn record(id: u64) -> Key {
    key(format!("{id:05}").as_bytes())
}
