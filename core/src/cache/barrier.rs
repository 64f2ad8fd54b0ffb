//! A memory barrier of which readers, who pass it all the time, pay nothing.
//!
//! Two threads each write, pass the barrier, and read what the other wrote: at least one of them sees the other's write.
//! Sequentially consistent fences on both sides give that. Where the system can make all threads of the process pass a
//! fence (`membarrier` of Linux), whoever changes things asks it to, and a reader only keeps its compiler from reordering.

//!
//! The system takes milliseconds to prepare for that in a process of several threads. So both sides begin with fences, and
//! whoever passes the heavy side often changes over, in two steps: first the heavy side asks all threads, and only when all
//! of them have passed such a fence do readers do without theirs. Whoever passed the heavy side with a fence alone came
//! before that, so its writes are seen by every reader without one.

#[cfg(not(loom))]
use core::sync::atomic::fence;
use core::sync::atomic::{Ordering, compiler_fence};
#[cfg(loom)]
use loom::sync::atomic::fence;

use crate::env::sync::atomic::AtomicUsize;

/// After so many passes of the heavy side it is worth to change over.
const FENCES_MAX: usize = 64;

/// Both sides use fences; below it is how often the heavy side did.
const ASKS_ALL: usize = FENCES_MAX + 1;
/// The heavy side asks all threads, and readers do nothing.
const LIGHT: usize = FENCES_MAX + 2;
/// The system cannot: fences for ever.
const NEVER: usize = FENCES_MAX + 3;

/// How both sides do it.
#[derive(Debug)]
pub(super) struct Barrier {
    /// The passes of the heavy side, then one of the constants above.
    state: AtomicUsize,
}

impl Barrier {
    pub(super) fn new() -> Self {
        Self { state: AtomicUsize::new(0) }
    }

    /// The side that passes often.
    #[inline]
    pub(super) fn light(&self) {
        if self.state.load(Ordering::Acquire) == LIGHT {
            compiler_fence(Ordering::SeqCst);
        } else {
            fence(Ordering::SeqCst);
        }
    }

    /// The side that passes rarely. False when there was no barrier.
    #[must_use]
    pub(super) fn heavy(&self) -> bool {
        fence(Ordering::SeqCst);
        match self.state.load(Ordering::SeqCst) {
            ASKS_ALL | LIGHT => imp::fence_all_threads(),
            NEVER => true,
            passes => {
                let next = passes + 1;
                let counted = self.state.compare_exchange(passes, next, Ordering::SeqCst, Ordering::SeqCst);
                if counted.is_ok() && passes == FENCES_MAX {
                    self.change_over();
                }
                true
            }
        }
    }

    /// By the one who has counted to [`ASKS_ALL`]: from then on the others ask all threads.
    #[cold]
    fn change_over(&self) {
        let is_ready = imp::prepare() && imp::fence_all_threads();
        self.state.store(if is_ready { LIGHT } else { NEVER }, Ordering::SeqCst);
    }
}

#[cfg(all(target_os = "linux", feature = "std", not(any(miri, loom))))]
mod imp {
    use rustix::thread::{MembarrierCommand, membarrier, membarrier_query};

    pub(super) fn prepare() -> bool {
        membarrier_query().contains_command(MembarrierCommand::PrivateExpedited)
            && membarrier(MembarrierCommand::RegisterPrivateExpedited).is_ok()
    }

    pub(super) fn fence_all_threads() -> bool {
        membarrier(MembarrierCommand::PrivateExpedited).is_ok()
    }
}

#[cfg(not(all(target_os = "linux", feature = "std", not(any(miri, loom)))))]
mod imp {
    pub(super) fn prepare() -> bool {
        false
    }

    pub(super) fn fence_all_threads() -> bool {
        false
    }
}
