//! What merges read, write and leave behind: packed leaves, low trees, untouched subtrees.

use alloc::vec;
use alloc::vec::Vec;

use crate::codec::compress::Compression;
use crate::tree::merge::{Changes, Merge, Mode, Progress};
use crate::tree::{NodeSizes, Root};

use super::model::{Model, Op, SMALL, changes, check, key};
use super::store::{ChangeList, FromList, Item, Setup, Sink, Store, Value, merge, walk};

fn loaded(store: &Store, count: u32, make: impl Fn(u32) -> (Vec<u8>, Value), setup: Setup) -> (Option<Root>, Model) {
    let model: Model = (0..count).map(make).collect();
    let items: Vec<Item> = model.iter().map(|(key, value)| Item::Point(key.clone(), value.clone())).collect();
    (merge(store, None, &items, setup), model)
}

fn record(number: u32) -> (Vec<u8>, Value) {
    (key(4, number), Value::Inline(vec![number as u8; 100]))
}

/// Raw bytes of entries over bytes of leaves as large as they may be.
fn leaf_fill_percent(store: &Store, root: Option<Root>) -> u64 {
    let nodes = walk(store, root, Mode::DropTombstones).nodes;
    let leaves = nodes.iter().filter(|(_, level)| *level == 0);
    let (count, bytes) = leaves.fold((0, 0), |(count, bytes), (node, _)| (count + 1, bytes + u64::from(node.len)));
    100 * bytes / (count * 4096)
}

#[test]
fn a_sorted_load_takes_few_bytes_beside_the_data() {
    let store = Store::new();
    let (root, model) = loaded(&store, 50_000, record, Setup::default());
    let per_record = store.nodes.borrow().stored_len() as f64 / model.len() as f64;
    assert!(per_record < 16.0 + 4.0 + 100.0 + 3.0, "{per_record} bytes stored for each record of 116 + 4");
    assert!(leaf_fill_percent(&store, root) >= 95);
}

#[test]
fn leaves_stay_full_through_sparse_merges() {
    let store = Store::new();
    let (mut root, mut model) = loaded(&store, 20_000, record, Setup::default());
    for round in 0..200 {
        let mut list = ChangeList::default();
        for number in 0..100 {
            let (key, value) = record(20_000 + round * 100 + number);
            list.points.insert(key, value);
        }
        list.apply_to(&mut model, Mode::DropTombstones);
        root = merge(&store, root, &list.items(), Setup::default());
        assert!(leaf_fill_percent(&store, root) >= 85, "round {round}: {}", leaf_fill_percent(&store, root));
    }
    check(&store, root, &model, Mode::DropTombstones, &[], NodeSizes::default());
    let writes = store.nodes.borrow().writes;
    assert!(writes < 2 * 20_000, "{writes} nodes written for 20000 changes: sharing out costs too much");
}

#[test]
fn appending_keeps_leaves_packed() {
    let store = Store::new();
    let (mut root, mut next) = (None, 0u32);
    for round in 0..300 {
        let mut list = ChangeList::default();
        for _ in 0..1 + round % 17 {
            list.points.insert(key(1, next), Value::Inline(vec![7; 100]));
            next += 1;
        }
        root = merge(&store, root, &list.items(), Setup::default());
    }
    assert!(leaf_fill_percent(&store, root) >= 95, "{}", leaf_fill_percent(&store, root));
}

#[test]
fn untouched_subtrees_are_neither_read_nor_written() {
    let store = Store::new();
    let (root, _) = loaded(&store, 100_000, record, Setup::default());
    assert_eq!(root.unwrap().height, 2);
    let (reads, writes) = (*store.reads.borrow(), store.nodes.borrow().writes);
    let (key, _) = record(5);
    let one = [Item::Point(key, Value::Inline(vec![1; 100]))];
    let root = merge(&store, root, &one, Setup::default());
    assert_eq!(*store.reads.borrow() - reads, 3, "root, inner node, leaf");
    assert_eq!(store.nodes.borrow().writes - writes, 3);

    // A deletion of what is not there, and a value put again, change nothing.
    let writes = store.nodes.borrow().writes;
    let (again, _) = record(9);
    let nothing = ChangeList {
        points: [(again, Value::Inline(vec![9; 100])), (b"absent".to_vec(), Value::Tombstone)].into(),
        ..ChangeList::default()
    };
    assert_eq!(merge(&store, root, &nothing.items(), Setup::default()), root);
    assert_eq!(store.nodes.borrow().writes, writes);
}

#[test]
fn the_position_is_never_ahead_of_the_changes() {
    let store = Store::new();
    let (root, _) = loaded(&store, 5_000, record, Setup::default());
    let list = changes(4, &(0..40).map(|n| Op::Put(n * 121)).collect::<Vec<_>>(), 1);
    let items = list.items();
    let mut source = FromList::new(&items, None);
    let mut merge = Merge::new(root, Mode::DropTombstones, NodeSizes::default(), Compression::None, None);
    let mut positions = 0;
    while merge.step(&store, &mut source, &mut Sink(&store), 1).unwrap() == Progress::More {
        if let (Some(position), Some(change)) = (merge.position(), source.peek().unwrap()) {
            assert!(position <= change.key());
            positions += 1;
        }
    }
    assert!(positions > 40);
}

#[test]
fn relocating_few_nodes_rewrites_few() {
    let store = Store::new();
    let (root, mut model) = loaded(&store, 100_000, record, Setup::default());
    let mark = store.nodes.borrow().next_offset;
    let list = ChangeList { points: [record(100_001)].into(), ..ChangeList::default() };
    list.apply_to(&mut model, Mode::DropTombstones);
    let root = merge(&store, root, &list.items(), Setup::default());
    let writes = store.nodes.borrow().writes;
    let root = merge(&store, root, &[], Setup { relocate_from: Some(mark), ..Setup::default() });
    let writes = store.nodes.borrow().writes - writes;
    assert!(writes <= 8, "{writes} nodes written to move one leaf, its siblings and the nodes above");
    check(&store, root, &model, Mode::DropTombstones, &[], NodeSizes::default());
}

#[test]
fn an_interval_between_leaves_touches_no_leaf_outside() {
    let store = Store::new();
    let (root, _) = loaded(&store, 20_000, record, Setup::default());
    let nodes = walk(&store, root, Mode::DropTombstones).nodes;
    let leaves: Vec<_> = nodes.iter().filter(|(_, level)| *level == 0).map(|(node, _)| node.offset).collect();
    let top = store.nodes.borrow().stored[&root.unwrap().node.offset].2.clone();
    let inner = store.nodes.borrow().stored[&top.view().child(1).unwrap().offset].2.clone();
    let separator = |index: usize| {
        let mut key = Vec::new();
        inner.view().key_into(index, &mut key);
        key
    };
    let (reads, writes) = (*store.reads.borrow(), store.nodes.borrow().writes);
    let interval = [Item::Interval(separator(10), Some(separator(30)))];
    let root = merge(&store, root, &interval, Setup::default());
    assert_eq!(*store.reads.borrow() - reads, 2 + 20, "root, inner node, dropped leaves");
    assert_eq!(store.nodes.borrow().writes - writes, 2, "inner node, root");
    let after = walk(&store, root, Mode::DropTombstones).nodes;
    assert_eq!(after.iter().filter(|(_, level)| *level == 0).count(), leaves.len() - 20);
}

#[test]
fn deleting_everything_leaves_no_tree() {
    let store = Store::new();
    let (root, _) = loaded(&store, 3000, record, Setup { sizes: SMALL, ..Setup::default() });
    let all = [Item::Interval(vec![], None)];
    assert_eq!(merge(&store, root, &all, Setup { sizes: SMALL, ..Setup::default() }), None);
    assert!(store.nodes.borrow().stored.is_empty());
}

#[test]
fn deleting_from_the_end_lowers_the_tree() {
    let store = Store::new();
    let setup = Setup { sizes: SMALL, ..Setup::default() };
    let (mut root, mut model) = loaded(&store, 3000, record, setup);
    while model.len() > 3 {
        let keep = model.len() - model.len().div_ceil(5);
        let start = model.keys().nth(keep).unwrap().clone();
        model.retain(|key, _| *key < start);
        root = merge(&store, root, &[Item::Interval(start, None)], setup);
        let visited = check(&store, root, &model, Mode::DropTombstones, &[], SMALL);
        let leaves = visited.nodes.iter().filter(|(_, level)| *level == 0).count();
        assert!(visited.nodes.len() <= 2 * leaves, "{} nodes for {leaves} leaves", visited.nodes.len());
    }
    assert_eq!(root.unwrap().height, 1);
}

#[test]
fn keys_of_64_kib_and_the_empty_key_are_stored() {
    let store = Store::new();
    let mut model = Model::new();
    for number in 0..40u8 {
        let mut long = vec![b'k'; 65_536];
        long[65_535 - usize::from(number) * 1000] = number;
        model.insert(long, Value::Inline(vec![number; 2048]));
        model.insert(vec![b'k'; usize::from(number) * 1600], Value::Inline(vec![number; 10]));
        model.insert(vec![number], Value::Extent(u64::from(number)));
    }
    let items: Vec<Item> = model.iter().map(|(key, value)| Item::Point(key.clone(), value.clone())).collect();
    let mut root = None;
    for half in [0, 1] {
        let items: Vec<Item> = items.iter().skip(half).step_by(2).cloned().collect();
        root = merge(&store, root, &items, Setup::default());
    }
    check(
        &store,
        root,
        &model,
        Mode::DropTombstones,
        &[vec![], vec![b'k'; 65_535], vec![b'k'; 65_537]],
        NodeSizes::default(),
    );
}

#[test]
fn the_walk_finds_what_does_not_belong() {
    let store = Store::new();
    let (root, model) = loaded(&store, 2000, record, Setup { sizes: SMALL, ..Setup::default() });
    let root = root.unwrap();
    let wrong_count = Root { entries: root.entries + 1, ..root };
    assert_eq!(walk(&store, Some(wrong_count), Mode::DropTombstones).damage.len(), 1);

    // Two leaves that changed places: each has keys its parent does not allow.
    let nodes = walk(&store, Some(root), Mode::DropTombstones).nodes;
    let leaves: Vec<_> = nodes.iter().filter(|(_, level)| *level == 0).map(|(node, _)| node.offset).collect();
    let swap = |a: u64, b: u64| {
        let mut nodes = store.nodes.borrow_mut();
        let (first, second) = (nodes.stored[&a].2.clone(), nodes.stored[&b].2.clone());
        nodes.stored.get_mut(&a).unwrap().2 = second;
        nodes.stored.get_mut(&b).unwrap().2 = first;
    };
    swap(leaves[3], leaves[9]);
    let damage = walk(&store, Some(root), Mode::DropTombstones).damage;
    assert!(damage.iter().any(|what| what.contains("last key is above")), "{damage:?}");
    assert!(damage.iter().any(|what| what.contains("first key is below")), "{damage:?}");
    swap(leaves[3], leaves[9]);

    // A node that is gone: the keys that may be lost are told, and the walk goes on behind it.
    store.nodes.borrow_mut().stored.remove(&leaves[5]);
    let visited = walk(&store, Some(root), Mode::DropTombstones);
    assert_eq!(visited.damage.len(), 1, "{:?}", visited.damage);
    assert_eq!(visited.nodes, nodes);
    assert_eq!(model.len() as u64, root.entries);
}
