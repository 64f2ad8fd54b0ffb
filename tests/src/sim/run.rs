//! Carries out a plan and compares every answer with the model.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use lightning_db::Error;

use super::action::{Action, Crash, Durability, Query, TxOp, key, value};
use super::compare::{Wrong, compare, everything, same};
use super::engine::{Engine, Site};
use super::model::{Model, Tables};
use super::plan::Plan;
use crate::sim_disk::{Fault, SimDisk};

/// Snapshots held at a time.
const SNAPSHOTS_MAX: usize = 4;
/// More steps than any amount of background work at these sizes needs.
const SETTLE_STEPS_MAX: u32 = 1_000_000;
/// More openings in a row than the plan has accidents for.
const OPENINGS_MAX: u32 = 100;

/// No transaction may take longer on the monotonic clock.
const TRANSACTION_NS_MAX: u64 = 30_000_000_000;

/// What a run did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Actions carried out.
    pub actions: u64,
    /// Reads and writes asked of the engine.
    pub operations: u64,
    /// Times the machine went down.
    pub crashes: u64,
    /// Faults met, slow I/Os among them.
    pub faults: u64,
    /// Background steps.
    pub steps: u64,
    /// I/Os of the disk.
    pub ios: u64,
    /// Operations started again because something was not resident.
    pub restarts: u64,
    /// Simulated time that passed, in milliseconds.
    pub time_ms: u64,
    /// Runs, when added up.
    pub runs: u64,
}

impl Stats {
    /// Adds another run's.
    pub fn add(&mut self, other: &Stats) {
        self.actions += other.actions;
        self.operations += other.operations;
        self.crashes += other.crashes;
        self.faults += other.faults;
        self.steps += other.steps;
        self.ios += other.ios;
        self.restarts += other.restarts;
        self.time_ms += other.time_ms;
        self.runs += other.runs;
    }
}

/// Where a run went wrong, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Index of the action.
    pub action: usize,
    /// What is wrong.
    pub what: String,
}

/// Carries out a plan. A panic of the engine is a failure too.
pub fn run<E: Engine>(plan: &Plan) -> Result<Stats, Failure> {
    run_with::<E>(plan, false)
}

/// Like [`run`], and prints each action as it begins and each I/O.
pub fn run_with<E: Engine>(plan: &Plan, trace: bool) -> Result<Stats, Failure> {
    let (stats, outcome) = run_counted::<E>(plan, trace);
    outcome.map(|()| stats)
}

/// Like [`run_with`], and tells what was done before it went wrong too.
pub fn run_counted<E: Engine>(plan: &Plan, trace: bool) -> (Stats, Result<(), Failure>) {
    let mut at = 0;
    let mut runner = Runner::<E>::new(plan);
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        runner.site.disk.trace(trace);
        runner.start()?;
        for (index, action) in plan.actions.iter().enumerate() {
            at = index;
            if trace {
                println!("{index:4} {action:?}");
            }
            runner.act(action)?;
        }
        runner.finish()
    }));
    let what = match outcome {
        Ok(Ok(stats)) => return (stats, Ok(())),
        Ok(Err(what)) => what,
        Err(panic) => {
            let words = panic.downcast_ref::<String>().cloned();
            let words = words.or_else(|| panic.downcast_ref::<&str>().map(|words| String::from(*words)));
            format!("panic: {}", words.unwrap_or_default())
        }
    };
    (runner.stats(), Err(Failure { action: at, what }))
}

/// A plan under way. Public so that the test of every crash point can steer it.
pub struct Runner<E: Engine> {
    site: Site,
    /// `None` only between closing and opening. Snapshots go before it.
    engine: Option<E>,
    snapshots: VecDeque<(E::Snapshot, Arc<Tables>)>,
    model: Model,
    next_crash: Crash,
    /// Faults and failed syncs of the disk when the engine was opened.
    faults_at_open: u64,
    failed_syncs_at_open: u64,
    /// The monotonic clock when the action began.
    began_ns: u64,
    limited: bool,
    /// Whether the database was ever open.
    made: bool,
    stats: Stats,
}

impl<E: Engine> Runner<E> {
    /// An empty disk.
    pub fn new(plan: &Plan) -> Self {
        let disk = SimDisk::new(plan.seed);
        disk.keep_stale_cache(plan.stale_cache);
        Self {
            site: Site::new(disk, plan),
            engine: None,
            snapshots: VecDeque::new(),
            model: Model::default(),
            next_crash: Crash::Kill,
            faults_at_open: 0,
            failed_syncs_at_open: 0,
            began_ns: 0,
            limited: false,
            made: false,
            stats: Stats { runs: 1, ..Stats::default() },
        }
    }

    /// The disk.
    pub fn disk(&self) -> &SimDisk {
        &self.site.disk
    }

    /// Lets the machine go down after this many I/Os.
    pub fn crash_after(&mut self, ios: u64, crash: Crash) {
        self.next_crash = crash;
        self.site.disk.schedule(ios, Fault::Crash);
    }

    /// How often the machine went down.
    pub fn crashes(&self) -> u64 {
        self.stats.crashes
    }

    /// Opens the new database.
    pub fn start(&mut self) -> Result<(), String> {
        self.open(Loss::NONE)
    }

    /// Ends in fair weather: closes, opens, compares, and reports.
    pub fn finish(&mut self) -> Result<Stats, String> {
        self.site.disk.cancel_faults();
        self.site.disk.limit(None);
        self.limited = false;
        self.act(&Action::Reopen)?;
        self.settle()?;
        self.check()?;
        self.compare()?;
        Ok(self.stats())
    }

    /// What was done so far.
    pub fn stats(&self) -> Stats {
        Stats {
            faults: self.site.disk.faults_met() + self.site.disk.slow_ios(),
            time_ms: self.site.disk.elapsed_ns() / 1_000_000,
            ios: self.site.disk.io_count(),
            restarts: self.site.pager.as_ref().map_or(0, |pager| pager.restarts()),
            ..self.stats
        }
    }

    /// Closes, and hands over the disk and what it should hold.
    pub fn close(mut self) -> Result<(SimDisk, Arc<Tables>), String> {
        self.site.disk.cancel_faults();
        self.site.disk.limit(None);
        self.snapshots.clear();
        let engine = self.engine.take().ok_or("no engine")?;
        engine.close().map_err(|error| format!("closing: {}: {error}", error.name()))?;
        Ok((SimDisk::clone(&self.site.disk), Arc::clone(self.model.now())))
    }

    /// Carries out one action, and whatever comes of it.
    pub fn act(&mut self, action: &Action) -> Result<(), String> {
        self.stats.actions += 1;
        self.began_ns = self.site.clock.shown_ns();
        let faults_before = self.site.disk.faults_met();
        let outcome = match action {
            Action::Commit(durability, ops) => self.transaction(Some(*durability), ops),
            Action::Abort(ops) => self.transaction(None, ops),
            Action::Ask(query) => self.ask(query),
            Action::TakeSnapshot => self.take_snapshot(),
            Action::AskSnapshot(at, query) => self.ask_snapshot(*at, query),
            Action::CompareSnapshot(at) => self.compare_snapshot(*at),
            Action::DropSnapshot(at) => {
                let len = self.snapshots.len();
                drop((len > 0).then(|| self.snapshots.remove(*at % len)));
                Ok(())
            }
            Action::Step(times) => self.step(*times),
            Action::Settle => self.settle_until_done(),
            Action::Compare => self.compare_all(),
            Action::Check => self.check_all(),
            Action::Reopen => self.reopen(),
            Action::CrashAfter(ios, crash) => {
                self.crash_after(*ios, *crash);
                Ok(())
            }
            Action::CrashNow(crash) => {
                self.next_crash = *crash;
                return self.go_down();
            }
            Action::FaultAfter(ios, fault) => {
                self.site.disk.schedule(*ios, *fault);
                Ok(())
            }
            Action::Limit(more) => {
                let held: usize = self.site.disk.contents().iter().map(Vec::len).sum();
                self.site.disk.limit(more.map(|more| held as u64 + more));
                self.limited = more.is_some();
                Ok(())
            }
            Action::Time(time) => {
                self.site.clock.happen(*time);
                Ok(())
            }
        };
        match outcome {
            _ if self.site.disk.is_crashed() => self.go_down(),
            Ok(()) => Ok(()),
            Err(Wrong::Answer(what)) => Err(what),
            Err(Wrong::Error(error)) => self.excuse(&error, faults_before),
        }
    }

    /// An error is right only if the disk gave a reason for it, and then it must be an honest one.
    fn excuse(&mut self, error: &Error, faults_before: u64) -> Result<(), String> {
        let met_now = self.site.disk.faults_met() > faults_before;
        let met_since_open = self.site.disk.faults_met() > self.faults_at_open;
        let only_reopening_helps = match error {
            Error::Poisoned { .. } | Error::OutcomeUnknown { .. } if met_since_open => {
                self.probe_poisoned()?;
                true
            }
            Error::Storage(_) if met_now => false,
            Error::TransactionTimeout { .. } => return self.excuse_timeout(),
            Error::Storage(_) if self.limited && error.is_full() => false,
            // A wrong bit or an early end read from the disk looks like damage.
            Error::Corrupt(_) if met_now => false,
            _ => return Err(format!("error without a reason: {}: {error}", error.name())),
        };
        if only_reopening_helps || self.engine.is_none() { self.restart_process() } else { Ok(()) }
    }

    /// A slow disk may use up the time of a transaction.
    fn excuse_timeout(&self) -> Result<(), String> {
        let took_ns = self.site.clock.shown_ns() - self.began_ns;
        if took_ns > TRANSACTION_NS_MAX { Ok(()) } else { Err(format!("out of time after {took_ns} ns")) }
    }

    /// After an unknown outcome the handle still reads what was acknowledged, and writes no more.
    fn probe_poisoned(&mut self) -> Result<(), String> {
        let Some(engine) = &self.engine else { return Ok(()) };
        let write = [TxOp::Put(0, key(b"after poison"), value(1, 4))];
        let faults_before = self.site.disk.faults_met();
        match engine.transaction(Some(Durability::Relaxed), &write) {
            Err(Error::Poisoned { .. }) => {}
            Err(_) if self.site.disk.faults_met() > faults_before => {}
            other => return Err(format!("a handle that must be poisoned answers a commit with {other:?}")),
        }
        let faults_before = self.site.disk.faults_met();
        match self.compare_all() {
            Err(Wrong::Answer(what)) => Err(format!("a poisoned handle: {what}")),
            Err(Wrong::Error(error)) if self.site.disk.faults_met() == faults_before => {
                Err(format!("a poisoned handle does not read: {}: {error}", error.name()))
            }
            _ => Ok(()),
        }
    }

    fn transaction(&mut self, durability: Option<Durability>, ops: &[TxOp]) -> Result<(), Wrong> {
        self.stats.operations += ops.len() as u64;
        let (after, expected) = self.model.now().after(ops);
        match self.engine()?.transaction(durability, ops) {
            Ok(answers) => {
                match durability {
                    // A transaction that changes nothing need not be written: it neither makes durable what others left
                    // unsynced, nor takes the place of one that failed before it.
                    Some(_) if after == **self.model.now() => {}
                    Some(durability) => self.model.acknowledged(durability, after),
                    None => {}
                }
                for (at, (found, expected)) in answers.iter().zip(&expected).enumerate() {
                    same(found, expected, || format!("question {at} of the transaction"))?;
                }
                if answers.len() != expected.len() {
                    return Err(Wrong::Answer(format!("{} answers to {} questions", answers.len(), expected.len())));
                }
                Ok(())
            }
            Err(error) => {
                // One that ran out of time was not tried.
                if durability.is_some() && !matches!(error, Error::TransactionTimeout { .. }) {
                    self.model.failed(after);
                }
                Err(Wrong::Error(error))
            }
        }
    }

    fn ask(&mut self, query: &Query) -> Result<(), Wrong> {
        self.stats.operations += 1;
        let engine = self.engine()?;
        let snapshot = engine.snapshot()?;
        same(&engine.ask(&snapshot, query)?, &self.model.now().ask(query), || format!("{query:?}"))
    }

    fn take_snapshot(&mut self) -> Result<(), Wrong> {
        let snapshot = self.engine()?.snapshot()?;
        self.snapshots.push_back((snapshot, Arc::clone(self.model.now())));
        if self.snapshots.len() > SNAPSHOTS_MAX {
            self.snapshots.pop_front();
        }
        Ok(())
    }

    fn ask_snapshot(&mut self, at: usize, query: &Query) -> Result<(), Wrong> {
        let Some((snapshot, state)) = self.snapshots.get(at % self.snapshots.len().max(1)) else { return Ok(()) };
        self.stats.operations += 1;
        same(&self.engine()?.ask(snapshot, query)?, &state.ask(query), || format!("snapshot: {query:?}"))
    }

    fn compare_snapshot(&mut self, at: usize) -> Result<(), Wrong> {
        let Some((snapshot, state)) = self.snapshots.get(at % self.snapshots.len().max(1)) else { return Ok(()) };
        compare(self.engine()?, snapshot, state)
    }

    fn step(&mut self, times: u32) -> Result<(), Wrong> {
        for _ in 0..times {
            self.stats.steps += 1;
            if !self.engine()?.step()? {
                break;
            }
        }
        Ok(())
    }

    fn settle_until_done(&mut self) -> Result<(), Wrong> {
        for _ in 0..SETTLE_STEPS_MAX {
            self.stats.steps += 1;
            if !self.engine()?.step()? {
                return Ok(());
            }
        }
        Err(Wrong::Answer(format!("background work never ends: {SETTLE_STEPS_MAX} steps")))
    }

    fn compare_all(&self) -> Result<(), Wrong> {
        let engine = self.engine()?;
        compare(engine, &engine.snapshot()?, self.model.now())
    }

    fn check_all(&self) -> Result<(), Wrong> {
        let faults_before = self.site.disk.faults_met();
        let findings = self.engine()?.check()?;
        // A wrong read may look like damage to it.
        let excused = self.site.disk.faults_met() > faults_before;
        if findings.is_empty() || excused {
            Ok(())
        } else {
            Err(Wrong::Answer(format!("check found: {}", findings.join("; "))))
        }
    }

    fn reopen(&mut self) -> Result<(), Wrong> {
        self.snapshots.clear();
        let Some(engine) = self.engine.take() else { return Err(Wrong::Answer("no engine".into())) };
        engine.close()?;
        if !self.site.disk.is_crashed() {
            self.model.closed();
            self.site.disk.kill();
            self.open(Loss::NONE).map_err(Wrong::Answer)?;
        }
        Ok(())
    }

    fn settle(&mut self) -> Result<(), String> {
        self.settle_until_done().map_err(Wrong::into_words)
    }

    fn check(&self) -> Result<(), String> {
        self.check_all().map_err(Wrong::into_words)
    }

    fn compare(&self) -> Result<(), String> {
        self.compare_all().map_err(Wrong::into_words)
    }

    fn engine(&self) -> Result<&E, Wrong> {
        self.engine.as_ref().ok_or_else(|| Wrong::Answer("no engine".into()))
    }

    /// The machine goes down, at once or where it has already, and comes up again.
    fn go_down(&mut self) -> Result<(), String> {
        self.leave();
        let mut loss = self.loss();
        self.strike(&mut loss);
        self.open(loss)
    }

    fn strike(&mut self, loss: &mut Loss) {
        self.stats.crashes += 1;
        match self.next_crash {
            Crash::Kill => self.site.disk.kill(),
            Crash::Power(seed) => {
                self.site.disk.power_loss(seed);
                *loss = Loss { unsynced: true, cache: true };
            }
        }
    }

    /// Only reopening helps.
    fn restart_process(&mut self) -> Result<(), String> {
        self.leave();
        let loss = self.loss();
        self.site.disk.kill();
        self.open(loss)
    }

    fn loss(&self) -> Loss {
        Loss { unsynced: self.site.disk.failed_syncs() > self.failed_syncs_at_open, cache: false }
    }

    /// Forgets the engine without letting it say goodbye.
    fn leave(&mut self) {
        self.site.disk.crash();
        self.snapshots.clear();
        self.engine = None;
        if let Some(pager) = &self.site.pager {
            pager.end_operation();
        }
    }

    /// Opens, through further accidents if they are planned, and finds out what is there.
    fn open(&mut self, mut loss: Loss) -> Result<(), String> {
        for _ in 0..OPENINGS_MAX {
            self.site.entropy_seed = self.site.entropy_seed.wrapping_add(1);
            let disk = Arc::clone(&self.site.disk);
            let faults_before = disk.faults_met();
            let failed_syncs_before = disk.failed_syncs();
            let opened = E::open(&self.site).map_err(Wrong::Error).and_then(|engine| {
                let found = everything(&engine)?;
                Ok((engine, found))
            });
            loss.unsynced |= disk.failed_syncs() > failed_syncs_before;
            if disk.is_crashed() {
                drop(opened);
                self.strike(&mut loss);
                continue;
            }
            match opened {
                Ok((engine, found)) => {
                    self.model
                        .recovered(&found, loss.unsynced, loss.cache)
                        .map_err(|what| format!("after opening: {what}"))?;
                    self.made = true;
                    self.faults_at_open = faults_before;
                    self.failed_syncs_at_open = failed_syncs_before;
                    self.engine = Some(engine);
                    return match self.check_all() {
                        Err(Wrong::Error(_)) if disk.faults_met() > faults_before => Ok(()),
                        other => other.map_err(|wrong| format!("after opening: {}", wrong.into_words())),
                    };
                }
                Err(Wrong::Answer(what)) => return Err(format!("after opening: {what}")),
                // Half made, and nothing in it yet: a person would delete it and begin again.
                Err(Wrong::Error(Error::NotADatabase { .. })) if !self.made => disk.erase(),
                Err(Wrong::Error(error)) => {
                    if disk.faults_met() == faults_before {
                        return Err(format!("cannot open: {}: {error}", error.name()));
                    }
                    // A person would make room, or try again.
                    disk.limit(None);
                    self.limited = false;
                    disk.kill();
                }
            }
        }
        Err(format!("cannot open in {OPENINGS_MAX} attempts"))
    }
}

/// What may be gone since the last opening.
#[derive(Clone, Copy)]
struct Loss {
    /// Acknowledged but not synced writes: the power went, or a sync failed.
    unsynced: bool,
    /// All that was only in memory: the power went, so what is found now is on the disk.
    cache: bool,
}

impl Loss {
    const NONE: Loss = Loss { unsynced: false, cache: false };
}
