//! Carries out a plan and compares every answer with the model.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use lightning_db::{Error, Mode};

use super::action::{Action, Answer, Crash, Durability, Query, TxOp, key, value};
use super::clients::{CLIENTS, Client, Waiting};
use super::compare::{Wrong, compare, difference, same};
use super::draft::Draft;
use super::engine::{Engine, Site};
use super::keeper::Kept;
use super::model::{Model, Tables};
use super::named::Names;
use super::plan::Plan;
use super::recovery::Loss;
use super::replica::Replica;
use crate::sim_disk::{Fault, SimDisk};

/// Snapshots held at a time.
const SNAPSHOTS_MAX: usize = 4;
/// More steps than any amount of background work at these sizes needs.
const SETTLE_STEPS_MAX: u32 = 1_000_000;

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
    /// Interactive transactions refused because of what others did.
    pub conflicts: u64,
    /// Interactive transactions refused as too old.
    pub too_old: u64,
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
        self.conflicts += other.conflicts;
        self.too_old += other.too_old;
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
    pub(super) site: Site,
    /// `None` only between closing and opening. Snapshots and transactions go before it.
    pub(super) engine: Option<E>,
    /// With the states each may be of, the newest first.
    pub(super) snapshots: VecDeque<(E::Snapshot, Vec<Arc<Tables>>)>,
    /// When those were taken, by the monotonic clock: the engine may forget what was taken so long ago.
    pub(super) taken_ns: VecDeque<u64>,
    /// Who may write, and whether nobody was to begin to, since the engine was opened.
    pub(super) mode: Mode,
    pub(super) was_maintained: bool,
    pub(super) clients: [Option<Client<E::Transaction>>; CLIENTS],
    pub(super) waiting: Vec<Waiting<E::Transaction>>,
    /// What somebody makes of the change feed, once it was asked for.
    pub(super) replica: Option<Replica>,
    /// The backups there are, once one was asked for.
    pub(super) kept: Option<Kept>,
    /// The states that have a name, once one was to have one.
    pub(super) names: Option<Names>,
    pub(super) model: Model,
    pub(super) next_crash: Crash,
    /// Faults and failed syncs of the disk when the engine was opened.
    pub(super) faults_at_open: u64,
    pub(super) failed_syncs_at_open: u64,
    /// The monotonic clock when the action began.
    pub(super) began_ns: u64,
    pub(super) limited: bool,
    /// Whether the database was ever open.
    pub(super) made: bool,
    /// Nothing more can be said about the database.
    pub(super) over: bool,
    pub(super) stats: Stats,
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
            taken_ns: VecDeque::new(),
            mode: Mode::Normal,
            was_maintained: false,
            clients: Default::default(),
            waiting: Vec::new(),
            replica: None,
            kept: None,
            names: None,
            model: Model::default(),
            next_crash: Crash::Kill,
            faults_at_open: 0,
            failed_syncs_at_open: 0,
            began_ns: 0,
            limited: false,
            made: false,
            over: false,
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
        if !self.over {
            self.act(&Action::Reopen)?;
            self.settle()?;
            self.check()?;
            self.compare()?;
            if self.replica.is_some() {
                self.act(&Action::Follow)?;
            }
            if self.kept.is_some() {
                self.act(&Action::Keep)?;
            }
            if self.names.is_some() {
                self.act(&Action::Name)?;
            }
        }
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
        self.clients = Default::default();
        self.waiting.clear();
        let engine = self.engine.take().ok_or("no engine")?;
        engine.close().map_err(|error| format!("closing: {}: {error}", error.name()))?;
        Ok((SimDisk::clone(&self.site.disk), Arc::clone(self.model.now())))
    }

    /// Carries out one action, and whatever comes of it.
    pub fn act(&mut self, action: &Action) -> Result<(), String> {
        if self.over {
            return Ok(());
        }
        let before = self.site.disk.will_copy().then(|| (self.model.clone(), self.made));
        let faults_before = self.site.disk.faults_met();
        self.carry_out(action)?;
        match before {
            // A commit that was being made when it was copied, and then failed, is in no state before or after.
            Some(_) if self.site.disk.faults_met() > faults_before => self.forget_copy(),
            Some((model, made)) if !self.over => self.open_copy(model, made),
            _ => Ok(()),
        }
    }

    fn carry_out(&mut self, action: &Action) -> Result<(), String> {
        self.stats.actions += 1;
        self.began_ns = self.site.clock.shown_ns();
        let faults_before = self.site.disk.faults_met();
        let outcome = match action {
            Action::Commit(durability, ops) => self.transaction(Some(*durability), ops),
            Action::Abort(ops) => self.transaction(None, ops),
            Action::Client(at, step) => self.client(*at, step),
            Action::CompleteSyncs(count) => self.complete_syncs(*count),
            Action::Ask(query) => self.ask(query),
            Action::TakeSnapshot => self.take_snapshot(),
            Action::AskSnapshot(at, query) => self.ask_snapshot(*at, query),
            Action::CompareSnapshot(at) => self.compare_snapshot(*at),
            Action::DropSnapshot(at) => {
                self.drop_snapshot(*at);
                Ok(())
            }
            Action::Follow => self.follow(),
            Action::Keep => self.keep(),
            Action::Name => self.name(),
            Action::Rekey(which) => self.rekey(*which),
            Action::Step(times) => self.step(*times),
            Action::Settle => self.settle_until_done(),
            Action::Compare => self.compare_all(),
            Action::Check => self.check_all(),
            Action::Reopen => self.reopen(),
            Action::ShutDown(crash) => self.shut_down(*crash),
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
            Action::Mode(mode) => self.set_mode(*mode),
            // What befalls it is seen to in normal mode: that needs writes and checks.
            Action::Fate(fate) if self.mode != Mode::Normal => {
                self.set_mode(Mode::Normal).and_then(|()| self.befall(*fate))
            }
            Action::Fate(fate) => self.befall(*fate),
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

    fn transaction(&mut self, durability: Option<Durability>, ops: &[TxOp]) -> Result<(), Wrong> {
        self.stats.operations += ops.len() as u64;
        let mut draft = Draft::new(Arc::clone(self.model.now()));
        let expected: Vec<Answer> = ops.iter().filter_map(|op| draft.perform(op)).collect();
        let hidden_until = (durability == Some(Durability::Sync)).then(|| self.site.disk.next_ticket());
        match self.engine()?.transaction(durability, ops) {
            Ok(_) if self.mode != Mode::Normal && E::HAS_MODES => {
                Err(Wrong::Answer(format!("a transaction in {} mode", self.mode)))
            }
            Ok((answers, ack)) => {
                if let Some(durability) = durability {
                    self.applied(None, draft.commit(), durability, hidden_until, ack);
                }
                if self.site.late_syncs && self.site.disk.failed_syncs() > self.failed_syncs_at_open {
                    // The commits it came upon failed meanwhile; one that writes would be told.
                    return Ok(());
                }
                for (at, (found, expected)) in answers.iter().zip(&expected).enumerate() {
                    same(found, expected, || format!("question {at} of the transaction"))?;
                }
                // One write alone answers nothing.
                if answers.len() != expected.len() {
                    return Err(Wrong::Answer(format!("{} answers to {} questions", answers.len(), expected.len())));
                }
                Ok(())
            }
            Err(error) => {
                // One that ran out of time was not tried.
                let tried =
                    !matches!(error, Error::TransactionTimeout { .. } | Error::ReadOnly | Error::Unavailable { .. });
                if durability.is_some() && tried {
                    self.model.failed(draft.after(self.model.now()), &draft.commit());
                }
                Err(Wrong::Error(error))
            }
        }
    }

    fn ask(&mut self, query: &Query) -> Result<(), Wrong> {
        self.stats.operations += 1;
        let engine = self.engine()?;
        let snapshot = engine.snapshot()?;
        let found = engine.ask(&snapshot, query)?;
        self.note_completed_syncs();
        let mut states: Vec<_> = self.model.visible().map(|(_, state)| Arc::clone(&state.tables)).collect();
        narrow(&mut states, query, &found, "")
    }

    fn take_snapshot(&mut self) -> Result<(), Wrong> {
        let snapshot = self.engine()?.snapshot()?;
        self.note_completed_syncs();
        let states = self.model.visible().map(|(_, state)| Arc::clone(&state.tables)).collect();
        self.snapshots.push_back((snapshot, states));
        self.taken_ns.push_back(self.began_ns);
        if self.snapshots.len() > SNAPSHOTS_MAX {
            self.drop_snapshot(0);
        }
        Ok(())
    }

    fn ask_snapshot(&mut self, at: usize, query: &Query) -> Result<(), Wrong> {
        let at = at % self.snapshots.len().max(1);
        let Some((snapshot, _)) = self.snapshots.get(at) else { return Ok(()) };
        self.stats.operations += 1;
        let found = match self.engine()?.ask(snapshot, query) {
            Err(Error::SnapshotExpired { .. }) => return self.expired(at),
            found => found?,
        };
        let Some((_, states)) = self.snapshots.get_mut(at) else { return Ok(()) };
        narrow(states, query, &found, "snapshot: ")
    }

    fn compare_snapshot(&mut self, at: usize) -> Result<(), Wrong> {
        let at = at % self.snapshots.len().max(1);
        let Some((snapshot, states)) = self.snapshots.get(at) else { return Ok(()) };
        match compare_any(self.engine()?, snapshot, states.iter()) {
            Err(Wrong::Error(Error::SnapshotExpired { .. })) => self.expired(at),
            compared => compared,
        }
    }

    fn drop_snapshot(&mut self, at: usize) {
        let len = self.snapshots.len();
        if len > 0 {
            self.taken_ns.remove(at % len);
            self.snapshots.remove(at % len);
        }
    }

    /// A snapshot says that it has expired: it must be old enough, and is let go.
    fn expired(&mut self, at: usize) -> Result<(), Wrong> {
        let taken_ns = self.taken_ns.get(at).copied().unwrap_or_default();
        let age_ms = (self.site.clock.shown_ns() - taken_ns) / 1_000_000;
        self.drop_snapshot(at);
        if age_ms >= self.site.tuning.snapshot_ms {
            Ok(())
        } else {
            Err(Wrong::Answer(format!("a snapshot has expired after {age_ms} ms")))
        }
    }

    fn set_mode(&mut self, mode: Mode) -> Result<(), Wrong> {
        self.engine()?.set_mode(mode)?;
        self.mode = mode;
        self.was_maintained |= mode == Mode::Maintenance;
        Ok(())
    }

    fn rekey(&mut self, which: u64) -> Result<(), Wrong> {
        let outcome = self.engine()?.rekey(which);
        // Whoever waits for its checkpoint waits for barriers asked for before.
        self.note_completed_syncs();
        outcome.map_err(Wrong::Error)
    }

    fn step(&mut self, times: u32) -> Result<(), Wrong> {
        for _ in 0..times {
            if !self.step_once()? {
                break;
            }
        }
        Ok(())
    }

    fn step_once(&mut self) -> Result<bool, Wrong> {
        self.stats.steps += 1;
        let began_ns = self.site.clock.shown_ns();
        let disk = Arc::clone(&self.site.disk);
        let under_way = disk.completed_ticket() + 1 < disk.next_ticket();
        let more = match self.engine()?.step() {
            Ok(more) => more,
            Err(Error::Pending(_)) => false,
            Err(error) => return Err(Wrong::Error(error)),
        };
        // A step does not fail for a sync that was due: whoever commits next hears of it.
        if !disk.is_crashed() && disk.failed_syncs() == self.failed_syncs_at_open {
            if !self.site.late_syncs {
                self.model.worked(began_ns);
            } else if !under_way {
                self.model.will_be_durable(began_ns, disk.next_ticket() - 1);
                self.note_completed_syncs();
            }
        }
        Ok(more)
    }

    fn settle_until_done(&mut self) -> Result<(), Wrong> {
        for _ in 0..SETTLE_STEPS_MAX {
            if !self.step_once()? && (!self.site.late_syncs || !self.engine()?.complete_sync()) {
                return Ok(());
            }
        }
        Err(Wrong::Answer(format!("background work never ends: {SETTLE_STEPS_MAX} steps")))
    }

    pub(super) fn compare_all(&mut self) -> Result<(), Wrong> {
        let snapshot = self.engine()?.snapshot()?;
        self.note_completed_syncs();
        compare_any(self.engine()?, &snapshot, self.model.visible().map(|(_, state)| &state.tables))
    }

    pub(super) fn check_all(&self) -> Result<(), Wrong> {
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
        self.taken_ns.clear();
        self.mode = Mode::Normal;
        self.was_maintained = false;
        self.clients = Default::default();
        self.waiting.clear();
        let Some(engine) = self.engine.take() else { return Err(Wrong::Answer("no engine".into())) };
        engine.close()?;
        if !self.site.disk.is_crashed() {
            self.model.closed();
            self.site.disk.kill();
            self.open(Loss::NONE).map_err(Wrong::Answer)?;
        }
        Ok(())
    }

    /// In an emergency: everything acknowledged stays, whatever happens to the machine then; what is under way is refused.
    fn shut_down(&mut self, crash: Crash) -> Result<(), Wrong> {
        if self.site.late_syncs {
            return self.reopen();
        }
        match self.engine()?.shut_down() {
            Ok(false) => return self.reopen(),
            _ if self.site.disk.is_crashed() => return Ok(()),
            Ok(true) => self.model.synced(),
            // It says that it does not know.
            Err(_) if self.site.disk.faults_met() > self.faults_at_open => {}
            Err(error) => return Err(Wrong::Error(error)),
        }
        let (files, faults) = (self.site.disk.contents(), self.site.disk.faults_met());
        let refused =
            self.engine()?.transaction(Some(Durability::Sync), &[TxOp::Put(0, key(b"too late"), value(1, 4))]);
        let is_right = match &refused {
            Err(Error::Closed) => true,
            // The mode, or what spares the disk, may be the first to refuse.
            Err(Error::ReadOnly | Error::Unavailable { .. }) => true,
            // It had stopped writing before.
            Err(Error::Poisoned { .. }) => faults > self.faults_at_open,
            refused => refused.is_err() && self.site.disk.faults_met() > faults,
        };
        if !is_right {
            return Err(Wrong::Answer(format!("after a shutdown a commit is answered with {refused:?}")));
        }
        self.commit_after_shutdown()?;
        if self.site.disk.is_crashed() {
            return Ok(());
        }
        if self.site.disk.contents() != files {
            return Err(Wrong::Answer(String::from("after a shutdown something is written")));
        }
        self.next_crash = crash;
        self.go_down().map_err(Wrong::Answer)
    }

    fn settle(&mut self) -> Result<(), String> {
        self.settle_until_done().map_err(Wrong::into_words)
    }

    fn check(&self) -> Result<(), String> {
        self.check_all().map_err(Wrong::into_words)
    }

    fn compare(&mut self) -> Result<(), String> {
        self.compare_all().map_err(Wrong::into_words)
    }

    pub(super) fn engine(&self) -> Result<&E, Wrong> {
        self.engine.as_ref().ok_or_else(|| Wrong::Answer("no engine".into()))
    }
}

/// Keeps the states that answer so; at least one does.
fn narrow(states: &mut Vec<Arc<Tables>>, query: &Query, found: &Answer, what: &str) -> Result<(), Wrong> {
    let mut expected = None;
    states.retain(|state| {
        let right = state.ask(query);
        let same = right == *found;
        expected.get_or_insert(right);
        same
    });
    match expected {
        Some(expected) if states.is_empty() => {
            Err(Wrong::Answer(format!("{what}{query:?}: {}", difference(found, &expected))))
        }
        _ => Ok(()),
    }
}

/// Compares all of a snapshot with what it may be.
fn compare_any<'s, E: Engine>(
    engine: &E,
    snapshot: &E::Snapshot,
    states: impl Iterator<Item = &'s Arc<Tables>>,
) -> Result<(), Wrong> {
    let mut outcome = Ok(());
    for state in states {
        outcome = compare(engine, snapshot, state);
        if !matches!(outcome, Err(Wrong::Answer(_))) {
            break;
        }
    }
    outcome
}
