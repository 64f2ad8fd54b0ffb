//! Carries out a plan and compares every answer with the state that it should be of.

use std::collections::{BTreeSet, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use lightning_db::env::Clock;
use lightning_db::{
    Collection, Database, Error, Expiry, IndexProgress, Migrations, Progress, Query, Schema, Snapshot, Value,
    WriteCollection,
};

use super::action::{Action, COLLECTIONS, Goes, Op, Outcome};
use super::clients::{CLIENTS, Client};
use super::filter::Asked;
use super::index::{RULES, Rule, name};
use super::plan::Plan;
use super::state::{Held, KEY, MIGRATED, State};
use crate::sim::action::{Crash, Durability};
use crate::sim::clock::SimClock;
use crate::sim::engine::Site;
use crate::sim::run::{Failure, Stats};
use crate::sim_disk::{Fault, SimDisk};

/// Snapshots held at a time.
const SNAPSHOTS_MAX: usize = 3;
/// When simulations begin, in milliseconds since 1970.
const START_MS: u64 = 1_700_000_000_000;

/// Either the engine said something untrue, or it returned an error whose reason must be found.
pub(super) enum Wrong {
    Answer(String),
    Error(Error),
}

impl From<Error> for Wrong {
    fn from(error: Error) -> Self {
        Wrong::Error(error)
    }
}

impl Wrong {
    pub(super) fn into_words(self) -> String {
        match self {
            Wrong::Answer(what) => what,
            Wrong::Error(error) => format!("error without a reason: {}: {error}", error.name()),
        }
    }
}

/// A clock whose time of day only the plan moves.
#[derive(Debug)]
pub(super) struct PlanClock {
    wall_ms: AtomicU64,
    beside: Arc<SimClock>,
}

impl Clock for PlanClock {
    fn wall_ms(&self) -> u64 {
        self.wall_ms.load(Ordering::Relaxed)
    }
    fn monotonic_ns(&self) -> u64 {
        self.beside.monotonic_ns()
    }
}

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
    snapshots: VecDeque<(Snapshot, Arc<State>, Option<u64>)>,
    pub(super) handles: [Option<Collection<Value>>; COLLECTIONS.len()],
    pub(super) database: Option<Database>,
    /// As it is now.
    pub(super) state: Arc<State>,
    /// Older ones that a power loss may bring back, the oldest first.
    pub(super) older: Vec<Arc<State>>,
    /// What may be found if the machine goes down in the call under way.
    pub(super) under_way: Vec<Arc<State>>,
    /// The versions that collections are brought to.
    pub(super) versions: [u32; COLLECTIONS.len()],
    /// An index that is being made was impossible at some moment.
    was_impossible: bool,
    pub(super) next_crash: Crash,
    /// Transactions that may have been committed.
    pub(super) commits: u64,
    pub(super) stats: Stats,
}

impl Runner {
    fn new(plan: &Plan) -> Self {
        let disk = SimDisk::new(plan.base.seed);
        let site = Site::new(disk, &plan.base);
        let clock = PlanClock { wall_ms: AtomicU64::new(START_MS), beside: Arc::clone(&site.clock) };
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
            handles: Default::default(),
            database: None,
            state: Arc::new(state),
            older: Vec::new(),
            under_way: Vec::new(),
            versions: [1; COLLECTIONS.len()],
            was_impossible: false,
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
        for action in [Action::Reopen, Action::Step(1000), Action::Check, Action::Compare] {
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
        let outcome = self.carry_out(action);
        if self.site.disk.is_crashed() {
            return self.go_down();
        }
        self.under_way.clear();
        outcome.map_err(Wrong::into_words)
    }

    fn carry_out(&mut self, action: &Action) -> Result<(), Wrong> {
        match action {
            Action::Call(op) => self.call_op(op),
            Action::Transaction(durability, ops, commits) => self.transaction(*durability, ops, *commits),
            Action::Client(at, step) => self.client(*at, step),
            Action::Pages(at, asked, size) => self.pages(*at, asked, *size),
            Action::TakeSnapshot => {
                self.snapshots.push_back((self.database()?.snapshot(), Arc::clone(&self.state), None));
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
                self.clock.wall_ms.fetch_add(*ms, Ordering::Relaxed);
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
        if durability == Durability::Sync {
            self.older.clear();
        } else {
            self.older.push(Arc::clone(&self.state));
        }
        self.state = Arc::new(next);
    }

    /// The call as a collection in this state takes it: documents say their version.
    pub(super) fn fitted(&self, op: &Op) -> Op {
        let mut op = op.clone();
        let version = self.state.collections[op.collection()].version;
        match &mut op {
            Op::Put(_, document, _)
            | Op::Insert(_, document)
            | Op::Replace(_, document)
            | Op::Swap(_, None, document) => {
                Held::migrate(document, version);
            }
            Op::Swap(at, Some(expected), document) => {
                Held::migrate(document, version);
                // What is there, so that it is swapped at all; the plan's own where nothing is.
                match self.state.collections[*at].get(&super::state::key_of(document), self.now_ms()) {
                    Some(there) => *expected = there.clone(),
                    None => Held::migrate(expected, version),
                }
            }
            _ => {}
        }
        op
    }

    fn call_op(&mut self, op: &Op) -> Result<(), Wrong> {
        let op = self.fitted(op);
        let (at, now_ms) = (op.collection(), self.now_ms());
        self.stats.operations += 1;
        let handle = self.handle(at)?;
        let mut strict = State::clone(&self.state);
        let right = strict.collections[at].perform(&op, now_ms);
        // While an index is made two may have the same entry, until that is noticed.
        let mut lenient = State::clone(&self.state);
        lenient.collections[at].lenient = true;
        let also_right = lenient.collections[at].perform(&op, now_ms);
        lenient.collections[at].lenient = false;
        if op.writes() {
            self.commits += 1;
            self.under_way = vec![Arc::new(strict.clone()), Arc::new(lenient.clone())];
        }
        let found = self.call(|| match &op {
            op if op.writes() => handle.write(|documents| perform(documents, op, now_ms)),
            Op::Get(_, key) => Ok(Outcome::Rows(handle.get(key.clone())?.into_iter().collect())),
            Op::Find(_, asked) => Ok(Outcome::Rows(handle.query(asked.query())?.collect::<Result<_, _>>()?)),
            Op::Count(_, asked) => handle.count(asked.query()).map(Outcome::Count),
            _ => unreachable!(),
        });
        let found = told(found)?;
        let next = if agree(&found, &right) {
            strict
        } else if agree(&found, &also_right) {
            lenient
        } else {
            return Err(Wrong::Answer(differ(&op, &found, &right)));
        };
        if op.writes() {
            self.committed(next, self.plan.durability);
        }
        Ok(())
    }

    fn transaction(&mut self, durability: Durability, ops: &[Op], commits: bool) -> Result<(), Wrong> {
        let now_ms = self.now_ms();
        let ops: Vec<Op> = ops.iter().map(|op| self.fitted(op)).collect();
        self.stats.operations += ops.len() as u64;
        let mut next = State::clone(&self.state);
        let right: Vec<Outcome> = ops.iter().map(|op| next.collections[op.collection()].perform(op, now_ms)).collect();
        if commits {
            self.commits += 1;
            self.under_way = vec![Arc::new(next.clone())];
        }
        let (database, handles) = (self.database()?, self.handles.clone());
        let mut found = Vec::new();
        let mut is_done = false;
        let outcome = self.call(|| {
            let outcome = database.transaction_with(promise(durability), |tx| {
                found.clear();
                for op in &ops {
                    let Some(handle) = &handles[op.collection()] else { return Err(Error::Closed) };
                    found.push(told_plainly(self.site.drive(|| perform(&mut tx.collection(handle)?, op, now_ms)))?);
                }
                is_done = true;
                if commits { Ok(()) } else { Err(Error::Closed) }
            });
            if let Err(error) = &outcome {
                assert!(error.not_resident().is_none() || !is_done, "a commit asked for bytes: {error}");
            }
            outcome
        });
        match outcome {
            Err(Error::Closed) if is_done && !commits => {}
            outcome => outcome?,
        }
        for ((op, found), right) in ops.iter().zip(&found).zip(&right) {
            if !agree(found, right) {
                return Err(Wrong::Answer(differ(op, found, right)));
            }
        }
        if commits {
            self.committed(next, durability);
        }
        Ok(())
    }

    fn pages(&mut self, at: usize, asked: &Asked, size: u64) -> Result<(), Wrong> {
        self.stats.operations += 1;
        let asked = Asked { limit: None, offset: 0, ..asked.clone() };
        let (handle, size) = (self.handle(at)?, size.max(1));
        let (mut found, mut token) = (Vec::new(), None);
        loop {
            let (page, next) = self.call(|| {
                let mut rows = handle.query(asked.page(size, token.clone()))?;
                let mut page = Vec::new();
                for row in rows.by_ref() {
                    page.push(row?);
                }
                Ok((page, rows.page_token()))
            })?;
            let is_last = (page.len() as u64) < size;
            found.extend(page);
            if is_last || next.is_none() {
                break;
            }
            token = next;
        }
        let right = Outcome::Rows(documents(self.state.collections[at].find(&asked, self.now_ms())));
        let found = Outcome::Rows(found);
        if agree(&found, &right) {
            return Ok(());
        }
        Err(Wrong::Answer(format!("in pages of {size}: {}", differ(&Op::Find(at, asked), &found, &right))))
    }

    fn ask_snapshot(&mut self, at: usize, collection: usize, asked: &Asked) -> Result<(), Wrong> {
        let now_ms = self.now_ms();
        let at = at % self.snapshots.len().max(1);
        let handle = self.handle(collection)?;
        let Some((snapshot, state, seen_ms)) = self.snapshots.get_mut(at) else { return Ok(()) };
        let (now_ms, state) = (*seen_ms.get_or_insert(now_ms), Arc::clone(state));
        self.stats.operations += 1;
        let snapshot = &*snapshot;
        self.site.clock.call();
        let (found, count) = self.site.drive(|| {
            let read = snapshot.collection(&handle)?;
            let rows = read.query(asked.query())?.collect::<Result<Vec<Value>, _>>()?;
            Ok((rows, read.count(asked.query())?))
        })?;
        let right = documents(state.collections[collection].find(asked, now_ms));
        let (found, right) = (Outcome::Rows(found), Outcome::Rows(right));
        let counts = matches!(&right, Outcome::Rows(rows) if rows.len() as u64 == count);
        if agree(&found, &right) && counts {
            return Ok(());
        }
        let what = differ(&Op::Find(collection, asked.clone()), &found, &right);
        Err(Wrong::Answer(format!("a snapshot, which counts {count}: {what}")))
    }

    /// The schema as the state has it.
    fn schema(&self, at: usize) -> Schema {
        let held = &self.state.collections[at];
        let schema = held
            .rules
            .iter()
            .fold(Schema::key(KEY).version(self.versions[at]), |schema, rule| schema.with(Rule::index(*rule)));
        match held.goes_after_ms {
            Some(after_ms) => schema.expires_after(std::time::Duration::from_millis(after_ms)),
            None => schema,
        }
    }

    /// Opens a collection as the state has it, with what calls for between steps.
    fn open_with(
        &mut self,
        at: usize,
        in_steps: bool,
        mut during: impl Iterator<Item = Op>,
    ) -> Result<Option<Error>, Wrong> {
        let (database, schema, versions) = (self.database()?, self.schema(at), self.versions[at]);
        let site = self.site.clone();
        let mut wrong = None;
        self.commits += 1;
        site.clock.call();
        let opened = site.drive(|| {
            let mut migrations = Migrations::new();
            for from in 1..versions {
                migrations = if in_steps {
                    migrations.documents(from, move |document| migrate_one(document, from))
                } else {
                    let update = lightning_db::query::Update::new().increment(MIGRATED, 1);
                    migrations
                        .transaction(from, move |documents| documents.update_where(Query::new(), &update).map(drop))
                };
            }
            let mut progress = |_: &IndexProgress| {
                if wrong.is_none()
                    && let Some(op) = during.next()
                {
                    wrong = self.during(&op).err();
                }
            };
            database.collection_with::<Value>(COLLECTIONS[at], schema.clone(), migrations, &mut progress)
        });
        if let Some(wrong) = wrong {
            return Err(wrong);
        }
        match opened {
            Ok(handle) => {
                self.handles[at] = Some(handle);
                Ok(None)
            }
            Err(error @ (Error::DuplicateKey { .. } | Error::InvalidDocument { .. })) => Ok(Some(error)),
            Err(error) => Err(Wrong::Error(error)),
        }
    }

    /// A call between two steps of the making of an index.
    fn during(&mut self, op: &Op) -> Result<(), Wrong> {
        let (at, site) = (op.collection(), self.site.clone());
        if self.handles[at].is_none() {
            return Ok(());
        }
        // What was under way is under way still: the index.
        let outcome = self.call_op(op);
        if site.disk.is_crashed() {
            return outcome;
        }
        self.look_whether_possible();
        outcome
    }

    fn look_whether_possible(&mut self) {
        let now_ms = self.now_ms();
        self.was_impossible |=
            self.state.collections.iter().any(|held| held.coming.iter().any(|rule| !held.allows(*rule, now_ms)));
    }

    /// Sees to it that a collection is as the state has it; what cannot be made is left out.
    pub(super) fn bring(&mut self, at: usize) -> Result<(), Wrong> {
        self.bring_with(at, true, Vec::new())
    }

    fn bring_with(&mut self, at: usize, in_steps: bool, during: Vec<Op>) -> Result<(), Wrong> {
        self.under_way = vec![Arc::clone(&self.state)];
        let before = self.state.collections[at].version;
        if before < self.versions[at] {
            self.under_way.extend(self.partly_migrated(at));
        }
        self.was_impossible = false;
        self.look_whether_possible();
        loop {
            let refused = self.open_with(at, in_steps, during.clone().into_iter())?;
            let mut next = State::clone(&self.state);
            let (now_ms, version) = (self.now_ms(), self.versions[at]);
            let held = &mut next.collections[at];
            if held.version < version {
                held.documents.values_mut().for_each(|stored| Held::migrate(&mut stored.document, version));
                held.version = version;
            }
            let Some(error) = refused else {
                let impossible = held.coming.iter().find(|rule| !held.allows(**rule, now_ms)).copied();
                held.coming.clear();
                self.committed(next, self.plan.durability);
                return match impossible {
                    Some(rule) => {
                        Err(Wrong::Answer(format!("index {} was made, and cannot be: {:?}", name(rule), RULES[rule])))
                    }
                    None => Ok(()),
                };
            };
            let Some(rule) = named(&error, &held.coming) else {
                return Err(Wrong::Answer(format!("opening: {error}")));
            };
            held.coming.remove(&rule);
            held.rules.remove(&rule);
            self.committed(next, self.plan.durability);
            if !self.was_impossible {
                return Err(Wrong::Answer(format!("index {} is refused without a reason: {error}", name(rule))));
            }
        }
    }

    /// The states of which a migration that was cut short may leave one.
    fn partly_migrated(&self, at: usize) -> Vec<Arc<State>> {
        let mut states = Vec::new();
        let mut next = State::clone(&self.state);
        for version in next.collections[at].version..self.versions[at] {
            let keys: Vec<Vec<u8>> = next.collections[at].documents.keys().cloned().collect();
            for key in keys {
                if let Some(stored) = next.collections[at].documents.get_mut(&key) {
                    Held::migrate(&mut stored.document, version + 1);
                }
                states.push(Arc::new(next.clone()));
            }
        }
        states
    }

    fn add_index(&mut self, at: usize, rule: usize, during: &[Op]) -> Result<(), Wrong> {
        let mut next = State::clone(&self.state);
        let held = &mut next.collections[at];
        if held.rules.insert(rule) {
            held.coming.insert(rule);
        }
        // Whether the index is there does not show in the documents: the newest state they are of is taken for what is found.
        self.older.push(Arc::clone(&self.state));
        self.state = Arc::new(next);
        self.bring_with(at, true, during.to_vec())
    }

    fn drop_index(&mut self, at: usize, rule: usize) -> Result<(), Wrong> {
        let mut next = State::clone(&self.state);
        let there = next.collections[at].rules.remove(&rule);
        self.commits += 1;
        self.under_way = vec![Arc::new(next.clone())];
        let handle = self.handle(at)?;
        let dropped = self.call(|| handle.drop_index(&name(rule)))?;
        self.committed(next, self.plan.durability);
        if dropped == there { Ok(()) } else { Err(Wrong::Answer(format!("an index dropped: {dropped}, not {there}"))) }
    }

    fn migrate(&mut self, at: usize, in_steps: bool) -> Result<(), Wrong> {
        let old = self.handle(at)?;
        self.versions[at] += 1;
        self.bring_with(at, in_steps, Vec::new())?;
        match self.call(|| old.get(Value::from(1))) {
            Err(Error::SchemaTooNew { .. }) => Ok(()),
            Err(error) => Err(Wrong::Error(error)),
            Ok(_) => Err(Wrong::Answer("a handle of an older version reads what was migrated".into())),
        }
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

    /// Compares all documents, and what each index says of them.
    pub(super) fn compare(&mut self) -> Result<(), Wrong> {
        let now_ms = self.now_ms();
        for (at, name) in COLLECTIONS.iter().enumerate() {
            let held = self.state.collections[at].clone();
            let handle = self.handle(at)?;
            let mut asked = vec![Asked::default(), Asked { reverse: true, ..Asked::default() }];
            for rule in held.rules.iter().map(|rule| &RULES[*rule]) {
                let order = rule.paths.iter().map(|path| (*path, false)).collect();
                let exists = super::filter::condition(rule.paths[0], lightning_db::query::Test::Exists(true), false);
                asked.push(Asked { order, filter: Some(exists), ..Asked::default() });
            }
            for asked in asked {
                let found = self.call(|| handle.query(asked.query())?.collect::<Result<Vec<Value>, _>>())?;
                let right = Outcome::Rows(documents(held.find(&asked, now_ms)));
                let found = Outcome::Rows(found);
                if !agree(&found, &right) {
                    let what = differ(&Op::Find(at, asked), &found, &right);
                    return Err(Wrong::Answer(format!("comparing all: {what}")));
                }
            }
            let len = self.call(|| handle.len())?;
            if len != held.there(now_ms).count() as u64 {
                return Err(Wrong::Answer(format!("{} has {len} documents", name)));
            }
        }
        Ok(())
    }

    pub(super) fn check(&mut self) -> Result<(), Wrong> {
        let database = self.database()?;
        let problems = self.call(|| database.check())?.problems;
        if problems.is_empty() { Ok(()) } else { Err(Wrong::Answer(format!("check found: {}", problems.join("; ")))) }
    }

    pub(super) fn forget(&mut self) {
        self.snapshots.clear();
        self.clients = Default::default();
        self.handles = Default::default();
        self.database = None;
    }
}

/// One call inside a transaction.
pub(super) fn perform(documents: &mut WriteCollection<'_, Value>, op: &Op, now_ms: u64) -> Result<Outcome, Error> {
    match op {
        Op::Put(_, document, Goes::Default) => documents.put(document).map(|()| Outcome::Done),
        Op::Put(_, document, Goes::Never) => documents.put_expiring(document, Expiry::Never).map(|()| Outcome::Done),
        Op::Put(_, document, Goes::In(after)) => {
            documents.put_expiring(document, Expiry::At(now_ms + after)).map(|()| Outcome::Done)
        }
        Op::Insert(_, document) => documents.insert(document).map(|()| Outcome::Done),
        Op::Replace(_, document) => documents.replace(document).map(|()| Outcome::Done),
        Op::Delete(_, key) => documents.delete(key.clone()).map(Outcome::There),
        Op::Update(_, key, update) => documents.update(key.clone(), update).map(Outcome::There),
        Op::Swap(_, expected, new) => documents.compare_and_swap(expected.as_ref(), new).map(Outcome::There),
        Op::DeleteWhere(_, asked) => documents.delete_where(asked.query()).map(Outcome::Count),
        Op::UpdateWhere(_, asked, update) => documents.update_where(asked.query(), update).map(Outcome::Count),
        Op::Get(_, key) => Ok(Outcome::Rows(documents.get(key.clone())?.into_iter().collect())),
        Op::Find(_, asked) => documents.query(asked.query()).map(Outcome::Rows),
        Op::Count(_, asked) => documents.count(asked.query()).map(Outcome::Count),
    }
}

/// A migration of one document, which must not have been migrated. One that is gone may have been left out before.
fn migrate_one(document: &mut Value, from: u32) -> Result<(), Error> {
    let is = document.get(MIGRATED).and_then(Value::as_i64).unwrap_or(i64::MAX);
    assert!(is < i64::from(from), "migrated from {from}: {document}");
    lightning_db::query::Update::new().increment(MIGRATED, 1).apply(document)
}

/// The index that an error is about.
fn named(error: &Error, rules: &BTreeSet<usize>) -> Option<usize> {
    let words = error.to_string();
    rules.iter().copied().find(|rule| match error {
        Error::DuplicateKey { index, .. } => *index == name(*rule),
        _ => words.contains(&format!("index '{}'", name(*rule))),
    })
}

/// A refusal is an outcome.
pub(super) fn told_plainly(found: Result<Outcome, Error>) -> Result<Outcome, Error> {
    match found {
        Err(error @ (Error::Unexpected { .. } | Error::DuplicateKey { .. } | Error::InvalidDocument { .. })) => {
            Ok(Outcome::Refused(vec![error.name()]))
        }
        other => other,
    }
}

fn told(found: Result<Outcome, Error>) -> Result<Outcome, Wrong> {
    told_plainly(found).map_err(Wrong::Error)
}

pub(super) fn agree(found: &Outcome, right: &Outcome) -> bool {
    match (found, right) {
        (Outcome::Refused(found), Outcome::Refused(right)) => found.iter().all(|reason| right.contains(reason)),
        _ => found == right,
    }
}

pub(super) fn differ(op: &Op, found: &Outcome, right: &Outcome) -> String {
    if let (Outcome::Rows(found), Outcome::Rows(right)) = (found, right) {
        let at = found.iter().zip(right).take_while(|(found, right)| found == right).count();
        let name = |row: Option<&Value>| row.map_or_else(|| String::from("the end"), |row| row.to_string());
        return format!("{op:?}: row {at} is {} instead of {}", name(found.get(at)), name(right.get(at)));
    }
    format!("{op:?}: {found:?} instead of {right:?}")
}

pub(super) fn documents(found: Vec<(Vec<u8>, Value)>) -> Vec<Value> {
    found.into_iter().map(|(_, document)| document).collect()
}

pub(super) fn promise(durability: Durability) -> lightning_db::Durability {
    match durability {
        Durability::Sync => lightning_db::Durability::Sync,
        Durability::Periodic(interval_ms) => lightning_db::Durability::Periodic { interval_ms },
        Durability::Relaxed => lightning_db::Durability::Relaxed,
    }
}
