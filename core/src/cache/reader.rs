//! A small number for each thread that reads, its own until it ends.

pub(super) use imp::{READERS_MAX, highest, number};

#[cfg(feature = "std")]
mod imp {
    use crate::env::sync::thread_local;
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicUsize, Ordering};

    /// More threads than this read by the slower way.
    pub(crate) const READERS_MAX: usize = if cfg!(shuttle) { 4 } else { 64 };

    static TAKEN: Mutex<[bool; READERS_MAX]> = Mutex::new([false; READERS_MAX]);
    static HIGHEST: AtomicUsize = AtomicUsize::new(0);

    thread_local! {
        static NUMBER: Number = Number::take();
    }

    struct Number(Option<usize>);

    impl Number {
        fn take() -> Self {
            let mut taken = TAKEN.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            let free = taken.iter_mut().enumerate().find(|(_, taken)| !**taken);
            Self(free.map(|(number, taken)| {
                *taken = true;
                // Before the first pin with this number: whoever looks for pins looks at it too.
                HIGHEST.fetch_max(number + 1, Ordering::SeqCst);
                number
            }))
        }
    }

    impl Drop for Number {
        fn drop(&mut self) {
            let mut taken = TAKEN.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            if let Some(taken) = self.0.and_then(|number| taken.get_mut(number)) {
                *taken = false;
            }
        }
    }

    /// This thread's number; `None` when there is none left, or when the thread is ending.
    #[inline]
    pub(crate) fn number() -> Option<usize> {
        NUMBER.try_with(|number| number.0).ok().flatten()
    }

    /// All numbers ever given are below this.
    #[inline]
    pub(crate) fn highest() -> usize {
        // What an earlier schedule left behind must not change the next one.
        if cfg!(shuttle) { READERS_MAX } else { HIGHEST.load(Ordering::SeqCst) }
    }
}

#[cfg(not(feature = "std"))]
mod imp {
    /// Without threads there is one reader.
    pub(crate) const READERS_MAX: usize = 1;

    #[inline]
    pub(crate) fn number() -> Option<usize> {
        Some(0)
    }

    #[inline]
    pub(crate) fn highest() -> usize {
        READERS_MAX
    }
}
