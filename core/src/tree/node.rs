//! One node: the format, and search in place on its bytes.
//!
//! A stored node is a header of 32 bytes and a body; the body of a leaf may be compressed. All integers are
//! little-endian. The header:
//!
//! | at | size | |
//! |---|---|---|
//! | 0 | 4 | the first bytes of the checksum, see [`super::seal`] |
//! | 4 | 1 | level (0 for a leaf, at most 15) + `0xb0` in the base, `0xc0` in the points of a run, `0xd0` in its intervals |
//! | 5 | 1 | flags: bits 0–1 compression of the body (0 none, 1 LZ4 block, 2 Zstandard frame), 2 kinds, 3 lens, 4 slots, 5 wide, 6 byte lens, 7 hashed |
//! | 6 | 2 | count: entries of a leaf, children of an inner node; at least 1 |
//! | 8 | 4 | bytes of the body, decoded |
//! | 12 | 4 | bytes of the body as stored |
//! | 16 | 4 | bytes of the prefix that all keys share |
//! | 20 | 4 | bytes of each key after the prefix; 0 if lens are given |
//! | 24 | 4 | bytes of each value; 0 if slots are given |
//! | 28 | 4 | low bits of its age, higher in newer nodes: in the base a number of the merge that wrote it, in a run the newest commit it may hold |
//!
//! The body holds these parts without gaps. `keys` is the number of entries of a leaf; an inner node has one separator
//! less than children: that of each child but the first, above every key to the child's left and not above any in it.
//!
//! | part | bytes | present | |
//! |---|---|---|---|
//! | prefix | | always | |
//! | heads | 4 × keys | always | the first four bytes of each key after the prefix, as a number whose order is theirs (most significant byte first), zeros where the key is shorter; stored little-endian |
//! | offsets | 8 × children | inner | where each child is stored |
//! | lengths | 4 × children | inner | its stored length |
//! | checksums | 4 × children, hashed 16 | inner | its checksum |
//! | counts | 8 × children | inner | entries in all leaves below it |
//! | kinds | 1 × keys | flag | 0 inline value, 1 value in an extent, 2 tombstone; without this part all are inline |
//! | lens | 1, 2 or 4 × keys | flag | bytes of each key after the prefix: 1 with the flag byte lens, else 2, with the flag wide 4 |
//! | slots | 2 or 4 × keys | flag | where each entry's data ends, from the first byte of data: 4 with the flag wide |
//! | data | the rest | always | for each entry the key after prefix and head, then the value |
//!
//! Without slots all entries have data of one length: the key's tail and the value by the header, or, if lens are given
//! (none is above four then, and values are empty), none at all. The data of a value in an extent is its encoded
//! reference, a tombstone has none, a separator has no value. Keys are strictly ascending.

#![deny(clippy::indexing_slicing)]

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::cmp::Ordering;
use core::hint::select_unpredictable;

use crate::cache::{Block, Pool};
use crate::codec::checksum::{Checksum, Digest};
use crate::codec::compress;
use crate::codec::slot::{Slot, ValueRef};

use super::NodeRef;
pub(crate) use super::layout::Layout;
use super::layout::{BYTE_LENS, HAS_KINDS, HAS_LENS, HAS_SLOTS, HEADER_LEN, Header, WIDE};
use super::layout::{COMPRESSION_MASK, KIND_EXTENT, KIND_INLINE, KIND_TOMBSTONE};
use super::seal::TreeKind;

/// A verified node, decoded. A clone is the same node.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    block: Block<Layout>,
}

impl Node {
    #[cfg(test)]
    /// Decodes stored bytes and proves their structure, or says what is wrong with them.
    pub(crate) fn parse(stored: &[u8]) -> Result<Self, String> {
        Self::from_raw(&decode(stored)?, None)
    }

    /// Like [`Node::parse`], without a copy where nothing is to be decoded. In a frame of the pool if one is given.
    pub(crate) fn from_stored(stored: Vec<u8>, pool: Option<&Arc<Pool<Layout>>>) -> Result<Self, String> {
        let compressed = Header::parse(&stored)?.flags & COMPRESSION_MASK != 0;
        if compressed { Self::from_raw(&decode(&stored)?, pool) } else { Self::from_raw(&stored, pool) }
    }

    fn from_raw(raw: &[u8], pool: Option<&Arc<Pool<Layout>>>) -> Result<Self, String> {
        let layout = Layout::verify(raw)?;
        let block = match pool {
            Some(pool) => Block::pooled(pool, layout, raw, layout.children()),
            None => Block::loose(layout, raw),
        };
        Ok(Self { block })
    }

    #[cfg(test)]
    /// Bytes of the decoded node.
    pub(crate) fn raw_len(&self) -> usize {
        self.block.bytes().len()
    }

    /// Entries from `index` on, or back from it, will be read soon.
    #[inline]
    pub(crate) fn expect_entries(&self, index: usize, forward: bool) {
        let at = self.view().data_at(index);
        self.block.expect(if forward { at } else { at.saturating_sub(Block::<Layout>::EXPECTED_BYTES / 2) });
    }

    #[inline]
    pub(crate) fn block(&self) -> &Block<Layout> {
        &self.block
    }

    /// The block of a node.
    pub(crate) fn into_block(self) -> Block<Layout> {
        self.block
    }

    /// The node of a block that was made as one.
    #[inline]
    pub(crate) fn of_block(block: Block<Layout>) -> Self {
        Self { block }
    }

    #[inline]
    pub(crate) fn view(&self) -> NodeView<'_> {
        NodeView::of_block(&self.block)
    }

    /// Whether it is a leaf, or refers to its children by this checksum.
    pub(crate) fn is_proven_by(&self, checksum: Checksum) -> bool {
        let layout = self.block.head();
        layout.level == 0 || layout.digest_width() == checksum.width()
    }

    /// Which tree its header says it is part of.
    pub(crate) fn tree(&self) -> TreeKind {
        self.block.head().tree
    }

    /// 0 for a leaf.
    #[inline]
    pub(crate) fn level(&self) -> u8 {
        self.block.head().level
    }

    /// Entries of a leaf, children of an inner node.
    #[inline]
    pub(crate) fn len(&self) -> usize {
        let layout = self.block.head();
        if layout.level == 0 { layout.keys as usize } else { layout.children() }
    }
}

/// The decoded bytes (header, then body) of a stored node, not yet verified.
pub(crate) fn decode(stored: &[u8]) -> Result<Vec<u8>, String> {
    let header = Header::parse(stored)?;
    let (head, body) = stored.split_at_checked(HEADER_LEN).ok_or("it is shorter than a header")?;
    if body.len() != header.stored_len as usize {
        return Err("its stored length is not what its header says".into());
    }
    let mut raw = Vec::with_capacity(HEADER_LEN + header.body_len as usize);
    raw.extend_from_slice(head);
    if header.flags & COMPRESSION_MASK == 0 {
        raw.extend_from_slice(body);
    } else {
        let method = header.flags & COMPRESSION_MASK;
        let body = compress::decompress(method, body, header.body_len as usize).ok_or("it does not decompress")?;
        raw.extend_from_slice(&body);
    }
    Ok(raw)
}

/// Reads a node wherever its decoded bytes live. Every accessor is total: on bytes that were not verified it gives
/// nonsense or `None`, never a panic.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NodeView<'a> {
    raw: &'a [u8],
    layout: &'a Layout,
}

impl<'a> NodeView<'a> {
    /// `layout` was made from these bytes by [`Layout::verify`].
    #[inline]
    pub(crate) fn new(raw: &'a [u8], layout: &'a Layout) -> Self {
        Self { raw, layout }
    }

    /// Of a block that was made as a node.
    #[inline]
    pub(crate) fn of_block(block: &'a Block<Layout>) -> Self {
        Self { raw: block.bytes(), layout: block.head() }
    }

    #[inline]
    pub(crate) fn level(&self) -> u8 {
        self.layout.level
    }

    /// Stored keys: entries of a leaf, separators of an inner node.
    #[inline]
    pub(crate) fn keys(&self) -> usize {
        self.layout.keys as usize
    }

    #[inline]
    pub(crate) fn children(&self) -> usize {
        self.layout.children()
    }

    /// What all keys begin with.
    #[inline]
    pub(crate) fn prefix(&self) -> &'a [u8] {
        part(self.raw, HEADER_LEN, self.layout.prefix_len as usize)
    }

    /// Where `key` is among the keys, or where it would be inserted.
    #[inline]
    pub(crate) fn search(&self, key: &[u8]) -> Result<usize, usize> {
        let prefix = self.prefix();
        let Some(suffix) = key.strip_prefix(prefix) else {
            return Err(if key < prefix { 0 } else { self.keys() });
        };
        let (head, rest) = split_head(suffix);
        let heads = self.heads();
        let low = first_not_below(heads, head);
        if head_at(heads, low) != Some(head) {
            return Err(low);
        }
        let mut high = low + 1;
        if head_at(heads, high) == Some(head) {
            high += heads.get(high..).map_or(0, |tail| tail.partition_point(|h| u32::from_le_bytes(*h) == head));
        }
        self.search_ties(low, high, suffix.len().min(4), rest)
    }

    /// Among keys `low..high`, which have the head searched for.
    fn search_ties(&self, mut low: usize, mut high: usize, head_len: usize, rest: &[u8]) -> Result<usize, usize> {
        while low < high {
            let middle = low + (high - low) / 2;
            match self.compare_tie(middle, head_len, rest) {
                Ordering::Less => low = middle + 1,
                Ordering::Equal => return Ok(middle),
                Ordering::Greater => high = middle,
            }
        }
        Err(low)
    }

    /// Key `index` against a key that has the same prefix and head.
    fn compare_tie(&self, index: usize, head_len: usize, rest: &[u8]) -> Ordering {
        self.suffix_len(index).min(4).cmp(&head_len).then_with(|| self.rest(index).cmp(rest))
    }

    /// Whether key `index` is there and is `key`.
    #[inline(always)]
    pub(crate) fn is_key(&self, index: usize, key: &[u8]) -> bool {
        let Some((prefix, suffix)) = key.split_at_checked(self.layout.prefix_len as usize) else { return false };
        let (head, rest) = split_head(suffix);
        index < self.keys()
            && self.suffix_len(index) == suffix.len()
            && self.head(index) == head
            && same(self.rest(index), rest)
            && same(self.prefix(), prefix)
    }

    /// Where the data of entry `index` begins, from the node's first byte.
    #[inline]
    pub(crate) fn data_at(&self, index: usize) -> usize {
        self.layout.data as usize + self.data_range(index).0
    }

    /// Key `index` against `key`.
    pub(crate) fn compare(&self, index: usize, key: &[u8]) -> Ordering {
        let prefix = self.prefix();
        let Some(suffix) = key.strip_prefix(prefix) else {
            return prefix.cmp(key);
        };
        let (head, rest) = split_head(suffix);
        self.head(index).cmp(&head).then_with(|| self.compare_tie(index, suffix.len().min(4), rest))
    }

    /// Replaces `out` by key `index`.
    #[inline]
    pub(crate) fn key_into(&self, index: usize, out: &mut Vec<u8>) {
        out.clear();
        self.append_key(index, out);
    }

    /// Appends key `index` to `out`.
    #[inline]
    pub(crate) fn append_key(&self, index: usize, out: &mut Vec<u8>) {
        out.extend_from_slice(self.prefix());
        self.append_suffix(index, out);
    }

    #[inline]
    fn append_suffix(&self, index: usize, out: &mut Vec<u8>) {
        let head = self.head(index).to_be_bytes();
        match self.suffix_len(index) {
            len @ 0..4 => out.extend_from_slice(head.get(..len).unwrap_or(&[])),
            _ => {
                out.extend_from_slice(&head);
                out.extend_from_slice(self.rest(index));
            }
        }
    }

    /// Makes another key of this node, in `key`, into key `index`. Cheaper than making it anew.
    #[inline]
    pub(crate) fn replace_suffix(&self, index: usize, key: &mut Vec<u8>) {
        let prefix_len = self.layout.prefix_len as usize;
        let suffix_len = self.suffix_len(index);
        if key.len() != prefix_len + suffix_len {
            key.resize(prefix_len + suffix_len, 0);
        }
        let head = self.head(index).to_be_bytes();
        let Some(suffix) = key.get_mut(prefix_len..) else { return };
        let Some((key_head, key_rest)) = suffix.split_first_chunk_mut::<4>() else {
            suffix.iter_mut().zip(head).for_each(|(to, from)| *to = from);
            return;
        };
        *key_head = head;
        if let Some(rest) = self.data(index).get(..key_rest.len()) {
            key_rest.copy_from_slice(rest);
        }
    }

    /// The child that holds `key`, if any does.
    #[inline]
    pub(crate) fn child_index(&self, key: &[u8]) -> usize {
        match self.search(key) {
            Ok(index) => index + 1,
            Err(index) => index,
        }
    }

    #[inline]
    pub(crate) fn child(&self, index: usize) -> Option<NodeRef> {
        let children = self.children();
        if index >= children {
            return None;
        }
        let at = self.layout.refs as usize;
        Some(NodeRef {
            offset: u64_at(self.raw, at + 8 * index)?,
            len: u32_at(self.raw, at + 8 * children + 4 * index)?,
            checksum: self.child_checksum(index),
        })
    }

    fn child_checksum(&self, index: usize) -> Digest {
        let width = self.layout.digest_width();
        let at = self.layout.refs as usize + 12 * self.children() + width * index;
        Digest::from_bytes(part(self.raw, at, width)).unwrap_or(Digest::Crc32(0))
    }

    /// Entries in all leaves below child `index`; 0 if there is none.
    #[inline]
    pub(crate) fn child_entries(&self, index: usize) -> u64 {
        let children = self.children();
        if index >= children {
            return 0;
        }
        let counts = self.layout.refs as usize + (12 + self.layout.digest_width()) * children;
        u64_at(self.raw, counts + 8 * index).unwrap_or(0)
    }

    /// What entry `index` of a leaf maps to; `None` past the last.
    #[inline(always)]
    pub(crate) fn slot(&self, index: usize) -> Option<Slot<'a>> {
        if index >= self.keys() {
            return None;
        }
        let value = self.data(index).get(self.rest_len(index)..)?;
        match self.kind(index) {
            KIND_INLINE => Some(Slot::Inline(value)),
            KIND_TOMBSTONE => Some(Slot::Tombstone),
            KIND_EXTENT => ValueRef::decode(value).map(Slot::Extent),
            _ => None,
        }
    }

    /// Where the head of key `index` is in most nodes, from the node's first byte.
    #[inline]
    pub(crate) fn likely_head_at(index: usize) -> usize {
        HEADER_LEN + 4 + 4 * index
    }

    /// Whether all values of a leaf are inline.
    #[inline]
    pub(crate) fn is_inline(&self) -> bool {
        !self.layout.has(HAS_KINDS)
    }

    /// The value of entry `index`, if its key is `key` and the value inline: from its first byte to the node's end, and its
    /// length. Says nothing of keys that are hardly longer than the prefix.
    #[inline(always)]
    pub(crate) fn inline_value(&self, index: usize, key: &[u8]) -> Option<(&'a [u8], usize)> {
        let (raw, layout) = (self.raw, self.layout);
        let prefix_len = layout.prefix_len as usize;
        let is_plain = layout.flags & (HAS_KINDS | HAS_LENS | HAS_SLOTS) == 0;
        let (start, end, suffix_len) = if is_plain {
            let stride = layout.stride as usize;
            (stride * index, stride * (index + 1), layout.key_len as usize)
        } else {
            if self.kind(index) != KIND_INLINE {
                return None;
            }
            let (start, end) = self.data_range(index);
            (start, end, self.suffix_len(index))
        };
        if index >= self.keys() || key.len() != prefix_len + suffix_len {
            return None;
        }
        let (prefix, suffix) = key.split_at_checked(prefix_len)?;
        let (head, rest) = suffix.split_first_chunk::<4>()?;
        let (stored_rest, window) = raw.get(layout.data as usize + start..)?.split_at_checked(rest.len())?;
        let is_key = u32_at(raw, layout.heads() + 4 * index)? == u32::from_be_bytes(*head)
            && same(stored_rest, rest)
            && same(raw.get(HEADER_LEN..)?.get(..prefix_len)?, prefix);
        let len = end.checked_sub(start)?.checked_sub(rest.len())?;
        is_key.then_some((window, len))
    }

    #[inline]
    fn heads(&self) -> &'a [[u8; 4]] {
        part(self.raw, self.layout.heads(), 4 * self.keys()).as_chunks().0
    }

    #[inline]
    pub(super) fn head(&self, index: usize) -> u32 {
        u32_at(self.raw, self.layout.heads() + 4 * index).unwrap_or(0)
    }

    #[inline]
    pub(super) fn kind(&self, index: usize) -> u8 {
        if !self.layout.has(HAS_KINDS) {
            return KIND_INLINE;
        }
        self.raw.get(self.layout.kinds as usize + index).copied().unwrap_or(KIND_INLINE)
    }

    /// Bytes of key `index` after the prefix.
    #[inline]
    pub(super) fn suffix_len(&self, index: usize) -> usize {
        if !self.layout.has(HAS_LENS) {
            return self.layout.key_len as usize;
        }
        let at = self.layout.lens as usize;
        if self.layout.has(BYTE_LENS) {
            self.raw.get(at + index).map_or(0, |len| usize::from(*len))
        } else {
            self.sized_at(at, index)
        }
    }

    /// Bytes of key `index` after prefix and head.
    #[inline]
    fn rest_len(&self, index: usize) -> usize {
        self.suffix_len(index).saturating_sub(4)
    }

    /// What key `index` has after prefix and head.
    #[inline]
    pub(super) fn rest(&self, index: usize) -> &'a [u8] {
        self.data(index).get(..self.rest_len(index)).unwrap_or(&[])
    }

    /// Where the data of entry `index` ends, from the first byte of data. Only where there are slots.
    #[inline]
    pub(super) fn slot_end(&self, index: usize) -> usize {
        self.sized_at(self.layout.slots as usize, index)
    }

    /// Bytes of data of entry `index`.
    pub(super) fn entry_len(&self, index: usize) -> usize {
        let (start, end) = self.data_range(index);
        end.saturating_sub(start)
    }

    #[inline(always)]
    fn data(&self, index: usize) -> &'a [u8] {
        let (start, end) = self.data_range(index);
        let at = self.layout.data as usize;
        self.raw.get(at + start..at + end).unwrap_or(&[])
    }

    #[inline(always)]
    fn data_range(&self, index: usize) -> (usize, usize) {
        if self.layout.has(HAS_SLOTS) {
            (if index == 0 { 0 } else { self.slot_end(index - 1) }, self.slot_end(index))
        } else {
            let stride = self.layout.stride as usize;
            (stride * index, stride * (index + 1))
        }
    }

    /// Number `index` of an array of 2-byte numbers, or 4-byte ones in a wide node.
    #[inline]
    fn sized_at(&self, at: usize, index: usize) -> usize {
        if self.layout.has(WIDE) {
            u32_at(self.raw, at + 4 * index).unwrap_or(0) as usize
        } else {
            part(self.raw, at + 2 * index, 2).first_chunk().map_or(0, |b| usize::from(u16::from_le_bytes(*b)))
        }
    }
}

/// The first four bytes as a number that orders as they do, zeros where there are fewer, and what follows them.
#[inline]
pub(super) fn split_head(suffix: &[u8]) -> (u32, &[u8]) {
    match suffix.split_first_chunk::<4>() {
        Some((head, rest)) => (u32::from_be_bytes(*head), rest),
        None => (suffix.iter().zip([24, 16, 8]).fold(0, |head, (byte, shift)| head | u32::from(*byte) << shift), &[]),
    }
}

/// Heads are compared one by one from this many on. That takes vector instructions, few branches, and cache misses that
/// do not wait for each other: measured twice as fast as halving to the end.
const COMPARE_ALL: usize = 64;

/// How many heads are below `head`; they are ascending.
#[inline]
fn first_not_below(heads: &[[u8; 4]], head: u32) -> usize {
    let below = |bytes: &[u8; 4]| u32::from_le_bytes(*bytes) < head;
    let mut base = 0;
    let mut size = heads.len();
    while size > COMPARE_ALL {
        let half = size / 2;
        let middle = heads.get(base + half - 1).map_or(u32::MAX, |bytes| u32::from_le_bytes(*bytes));
        base = select_unpredictable(middle < head, base + half, base);
        size -= half;
    }
    let left = heads.get(base..base + size).unwrap_or(&[]);
    base + left.iter().fold(0u32, |count, bytes| count.wrapping_add(u32::from(below(bytes)))) as usize
}

/// Whether two byte strings are equal: without a call, because keys are short. Words are compared that overlap.
#[inline(always)]
fn same(a: &[u8], b: &[u8]) -> bool {
    if a.len() != b.len() {
        return false;
    }
    if let (Some(first_a), Some(first_b)) = (a.first_chunk::<8>(), b.first_chunk::<8>())
        && let (Some(last_a), Some(last_b)) = (a.last_chunk::<8>(), b.last_chunk::<8>())
    {
        let word = |bytes: &[u8; 8]| u64::from_le_bytes(*bytes);
        let differ = word(first_a) ^ word(first_b) | word(last_a) ^ word(last_b);
        return differ == 0 && (a.len() <= 16 || a.as_chunks::<8>().0.iter().eq(b.as_chunks::<8>().0));
    }
    if let (Some(first_a), Some(first_b)) = (a.first_chunk::<4>(), b.first_chunk::<4>())
        && let (Some(last_a), Some(last_b)) = (a.last_chunk::<4>(), b.last_chunk::<4>())
    {
        return first_a == first_b && last_a == last_b;
    }
    match (a, b) {
        ([a, middle_a @ .., last_a], [b, middle_b @ .., last_b]) => {
            a == b && last_a == last_b && middle_a.first() == middle_b.first()
        }
        ([a], [b]) => a == b,
        _ => true,
    }
}

#[inline]
fn head_at(heads: &[[u8; 4]], index: usize) -> Option<u32> {
    heads.get(index).map(|bytes| u32::from_le_bytes(*bytes))
}

#[inline]
fn part(bytes: &[u8], at: usize, len: usize) -> &[u8] {
    bytes.get(at..).and_then(|tail| tail.get(..len)).unwrap_or(&[])
}

#[inline]
fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().map(|b| u32::from_le_bytes(*b))
}

#[inline]
fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    bytes.get(at..)?.first_chunk().map(|b| u64::from_le_bytes(*b))
}
