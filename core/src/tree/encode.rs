//! Sizes of nodes yet to be written, and their bytes. The format is described in [`super::node`].

use alloc::vec::Vec;

use crate::codec::bytes::Writer;
use crate::codec::compress::Compression;

use super::NodeRef;
use super::layout::{
    BYTE_LENS, CHECKSUM_LEN, FLAGS_AT, HAS_KINDS, HAS_LENS, HAS_SLOTS, HASHED, HEADER_LEN, KIND_INLINE, STORED_LEN_AT,
    WIDE, child_len,
};
use super::node::split_head;
use super::seal::TreeKind;

/// An entry of a leaf as it is stored.
#[derive(Clone, Copy, Debug)]
pub(super) struct LeafEntry<'a> {
    pub key: &'a [u8],
    pub kind: u8,
    pub value: &'a [u8],
}

/// A child of an inner node; the separator of a node's first child is not stored in it.
#[derive(Clone, Debug)]
pub(super) struct Child {
    /// At or below every key in the child, above every key left of it.
    pub separator: Vec<u8>,
    pub node: NodeRef,
    pub entries: u64,
    /// Written by the merge that is under way, rather than taken over from the base.
    pub fresh: bool,
}

/// Which parts a node of certain keys has, and their sizes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shape {
    keys: usize,
    prefix_len: usize,
    /// Of every key after the prefix, where they are alike.
    key_len: Option<usize>,
    /// Of every value, where they are alike.
    value_len: Option<usize>,
    kinds: bool,
    /// The longest key after the prefix.
    suffix_max: usize,
    data_len: usize,
}

impl Shape {
    fn wide(&self) -> bool {
        self.data_len > usize::from(u16::MAX) || self.suffix_max > usize::from(u16::MAX)
    }

    fn wide_width(&self) -> usize {
        if self.wide() { 4 } else { 2 }
    }

    fn byte_lens(&self) -> bool {
        self.key_len.is_none() && self.suffix_max <= usize::from(u8::MAX)
    }

    fn len_width(&self) -> usize {
        match (self.key_len, self.byte_lens()) {
            (Some(_), _) => 0,
            (None, true) => 1,
            (None, false) => self.wide_width(),
        }
    }

    fn has_slots(&self) -> bool {
        self.data_len > 0 && (self.key_len.is_none() || self.value_len.is_none())
    }

    fn body_len(&self, children_len: usize) -> usize {
        let per_key =
            4 + usize::from(self.kinds) + self.len_width() + if self.has_slots() { self.wide_width() } else { 0 };
        self.prefix_len + self.keys * per_key + children_len + self.data_len
    }

    /// Bytes of the node before compression; `children_len` is that of the references to its children, 0 for a leaf.
    pub(super) fn raw_len(&self, children_len: usize) -> usize {
        HEADER_LEN + self.body_len(children_len)
    }

    fn flags(&self) -> u8 {
        [
            (self.kinds, HAS_KINDS),
            (self.key_len.is_none(), HAS_LENS),
            (self.has_slots(), HAS_SLOTS),
            (self.wide(), WIDE),
            (self.byte_lens(), BYTE_LENS),
        ]
        .iter()
        .fold(0, |flags, (set, flag)| if *set { flags | flag } else { flags })
    }
}

/// The shape of a node to which keys are added in ascending order.
#[derive(Clone, Debug, Default)]
pub(super) struct Measure {
    key_lens: Vec<u32>,
    prefix_len: usize,
    key_sum: usize,
    key_min: usize,
    key_max: usize,
    value_sum: usize,
    value_first: usize,
    values_differ: bool,
    kinds: bool,
    /// Bytes that keys with fewer than four bytes after the prefix lack.
    padding: usize,
}

impl Measure {
    pub(super) fn clear(&mut self) {
        let mut key_lens = core::mem::take(&mut self.key_lens);
        key_lens.clear();
        *self = Self { key_lens, ..Self::default() };
    }

    pub(super) fn keys(&self) -> usize {
        self.key_lens.len()
    }

    /// Adds a key above all others, unless the node would exceed `raw_max` then; a first key is always taken. `first` is
    /// the first key of the node (`key` itself if it is that), `children_len` the bytes of its references to children with
    /// this one.
    pub(super) fn try_add(
        &mut self,
        first: &[u8],
        key: &[u8],
        value_len: usize,
        kind: u8,
        children_len: usize,
        raw_max: usize,
    ) -> bool {
        let is_first = self.key_lens.is_empty();
        let before = if is_first { key.len() } else { self.prefix_len };
        let shared = first.get(..before).unwrap_or(first);
        let prefix_len = if key.starts_with(shared) { before } else { common_prefix(shared, key) };
        let lack = |len: usize| 4usize.saturating_sub(len - prefix_len);
        let padding = lack(key.len())
            + if prefix_len == before {
                self.padding
            } else if self.key_min >= prefix_len + 4 {
                0
            } else {
                self.key_lens.iter().map(|len| lack(*len as usize)).sum()
            };
        let added = Self {
            key_lens: Vec::new(),
            prefix_len,
            key_sum: self.key_sum + key.len(),
            key_min: if is_first { key.len() } else { self.key_min.min(key.len()) },
            key_max: self.key_max.max(key.len()),
            value_sum: self.value_sum + value_len,
            value_first: if is_first { value_len } else { self.value_first },
            values_differ: !is_first && (self.values_differ || self.value_first != value_len),
            kinds: self.kinds || kind != KIND_INLINE,
            padding,
        };
        let keys = self.key_lens.len() + 1;
        let too_many = keys > usize::from(u16::MAX) - 1;
        if !is_first && (too_many || added.shape_of(keys).raw_len(children_len) > raw_max) {
            return false;
        }
        let mut key_lens = core::mem::take(&mut self.key_lens);
        key_lens.push(key.len() as u32);
        *self = Self { key_lens, ..added };
        true
    }

    pub(super) fn shape(&self) -> Shape {
        self.shape_of(self.key_lens.len())
    }

    fn shape_of(&self, keys: usize) -> Shape {
        Shape {
            keys,
            prefix_len: self.prefix_len,
            key_len: (self.key_min == self.key_max).then_some(self.key_max - self.prefix_len),
            value_len: (!self.values_differ).then_some(self.value_first),
            kinds: self.kinds,
            suffix_max: self.key_max - self.prefix_len,
            data_len: self.key_sum - keys * self.prefix_len + self.padding - 4 * keys + self.value_sum,
        }
    }
}

/// Bytes of the references to `children` children.
pub(super) fn children_len(children: usize, digest_width: usize) -> usize {
    children * child_len(digest_width)
}

/// Bytes of the digests by which the first of them, and so all, is proven.
pub(super) fn digest_width(children: &[Child]) -> usize {
    children.first().map_or(4, |child| child.node.checksum.width())
}

/// The stored bytes of a leaf of `entries`, whose shape this is; not sealed yet.
pub(super) fn leaf<'a>(
    shape: &Shape,
    entries: impl Iterator<Item = LeafEntry<'a>> + Clone,
    compression: Compression,
) -> Vec<u8> {
    let mut out = Vec::with_capacity(shape.raw_len(0));
    put_header(shape, 0, shape.keys, 0, 0, &mut out);
    put_prefix_and_heads(shape, entries.clone().map(|e| e.key), &mut out);
    if shape.kinds {
        out.extend(entries.clone().map(|e| e.kind));
    }
    put_lens_slots_data(shape, entries.map(|e| (e.key, e.value)), &mut out);
    debug_assert_eq!(out.len(), shape.raw_len(0));
    compressed(&out, compression).unwrap_or(out)
}

/// The stored bytes of an inner node, not sealed yet. `shape` is that of the separators of all children but the first.
pub(super) fn inner(shape: &Shape, level: u8, children: &[Child]) -> Vec<u8> {
    let width = digest_width(children);
    let flags = if width > 4 { HASHED } else { 0 };
    let refs_len = children_len(children.len(), width);
    let mut out = Vec::with_capacity(shape.raw_len(refs_len));
    let separators = children.iter().skip(1).map(|child| child.separator.as_slice());
    put_header(shape, level, children.len(), refs_len, flags, &mut out);
    put_prefix_and_heads(shape, separators.clone(), &mut out);
    children.iter().for_each(|child| out.put_u64(child.node.offset));
    children.iter().for_each(|child| out.put_u32(child.node.len));
    children.iter().for_each(|child| child.node.checksum.encode(&mut out));
    children.iter().for_each(|child| out.put_u64(child.entries));
    put_lens_slots_data(shape, separators.map(|separator| (separator, [].as_slice())), &mut out);
    debug_assert_eq!(out.len(), shape.raw_len(refs_len));
    out
}

/// The shortest key above `left` and not above `right`, which is above `left`.
pub(super) fn separator<'a>(left: &[u8], right: &'a [u8]) -> &'a [u8] {
    right.get(..common_prefix(left, right) + 1).unwrap_or(right)
}

pub(super) fn common_prefix(a: &[u8], b: &[u8]) -> usize {
    a.iter().zip(b).take_while(|(x, y)| x == y).count()
}

/// The header, with zeros for what the sink puts in when it seals the node.
fn put_header(shape: &Shape, level: u8, count: usize, children_len: usize, flags: u8, out: &mut Vec<u8>) {
    let body_len = shape.body_len(children_len) as u32;
    out.extend_from_slice(&[0; CHECKSUM_LEN]);
    out.put_u8(TreeKind::Base as u8 | level);
    out.put_u8(shape.flags() | flags);
    out.put_u16(count as u16);
    out.put_u32(body_len);
    out.put_u32(body_len);
    out.put_u32(shape.prefix_len as u32);
    out.put_u32(shape.key_len.unwrap_or(0) as u32);
    out.put_u32(if shape.has_slots() { 0 } else { shape.value_len.unwrap_or(0) } as u32);
    out.put_u32(0);
}

fn put_prefix_and_heads<'a>(shape: &Shape, mut keys: impl Iterator<Item = &'a [u8]> + Clone, out: &mut Vec<u8>) {
    let heads = keys.clone();
    out.extend_from_slice(keys.next().map_or(&[], |key| &key[..shape.prefix_len]));
    for key in heads {
        out.put_u32(split_head(&key[shape.prefix_len..]).0);
    }
}

fn put_lens_slots_data<'a>(
    shape: &Shape,
    entries: impl Iterator<Item = (&'a [u8], &'a [u8])> + Clone,
    out: &mut Vec<u8>,
) {
    if shape.key_len.is_none() {
        for (key, _) in entries.clone() {
            put_sized(shape.len_width(), key.len() - shape.prefix_len, out);
        }
    }
    let parts = entries.map(|(key, value)| (key.get(shape.prefix_len + 4..).unwrap_or(&[]), value));
    if shape.has_slots() {
        let mut end = 0;
        for (rest, value) in parts.clone() {
            end += rest.len() + value.len();
            put_sized(shape.wide_width(), end, out);
        }
    }
    for (rest, value) in parts {
        out.extend_from_slice(rest);
        out.extend_from_slice(value);
    }
}

fn put_sized(width: usize, value: usize, out: &mut Vec<u8>) {
    match width {
        1 => out.put_u8(value as u8),
        2 => out.put_u16(value as u16),
        _ => out.put_u32(value as u32),
    }
}

/// A stored leaf with its body compressed, where that pays.
fn compressed(leaf: &[u8], compression: Compression) -> Option<Vec<u8>> {
    let (header, body) = leaf.split_at_checked(HEADER_LEN)?;
    let (method, block) = compression.compress(body)?;
    let mut out = Vec::with_capacity(HEADER_LEN + block.len());
    out.extend_from_slice(header);
    out[FLAGS_AT] |= method;
    out[STORED_LEN_AT..STORED_LEN_AT + 4].copy_from_slice(&(block.len() as u32).to_le_bytes());
    out.extend_from_slice(&block);
    Some(out)
}
