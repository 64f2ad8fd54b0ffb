//! A memory barrier of which readers, who pass it all the time, pay nothing.
//!
//! Two threads each write, pass the barrier, and read what the other wrote: at least one of them sees the other's write.
//! Sequentially consistent fences on both sides give that. Where the system can make all threads of the process pass a
//! fence (`membarrier` of Linux), whoever changes things asks it to, and a reader only keeps its compiler from reordering.

#[cfg(not(loom))]
use core::sync::atomic::fence;
use core::sync::atomic::{Ordering, compiler_fence};
#[cfg(loom)]
use loom::sync::atomic::fence;

/// How both sides do it; decided once.
#[derive(Debug)]
pub(super) struct Barrier {
    asymmetric: bool,
}

impl Barrier {
    pub(super) fn new() -> Self {
        Self { asymmetric: imp::prepare() }
    }

    /// The side that passes often.
    #[inline]
    pub(super) fn light(&self) {
        if self.asymmetric {
            compiler_fence(Ordering::SeqCst);
        } else {
            fence(Ordering::SeqCst);
        }
    }

    /// The side that passes rarely. False when there was no barrier.
    #[must_use]
    pub(super) fn heavy(&self) -> bool {
        fence(Ordering::SeqCst);
        !self.asymmetric || imp::fence_all_threads()
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
