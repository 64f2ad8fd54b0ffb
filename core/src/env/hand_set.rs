//! A clock for tests that is set by hand.

use std::sync::atomic::{AtomicU64, Ordering};

use super::Clock;

/// Shows the milliseconds it was set to.
#[derive(Debug, Default)]
pub(crate) struct HandSet(pub AtomicU64);

impl Clock for HandSet {
    fn wall_ms(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
    fn monotonic_ns(&self) -> u64 {
        self.wall_ms() * 1_000_000 + 1
    }
}
