//! What is told of a result that has changed.

use alloc::vec::Vec;

use super::rows::SharedRow;
use crate::document::{Value, key};
use crate::error::Result;
use crate::hashing::HashMap;

/// A result after a commit that changed it: all its rows, and beside them what is different.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct RowsChange<T> {
    /// All rows, in the order of the query.
    pub rows: Vec<T>,
    /// The rows that are new in the result; at first all of them.
    pub added: Vec<T>,
    /// The rows that are not as they were, or not where they were, as they are now.
    pub changed: Vec<T>,
    /// The keys of the documents that are no longer in the result.
    pub removed: Vec<Value>,
    /// The commit after which the result is so.
    pub sequence: u64,
}

/// What is different in a result, with places, for those who keep the rows themselves.
///
/// To get from the rows before to the rows now: take away those at the places of `removed` and at `from` of `changed`, all of
/// which are places among the rows before; then put those of `added` and `changed` in, lowest `at` first, at these places
/// among the rows now.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Difference<R> {
    /// The rows that are no longer in the result, first one first.
    pub removed: Vec<Removed>,
    /// The rows that are not as they were, or not where they were, first one first.
    pub changed: Vec<Moved<R>>,
    /// The rows that are new, first one first.
    pub added: Vec<Placed<R>>,
    /// How many rows there are now.
    pub len: usize,
    /// The commit after which the result is so.
    pub sequence: u64,
}

/// A row that is gone.
#[derive(Clone, Debug, PartialEq)]
pub struct Removed {
    /// Its place among the rows before.
    pub at: usize,
    /// The key of its document.
    pub key: Value,
}

/// A row that has changed.
#[derive(Clone, Debug, PartialEq)]
pub struct Moved<R> {
    /// Its place among the rows before.
    pub from: usize,
    /// Its place among the rows now.
    pub at: usize,
    /// The row as it is now.
    pub row: R,
}

/// A row that is new.
#[derive(Clone, Debug, PartialEq)]
pub struct Placed<R> {
    /// Its place among the rows now.
    pub at: usize,
    /// The row.
    pub row: R,
}

impl<R> Difference<R> {
    pub(super) fn none(len: usize) -> Self {
        Self { removed: Vec::new(), changed: Vec::new(), added: Vec::new(), len, sequence: 0 }
    }

    /// Whether nothing is different.
    pub fn is_empty(&self) -> bool {
        self.removed.is_empty() && self.changed.is_empty() && self.added.is_empty()
    }

    /// The same with other forms of the rows.
    pub(super) fn map<S>(self, mut form: impl FnMut(R) -> Result<S>) -> Result<Difference<S>> {
        let Self { removed, changed, added, len, sequence } = self;
        let changed = changed.into_iter().map(|Moved { from, at, row }| Ok(Moved { from, at, row: form(row)? }));
        let changed = changed.collect::<Result<_>>()?;
        let added = added.into_iter().map(|Placed { at, row }| Ok(Placed { at, row: form(row)? }));
        Ok(Difference { removed, changed, added: added.collect::<Result<_>>()?, len, sequence })
    }
}

/// What has become of rows, while it is gathered.
pub(super) struct Gathered {
    pub removed: Vec<Removed>,
    /// Whether the row itself is as it was, too.
    pub changed: Vec<(Moved<SharedRow>, bool)>,
    pub added: Vec<Placed<SharedRow>>,
}

impl Gathered {
    pub(super) fn new() -> Self {
        Self { removed: Vec::new(), changed: Vec::new(), added: Vec::new() }
    }

    /// What is to be told, when there are `len` rows now.
    pub(super) fn told(self, len: usize) -> Difference<SharedRow> {
        let Self { mut removed, mut changed, mut added } = self;
        // A row may be sorted by something else than before and yet be where it was, and as it was.
        let all_stay = removed.is_empty() && added.is_empty() && changed.iter().all(|(row, _)| row.from == row.at);
        changed.retain(|(_, is_as_it_was)| !(all_stay && *is_as_it_was));
        let mut changed: Vec<_> = changed.into_iter().map(|(row, _)| row).collect();
        removed.sort_unstable_by_key(|row| row.at);
        changed.sort_unstable_by_key(|row| row.at);
        added.sort_unstable_by_key(|row| row.at);
        Difference { removed, changed, added, len, sequence: 0 }
    }
}

impl Difference<SharedRow> {
    /// From rows to other rows, each in their order. Costs what is between the first and the last difference.
    pub(super) fn between(before: &[SharedRow], now: &[SharedRow]) -> Result<Self> {
        let is_same = |(before, now): &(&SharedRow, &SharedRow)| before.is_as(now);
        let ahead = before.iter().zip(now).take_while(is_same).count();
        let (old, new) = (before.get(ahead..).unwrap_or_default(), now.get(ahead..).unwrap_or_default());
        let behind = old.iter().rev().zip(new.iter().rev()).take_while(is_same).count();
        let old = old.get(..old.len() - behind).unwrap_or_default();
        let new = new.get(..new.len() - behind).unwrap_or_default();

        let places = (ahead..).zip(old).map(|(at, row)| (row.key(), (at, row)));
        let mut places: HashMap<&[u8], (usize, &SharedRow)> = places.collect();
        let mut gathered = Gathered::new();
        for (at, row) in (ahead..).zip(new) {
            match places.remove(row.key()) {
                None => gathered.added.push(Placed { at, row: row.clone() }),
                Some((_, before)) if before.is_as(row) => {}
                Some((from, before)) => {
                    let is_as_it_was = before.document() == row.document();
                    gathered.changed.push((Moved { from, at, row: row.clone() }, is_as_it_was));
                }
            }
        }
        for (key, (at, _)) in places {
            gathered.removed.push(Removed { at, key: key::decode(key)?.0 });
        }
        Ok(gathered.told(now.len()))
    }
}
