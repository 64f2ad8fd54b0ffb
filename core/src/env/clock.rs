//! Time comes in from outside, so that a test or simulator owns it.

use super::sync::MaybeSendSync;

/// The two clocks the engine uses.
pub trait Clock: MaybeSendSync {
    /// Milliseconds since the Unix epoch. May jump.
    fn wall_ms(&self) -> u64;
    /// Nanoseconds from an arbitrary start. Never goes back.
    fn monotonic_ns(&self) -> u64;
}

/// A clock that always shows the same time, for tests and for devices without one.
#[derive(Clone, Copy, Debug, Default)]
pub struct FixedClock(pub u64);

impl Clock for FixedClock {
    fn wall_ms(&self) -> u64 {
        self.0
    }
    fn monotonic_ns(&self) -> u64 {
        self.0.saturating_mul(1_000_000)
    }
}

/// The operating system's clocks.
#[cfg(feature = "std")]
#[derive(Clone, Copy, Debug)]
pub struct SystemClock(std::time::Instant);

#[cfg(feature = "std")]
impl Default for SystemClock {
    fn default() -> Self {
        Self(std::time::Instant::now())
    }
}

#[cfg(feature = "std")]
impl Clock for SystemClock {
    fn wall_ms(&self) -> u64 {
        std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
    }
    fn monotonic_ns(&self) -> u64 {
        u64::try_from(self.0.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }
}
