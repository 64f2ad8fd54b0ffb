//! A transaction as it should go, and what commits have to do with each other.

use std::sync::Arc;

use super::action::{Answer, Key, Query, Range, TABLES, TxOp};
use super::model::Tables;
use super::span::Span;

/// A transaction under way: what it sees, and what it will change.
#[derive(Clone, Debug)]
pub struct Draft {
    base: Arc<Tables>,
    /// With its own changes; nothing where there are none.
    view: Option<Tables>,
    writes: Vec<TxOp>,
    /// Tables it has opened: those that are not there are made by it.
    opened: [bool; TABLES.len()],
    savepoints: Vec<(usize, [bool; TABLES.len()])>,
}

impl Draft {
    /// Sees `base` and has changed nothing.
    pub fn new(base: Arc<Tables>) -> Self {
        Self { base, view: None, writes: Vec::new(), opened: [false; TABLES.len()], savepoints: Vec::new() }
    }

    /// From now on sees another state, with the same changes.
    pub fn see(&mut self, base: &Arc<Tables>) {
        if !Arc::ptr_eq(base, &self.base) {
            self.base = Arc::clone(base);
            self.view = (!self.writes.is_empty()).then(|| self.after(base));
        }
    }

    /// What it sees.
    pub fn view(&self) -> &Tables {
        self.view.as_ref().unwrap_or(&self.base)
    }

    /// Carries out one step and answers it.
    pub fn perform(&mut self, op: &TxOp) -> Option<Answer> {
        if let Some(table) = op.table() {
            self.opened[table] = true;
        }
        match op {
            TxOp::Ask(query) => return Some(self.view().ask(query)),
            TxOp::Delete(table, key) => {
                let there = self.view().contains(*table, key);
                if there {
                    self.write(op);
                }
                return Some(Answer::There(there));
            }
            TxOp::DeleteRange(_, range) if Span::of(range).is_empty() => {}
            TxOp::Put(..) | TxOp::DeleteRange(..) => self.write(op),
            TxOp::Savepoint => self.savepoints.push((self.writes.len(), self.opened)),
            TxOp::Rollback => {
                if let Some((writes, opened)) = self.savepoints.pop() {
                    self.opened = opened;
                    if writes < self.writes.len() {
                        self.writes.truncate(writes);
                        self.view = Some(self.after(&self.base));
                    }
                }
            }
        }
        None
    }

    fn write(&mut self, op: &TxOp) {
        self.view.get_or_insert_with(|| Tables::clone(&self.base)).write(op);
        self.writes.push(op.clone());
    }

    /// `base` with its changes.
    pub fn after(&self, base: &Tables) -> Tables {
        let mut after = base.clone();
        self.writes.iter().for_each(|op| after.write(op));
        after
    }

    /// What it commits.
    pub fn commit(&self) -> Commit {
        Commit { writes: self.writes.clone(), opened: self.opened, may_make: false }
    }
}

/// What a transaction has changed.
#[derive(Clone, Debug, Default)]
pub struct Commit {
    writes: Vec<TxOp>,
    /// Tables that are there after it.
    pub opened: [bool; TABLES.len()],
    /// Whether it may have made one of them.
    pub may_make: bool,
}

impl Commit {
    /// Another change.
    pub fn push(&mut self, write: &TxOp) {
        self.writes.push(write.clone());
    }

    /// `base` with the changes.
    pub fn after(&self, base: &Tables) -> Tables {
        let mut after = base.clone();
        self.writes.iter().for_each(|op| after.write(op));
        after
    }

    /// Whether it changes no row.
    pub fn is_empty(&self) -> bool {
        self.writes.is_empty()
    }

    /// Whether both write the same key.
    pub fn overlaps(&self, other: &Commit) -> bool {
        other.writes.iter().any(|op| match op {
            TxOp::Put(table, key, _) | TxOp::Delete(table, key) => self.touches(*table, &Span::point(key)),
            TxOp::DeleteRange(table, range) => self.touches(*table, &Span::of(range)),
            _ => false,
        })
    }

    /// Whether it writes something that this step of another transaction reads.
    pub fn changes_what_is_read_by(&self, op: &TxOp) -> bool {
        match op {
            TxOp::Delete(table, key) | TxOp::Ask(Query::Get(table, key)) => self.touches(*table, &Span::point(key)),
            TxOp::Ask(Query::Count(table, range) | Query::Walk(table, range, ..) | Query::Roam(table, range, _)) => {
                self.touches(*table, &Span::of(range))
            }
            _ => false,
        }
    }

    fn touches(&self, at: usize, span: &Span) -> bool {
        let of = |key: &Key| Span::point(key);
        self.writes.iter().any(|op| match op {
            TxOp::Put(table, key, _) | TxOp::Delete(table, key) => *table == at && of(key).overlaps(span),
            TxOp::DeleteRange(table, range) => *table == at && Span::of(range).overlaps(span),
            _ => false,
        })
    }
}

impl TxOp {
    /// The table it opens, if any.
    pub fn table(&self) -> Option<usize> {
        match self {
            TxOp::Put(table, ..) | TxOp::Delete(table, _) | TxOp::DeleteRange(table, _) => Some(*table),
            TxOp::Ask(query) => Some(query.table()),
            TxOp::Savepoint | TxOp::Rollback => None,
        }
    }
}

impl Query {
    /// The table asked.
    pub fn table(&self) -> usize {
        match self {
            Query::Get(table, _) | Query::Count(table, _) | Query::Walk(table, ..) | Query::Roam(table, ..) => *table,
        }
    }
}

/// Ranges that hold no key at all.
pub fn is_empty(range: &Range) -> bool {
    Span::of(range).is_empty()
}
