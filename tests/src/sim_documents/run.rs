//! Carries out a plan and compares every answer with the state that it should be of.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use lightning_db::env::Clock;
use lightning_db::{Collection, Database, Error, Progress, Value};

use super::action::{Action, COLLECTIONS};
use super::clients::{CLIENTS, Client};
use super::clock::PlanClock;
use super::plan::Plan;
use super::questions::Held as HeldSnapshot;
use super::state::State;
use super::watch::Watcher;
use crate::sim::action::{Crash, Durability};
use crate::sim::compare::Wrong;
use crate::sim::engine::Site;
use crate::sim::run::{Failure, Stats};
use crate::sim_disk::{Fault, SimDisk};

/// Snapshots held at a time.
const SNAPSHOTS_MAX: usize = 3;

/// Carries out a plan. A panic of the engine is a failure too.
pub fn run(plan: &Plan) -> Result<Stats, Failure> {
    let (stats, outcome) = run_counted(plan, false);
    outcome.map(|()| stats)
}

/// Like [`run`], and tells what was done before it went wrong too; `trace` prints each action as it begins.
pub fn run_counted(plan: &Plan, trace: bool) -> (Stats, Result<(), Failure>) {
    let mut at = 0;
    let mut runner = Runner::new(plan);
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
        Ok(Ok(())) => return (runner.stats(), Ok(())),
        Ok(Err(what)) => what,
        Err(panic) => {
            let words = panic.downcast_ref::<String>().cloned();
            let words = words.or_else(|| panic.downcast_ref::<&str>().map(|words| String::from(*words)));
            format!("panic: {}", words.unwrap_or_default())
        }
    };
    (runner.stats(), Err(Failure { action: at, what }))
}

/// A plan under way.
pub(super) struct Runner {
    pub(super) plan: Plan,
    pub(super) site: Site,
    pub(super) clock: Arc<PlanClock>,
    pub(super) clients: [Option<Client>; CLIENTS],
    pub(super) snapshots: VecDeque<HeldSnapshot>,
    /// Those who follow a result. They outlive crashes, and then ask again.
    pub(super) watchers: Vec<Watcher>,
    pub(super) handles: [Option<Collection<Value>>; COLLECTIONS.len()],
    pub(super) database: Option<Database>,
    /// As it is now.
    pub(super) state: Arc<State>,
    /// Older ones that a power loss may bring back, the oldest first.
    pub(super) older: Vec<Arc<State>>,
    /// What may be found if the machine goes down in the call under way, the oldest first.
    pub(super) under_way: Vec<Arc<State>>,
    /// What may be found although the call that was to bring it failed, with the state it came upon.
    pub(super) failed: Vec<(Arc<State>, Arc<State>)>,
    /// The versions that collections are brought to.
    pub(super) versions: [u32; COLLECTIONS.len()],
    /// How often the indexes or the version of each were changed.
    pub(super) schema_changes: [u64; COLLECTIONS.len()],
    /// An index that is being made was impossible at some moment.
    pub(super) was_impossible: bool,
    /// Faults and failed syncs of the disk when the database was opened.
    pub(super) faults_at_open: u64,
    pub(super) failed_syncs_at_open: u64,
    /// The disk may be full.
    pub(super) limited: bool,
    pub(super) next_crash: Crash,
    /// Transactions that may have been committed.
    pub(super) commits: u64,
    pub(super) stats: Stats,
}

impl Runner {
    fn new(plan: &Plan) -> Self {
        let disk = SimDisk::new(plan.base.seed);
        disk.keep_stale_cache(plan.base.stale_cache);
        let site = Site::new(disk, &plan.base);
        let clock = PlanClock::new(&site.clock);
        let mut state = State::default();
        for (held, (rules, goes_after_ms)) in state.collections.iter_mut().zip(&plan.collections) {
            (held.rules, held.goes_after_ms, held.version) = (rules.clone(), *goes_after_ms, 1);
        }
        Self {
            plan: plan.clone(),
            site,
            clock: Arc::new(clock),
            clients: Default::default(),
            snapshots: VecDeque::new(),
            watchers: Vec::new(),
            handles: Default::default(),
            database: None,
            state: Arc::new(state),
            older: Vec::new(),
            under_way: Vec::new(),
            failed: Vec::new(),
            versions: [1; COLLECTIONS.len()],
            schema_changes: [0; COLLECTIONS.len()],
            was_impossible: false,
            faults_at_open: 0,
            failed_syncs_at_open: 0,
            limited: false,
            next_crash: Crash::Kill,
            commits: 0,
            stats: Stats { runs: 1, ..Stats::default() },
        }
    }

    fn start(&mut self) -> Result<(), String> {
        self.database = Some(self.open_database().map_err(|error| Wrong::Error(error).into_words())?);
        for at in 0..COLLECTIONS.len() {
            self.bring(at).map_err(Wrong::into_words)?;
        }
        let database = self.database().map_err(Wrong::into_words)?;
        self.call(|| database.sync()).map_err(|error| Wrong::Error(error).into_words())
    }

    /// Ends in fair weather.
    fn finish(&mut self) -> Result<(), String> {
        self.site.disk.cancel_faults();
        self.site.disk.limit(None);
        self.limited = false;
        for action in [Action::Compare, Action::Reopen, Action::Step(1000), Action::Check, Action::Compare] {
            self.act(&action)?;
        }
        Ok(())
    }

    fn stats(&self) -> Stats {
        Stats {
            faults: self.site.disk.faults_met(),
            time_ms: self.site.disk.elapsed_ns() / 1_000_000,
            ios: self.site.disk.io_count(),
            restarts: self.site.pager.as_ref().map_or(0, |pager| pager.restarts()),
            ..self.stats
        }
    }

    pub(super) fn now_ms(&self) -> u64 {
        self.clock.wall_ms()
    }

    pub(super) fn database(&self) -> Result<Database, Wrong> {
        self.database.clone().ok_or_else(|| Wrong::Answer("no database".into()))
    }

    pub(super) fn handle(&self, at: usize) -> Result<Collection<Value>, Wrong> {
        self.handles[at].clone().ok_or_else(|| Wrong::Answer("no handle".into()))
    }

    /// A call begins: runs it, fetching what it misses.
    pub(super) fn call<T>(&self, operation: impl FnMut() -> Result<T, Error>) -> Result<T, Error> {
        self.site.clock.call();
        self.site.drive(operation)
    }

    /// Carries out one action, and whatever comes of it.
    fn act(&mut self, action: &Action) -> Result<(), String> {
        self.stats.actions += 1;
        let faults_before = self.site.disk.faults_met();
        let outcome = self.carry_out(action);
        if self.site.disk.is_crashed() {
            return self.go_down();
        }
        match outcome {
            Ok(()) => {
                self.under_way.clear();
                Ok(())
            }
            Err(Wrong::Answer(what)) => Err(what),
            Err(Wrong::Error(error)) => self.excuse(&error, faults_before, action.commits_once()),
        }
    }

    fn carry_out(&mut self, action: &Action) -> Result<(), Wrong> {
        match action {
            Action::Call(op) => self.call_op(op),
            Action::Transaction(durability, ops, commits) => self.transaction(*durability, ops, *commits),
            Action::Client(at, step) => self.client(*at, step),
            Action::Pages(at, asked, size, between) => self.pages(*at, asked, *size, between),
            Action::Extreme(at, path, highest, asked) => self.extreme(*at, path, *highest, asked),
            Action::Watch(at, asked) => self.watch(*at, asked),
            Action::LookAtWatch(at) => self.look_at_watch(*at),
            Action::TakeSnapshot => {
                self.snapshots.push_back(HeldSnapshot::new(self.database()?.snapshot(), &self.state));
                if self.snapshots.len() > SNAPSHOTS_MAX {
                    self.snapshots.pop_front();
                }
                Ok(())
            }
            Action::AskSnapshot(at, collection, asked) => self.ask_snapshot(*at, *collection, asked),
            Action::DropSnapshot(at) => {
                let len = self.snapshots.len();
                drop((len > 0).then(|| self.snapshots.remove(at % len)));
                Ok(())
            }
            Action::AddIndex(at, rule, during) => self.add_index(*at, *rule, during),
            Action::DropIndex(at, rule) => self.drop_index(*at, *rule),
            Action::Migrate(at, in_steps) => self.migrate(*at, *in_steps),
            Action::Passes(ms) => {
                // What others remove because it is gone would be there for a transaction that knows an earlier time.
                self.clients = Default::default();
                self.clock.pass(*ms);
                Ok(())
            }
            Action::RemoveExpired(times) => self.remove_expired(*times),
            Action::Step(times) => {
                let database = self.database()?;
                for _ in 0..*times {
                    self.stats.steps += 1;
                    if self.call(|| database.step())? == Progress::Idle {
                        break;
                    }
                }
                Ok(())
            }
            Action::Compare => self.compare(),
            Action::Check => self.check(),
            Action::Reopen => self.reopen(),
            Action::CrashAfter(ios, crash) => {
                self.next_crash = *crash;
                self.site.disk.schedule(*ios, Fault::Crash);
                Ok(())
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
            Action::CrashNow(crash) => {
                self.next_crash = *crash;
                self.site.disk.crash();
                Ok(())
            }
        }
    }

    /// A commit is acknowledged.
    pub(super) fn committed(&mut self, next: State, durability: Durability) {
        self.under_way.clear();
        if next == *self.state {
            // Without a change it makes nothing else durable.
            return;
        }
        // Documents that are gone may have been removed before, and indexes are finished without a sync.
        let now_ms = self.now_ms();
        if durability == Durability::Sync && next.seen_at(now_ms) != self.state.seen_at(now_ms) {
            self.older.clear();
            self.failed.clear();
        } else {
            self.older.push(Arc::clone(&self.state));
        }
        self.state = Arc::new(next);
    }

    fn remove_expired(&mut self, times: u32) -> Result<(), Wrong> {
        let database = self.database()?;
        self.commits += 1;
        for _ in 0..times {
            if self.call(|| database.remove_expired())? == Progress::Idle {
                break;
            }
        }
        Ok(())
    }

    pub(super) fn forget(&mut self) {
        self.snapshots.clear();
        self.clients = Default::default();
        self.handles = Default::default();
        self.watchers.iter_mut().for_each(Watcher::end);
        self.database = None;
    }
}

pub(super) fn promise(durability: Durability) -> lightning_db::Durability {
    match durability {
        Durability::Sync => lightning_db::Durability::Sync,
        Durability::Periodic(interval_ms) => lightning_db::Durability::Periodic { interval_ms },
        Durability::Relaxed => lightning_db::Durability::Relaxed,
    }
}
