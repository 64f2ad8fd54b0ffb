//! Resident nodes, found without a lock: a table from offset to node for readers who have said that they read, and pointers
//! remembered beside their parents, which spare them the table.
//!
//! # Why the unsafe code is sound
//!
//! **Ownership.** A place whose pointer is not null owns one count of the block it came from. Only the holder of `writer`
//! changes pointers, and drops the counts (so does `Drop`, alone).
//!
//! **A reader's pointer stays valid while its pin is held.** Keys and identities are read only with a pin. A node is retired
//! by clearing its place's key and its own identity; its count is dropped only when a look at the pins says that none is
//! left which may have seen them ([`pins`](super::pins)).
//!
//! **A key and the pointer beside it belong together.** A place gets a new key only after its old node was dropped, so no
//! pin that saw the old key is left. The pointer is stored before the key, with release.
//!
//! **An identity is as good as a key.** It is set, with release, only while a place owns the block, after the block is
//! whole, and cleared when the place is retired. So a pin that finds in a frame the identity it looks for has found the
//! block that the place has, wherever the pointer to the frame came from; and frames are memory as long as the pool, of
//! which `Residents` holds a count. Only blocks of that pool are remembered: `insert` takes no other that is in a frame.
//!
//! **A cell has one user.** With `std` a thread owns its number until it ends, and a pin cannot leave its thread; without
//! `std` there is one cell, and the table is not `Sync` because the lock is not. A second pin on a busy cell is refused.
#![allow(unsafe_code)]

use alloc::collections::VecDeque;
use alloc::sync::Arc;
use core::cell::Cell as Counted;
use core::marker::PhantomData;
use core::mem::ManuallyDrop;
use core::ops::Deref;
use core::ptr::{self, NonNull};
use core::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};

use super::frames::{Block, Header, LINE_BYTES, Pool, Remembered, Zeroed, prefetch};
use super::pins::{Cell, Pins};
use super::points::{Point, Points, hash};
use super::reader;
use crate::env::sync::Mutex;
use crate::testing::Mutant;

/// Nodes are stored at multiples of this.
const GRAIN_SHIFT: u32 = 6;
const PLACES_PER_BUCKET: usize = 4;
/// Lowest bit of an identity: the node was used since the clock's hand passed.
const USED: usize = 1;
/// No node, and free for one.
const EMPTY: usize = 0;
/// No node any more; a pin may still read the one that was.
const RETIRED: usize = 2;
/// Pointers to roots that are remembered.
const ROOTS: usize = 16;
/// At most so many retired nodes, and one for so many resident ones, wait before pins are looked at.
const RETIRED_MAX: usize = 64;
const RETIRED_PART: usize = 32;

/// Nodes by offset. Holds what it has room for: what is not here must be looked for elsewhere.
#[derive(Debug)]
pub(super) struct Residents<H> {
    buckets: Zeroed<Bucket<H>>,
    roots: [Remembered<H>; ROOTS],
    points: Points,
    pins: Pins,
    writer: Mutex<VecDeque<Retired>>,
    /// Pins are looked at when so many wait: each look costs a heavy barrier.
    retired_max: usize,
    pool: Arc<Pool<H>>,
    owns: PhantomData<Mutex<Block<H>>>,
}

/// One cache line on 64-bit machines.
#[derive(Debug)]
#[repr(align(64))]
struct Bucket<H>([Place<H>; PLACES_PER_BUCKET]);

#[derive(Debug)]
struct Place<H> {
    key: AtomicUsize,
    node: AtomicPtr<Header<H>>,
}

/// A place that waits for pins of `epoch` and before.
#[derive(Debug)]
struct Retired {
    epoch: usize,
    bucket: usize,
    place: usize,
}

impl<H> Residents<H> {
    /// A table for about `nodes` nodes, of `pool` or loose.
    pub(super) fn new(nodes: usize, points_bytes: usize, pool: Arc<Pool<H>>) -> Self {
        let buckets = (nodes * 2 / PLACES_PER_BUCKET).max(2).next_power_of_two();
        Self {
            // SAFETY: zero bits are `EMPTY` and no node, and neither needs dropping.
            buckets: unsafe { Zeroed::new(buckets) },
            roots: core::array::from_fn(|_| Remembered::nothing()),
            points: Points::new(points_bytes),
            pins: Pins::new(reader::READERS_MAX),
            writer: Mutex::new(VecDeque::new()),
            retired_max: (nodes / RETIRED_PART).clamp(1, RETIRED_MAX),
            pool,
            owns: PhantomData,
        }
    }

    /// Bytes of the tables themselves.
    pub(super) fn bytes(&self) -> usize {
        self.buckets.len() * size_of::<Bucket<H>>() + self.points.bytes()
    }

    /// Where nodes to be inserted are made.
    pub(super) fn pool(&self) -> &Arc<Pool<H>> {
        &self.pool
    }

    /// Says that this thread reads. `None` when it cannot be said: then look elsewhere.
    #[inline]
    pub(super) fn pin(&self) -> Option<Pin<'_, H>> {
        let cell = self.pins.enter(reader::number()?)?;
        Some(Pin { residents: self, cell, hits: Counted::new(0), one_thread: PhantomData })
    }

    /// Makes the node findable if there is room for it. There is none at `offset` before.
    pub(super) fn insert(&self, offset: u64, node: &Block<H>) {
        let Some(key) = key_of(offset).filter(|_| node.is_loose_or_of(&self.pool)) else { return };
        let mut retired = self.writer.lock();
        self.collect(&mut retired);
        for bucket in self.candidates(key) {
            for place in &bucket.0 {
                if place.key.load(Ordering::Relaxed) == EMPTY {
                    place.node.store(node.clone().into_raw(), Ordering::Release);
                    place.key.store(key, Ordering::Release);
                    node.identity().store(key, Ordering::Release);
                    return;
                }
            }
        }
    }

    /// No pin taken from now on finds `node`, which is that at `offset`.
    pub(super) fn remove(&self, offset: u64, node: &Block<H>) {
        let Some(key) = key_of(offset) else { return };
        let mut retired = self.writer.lock();
        for at in self.candidate_indices(key) {
            let Some(bucket) = self.buckets.get(at) else { continue };
            for (index, place) in bucket.0.iter().enumerate() {
                if place.key.load(Ordering::Relaxed) == key {
                    place.key.store(RETIRED, Ordering::Relaxed);
                    node.identity().store(EMPTY, Ordering::Relaxed);
                    let epoch = self.pins.retire();
                    retired.push_back(Retired { epoch, bucket: at, place: index });
                }
            }
        }
        self.collect(&mut retired);
    }

    #[cfg(feature = "std")]
    /// Drops what no pin can read any more, however little that is.
    pub(super) fn collect_all(&self) {
        self.collect_from(&mut self.writer.lock(), 1);
    }

    /// Child `index` of `parent` will be read soon.
    #[inline]
    pub(super) fn expect_child(&self, parent: &Block<H>, index: usize) {
        if let Some(link) = parent.link(index) {
            link.prefetch();
        }
    }

    /// Drops what no pin can read any more, if enough waits.
    fn collect(&self, retired: &mut VecDeque<Retired>) {
        self.collect_from(retired, self.retired_max);
    }

    fn collect_from(&self, retired: &mut VecDeque<Retired>, min: usize) {
        if retired.len() < min {
            return;
        }
        let Some(look) = self.pins.look(reader::highest()) else { return };
        while let Some(first) = retired.front()
            && look.is_past(first.epoch)
        {
            if let Some(place) = self.buckets.get(first.bucket).and_then(|bucket| bucket.0.get(first.place)) {
                if let Some(node) = NonNull::new(place.node.swap(ptr::null_mut(), Ordering::Relaxed)) {
                    // SAFETY: the place owned this count, and no pin that may have seen the pointer is left.
                    drop(unsafe { Block::from_raw(node) });
                }
                place.key.store(EMPTY, Ordering::Release);
            }
            retired.pop_front();
        }
    }

    /// Nodes found by all pins so far.
    pub(super) fn hits(&self) -> usize {
        self.pins.hits()
    }

    #[inline]
    fn candidate_indices(&self, key: usize) -> [usize; 2] {
        let hash = mixed(key);
        let first = (hash >> 32) as usize & (self.buckets.len() - 1);
        [first, first ^ 1]
    }

    #[inline]
    fn candidates(&self, key: usize) -> impl Iterator<Item = &Bucket<H>> {
        self.candidate_indices(key).into_iter().filter_map(|at| self.buckets.get(at))
    }
}

/// Whether `node` was used since the last call. Only for who may remove it.
pub(super) fn take_used<H>(node: &Block<H>) -> bool {
    let identity = node.identity().load(Ordering::Relaxed);
    identity & USED != 0 && {
        node.identity().store(identity & !USED, Ordering::Relaxed);
        true
    }
}

/// Neither [`EMPTY`] nor [`RETIRED`], with the used bit clear; `None` where a word is too small for the offset.
#[inline]
fn key_of(offset: u64) -> Option<usize> {
    let grain = usize::try_from(offset >> GRAIN_SHIFT).ok()?;
    let key = grain.checked_add(2)?.checked_mul(2)?;
    (offset & ((1 << GRAIN_SHIFT) - 1) == 0).then_some(key)
}

#[inline]
fn mixed(key: usize) -> u64 {
    ((key >> 1) as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15)
}

impl<H> Drop for Residents<H> {
    fn drop(&mut self) {
        for place in self.buckets.iter().flat_map(|bucket| &bucket.0) {
            if let Some(node) = NonNull::new(place.node.load(Ordering::Relaxed)) {
                // SAFETY: the place owned this count, and `&mut self` says that there are no pins.
                drop(unsafe { Block::from_raw(node) });
            }
        }
    }
}

/// While this is held, what it finds stays. Hold it for a descent, never over a read of storage.
#[derive(Debug)]
pub(crate) struct Pin<'c, H> {
    residents: &'c Residents<H>,
    cell: &'c Cell,
    hits: Counted<usize>,
    /// The cell is this thread's.
    one_thread: PhantomData<*const ()>,
}

impl<H> Pin<'_, H> {
    /// The node at `offset`, if it is in the table.
    #[inline]
    pub(crate) fn get(&self, offset: u64) -> Option<Pinned<'_, H>> {
        self.look_up(key_of(offset)?)
    }

    /// As [`get`](Self::get), for the root of a tree: found more quickly the second time.
    #[inline]
    pub(crate) fn root(&self, offset: u64) -> Option<Pinned<'_, H>> {
        let key = key_of(offset)?;
        self.follow(self.residents.roots.get((mixed(key) >> 60) as usize % ROOTS)?, key)
    }

    /// As [`get`](Self::get), for child `index` of `parent`: found more quickly the second time.
    #[inline]
    pub(crate) fn child_of(&self, parent: &Block<H>, index: usize, offset: u64) -> Option<Pinned<'_, H>> {
        match parent.link(index).filter(|_| parent.is_loose_or_of(&self.residents.pool)) {
            Some(link) => self.follow(link, key_of(offset)?),
            None => self.get(offset),
        }
    }

    #[inline]
    fn follow(&self, remembered: &Remembered<H>, key: usize) -> Option<Pinned<'_, H>> {
        // SAFETY: what is remembered was of this table's pool, which the table holds.
        if let Some((header, identity)) = unsafe { remembered.recall() } {
            let found = identity.load(Ordering::Acquire);
            if found & !USED == key {
                if found & USED == 0 {
                    mark_used(identity, key);
                }
                self.hits.set(self.hits.get() + 1);
                // SAFETY: the identity was there after the pin's barrier, so the place that owns a count of this block
                // keeps it until the pin ends.
                return Some(unsafe { self.pinned(header) });
            }
        }
        let found = self.look_up(key)?;
        remembered.remember(&found);
        Some(found)
    }

    /// A node that is a member of `tree`, and the entry in it where `key`, or another, was found. Proves nothing of the key.
    ///
    /// `likely` says at which byte of the node something is that will be read of an entry beside its data.
    #[inline]
    pub(crate) fn point(
        &self,
        tree: usize,
        key: &Hashed,
        likely: impl Fn(usize) -> usize,
    ) -> Option<(Pinned<'_, H>, usize)> {
        let point = self.residents.points.get(key.0)?;
        // SAFETY: the number came from a block that was found in this table, hence of its pool.
        let (header, identity) = unsafe { self.residents.pool.frame(point.frame) }?;
        // All that will be read, at once: the key's beginning, and the entry's data.
        prefetch_entry(header, point, &likely);
        let found = identity.load(Ordering::Acquire);
        if found == EMPTY {
            return None;
        }
        // SAFETY: an identity was there after the pin's barrier, so a place owns a count of the block that is there now,
        // and keeps it until the pin ends.
        let node = unsafe { self.pinned(header) };
        let is_member = node.member().load(Ordering::Relaxed) == tree || Mutant::PointOfOtherBase.is_active();
        if !is_member || tree == 0 {
            return None;
        }
        if found & USED == 0 {
            mark_used(identity, found);
        }
        self.hits.set(self.hits.get() + 1);
        Some((node, point.index))
    }

    /// Says that [`point`](Self::point) will be asked for the key.
    #[inline]
    pub(crate) fn prefetch_point(&self, key: &Hashed) {
        self.residents.points.prefetch(key.0);
    }

    /// Says that what [`point`](Self::point) would give will be read.
    #[inline]
    pub(crate) fn prefetch_node(&self, key: &Hashed, likely: impl Fn(usize) -> usize) {
        let Some(point) = self.residents.points.get(key.0) else { return };
        // SAFETY: as in `point`.
        if let Some((header, _)) = unsafe { self.residents.pool.frame(point.frame) } {
            prefetch(header.cast(), 0);
            prefetch_entry(header, point, &likely);
        }
    }

    fn look_up(&self, key: usize) -> Option<Pinned<'_, H>> {
        for bucket in self.residents.candidates(key) {
            for place in &bucket.0 {
                if place.key.load(Ordering::Acquire) == key {
                    let header = NonNull::new(place.node.load(Ordering::Acquire))?;
                    // SAFETY: the key was there after the pin's barrier, so the place keeps its node until the pin ends.
                    let pinned = unsafe { self.pinned(header) };
                    mark_used(pinned.identity(), key);
                    self.hits.set(self.hits.get() + 1);
                    return Some(pinned);
                }
            }
        }
        None
    }

    /// # Safety
    /// A place owns a count of the block, and keeps it until this pin ends.
    #[inline]
    unsafe fn pinned(&self, header: NonNull<Header<H>>) -> Pinned<'_, H> {
        // SAFETY: that count stands for this block, which is never dropped.
        Pinned { block: ManuallyDrop::new(unsafe { Block::from_raw(header) }), pin: self }
    }
}

/// Only the lines that will be read: when many are on their way, each costs as much as the first. A short value is copied
/// with what follows it, so it takes a third line.
#[inline]
fn prefetch_entry<H>(header: NonNull<Header<H>>, point: Point, likely: &impl Fn(usize) -> usize) {
    let bytes = size_of::<Header<H>>();
    let data = point.line * LINE_BYTES;
    for at in [bytes, bytes + likely(point.index), data, data + LINE_BYTES, data + 2 * LINE_BYTES] {
        prefetch(header.cast(), at);
    }
}

/// A key as the table of points knows it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Hashed(u64);

impl Hashed {
    #[inline]
    pub(crate) fn new(key: &[u8]) -> Self {
        Self(hash(key))
    }
}

/// Fails when the node is being retired: then it must not get its identity back.
#[inline]
fn mark_used(identity: &AtomicUsize, key: usize) {
    let _ = identity.compare_exchange(key, key | USED, Ordering::Relaxed, Ordering::Relaxed);
}

impl<H> Drop for Pin<'_, H> {
    #[inline]
    fn drop(&mut self) {
        self.cell.leave(self.hits.get());
    }
}

/// A node in the table, for as long as the pin is held.
#[derive(Debug)]
pub(crate) struct Pinned<'p, H> {
    /// Borrows the count of a place.
    block: ManuallyDrop<Block<H>>,
    pin: &'p Pin<'p, H>,
}

impl<'p, H> Pinned<'p, H> {
    /// The node for longer.
    #[inline]
    pub(crate) fn to_block(&self) -> Block<H> {
        Block::clone(&self.block)
    }

    /// Takes note that this node belongs to `tree`, in which it was just found from the root. Trees are numbered from 1 on,
    /// newer ones higher. Whether that was known.
    pub(crate) fn is_known_member(&self, tree: usize) -> bool {
        let member = self.member().load(Ordering::Relaxed);
        if member < tree {
            // Readers of two trees may race here; the node belongs to either.
            self.member().store(tree, Ordering::Relaxed);
        }
        member == tree
    }

    /// Whether the table of points should be told of all entries of this node; true once for each size of the table.
    pub(crate) fn should_tell_all(&self) -> bool {
        let size = self.pin.residents.points.size();
        self.told().swap(size, Ordering::Relaxed) != size
    }

    /// Remembers that `key` is at entry `index`, whose data begins `data_at` bytes after the node's first.
    pub(crate) fn remember_point(&self, key: &Hashed, index: usize, data_at: usize) {
        if let Some(frame) = self.number() {
            let line = (size_of::<Header<H>>() + data_at) / LINE_BYTES;
            self.pin.residents.points.insert(key.0, Point { frame, line, index });
        }
    }

    /// The node at `offset`, found more quickly the second time it is asked for as child `index` of this one.
    #[inline]
    pub(crate) fn child(&self, index: usize, offset: u64) -> Option<Pinned<'p, H>> {
        match self.block.link(index) {
            Some(link) => self.pin.follow(link, key_of(offset)?),
            None => self.pin.get(offset),
        }
    }
}

impl<H> Deref for Pinned<'_, H> {
    type Target = Block<H>;

    #[inline]
    fn deref(&self) -> &Block<H> {
        &self.block
    }
}

#[cfg(all(test, feature = "std"))]
mod tests {
    use super::*;
    use alloc::vec::Vec;
    use core::sync::atomic::AtomicBool;

    /// Tells when it is dropped, and is poisoned then.
    struct Probe {
        offset: AtomicUsize,
        live: Arc<AtomicUsize>,
    }

    impl Drop for Probe {
        fn drop(&mut self) {
            self.offset.store(usize::MAX, Ordering::SeqCst);
            self.live.fetch_sub(1, Ordering::SeqCst);
        }
    }

    /// A table, and its nodes as their cache holds them.
    struct Few {
        residents: Residents<Probe>,
        live: Arc<AtomicUsize>,
    }

    impl Few {
        fn new(nodes: usize) -> Self {
            Self { residents: Residents::new(nodes, 1 << 12, Pool::new(1 << 20, 1 << 20)), live: Arc::default() }
        }

        fn insert(&self, offset: u64) -> Block<Probe> {
            self.live.fetch_add(1, Ordering::SeqCst);
            let probe = Probe { offset: AtomicUsize::new(offset as usize), live: Arc::clone(&self.live) };
            let node = Block::pooled(self.residents.pool(), probe, &offset.to_le_bytes(), 4);
            self.residents.insert(offset, &node);
            node
        }

        fn live(&self) -> usize {
            self.live.load(Ordering::SeqCst)
        }
    }

    fn is_whole(node: &Block<Probe>, offset: u64) -> bool {
        node.head().offset.load(Ordering::SeqCst) == offset as usize && node.bytes() == offset.to_le_bytes()
    }

    #[test]
    fn what_is_removed_lasts_as_long_as_the_pin_that_found_it() {
        let few = Few::new(16);
        let first = few.insert(64);
        let pin = few.residents.pin().unwrap();
        assert!(few.residents.pin().is_none(), "one pin a thread");
        let found = pin.get(64).unwrap();
        few.residents.remove(64, &first);
        drop(first);
        let second = few.insert(64);
        assert_eq!(few.live(), 2);
        assert!(is_whole(&found, 64));
        let kept = found.to_block();
        drop(pin);
        few.residents.remove(64, &second);
        drop(second);
        assert_eq!(few.live(), 1, "only what was kept");
        assert!(is_whole(&kept, 64));
        drop(kept);
        drop(few.insert(128));
        let live = Arc::clone(&few.live);
        assert_eq!(few.live(), 1);
        drop(few);
        assert_eq!(live.load(Ordering::SeqCst), 0);
    }

    #[test]
    fn use_is_told_once_and_never_brings_back_what_was_removed() {
        let few = Few::new(16);
        let node = few.insert(0);
        assert!(!take_used(&node));
        few.residents.pin().unwrap().get(0).unwrap();
        assert!(take_used(&node));
        assert!(!take_used(&node));
        few.residents.remove(0, &node);
        assert!(few.residents.pin().unwrap().get(0).is_none());
        assert!(few.residents.pin().unwrap().get(1).is_none(), "no node is there");
    }

    #[test]
    fn a_pointer_remembered_is_followed_only_to_the_node_that_was_meant() {
        let few = Few::new(16);
        let (parent, child) = (few.insert(0), few.insert(64));
        let find = |offset| {
            let pin = few.residents.pin().unwrap();
            let child = pin.root(0).unwrap().child(1, offset)?;
            Some(is_whole(&child, offset))
        };
        assert_eq!((find(64), find(64)), (Some(true), Some(true)));
        assert!(take_used(&child) && take_used(&parent), "use is told on this way too");
        assert_eq!(find(128), None, "the pointer leads to another node");
        few.residents.remove(64, &child);
        assert_eq!(find(64), None, "retired, though its frame is still there");
        drop(child);
        let other = few.insert(192);
        assert_eq!(find(64), None, "its frame holds another node");
        assert_eq!((find(192), find(192)), (Some(true), Some(true)));
        few.residents.remove(192, &other);
        let again = few.insert(192);
        assert_eq!((find(192), find(192)), (Some(true), Some(true)));
        assert!(!is_whole(&again, 64));
    }

    #[test]
    fn readers_never_see_a_dropped_node_or_another_offset() {
        let rounds = if cfg!(miri) { 60 } else { 20_000 };
        let few = Few::new(4);
        let parent = few.insert(1 << 20);
        let done = AtomicBool::new(false);
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    let mut kept = Vec::new();
                    while !done.load(Ordering::Relaxed) {
                        for at in 0..16 {
                            let offset = at * 64;
                            let Some(pin) = few.residents.pin() else { continue };
                            let Some(parent) = pin.root(1 << 20) else { continue };
                            let Some(found) = parent.child(at as usize % 5, offset) else { continue };
                            assert!(is_whole(&found, offset));
                            kept.push((offset, found.to_block()));
                        }
                        for (offset, node) in kept.drain(..) {
                            assert!(is_whole(&node, offset));
                        }
                    }
                });
            }
            let mut nodes: [Option<Block<Probe>>; 16] = Default::default();
            for round in 0..rounds {
                for at in [round % 16, (round * 7 + 3) % 16] {
                    if let Some(node) = nodes[at].take() {
                        few.residents.remove(at as u64 * 64, &node);
                    }
                }
                nodes[round % 16] = Some(few.insert(round as u64 % 16 * 64));
            }
            done.store(true, Ordering::Relaxed);
        });
        drop(parent);
        let live = Arc::clone(&few.live);
        drop(few);
        assert_eq!(live.load(Ordering::SeqCst), 0);
    }
}
