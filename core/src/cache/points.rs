//! Where keys of the base were found: straight to the leaf and the entry, past the inner nodes.
//!
//! **When an entry is right:** it was made by a reader of the base that its number names, and is used only by readers of
//! the same base. While a version with that base is held the leaf stays at its offset, as does the key in the leaf. A base
//! gets its number when it is published and no other base ever has it, so entries of replaced bases are never used again,
//! and no entry of a newer base serves an older snapshot. Hashes may be equal for different keys: whoever follows an entry
//! compares the key in the leaf.

use alloc::boxed::Box;
use core::sync::atomic::{AtomicU32, Ordering, fence};

/// The grain of node offsets.
const GRAIN_SHIFT: u32 = 6;
/// No base has this number.
const NO_BASE: u32 = u32::MAX;

/// A table of fixed size in which a newer key replaces an older one with the same place.
#[derive(Debug)]
pub(crate) struct Points {
    slots: Box<[Slot]>,
}

/// Written by one thread at a time and read by any: `turn` is odd while the rest is being written, and differs after it.
#[derive(Debug)]
#[repr(align(16))]
struct Slot {
    turn: AtomicU32,
    base: AtomicU32,
    /// The leaf's offset in grains.
    leaf: AtomicU32,
    /// Sixteen more bits of the key's hash, and the entry in the leaf.
    tag_and_entry: AtomicU32,
}

/// A base and a key in it, as the table knows them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Point {
    base: u32,
    hash: u64,
}

impl Point {
    /// `None` when the base's number is too large for the table.
    #[inline]
    pub(crate) fn new(base: u64, key: &[u8]) -> Option<Self> {
        let base = u32::try_from(base).ok().filter(|base| *base != NO_BASE)?;
        Some(Self { base, hash: hash(key) })
    }

    fn tag(self) -> u32 {
        self.hash as u32 & 0xffff
    }
}

impl Points {
    /// A table within `bytes`.
    pub(crate) fn new(bytes: usize) -> Self {
        let slots = (bytes / size_of::<Slot>()).max(2);
        let slots = slots.next_power_of_two() >> u32::from(!slots.is_power_of_two());
        Self { slots: (0..slots).map(|_| Slot::empty()).collect() }
    }

    pub(crate) fn bytes(&self) -> usize {
        self.slots.len() * size_of::<Slot>()
    }

    /// Offset of the leaf and the entry where a reader of the same base found a key of the same hash.
    #[inline]
    pub(crate) fn get(&self, point: Point) -> Option<(u64, usize)> {
        let slot = self.slot(point)?;
        let turn = slot.turn.load(Ordering::Acquire);
        let base = slot.base.load(Ordering::Relaxed);
        let leaf = slot.leaf.load(Ordering::Relaxed);
        let tag_and_entry = slot.tag_and_entry.load(Ordering::Relaxed);
        fence(Ordering::Acquire);
        let whole = turn & 1 == 0 && slot.turn.load(Ordering::Relaxed) == turn;
        let right = base == point.base && tag_and_entry >> 16 == point.tag();
        (whole && right).then(|| (u64::from(leaf) << GRAIN_SHIFT, (tag_and_entry & 0xffff) as usize))
    }

    /// Remembers where a key of the base was found. May forget another.
    pub(crate) fn insert(&self, point: Point, leaf: u64, entry: usize) {
        let (Some(slot), Ok(leaf), Ok(entry)) =
            (self.slot(point), u32::try_from(leaf >> GRAIN_SHIFT), u16::try_from(entry))
        else {
            return;
        };
        let turn = slot.turn.load(Ordering::Relaxed);
        let claimed = turn.wrapping_add(1);
        let free = turn & 1 == 0;
        if !free || slot.turn.compare_exchange(turn, claimed, Ordering::Acquire, Ordering::Relaxed).is_err() {
            return;
        }
        fence(Ordering::Release);
        slot.base.store(point.base, Ordering::Relaxed);
        slot.leaf.store(leaf, Ordering::Relaxed);
        slot.tag_and_entry.store(point.tag() << 16 | u32::from(entry), Ordering::Relaxed);
        slot.turn.store(claimed.wrapping_add(1), Ordering::Release);
    }

    #[inline]
    fn slot(&self, point: Point) -> Option<&Slot> {
        self.slots.get((point.hash >> 20) as usize & (self.slots.len() - 1))
    }
}

impl Slot {
    fn empty() -> Self {
        Self {
            turn: AtomicU32::new(0),
            base: AtomicU32::new(NO_BASE),
            leaf: AtomicU32::new(0),
            tag_and_entry: AtomicU32::new(0),
        }
    }
}

/// Eight bytes at a time, each folded by a wide product.
#[inline]
fn hash(key: &[u8]) -> u64 {
    const K: u64 = 0x9E37_79B9_7F4A_7C15;
    let fold = |state: u64, word: u64| {
        let product = u128::from(state ^ word).wrapping_mul(u128::from(K));
        (product >> 64) as u64 ^ product as u64
    };
    let (words, rest) = key.as_chunks::<8>();
    let mut state = words.iter().fold(K ^ key.len() as u64, |state, word| fold(state, u64::from_le_bytes(*word)));
    if let Some(last) = key.last_chunk::<8>() {
        state = fold(state, u64::from_le_bytes(*last));
    } else {
        state = fold(state, rest.iter().fold(0, |word, byte| word << 8 | u64::from(*byte)));
    }
    fold(state, K)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_serves_the_base_it_was_made_for_and_no_other() {
        let points = Points::new(1 << 10);
        let of = |base| Point::new(base, b"key").unwrap();
        assert_eq!(points.get(of(0)), None, "nothing is there at first");
        points.insert(of(7), 640, 3);
        assert_eq!(points.get(of(7)), Some((640, 3)));
        assert_eq!(points.get(of(6)), None);
        assert_eq!(points.get(of(8)), None);
        assert!(Point::new(u64::from(NO_BASE), b"key").is_none());
        points.insert(of(8), 64 << 32, 0);
        assert_eq!(points.get(of(7)), Some((640, 3)), "an offset beyond the table's numbers is not kept");
        points.insert(of(8), 128, 1);
        assert_eq!((points.get(of(7)), points.get(of(8))), (None, Some((128, 1))));
    }

    #[test]
    fn it_stays_within_its_bytes() {
        for bytes in [100, 1000, 1024, 70_000] {
            assert!(Points::new(bytes).bytes() <= bytes);
        }
    }
}
