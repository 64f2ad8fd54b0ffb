//! Node storage in memory that keeps books, and changes from a list, for the tests of this layer.

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::vec::Vec;
use core::cell::RefCell;

use crate::codec::checksum::{Checksum, Digest};
use crate::codec::cipher::Envelope;
use crate::codec::compress::Compression;
use crate::codec::slot::{Slot, ValueRef};
use crate::env::{FileId, StorageError, StorageErrorKind};
use crate::error::Result;
use crate::tree::layout::LEVEL_MAX;
use crate::tree::merge::{Change, Changes, Merge, Mode, Progress};
use crate::tree::node::Node;
use crate::tree::walk::{Damage, Visitor, Walk};
use crate::tree::{NodeRef, NodeSink, NodeSizes, NodeSource, Root, Seal, TreeKind, damaged};

pub(super) const SEAL: Seal = Seal { checksum: Checksum::Crc32, database_id: [3; 16], envelope: Envelope::Plain };

/// Every node ever written, and which are free. Panics on a double free and on reading what was freed or never written.
#[derive(Debug, Default)]
pub(super) struct Nodes {
    pub stored: BTreeMap<u64, (NodeRef, Vec<u8>, Node)>,
    pub freed_values: Vec<ValueRef>,
    pub next_offset: u64,
    /// Every other node goes here, if set, far above the rest.
    pub next_far_offset: Option<u64>,
    pub writes: usize,
    /// Freed by the merge under way: readable until it is done.
    pending: BTreeSet<u64>,
    base_offsets: BTreeSet<u64>,
    /// How many nodes the merge under way has freed that it had written itself.
    fresh_frees: usize,
}

/// A merge takes back what it has written only at its end, one node of each level at most.
const FRESH_FREES_MAX: usize = LEVEL_MAX as usize;

impl Nodes {
    /// Nodes freed so far are gone; those written are the base of what follows.
    pub fn publish(&mut self) {
        for offset in core::mem::take(&mut self.pending) {
            self.stored.remove(&offset);
        }
        self.base_offsets = self.stored.keys().copied().collect();
        self.fresh_frees = 0;
    }

    pub fn stored_len(&self) -> u64 {
        self.stored.values().map(|(reference, ..)| u64::from(reference.len).next_multiple_of(64)).sum()
    }
}

/// The nodes as source and sink at once; reads answer `NotResident` the first time by the flips of a coin.
#[derive(Debug, Default)]
pub(super) struct Store {
    pub nodes: RefCell<Nodes>,
    pub reads: RefCell<usize>,
    resident: RefCell<BTreeSet<u64>>,
    coin: Option<RefCell<u64>>,
}

impl Store {
    pub fn new() -> Self {
        Self { nodes: RefCell::new(Nodes { next_offset: 8192, ..Nodes::default() }), ..Self::default() }
    }

    /// A store where three reads in ten first meet `NotResident`.
    pub fn flaky(seed: u64) -> Self {
        Self { coin: Some(RefCell::new(seed | 1)), ..Self::new() }
    }

    pub fn stored_bytes(&self, reference: &NodeRef) -> Vec<u8> {
        self.nodes.borrow().stored[&reference.offset].1.clone()
    }

    /// Nothing is resident any more.
    pub fn evict(&self) {
        self.resident.borrow_mut().clear();
    }

    pub fn maybe_absent(&self, offset: u64, len: u64) -> Result<()> {
        let Some(coin) = &self.coin else { return Ok(()) };
        let mut state = coin.borrow_mut();
        *state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        if (*state >> 33) % 10 < 3 && self.resident.borrow_mut().insert(offset) {
            let error = StorageError::new(StorageErrorKind::NotResident, FileId::Data, offset, len, "not fetched");
            return Err(error.into());
        }
        Ok(())
    }
}

impl NodeSource for Store {
    fn node(&self, reference: &NodeRef) -> Result<Node> {
        self.maybe_absent(reference.offset, u64::from(reference.len))?;
        *self.reads.borrow_mut() += 1;
        let nodes = self.nodes.borrow();
        let (known, _, node) =
            nodes.stored.get(&reference.offset).ok_or_else(|| damaged(reference, "nothing is stored here"))?;
        if known != reference {
            return Err(damaged(reference, "another node is stored here"));
        }
        Ok(node.clone())
    }
}

/// The sink side; a type of its own because it is borrowed mutably while the source is borrowed.
pub(super) struct Sink<'a>(pub &'a Store);

impl NodeSink for Sink<'_> {
    fn flush(&mut self) -> Result<()> {
        Ok(())
    }

    fn write(&mut self, mut stored: Vec<u8>) -> Result<NodeRef> {
        let mut nodes = self.0.nodes.borrow_mut();
        nodes.writes += 1;
        let space = (stored.len() as u64).next_multiple_of(64);
        let far = nodes.writes.is_multiple_of(2);
        let next = match &mut *nodes {
            Nodes { next_far_offset: Some(next), .. } if far => next,
            Nodes { next_offset: next, .. } => next,
        };
        let offset = core::mem::replace(next, *next + space);
        let checksum = SEAL.close(&mut stored, offset, TreeKind::Base, 1);
        let reference = NodeRef { offset, len: stored.len() as u32, checksum };
        let node = Node::parse(&stored).map_err(|what| damaged(&reference, what))?;
        nodes.stored.insert(reference.offset, (reference, stored, node));
        Ok(reference)
    }

    fn free(&mut self, reference: NodeRef) {
        let mut nodes = self.0.nodes.borrow_mut();
        assert_eq!(nodes.stored.get(&reference.offset).map(|(known, ..)| *known), Some(reference), "freed a stranger");
        if !nodes.base_offsets.contains(&reference.offset) {
            nodes.fresh_frees += 1;
            assert!(nodes.fresh_frees <= FRESH_FREES_MAX, "freed much of what this merge has written");
        }
        assert!(nodes.pending.insert(reference.offset), "freed twice: {reference:?}");
    }

    fn free_value(&mut self, value: ValueRef) {
        self.0.nodes.borrow_mut().freed_values.push(value);
    }
}

/// An owned slot.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Value {
    Inline(Vec<u8>),
    Extent(u64),
    Tombstone,
}

impl Value {
    pub fn slot(&self) -> Slot<'_> {
        match self {
            Value::Inline(bytes) => Slot::Inline(bytes),
            Value::Extent(number) => Slot::Extent(value_ref(*number)),
            Value::Tombstone => Slot::Tombstone,
        }
    }

    pub fn of(slot: Slot<'_>) -> Self {
        match slot {
            Slot::Inline(bytes) => Value::Inline(bytes.to_vec()),
            Slot::Extent(value) => Value::Extent(value.offset / 64),
            Slot::Tombstone => Value::Tombstone,
        }
    }
}

pub(super) fn value_ref(number: u64) -> ValueRef {
    ValueRef { offset: number * 64, len: number + 3000, checksum: Digest::Crc32(number as u32) }
}

/// Deleted intervals by their starts, and points.
#[derive(Clone, Debug, Default)]
pub(super) struct ChangeList {
    pub points: BTreeMap<Vec<u8>, Value>,
    pub intervals: BTreeMap<Vec<u8>, Option<Vec<u8>>>,
}

impl ChangeList {
    /// Deletes an interval, swallowing those it meets and the points in it, as a memtable does.
    pub fn delete_range(&mut self, start: Vec<u8>, end: Option<Vec<u8>>) {
        if end.as_ref().is_some_and(|end| *end <= start) {
            return;
        }
        let inside = |key: &Vec<u8>| *key >= start && end.as_ref().is_none_or(|end| key < end);
        self.points.retain(|key, _| !inside(key));
        let (mut from, mut to) = (start.clone(), end.clone());
        self.intervals.retain(|s, e| {
            let apart = to.as_ref().is_some_and(|to| s > to) || e.as_ref().is_some_and(|e| *e < from);
            if !apart {
                from = from.clone().min(s.clone());
                to = match (to.clone(), e.clone()) {
                    (Some(a), Some(b)) => Some(a.max(b)),
                    _ => None,
                };
            }
            apart
        });
        self.intervals.insert(from, to);
    }

    pub fn items(&self) -> Vec<Item> {
        let points = self.points.iter().map(|(key, value)| (key.clone(), 1, Item::Point(key.clone(), value.clone())));
        let intervals = self.intervals.iter().map(|(s, e)| (s.clone(), 0, Item::Interval(s.clone(), e.clone())));
        let mut all: Vec<_> = points.chain(intervals).collect();
        all.sort_by(|a, b| (&a.0, a.1).cmp(&(&b.0, b.1)));
        all.into_iter().map(|(_, _, item)| item).collect()
    }

    /// What a map with these changes applied holds.
    pub fn apply_to(&self, model: &mut BTreeMap<Vec<u8>, Value>, mode: Mode) {
        for (start, end) in &self.intervals {
            model.retain(|key, _| key < start || end.as_ref().is_some_and(|end| key >= end));
        }
        for (key, value) in &self.points {
            if *value == Value::Tombstone && mode == Mode::DropTombstones {
                model.remove(key);
            } else {
                model.insert(key.clone(), value.clone());
            }
        }
    }
}

#[derive(Clone, Debug)]
pub(super) enum Item {
    Point(Vec<u8>, Value),
    Interval(Vec<u8>, Option<Vec<u8>>),
}

/// Changes from a list; like a tree it may have to be fetched.
pub(super) struct FromList<'a> {
    items: &'a [Item],
    at: usize,
    store: Option<&'a Store>,
}

impl<'a> FromList<'a> {
    pub fn new(items: &'a [Item], store: Option<&'a Store>) -> Self {
        Self { items, at: 0, store }
    }

    fn fetch(&self, what: u64) -> Result<()> {
        self.store.map_or(Ok(()), |store| store.maybe_absent(u64::MAX / 2 + 2 * self.at as u64 + what, 1))
    }
}

impl Changes for FromList<'_> {
    fn peek(&mut self) -> Result<Option<Change<'_>>> {
        self.fetch(0)?;
        Ok(self.items.get(self.at).map(|item| match item {
            Item::Point(key, value) => Change::Point { key, slot: value.slot() },
            Item::Interval(start, end) => Change::Interval { start, end: end.as_deref() },
        }))
    }

    fn advance(&mut self) -> Result<()> {
        self.fetch(1)?;
        self.at += 1;
        Ok(())
    }
}

/// How a test merges.
#[derive(Clone, Copy, Debug)]
pub(super) struct Setup {
    pub mode: Mode,
    pub sizes: NodeSizes,
    pub compression: Compression,
    pub relocate_from: Option<u64>,
    pub budget: usize,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            mode: Mode::DropTombstones,
            sizes: NodeSizes::default(),
            compression: Compression::None,
            relocate_from: None,
            budget: 1000,
        }
    }
}

/// Repeats an operation as long as something has to be fetched for it.
pub(super) fn retry<T>(mut operation: impl FnMut() -> Result<T>) -> T {
    loop {
        match operation() {
            Ok(value) => return value,
            Err(error) if error.not_resident().is_some() => {}
            Err(error) => panic!("{error:?}"),
        }
    }
}

pub(super) fn merge(store: &Store, base: Option<Root>, items: &[Item], setup: Setup) -> Option<Root> {
    let mut merge = Merge::new(base, setup.mode, setup.sizes, setup.compression, setup.relocate_from);
    let mut changes = FromList::new(items, store.coin.is_some().then_some(store));
    store.evict();
    loop {
        if let Progress::Done(root) = retry(|| merge.step(store, &mut changes, &mut Sink(store), setup.budget)) {
            store.evict();
            store.nodes.borrow_mut().publish();
            return root;
        }
    }
}

/// What a walk found.
#[derive(Debug, Default)]
pub(super) struct Visited {
    pub nodes: Vec<(NodeRef, u8)>,
    pub values: Vec<(Vec<u8>, ValueRef)>,
    pub damage: Vec<Box<str>>,
}

impl Visitor for Visited {
    fn node(&mut self, node: &NodeRef, level: u8) {
        self.nodes.push((*node, level));
    }

    fn value(&mut self, key: &[u8], value: ValueRef) {
        self.values.push((key.to_vec(), value));
    }

    fn damage(&mut self, damage: &Damage<'_>) {
        let text = format!("{} in {:?}..{:?}", damage.what, damage.low, damage.high);
        self.damage.push(text.into());
    }
}

pub(super) fn walk(store: &Store, root: Option<Root>, mode: Mode) -> Visited {
    let mut visited = Visited::default();
    let mut walk = Walk::new(root, mode);
    while retry(|| walk.step(store, &mut visited, 3)) {}
    visited
}
