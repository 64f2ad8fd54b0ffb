//! Several layers, or parts of them, as one stream of changes for a merge.

use alloc::collections::VecDeque;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::cursor::MergedCursor;
use super::layer::{Interval, Layer};
use crate::codec::slot::ValueRef;
use crate::error::Result;
use crate::tree::{Change, Changes};

/// A range of keys: from (inclusive) to (exclusive; `None`: without end).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct KeyRange {
    pub from: Arc<[u8]>,
    pub to: Option<Arc<[u8]>>,
}

impl KeyRange {
    pub(super) fn all() -> Self {
        Self { from: Arc::from(&[][..]), to: None }
    }

    fn is_empty(&self) -> bool {
        self.to.as_ref().is_some_and(|to| **to <= *self.from)
    }
}

/// The changes of some layers, newest first, within ascending disjoint ranges: points merged so that the newest wins,
/// deleted intervals joined and cut to the ranges. A point that an interval of a newer layer deletes does not appear; one
/// that its own or an older layer's interval covers does, and beats it.
#[derive(Debug)]
pub(super) struct LayerChanges {
    points: MergedCursor,
    interval_layers: Vec<Layer>,
    ranges: VecDeque<KeyRange>,
    /// The points cursor stands inside the first range, or is on its way there.
    sought: bool,
    /// The points cursor is between two keys: what it stands on says nothing until it has arrived.
    advancing: bool,
    /// Intervals are looked for from here.
    interval_from: Arc<[u8]>,
    /// The next interval, once looked up.
    interval: Option<Option<Interval>>,
    /// What `peek` showed last.
    peeked_interval: bool,
}

impl LayerChanges {
    /// `make_layers` is called twice: points and intervals are read by cursors of their own.
    pub(super) fn new(make_layers: impl Fn() -> Vec<Layer>, ranges: Vec<KeyRange>) -> Self {
        let ranges: VecDeque<_> = ranges.into_iter().filter(|range| !range.is_empty()).collect();
        let interval_from = ranges.front().map_or_else(|| Arc::from(&[][..]), |range| Arc::clone(&range.from));
        Self {
            points: MergedCursor::for_merge(make_layers()),
            interval_layers: make_layers(),
            ranges,
            sought: false,
            advancing: false,
            interval_from,
            interval: None,
            peeked_interval: false,
        }
    }

    /// Values that newer layers hid from what was passed, since the last call.
    pub(super) fn take_hidden_values(&mut self) -> Vec<ValueRef> {
        self.points.take_hidden_values()
    }

    fn find_interval(&mut self) -> Result<Option<Interval>> {
        let Some(range) = self.ranges.front() else { return Ok(None) };
        let Some((start, mut end)) = earliest(&mut self.interval_layers, &self.interval_from)? else { return Ok(None) };
        if range.to.as_ref().is_some_and(|to| *start >= **to) {
            return Ok(None);
        }
        // Join what overlaps or touches it in any layer.
        while let Some(reached) = end.clone() {
            match earliest(&mut self.interval_layers, &reached)? {
                Some((next, next_end)) if *next <= *reached => end = next_end,
                _ => break,
            }
        }
        let start = if *start < *range.from { Arc::clone(&range.from) } else { start };
        let end = match (end, &range.to) {
            (Some(end), Some(to)) if *end > **to => Some(Arc::clone(to)),
            (None, to) => to.clone(),
            (end, _) => end,
        };
        Ok(Some((start, end)))
    }

    /// Completes a move to a point that lacked bytes. It is never begun again, so that what it passes is passed once.
    fn arrive(&mut self) -> Result<()> {
        if self.advancing {
            self.points.next()?;
            self.advancing = false;
        }
        Ok(())
    }

    /// Brings cursor and interval up to date for the first range that has anything left.
    fn prepare(&mut self) -> Result<bool> {
        loop {
            let Some(range) = self.ranges.front() else { return Ok(false) };
            if !self.sought {
                self.points.begin(&range.from, range.to.clone());
                self.sought = true;
                self.advancing = true;
            }
            self.arrive()?;
            if self.interval.is_none() {
                self.interval = Some(self.find_interval()?);
            }
            let Some(range) = self.ranges.front() else { return Ok(false) };
            let point = self.points.key().filter(|key| range.to.as_ref().is_none_or(|to| *key < &**to));
            let interval = self.interval.as_ref().and_then(Option::as_ref);
            if point.is_some() || interval.is_some() {
                self.peeked_interval = match (point, interval) {
                    (Some(key), Some((start, _))) => **start <= *key,
                    (None, Some(_)) => true,
                    _ => false,
                };
                return Ok(true);
            }
            self.ranges.pop_front();
            self.sought = false;
            self.interval = None;
            if let Some(next) = self.ranges.front() {
                self.interval_from = Arc::clone(&next.from);
            }
        }
    }
}

impl Changes for LayerChanges {
    fn peek(&mut self) -> Result<Option<Change<'_>>> {
        if !self.prepare()? {
            return Ok(None);
        }
        if self.peeked_interval
            && let Some(Some((start, end))) = &self.interval
        {
            return Ok(Some(Change::Interval { start, end: end.as_deref() }));
        }
        Ok(self.points.entry().map(|(key, slot)| Change::Point { key, slot }))
    }

    fn advance(&mut self) -> Result<()> {
        if self.advancing {
            return self.arrive();
        }
        if !self.prepare()? {
            return Ok(());
        }
        if self.peeked_interval {
            match self.interval.take() {
                Some(Some((_, Some(end)))) => self.interval_from = end,
                // Without end: there can be no other.
                _ => self.interval = Some(None),
            }
        } else {
            self.advancing = true;
            self.arrive()?;
        }
        Ok(())
    }
}

/// The first interval of any layer that ends after `from`.
fn earliest(layers: &mut [Layer], from: &[u8]) -> Result<Option<Interval>> {
    let mut first: Option<Interval> = None;
    for layer in layers {
        if let Some((start, end)) = layer.interval_from(from)? {
            // Of equal starts the longer one, so that joining makes progress.
            let better = first.as_ref().is_none_or(|(best, best_end)| {
                *start < **best
                    || (start == *best && best_end.as_ref().is_some_and(|b| end.as_ref().is_none_or(|e| **e > **b)))
            });
            if better {
                first = Some((start, end));
            }
        }
    }
    Ok(first)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::checksum::Checksum;
    use crate::codec::slot::Slot;
    use crate::memtable::Memtable;

    #[test]
    fn values_hidden_beyond_a_range_belong_to_the_next() {
        let value = |offset| ValueRef { offset, len: 1, checksum: Checksum::Crc32.of(&[]) };
        let (mut newer, mut older) = (Memtable::new(), Memtable::new());
        newer.delete_range(b"a", Some(b"z"), 2);
        older.put(b"b", Slot::Extent(value(1)), 1);
        older.put(b"y", Slot::Extent(value(2)), 1);
        let layers = || [&newer, &older].into_iter().filter_map(Layer::memtable).collect();
        let middle: Arc<[u8]> = Arc::from(&b"m"[..]);
        for (range, hidden) in [
            (KeyRange { from: Arc::from(&b""[..]), to: Some(Arc::clone(&middle)) }, value(1)),
            (KeyRange { from: Arc::clone(&middle), to: None }, value(2)),
        ] {
            let mut changes = LayerChanges::new(layers, Vec::from([range]));
            while changes.peek().unwrap().is_some() {
                changes.advance().unwrap();
            }
            assert_eq!(changes.take_hidden_values(), [hidden]);
        }
    }
}
