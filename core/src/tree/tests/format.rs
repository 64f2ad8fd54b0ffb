//! The bytes of small nodes, written out: the format cannot change unnoticed.

use alloc::vec;
use alloc::vec::Vec;

use crate::codec::checksum::Digest;
use crate::codec::compress::Compression;
use crate::codec::slot::{Slot, ValueRef};
use crate::tree::NodeRef;
use crate::tree::encode::{self, Child, LeafEntry, Measure};
use crate::tree::layout::{KIND_EXTENT, KIND_INLINE, KIND_TOMBSTONE};
use crate::tree::node::Node;

fn leaf(entries: &[(&[u8], u8, &[u8])], compression: Compression) -> Vec<u8> {
    let mut measure = Measure::default();
    for (key, kind, value) in entries {
        assert!(measure.try_add(entries[0].0, key, value.len(), *kind, 0, usize::MAX));
    }
    let entries = entries.iter().map(|&(key, kind, value)| LeafEntry { key, kind, value });
    encode::leaf(&measure.shape(), entries, compression)
}

fn inner(level: u8, children: &[(&[u8], NodeRef, u64)]) -> Vec<u8> {
    let child = |&(separator, node, entries): &(&[u8], NodeRef, u64)| Child {
        separator: separator.to_vec(),
        node,
        entries,
        fresh: true,
    };
    let children: Vec<Child> = children.iter().map(child).collect();
    let mut measure = Measure::default();
    for (index, child) in children.iter().enumerate().skip(1) {
        measure.try_add(&children[1].separator, &child.separator, 0, KIND_INLINE, index + 1, usize::MAX);
    }
    encode::inner(&measure.shape(), level, &children)
}

fn keys_and_slots(node: &Node) -> Vec<(Vec<u8>, Slot<'_>)> {
    let view = node.view();
    let key = |index| {
        let mut key = Vec::new();
        view.key_into(index, &mut key);
        key
    };
    (0..view.keys()).map(|index| (key(index), view.slot(index).unwrap())).collect()
}

#[test]
fn a_leaf_of_uniform_entries_has_neither_lengths_nor_slots() {
    let stored = leaf(&[(b"key:aaaa1", KIND_INLINE, b"ONE"), (b"key:aaab2", KIND_INLINE, b"TWO")], Compression::None);
    let expected = [
        &[0; 4][..],      // checksum, put in by the sink
        &[0xb0, 0, 2, 0], // leaf, no flags, 2 entries
        &[21, 0, 0, 0],   // body
        &[21, 0, 0, 0],   // stored
        &[7, 0, 0, 0],    // prefix
        &[2, 0, 0, 0],    // key after it
        &[3, 0, 0, 0],    // value
        &[0; 4],          // checkpoint, put in by the sink
        b"key:aaa",
        &[0, 0, b'1', b'a'],
        &[0, 0, b'2', b'b'],
        b"ONETWO",
    ]
    .concat();
    assert_eq!(stored, expected);
    let node = Node::parse(&stored).unwrap();
    assert_eq!(
        keys_and_slots(&node),
        [(b"key:aaaa1".to_vec(), Slot::Inline(b"ONE")), (b"key:aaab2".to_vec(), Slot::Inline(b"TWO"))]
    );
}

fn mixed_leaf() -> Vec<u8> {
    let mut value = Vec::new();
    ValueRef { offset: 0x40, len: 0x0102_0304_0506, checksum: Digest::Crc32(0x0a0b_0c0d) }.encode(&mut value);
    leaf(
        &[(b"p", KIND_INLINE, b"v"), (b"p1234567", KIND_EXTENT, &value), (b"p12345678", KIND_TOMBSTONE, b"")],
        Compression::None,
    )
}

const A_NODE: NodeRef = NodeRef { offset: 64, len: 64, checksum: Digest::Crc32(1) };
const MIXED_SLOTS: usize = 32 + 1 + 12 + 3 + 3;

#[test]
fn a_leaf_of_mixed_entries_has_kinds_lengths_and_slots() {
    let expected = [
        &[0; 4][..],
        &[0xb0, 0b0101_1100, 3, 0], // kinds, lens, slots, byte lens
        &[53, 0, 0, 0],
        &[53, 0, 0, 0],
        &[1, 0, 0, 0],
        &[0; 12],
        b"p",
        &[0, 0, 0, 0],
        b"4321",
        b"4321",
        &[0, 1, 2],
        &[0, 7, 8],
        &[1, 0, 24, 0, 28, 0],
        b"v",
        b"567",
        &[0x40, 0, 0, 0, 0, 0, 0, 0],
        &[6, 5, 4, 3, 2, 1, 0, 0],
        &[0x0d, 0x0c, 0x0b, 0x0a],
        b"5678",
    ]
    .concat();
    let stored = mixed_leaf();
    assert_eq!(stored, expected);
    let value = ValueRef { offset: 0x40, len: 0x0102_0304_0506, checksum: Digest::Crc32(0x0a0b_0c0d) };
    assert_eq!(
        keys_and_slots(&Node::parse(&stored).unwrap()),
        [
            (b"p".to_vec(), Slot::Inline(b"v")),
            (b"p1234567".to_vec(), Slot::Extent(value)),
            (b"p12345678".to_vec(), Slot::Tombstone),
        ]
    );
}

#[test]
fn an_inner_node_holds_its_childrens_references_side_by_side() {
    let node =
        |n: u64| NodeRef { offset: n << 32, len: 100 + n as u32, checksum: Digest::Crc32(0x1111_1111 * n as u32) };
    let stored = inner(2, &[(b"", node(1), 10), (b"m", node(2), 20), (b"z9", node(3), 1 << 40)]);
    let expected = [
        &[0; 4][..],
        &[0xb2, 0b0100_1000, 3, 0], // lens, byte lens
        &[82, 0, 0, 0],
        &[82, 0, 0, 0],
        &[0; 16],
        &[0, 0, 0, b'm'],
        &[0, 0, b'9', b'z'],
        &(1u64 << 32).to_le_bytes(),
        &(2u64 << 32).to_le_bytes(),
        &(3u64 << 32).to_le_bytes(),
        &[101, 0, 0, 0, 102, 0, 0, 0, 103, 0, 0, 0],
        &[0x11, 0x11, 0x11, 0x11, 0x22, 0x22, 0x22, 0x22, 0x33, 0x33, 0x33, 0x33],
        &10u64.to_le_bytes(),
        &20u64.to_le_bytes(),
        &(1u64 << 40).to_le_bytes(),
        &[1, 2],
    ]
    .concat();
    assert_eq!(stored, expected);
    let parsed = Node::parse(&stored).unwrap();
    let view = parsed.view();
    assert_eq!((0..4).map(|i| view.child(i)).collect::<Vec<_>>(), [Some(node(1)), Some(node(2)), Some(node(3)), None]);
    assert_eq!(view.child_entries(2), 1 << 40);
    let child_of = |key: &[u8]| view.child_index(key);
    assert_eq!([&b""[..], b"l", b"m", b"m\0", b"z", b"z9", b"zz"].map(child_of), [0, 0, 1, 1, 1, 2, 2]);
}

#[test]
fn compressible_leaves_are_compressed_behind_their_header() {
    let entries: Vec<(Vec<u8>, Vec<u8>)> = (0..30u8).map(|n| (vec![b'k', n], vec![n; 100])).collect();
    let entries: Vec<_> = entries.iter().map(|(key, value)| (&key[..], KIND_INLINE, &value[..])).collect();
    let (plain, packed) = (leaf(&entries, Compression::None), leaf(&entries, Compression::Lz4));
    assert!(packed.len() < plain.len() / 4);
    assert_eq!((plain[5], packed[5]), (0, 1));
    assert_eq!(packed[12..16], (packed.len() as u32 - 32).to_le_bytes());
    let (plain, packed) = (Node::parse(&plain).unwrap(), Node::parse(&packed).unwrap());
    assert_eq!(keys_and_slots(&plain), keys_and_slots(&packed));
    assert_eq!(plain.raw_len(), packed.raw_len());
}

#[cfg(feature = "blake3")]
#[test]
fn an_inner_node_of_hashes_says_so_in_its_flags() {
    let node = |n: u64| NodeRef { offset: n << 32, len: 100 + n as u32, checksum: Digest::Hash([n as u8; 16]) };
    let stored = inner(1, &[(b"", node(1), 10), (b"m", node(2), 20)]);
    assert_eq!(stored[5], 0b1000_0000);
    assert_eq!(stored[32 + 1 + 4 + 2 * 12..][..32], [[1; 16], [2; 16]].concat());
    let parsed = Node::parse(&stored).unwrap();
    let view = parsed.view();
    assert_eq!([view.child(0), view.child(1), view.child(2)], [Some(node(1)), Some(node(2)), None]);
    assert_eq!([view.child_entries(0), view.child_entries(1)], [10, 20]);
    let mut without = stored.clone();
    without[5] = 0;
    assert_eq!(Node::parse(&without).unwrap_err(), "its parts do not fit its length");
    let mut leaf = leaf(&[(b"a", KIND_INLINE, b"ONE")], Compression::None);
    leaf[5] |= 0b1000_0000;
    assert_eq!(Node::parse(&leaf).unwrap_err(), "its parts do not fit its length");
}

#[test]
fn structural_damage_is_named() {
    let damaged = |at: usize, value: &[u8]| {
        let mut stored = mixed_leaf();
        stored[at..at + value.len()].copy_from_slice(value);
        Node::parse(&stored).unwrap_err()
    };
    assert_eq!(damaged(4, &[0xa0]), "it does not begin like a node");
    assert_eq!(damaged(5, &[0b0101_1111]), "its flags 0x5f are unknown to this version");
    assert_eq!(damaged(6, &[0]), "it is empty");
    assert_eq!(damaged(8, &[1, 0, 0, 1]), "it claims to be larger than any node");
    assert_eq!(damaged(12, &[1]), "its stored length is not what its header says");
    assert_eq!(damaged(16, &[200]), "its parts do not fit its length");
    assert_eq!(damaged(20, &[1]), "its parts do not fit its length");
    assert_eq!(damaged(24, &[1]), "its parts do not fit its length");
    assert_eq!(damaged(MIXED_SLOTS, &[25]), "entry 1 ends before it begins");
    assert_eq!(damaged(MIXED_SLOTS + 4, &[27]), "its last entry does not end at its end");
    assert_eq!(damaged(MIXED_SLOTS + 2, &[1]), "the key of entry 1 is longer than the entry");
    assert_eq!(damaged(37, b"5"), "the key of entry 2 is not above the one before");
    assert_eq!(damaged(MIXED_SLOTS - 6, &[3]), "entry 0 is of unknown kind 3");
    assert_eq!(damaged(MIXED_SLOTS - 6, &[2]), "the value of entry 0 has 1 bytes, which its kind never has");
    assert_eq!(damaged(33, &[1]), "the short key of entry 0 is not padded with zeros");
    let uniform = leaf(&[(b"a", KIND_INLINE, b"ONE"), (b"b", KIND_INLINE, b"TWO")], Compression::None);
    let inner = inner(1, &[(b"", A_NODE, 1), (b"m", A_NODE, 1), (b"z9", A_NODE, 1)]);
    for (mut stored, at, value) in
        [(uniform.clone(), 20, 6), (uniform, 24, 2), (inner.clone(), 24, 1), (inner, 5, 0x4c)]
    {
        stored[at] = value;
        assert_eq!(Node::parse(&stored).unwrap_err(), "its parts do not fit its length");
    }
    let mut longer = mixed_leaf();
    longer.push(0);
    assert_eq!(Node::parse(&longer).unwrap_err(), "its stored length is not what its header says");
}
