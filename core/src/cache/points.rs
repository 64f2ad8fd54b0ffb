//! Where keys were found: by a key's hash, the frame of a leaf and the entry in it.
//!
//! **An entry is a hint and proves nothing.** Parts of it may come from different writers, the frame may hold another
//! node or none, the entry another key. Whoever follows it asks the frame whether it is resident and the leaf whether it
//! belongs to the tree that is read, and compares the whole key. What holds always: a frame's number that is here was
//! given by [`insert`](Points::insert), because it is read and written in one piece.
//!
//! The table begins small, so that few keys take few cache lines, and doubles as it fills until all its memory is in use.
//! Doubling moves nothing: half of the entries are then looked for elsewhere, and are found anew.

use core::ptr::NonNull;
use core::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

use super::frames::{FrameNumber, Words, prefetch};

/// Entries that a key may be at. With eight bytes each they fill half a cache line.
const WAYS: usize = Words::GROUP / 2;
const BUCKET_BYTES: usize = Words::GROUP * 4;
const BUCKETS_MIN: usize = 256;

const INDEX_BITS: u32 = 11;
const LINE_BITS: u32 = 9;
const TAG_SHIFT: u32 = INDEX_BITS + LINE_BITS;

#[derive(Debug)]
pub(super) struct Points {
    /// In each group the numbers of frames, 0 where there is none, then as many marks. A mark has, from the highest bit, more
    /// bits of the hash, the line of the leaf where the entry's data is, and the entry.
    buckets: Words,
    /// Buckets in use, less one; a power of two less one.
    mask: AtomicUsize,
    /// Entries made since the last doubling.
    made: AtomicUsize,
}

/// An entry as it was read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Point {
    pub frame: FrameNumber,
    /// Of 64 bytes, from the first byte of the frame.
    pub line: usize,
    pub index: usize,
}

impl Points {
    /// A table within `bytes`.
    pub(super) fn new(bytes: usize) -> Self {
        let buckets = (bytes / BUCKET_BYTES).max(1);
        let buckets = 1 << buckets.ilog2();
        Self {
            buckets: Words::zeroed(buckets),
            mask: AtomicUsize::new(buckets.min(BUCKETS_MIN) - 1),
            made: AtomicUsize::new(0),
        }
    }

    pub(super) fn bytes(&self) -> usize {
        self.buckets.groups() * BUCKET_BYTES
    }

    #[inline]
    fn bucket(&self, hash: u64) -> Option<(&[AtomicU32], &[AtomicU32])> {
        let group = self.buckets.group(hash as usize & self.mask.load(Ordering::Relaxed))?;
        Some(group.split_at(WAYS))
    }

    /// Says that a key of this hash will be looked for.
    #[inline]
    pub(super) fn prefetch(&self, hash: u64) {
        if let Some((frames, _)) = self.bucket(hash) {
            prefetch(NonNull::from(frames).cast(), 0);
        }
    }

    /// Where a key of this hash, or of a similar one, was found.
    #[inline]
    pub(super) fn get(&self, hash: u64) -> Option<Point> {
        let (frames, marks) = self.bucket(hash)?;
        let tag = tag(hash);
        // All are compared, and one is taken without a branch: which it is cannot be foreseen, and a wrong guess would keep
        // the processor from going on with what comes after while memory answers.
        let wanted = tag << TAG_SHIFT;
        let matches = marks.iter().rev().fold(0u32, |matches, mark| {
            matches << 1 | u32::from(mark.load(Ordering::Relaxed) ^ wanted < 1 << TAG_SHIFT)
        });
        let way = matches.trailing_zeros() as usize;
        if way >= WAYS {
            return None;
        }
        let mark = marks.get(way)?.load(Ordering::Relaxed);
        let frame = FrameNumber::from_u32(frames.get(way)?.load(Ordering::Acquire))?;
        let line = mark >> INDEX_BITS & ((1 << LINE_BITS) - 1);
        let index = mark & ((1 << INDEX_BITS) - 1);
        Some(Point { frame, line: line as usize, index: index as usize })
    }

    /// Remembers where a key of this hash was found. May forget another.
    pub(super) fn insert(&self, hash: u64, point: Point) {
        if point.index >= 1 << INDEX_BITS {
            return;
        }
        let Some((frames, marks)) = self.bucket(hash) else { return };
        let tag = tag(hash);
        let of_tag = marks.iter().position(|mark| mark.load(Ordering::Relaxed) >> TAG_SHIFT == tag);
        let empty = || frames.iter().position(|frame| frame.load(Ordering::Relaxed) == 0);
        let known = of_tag.is_some();
        let way = of_tag.or_else(empty).unwrap_or((hash >> 40) as usize % WAYS);
        let line = point.line.min((1 << LINE_BITS) - 1) as u32;
        if let (Some(frame), Some(mark)) = (frames.get(way), marks.get(way)) {
            mark.store(tag << TAG_SHIFT | line << INDEX_BITS | point.index as u32, Ordering::Relaxed);
            frame.store(point.frame.to_u32(), Ordering::Release);
        }
        if !known {
            self.grow_if_full();
        }
    }

    /// Changes when entries made before may be looked for elsewhere.
    pub(super) fn size(&self) -> u32 {
        self.mask.load(Ordering::Relaxed) as u32 + 1
    }

    fn grow_if_full(&self) {
        let mask = self.mask.load(Ordering::Relaxed);
        let made = self.made.fetch_add(1, Ordering::Relaxed);
        if made > mask * WAYS / 2 && mask + 1 < self.buckets.groups() {
            self.made.store(0, Ordering::Relaxed);
            self.mask.store(mask * 2 + 1, Ordering::Relaxed);
        }
    }
}

/// Bits of the hash that do not choose the bucket, unless the table is huge; never 0, which no entry has.
#[inline]
fn tag(hash: u64) -> u32 {
    (hash >> 52) as u32 & (u32::MAX >> TAG_SHIFT) | 1
}

/// Sixteen bytes at a time, folded by a wide product. The first byte, which in most keys is their table, stands alone: so
/// words are read as they were written just before, for which the processor need not wait.
#[inline(always)]
pub(super) fn hash(key: &[u8]) -> u64 {
    let [first, rest @ ..] = key else { return 0 };
    let state = u64::from(*first) << 32 ^ key.len() as u64;
    let word = |bytes: &[u8; 8]| u64::from_le_bytes(*bytes);
    match (rest.first_chunk::<8>(), rest.last_chunk::<8>()) {
        (Some(first), Some(last)) if rest.len() <= 16 => fold(word(first) ^ state, word(last)),
        (Some(_), Some(_)) => hash_long(state, rest),
        _ => fold(rest.iter().fold(0, |word, byte| word << 8 | u64::from(*byte)), state),
    }
}

fn hash_long(state: u64, key: &[u8]) -> u64 {
    let words = |pair: &[u8; 16]| {
        let pair = u128::from_le_bytes(*pair);
        (pair as u64, (pair >> 64) as u64)
    };
    let last = key.last_chunk().map_or((0, 0), words);
    let (pairs, _) = key.as_chunks::<16>();
    let state = pairs.iter().map(words).fold(state, |state, (a, b)| fold(a ^ state, b));
    fold(last.0 ^ state, last.1)
}

#[inline(always)]
fn fold(a: u64, b: u64) -> u64 {
    let product = u128::from(a ^ 0x9E37_79B9_7F4A_7C15).wrapping_mul(u128::from(b ^ 0xD1B5_4A32_D192_ED03));
    let folded = (product >> 64) as u64 ^ product as u64;
    // What two words have in common may leave traces in one product.
    folded ^ folded.wrapping_mul(0xBF58_476D_1CE4_E5B9) >> 29
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(frame: u32, index: usize) -> Point {
        Point { frame: FrameNumber::from_u32(frame).unwrap(), line: 3, index }
    }

    fn found(points: &Points, hash: u64) -> Option<(u32, usize, usize)> {
        points.get(hash).map(|point| (point.frame.to_u32(), point.line, point.index))
    }

    #[test]
    fn what_was_told_last_is_found() {
        let points = Points::new(1 << 16);
        let hash = hash(b"key");
        assert_eq!(found(&points, hash), None);
        points.insert(hash, point(7, 5));
        assert_eq!(found(&points, hash), Some((7, 3, 5)));
        points.insert(hash, point(9, 2000));
        assert_eq!(found(&points, hash), Some((9, 3, 2000)));
        points.insert(hash, point(10, 2048));
        assert_eq!(found(&points, hash), Some((9, 3, 2000)), "an entry beyond the table's numbers is not kept");
    }

    #[test]
    #[cfg_attr(miri, ignore = "long, and touches no memory that the others do not")]
    fn it_grows_with_what_is_in_it_and_stays_within_its_bytes() {
        for bytes in [10, 100, 1000, 70_000, 1 << 20] {
            assert!(Points::new(bytes).bytes() <= bytes.max(32));
        }
        let points = Points::new(1 << 20);
        assert_eq!(points.mask.load(Ordering::Relaxed), BUCKETS_MIN - 1);
        for _ in 0..3 {
            for key in 0..40_000u32 {
                points.insert(hash(&key.to_le_bytes()), point(key + 1, 0));
            }
        }
        assert_eq!(points.mask.load(Ordering::Relaxed), (1 << 15) - 1);
        let kept =
            (0..40_000u32).filter(|key| found(&points, hash(&key.to_le_bytes())) == Some((key + 1, 3, 0))).count();
        assert!(kept > 36_000, "{kept}");
    }

    #[test]
    #[cfg_attr(miri, ignore = "long, and touches no memory that the others do not")]
    fn keys_that_differ_little_are_spread_well() {
        const BUCKETS: usize = 1 << 12;
        type Make = fn(u64) -> alloc::vec::Vec<u8>;
        let makes: [Make; 8] = [
            |n| [&[1], &n.to_be_bytes()[..]].concat(),
            |n| [&[1], &n.to_le_bytes()[..]].concat(),
            |n| [&[1], &(n << 20).to_be_bytes()[..]].concat(),
            |n| [&[1], &n.to_be_bytes()[..], &[0; 8]].concat(),
            |n| [&[1], &[0; 8][..], &n.to_be_bytes()[..]].concat(),
            |n| [&[1], &n.to_be_bytes()[..], &n.to_be_bytes()].concat(),
            |n| alloc::format!("\u{1}key{n:05}").into_bytes(),
            |n| alloc::format!("\u{1}a longer key, in the middle {n:09} and at the end").into_bytes(),
        ];
        for (kind, make) in makes.into_iter().enumerate() {
            let mut full = alloc::vec![0u32; BUCKETS];
            let mut tags = alloc::vec![0u32; 1 << (32 - TAG_SHIFT)];
            for n in 0..2 * BUCKETS as u64 {
                let hash = hash(&make(n));
                full[hash as usize % BUCKETS] += 1;
                tags[tag(hash) as usize] += 1;
            }
            // With two for each on average, chance gives 4 ways more than they hold in one of twenty.
            let over = full.iter().filter(|count| **count > WAYS as u32).count();
            assert!(over < BUCKETS / 10, "kind {kind}: {over}");
            assert!(tags.iter().all(|count| *count < 32), "kind {kind}: {:?}", tags.iter().max());
        }
    }
}
