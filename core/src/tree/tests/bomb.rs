//! A tree of a dozen nodes in which each inner node leads to the one below it many times over: whoever believed it would walk
//! for ever. Everything that walks comes to an end, and says that this is no tree.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::vec::Vec;
use core::cell::Cell;

use crate::codec::checksum::Digest;
use crate::codec::compress::Compression;
use crate::codec::slot::ValueRef;
use crate::error::{Error, Result};
use crate::tree::encode::{self, Child, LeafEntry, Measure};
use crate::tree::layout::KIND_INLINE;
use crate::tree::merge::{Change, Changes, Mode};
use crate::tree::node::Node;
use crate::tree::{
    Damage, Merge, MergeProgress, NodeRef, NodeSink, NodeSizes, NodeSource, Root, TreeCursor, Visitor, Walk,
};

const LEVELS: u8 = 10;
const CHILDREN: usize = 50;
const READS_MAX: usize = 5000;

struct Bomb {
    nodes: BTreeMap<u64, Node>,
    reads: Cell<usize>,
}

fn reference(level: u8) -> NodeRef {
    NodeRef { offset: 8192 + 64 * u64::from(level), len: 64, checksum: Digest::Crc32(0) }
}

impl Bomb {
    fn new() -> (Self, Root) {
        let mut nodes = BTreeMap::new();
        let mut measure = Measure::default();
        assert!(measure.try_add(b"key25", b"key25", 1, KIND_INLINE, 0, usize::MAX));
        let entry = LeafEntry { key: b"key25", kind: KIND_INLINE, value: b"v" };
        let leaf = encode::leaf(&measure.shape(), core::iter::once(entry), Compression::None);
        nodes.insert(reference(0).offset, Node::parse(&leaf).unwrap());
        for level in 1..=LEVELS {
            let separator = |index: usize| format!("key{index:02}").into_bytes();
            let children: Vec<Child> = (0..CHILDREN)
                .map(|index| Child {
                    separator: separator(index),
                    node: reference(level - 1),
                    entries: 1,
                    fresh: false,
                })
                .collect();
            let mut measure = Measure::default();
            for index in 1..CHILDREN {
                assert!(measure.try_add(&separator(1), &separator(index), 0, KIND_INLINE, index + 1, usize::MAX));
            }
            let inner = encode::inner(&measure.shape(), level, &children);
            nodes.insert(reference(level).offset, Node::parse(&inner).unwrap());
        }
        let root = Root { node: reference(LEVELS), height: LEVELS, entries: 1 };
        (Self { nodes, reads: Cell::new(0) }, root)
    }
}

impl NodeSource for Bomb {
    fn node(&self, reference: &NodeRef) -> Result<Node> {
        self.reads.set(self.reads.get() + 1);
        assert!(self.reads.get() < READS_MAX, "it does not come to an end");
        Ok(self.nodes[&reference.offset].clone())
    }
}

fn is_corrupt(error: &Error) -> bool {
    matches!(error, Error::Corrupt(_))
}

#[test]
fn a_scan_ends() {
    let (bomb, root) = Bomb::new();
    for forward in [true, false] {
        let mut cursor = TreeCursor::new(&bomb, Some(root));
        let mut found = if forward { cursor.seek_first() } else { cursor.seek_last() };
        let mut entries = 0;
        while let Ok(true) = found {
            entries += 1;
            found = if forward { cursor.next() } else { cursor.prev() };
        }
        assert!(entries <= 1 && is_corrupt(&found.unwrap_err()));
    }
}

#[test]
fn a_check_ends_and_tells() {
    #[derive(Default)]
    struct Told(usize);
    impl Visitor for Told {
        fn damage(&mut self, _: &Damage<'_>) {
            self.0 += 1;
        }
    }
    let (bomb, root) = Bomb::new();
    let mut told = Told::default();
    let mut walk = Walk::new(Some(root), Mode::DropTombstones);
    while walk.step(&bomb, &mut told, 100).unwrap() {}
    assert!(told.0 > 0);
}

#[test]
fn a_merge_ends() {
    struct Nowhere;
    impl NodeSink for Nowhere {
        fn write(&mut self, stored: Vec<u8>) -> Result<NodeRef> {
            Ok(NodeRef { len: stored.len() as u32, ..reference(100) })
        }
        fn flush(&mut self) -> Result<()> {
            Ok(())
        }
        fn free(&mut self, _: NodeRef) {}
        fn free_value(&mut self, _: ValueRef) {}
    }
    struct One(Option<Change<'static>>);
    impl Changes for One {
        fn peek(&mut self) -> Result<Option<Change<'_>>> {
            Ok(self.0)
        }
        fn advance(&mut self) -> Result<()> {
            self.0 = None;
            Ok(())
        }
    }
    let drop_all = Change::Interval { start: b"", end: None };
    for (change, relocate_from) in [(Some(drop_all), None), (None, Some(0))] {
        let (bomb, root) = Bomb::new();
        let mut merge =
            Merge::new(Some(root), Mode::DropTombstones, NodeSizes::default(), Compression::None, relocate_from);
        let mut changes = One(change);
        let ended = loop {
            match merge.step(&bomb, &mut changes, &mut Nowhere, 100) {
                Ok(MergeProgress::More) => {}
                ended => break ended,
            }
        };
        assert!(is_corrupt(&ended.unwrap_err()), "{change:?}");
    }
}
