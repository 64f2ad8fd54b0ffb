//! Children that wait to be made into inner nodes.

use alloc::vec::Vec;
use core::ops::Range;

use crate::testing::Mutant;
use crate::tree::encode::{self, Child, Measure, Shape};
use crate::tree::layout::KIND_INLINE;

/// However long the separators are, a node takes this many children, so that trees stay low.
const CHILDREN_MIN: usize = 4;
/// Full nodes held back.
const HELD_BACK: usize = 1;

/// Children of one level in ascending order, cut into full nodes as they come.
#[derive(Debug)]
pub(super) struct InnerBuffer {
    raw_max: usize,
    children: Vec<Child>,
    cuts: Vec<Cut>,
    /// Of the separators after the last cut, without the first.
    open: Measure,
}

#[derive(Clone, Copy, Debug)]
struct Cut {
    end: usize,
    shape: Shape,
}

impl InnerBuffer {
    pub(super) fn new(raw_max: usize) -> Self {
        Self { raw_max, children: Vec::new(), cuts: Vec::new(), open: Measure::default() }
    }

    pub(super) fn children(&self) -> &[Child] {
        &self.children
    }

    pub(super) fn is_empty(&self) -> bool {
        self.children.is_empty()
    }

    pub(super) fn clear(&mut self) {
        self.children.clear();
        self.regroup();
    }

    pub(super) fn push(&mut self, child: Child) {
        self.children.push(child);
        self.group(self.children.len() - 1);
    }

    pub(super) fn pop(&mut self) -> Option<Child> {
        let child = self.children.pop();
        self.regroup();
        child
    }

    /// Puts `children` before all others.
    pub(super) fn prepend(&mut self, children: Vec<Child>) {
        self.children.splice(..0, children);
        self.regroup();
    }

    /// Bytes of the references to `count` of the children.
    fn refs_len(&self, count: usize) -> usize {
        encode::children_len(count, encode::digest_width(&self.children))
    }

    fn regroup(&mut self) {
        self.cuts.clear();
        self.open.clear();
        (0..self.children.len()).for_each(|index| self.group(index));
    }

    fn open_start(&self) -> usize {
        self.cuts.last().map_or(0, |cut| cut.end)
    }

    /// Adds child `index`, the one after all grouped ones, to the open group, or opens another with it.
    fn group(&mut self, index: usize) {
        let start = self.open_start();
        if index == start {
            return;
        }
        let count = index - start + 1;
        let raw_max = if count <= CHILDREN_MIN { usize::MAX } else { self.raw_max };
        let refs_len = self.refs_len(count);
        let first = &self.children[start + 1].separator;
        let separator = &self.children[index].separator;
        if !self.open.try_add(first, separator, 0, KIND_INLINE, refs_len, raw_max) {
            self.cuts.push(Cut { end: index, shape: self.open.shape() });
            self.open.clear();
        }
    }

    fn shape_of(&self, range: Range<usize>) -> Shape {
        let mut measure = Measure::default();
        let children = self.children.get(range).unwrap_or(&[]);
        if let Some(first) = children.get(1) {
            for (index, child) in children.iter().enumerate().skip(1) {
                measure.try_add(
                    &first.separator,
                    &child.separator,
                    0,
                    KIND_INLINE,
                    self.refs_len(index + 1),
                    usize::MAX,
                );
            }
        }
        measure.shape()
    }

    /// Whether the first group should be written now.
    pub(super) fn overflows(&self) -> bool {
        self.cuts.len() > HELD_BACK
    }

    /// Whether all children make one node only, and that less full than `percent`, or of a single child.
    pub(super) fn is_thinner_than(&self, percent: usize) -> bool {
        self.cuts.is_empty()
            && (self.children.len() < 2
                || 100 * self.open.shape().raw_len(self.refs_len(self.children.len())) < percent * self.raw_max)
    }

    /// Cuts the children anew, into groups of the same number.
    pub(super) fn spread_evenly(&mut self) {
        let mut groups = self.cuts.len() + 1;
        while groups > 1 && !self.cut_evenly(groups) {
            groups += 1;
        }
    }

    /// Whether no group is too large then.
    fn cut_evenly(&mut self, groups: usize) -> bool {
        let total = self.children.len();
        self.cuts.clear();
        let bound = |group: usize| group * total / groups;
        let mut all_fit = true;
        for group in 0..groups {
            let range = bound(group)..bound(group + 1);
            let (count, shape) = (range.len(), self.shape_of(range.clone()));
            all_fit &= count <= CHILDREN_MIN || shape.raw_len(self.refs_len(count)) <= self.raw_max;
            self.cuts.push(Cut { end: range.end, shape });
        }
        all_fit
    }

    /// Leaves all groups full but the last, and gives that an eighth of a full one: appending goes on there.
    pub(super) fn spread_for_appending(&mut self) {
        let Some(last) = self.cuts.last().copied() else { return };
        let start = if self.cuts.len() > 1 { self.cuts[self.cuts.len() - 2].end } else { 0 };
        let total = self.children.len() - start;
        let last_min = (total / 8).max(2);
        if self.children.len() - last.end < last_min && total >= 4 {
            let end = self.children.len() - last_min;
            self.cuts.pop();
            self.cuts.push(Cut { end, shape: self.shape_of(start..end) });
        }
        let start = self.open_start();
        self.cuts.push(Cut { end: self.children.len(), shape: self.shape_of(start..self.children.len()) });
    }

    /// The first group as a node of `level`, and the child its parent gets, still without a reference to it.
    pub(super) fn first_node(&self, level: u8) -> Option<FinishedInner> {
        let (end, shape) = self.first_group();
        let children = self.children.get(..end)?;
        let separator = children.first()?.separator.clone();
        let none = u64::from(Mutant::CountTooHigh.is_active());
        let entries = children.iter().fold(none, |sum, child| sum.saturating_add(child.entries));
        Some(FinishedInner { stored: encode::inner(&shape, level, children), separator, entries })
    }

    fn first_group(&self) -> (usize, Shape) {
        match self.cuts.first() {
            Some(cut) => (cut.end, cut.shape),
            None => (self.children.len(), self.open.shape()),
        }
    }

    /// Forgets the first group.
    pub(super) fn remove_first_node(&mut self) {
        let (end, _) = self.first_group();
        self.children.drain(..end);
        if !self.cuts.is_empty() {
            self.cuts.remove(0);
            self.cuts.iter_mut().for_each(|cut| cut.end -= end);
        }
        if self.children.is_empty() {
            self.open.clear();
        }
    }
}

/// An inner node ready to be stored.
pub(super) struct FinishedInner {
    pub stored: Vec<u8>,
    pub separator: Vec<u8>,
    pub entries: u64,
}
