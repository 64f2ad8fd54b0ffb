//! What is lost, as ranges of the key space; by table only at the end, when the tables are known.

use alloc::vec::Vec;

use super::report::LossKind;
use super::walk::Bounds;

/// More ranges than this are told more coarsely.
const LOSSES_MAX: usize = 100_000;

/// Ranges of lost keys.
#[derive(Default)]
pub(super) struct Losses {
    ranges: Vec<Lost>,
}

/// One range.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Lost {
    pub bounds: Bounds,
    pub records: u64,
    pub kind: LossKind,
}

impl Losses {
    pub(super) fn add(&mut self, bounds: &Bounds, records: u64, kind: LossKind) {
        self.ranges.push(Lost { bounds: bounds.clone(), records, kind });
        if self.ranges.len() >= 2 * LOSSES_MAX {
            self.join_until(LOSSES_MAX);
        }
    }

    /// One record.
    pub(super) fn add_key(&mut self, key: &[u8]) {
        let mut high = key.to_vec();
        high.push(0);
        self.add(&Bounds { low: key.to_vec(), high: Some(high) }, 1, LossKind::Records);
    }

    /// All, in key order, those that overlap or follow each other joined.
    pub(super) fn take(&mut self) -> Vec<Lost> {
        self.ranges.sort_by(|a, b| (a.kind, &a.bounds.low).cmp(&(b.kind, &b.bounds.low)));
        let mut joined: Vec<Lost> = Vec::new();
        for lost in self.ranges.drain(..) {
            match joined.last_mut() {
                Some(last) if last.kind == lost.kind && touches(&last.bounds, &lost.bounds) => join(last, lost),
                _ => joined.push(lost),
            }
        }
        joined.sort_by(|a, b| (&a.bounds.low, a.kind).cmp(&(&b.bounds.low, b.kind)));
        joined
    }

    /// Joins neighbours, so that the ranges still hold whatever is lost.
    fn join_until(&mut self, count: usize) {
        self.ranges = self.take();
        while self.ranges.len() > count {
            self.ranges.sort_by(|a, b| (a.kind, &a.bounds.low).cmp(&(b.kind, &b.bounds.low)));
            let mut halved: Vec<Lost> = Vec::new();
            for (at, lost) in self.ranges.drain(..).enumerate() {
                match halved.last_mut() {
                    Some(last) if at % 2 == 1 && last.kind == lost.kind => join(last, lost),
                    _ => halved.push(lost),
                }
            }
            self.ranges = halved;
        }
    }
}

fn touches(left: &Bounds, right: &Bounds) -> bool {
    left.high.as_ref().is_none_or(|high| *high >= right.low)
}

fn join(last: &mut Lost, lost: Lost) {
    last.records = last.records.saturating_add(lost.records);
    last.bounds.high = match (last.bounds.high.take(), lost.bounds.high) {
        (Some(a), Some(b)) => Some(a.max(b)),
        _ => None,
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bounds(low: &str, high: &str) -> Bounds {
        Bounds { low: low.into(), high: (!high.is_empty()).then(|| high.into()) }
    }

    #[test]
    fn ranges_that_touch_are_one_and_kinds_stay_apart() {
        let mut losses = Losses::default();
        losses.add(&bounds("m", "p"), 3, LossKind::Records);
        losses.add(&bounds("a", "c"), 1, LossKind::Records);
        losses.add(&bounds("b", "d"), 2, LossKind::Records);
        losses.add(&bounds("d", "e"), 4, LossKind::Records);
        losses.add(&bounds("b", ""), 9, LossKind::Changes);
        let told: Vec<_> = losses.take().into_iter().map(|lost| (lost.bounds, lost.records, lost.kind)).collect();
        assert_eq!(
            told,
            [
                (bounds("a", "e"), 7, LossKind::Records),
                (bounds("b", ""), 9, LossKind::Changes),
                (bounds("m", "p"), 3, LossKind::Records),
            ]
        );
    }

    #[test]
    fn too_many_ranges_are_told_more_coarsely_and_lose_no_key() {
        let mut losses = Losses::default();
        for number in 0..2 * LOSSES_MAX as u32 {
            losses.add_key(&(2 * number).to_be_bytes());
        }
        let told = losses.take();
        assert!(told.len() <= LOSSES_MAX, "{}", told.len());
        assert_eq!(told.iter().map(|lost| lost.records).sum::<u64>(), 2 * LOSSES_MAX as u64);
        for number in (0..2 * LOSSES_MAX as u32).step_by(997) {
            let key = (2 * number).to_be_bytes();
            assert!(told.iter().any(|lost| lost.bounds.hold(&key)));
        }
    }
}
