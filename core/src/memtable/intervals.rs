//! The deleted ranges of a memtable.

use super::arena::{Arena, Entry};
use super::map::Map;
use super::node::{Node, Summary};
use super::path::{Link, Path};
use crate::codec::slot::Slot;
use alloc::sync::Arc;

/// A deleted range: the keys from `start` on and below `end`, or all from `start` on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Interval<'a> {
    pub start: &'a [u8],
    pub end: Option<&'a [u8]>,
    pub sequence: u64,
}

/// Disjoint intervals, kept in a map of their own: the key is the start, the value is the end, or a tombstone where
/// there is no end.
#[derive(Clone, Debug)]
pub(super) struct Intervals {
    map: Map,
}

impl Intervals {
    pub(super) fn new(arena: Arc<Arena>) -> Self {
        Self { map: Map::new(arena) }
    }

    pub(super) fn summary(&self) -> Summary {
        self.map.summary()
    }

    /// Adds an interval. It takes the place of older ones where they overlap; what of them lies outside stays as it was.
    pub(super) fn insert(&mut self, start: &[u8], end: Option<&[u8]>, sequence: u64) {
        if end.is_some_and(|end| end <= start) {
            return;
        }
        let mut path = self.map.borrowed_path();
        let (mut start, mut end) = (start, end);
        let (mut before, mut after) = (None, None);

        path.seek_below(Some(start));
        if let Some(left) = lasting(&path).filter(|left| left.end.is_none_or(|left_end| left_end >= start)) {
            let beyond = ends_after(left.end, end);
            if left.sequence == sequence {
                // One commit's neighbours become one interval.
                start = left.start;
                end = if beyond { left.end } else { end };
            } else if left.end != Some(start) {
                before = Some((left.start.to_vec(), left.sequence));
                after = if beyond { Some((left.end, left.sequence)) } else { None };
            }
        }
        last_from(&mut path, end);
        if let Some(right) = lasting(&path).filter(|right| right.start >= start && ends_after(right.end, end)) {
            if right.sequence == sequence {
                end = right.end;
            } else if end.is_none_or(|end| right.start < end) {
                after = Some((right.end, right.sequence));
            }
        }

        let (start, end) = (start.to_vec(), end.map(<[u8]>::to_vec));
        let after = after.map(|(after, sequence)| (after.map(<[u8]>::to_vec), sequence));
        self.map.remove(&start, end.as_deref());
        if let Some((before, sequence)) = before {
            self.put(&before, Some(&start), sequence);
        }
        if let (Some((after_end, sequence)), Some(end)) = (after, &end) {
            self.put(end, after_end.as_deref(), sequence);
        }
        self.put(&start, end.as_deref(), sequence);
    }

    /// The interval that holds `key`.
    pub(super) fn covering(&self, key: &[u8]) -> Option<Interval<'_>> {
        self.map.at_most(key).map(interval).filter(|interval| interval.end.is_none_or(|end| end > key))
    }

    /// The first interval that has keys in the range and is newer than `sequence`.
    pub(super) fn first_newer(&self, start: &[u8], end: Option<&[u8]>, sequence: u64) -> Option<&[u8]> {
        if self.map.summary().max_sequence <= sequence {
            return None;
        }
        match self.covering(start) {
            Some(first) if first.sequence > sequence => Some(first.start),
            _ => self.map.first_newer(start, end, sequence),
        }
    }

    pub(super) fn cursor(&self) -> IntervalCursor {
        IntervalCursor { path: self.map.path() }
    }

    fn put(&mut self, start: &[u8], end: Option<&[u8]>, sequence: u64) {
        self.map.put(start, end.map_or(Slot::Tombstone, Slot::Inline), sequence);
    }

    #[cfg(test)]
    pub(super) fn check(&self) {
        self.map.check();
    }
}

/// A position among the intervals of a memtable as it was when the cursor was made.
#[derive(Clone, Debug)]
pub(crate) struct IntervalCursor {
    path: Path<Arc<Node>>,
}

impl IntervalCursor {
    /// Goes to the first interval that ends after `key`.
    pub(crate) fn seek(&mut self, key: &[u8]) {
        seek_ending_after(&mut self.path, key);
    }

    #[cfg(test)]
    /// Goes to the last interval that starts before `key`, or to the last of all.
    pub(crate) fn seek_before(&mut self, key: Option<&[u8]>) {
        self.path.seek_below(key);
    }

    #[cfg(test)]
    /// Goes to the preceding interval; from the first, and from none, to none.
    pub(crate) fn prev(&mut self) {
        self.path.prev();
    }

    /// Goes to the following interval; from the last, and from none, to none.
    pub(crate) fn next(&mut self) {
        self.path.next();
    }

    /// The interval the cursor is on.
    pub(crate) fn interval(&self) -> Option<Interval<'_>> {
        self.path.entry().map(interval)
    }
}

fn interval(entry: Entry<'_>) -> Interval<'_> {
    let end = match entry.slot {
        Slot::Inline(end) => Some(end),
        Slot::Extent(_) | Slot::Tombstone => None,
    };
    Interval { start: entry.key, end, sequence: entry.sequence }
}

fn lasting<'a>(path: &Path<&'a Node>) -> Option<Interval<'a>> {
    path.lasting_entry().map(interval)
}

/// Whether the end `left` lies after the end `right`, where `None` is after all.
fn ends_after(left: Option<&[u8]>, right: Option<&[u8]>) -> bool {
    match (left, right) {
        (_, None) => false,
        (None, Some(_)) => true,
        (Some(left), Some(right)) => left > right,
    }
}

/// Goes to the last interval that starts at `key` or before, or to the last of all.
fn last_from<L: Link>(path: &mut Path<L>, key: Option<&[u8]>) {
    match key {
        Some(key) => path.seek_at_most(key),
        None => path.seek_below(None),
    }
}

fn seek_ending_after<L: Link>(path: &mut Path<L>, key: &[u8]) {
    last_from(path, Some(key));
    match path.entry().map(interval) {
        Some(found) if found.end.is_none_or(|end| end > key) => {}
        Some(_) => path.next(),
        None => path.seek(key),
    }
}
