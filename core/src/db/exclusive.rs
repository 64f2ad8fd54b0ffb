//! The writer lock: one writer's closure or commit at a time. A writer that asks for it again while holding it gets an
//! error, because waiting for oneself would never end.

use alloc::vec::Vec;

use crate::error::{Error, Result};

/// A commit's buffer is given back above this.
const BUFFER_BYTES_KEPT: usize = 1 << 20;

#[cfg(feature = "std")]
mod imp {
    use super::{Result, Vec};
    use crate::env::sync::atomic::{AtomicUsize, Ordering};
    use crate::env::sync::{Mutex, MutexGuard, thread_local};

    /// The lock, and the buffer that commits are encoded in.
    #[derive(Debug, Default)]
    pub(crate) struct Exclusive {
        buffer: Mutex<Vec<u8>>,
        /// The address of a thread-local of the holder, which no other living thread has; 0 when free.
        holder: AtomicUsize,
    }

    pub(crate) struct ExclusiveGuard<'a> {
        lock: &'a Exclusive,
        buffer: MutexGuard<'a, Vec<u8>>,
    }

    fn this_thread() -> usize {
        thread_local!(static MARK: u8 = const { 0 });
        MARK.with(|mark| core::ptr::from_ref(mark) as usize)
    }

    impl Exclusive {
        pub(crate) fn lock(&self) -> Result<ExclusiveGuard<'_>> {
            let this = this_thread();
            if self.holder.load(Ordering::Relaxed) == this {
                return Err(super::nested());
            }
            let buffer = self.buffer.lock();
            self.holder.store(this, Ordering::Relaxed);
            Ok(ExclusiveGuard { lock: self, buffer })
        }

        /// The lock if nobody has it.
        pub(crate) fn try_lock(&self) -> Result<Option<ExclusiveGuard<'_>>> {
            let this = this_thread();
            if self.holder.load(Ordering::Relaxed) == this {
                return Err(super::nested());
            }
            let Some(buffer) = self.buffer.try_lock() else { return Ok(None) };
            self.holder.store(this, Ordering::Relaxed);
            Ok(Some(ExclusiveGuard { lock: self, buffer }))
        }
    }

    impl ExclusiveGuard<'_> {
        pub(crate) fn buffer(&mut self) -> &mut Vec<u8> {
            &mut self.buffer
        }
    }

    impl Drop for ExclusiveGuard<'_> {
        fn drop(&mut self) {
            super::shrink(&mut self.buffer);
            self.lock.holder.store(0, Ordering::Relaxed);
        }
    }
}

#[cfg(not(feature = "std"))]
mod imp {
    use super::{Result, Vec};
    use core::cell::{RefCell, RefMut};

    /// The lock, and the buffer that commits are encoded in.
    #[derive(Debug, Default)]
    pub(crate) struct Exclusive(RefCell<Vec<u8>>);

    pub(crate) struct ExclusiveGuard<'a>(RefMut<'a, Vec<u8>>);

    impl Exclusive {
        pub(crate) fn lock(&self) -> Result<ExclusiveGuard<'_>> {
            self.0.try_borrow_mut().map(ExclusiveGuard).map_err(|_| super::nested())
        }
    }

    impl ExclusiveGuard<'_> {
        pub(crate) fn buffer(&mut self) -> &mut Vec<u8> {
            &mut self.0
        }
    }

    impl Drop for ExclusiveGuard<'_> {
        fn drop(&mut self) {
            super::shrink(&mut self.0);
        }
    }
}

pub(super) use imp::{Exclusive, ExclusiveGuard};

fn nested() -> Error {
    Error::invalid("the database is used inside a transaction on it; use the transaction instead")
}

fn shrink(buffer: &mut Vec<u8>) {
    if buffer.capacity() > BUFFER_BYTES_KEPT {
        *buffer = Vec::new();
    }
}
