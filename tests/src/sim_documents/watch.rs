//! Those who follow the result of a query: each applies the differences it is given to rows of its own, which must be what the
//! query finds whenever it looks.

use lightning_db::{Difference, Error, Subscription, Value};

use super::action::{COLLECTIONS, Op, Outcome};
use super::calls::{agree, differ};
use super::filter::Asked;
use super::run::Runner;
use super::state::KEY;
use crate::sim::compare::Wrong;

/// Those who follow at a time.
const WATCHERS_MAX: usize = 4;

/// Somebody who follows a result.
pub(super) struct Watcher {
    collection: usize,
    asked: Asked,
    subscription: Option<Subscription<Value>>,
    /// The version of documents that its handle knows.
    version: u32,
    rows: Vec<Value>,
    /// The commit after which the rows were so.
    sequence: u64,
}

impl Watcher {
    /// There is nobody to follow any more.
    pub(super) fn end(&mut self) {
        self.subscription = None;
    }

    /// Brings the rows up to date as [`Difference`] says it is done.
    fn apply(&mut self, difference: Difference<Value>, is_first: bool) -> Result<(), String> {
        if difference.is_empty() && !is_first {
            return Err(String::from("a difference without any"));
        }
        if difference.sequence < self.sequence {
            return Err(format!("commit {} is told after commit {}", difference.sequence, self.sequence));
        }
        self.sequence = difference.sequence;
        let mut gone = Vec::new();
        for removed in &difference.removed {
            let Some(row) = self.rows.get(removed.at) else {
                return Err(format!("row {} is taken away, and there are {}", removed.at, self.rows.len()));
            };
            if row.get(KEY).is_some_and(|key| *key != removed.key) {
                return Err(format!("row {} is taken away as {}, and is {row}", removed.at, removed.key));
            }
            gone.push(removed.at);
        }
        gone.extend(difference.changed.iter().map(|moved| moved.from));
        gone.sort_unstable();
        for at in gone.into_iter().rev() {
            if at >= self.rows.len() {
                return Err(format!("row {at} has changed, and there are fewer, or it has twice"));
            }
            self.rows.remove(at);
        }
        let changed = difference.changed.into_iter().map(|moved| (moved.at, moved.row));
        let mut placed: Vec<_> =
            difference.added.into_iter().map(|placed| (placed.at, placed.row)).chain(changed).collect();
        placed.sort_by_key(|(at, _)| *at);
        for (at, row) in placed {
            if at > self.rows.len() {
                return Err(format!("a row is put in at {at}, and there are {}", self.rows.len()));
            }
            self.rows.insert(at, row);
        }
        match self.rows.len() == difference.len {
            true => Ok(()),
            false => Err(format!("there are {} rows, said to be {}", self.rows.len(), difference.len)),
        }
    }
}

impl Runner {
    pub(super) fn watch(&mut self, collection: usize, asked: &Asked) -> Result<(), Wrong> {
        if self.watchers.len() >= WATCHERS_MAX {
            self.watchers.remove(0);
        }
        let asked = asked.clone();
        self.watchers.push(Watcher {
            collection,
            asked,
            subscription: None,
            version: 0,
            rows: Vec::new(),
            sequence: 0,
        });
        // It may look for the first time much later.
        let at = self.watchers.len() - 1;
        self.subscribe(at)
    }

    fn subscribe(&mut self, at: usize) -> Result<(), Wrong> {
        let collection = self.watchers[at].collection;
        let handle = self.handle(collection)?;
        let query = self.watchers[at].asked.query();
        let subscription = self.call(|| handle.watch(query.clone()))?;
        let version = self.versions[collection];
        let watcher = &mut self.watchers[at];
        (watcher.subscription, watcher.version) = (Some(subscription), version);
        watcher.rows.clear();
        watcher.sequence = 0;
        Ok(())
    }

    pub(super) fn look_at_watch(&mut self, at: usize) -> Result<(), Wrong> {
        if self.watchers.is_empty() {
            return Ok(());
        }
        let at = at % self.watchers.len();
        self.stats.operations += 1;
        let mut is_first = self.watchers[at].sequence == 0;
        if self.watchers[at].subscription.is_none() {
            self.subscribe(at)?;
            is_first = true;
        }
        let mut difference = self.next_difference(at);
        let Watcher { collection, version, .. } = self.watchers[at];
        if matches!(difference, Err(Error::SchemaTooNew { .. })) && version < self.versions[collection] {
            self.subscribe(at)?;
            is_first = true;
            difference = self.next_difference(at);
        }
        let difference = difference.inspect_err(|_| self.watchers[at].end())?;
        let watcher = &mut self.watchers[at];
        let said = |what: String, watcher: &Watcher| {
            let (name, asked) = (COLLECTIONS[watcher.collection], &watcher.asked);
            Err(Wrong::Answer(format!("a watch of {name} {asked:?}: {what}")))
        };
        match difference {
            Some(difference) => {
                if let Err(what) = watcher.apply(difference, is_first) {
                    return said(what, &self.watchers[at]);
                }
            }
            None if is_first => return said(String::from("nothing is given at first"), &self.watchers[at]),
            None => {}
        }
        let watcher = &self.watchers[at];
        let right = self.state.collections[watcher.collection].rows(&watcher.asked, self.now_ms());
        let (found, right) = (Outcome::Rows(watcher.rows.clone()), Outcome::Rows(right));
        if agree(&found, &right) {
            return Ok(());
        }
        said(differ(&Op::Find(watcher.collection, watcher.asked.clone()), &found, &right), watcher)
    }

    fn next_difference(&mut self, at: usize) -> Result<Option<Difference<Value>>, Error> {
        let Some(mut subscription) = self.watchers[at].subscription.take() else { return Ok(None) };
        let difference = self.call(|| subscription.try_next_difference());
        self.watchers[at].subscription = Some(subscription);
        difference
    }

    /// Everybody looks.
    pub(super) fn look_at_all_watches(&mut self) -> Result<(), Wrong> {
        (0..self.watchers.len()).try_for_each(|at| self.look_at_watch(at))
    }
}
