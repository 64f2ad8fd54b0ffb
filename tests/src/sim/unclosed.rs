//! A database that nobody closed, and something happens to its files before it is opened again: a bit of its log is another
//! one, its newest superblock is gone, its log is exchanged for that of a copy which went another way.
//!
//! What is found then is a state that there was, and no commit is missing that the rest of the files shows to have been
//! durable; or the engine says what is wrong.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use lightning_db::Error;
use lightning_db::env::{FileId, Storage};

use super::action::{Action, Durability, TxOp, Value};
use super::compare::everything;
use super::draft::Draft;
use super::engine::{Engine, Site};
use super::model::Tables;
use super::plan::Plan;
use crate::random::Random;
use crate::sim_disk::{SECTOR_BYTES, SimDisk};

/// What happens to the files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Harm {
    /// A bit of the log changes.
    LogBit(u64, u8),
    /// The newest superblock holds zeros.
    NewestSuperblock,
    /// The log is that of a copy of both files, opened by somebody else, who made other commits of the same lengths.
    LogOfCopy,
}

/// Where something was wrong, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Before this action of the plan.
    pub action: usize,
    /// What was done.
    pub harm: Harm,
    /// What was wrong then.
    pub what: String,
}

/// Where a superblock holds its number.
const CHECKPOINT_AT: usize = 64;
/// Commits of the copy that went another way.
const COMMITS_APART: usize = 8;

/// Does the work of a plan, and nothing else in it; `times` times the process is killed on the way and harm done to a copy
/// of the files. Gives the number of harms.
pub fn unclosed<E: Engine>(plan: &Plan, times: u64) -> Result<u64, Found> {
    let mut random = Random::new(plan.seed);
    let looks: Vec<usize> = (0..times).map(|_| random.index(plan.actions.len().max(1))).collect();
    let wrong = |action, harm, what| Found { action, harm, what };
    let mut life = Life::<E>::begin(plan).map_err(|what| wrong(0, Harm::NewestSuperblock, what))?;
    let mut done = 0;
    for (index, action) in plan.actions.iter().enumerate() {
        for _ in looks.iter().filter(|look| **look == index) {
            let log_bytes = life.site.disk.contents()[FileId::Log as usize].len() as u64;
            let bit = Harm::LogBit(random.below(log_bytes.max(1)), random.below(8) as u8);
            let harms = [bit, Harm::NewestSuperblock, Harm::LogOfCopy];
            // Two copies of what was closed properly go on as one life each, of the same name, until one of them crashes: nothing
            // tells their logs from each other. (`docs/reliability.md`, Salvage.)
            for harm in harms.into_iter().filter(|harm| *harm != Harm::LogOfCopy || !life.is_as_closed) {
                let after = catch_unwind(AssertUnwindSafe(|| life.after(plan, &plan.actions[index..], harm)));
                after.unwrap_or_else(|_| Err(String::from("panic"))).map_err(|what| wrong(index, harm, what))?;
                done += 1;
            }
        }
        life.act(action).map_err(|what| wrong(index, Harm::NewestSuperblock, format!("before any harm: {what}")))?;
    }
    Ok(done)
}

/// A database with all its states, from the one before the first commit on.
struct Life<E: Engine> {
    site: Site,
    /// `None` only between closing and opening.
    engine: Option<E>,
    states: Vec<Arc<Tables>>,
    /// It was closed, and nothing was written since.
    is_as_closed: bool,
    /// Of the newest state that is known to be durable.
    durable: usize,
    /// Of the newest state that the newest frame of the log, or the data file, shows to be durable.
    shown: usize,
}

impl<E: Engine> Life<E> {
    fn begin(plan: &Plan) -> Result<Self, String> {
        Self::open(site_of(SimDisk::new(plan.seed), plan, 0), Vec::from([Arc::default()]))
    }

    fn open(site: Site, states: Vec<Arc<Tables>>) -> Result<Self, String> {
        let engine = Some(E::open(&site).map_err(|error| in_words(&error))?);
        let last = states.len() - 1;
        Ok(Self { site, engine, states, is_as_closed: false, durable: last, shown: last })
    }

    fn now(&self) -> &Arc<Tables> {
        &self.states[self.states.len() - 1]
    }

    fn act(&mut self, action: &Action) -> Result<(), String> {
        match action {
            Action::Commit(durability, ops) => self.commit(*durability, ops),
            Action::Step(times) => (0..*times).try_for_each(|_| self.step().map(drop)),
            Action::Settle => self.settle(),
            Action::Reopen => self.reopen(),
            _ => Ok(()),
        }
    }

    fn commit(&mut self, durability: Durability, ops: &[TxOp]) -> Result<(), String> {
        let mut draft = Draft::new(Arc::clone(self.now()));
        ops.iter().for_each(|op| drop(draft.perform(op)));
        let after = Tables::clone(draft.view());
        self.engine()?.transaction(Some(durability), ops).map_err(|error| in_words(&error))?;
        self.is_as_closed = false;
        if after != **self.now() {
            self.states.push(Arc::new(after));
            self.shown = self.durable;
            if durability == Durability::Sync {
                self.durable = self.states.len() - 1;
            }
        }
        Ok(())
    }

    fn settle(&mut self) -> Result<(), String> {
        while self.step()? {}
        Ok(())
    }

    fn step(&self) -> Result<bool, String> {
        self.engine()?.step().map_err(|error| in_words(&error))
    }

    fn reopen(&mut self) -> Result<(), String> {
        let Some(engine) = self.engine.take() else { return Ok(()) };
        engine.close().map_err(|error| in_words(&error))?;
        let mut site = self.site.clone();
        site.entropy_seed = site.entropy_seed.wrapping_add(1);
        *self = Self { is_as_closed: true, ..Self::open(site, std::mem::take(&mut self.states))? };
        Ok(())
    }

    fn engine(&self) -> Result<&E, String> {
        self.engine.as_ref().ok_or_else(|| String::from("no engine"))
    }

    /// Does harm to a copy of the files as they are, and opens that.
    fn after(&self, plan: &Plan, next: &[Action], harm: Harm) -> Result<(), String> {
        let disk = SimDisk::clone(&self.site.disk);
        let copy = |disk: SimDisk, number: u64| site_of(disk, plan, 1000 + number);
        match harm {
            Harm::LogBit(offset, bit) => {
                disk.flip_bit(FileId::Log, offset, bit);
                look::<E>(&copy(disk, 0), &self.states[self.shown..], |_| true)
            }
            Harm::NewestSuperblock => {
                let newest = newest_superblock(&disk);
                let _ = disk.write_at(FileId::Data, newest * SECTOR_BYTES, &[0; SECTOR_BYTES as usize]);
                let newer = |what: &str| what.contains("the log was written after checkpoint");
                look::<E>(&copy(disk, 0), std::slice::from_ref(self.now()), newer)
            }
            Harm::LogOfCopy => {
                let mut ours = Self::open(copy(disk.clone(), 0), self.states.clone())?;
                let mut theirs = Self::open(copy(disk, 1), self.states.clone())?;
                let mut commits = next.iter().filter_map(|action| match action {
                    Action::Commit(_, ops) => Some(ops),
                    _ => None,
                });
                for ops in commits.by_ref().take(COMMITS_APART) {
                    ours.commit(Durability::Sync, ops)?;
                    theirs.commit(Durability::Sync, &apart(ops))?;
                }
                ours.settle()?;
                for ops in commits.take(COMMITS_APART) {
                    theirs.commit(Durability::Sync, &apart(ops))?;
                }
                let [data, _] = ours.site.disk.contents();
                let [_, log] = theirs.site.disk.contents();
                let mixed = SimDisk::with_contents(plan.seed, [data, log]);
                look::<E>(&copy(mixed, 2), &ours.states, |_| true)
            }
        }
    }
}

/// Everything at hand at once.
fn site_of(disk: SimDisk, plan: &Plan, opening: u64) -> Site {
    let plan = Plan { paging: None, late_syncs: false, actions: Vec::new(), ..*plan };
    Site { entropy_seed: plan.seed.wrapping_add(opening), ..Site::new(disk, &plan) }
}

/// Opens and reads all: it must be one of these states, or damage that is `right` to be told.
fn look<E: Engine>(site: &Site, states: &[Arc<Tables>], right: impl Fn(&str) -> bool) -> Result<(), String> {
    let honest = |error: Error| match error {
        Error::Corrupt(_) if right(&in_words(&error)) => Ok(()),
        error => Err(in_words(&error)),
    };
    let engine = match E::open(site) {
        Ok(engine) => engine,
        Err(error) => return honest(error),
    };
    let found = match everything(&engine) {
        Ok(found) => found,
        Err(super::compare::Wrong::Error(error)) => return honest(error),
        Err(wrong) => return Err(wrong.into_words()),
    };
    if !states.iter().any(|state| **state == found) {
        let newest = states.last().map(|state| state.difference(&found).unwrap_or_default()).unwrap_or_default();
        return Err(format!("none of the {} states that may be found; against the newest: {newest}", states.len()));
    }
    match engine.check() {
        Ok(problems) if problems.is_empty() => Ok(()),
        Ok(problems) => Err(format!("check found: {}", problems.join("; "))),
        Err(error) => honest(error),
    }
}

/// The slot with the higher number.
fn newest_superblock(disk: &SimDisk) -> u64 {
    let [data, _] = disk.contents();
    let number = |slot: usize| {
        let at = slot * SECTOR_BYTES as usize + CHECKPOINT_AT;
        data.get(at..).and_then(<[u8]>::first_chunk).map_or(0, |bytes| u64::from_le_bytes(*bytes))
    };
    u64::from(number(1) > number(0))
}

/// Other values of the same lengths.
fn apart(ops: &[TxOp]) -> Vec<TxOp> {
    let other =
        |value: &Value| Value { tag: if value.len < 4 { value.tag } else { value.tag ^ 0x0080_0000 }, ..*value };
    ops.iter()
        .map(|op| match op {
            TxOp::Put(table, key, value) => TxOp::Put(*table, key.clone(), other(value)),
            op => op.clone(),
        })
        .collect()
}

fn in_words(error: &Error) -> String {
    format!("{}: {error}", error.name())
}
