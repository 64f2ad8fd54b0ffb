//! Calls by handles and in transactions.

use std::sync::Arc;

use lightning_db::{Error, Expiry, Value, WriteCollection};

use super::action::{Goes, Op, Outcome};
use super::run::{Runner, promise};
use super::state::{Held, State, key_of};
use crate::sim::action::Durability;
use crate::sim::compare::Wrong;

impl Runner {
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
                match self.state.collections[*at].get(&key_of(document), self.now_ms()) {
                    Some(there) => *expected = there.clone(),
                    None => Held::migrate(expected, version),
                }
            }
            _ => {}
        }
        op
    }

    pub(super) fn call_op(&mut self, op: &Op) -> Result<(), Wrong> {
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

    pub(super) fn transaction(&mut self, durability: Durability, ops: &[Op], commits: bool) -> Result<(), Wrong> {
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
