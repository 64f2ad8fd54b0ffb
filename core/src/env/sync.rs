//! One lock type for both worlds: with `std` the system's mutex, without it a cell that admits one borrower, because
//! without `std` the engine runs on one thread.

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

#[cfg(feature = "std")]
mod imp {
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
            self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
        }
    }
}

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
