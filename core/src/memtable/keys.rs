//! The sorted keys of one node, made for a fast search.

use super::arena::{Arena, CAPACITY, Entry, Records};
use alloc::sync::Arc;
use core::cmp::Ordering;
use core::hint::select_unpredictable;
use core::ops::Range;

/// Bytes of the common prefix that are kept in the node itself; the rest of a longer one is read from the first key.
const PREFIX_INLINE_BYTES: usize = 20;

/// What the heads beyond the last entry are: nothing is above it, so a search needs no length.
const HEAD_VACANT: u64 = u64::MAX;

/// Entries in the order of their keys, at most [`CAPACITY`].
///
/// Beside each entry stands its *head*: the eight bytes of the key after the `skip` bytes that all keys of the node share.
/// A search runs over the heads, which lie together, and reads keys only where heads are equal. `skip` grows when an
/// insert meets equal heads and shrinks when an insert does not share the prefix; both recompute the heads.
#[derive(Clone, Debug)]
#[repr(C)]
pub(super) struct Keys {
    skip: u32,
    prefix: [u8; PREFIX_INLINE_BYTES],
    heads: [u64; CAPACITY],
    records: Records,
}

impl Keys {
    pub(super) fn new(arena: Arc<Arena>) -> Self {
        Self::over(Records::new(arena))
    }

    /// No keys yet, in the arena of `self`.
    pub(super) fn sibling(&self) -> Self {
        Self::over(self.records.sibling())
    }

    fn over(records: Records) -> Self {
        Self { skip: 0, prefix: [0; PREFIX_INLINE_BYTES], heads: [HEAD_VACANT; CAPACITY], records }
    }

    #[inline]
    pub(super) fn len(&self) -> usize {
        self.records.len()
    }

    pub(super) fn is_full(&self) -> bool {
        self.len() == CAPACITY
    }

    #[inline]
    pub(super) fn key(&self, at: usize) -> &[u8] {
        self.records.key(at)
    }

    #[inline]
    pub(super) fn entry(&self, at: usize) -> Entry<'_> {
        self.records.entry(at)
    }

    /// Where `key` is (`Ok`), or where it would be inserted.
    #[inline]
    pub(super) fn search(&self, key: &[u8]) -> Result<usize, usize> {
        let skip = self.skip();
        if skip > 0 {
            // A key shorter than the prefix is never equal to it.
            let prefix = self.prefix();
            match key.get(..skip).unwrap_or(key).cmp(prefix) {
                Ordering::Equal => {}
                Ordering::Less => return Err(0),
                Ordering::Greater => return Err(self.len()),
            }
        }
        let head = head(key, skip);
        let low = lower_bound(&self.heads, head);
        if self.heads.get(low) != Some(&head) { Err(low) } else { self.search_ties(low, head, key) }
    }

    /// Where the first key that is not below `key` is.
    #[inline]
    pub(super) fn lower_bound(&self, key: &[u8]) -> usize {
        let (Ok(at) | Err(at)) = self.search(key);
        at
    }

    /// Stores a copy of `entry` at `at`, where a search said that its key belongs. The node must not be full.
    pub(super) fn insert(&mut self, at: usize, entry: &Entry<'_>) {
        let tied = self.insert_head(at, entry.key);
        self.records.insert(at, entry);
        if tied {
            self.lengthen_prefix();
        }
    }

    /// As [`insert`](Self::insert), with an entry that `other`, of the same arena, already stores.
    pub(super) fn insert_shared(&mut self, at: usize, other: &Self, from: usize) {
        let tied = self.insert_head(at, other.key(from));
        self.records.insert_shared(at, &other.records, from);
        if tied {
            self.lengthen_prefix();
        }
    }

    /// Stores a copy of `entry` in place of the one at `at`, which has the same key.
    pub(super) fn replace(&mut self, at: usize, entry: &Entry<'_>) {
        self.records.replace(at, entry);
    }

    /// Moves the entries from `at` on into a new node.
    pub(super) fn split_off(&mut self, at: usize) -> Self {
        let len = self.len();
        let mut right = Self::over(self.records.split_off(at));
        if at < len {
            (right.skip, right.prefix) = (self.skip, self.prefix);
            right.heads[..len - at].copy_from_slice(&self.heads[at..len]);
            self.heads[at..len].fill(HEAD_VACANT);
        }
        self.forget_prefix_if_empty();
        right
    }

    /// Takes out the entries of `range`.
    pub(super) fn remove(&mut self, range: Range<usize>) {
        let len = self.len();
        self.heads.copy_within(range.end..len, range.start);
        self.heads[len - range.len()..len].fill(HEAD_VACANT);
        self.records.remove(range);
        self.forget_prefix_if_empty();
    }

    #[inline]
    fn skip(&self) -> usize {
        self.skip as usize
    }

    #[inline]
    fn prefix(&self) -> &[u8] {
        let skip = self.skip();
        match self.prefix.get(..skip) {
            Some(prefix) => prefix,
            None => &self.key(0)[..skip],
        }
    }

    /// Binary search among the keys that have the head of the one at `low`.
    fn search_ties(&self, mut low: usize, head: u64, key: &[u8]) -> Result<usize, usize> {
        let mut high = match self.heads.get(low + 1) {
            // Nearly always: only one has it.
            Some(&next) if next != head => low + 1,
            _ if head == HEAD_VACANT => self.len(),
            _ => lower_bound(&self.heads, head + 1),
        };
        while low < high {
            let middle = low.midpoint(high);
            match self.key(middle).cmp(key) {
                Ordering::Less => low = middle + 1,
                Ordering::Greater => high = middle,
                Ordering::Equal => return Ok(middle),
            }
        }
        Err(low)
    }

    /// Makes room for `key` among the heads and fills it. Tells whether a neighbour has the same head.
    fn insert_head(&mut self, at: usize, key: &[u8]) -> bool {
        let len = self.len();
        if len > 0 && !key.starts_with(self.prefix()) {
            self.set_skip(common_prefix_len(key, self.prefix()));
        }
        let head = head(key, self.skip());
        self.heads[..=len].copy_within(at..len, at + 1);
        self.heads[at] = head;
        (at > 0 && self.heads[at - 1] == head) || (at < len && self.heads[at + 1] == head)
    }

    /// Cuts off all that the keys share, so that the heads tell apart as many of them as they can.
    fn lengthen_prefix(&mut self) {
        let common = common_prefix_len(self.key(0), self.key(self.len() - 1));
        if common > self.skip() {
            self.set_skip(common);
        }
    }

    /// Changes the length of the prefix to `skip`, which all keys must share, and recomputes the heads.
    fn set_skip(&mut self, skip: usize) {
        let first = self.records.key(0);
        let inline = skip.min(PREFIX_INLINE_BYTES);
        self.prefix[..inline].copy_from_slice(&first[..inline]);
        self.skip = skip as u32;
        for (at, slot) in self.heads[..self.records.len()].iter_mut().enumerate() {
            *slot = head(self.records.key(at), skip);
        }
    }

    fn forget_prefix_if_empty(&mut self) {
        if self.len() == 0 {
            self.skip = 0;
        }
    }

    /// Checks the order of the keys, that they share the prefix, and the heads.
    #[cfg(test)]
    pub(super) fn check(&self) {
        for at in 0..self.len() {
            assert!(at == 0 || self.key(at - 1) < self.key(at));
            assert_eq!(self.key(at)[..self.skip()], *self.prefix());
            assert_eq!(self.heads[at], head(self.key(at), self.skip()));
        }
        assert!(self.heads[self.len()..].iter().all(|head| *head == HEAD_VACANT));
    }
}

/// The first eight bytes of the key from `skip` on, zero padded, as a number of the same order. Equal heads do not mean
/// equal keys.
#[inline]
fn head(key: &[u8], skip: usize) -> u64 {
    let rest = &key[skip..];
    if let Some(bytes) = rest.first_chunk() {
        u64::from_be_bytes(*bytes)
    } else if let Some(bytes) = key.last_chunk() {
        // The last eight bytes, those before `skip` shifted out.
        u64::from_be_bytes(*bytes).checked_shl(64 - 8 * rest.len() as u32).unwrap_or(0)
    } else {
        rest.iter().zip([56, 48, 40, 32, 24, 16, 8]).fold(0, |head, (byte, shift)| head | u64::from(*byte) << shift)
    }
}

/// How many of the sorted heads are below `head`. No branch depends on the heads: six steps, then one for the last.
#[inline]
fn lower_bound(heads: &[u64; CAPACITY], head: u64) -> usize {
    let mut low = 0;
    let mut step = CAPACITY / 2;
    while step > 0 {
        // The mask is always all ones here; it tells the compiler that the index is in bounds.
        let below = heads[(low + step - 1) & (CAPACITY - 1)] < head;
        low = select_unpredictable(below, low + step, low);
        step /= 2;
    }
    low + usize::from(heads[low & (CAPACITY - 1)] < head)
}

fn common_prefix_len(left: &[u8], right: &[u8]) -> usize {
    left.iter().zip(right).take_while(|(left, right)| left == right).count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::slot::Slot;
    use alloc::vec::Vec;

    fn insert(keys: &mut Keys, key: &[u8]) {
        let at = keys.search(key).unwrap_err();
        keys.insert(at, &Entry { key, slot: Slot::Tombstone, sequence: 0 });
        keys.check();
    }

    /// Inserts the keys one by one, last first, and searches for each of them and for those next to them.
    fn check(sorted: &[&[u8]]) {
        let mut keys = Keys::new(Arc::new(Arena::new(None)));
        for key in sorted.iter().rev() {
            insert(&mut keys, key);
        }
        for (at, key) in sorted.iter().enumerate() {
            assert_eq!(keys.search(key), Ok(at), "{key:?}");
            for probe in [[key, &[0][..]].concat(), [key, &[0xff][..]].concat(), key[..key.len() / 2].to_vec()] {
                assert_eq!(keys.search(&probe), sorted.binary_search(&probe.as_slice()), "{probe:?}");
            }
        }
    }

    #[test]
    fn equal_heads_are_told_apart_by_the_keys() {
        check(&[b"", b"\0", b"\0\0", b"\0\0\0\0\0\0\0\0", b"\0\0\0\0\0\0\0\0\0"]);
        check(&[b"A12345678a", b"A12345678b", b"A12345678c", b"B12345678", b"B12345678\0", b"B123456780"]);
    }

    #[test]
    fn keys_with_the_highest_head_are_found_beside_vacant_places() {
        let high = [0xff; 10];
        check(&[b"", &high[..7], &high[..8], &high[..9], &high]);
    }

    #[test]
    fn prefixes_longer_than_what_is_kept_are_cut_off() {
        let long = [b'x'; 40];
        check(&[
            &long[..30],
            &long[..31],
            &[&long[..], b"a"].concat(),
            &[&long[..], b"a\0"].concat(),
            &[&long[..], b"b"].concat(),
        ]);
    }

    #[test]
    fn the_prefix_grows_on_equal_heads_and_shrinks_on_another_prefix() {
        let mut keys = Keys::new(Arc::new(Arena::new(None)));
        insert(&mut keys, b"customer/1");
        assert_eq!(keys.skip, 0);
        insert(&mut keys, b"customer/2");
        assert_eq!(keys.skip, 9);
        insert(&mut keys, b"customs");
        assert_eq!(keys.skip, 6);
        keys.remove(2..3);
        insert(&mut keys, b"customer/11");
        assert_eq!(keys.skip, 6);
        insert(&mut keys, b"customer/1\0");
        assert_eq!(keys.skip, 9);
        keys.remove(0..keys.len());
        insert(&mut keys, b"");
        assert_eq!(keys.skip, 0);
    }

    #[test]
    fn heads_are_searched_in_every_fill() {
        let mut heads = [HEAD_VACANT; CAPACITY];
        for len in 0..=CAPACITY {
            for head in 0..=2 * len as u64 + 1 {
                assert_eq!(lower_bound(&heads, head), heads[..len].iter().filter(|other| **other < head).count());
            }
            assert_eq!(lower_bound(&heads, HEAD_VACANT), len);
            if len < CAPACITY {
                heads[len] = 2 * len as u64 + 1;
            }
        }
    }

    #[test]
    fn a_head_is_the_key_after_the_prefix_zero_padded() {
        let key: Vec<u8> = (1..=12).collect();
        for len in 0..=key.len() {
            for skip in 0..=len {
                let mut expected = [0; 8];
                let rest = &key[skip..len.min(skip + 8)];
                expected[..rest.len()].copy_from_slice(rest);
                assert_eq!(head(&key[..len], skip), u64::from_be_bytes(expected));
            }
        }
    }
}
