//! Questions that are more than one query: page by page while others write, the lowest and the highest value, snapshots that
//! are held.

use std::sync::Arc;

use lightning_db::{PageToken, Snapshot, Value};

use super::action::{Op, Outcome};
use super::calls::{agree, differ};
use super::filter::Asked;
use super::run::Runner;
use super::state::{State, key_of};
use crate::sim::compare::Wrong;

/// A snapshot that is held.
pub(super) struct Held {
    snapshot: Snapshot,
    state: Arc<State>,
    /// By which time documents are gone for it: that of its first question.
    seen_ms: Option<u64>,
}

impl Held {
    pub(super) fn new(snapshot: Snapshot, state: &Arc<State>) -> Self {
        Self { snapshot, state: Arc::clone(state), seen_ms: None }
    }
}

impl Runner {
    /// Each page is what follows the last document of the page before, in the collection as it is by then.
    pub(super) fn pages(&mut self, at: usize, asked: &Asked, size: u64, between: &[Op]) -> Result<(), Wrong> {
        self.stats.operations += 1;
        let asked = Asked { limit: None, offset: 0, ..asked.clone() };
        let (handle, size) = (self.handle(at)?, size.max(1));
        let mut between = between.iter();
        let mut token = None;
        let mut last: Option<Value> = None;
        loop {
            let (page, next) = self.call(|| {
                let mut rows = handle.query(asked.page(size, token.clone()))?;
                let mut page = Vec::new();
                for row in rows.by_ref() {
                    page.push(row?);
                }
                Ok((page, rows.page_token()))
            })?;
            let mut right = self.state.collections[at].find(&asked, self.now_ms());
            right.retain(|(key, document)| {
                let behind = |last: &Value| asked.compare((&key_of(last), last), (key, document)).is_lt();
                last.as_ref().is_none_or(behind)
            });
            right.truncate(size as usize);
            last = right.last().map(|(_, document)| document.clone());
            let (found, right) = (Outcome::Rows(page), Outcome::Rows(asked.documents(right)));
            if !agree(&found, &right) {
                let what = differ(&Op::Find(at, asked), &found, &right);
                return Err(Wrong::Answer(format!("in pages of {size}: {what}")));
            }
            match (last.is_some(), next) {
                (false, _) => return Ok(()),
                (true, None) => {
                    return Err(Wrong::Answer(format!("a page without a token of what follows: {asked:?}")));
                }
                // As it comes back from somebody who was given its bytes.
                (true, Some(next)) => token = Some(PageToken::from_bytes(next.as_bytes())),
            }
            if let Some(op) = between.next() {
                self.call_op(op)?;
            }
        }
    }

    /// The lowest or the highest value under a path.
    pub(super) fn extreme(&mut self, at: usize, path: &str, highest: bool, asked: &Asked) -> Result<(), Wrong> {
        self.stats.operations += 1;
        let handle = self.handle(at)?;
        let found = self.call(|| {
            let read = handle.snapshot()?;
            if highest { read.max(path, asked.query()) } else { read.min(path, asked.query()) }
        })?;
        let right = self.state.collections[at].extreme(path, highest, asked, self.now_ms());
        if found == right {
            return Ok(());
        }
        let which = if highest { "highest" } else { "lowest" };
        Err(Wrong::Answer(format!("the {which} {path} of {asked:?} is {found:?} instead of {right:?}")))
    }

    pub(super) fn ask_snapshot(&mut self, at: usize, collection: usize, asked: &Asked) -> Result<(), Wrong> {
        let now_ms = self.now_ms();
        let at = at % self.snapshots.len().max(1);
        let handle = self.handle(collection)?;
        let Some(held) = self.snapshots.get_mut(at) else { return Ok(()) };
        let (now_ms, state) = (*held.seen_ms.get_or_insert(now_ms), Arc::clone(&held.state));
        self.stats.operations += 1;
        let snapshot = &held.snapshot;
        self.site.clock.call();
        let (found, count) = self.site.drive(|| {
            let read = snapshot.collection(&handle)?;
            let rows = read.query(asked.query())?.collect::<Result<Vec<Value>, _>>()?;
            Ok((rows, read.count(asked.query())?))
        })?;
        let right = state.collections[collection].rows(asked, now_ms);
        let counts = right.len() as u64 == count;
        let (found, right) = (Outcome::Rows(found), Outcome::Rows(right));
        if agree(&found, &right) && counts {
            return Ok(());
        }
        let what = differ(&Op::Find(collection, asked.clone()), &found, &right);
        Err(Wrong::Answer(format!("a snapshot, which counts {count}: {what}")))
    }
}
