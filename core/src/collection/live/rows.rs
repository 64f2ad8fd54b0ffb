//! The rows that a live result holds, in the order of its query.

use alloc::collections::BTreeSet;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::borrow::Borrow;
use core::hash::{Hash, Hasher};
use core::ops::Range;

use super::change::{Difference, Gathered, Moved, Placed, Removed};
use super::held::Held;
use crate::collection::position::Position;
use crate::document::key;
use crate::error::Result;
use crate::hashing::HashSet;

/// Up to so many rows are put in and taken out one by one; more are merged.
const ONE_BY_ONE_MAX: usize = 16;

/// A row of a live result.
#[derive(Debug)]
pub(super) struct LiveRow {
    pub position: Position,
    /// Its CBOR: the fields that were asked for.
    pub document: Vec<u8>,
    /// When it goes, in milliseconds since 1970.
    pub expires_ms: Option<u64>,
}

/// Shared between what is held and what is given.
#[derive(Clone, Debug)]
pub(super) struct SharedRow(Arc<LiveRow>);

impl SharedRow {
    pub(super) fn new(row: LiveRow) -> Self {
        Self(Arc::new(row))
    }

    /// The encoded key of its document.
    pub(super) fn key(&self) -> &[u8] {
        self.0.position.record()
    }

    pub(super) fn document(&self) -> &[u8] {
        &self.0.document
    }

    /// Whether both are at the same place with the same fields.
    pub(super) fn is_as(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || (self.0.position == other.0.position && self.0.document == other.0.document)
    }
}

/// A row, found by its key.
#[derive(Debug)]
pub(super) struct ByKey(SharedRow);

impl Borrow<[u8]> for ByKey {
    fn borrow(&self) -> &[u8] {
        self.0.key()
    }
}

impl Hash for ByKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.key().hash(state);
    }
}

impl PartialEq for ByKey {
    fn eq(&self, other: &Self) -> bool {
        self.0.key() == other.0.key()
    }
}

impl Eq for ByKey {}

/// Which rows of those that a query finds are given.
#[derive(Clone, Debug)]
pub(super) struct Window {
    given: Range<usize>,
    /// So many rows are held.
    held: usize,
}

impl Window {
    /// `None` when all are.
    pub(super) fn new(offset: u64, limit: Option<u64>) -> Option<Self> {
        if offset == 0 && limit.is_none() {
            return None;
        }
        let offset = usize::try_from(offset).unwrap_or(usize::MAX);
        let limit = limit.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX));
        let end = offset.saturating_add(limit);
        Some(Self { given: offset..end, held: end.saturating_add(end / 8 + 8) })
    }
}

/// The rows, in order: all that the query finds, or with a window the first of them.
#[derive(Debug, Default)]
pub(super) struct LiveRows {
    rows: Vec<SharedRow>,
    /// Empty while it is lent.
    by_key: HashSet<ByKey>,
    /// When rows go, and their keys.
    expiring: BTreeSet<(u64, Vec<u8>)>,
    window: Option<Window>,
    /// Rows behind this position are not held; without it, all are.
    end: Option<Position>,
    /// What was last given, with a window.
    given: Vec<SharedRow>,
}

/// What has become of documents: the row that was held and its place, and the row that is now.
type Outcome = (Option<(usize, SharedRow)>, Option<SharedRow>);

impl LiveRows {
    pub(super) fn new(window: Option<Window>) -> Self {
        Self { window, ..Self::default() }
    }

    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    /// Gives away what it needs only to change.
    pub(super) fn lend(&mut self) -> Held {
        Held { keys: core::mem::take(&mut self.by_key), end: self.end.clone() }
    }

    /// Takes back what it gave away.
    pub(super) fn take_back(&mut self, held: Held) {
        self.by_key = held.keys;
    }

    /// How many rows are to be read when all are read anew.
    pub(super) fn wanted(&self) -> Option<usize> {
        self.window.as_ref().map(|window| window.held).filter(|held| *held < usize::MAX)
    }

    /// How many are to be read behind which position, because too few are held.
    pub(super) fn lacking(&self) -> Option<(usize, &Position)> {
        let window = self.window.as_ref()?;
        let end = self.end.as_ref()?;
        (self.rows.len() < window.given.end).then(|| (window.held - self.rows.len(), end))
    }

    /// The rows that are given.
    pub(super) fn given(&self) -> &[SharedRow] {
        let Some(window) = &self.window else { return &self.rows };
        let end = window.given.end.min(self.rows.len());
        self.rows.get(window.given.start..end).unwrap_or_default()
    }

    pub(super) fn first_expiry(&self) -> Option<u64> {
        self.expiring.first().map(|(at, _)| *at)
    }

    /// The keys of rows that are gone at this time.
    pub(super) fn expired(&self, now_ms: u64) -> impl Iterator<Item = &[u8]> {
        self.expiring.iter().take_while(move |(at, _)| *at <= now_ms).map(|(_, key)| key.as_slice())
    }

    /// Everything anew: the rows that the query finds, in order. Gives what is different in what is given.
    pub(super) fn replace(&mut self, rows: Vec<SharedRow>) -> Result<Difference<SharedRow>> {
        let before = match self.window {
            Some(_) => core::mem::take(&mut self.given),
            None => core::mem::take(&mut self.rows),
        };
        (self.by_key, self.expiring, self.rows, self.end) = (HashSet::default(), BTreeSet::new(), Vec::new(), None);
        self.extend(Some(rows));
        let difference = Difference::between(&before, self.given())?;
        self.remember();
        Ok(difference)
    }

    /// The rows behind those that are held: as many as were lacking, or all there are. `None` if nobody has looked.
    pub(super) fn extend(&mut self, rows: Option<Vec<SharedRow>>) {
        let Some(rows) = rows else { return };
        rows.iter().for_each(|row| self.enter(row));
        self.rows.extend(rows);
        self.end = None;
        if self.wanted().is_some_and(|wanted| self.rows.len() >= wanted) {
            self.end = self.rows.last().map(|row| row.0.position.clone());
        }
    }

    /// What is different in what is given since the last time; with a window only.
    pub(super) fn difference(&mut self) -> Result<Difference<SharedRow>> {
        let difference = Difference::between(&self.given, self.given())?;
        self.remember();
        Ok(difference)
    }

    pub(super) fn has_window(&self) -> bool {
        self.window.is_some()
    }

    /// Documents, by key, as they are now: the row, or nothing where the query does not find them. Without a window gives what
    /// is different.
    pub(super) fn apply(&mut self, found: Vec<(Vec<u8>, Option<LiveRow>)>) -> Result<Difference<SharedRow>> {
        let mut outcomes = Vec::new();
        for (key, row) in found {
            let row = row.filter(|row| self.end.as_ref().is_none_or(|end| row.position <= *end)).map(SharedRow::new);
            let before = self.by_key.get(key.as_slice()).map(|ByKey(before)| before.clone());
            let Some(before) = before else {
                outcomes.extend(row.map(|row| (None, Some(row))));
                continue;
            };
            let Ok(at) = self.place(&before) else { continue };
            match row {
                Some(row) if row.is_as(&before) => {
                    // Perhaps it stays longer.
                    self.leave(&before);
                    self.enter(&row);
                    if let Some(held) = self.rows.get_mut(at) {
                        *held = row;
                    }
                }
                row => outcomes.push((Some((at, before)), row)),
            }
        }
        self.exchange(&outcomes);
        self.cut();
        if self.window.is_some() { Ok(Difference::none(self.rows.len())) } else { self.told(outcomes) }
    }

    /// The place of a row, or where it would be.
    fn place(&self, row: &SharedRow) -> Result<usize, usize> {
        self.rows.binary_search_by(|held| held.0.position.cmp(&row.0.position))
    }

    fn enter(&mut self, row: &SharedRow) {
        self.expiring.extend(row.0.expires_ms.map(|at| (at, row.key().to_vec())));
        self.by_key.insert(ByKey(row.clone()));
    }

    fn leave(&mut self, row: &SharedRow) {
        if let Some(at) = row.0.expires_ms {
            self.expiring.remove(&(at, row.key().to_vec()));
        }
        self.by_key.remove(row.key());
    }

    fn exchange(&mut self, outcomes: &[Outcome]) {
        let mut gone: Vec<usize> = Vec::new();
        for (at, row) in outcomes.iter().filter_map(|(before, _)| before.as_ref()) {
            self.leave(row);
            gone.push(*at);
        }
        let mut come: Vec<SharedRow> = outcomes.iter().filter_map(|(_, now)| now.clone()).collect();
        come.iter().for_each(|row| self.enter(row));
        gone.sort_unstable();
        if gone.len() + come.len() <= ONE_BY_ONE_MAX {
            for at in gone.into_iter().rev() {
                self.rows.remove(at);
            }
            for row in come {
                let (Ok(at) | Err(at)) = self.place(&row);
                self.rows.insert(at, row);
            }
            return;
        }
        come.sort_unstable_by(|a, b| a.0.position.cmp(&b.0.position));
        let (mut gone, mut come) = (gone.into_iter().peekable(), come.into_iter().peekable());
        let held = core::mem::take(&mut self.rows);
        self.rows.reserve(held.len() + come.len());
        for (at, row) in held.into_iter().enumerate() {
            if gone.next_if_eq(&at).is_some() {
                continue;
            }
            while let Some(before) = come.next_if(|new| new.0.position < row.0.position) {
                self.rows.push(before);
            }
            self.rows.push(row);
        }
        self.rows.extend(come);
    }

    /// Holds no more rows than are wanted.
    fn cut(&mut self) {
        let Some(wanted) = self.wanted().filter(|wanted| self.rows.len() > *wanted) else { return };
        for row in self.rows.split_off(wanted) {
            self.leave(&row);
        }
        self.end = self.rows.last().map(|row| row.0.position.clone());
    }

    /// What is given is what the next difference is from.
    fn remember(&mut self) {
        if self.window.is_some() {
            self.given = self.given().to_vec();
        }
    }

    fn told(&self, outcomes: Vec<Outcome>) -> Result<Difference<SharedRow>> {
        let mut gathered = Gathered::new();
        for (before, now) in outcomes {
            let at = now.as_ref().map(|row| self.place(row).unwrap_or_else(|at| at));
            match (before, now.zip(at)) {
                (Some((at, before)), None) => {
                    gathered.removed.push(Removed { at, key: key::decode(before.key())?.0 });
                }
                (Some((from, before)), Some((row, at))) => {
                    let is_as_it_was = before.document() == row.document();
                    gathered.changed.push((Moved { from, at, row }, is_as_it_was));
                }
                (None, Some((row, at))) => gathered.added.push(Placed { at, row }),
                (None, None) => {}
            }
        }
        Ok(gathered.told(self.rows.len()))
    }
}
