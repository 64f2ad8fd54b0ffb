//! A small store in memory that keeps its promises, and one broken in each way worth knowing: the checker must accept the
//! first and convict every other.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use lightning_db::Isolation;

use super::history::Key;
use super::store::{Answer, Interactive, Operations, Progress, Single, Stop, Store, Walk};
use crate::random::Random;

/// What is wrong with the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flaw {
    /// Nothing.
    None,
    /// Reads see what others have not committed.
    DirtyReads,
    /// Writes are in place as soon as they are made, and stay there.
    WritesInPlace,
    /// A refused or abandoned transaction is applied.
    AbortsApplied,
    /// A savepoint's rollback undoes nothing.
    RollbackKept,
    /// A transaction's ranges do not show its own writes.
    OwnWritesHidden,
    /// The second half of a commit comes a little later than its acknowledgement.
    TornCommits,
    /// Transactions begin two commits ago.
    StaleSnapshots,
    /// Ranges are read as they are now, not as the snapshot has them.
    RangesMoveOn,
    /// Of two that write one key nobody is refused.
    WritesNotValidated,
    /// Nobody asks whether what was read has changed.
    ReadsNotValidated,
    /// Nobody asks whether a range that was read has changed.
    RangesNotValidated,
    /// Nobody asks whether a key that was missing is still missing.
    AbsenceNotValidated,
    /// A crash takes the newest commit.
    CrashLosesCommit,
    /// A crash takes half of the newest commit.
    CrashTearsCommit,
}

/// The store.
#[derive(Clone, Debug)]
pub struct Flawed {
    flaw: Flaw,
    state: Rc<RefCell<State>>,
}

type Value = Option<Vec<u8>>;

#[derive(Debug, Default)]
struct State {
    commits: u64,
    /// Each key's values with the commits they came with.
    versions: BTreeMap<Key, Vec<(u64, Value)>>,
    /// What is written and not committed.
    dirty: BTreeMap<Key, Value>,
    /// What of the last commit is still to come.
    late: Vec<(Key, Value)>,
}

impl State {
    fn at(&self, key: Key, commits: u64) -> Value {
        let newest = self.versions.get(&key)?.iter().rev().find(|(commit, _)| *commit <= commits)?;
        newest.1.clone()
    }

    fn changed_since(&self, key: Key, commits: u64) -> bool {
        self.versions.get(&key).and_then(|versions| versions.last()).is_some_and(|(commit, _)| *commit > commits)
    }

    fn install(&mut self, changes: impl IntoIterator<Item = (Key, Value)>) {
        for (key, value) in changes {
            self.versions.entry(key).or_default().push((self.commits, value));
        }
    }
}

struct Running {
    flaw: Flaw,
    level: Isolation,
    state: Rc<RefCell<State>>,
    sees: u64,
    began: u64,
    points: BTreeSet<Key>,
    ranges: Vec<(Key, Key)>,
    changes: Changes,
    savepoints: Vec<Changes>,
    done: bool,
}

#[derive(Clone, Debug, Default)]
struct Changes {
    values: BTreeMap<Key, Value>,
    ranges: Vec<(Key, Key)>,
}

impl Changes {
    fn own(&self, key: Key) -> Option<Value> {
        let deleted = || self.ranges.iter().any(|(from, to)| (*from..*to).contains(&key)).then_some(None);
        self.values.get(&key).cloned().or_else(deleted)
    }

    fn keys(&self, state: &State) -> BTreeSet<Key> {
        let deleted = self.ranges.iter().flat_map(|(from, to)| state.versions.range(from..to).map(|(key, _)| *key));
        self.values.keys().copied().chain(deleted).collect()
    }

    fn is_empty(&self) -> bool {
        self.values.is_empty() && self.ranges.is_empty()
    }
}

impl Flawed {
    /// An empty store with this flaw.
    pub fn new(flaw: Flaw) -> Self {
        Self { flaw, state: Rc::default() }
    }

    fn start(&self, level: Isolation) -> Running {
        let commits = self.state.borrow().commits;
        let back = if self.flaw == Flaw::StaleSnapshots { 2 } else { 0 };
        Running {
            flaw: self.flaw,
            level,
            state: Rc::clone(&self.state),
            sees: commits.saturating_sub(back),
            began: commits.saturating_sub(back),
            points: BTreeSet::new(),
            ranges: Vec::new(),
            changes: Changes::default(),
            savepoints: Vec::new(),
            done: false,
        }
    }
}

impl Store for Flawed {
    fn begin(&self, level: Isolation) -> Box<dyn Interactive> {
        Box::new(self.start(level))
    }

    fn snapshot(&self) -> Box<dyn Interactive> {
        Box::new(self.start(Isolation::Snapshot))
    }

    fn single(&self, write: Single<'_>) -> Answer<Progress> {
        self.exclusive(&mut |operations| match write {
            Single::Put(key, value) => operations.put(key, value),
            Single::DeleteRange(from, to) => operations.delete_range(from, to),
        })
    }

    fn exclusive(&self, body: &mut dyn FnMut(&mut dyn Operations) -> Answer<()>) -> Answer<Progress> {
        let mut running = self.start(Isolation::Snapshot);
        running.sees = self.state.borrow().commits;
        running.began = running.sees;
        body(&mut running)?;
        running.commit(false)
    }

    fn settled(&self) -> Answer<bool> {
        Ok(true)
    }

    fn idle(&self, random: &mut Random) -> Answer<()> {
        let mut state = self.state.borrow_mut();
        if random.chance(1, 4) {
            let late = std::mem::take(&mut state.late);
            state.install(late);
        }
        Ok(())
    }

    fn crash(&mut self, _power_loss: Option<u64>) -> Answer<u64> {
        let mut state = self.state.borrow_mut();
        let newest = state.commits;
        let mut keep = match self.flaw {
            Flaw::CrashTearsCommit => 1,
            Flaw::CrashLosesCommit => 0,
            _ => usize::MAX,
        };
        for versions in state.versions.values_mut() {
            if versions.last().is_some_and(|(commit, _)| *commit == newest) {
                if keep == 0 {
                    versions.pop();
                }
                keep = keep.saturating_sub(1);
            }
        }
        if self.flaw == Flaw::CrashLosesCommit {
            state.commits = newest.saturating_sub(1);
        }
        state.dirty.clear();
        Ok(state.commits)
    }
}

impl Running {
    fn look(&mut self, key: Key) -> Value {
        if let Some(own) = self.changes.own(key) {
            return own;
        }
        let state = self.state.borrow();
        match self.flaw {
            Flaw::DirtyReads if state.dirty.contains_key(&key) => state.dirty.get(&key).cloned().flatten(),
            Flaw::WritesInPlace => state.at(key, u64::MAX),
            _ => state.at(key, self.sees),
        }
    }

    fn refresh(&mut self) {
        if self.level == Isolation::ReadCommitted && self.flaw != Flaw::StaleSnapshots {
            self.sees = self.state.borrow().commits;
        }
    }

    fn write(&mut self, key: Key, value: Value) {
        let mut state = self.state.borrow_mut();
        if self.flaw == Flaw::DirtyReads {
            state.dirty.insert(key, value.clone());
        }
        if self.flaw == Flaw::WritesInPlace {
            state.install([(key, value.clone())]);
        }
        self.changes.values.insert(key, value);
    }

    fn conflicts(&self) -> bool {
        let state = self.state.borrow();
        let changed = |key: &Key| state.changed_since(*key, self.began);
        let writes = self.level != Isolation::ReadCommitted && self.flaw != Flaw::WritesNotValidated;
        let reads = self.level == Isolation::Serializable && self.flaw != Flaw::ReadsNotValidated;
        let deleted = || self.changes.ranges.iter().flat_map(|(from, to)| *from..*to);
        let absent = |key: &Key| state.at(*key, self.began).is_none();
        let point = |key: &&Key| !(self.flaw == Flaw::AbsenceNotValidated && absent(key));
        writes && (self.changes.values.keys().any(changed) || deleted().any(|key| changed(&key)))
            || reads
                && (self.points.iter().filter(point).any(changed)
                    || self.flaw != Flaw::RangesNotValidated
                        && self.ranges.iter().flat_map(|(from, to)| *from..*to).any(|key| changed(&key)))
    }

    fn apply(&mut self, committed: bool) {
        let mut state = self.state.borrow_mut();
        if self.changes.is_empty() {
            return;
        }
        state.commits += u64::from(committed);
        let late = std::mem::take(&mut state.late);
        state.install(late);
        let keys = self.changes.keys(&state);
        let mut changes: Vec<_> = keys.into_iter().filter_map(|key| Some((key, self.changes.own(key)?))).collect();
        if self.flaw == Flaw::TornCommits {
            state.late = changes.split_off(changes.len().div_ceil(2));
        }
        if self.flaw != Flaw::WritesInPlace {
            state.install(changes);
        }
    }

    fn forget_dirt(&mut self) {
        let mut state = self.state.borrow_mut();
        state.dirty.retain(|key, _| !self.changes.values.contains_key(key));
    }
}

impl Operations for Running {
    fn get(&mut self, key: Key) -> Answer<Value> {
        self.refresh();
        self.points.insert(key);
        Ok(self.look(key))
    }

    fn put(&mut self, key: Key, value: &[u8]) -> Answer<()> {
        self.write(key, Some(value.to_vec()));
        Ok(())
    }

    fn delete(&mut self, key: Key) -> Answer<bool> {
        let there = self.get(key)?.is_some();
        if there {
            self.write(key, None);
        }
        Ok(there)
    }

    fn delete_range(&mut self, from: Key, to: Key) -> Answer<()> {
        self.changes.values.retain(|key, _| !(from..to).contains(key));
        self.changes.ranges.push((from, to));
        Ok(())
    }

    fn scan(&mut self, from: Key, to: Key, _walk: Walk) -> Answer<Vec<(Key, Vec<u8>)>> {
        self.refresh();
        self.ranges.push((from, to));
        let hidden = (self.flaw == Flaw::OwnWritesHidden).then(|| std::mem::take(&mut self.changes));
        let sees = self.sees;
        if self.flaw == Flaw::RangesMoveOn {
            self.sees = u64::MAX;
        }
        let found = (from..to).filter_map(|key| Some((key, self.look(key)?))).collect();
        self.sees = sees;
        if let Some(hidden) = hidden {
            self.changes = hidden;
        }
        Ok(found)
    }

    fn count(&mut self, from: Key, to: Key) -> Answer<u64> {
        self.refresh();
        self.ranges.push((from, to));
        Ok((from..to).filter(|key| self.look(*key).is_some()).count() as u64)
    }

    fn savepoint(&mut self) {
        self.savepoints.push(self.changes.clone());
    }

    fn roll_back(&mut self) {
        if let Some(changes) = self.savepoints.pop()
            && self.flaw != Flaw::RollbackKept
        {
            self.changes = changes;
        }
    }

    fn sees(&self) -> u64 {
        self.sees
    }
}

impl Interactive for Running {
    fn commit(&mut self, _relaxed: bool) -> Answer<Progress> {
        self.done = true;
        self.forget_dirt();
        // Whoever only reads is as old as its snapshot.
        let conflicts = !self.changes.is_empty() && self.conflicts();
        if !conflicts || self.flaw == Flaw::AbortsApplied {
            self.apply(!conflicts);
        }
        if conflicts { Err(Stop::Refused) } else { Ok(Progress::Done) }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if !self.done {
            self.forget_dirt();
            if self.flaw == Flaw::AbortsApplied {
                self.apply(false);
            }
        }
    }
}
