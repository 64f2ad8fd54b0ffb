//! Many clients in one thread: a seed decides who does what next, so a history replays exactly.

use lightning_db::Isolation;

use super::anomalies::{ANOMALIES, Anomaly, Finding, find, violation};
use super::history::{History, Key, Outcome, Transaction, Version};
use super::ledger::Ledger;
use super::lightning::Lightning;
use super::record::{Changes, Recorder, Recording, history};
use super::store::{Answer, Interactive, Operations, Progress, Single, Stop, Store, Walk};
use crate::random::Random;

/// How many histories had what.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Histories looked at.
    pub histories: u64,
    /// Transactions acknowledged.
    pub committed: u64,
    /// Transactions refused, given up, or lost in a crash.
    pub aborted: u64,
    /// Crashes.
    pub crashes: u64,
    /// Histories that had each of [`ANOMALIES`].
    pub anomalies: [u64; ANOMALIES.len()],
}

impl Counts {
    /// What `history`, with what was found in it, adds.
    pub fn of(history: &History, found: &[Finding]) -> Self {
        let count = |outcome| history.transactions.iter().filter(|t| t.outcome == outcome).count() as u64;
        Self {
            histories: 1,
            committed: count(Outcome::Committed),
            aborted: count(Outcome::Aborted),
            crashes: 0,
            anomalies: ANOMALIES.map(|anomaly| found.iter().any(|finding| finding.anomaly == anomaly).into()),
        }
    }

    /// Both together.
    pub fn add(&mut self, other: &Self) {
        self.histories += other.histories;
        self.committed += other.committed;
        self.aborted += other.aborted;
        self.crashes += other.crashes;
        self.anomalies.iter_mut().zip(other.anomalies).for_each(|(sum, more)| *sum += more);
    }

    /// How many histories had `anomaly`.
    pub fn count(&self, anomaly: Anomaly) -> u64 {
        ANOMALIES.iter().zip(self.anomalies).find(|(other, _)| **other == anomaly).map_or(0, |(_, count)| count)
    }
}

/// Runs the history of `seed` on the engine and checks it: what it had, or the anomaly that `level` proscribes.
pub fn check_seed(seed: u64, level: Isolation) -> Result<Counts, String> {
    let named = |error: String| format!("seed {seed}: {error}");
    let mut store = Lightning::new(seed).map_err(|stop| named(format!("{stop:?}")))?;
    check(&mut store, seed, level).map_err(named)
}

/// Runs the history of `seed` on any store and checks it.
pub fn check(store: &mut dyn Store, seed: u64, level: Isolation) -> Result<Counts, String> {
    let Run { history, crashes, complaint } = run(store, seed, level)?;
    let found = find(&history, level);
    match violation(&found, level).or(complaint) {
        Some(words) => Err(words),
        None => Ok(Counts { crashes, ..Counts::of(&history, &found) }),
    }
}

/// A history that was run.
#[derive(Clone, Debug)]
pub struct Run {
    /// What happened.
    pub history: History,
    /// How often the store crashed.
    pub crashes: u64,
    /// What is wrong with the store besides.
    pub complaint: Option<String>,
}

/// Runs the history of `seed`.
pub fn run(store: &mut dyn Store, seed: u64, level: Isolation) -> Result<Run, String> {
    let mut workload = Workload::new(seed, level);
    workload.run(store).map_err(|stop| match stop {
        Stop::Refused => "a transaction was refused that nobody disturbed".to_string(),
        Stop::Failed(error) => error,
    })?;
    let Workload { recorded, ledger, crashes, complaint, .. } = workload;
    Ok(Run { history: history(recorded, ledger.order()), crashes, complaint })
}

struct Workload {
    random: Random,
    level: Isolation,
    recorder: Recorder,
    ledger: Ledger,
    sessions: Vec<Session>,
    recorded: Vec<(u32, Transaction)>,
    shape: Shape,
    crashes: u64,
    complaint: Option<String>,
}

/// What kind of history it is.
struct Shape {
    transactions: u32,
    keys: Key,
    operations_max: u64,
    /// Parts of 16 that read.
    reads: u64,
    /// Parts of 16 of those that look at ranges.
    ranges: u64,
    value_bytes_max: u64,
    /// Crashes come once in so many moments; 0 for never.
    crash_every: u64,
    /// The power is lost, not only the process.
    power_loss: bool,
}

enum Session {
    Resting,
    Active(Active),
    Waiting(Waiting),
}

struct Active {
    transaction: Box<dyn Interactive>,
    recording: Recording,
    savepoints: Vec<Changes>,
    /// Operations until it ends.
    left: u64,
    reads_only: bool,
}

/// Applied, to be acknowledged.
struct Waiting {
    /// Whom to ask; `None`: the store.
    transaction: Option<Box<dyn Interactive>>,
    recording: Recording,
    installs: Vec<(Key, Version)>,
    relaxed: bool,
}

impl Workload {
    fn new(seed: u64, level: Isolation) -> Self {
        let mut random = Random::new(seed);
        let shape = Shape {
            transactions: random.between(40, 160) as u32,
            keys: random.between(2, 14) as Key,
            operations_max: random.between(3, 9),
            reads: random.between(5, 12),
            ranges: random.between(1, 8),
            value_bytes_max: if random.chance(1, 2) { 40 } else { 700 },
            crash_every: if random.chance(1, 4) { 250 } else { 0 },
            power_loss: random.chance(1, 2),
        };
        let sessions = (0..random.between(2, 6)).map(|_| Session::Resting).collect();
        let (recorder, ledger) = (Recorder::default(), Ledger::default());
        Self { random, level, recorder, ledger, sessions, recorded: Vec::new(), shape, crashes: 0, complaint: None }
    }

    fn run(&mut self, store: &mut dyn Store) -> Answer<()> {
        let mut begun = 0;
        loop {
            if self.random.chance(1, 3) {
                store.idle(&mut self.random)?;
            }
            if self.shape.crash_every > 0 && self.random.chance(1, self.shape.crash_every) {
                self.crash(store)?;
            }
            let at = self.random.index(self.sessions.len());
            match std::mem::replace(&mut self.sessions[at], Session::Resting) {
                Session::Resting if begun < self.shape.transactions => {
                    begun += 1;
                    self.begin(store, at)?;
                }
                Session::Resting => {
                    if self.sessions.iter().all(|session| matches!(session, Session::Resting)) {
                        break;
                    }
                }
                Session::Active(active) if active.left == 0 => self.end(at, active)?,
                Session::Active(mut active) => {
                    let Active { transaction, recording, savepoints, reads_only, .. } = &mut active;
                    match self.operate(transaction.as_mut(), recording, savepoints, *reads_only) {
                        Ok(()) => {
                            active.left -= 1;
                            self.sessions[at] = Session::Active(active);
                        }
                        Err(Stop::Refused) => self.recorded.push(active.recording.end_alone(Outcome::Aborted, None)),
                        Err(failed) => return Err(failed),
                    }
                }
                Session::Waiting(waiting) => self.wait(store, at, waiting)?,
            }
        }
        self.audit(store)
    }

    fn begin(&mut self, store: &dyn Store, at: usize) -> Answer<()> {
        let mut recording = self.recorder.begin(at as u32);
        let left = self.random.between(1, self.shape.operations_max);
        let choice = self.random.below(20);
        if choice == 0 {
            return self.single(store, at, recording);
        }
        if choice > 2 {
            // Some look at a snapshot for long.
            let reads_only = choice == 3;
            let transaction = if reads_only { store.snapshot() } else { store.begin(self.level) };
            let left = if reads_only { left * 4 } else { left };
            let savepoints = Vec::new();
            self.sessions[at] = Session::Active(Active { transaction, recording, savepoints, left, reads_only });
            return Ok(());
        }
        let mut ran = false;
        let progress = store.exclusive(&mut |operations| {
            ran = true;
            let mut savepoints = Vec::new();
            (0..left).try_for_each(|_| self.operate(operations, &mut recording, &mut savepoints, false))
        })?;
        match progress {
            Progress::NotYet if ran && recording.changes.is_empty() => {
                // It has only read, and waits for what it has read.
                self.applied(at, Progress::Waiting, None, recording, false);
            }
            Progress::NotYet if ran => return Err(Stop::Failed("a closure ran and was not committed".into())),
            // There was no room: nothing happened.
            Progress::NotYet => self.recorded.push(recording.end_alone(Outcome::Aborted, None)),
            Progress::Done | Progress::Waiting => self.applied(at, progress, None, recording, false),
        }
        Ok(())
    }

    /// One write with no transaction around it.
    fn single(&mut self, store: &dyn Store, at: usize, mut recording: Recording) -> Answer<()> {
        let key = self.random.below(u64::from(self.shape.keys)) as Key;
        let progress = if self.random.chance(1, 4) {
            let to = key + 1 + self.random.skewed(u64::from(self.shape.keys)) as Key;
            recording.delete_range(key, to);
            store.single(Single::DeleteRange(key, to))?
        } else {
            let value = recording.write(key, self.random.skewed(self.shape.value_bytes_max) as usize);
            store.single(Single::Put(key, &value))?
        };
        match progress {
            Progress::NotYet => self.recorded.push(recording.end_alone(Outcome::Aborted, None)),
            Progress::Done | Progress::Waiting => self.applied(at, progress, None, recording, false),
        }
        Ok(())
    }

    fn operate(
        &mut self,
        operations: &mut dyn Operations,
        recording: &mut Recording,
        savepoints: &mut Vec<Changes>,
        reads_only: bool,
    ) -> Answer<()> {
        let keys = self.shape.keys;
        let key = self.random.below(u64::from(keys)) as Key;
        let end = (key + 1 + self.random.skewed(u64::from(keys)) as Key).min(keys);
        if reads_only || self.random.chance(self.shape.reads, 16) {
            if self.random.chance(self.shape.ranges, 16) {
                return self.look(operations, recording, key, end);
            }
            let value = operations.get(key)?;
            let known = Some((&self.ledger, operations.sees()));
            return recording.read(key, value.as_deref(), known).map_err(Stop::Failed);
        }
        let len = self.random.skewed(self.shape.value_bytes_max) as usize;
        match self.random.below(16) {
            0 => {
                operations.delete_range(key, end)?;
                recording.delete_range(key, end);
            }
            1..=3 => {
                if operations.delete(key)? {
                    recording.delete(key);
                } else {
                    let known = Some((&self.ledger, operations.sees()));
                    recording.read(key, None, known).map_err(Stop::Failed)?;
                }
            }
            4 => {
                operations.savepoint();
                savepoints.push(recording.changes.clone());
            }
            5 => {
                if let Some(changes) = savepoints.pop() {
                    operations.roll_back();
                    recording.roll_back(&changes);
                }
            }
            number => {
                if number > 9 {
                    let value = operations.get(key)?;
                    let known = Some((&self.ledger, operations.sees()));
                    recording.read(key, value.as_deref(), known).map_err(Stop::Failed)?;
                }
                let value = recording.write(key, len);
                operations.put(key, &value)?;
            }
        }
        Ok(())
    }

    /// Looks at the range `from..to`.
    fn look(&mut self, operations: &mut dyn Operations, recording: &mut Recording, from: Key, to: Key) -> Answer<()> {
        if self.random.chance(1, 3) {
            let count = operations.count(from, to)?;
            return recording.counted(from, to, count, (&self.ledger, operations.sees())).map_err(Stop::Failed);
        }
        let walk = [Walk::Forward, Walk::Backward, Walk::Cursor][self.random.index(3)];
        let found = operations.scan(from, to, walk)?;
        recording.scanned(from, to, &found, Some((&self.ledger, operations.sees()))).map_err(Stop::Failed)
    }

    fn end(&mut self, at: usize, mut active: Active) -> Answer<()> {
        // After a power loss nothing is left of what did not wait, nor of whoever read it.
        let relaxed = self.random.chance(1, 4) && !(self.shape.power_loss && self.shape.crash_every > 0);
        if self.random.chance(1, 12) {
            self.recorded.push(active.recording.end_alone(Outcome::Aborted, None));
            return Ok(());
        }
        match active.transaction.commit(relaxed) {
            Ok(Progress::NotYet) => self.sessions[at] = Session::Active(active),
            Ok(progress) => self.applied(at, progress, Some(active.transaction), active.recording, relaxed),
            Err(Stop::Refused) => self.recorded.push(active.recording.end_alone(Outcome::Aborted, None)),
            Err(failed) => return Err(failed),
        }
        Ok(())
    }

    /// A transaction has got its place among the commits.
    fn applied(
        &mut self,
        at: usize,
        progress: Progress,
        transaction: Option<Box<dyn Interactive>>,
        recording: Recording,
        relaxed: bool,
    ) {
        let mut installs = Vec::new();
        if !recording.changes.is_empty() {
            installs = self.ledger.commit(recording.id, &recording.changes);
        }
        if progress == Progress::Done {
            let ended = Some(self.recorder.moment());
            self.recorded.push(recording.end(Outcome::Committed, ended, installs));
        } else {
            self.sessions[at] = Session::Waiting(Waiting { transaction, recording, installs, relaxed });
        }
    }

    fn wait(&mut self, store: &dyn Store, at: usize, mut waiting: Waiting) -> Answer<()> {
        let done = match &mut waiting.transaction {
            Some(transaction) => transaction.commit(waiting.relaxed)? == Progress::Done,
            None => store.settled()?,
        };
        if done {
            let ended = Some(self.recorder.moment());
            self.recorded.push(waiting.recording.end(Outcome::Committed, ended, waiting.installs));
        } else {
            self.sessions[at] = Session::Waiting(waiting);
        }
        Ok(())
    }

    /// The history goes on after a crash: what was acknowledged is part of it, the rest is there as a whole or not at all.
    fn crash(&mut self, store: &mut dyn Store) -> Answer<()> {
        self.crashes += 1;
        let mut waiting = Vec::new();
        for session in &mut self.sessions {
            match std::mem::replace(session, Session::Resting) {
                Session::Resting => {}
                Session::Active(active) => self.recorded.push(active.recording.end_alone(Outcome::Aborted, None)),
                Session::Waiting(applied) => waiting.push((applied.recording, applied.installs)),
            }
        }
        let left = store.crash(self.shape.power_loss.then(|| self.random.bits()))?;
        if left > self.ledger.len() {
            return Err(Stop::Failed(format!("{left} commits after a crash, {} before", self.ledger.len())));
        }
        let lost = self.ledger.cut(left);
        for (recording, installs) in waiting {
            let outcome = if lost.contains(&recording.id) { Outcome::Aborted } else { Outcome::Unknown };
            self.recorded.push(recording.end(outcome, None, installs));
        }
        let acknowledged = |id: &u32| self.recorded.iter().any(|(other, t)| other == id && t.ended.is_some());
        match lost.iter().find(|id| acknowledged(id)) {
            Some(id) => Err(Stop::Failed(format!("T{id} was acknowledged, and lost in a crash"))),
            None => Ok(()),
        }
    }

    /// A last transaction reads everything.
    fn audit(&mut self, store: &dyn Store) -> Answer<()> {
        let mut recording = self.recorder.begin(u32::MAX);
        let mut transaction = store.begin(self.level);
        let found = transaction.scan(0, self.shape.keys, Walk::Forward)?;
        let sees = transaction.sees();
        recording.scanned(0, self.shape.keys, &found, Some((&self.ledger, sees))).map_err(Stop::Failed)?;
        transaction.commit(false)?;
        let ended = Some(self.recorder.moment());
        self.recorded.push(recording.end(Outcome::Committed, ended, Vec::new()));
        if sees != self.ledger.len() {
            let expected = self.ledger.len();
            self.complaint = Some(format!("at the end {sees} commits are seen, not {expected}"));
        }
        Ok(())
    }
}
