//! The tree does what a map does, whatever the keys, the merges and the storage are like.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use core::cmp::Ordering;

use proptest::prelude::*;

use crate::codec::compress::Compression;
use crate::error::Result;
use crate::tree::cursor::TreeCursor;
use crate::tree::get::{count_range, get, key_after, leaf_range};
use crate::tree::merge::Mode;
use crate::tree::node::Node;
use crate::tree::{NodeRef, NodeSizes, NodeSource, Root, damaged};

use super::store::{ChangeList, Setup, Store, Value, Visited, merge, retry, value_ref, walk};

pub(super) type Model = BTreeMap<Vec<u8>, Value>;

pub(super) const SMALL: NodeSizes = NodeSizes { leaf_max: 256, inner_max: 256 };

/// Everything readable from the tree agrees with the model, and what is stored is what the tree refers to.
pub(super) fn check(
    store: &Store,
    root: Option<Root>,
    model: &Model,
    mode: Mode,
    probes: &[Vec<u8>],
    sizes: NodeSizes,
) -> Visited {
    assert_eq!(root.map_or(0, |root| root.entries), model.len() as u64);
    assert_eq!(root.is_none(), model.is_empty());
    check_scans(store, root, model);
    let absent = probes.iter().filter(|key| !model.contains_key(*key));
    for key in model.keys().step_by(model.len() / 200 + 1).chain(absent) {
        let found = retry(|| get(store, root, key));
        assert_eq!(found.as_ref().map(|found| Value::of(found.slot())), model.get(key).cloned(), "get {key:?}");
        check_seeks(store, root, model, key);
    }
    for pair in probes.windows(2) {
        let (start, end) = (pair[0].as_slice().min(&pair[1]), pair[0].as_slice().max(&pair[1]));
        let expected = model.range(start.to_vec()..end.to_vec()).count() as u64;
        assert_eq!(retry(|| count_range(store, root, start, Some(end))), expected);
        let after = root.as_ref().and_then(|root| retry(|| key_after(store, root, start, expected)));
        assert_eq!(after.as_ref(), model.range(start.to_vec()..).nth(expected as usize).map(|(key, _)| key));
        assert_eq!(retry(|| count_range(store, root, start, None)), model.range(start.to_vec()..).count() as u64);
    }
    if let Some(root) = &root {
        probes.iter().for_each(|key| check_leaf_range(store, root, model, key));
    }
    let visited = walk(store, root, mode);
    assert!(visited.damage.is_empty(), "{:?}", visited.damage);
    check_sizes(store, &visited, sizes);
    let referenced: Vec<u64> = sorted(visited.nodes.iter().map(|(node, _)| node.offset));
    let stored: Vec<u64> = store.nodes.borrow().stored.keys().copied().collect();
    assert_eq!(referenced, stored, "nodes leaked or lost");
    let values = model.iter().filter_map(|(key, value)| match value {
        Value::Extent(number) => Some((key.clone(), value_ref(*number))),
        _ => None,
    });
    assert_eq!(visited.values, values.collect::<Vec<_>>());
    visited
}

/// The leaf of a key ends above the key, and holds what is in the model up to there.
fn check_leaf_range(store: &Store, root: &Root, model: &Model, key: &Vec<u8>) {
    let leaf = retry(|| leaf_range(store, root, key));
    assert!(leaf.to.as_ref().is_none_or(|to| to > key));
    let below_end = leaf.to.as_ref().map_or(model.len(), |to| model.range(..to.clone()).count());
    let first = model.keys().nth(below_end - leaf.entries as usize).unwrap();
    let reaches_it = first <= key || retry(|| leaf_range(store, root, first)) == leaf;
    assert!(reaches_it, "the leaf of {key:?} begins at {first:?}");
}

/// Nodes are as large as they may be at most, unless they hold the least; and inner nodes lead somewhere.
fn check_sizes(store: &Store, visited: &Visited, sizes: NodeSizes) {
    for (reference, level) in &visited.nodes {
        let node = store.nodes.borrow().stored[&reference.offset].2.clone();
        let (max, least) = if *level == 0 { (sizes.leaf_max, 1) } else { (sizes.inner_max, 4) };
        let (len, count) = (node.raw_len(), node.len());
        assert!(len <= max || count <= least, "a node of {len} bytes with {count} entries or children");
        assert!(*level == 0 || count > 1, "an inner node with a single child");
    }
}

fn sorted(offsets: impl Iterator<Item = u64>) -> Vec<u64> {
    let mut all: Vec<u64> = offsets.collect();
    all.sort_unstable();
    all
}

fn check_scans(store: &Store, root: Option<Root>, model: &Model) {
    store.evict();
    let mut cursor = TreeCursor::new(store, root);
    let mut forward = Vec::new();
    while retry(|| cursor.next()) {
        let (key, slot) = cursor.entry().unwrap();
        forward.push((key.to_vec(), Value::of(slot)));
    }
    assert!(cursor.entry().is_none());
    assert!(!retry(|| cursor.next()), "stays after the last");
    let expected: Vec<_> = model.iter().map(|(key, value)| (key.clone(), value.clone())).collect();
    assert!(forward == expected, "forward scan of {} gave {}", expected.len(), forward.len());
    let mut backward = Vec::new();
    while retry(|| cursor.prev()) {
        let (key, slot) = cursor.entry().unwrap();
        backward.push((key.to_vec(), Value::of(slot)));
    }
    backward.reverse();
    assert!(backward == expected, "backward scan of {} gave {}", expected.len(), backward.len());
}

fn check_seeks(store: &Store, root: Option<Root>, model: &Model, key: &Vec<u8>) {
    store.evict();
    let mut cursor = TreeCursor::new(store, root);
    let key_of = |cursor: &TreeCursor<&Store>| cursor.entry().map(|(key, _)| key.to_vec());
    let at = model.range(key.clone()..).next().map(|(key, _)| key.clone());
    let before = model.range(..key.clone()).next_back().map(|(key, _)| key.clone());
    retry(|| cursor.seek(key));
    assert_eq!(key_of(&cursor), at);
    retry(|| cursor.prev());
    assert_eq!(key_of(&cursor), before, "prev after seek {key:?}");
    retry(|| cursor.seek_before(key));
    assert_eq!(key_of(&cursor), before);
    retry(|| cursor.next());
    assert_eq!(key_of(&cursor), at, "next after seek_before {key:?}");
    retry(|| cursor.seek_first());
    assert_eq!(key_of(&cursor), model.keys().next().cloned());
    retry(|| cursor.seek_last());
    assert_eq!(key_of(&cursor), model.keys().next_back().cloned());
}

/// A key of one of the shapes that matter, by number; the same numbers give the same keys.
pub(super) fn key(shape: u8, number: u32) -> Vec<u8> {
    let scattered = number.wrapping_mul(2654435761);
    match shape {
        0 => scattered.to_be_bytes().to_vec(),
        1 => alloc::format!("user:{number:08}:name").into_bytes(),
        2 => vec![b'a'; number as usize % 97],
        3 => {
            let mut key = vec![0; number as usize % 7];
            key.extend_from_slice(&number.to_be_bytes()[2..]);
            key
        }
        4 => [&scattered.to_be_bytes()[..], &scattered.to_le_bytes(), &number.to_be_bytes(), b"tail"].concat(),
        5 => scattered.to_be_bytes()[..1 + number as usize % 4].to_vec(),
        _ => [b"same-first-bytes".as_slice(), &[number as u8; 40][..number as usize % 40], &scattered.to_le_bytes()]
            .concat(),
    }
}

fn value(number: u32, round: u32) -> Value {
    match number % 11 {
        0 => Value::Extent(u64::from(round) << 32 | u64::from(number)),
        1 => Value::Inline(vec![]),
        2..=6 => Value::Inline([number.to_le_bytes(), round.to_le_bytes()].concat()),
        _ => Value::Inline(vec![number as u8; (number % 61) as usize + round as usize]),
    }
}

#[derive(Clone, Debug)]
pub(super) enum Op {
    Put(u32),
    /// With the value of the first load.
    PutAgain(u32),
    Delete(u32),
    DeleteRange(u32, u32),
    DeleteFrom(u32),
}

fn ops(space: u32, len: core::ops::Range<usize>) -> impl Strategy<Value = Vec<Op>> {
    let op = prop_oneof![
        12 => (0..space).prop_map(Op::Put),
        3 => (0..space / 3).prop_map(Op::PutAgain),
        5 => (0..space).prop_map(Op::Delete),
        1 => (0..space, 0..space).prop_map(|(a, b)| Op::DeleteRange(a, b)),
        1 => (0..space, 1..space / 10 + 2).prop_map(|(a, len)| Op::DeleteRange(a, a + len)),
        1 => (space - space / 20..space).prop_map(Op::DeleteFrom),
    ];
    prop::collection::vec(op, len)
}

pub(super) fn changes(shape: u8, ops: &[Op], round: u32) -> ChangeList {
    let mut list = ChangeList::default();
    for op in ops {
        match *op {
            Op::Put(number) => drop(list.points.insert(key(shape, number), value(number, round))),
            Op::PutAgain(number) => drop(list.points.insert(key(shape, number * 3), value(number, 0))),
            Op::Delete(number) => drop(list.points.insert(key(shape, number), Value::Tombstone)),
            Op::DeleteRange(a, b) => {
                let (a, b) = (key(shape, a), key(shape, b));
                list.delete_range(a.clone().min(b.clone()), Some(a.max(b)));
            }
            Op::DeleteFrom(a) => list.delete_range(key(shape, a), None),
        }
    }
    list
}

/// The extents of `before` that are not in `after` any more.
fn lost_values(before: &Model, after: &Model) -> Vec<u64> {
    let extents = |model: &Model| {
        let values = model.values().filter_map(|v| if let Value::Extent(n) = v { Some(*n) } else { None });
        values.collect::<BTreeSet<u64>>()
    };
    extents(before).difference(&extents(after)).copied().collect()
}

fn run_rounds(store: &Store, shape: u8, load: u32, rounds: &[Vec<Op>], setup: Setup) -> Option<Root> {
    let mut model = Model::new();
    let mut list = ChangeList::default();
    (0..load).for_each(|number| drop(list.points.insert(key(shape, number * 3), value(number, 0))));
    let mut root = None;
    for round in 0..=rounds.len() {
        if round > 0 {
            list = changes(shape, &rounds[round - 1], round as u32);
        }
        let before = model.clone();
        list.apply_to(&mut model, setup.mode);
        root = merge(store, root, &list.items(), setup);
        let freed = sorted(core::mem::take(&mut store.nodes.borrow_mut().freed_values).iter().map(|v| v.offset / 64));
        assert_eq!(freed, lost_values(&before, &model), "values given back");
        let probes: Vec<Vec<u8>> = (0..12).map(|n| key(shape, n * 97 + round as u32)).collect();
        check(store, root, &model, setup.mode, &probes, setup.sizes);
    }
    root
}

/// Relocates what lies in the upper `part` per cent of a tree, or every other node of it, while it applies `touched`.
fn relocate(load: u32, rounds: &[Vec<Op>], part: u64, scattered: bool, touched: &[Op]) {
    const FAR: u64 = 1 << 40;
    let store = Store::new();
    let setup = Setup { sizes: SMALL, ..Setup::default() };
    store.nodes.borrow_mut().next_far_offset = scattered.then_some(FAR);
    let root = run_rounds(&store, 1, load, rounds, setup);
    if root.is_none() {
        return;
    }
    store.nodes.borrow_mut().next_far_offset = None;
    let old_end = store.nodes.borrow().next_offset;
    let mark = if scattered { FAR } else { 8192 + (old_end - 8192) * part / 100 };
    let is_moved = |offset: u64| offset >= old_end && offset < FAR;
    let mut model = Model::new();
    let mut cursor = TreeCursor::new(&store, root);
    while cursor.next().unwrap() {
        let (key, slot) = cursor.entry().unwrap();
        model.insert(key.to_vec(), Value::of(slot));
    }
    drop(cursor);
    let before = walk(&store, root, Mode::DropTombstones).nodes;
    let list = changes(1, touched, 77);
    list.apply_to(&mut model, Mode::DropTombstones);
    let root = merge(&store, root, &list.items(), Setup { relocate_from: Some(mark), ..setup });
    let visited = check(&store, root, &model, Mode::DropTombstones, &[], SMALL);
    assert!(visited.nodes.iter().all(|(node, _)| node.offset < mark || is_moved(node.offset)));
    if touched.is_empty() && before.iter().all(|(node, _)| node.offset < mark) {
        assert_eq!(visited.nodes, before, "nothing to move, nothing moved");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn merges_do_what_a_map_does(
        shape in 0u8..7,
        load in 0u32..1500,
        rounds in prop::collection::vec(ops(5000, 0..60), 0..6),
        big_rounds in prop::collection::vec(ops(5000, 0..800), 0..2),
        small_nodes: bool, lz4: bool, keep: bool,
        budget in 1usize..40,
    ) {
        let setup = Setup {
            mode: if keep { Mode::KeepTombstones } else { Mode::DropTombstones },
            sizes: if small_nodes { SMALL } else { NodeSizes::default() },
            compression: if lz4 { Compression::Lz4 } else { Compression::None },
            budget,
            ..Setup::default()
        };
        run_rounds(&Store::new(), shape, load, &[rounds, big_rounds].concat(), setup);
    }

    #[test]
    fn fetching_on_the_way_changes_nothing(
        shape in 0u8..7,
        load in 0u32..600,
        rounds in prop::collection::vec(ops(2000, 0..60), 0..4),
        seed: u64,
        budget in 1usize..40,
    ) {
        let setup = Setup { sizes: SMALL, budget, ..Setup::default() };
        let (calm, flaky) = (Store::new(), Store::flaky(seed));
        let expected = run_rounds(&calm, shape, load, &rounds, setup);
        let root = run_rounds(&flaky, shape, load, &rounds, setup);
        prop_assert_eq!(root, expected, "the same nodes in the same places");
        prop_assert_eq!(calm.nodes.borrow().writes, flaky.nodes.borrow().writes);
    }

    /// A merge that was published in part before a crash is run again from its start.
    #[test]
    fn merging_twice_is_merging_once(shape in 0u8..7, load in 0u32..600, ops in ops(2000, 0..60), small_nodes: bool) {
        let store = Store::new();
        let sizes = if small_nodes { SMALL } else { NodeSizes::default() };
        let setup = Setup { sizes, ..Setup::default() };
        let root = run_rounds(&store, shape, load, core::slice::from_ref(&ops), setup);
        let list = changes(shape, &ops, 1);
        let again = merge(&store, root, &list.items(), setup);
        prop_assert_eq!(store.nodes.borrow().freed_values.len(), 0);
        prop_assert_eq!(again.map(|root| root.entries), root.map(|root| root.entries));
        if list.intervals.is_empty() {
            prop_assert_eq!(again, root, "points that are there already change nothing");
        }
    }

    #[test]
    fn relocation_moves_nodes_below_a_mark_and_keeps_the_rest(
        load in 1u32..3000,
        rounds in prop::collection::vec(ops(9000, 1..40), 0..3),
        part in 0u64..=100,
        scattered: bool,
        touched in ops(9000, 0..10),
    ) {
        relocate(load, &rounds, part, scattered, &touched);
    }

    #[test]
    fn random_bytes_are_refused_or_read_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..300), kind in 0u8..3) {
        let mut bytes = bytes;
        if let Some(first) = bytes.first_mut() {
            *first = 0xb0 + kind;
        }
        read_all(&bytes);
    }

    #[test]
    fn damaged_nodes_are_refused_or_read_without_panic(
        shape in 0u8..7, load in 1u32..400, lz4: bool, which: prop::sample::Index,
        flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6), near_start: bool,
    ) {
        let store = Store::new();
        let compression = if lz4 { Compression::Lz4 } else { Compression::None };
        let root = run_rounds(&store, shape, load, &[], Setup { sizes: SMALL, compression, ..Setup::default() });
        let nodes = walk(&store, root, Mode::DropTombstones).nodes;
        let mut bytes = store.stored_bytes(&nodes[which.index(nodes.len())].0);
        let len = if near_start { bytes.len().min(40) } else { bytes.len() };
        for (index, byte) in flips {
            bytes[index.index(len)] ^= byte;
        }
        read_all(&bytes);
    }
}

/// Everything that can be asked of a node, if it is one.
fn read_all(bytes: &[u8]) {
    let Ok(node) = Node::parse(bytes) else { return };
    let view = node.view();
    let mut key = Vec::new();
    for index in 0..view.keys() + 2 {
        view.key_into(index, &mut key);
        if index < view.keys() {
            assert_eq!(view.search(&key), Ok(index));
            assert_eq!(view.compare(index, &key), Ordering::Equal);
        }
        let _ = (view.slot(index), view.child(index), view.child_entries(index));
    }
}

#[test]
fn a_cursor_can_own_its_source() {
    struct Absent;
    impl NodeSource for Absent {
        fn node(&self, reference: &NodeRef) -> Result<Node> {
            Err(damaged(reference, "absent"))
        }
    }
    fn owned<T: 'static>(value: T) -> T {
        value
    }
    let source: Arc<dyn NodeSource> = Arc::new(Absent);
    assert!(!owned(TreeCursor::new(source, None)).next().unwrap());
}

/// When all nodes move, those before a subtree are written before it is opened; of the last one a single leaf is left.
#[test]
fn a_leaf_left_over_at_the_end_joins_the_node_before_it() {
    let first = [
        vec![Op::Put(3849)],
        vec![
            Op::Put(5230),
            Op::Put(31),
            Op::Put(33),
            Op::DeleteRange(2824, 814),
            Op::Put(6247),
            Op::DeleteRange(4879, 814),
        ],
    ];
    relocate(2099, &first, 0, false, &[]);
    let second = [
        vec![Op::Put(2380), Op::PutAgain(2096), Op::Put(2), Op::Put(8721), Op::Delete(100), Op::Delete(1100)],
        vec![
            Op::Put(7300),
            Op::Put(6921),
            Op::Put(1464),
            Op::DeleteRange(3559, 6289),
            Op::Put(4281),
            Op::Delete(1582),
            Op::PutAgain(1514),
            Op::Put(3934),
            Op::Put(3962),
            Op::PutAgain(1518),
        ],
    ];
    relocate(2096, &second, 0, false, &[]);
}
