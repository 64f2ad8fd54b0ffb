//! Resident nodes, found without a lock: a table from offset to node for readers who have said that they read.
//!
//! # Why the unsafe code is sound
//!
//! **Ownership.** A place whose pointer is not null owns one count of the `Arc` it came from. Only the holder of `writer`
//! changes pointers, and drops the counts (so does `Drop`, alone).
//!
//! **A reader's pointer stays valid while its pin is held.** A pin stores the epoch it read in its thread's own cell, then
//! passes a sequentially consistent fence, then reads places. A node is retired by first clearing its place's key, then
//! passing such a fence and raising the epoch; its count is dropped only when every cell is idle or holds a later epoch. If
//! the collector does not see a pin, its fence came before the pin's, so the pin sees the key cleared. If it sees a later
//! epoch, the pin read what the retirement wrote. An idle cell was left with a release that the collector acquires.
//!
//! **A key and the pointer beside it belong together.** A place gets a new key only after its old node was dropped, so no
//! pin that saw the old key is left. The pointer is stored before the key, with release.
//!
//! **A cell has one user.** With `std` a thread owns its number until it ends, and a pin cannot leave its thread; without
//! `std` there is one cell, and the table is not `Sync` because the lock is not. A second pin on a busy cell is refused.
#![allow(unsafe_code)]

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::sync::Arc;
use core::marker::PhantomData;
use core::ops::Deref;
use core::ptr;
use core::sync::atomic::{AtomicPtr, AtomicUsize, Ordering, fence};

use super::reader;
use crate::env::sync::Mutex;

/// Nodes are stored at multiples of this.
const GRAIN_SHIFT: u32 = 6;
const PLACES_PER_BUCKET: usize = 4;
/// Lowest bit of a key: the node was used since the clock's hand passed.
const USED: usize = 1;
/// No node, and free for one.
const EMPTY: usize = 0;
/// No node any more; a pin may still read the one that was.
const RETIRED: usize = 2;

/// Nodes by offset. Holds what it has room for: what is not here must be looked for elsewhere.
#[derive(Debug)]
pub(super) struct Residents<T> {
    buckets: Box<[Bucket<T>]>,
    cells: Box<[Cell]>,
    /// Odd, so that no pin stores 0; compared by distance, so that it may wrap around.
    epoch: AtomicUsize,
    writer: Mutex<VecDeque<Retired>>,
    owns: PhantomData<Mutex<Arc<T>>>,
}

/// One cache line on 64-bit machines.
#[derive(Debug)]
#[repr(align(64))]
struct Bucket<T>([Place<T>; PLACES_PER_BUCKET]);

#[derive(Debug)]
struct Place<T> {
    key: AtomicUsize,
    node: AtomicPtr<T>,
}

/// What one thread writes while it reads. Alone in its cache lines.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Cell {
    /// The epoch of the pin held, 0 when there is none.
    epoch: AtomicUsize,
    hits: AtomicUsize,
}

/// A place that waits for pins of `epoch` and before.
#[derive(Debug)]
struct Retired {
    epoch: usize,
    bucket: usize,
    place: usize,
}

impl<T> Residents<T> {
    /// A table for about `nodes` nodes.
    pub(super) fn new(nodes: usize) -> Self {
        let buckets = (nodes * 2 / PLACES_PER_BUCKET).max(2).next_power_of_two();
        Self {
            buckets: (0..buckets).map(|_| Bucket::default()).collect(),
            cells: (0..reader::READERS_MAX).map(|_| Cell::default()).collect(),
            epoch: AtomicUsize::new(1),
            writer: Mutex::new(VecDeque::new()),
            owns: PhantomData,
        }
    }

    /// Bytes of the table itself for `nodes` nodes.
    pub(super) fn bytes(nodes: usize) -> usize {
        (nodes * 2).max(2).next_power_of_two() * size_of::<Place<T>>()
    }

    /// Says that this thread reads. `None` when it cannot be said: then look elsewhere.
    #[inline]
    pub(super) fn pin(&self) -> Option<Pin<'_, T>> {
        let cell = self.cells.get(reader::number()?)?;
        if cell.epoch.load(Ordering::Relaxed) != 0 {
            return None;
        }
        cell.epoch.store(self.epoch.load(Ordering::Acquire), Ordering::Relaxed);
        fence(Ordering::SeqCst);
        Some(Pin { residents: self, cell, one_thread: PhantomData })
    }

    /// Makes the node findable if there is room for it. There is none at `offset` before.
    pub(super) fn insert(&self, offset: u64, node: &Arc<T>) {
        let Some(key) = key_of(offset) else { return };
        let mut retired = self.writer.lock();
        self.collect(&mut retired);
        for bucket in self.candidates(key) {
            for place in &bucket.0 {
                if place.key.load(Ordering::Relaxed) == EMPTY {
                    place.node.store(Arc::into_raw(Arc::clone(node)).cast_mut(), Ordering::Release);
                    place.key.store(key, Ordering::Release);
                    return;
                }
            }
        }
    }

    /// No pin taken from now on finds the node at `offset`.
    pub(super) fn remove(&self, offset: u64) {
        let Some(key) = key_of(offset) else { return };
        let mut retired = self.writer.lock();
        for at in self.candidate_indices(key) {
            let Some(bucket) = self.buckets.get(at) else { continue };
            for (index, place) in bucket.0.iter().enumerate() {
                if place.key.load(Ordering::Relaxed) & !USED == key {
                    place.key.store(RETIRED, Ordering::Relaxed);
                    fence(Ordering::SeqCst);
                    let epoch = self.epoch.fetch_add(2, Ordering::SeqCst);
                    retired.push_back(Retired { epoch, bucket: at, place: index });
                }
            }
        }
        self.collect(&mut retired);
    }

    /// Whether the node at `offset` was used since the last call.
    pub(super) fn take_used(&self, offset: u64) -> bool {
        let Some(key) = key_of(offset) else { return false };
        self.candidates(key)
            .flat_map(|bucket| &bucket.0)
            .any(|place| place.key.compare_exchange(key | USED, key, Ordering::Relaxed, Ordering::Relaxed).is_ok())
    }

    /// Nodes found by all pins so far.
    pub(super) fn hits(&self) -> usize {
        self.cells.iter().fold(0, |sum, cell| sum.wrapping_add(cell.hits.load(Ordering::Relaxed)))
    }

    /// Drops what no pin can read any more.
    fn collect(&self, retired: &mut VecDeque<Retired>) {
        if retired.is_empty() {
            return;
        }
        fence(Ordering::SeqCst);
        let now = self.epoch.load(Ordering::Relaxed);
        let pinned = self.cells.iter().take(reader::highest()).map(|cell| cell.epoch.load(Ordering::Acquire));
        // Nothing is older than what has waited longest, and that has waited less often than the epoch can count.
        let oldest_age = pinned.filter(|epoch| *epoch != 0).map(|epoch| now.wrapping_sub(epoch)).max();
        while let Some(first) = retired.front()
            && oldest_age.is_none_or(|oldest| now.wrapping_sub(first.epoch) > oldest)
        {
            if let Some(place) = self.buckets.get(first.bucket).and_then(|bucket| bucket.0.get(first.place)) {
                let node = place.node.swap(ptr::null_mut(), Ordering::Relaxed);
                if !node.is_null() {
                    // SAFETY: the place owned this count, and no pin that may have seen the pointer is left.
                    drop(unsafe { Arc::from_raw(node) });
                }
                place.key.store(EMPTY, Ordering::Release);
            }
            retired.pop_front();
        }
    }

    #[inline]
    fn candidate_indices(&self, key: usize) -> [usize; 2] {
        let hash = ((key >> 1) as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let first = (hash >> 32) as usize & (self.buckets.len() - 1);
        [first, first ^ 1]
    }

    #[inline]
    fn candidates(&self, key: usize) -> impl Iterator<Item = &Bucket<T>> {
        self.candidate_indices(key).into_iter().filter_map(|at| self.buckets.get(at))
    }
}

impl<T> Default for Bucket<T> {
    fn default() -> Self {
        Self(core::array::from_fn(|_| Place { key: AtomicUsize::new(EMPTY), node: AtomicPtr::new(ptr::null_mut()) }))
    }
}

/// Neither [`EMPTY`] nor [`RETIRED`], with the used bit clear; `None` where a word is too small for the offset.
#[inline]
fn key_of(offset: u64) -> Option<usize> {
    let grain = usize::try_from(offset >> GRAIN_SHIFT).ok()?;
    let key = grain.checked_add(2)?.checked_mul(2)?;
    (offset & ((1 << GRAIN_SHIFT) - 1) == 0).then_some(key)
}

impl<T> Drop for Residents<T> {
    fn drop(&mut self) {
        for place in self.buckets.iter_mut().flat_map(|bucket| &mut bucket.0) {
            let node = *place.node.get_mut();
            if !node.is_null() {
                // SAFETY: the place owned this count, and `&mut self` says that there are no pins.
                drop(unsafe { Arc::from_raw(node) });
            }
        }
    }
}

/// While this is held, what it finds stays. Hold it for a descent, never over a read of storage.
#[derive(Debug)]
pub(crate) struct Pin<'c, T> {
    residents: &'c Residents<T>,
    cell: &'c Cell,
    /// The cell is this thread's.
    one_thread: PhantomData<*const ()>,
}

impl<T> Pin<'_, T> {
    /// The node at `offset`, if it is in the table.
    #[inline]
    pub(crate) fn get(&self, offset: u64) -> Option<Pinned<'_, T>> {
        let key = key_of(offset)?;
        for bucket in self.residents.candidates(key) {
            for place in &bucket.0 {
                let found = place.key.load(Ordering::Acquire);
                if found & !USED == key {
                    if found & USED == 0 {
                        // Fails when the node is being retired: then it must not get its key back.
                        let _ = place.key.compare_exchange(key, key | USED, Ordering::Relaxed, Ordering::Relaxed);
                    }
                    let node = place.node.load(Ordering::Acquire);
                    // SAFETY: the key was there after the pin's fence, so the place keeps its node until the pin ends.
                    let node = unsafe { node.as_ref() }?;
                    let hits = self.cell.hits.load(Ordering::Relaxed);
                    self.cell.hits.store(hits.wrapping_add(1), Ordering::Relaxed);
                    return Some(Pinned { node, pin: PhantomData });
                }
            }
        }
        None
    }
}

impl<T> Drop for Pin<'_, T> {
    #[inline]
    fn drop(&mut self) {
        self.cell.epoch.store(0, Ordering::Release);
    }
}

/// A node in the table, for as long as the pin is held.
#[derive(Debug)]
pub(crate) struct Pinned<'p, T> {
    /// Always the content of an `Arc` of which the table owns a count.
    node: &'p T,
    pin: PhantomData<*const ()>,
}

impl<T> Pinned<'_, T> {
    /// The node for longer.
    #[inline]
    pub(crate) fn to_arc(&self) -> Arc<T> {
        let node = ptr::from_ref(self.node);
        // SAFETY: the pointer came from `Arc::into_raw`, and the table's count lasts while the pin is held.
        unsafe {
            Arc::increment_strong_count(node);
            Arc::from_raw(node)
        }
    }
}

impl<T> Deref for Pinned<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        self.node
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

    impl Probe {
        fn new(offset: u64, live: &Arc<AtomicUsize>) -> Arc<Self> {
            live.fetch_add(1, Ordering::SeqCst);
            Arc::new(Self { offset: AtomicUsize::new(offset as usize), live: Arc::clone(live) })
        }
    }

    impl Drop for Probe {
        fn drop(&mut self) {
            self.offset.store(usize::MAX, Ordering::SeqCst);
            self.live.fetch_sub(1, Ordering::SeqCst);
        }
    }

    #[test]
    fn what_is_removed_lasts_as_long_as_the_pin_that_found_it() {
        let live = Arc::new(AtomicUsize::new(0));
        let residents = Residents::<Probe>::new(16);
        residents.insert(64, &Probe::new(64, &live));
        let pin = residents.pin().unwrap();
        assert!(residents.pin().is_none(), "one pin a thread");
        let found = pin.get(64).unwrap();
        residents.remove(64);
        residents.insert(64, &Probe::new(64, &live));
        assert_eq!(live.load(Ordering::SeqCst), 2);
        assert_eq!(found.offset.load(Ordering::SeqCst), 64);
        let kept = found.to_arc();
        drop(pin);
        residents.remove(64);
        assert_eq!(live.load(Ordering::SeqCst), 1, "only what was kept");
        assert_eq!(kept.offset.load(Ordering::SeqCst), 64);
        drop(kept);
        residents.insert(128, &Probe::new(128, &live));
        drop(residents);
        assert_eq!(live.load(Ordering::SeqCst), 0);
    }

    #[test]
    fn use_is_told_once_and_never_brings_back_what_was_removed() {
        let live = Arc::new(AtomicUsize::new(0));
        let residents = Residents::<Probe>::new(16);
        residents.insert(0, &Probe::new(0, &live));
        assert!(!residents.take_used(0));
        residents.pin().unwrap().get(0).unwrap();
        assert!(residents.take_used(0));
        assert!(!residents.take_used(0));
        residents.remove(0);
        assert!(residents.pin().unwrap().get(0).is_none());
        assert!(residents.pin().unwrap().get(1).is_none(), "no node is there");
    }

    #[test]
    fn readers_never_see_a_dropped_node_or_another_offset() {
        let rounds = if cfg!(miri) { 40 } else { 20_000 };
        let live = Arc::new(AtomicUsize::new(0));
        let residents = Residents::<Probe>::new(4);
        let done = AtomicBool::new(false);
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    let mut kept = Vec::new();
                    while !done.load(Ordering::Relaxed) {
                        for offset in (0..16).map(|at| at * 64) {
                            let Some(pin) = residents.pin() else { continue };
                            let Some(found) = pin.get(offset) else { continue };
                            assert_eq!(found.offset.load(Ordering::SeqCst), offset as usize);
                            kept.push((offset, found.to_arc()));
                        }
                        for (offset, node) in kept.drain(..) {
                            assert_eq!(node.offset.load(Ordering::SeqCst), offset as usize);
                        }
                    }
                });
            }
            for round in 0..rounds {
                let offset = round % 16 * 64;
                residents.remove(offset);
                residents.insert(offset, &Probe::new(offset, &live));
                residents.remove((round * 7 + 3) % 16 * 64);
            }
            done.store(true, Ordering::Relaxed);
        });
        drop(residents);
        assert_eq!(live.load(Ordering::SeqCst), 0);
    }
}
