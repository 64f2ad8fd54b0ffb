//! One layer of a version, as cursors and merges see it.

use alloc::sync::Arc;
use alloc::vec::Vec;

use super::lease::Source;
use super::version::{RunLayer, Version};
use crate::codec::slot::Slot;
use crate::error::Result;
use crate::memtable::{self, Memtable, MemtableCursor};
use crate::tree::{Root, TreeCursor};

/// A position to move to, kept until the move has succeeded, so that a call that lacked bytes can be repeated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Move {
    Next,
    Prev,
    /// To the first key at or after this one.
    AtOrAfter(Arc<[u8]>),
    /// To the last key before this one; `None` is beyond the last key.
    Before(Option<Arc<[u8]>>),
    /// Off the end.
    Exhaust,
}

/// Points and deleted intervals of one layer.
#[derive(Debug)]
pub(super) struct Layer {
    points: Points,
    intervals: Intervals,
    /// Keys below this are not part of the layer (a run that is partly merged into the base).
    floor: Option<Arc<[u8]>>,
    /// The move that must be made before `key` is meaningful again.
    pending: Option<Move>,
    exhausted: bool,
    coverage: Option<Coverage>,
}

#[derive(Debug)]
enum Points {
    Memtable(MemtableCursor),
    Tree(TreeCursor<Source>),
    None,
}

#[derive(Debug)]
enum Intervals {
    None,
    Memtable(Memtable),
    Tree(TreeCursor<Source>),
}

/// For every key from `from` to before `to` (`None`: without end): inside a deleted interval or not.
#[derive(Clone, Debug)]
pub(super) struct Coverage {
    pub from: Arc<[u8]>,
    pub to: Option<Arc<[u8]>>,
    pub covered: bool,
}

impl Layer {
    /// The layers of `version`, newest first, without empty ones.
    pub(super) fn all(version: &Version, source: &Source) -> Vec<Self> {
        let mut layers = Vec::new();
        layers.extend(Self::memtable(&version.memtable));
        layers.extend(version.layers.frozen.iter().filter_map(|frozen| Self::memtable(&frozen.memtable)));
        layers.extend(version.layers.runs.iter().map(|run| Self::run(run, source)));
        layers.extend(version.layers.base.as_ref().map(|root| Self::base(root, source)));
        layers
    }

    pub(super) fn memtable(memtable: &Memtable) -> Option<Self> {
        let intervals = match memtable.interval_count() {
            0 => Intervals::None,
            _ => Intervals::Memtable(memtable.clone()),
        };
        (!memtable.is_empty()).then(|| Self::new(Points::Memtable(memtable.cursor()), intervals, None))
    }

    pub(super) fn run(layer: &RunLayer, source: &Source) -> Self {
        let cursor = |root: &Root| TreeCursor::new(source.clone(), Some(*root));
        let points = layer.run.points.as_ref().map_or(Points::None, |root| Points::Tree(cursor(root)));
        let intervals = layer.run.intervals.as_ref().map_or(Intervals::None, |root| Intervals::Tree(cursor(root)));
        Self::new(points, intervals, layer.merged_below.clone())
    }

    pub(super) fn base(root: &Root, source: &Source) -> Self {
        Self::new(Points::Tree(TreeCursor::new(source.clone(), Some(*root))), Intervals::None, None)
    }

    fn new(points: Points, intervals: Intervals, floor: Option<Arc<[u8]>>) -> Self {
        Self { points, intervals, floor, pending: None, exhausted: true, coverage: None }
    }

    /// Where this is the base.
    pub(super) fn base_cursor(&self) -> Option<&TreeCursor<Source>> {
        match (&self.points, &self.intervals, &self.floor) {
            (Points::Tree(cursor), Intervals::None, None) if !self.exhausted && self.pending.is_none() => Some(cursor),
            _ => None,
        }
    }

    pub(super) fn base_cursor_mut(&mut self) -> Option<&mut TreeCursor<Source>> {
        match &mut self.points {
            Points::Tree(cursor) => Some(cursor),
            _ => None,
        }
    }

    /// Whether the layer has no point from where it stands, and no deleted range from where it was last asked about, below `end`.
    pub(super) fn is_silent_below(&self, end: &[u8]) -> bool {
        self.speaks_from().is_some_and(|mut keys| keys.all(|key| key >= end))
    }

    /// Keys below which the layer has no point from where it stands, and no deleted range from where it was last asked about.
    /// `None` where that is not known.
    pub(super) fn speaks_from(&self) -> Option<impl Iterator<Item = &[u8]>> {
        let deletes_from = match (&self.intervals, &self.coverage) {
            (Intervals::None, _) => None,
            (_, Some(known)) if !known.covered => known.to.as_deref(),
            _ => return None,
        };
        self.pending.is_none().then(|| self.key().into_iter().chain(deletes_from))
    }

    /// Asks for a move, made by the next [`settle`](Self::settle). A move asked for before is forgotten.
    pub(super) fn go(&mut self, to: Move) {
        self.pending = Some(to);
    }

    /// Makes the pending move. On `NotResident` nothing changed and the move is still pending.
    #[inline]
    pub(super) fn settle(&mut self) -> Result<()> {
        if self.pending.is_some() { self.make_pending_move() } else { Ok(()) }
    }

    fn make_pending_move(&mut self) -> Result<()> {
        let Some(to) = &self.pending else { return Ok(()) };
        match to {
            Move::Exhaust => {}
            Move::Next => self.points.next()?,
            Move::Prev => self.points.prev()?,
            Move::AtOrAfter(key) => {
                let key = match &self.floor {
                    Some(floor) if **floor > **key => floor,
                    _ => key,
                };
                self.points.seek(key)?;
            }
            Move::Before(Some(key)) => self.points.seek_before(key)?,
            Move::Before(None) => self.points.seek_last()?,
        }
        let below_floor = match (&self.floor, self.points.key()) {
            (Some(floor), Some(key)) => key < &**floor,
            _ => false,
        };
        self.exhausted = *to == Move::Exhaust || below_floor;
        self.pending = None;
        Ok(())
    }

    /// The key the layer stands on.
    #[inline]
    pub(super) fn key(&self) -> Option<&[u8]> {
        if self.exhausted { None } else { self.points.key() }
    }

    /// The entry the layer stands on.
    #[inline]
    pub(super) fn entry(&self) -> Option<(&[u8], Slot<'_>)> {
        if self.exhausted { None } else { self.points.entry() }
    }

    /// Whether the layer deletes a range around `key`, and how far that answer holds.
    pub(super) fn coverage(&mut self, key: &[u8]) -> Result<Option<&Coverage>> {
        if matches!(self.intervals, Intervals::None) {
            return Ok(None);
        }
        let known = self
            .coverage
            .as_ref()
            .is_some_and(|known| *known.from <= *key && known.to.as_ref().is_none_or(|to| *key < **to));
        if !known {
            self.coverage = Some(self.find_coverage(key)?);
        }
        Ok(self.coverage.as_ref())
    }

    fn find_coverage(&mut self, key: &[u8]) -> Result<Coverage> {
        let floor = self.floor.clone().unwrap_or_else(|| Arc::from(&[][..]));
        if key < &*floor {
            return Ok(Coverage { from: Arc::from(&[][..]), to: Some(floor), covered: false });
        }
        let (before, after) = match &mut self.intervals {
            Intervals::None => (None, None),
            Intervals::Memtable(memtable) => {
                let mut intervals = memtable.intervals();
                intervals.seek(key);
                match intervals.interval().map(owned_interval) {
                    Some((start, end)) if *start <= *key => (Some((start, end)), None),
                    Some((start, _)) => (None, Some(start)),
                    None => (None, None),
                }
            }
            Intervals::Tree(cursor) => {
                let mut just_after = key.to_vec();
                just_after.push(0);
                cursor.seek_before(&just_after)?;
                let before = cursor.entry().map(decode_interval);
                cursor.seek(&just_after)?;
                (before, cursor.entry().map(|(start, _)| Arc::from(start)))
            }
        };
        Ok(match before {
            // What of the interval lies below the floor is no part of the layer any more.
            Some((start, end)) if end.as_ref().is_none_or(|end| *key < **end) => {
                Coverage { from: start.max(floor), to: end, covered: true }
            }
            Some((_, Some(end))) => Coverage { from: end, to: after, covered: false },
            // Nothing is known to the left but the key itself.
            _ => Coverage { from: Arc::from(key), to: after, covered: false },
        })
    }

    /// The first deleted interval that ends after `from`, cut to the layer's part: its start and end.
    pub(super) fn interval_from(&mut self, from: &[u8]) -> Result<Option<Interval>> {
        let from = match &self.floor {
            Some(floor) if **floor > *from => Arc::clone(floor),
            _ => Arc::from(from),
        };
        let found = match &mut self.intervals {
            Intervals::None => None,
            Intervals::Memtable(memtable) => {
                let mut intervals = memtable.intervals();
                intervals.seek(&from);
                intervals.interval().map(owned_interval)
            }
            Intervals::Tree(cursor) => {
                let mut just_after = from.to_vec();
                just_after.push(0);
                cursor.seek_before(&just_after)?;
                match cursor.entry().map(decode_interval) {
                    Some((start, end)) if end.as_ref().is_none_or(|end| *from < **end) => Some((start, end)),
                    _ => {
                        cursor.seek(&just_after)?;
                        cursor.entry().map(decode_interval)
                    }
                }
            }
        };
        Ok(found.map(|(start, end)| (if *start < *from { from } else { start }, end)))
    }

    /// The first point at or after `from`.
    pub(super) fn point_from(&mut self, from: &Arc<[u8]>) -> Result<Option<&[u8]>> {
        self.go(Move::AtOrAfter(Arc::clone(from)));
        self.settle()?;
        Ok(self.key())
    }
}

/// A deleted range: start, and end (`None`: without end).
pub(super) type Interval = (Arc<[u8]>, Option<Arc<[u8]>>);

fn owned_interval(interval: memtable::Interval<'_>) -> Interval {
    (Arc::from(interval.start), interval.end.map(Arc::from))
}

/// An interval tree maps each start to its end; the empty value is no end.
fn decode_interval((start, slot): (&[u8], Slot<'_>)) -> Interval {
    let end = match slot {
        Slot::Inline(end) if !end.is_empty() => Some(Arc::from(end)),
        _ => None,
    };
    (Arc::from(start), end)
}

impl Points {
    fn next(&mut self) -> Result<()> {
        match self {
            Points::Memtable(cursor) => cursor.next(),
            Points::Tree(cursor) => return cursor.next().map(drop),
            Points::None => {}
        }
        Ok(())
    }

    fn prev(&mut self) -> Result<()> {
        match self {
            Points::Memtable(cursor) => cursor.prev(),
            Points::Tree(cursor) => return cursor.prev().map(drop),
            Points::None => {}
        }
        Ok(())
    }

    fn seek(&mut self, key: &[u8]) -> Result<()> {
        match self {
            Points::Memtable(cursor) => cursor.seek(key),
            Points::Tree(cursor) => return cursor.seek(key).map(drop),
            Points::None => {}
        }
        Ok(())
    }

    fn seek_before(&mut self, key: &[u8]) -> Result<()> {
        match self {
            Points::Memtable(cursor) => cursor.seek_before(key),
            Points::Tree(cursor) => return cursor.seek_before(key).map(drop),
            Points::None => {}
        }
        Ok(())
    }

    fn seek_last(&mut self) -> Result<()> {
        match self {
            Points::Memtable(cursor) => cursor.seek_last(),
            Points::Tree(cursor) => return cursor.seek_last().map(drop),
            Points::None => {}
        }
        Ok(())
    }

    #[inline]
    fn key(&self) -> Option<&[u8]> {
        self.entry().map(|(key, _)| key)
    }

    #[inline]
    fn entry(&self) -> Option<(&[u8], Slot<'_>)> {
        match self {
            Points::Memtable(cursor) => cursor.entry().map(|entry| (entry.key, entry.slot)),
            Points::Tree(cursor) => cursor.entry(),
            Points::None => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interval_covers_nothing_below_the_floor_of_its_layer_whatever_was_asked_before() {
        let mut memtable = Memtable::new();
        memtable.delete_range(b"b", Some(b"y"), 1);
        let mut layer = Layer::new(Points::None, Intervals::Memtable(memtable), Some(Arc::from(&b"m"[..])));
        let mut covered = |key: &[u8]| layer.coverage(key).unwrap().is_some_and(|coverage| coverage.covered);
        assert!(covered(b"p"));
        assert!(!covered(b"c"), "it has moved into the base");
        assert!(covered(b"m") && !covered(b"y") && !covered(b"a"));
    }
}
