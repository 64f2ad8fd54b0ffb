//! Where the parts of a node are, and the proof that they are there. See [`super::node`] for the format.

#![deny(clippy::indexing_slicing)]

use alloc::format;
use alloc::string::String;

use crate::codec::bytes::Reader;
use crate::codec::checksum::Digest;
use crate::codec::compress;
use crate::codec::slot::ValueRef;

use super::node::NodeView;
use super::seal::TreeKind;

/// Bytes before the body, never compressed.
pub(crate) const HEADER_LEN: usize = 32;
/// A node begins with so many bytes of its checksum.
pub(super) const CHECKSUM_LEN: usize = 4;
/// Where in the header its tree and level are.
pub(super) const KIND_AT: usize = CHECKSUM_LEN;
/// Where in the header its flags are.
pub(super) const FLAGS_AT: usize = 5;
/// Where in the header the stored length of the body is.
pub(super) const STORED_LEN_AT: usize = 12;
/// Where in the header its age is.
pub(super) const AGE_AT: usize = 28;
/// No node is larger, stored or decoded.
pub(crate) const NODE_LEN_MAX: usize = 4 << 20;
/// No key is longer. One that many share the beginning of takes space once, and time for each.
const KEY_LEN_MAX: usize = 80 << 10;
/// Leaves have level 0; the root of the tallest tree has this level.
pub(crate) const LEVEL_MAX: u8 = 15;

/// Which method compressed the body.
pub(super) const COMPRESSION_MASK: u8 = 0b11;
pub(super) const HAS_KINDS: u8 = 1 << 2;
pub(super) const HAS_LENS: u8 = 1 << 3;
pub(super) const HAS_SLOTS: u8 = 1 << 4;
pub(super) const WIDE: u8 = 1 << 5;
pub(super) const BYTE_LENS: u8 = 1 << 6;
/// The references to children hold hashes of 16 bytes.
pub(super) const HASHED: u8 = 1 << 7;
pub(super) const KIND_INLINE: u8 = 0;
pub(super) const KIND_EXTENT: u8 = 1;
pub(super) const KIND_TOMBSTONE: u8 = 2;

/// Bytes a child takes in an inner node beside its separator: offset, length, checksum, entry count.
pub(super) const fn child_len(checksum_len: usize) -> usize {
    8 + 4 + checksum_len + 8
}

/// The fixed first bytes of a stored node.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Header {
    pub tree: TreeKind,
    pub level: u8,
    pub flags: u8,
    /// Entries of a leaf, children of an inner node; at least one.
    pub count: u16,
    /// Bytes of the body once decoded.
    pub body_len: u32,
    /// Bytes of the body as stored.
    pub stored_len: u32,
    pub prefix_len: u32,
    /// Length of each key after the prefix, if all are alike; else 0.
    pub key_len: u32,
    /// Length of each value, if there are no slots; else 0. Always 0 in an inner node.
    pub value_len: u32,
    /// Low bits of a number that is higher in newer nodes of the same kind of tree.
    pub age: u32,
}

impl Header {
    /// Reads the header of a stored or decoded node and checks what can be checked without the body.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, String> {
        let kind = bytes.get(..HEADER_LEN).and_then(|bytes| bytes.get(KIND_AT)).ok_or("it is shorter than a header")?;
        let (tree, level) = TreeKind::split(*kind).ok_or("it does not begin like a node")?;
        let header = Self::read(bytes, tree, level).ok_or("it is shorter than a header")?;
        if flags_are_unknown(header.flags) {
            return Err(format!("its flags {:#x} are unknown to this version", header.flags));
        }
        if header.body_len as usize > NODE_LEN_MAX || header.stored_len as usize > NODE_LEN_MAX {
            return Err("it claims to be larger than any node".into());
        }
        if header.count == 0 {
            return Err("it is empty".into());
        }
        Ok(header)
    }

    fn read(bytes: &[u8], tree: TreeKind, level: u8) -> Option<Self> {
        let mut reader = Reader::new(bytes.get(FLAGS_AT..)?);
        Some(Self {
            tree,
            level,
            flags: reader.u8()?,
            count: reader.u16()?,
            body_len: reader.u32()?,
            stored_len: reader.u32()?,
            prefix_len: reader.u32()?,
            key_len: reader.u32()?,
            value_len: reader.u32()?,
            age: reader.u32()?,
        })
    }
}

/// Byte offsets of a decoded node's parts, from its first byte. Small and `Copy`, so that a cache can keep it beside
/// bytes that live elsewhere.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Layout {
    pub(super) tree: TreeKind,
    pub(super) level: u8,
    pub(super) flags: u8,
    /// Entries of a leaf, separators of an inner node.
    pub(super) keys: u32,
    pub(super) prefix_len: u32,
    pub(super) key_len: u32,
    /// Data bytes of an entry where there are no slots.
    pub(super) stride: u32,
    pub(super) kinds: u32,
    pub(super) lens: u32,
    pub(super) slots: u32,
    pub(super) refs: u32,
    pub(super) data: u32,
}

impl Layout {
    /// Proves that `raw` (header and decoded body) is a node: every part inside it, every entry inside its part, keys
    /// strictly ascending.
    pub(crate) fn verify(raw: &[u8]) -> Result<Self, String> {
        let header = Header::parse(raw)?;
        let layout = Self::place(&header).ok_or("its parts do not fit its length")?;
        let end = HEADER_LEN + header.body_len as usize;
        if end != raw.len() {
            return Err(format!("it is {} bytes long, its header says {end}", raw.len()));
        }
        let view = NodeView::new(raw, &layout);
        layout.verify_slots(&view, end)?;
        verify_entries(&view)?;
        Ok(layout)
    }

    /// Lays the parts out one after the other; `None` when they do not fit the body.
    fn place(header: &Header) -> Option<Self> {
        let flags = header.flags;
        let leaf = header.level == 0;
        let keys = u32::from(header.count) - u32::from(!leaf);
        let children = if leaf { 0 } else { u32::from(header.count) };
        let has = |flag: u8| flags & flag != 0;
        let wide = if has(WIDE) { 4 } else { 2 };
        let kinds_len = if has(HAS_KINDS) { keys } else { 0 };
        let len_width = if !has(HAS_LENS) {
            0
        } else if has(BYTE_LENS) {
            1
        } else {
            wide
        };
        let slot_width = if has(HAS_SLOTS) { wide } else { 0 };

        let end = (HEADER_LEN as u32).checked_add(header.body_len)?;
        let heads = (HEADER_LEN as u32).checked_add(header.prefix_len)?;
        let refs = heads.checked_add(keys.checked_mul(4)?)?;
        let kinds = refs.checked_add(children.checked_mul(child_len(digest_width(flags)) as u32)?)?;
        let lens = kinds.checked_add(kinds_len)?;
        let slots = lens.checked_add(keys.checked_mul(len_width)?)?;
        let data = slots.checked_add(keys.checked_mul(slot_width)?)?;
        let data_len = end.checked_sub(data)?;

        // Without slots every entry takes the same bytes: without lengths that is the tail of the key and the value,
        // with lengths of at most four bytes it is nothing at all.
        let stride = if has(HAS_LENS) { 0 } else { header.key_len.saturating_sub(4).checked_add(header.value_len)? };
        let fits = has(HAS_SLOTS) || keys.checked_mul(stride)? == data_len;
        let unused_are_zero = (leaf || (header.value_len == 0 && !has(HAS_KINDS)))
            && (!has(HAS_LENS) || header.key_len == 0)
            && (!has(HAS_SLOTS) || header.value_len == 0)
            && (has(HAS_LENS) || !has(BYTE_LENS))
            && !(leaf && has(HASHED));
        (fits && unused_are_zero).then_some(Self {
            tree: header.tree,
            level: header.level,
            flags,
            keys,
            prefix_len: header.prefix_len,
            key_len: header.key_len,
            stride,
            kinds,
            lens,
            slots,
            refs,
            data,
        })
    }

    fn verify_slots(&self, view: &NodeView<'_>, end_of_data: usize) -> Result<(), String> {
        if self.flags & HAS_SLOTS == 0 {
            return Ok(());
        }
        let mut last = 0;
        for index in 0..self.keys as usize {
            let end = view.slot_end(index);
            if end < last {
                return Err(format!("entry {index} ends before it begins"));
            }
            last = end;
        }
        if last != end_of_data - self.data as usize {
            return Err("its last entry does not end at its end".into());
        }
        Ok(())
    }

    /// Where the heads are.
    #[inline]
    pub(super) fn heads(&self) -> usize {
        HEADER_LEN + self.prefix_len as usize
    }

    /// Children of an inner node; a leaf has none.
    #[inline]
    pub(super) fn children(&self) -> usize {
        if self.level == 0 { 0 } else { self.keys as usize + 1 }
    }

    #[inline]
    pub(super) fn has(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }

    /// Bytes of the checksum of a child.
    #[inline]
    pub(super) fn digest_width(&self) -> usize {
        digest_width(self.flags)
    }
}

fn flags_are_unknown(flags: u8) -> bool {
    (cfg!(not(any(feature = "blake3", feature = "encryption"))) && flags & HASHED != 0)
        || !compress::is_known(flags & COMPRESSION_MASK)
}

#[inline]
fn digest_width(flags: u8) -> usize {
    if flags & HASHED != 0 { Digest::WIDTH_MAX } else { 4 }
}

/// Whether what has the length of a reference to a value is one: those of sealed values end with a mark.
#[cfg(feature = "encryption")]
fn is_reference(view: &NodeView<'_>, index: usize) -> bool {
    view.slot(index).is_some()
}

/// Of these the length says it.
#[cfg(not(feature = "encryption"))]
fn is_reference(_: &NodeView<'_>, _: usize) -> bool {
    true
}

/// Entries inside their bytes, kinds known, keys strictly ascending.
fn verify_entries(view: &NodeView<'_>) -> Result<(), String> {
    let mut previous = None;
    for index in 0..view.keys() {
        let entry = view.entry_len(index);
        let suffix_len = view.suffix_len(index);
        let rest_len = suffix_len.saturating_sub(4);
        if view.prefix().len() + suffix_len > KEY_LEN_MAX {
            return Err(format!("the key of entry {index} has {} bytes", view.prefix().len() + suffix_len));
        }
        let Some(value_len) = entry.checked_sub(rest_len) else {
            return Err(format!("the key of entry {index} is longer than the entry"));
        };
        let fits = match view.kind(index) {
            KIND_INLINE => view.level() == 0 || value_len == 0,
            KIND_EXTENT => ValueRef::is_encoded_len(value_len) && is_reference(view, index),
            KIND_TOMBSTONE => value_len == 0,
            other => return Err(format!("entry {index} is of unknown kind {other}")),
        };
        if !fits {
            return Err(format!("the value of entry {index} has {value_len} bytes, which its kind never has"));
        }
        let head = view.head(index);
        if suffix_len < 4 && u64::from(head) << (8 * suffix_len) & u64::from(u32::MAX) != 0 {
            return Err(format!("the short key of entry {index} is not padded with zeros"));
        }
        let key = (head, suffix_len.min(4), view.rest(index));
        if previous.is_some_and(|previous| previous >= key) {
            return Err(format!("the key of entry {index} is not above the one before"));
        }
        previous = Some(key);
    }
    Ok(())
}
