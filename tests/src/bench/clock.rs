//! A stopwatch for wall time and for the CPU time of the whole process.

use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

/// Adds up what runs inside [`Stopwatch::time`]; what is generated between two calls does not count.
#[derive(Default)]
pub(crate) struct Stopwatch {
    wall: Duration,
    cpu: Duration,
}

impl Stopwatch {
    /// Runs and times `work`.
    pub(crate) fn time<R>(&mut self, work: impl FnOnce() -> R) -> R {
        let cpu = process_cpu();
        let start = Instant::now();
        let result = work();
        self.wall += start.elapsed();
        self.cpu += process_cpu().saturating_sub(cpu);
        result
    }

    pub(crate) fn wall(&self) -> Duration {
        self.wall
    }

    /// All threads of the process: what a peer leaves to its background threads counts too.
    pub(crate) fn cpu(&self) -> Duration {
        self.cpu
    }
}

/// CPU time of this process since it started.
pub(crate) fn process_cpu() -> Duration {
    let now = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(now.tv_sec.try_into().unwrap_or(0), now.tv_nsec.try_into().unwrap_or(0))
}
