//! How much memory something takes at most, and how much a program holds: a global allocator that counts, for each thread
//! and for all.
//!
//! **Why the unsafe code is sound:** every call goes to [`System`] unchanged, with the very layout it came with; counting
//! touches a thread-local `Cell` that has no destructor and is made without allocating, and an atomic, so it works in an
//! allocator and until the thread's last moment. Where a thread's storage is gone, nothing is counted.
#![allow(unsafe_code)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::atomic::{AtomicIsize, Ordering};

/// Declare `#[global_allocator] static ALLOCATOR: Counting = Counting;` in a program, and [`peak_of`] and [`held`] tell what it
/// takes.
#[derive(Debug)]
pub struct Counting;

static HELD: AtomicIsize = AtomicIsize::new(0);

thread_local! {
    static LIVE: Cell<isize> = const { Cell::new(0) };
    static PEAK: Cell<isize> = const { Cell::new(0) };
}

/// Bytes that the program has allocated and not given back: its memory without what the allocator keeps to itself. 0 in a
/// program without the allocator.
pub fn held() -> u64 {
    u64::try_from(HELD.load(Ordering::Relaxed)).unwrap_or(0)
}

/// Runs `body`; gives what it gave, and the most bytes that were allocated at once by this thread meanwhile, beyond those
/// allocated before. 0 in a program without the allocator.
pub fn peak_of<R>(body: impl FnOnce() -> R) -> (R, usize) {
    let before = LIVE.get();
    PEAK.set(before);
    let result = body();
    (result, usize::try_from(PEAK.get() - before).unwrap_or(0))
}

fn count(bytes: isize) {
    HELD.fetch_add(bytes, Ordering::Relaxed);
    let _ = LIVE.try_with(|live| {
        let now = live.get() + bytes;
        live.set(now);
        let _ = PEAK.try_with(|peak| peak.set(peak.get().max(now)));
    });
}

// SAFETY: see the top of the file.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as isize);
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        count(-(layout.size() as isize));
        // SAFETY: the caller's promise is passed on.
        unsafe { System.dealloc(at, layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as isize);
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(size as isize - layout.size() as isize);
        // SAFETY: the caller's promise is passed on.
        unsafe { System.realloc(at, layout, size) }
    }
}
