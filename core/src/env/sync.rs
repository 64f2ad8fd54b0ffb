//! Locks, atomics and threads for both worlds: with `std` the system's, without it what one thread needs, because without
//! `std` the engine runs on one.
//!
//! What decides who goes first is taken from here and from nowhere else, so that a build with `--cfg shuttle` can put
//! the primitives of [shuttle](https://docs.rs/shuttle) in their place: its scheduler then tries thousands of orders.

/// `Send + Sync` where there are threads (`std`), nothing where there are none, so that browser handles, which may not
/// leave their worker, can be storages too.
#[cfg(feature = "std")]
pub trait MaybeSendSync: Send + Sync {}
#[cfg(feature = "std")]
impl<T: Send + Sync + ?Sized> MaybeSendSync for T {}

/// `Send + Sync` where there are threads (`std`), nothing where there are none.
#[cfg(not(feature = "std"))]
pub trait MaybeSendSync {}
#[cfg(not(feature = "std"))]
impl<T: ?Sized> MaybeSendSync for T {}

#[cfg(not(shuttle))]
pub(crate) use core::sync::atomic;
#[cfg(all(feature = "std", not(shuttle)))]
pub(crate) use std::{sync::mpsc, thread, thread_local};

#[cfg(shuttle)]
pub(crate) use shuttle::{
    sync::{atomic, mpsc},
    thread, thread_local,
};

#[cfg(all(feature = "std", not(shuttle)))]
mod imp {
    use std::sync::{PoisonError, TryLockError};
    use std::time::Duration;

    /// A mutual exclusion lock that a panicking holder does not poison: every holder leaves its data consistent or
    /// poisons the database explicitly.
    #[derive(Debug, Default)]
    pub(crate) struct Mutex<T>(std::sync::Mutex<T>);
    pub(crate) type MutexGuard<'a, T> = std::sync::MutexGuard<'a, T>;

    impl<T> Mutex<T> {
        pub(crate) const fn new(value: T) -> Self {
            Self(std::sync::Mutex::new(value))
        }
        pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
            self.0.lock().unwrap_or_else(PoisonError::into_inner)
        }
        /// `None` when somebody has it.
        pub(crate) fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
            match self.0.try_lock() {
                Ok(guard) => Some(guard),
                Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
                Err(TryLockError::WouldBlock) => None,
            }
        }
    }

    /// Where threads wait until what a lock guards has changed.
    #[derive(Debug, Default)]
    pub(crate) struct Condvar(std::sync::Condvar);

    impl Condvar {
        pub(crate) fn notify_one(&self) {
            self.0.notify_one();
        }
        pub(crate) fn notify_all(&self) {
            self.0.notify_all();
        }
        pub(crate) fn wait<'a, T>(&self, guard: MutexGuard<'a, T>) -> MutexGuard<'a, T> {
            self.0.wait(guard).unwrap_or_else(PoisonError::into_inner)
        }
        /// Also whether `limit` has passed without a notification.
        pub(crate) fn wait_timeout<'a, T>(
            &self,
            guard: MutexGuard<'a, T>,
            limit: Duration,
        ) -> (MutexGuard<'a, T>, bool) {
            let (guard, timeout) = self.0.wait_timeout(guard, limit).unwrap_or_else(PoisonError::into_inner);
            (guard, timeout.timed_out())
        }
    }
}

#[cfg(shuttle)]
#[path = "sync/scheduled.rs"]
mod imp;

#[cfg(not(feature = "std"))]
mod imp {
    use core::cell::{RefCell, RefMut};

    /// Without threads a lock is a borrow that is never contended.
    #[derive(Debug, Default)]
    pub(crate) struct Mutex<T>(RefCell<T>);
    pub(crate) type MutexGuard<'a, T> = RefMut<'a, T>;

    impl<T> Mutex<T> {
        pub(crate) const fn new(value: T) -> Self {
            Self(RefCell::new(value))
        }
        pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
            self.0.borrow_mut()
        }
    }
}

pub(crate) use imp::Mutex;
#[cfg(feature = "std")]
pub(crate) use imp::{Condvar, MutexGuard};
