//! The time of day of a simulation.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use lightning_db::env::Clock;

use crate::sim::clock::SimClock;

/// When simulations begin, in milliseconds since 1970.
const START_MS: u64 = 1_700_000_000_000;

#[derive(Debug)]
pub(super) struct PlanClock {
    wall_ms: AtomicU64,
    beside: Arc<SimClock>,
}

impl PlanClock {
    pub(super) fn new(beside: &Arc<SimClock>) -> Self {
        Self { wall_ms: AtomicU64::new(START_MS), beside: Arc::clone(beside) }
    }

    pub(super) fn pass(&self, ms: u64) {
        self.wall_ms.fetch_add(ms, Ordering::Relaxed);
    }
}

impl Clock for PlanClock {
    fn wall_ms(&self) -> u64 {
        self.wall_ms.load(Ordering::Relaxed)
    }
    fn monotonic_ns(&self) -> u64 {
        self.beside.monotonic_ns()
    }
}
