//! Doors for tests that feed the decoders of this layer arbitrary bytes: see [`crate::testing`].
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use alloc::vec::Vec;
use core::cmp::Ordering;

use super::encode::{self, Child, LeafEntry, Measure};
use super::layout::{COMPRESSION_MASK, FLAGS_AT, HEADER_LEN, STORED_LEN_AT};
use super::node::{Node, NodeView};
use crate::codec::compress::Compression;
use crate::codec::slot::{Slot, ValueRef};

/// Keys beyond so many are not each looked up: the time it takes grows with their number and length.
const KEYS_LOOKED_AT: usize = 300;

/// Decodes a stored node.
pub fn node(bytes: &[u8]) {
    let Ok(node) = Node::from_stored(bytes.to_vec(), None) else { return };
    use_node(&node);
}

/// As [`node`], of a leaf whose body is compressed here: the first byte says how.
pub fn node_compressed(bytes: &[u8]) {
    let Some((&how, stored)) = bytes.split_first() else { return };
    let Some((head, body)) = stored.split_at_checked(HEADER_LEN) else { return };
    let compression = match how % 2 {
        0 => Compression::Lz4,
        #[cfg(feature = "zstd")]
        _ => Compression::Zstd,
        #[cfg(not(feature = "zstd"))]
        _ => Compression::Lz4,
    };
    // Bytes that are compressed already are a block that any method may be asked to take.
    let (method, block) = compression.compress(body).unwrap_or((how & COMPRESSION_MASK, body.to_vec()));
    let mut compressed = head.to_vec();
    compressed[FLAGS_AT] = compressed[FLAGS_AT] & !COMPRESSION_MASK | method;
    compressed[STORED_LEN_AT..][..4].copy_from_slice(&(block.len() as u32).to_le_bytes());
    compressed.extend_from_slice(&block);
    node(&compressed);
}

/// Asks a node everything there is to ask.
fn use_node(node: &Node) {
    let view = node.view();
    assert!(node.len() > 0);
    let _ = (node.tree(), view.is_inline());
    node.expect_entries(0, true);
    let (mut key, mut previous) = (Vec::new(), Vec::new());
    let mut moving = Vec::new();
    view.key_into(0, &mut moving);
    for index in 0..view.keys().min(KEYS_LOOKED_AT) {
        view.key_into(index, &mut key);
        view.replace_suffix(index, &mut moving);
        assert_eq!(moving, key, "key {index}");
        assert!(key.starts_with(view.prefix()));
        assert!(index == 0 || previous < key, "key {index} is not above the one before");
        assert_eq!(view.search(&key), Ok(index));
        assert_eq!(view.compare(index, &key), Ordering::Equal);
        assert!(view.is_key(index, &key));
        assert!(index == 0 || view.compare(index, &previous) == Ordering::Greater);
        let slot = view.slot(index).unwrap();
        if let (Some((window, len)), 0) = (view.inline_value(index, &key), view.level()) {
            assert_eq!(Slot::Inline(&window[..len]), slot, "value {index}");
        }
        let _ = view.data_at(index);
        core::mem::swap(&mut key, &mut previous);
    }
    for key in [&[][..], b"\0", &[0xff; 40], view.prefix()] {
        let _ = (view.search(key), view.child_index(key), view.inline_value(0, key));
    }
    for child in 0..view.children() {
        assert!(view.child(child).is_some());
        let _ = view.child_entries(child);
    }
    assert!(view.child(view.children()).is_none() && view.slot(view.keys()).is_none());
    if view.keys() <= KEYS_LOOKED_AT {
        comes_back(node, &view);
    }
}

/// What was decoded, encoded again, decodes to the same.
fn comes_back(node: &Node, view: &NodeView<'_>) {
    let keys: Vec<Vec<u8>> = (0..view.keys())
        .map(|index| {
            let mut key = Vec::new();
            view.key_into(index, &mut key);
            key
        })
        .collect();
    // Keys that share a long beginning take more than the node when each is written out.
    if keys.iter().map(Vec::len).sum::<usize>() > 1 << 20 {
        return;
    }
    let stored = if view.level() == 0 { leaf(view, &keys) } else { inner(view, &keys) };
    let again = Node::from_stored(stored, None).unwrap_or_else(|what| panic!("encoded again: {what}"));
    assert_eq!((again.level(), again.len()), (node.level(), node.len()));
    let mut key = Vec::new();
    for (index, expected) in keys.iter().enumerate() {
        again.view().key_into(index, &mut key);
        assert_eq!(&key, expected, "key {index}, encoded again");
        assert_eq!(again.view().slot(index), view.slot(index), "value {index}, encoded again");
    }
    for child in 0..view.children() {
        assert_eq!(again.view().child(child), view.child(child));
        assert_eq!(again.view().child_entries(child), view.child_entries(child));
    }
}

fn leaf(view: &NodeView<'_>, keys: &[Vec<u8>]) -> Vec<u8> {
    let values: Vec<(u8, Vec<u8>)> = (0..view.keys())
        .map(|index| {
            let mut value = Vec::new();
            match view.slot(index).unwrap() {
                Slot::Inline(bytes) => value.extend_from_slice(bytes),
                Slot::Extent(reference) => reference.encode(&mut value),
                Slot::Tombstone => {}
            }
            (view.kind(index), value)
        })
        .collect();
    let mut measure = Measure::default();
    for (key, (kind, value)) in keys.iter().zip(&values) {
        assert!(measure.try_add(&keys[0], key, value.len(), *kind, 0, usize::MAX));
    }
    let entries = keys.iter().zip(&values).map(|(key, (kind, value))| LeafEntry { key, kind: *kind, value });
    encode::leaf(&measure.shape(), entries, Compression::Lz4)
}

fn inner(view: &NodeView<'_>, keys: &[Vec<u8>]) -> Vec<u8> {
    let children: Vec<Child> = (0..view.children())
        .map(|index| Child {
            separator: index.checked_sub(1).map_or_else(Vec::new, |before| keys[before].clone()),
            node: view.child(index).unwrap(),
            entries: view.child_entries(index),
            fresh: false,
        })
        .collect();
    let mut measure = Measure::default();
    for (index, key) in keys.iter().enumerate() {
        assert!(measure.try_add(&keys[0], key, 0, 0, index + 2, usize::MAX));
    }
    encode::inner(&measure.shape(), view.level(), &children)
}

/// Where a node that is not compressed names children, and where their checksums are in it.
pub(crate) fn children(node: &Node) -> Vec<(super::NodeRef, usize)> {
    let (view, layout) = (node.view(), node.block().head());
    let at = layout.refs as usize + 12 * view.children();
    (0..view.children()).filter_map(|index| Some((view.child(index)?, at + layout.digest_width() * index))).collect()
}

/// The values in extents that a leaf which is not compressed names, and where the references are in it.
pub(crate) fn value_references(node: &Node) -> Vec<(ValueRef, usize)> {
    let view = node.view();
    (0..view.keys())
        .filter_map(|index| match view.slot(index)? {
            Slot::Extent(value) => Some((value, view.data_at(index) + view.rest(index).len())),
            _ => None,
        })
        .collect()
}

/// Whether the body of a stored node is not compressed.
pub(crate) fn is_plain(stored: &[u8]) -> bool {
    stored.get(FLAGS_AT).is_some_and(|flags| flags & COMPRESSION_MASK == 0)
}
