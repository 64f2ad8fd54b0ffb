//! Who reads at the moment, told without a lock: what was retired may be dropped once nobody is left who may read it.
//!
//! A pin stores the epoch it read in its thread's own cell, then passes the light side of the barrier, then looks things up.
//! Whoever retires a thing first makes it impossible to find and then raises the epoch; it is dropped after passing the
//! heavy side, and when every cell is idle or holds a later epoch. If the collector does not see a pin, the pin came after
//! the barrier, so it does not find the thing. If it sees a later epoch, the pin read what the retirement wrote. Cells are
//! written with release and read with acquire, so that all reads of earlier pins come before what follows a look.

use alloc::boxed::Box;

#[cfg(not(loom))]
use crate::env::sync::atomic::{AtomicUsize, Ordering};
#[cfg(loom)]
use loom::sync::atomic::{AtomicUsize, Ordering};

use super::barrier::Barrier;

/// The cells of all threads that may read.
#[derive(Debug)]
pub(super) struct Pins {
    cells: Box<[Cell]>,
    barrier: Barrier,
    /// Odd, so that no pin stores 0; compared by distance, so that it may wrap around.
    epoch: AtomicUsize,
}

/// What one thread writes while it reads. Alone in its cache lines.
#[derive(Debug)]
#[repr(align(128))]
pub(super) struct Cell {
    /// The epoch of the pin held, 0 when there is none.
    epoch: AtomicUsize,
    hits: AtomicUsize,
}

/// What a look at all cells showed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Look {
    now: usize,
    oldest_age: Option<usize>,
}

impl Pins {
    /// For so many threads.
    pub(super) fn new(readers: usize) -> Self {
        let cell = || Cell { epoch: AtomicUsize::new(0), hits: AtomicUsize::new(0) };
        Self { cells: (0..readers).map(|_| cell()).collect(), barrier: Barrier::new(), epoch: AtomicUsize::new(1) }
    }

    /// Pins for the thread that has this number. `None` when it holds a pin already, or the number has no cell.
    #[inline]
    pub(super) fn enter(&self, reader: usize) -> Option<&Cell> {
        let cell = self.cells.get(reader)?;
        if cell.epoch.load(Ordering::Relaxed) != 0 {
            return None;
        }
        // With release, though nothing was written: whoever acquires this and not the 0 before it comes after the reads of
        // the pin before too.
        cell.epoch.store(self.epoch.load(Ordering::Acquire), Ordering::Release);
        self.barrier.light();
        Some(cell)
    }

    /// Something can be found no more. The number stands for the pins that may still read it; only one thread at a time
    /// may ask for one.
    pub(super) fn retire(&self) -> usize {
        self.epoch.fetch_add(2, Ordering::SeqCst)
    }

    /// Looks at the pins of the first `readers` threads, for whoever may retire. `None` when there was no barrier.
    pub(super) fn look(&self, readers: usize) -> Option<Look> {
        if !self.barrier.heavy() {
            return None;
        }
        let now = self.epoch.load(Ordering::Relaxed);
        let pinned = self.cells.iter().take(readers).map(|cell| cell.epoch.load(Ordering::Acquire));
        // Nothing is older than what has waited longest, and that has waited less often than the epoch can count.
        let oldest_age = pinned.filter(|epoch| *epoch != 0).map(|epoch| now.wrapping_sub(epoch)).max();
        Some(Look { now, oldest_age })
    }

    /// Counted by all pins that have ended.
    pub(super) fn hits(&self) -> usize {
        self.cells.iter().fold(0, |sum, cell| sum.wrapping_add(cell.hits.load(Ordering::Relaxed)))
    }
}

impl Cell {
    /// Ends the pin, which counted so many hits.
    #[inline]
    pub(super) fn leave(&self, hits: usize) {
        self.hits.store(self.hits.load(Ordering::Relaxed).wrapping_add(hits), Ordering::Relaxed);
        self.epoch.store(0, Ordering::Release);
    }
}

impl Look {
    /// Whether no pin is left that may read what was retired then.
    pub(super) fn is_past(&self, retired: usize) -> bool {
        self.oldest_age.is_none_or(|oldest| self.now.wrapping_sub(retired) > oldest)
    }
}

/// All that the memory model allows two threads to see, for the code above as it is.
#[cfg(all(test, loom))]
mod tests {
    use super::*;
    use alloc::sync::Arc;
    use loom::cell::UnsafeCell;

    const GONE: usize = 0;

    /// One place as `residents` has them: a key, and memory that is the key's. Loom refuses every use of it that is not
    /// ordered with one that changes it.
    struct Place {
        key: AtomicUsize,
        memory: UnsafeCell<()>,
    }

    impl Place {
        fn read(&self) {
            if self.key.load(Ordering::Acquire) != GONE {
                self.memory.with(|_| ());
            }
        }

        /// Gives the memory to another key if that is allowed.
        fn replace(&self, pins: &Pins, readers: usize, key: usize) {
            self.key.store(GONE, Ordering::Relaxed);
            let retired = pins.retire();
            if pins.look(readers).is_some_and(|look| look.is_past(retired)) {
                self.memory.with_mut(|_| ());
                self.key.store(key, Ordering::Release);
            }
        }
    }

    fn explore(readers: usize, rounds: usize, replacements: usize) {
        loom::model(move || {
            let place = Place { key: AtomicUsize::new(1), memory: UnsafeCell::new(()) };
            let shared = Arc::new((Pins::new(readers), place));
            let threads: alloc::vec::Vec<_> = (0..readers)
                .map(|reader| {
                    let shared = Arc::clone(&shared);
                    loom::thread::spawn(move || {
                        let (pins, place) = &*shared;
                        for _ in 0..rounds {
                            let pin = pins.enter(reader).unwrap();
                            place.read();
                            pin.leave(1);
                        }
                    })
                })
                .collect();
            let (pins, place) = &*shared;
            for key in 2..2 + replacements {
                place.replace(pins, readers, key);
            }
            threads.into_iter().for_each(|thread| thread.join().unwrap());
        });
    }

    #[test]
    fn memory_is_not_given_away_while_a_pin_may_read_it() {
        explore(1, 1, 2);
    }

    #[test]
    fn a_second_pin_does_not_hide_the_reads_of_the_first() {
        explore(1, 2, 1);
    }

    #[test]
    fn every_reader_counts() {
        explore(2, 1, 1);
    }
}
