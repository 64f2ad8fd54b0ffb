//! Entries that wait to be made into leaves.

use alloc::vec::Vec;
use core::ops::Range;

use crate::codec::compress::Compression;
use crate::codec::slot::Slot;
use crate::tree::encode::{self, LeafEntry, Measure, Shape};
use crate::tree::layout::{KIND_EXTENT, KIND_INLINE, KIND_TOMBSTONE};
use crate::tree::node::NodeView;

/// Full leaves held back, so that what comes last can be shared out evenly among them. With fewer, leaves are emptier and
/// more of them are written (measured: 89 % full and 49 writes where four give 90 % and 31).
const HELD_BACK: usize = 4;

/// Entries in ascending order, cut into full leaves as they come: all but the last group are full.
#[derive(Debug)]
pub(super) struct LeafBuffer {
    raw_max: usize,
    bytes: Vec<u8>,
    entries: Vec<Entry>,
    cuts: Vec<Cut>,
    /// Of the entries after the last cut.
    open: Measure,
}

/// The key is at `at` in `bytes`, the value follows it.
#[derive(Clone, Copy, Debug)]
struct Entry {
    at: usize,
    key_len: usize,
    value_len: usize,
    kind: u8,
}

#[derive(Clone, Copy, Debug)]
struct Cut {
    end: usize,
    shape: Shape,
}

/// A leaf ready to be stored.
pub(super) struct FinishedLeaf {
    pub stored: Vec<u8>,
    pub entries: usize,
}

impl LeafBuffer {
    pub(super) fn new(raw_max: usize) -> Self {
        Self { raw_max, bytes: Vec::new(), entries: Vec::new(), cuts: Vec::new(), open: Measure::default() }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.entries.clear();
        self.cuts.clear();
        self.open.clear();
    }

    pub(super) fn push(&mut self, key: &[u8], slot: Slot<'_>) {
        let at = self.bytes.len();
        self.bytes.extend_from_slice(key);
        self.push_slot(at, slot);
    }

    /// Copies entry `index` of a leaf.
    pub(super) fn copy(&mut self, leaf: &NodeView<'_>, index: usize) {
        let at = self.bytes.len();
        leaf.append_key(index, &mut self.bytes);
        // Copied are only indices below `keys()`, which have slots.
        self.push_slot(at, leaf.slot(index).unwrap_or(Slot::Tombstone));
    }

    fn push_slot(&mut self, at: usize, slot: Slot<'_>) {
        let value_at = self.bytes.len();
        let kind = match slot {
            Slot::Inline(value) => {
                self.bytes.extend_from_slice(value);
                KIND_INLINE
            }
            Slot::Extent(value) => {
                value.encode(&mut self.bytes);
                KIND_EXTENT
            }
            Slot::Tombstone => KIND_TOMBSTONE,
        };
        let value_len = self.bytes.len() - value_at;
        self.entries.push(Entry { at, key_len: value_at - at, value_len, kind });
        self.group(self.entries.len() - 1, self.raw_max);
    }

    /// Adds entry `index`, the one after all grouped ones, to the open group, or opens another for it.
    fn group(&mut self, index: usize, raw_max: usize) {
        let start = self.cuts.last().map_or(0, |cut| cut.end);
        let entry = self.entries[index];
        let first = &self.bytes[self.key_range(start)];
        let key = &self.bytes[self.key_range(index)];
        if !self.open.try_add(first, key, entry.value_len, entry.kind, 0, raw_max) {
            self.cuts.push(Cut { end: index, shape: self.open.shape() });
            self.open.clear();
            self.open.try_add(key, key, entry.value_len, entry.kind, 0, raw_max);
        }
    }

    fn key_range(&self, index: usize) -> Range<usize> {
        let entry = self.entries[index];
        entry.at..entry.at + entry.key_len
    }

    /// Whether the first group should be written now.
    pub(super) fn overflows(&self) -> bool {
        self.cuts.len() > HELD_BACK
    }

    /// Leaves these entries make.
    pub(super) fn groups(&self) -> usize {
        self.cuts.len() + usize::from(self.open.keys() > 0)
    }

    /// Bytes of those leaves.
    pub(super) fn raw_len(&self) -> usize {
        let open = if self.open.keys() > 0 { self.open.shape().raw_len(0) } else { 0 };
        self.cuts.iter().map(|cut| cut.shape.raw_len(0)).sum::<usize>() + open
    }

    /// How full those leaves are on average.
    pub(super) fn fill_percent(&self) -> usize {
        100 * self.raw_len() / (self.groups().max(1) * self.raw_max)
    }

    /// Cuts the entries anew, into as many groups of about the same size.
    pub(super) fn spread_evenly(&mut self) {
        let mut groups = self.groups();
        if groups < 2 {
            return;
        }
        let mut bytes_left = self.raw_len();
        self.cuts.clear();
        self.open.clear();
        for index in 0..self.entries.len() {
            let share = bytes_left / groups;
            let entry = self.entries[index];
            let raw_max = match groups {
                1 => self.raw_max,
                _ => self.raw_max.min(share + (entry.key_len + entry.value_len) / 2),
            };
            let cuts = self.cuts.len();
            self.group(index, raw_max);
            if let Some(cut) = self.cuts.get(cuts) {
                bytes_left = bytes_left.saturating_sub(cut.shape.raw_len(0));
                groups = (groups - 1).max(1);
            }
        }
    }

    /// The first group as a leaf; it stays in the buffer.
    pub(super) fn first_leaf(&self, compression: Compression) -> FinishedLeaf {
        let (end, shape) = self.first_group();
        let entries = self.entries[..end].iter().map(|entry| {
            let (key, value) = self.bytes[entry.at..entry.at + entry.key_len + entry.value_len].split_at(entry.key_len);
            LeafEntry { key, kind: entry.kind, value }
        });
        FinishedLeaf { stored: encode::leaf(&shape, entries, compression), entries: end }
    }

    fn first_group(&self) -> (usize, Shape) {
        match self.cuts.first() {
            Some(cut) => (cut.end, cut.shape),
            None => (self.entries.len(), self.open.shape()),
        }
    }

    pub(super) fn first_key(&self) -> Option<&[u8]> {
        (!self.is_empty()).then(|| &self.bytes[self.key_range(0)])
    }

    #[cfg(test)]
    pub(super) fn last_key(&self) -> Option<&[u8]> {
        self.entries.len().checked_sub(1).map(|last| &self.bytes[self.key_range(last)])
    }

    /// The last key of the first group.
    pub(super) fn last_key_of_first_leaf(&self) -> Option<&[u8]> {
        self.first_group().0.checked_sub(1).map(|last| &self.bytes[self.key_range(last)])
    }

    /// Forgets the first group.
    pub(super) fn remove_first_leaf(&mut self) {
        let (end, _) = self.first_group();
        if self.cuts.is_empty() {
            self.clear();
            return;
        }
        self.cuts.remove(0);
        self.cuts.iter_mut().for_each(|cut| cut.end -= end);
        self.entries.drain(..end);
        let shift = self.entries.first().map_or(self.bytes.len(), |entry| entry.at);
        self.bytes.drain(..shift);
        self.entries.iter_mut().for_each(|entry| entry.at -= shift);
    }
}
