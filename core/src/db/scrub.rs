//! Scrubbing: in steps by whoever likes, or now and then by a thread of its own.

use alloc::sync::Arc;
use core::fmt;

use super::database::Database;
use crate::engine::{CheckReport, Engine, ScrubWork};
use crate::error::Result;

/// A verification of everything stored, in bounded steps, beside whatever else goes on.
///
/// ```
/// # use std::sync::Arc;
/// # use lightning_db::{env::*, Database, Environment, Options};
/// # let env = Environment { clock: Arc::new(FixedClock(0)), entropy: Arc::new(SeededEntropy::new(1)) };
/// # let db = Database::open_storage(Arc::new(MemoryStorage::new()), env, Options::default())?;
/// let mut scrub = db.scrub();
/// while scrub.step(64)? {}
/// assert!(scrub.report().is_clean());
/// # Ok::<(), lightning_db::Error>(())
/// ```
pub struct Scrub {
    engine: Arc<Engine>,
    work: ScrubWork,
}

impl Database {
    /// Begins to verify what is stored now: every node and value against its checksum, the structure of the trees, the
    /// order and number of entries. It holds nobody up; what it looks at keeps its space until the scrub is dropped. Damage
    /// is listed in the report, and counted in [`stats`](Self::stats).
    pub fn scrub(&self) -> Scrub {
        let engine = Arc::clone(&self.shared.engine);
        Scrub { work: ScrubWork::new(&engine), engine }
    }
}

impl Scrub {
    /// Reads up to `nodes` nodes, and the values that those before refer to; tells whether there is more.
    pub fn step(&mut self, nodes: usize) -> Result<bool> {
        self.work.step(&self.engine, nodes)
    }

    /// What has been seen so far.
    pub fn report(&self) -> &CheckReport {
        self.work.report()
    }
}

impl fmt::Debug for Scrub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scrub").field("report", self.report()).finish_non_exhaustive()
    }
}

#[cfg(feature = "std")]
pub(super) use thread::start;

#[cfg(feature = "std")]
mod thread {
    use std::sync::Arc;
    use std::time::Duration;

    use crate::db::stoppable_thread::{Stop, StoppableThread};
    use crate::engine::{Engine, ScrubWork};

    /// Nodes read at once, and the rest between: some 25 MB a second, unless it has to be more for everything to be read in
    /// time.
    const STEP_NODES: usize = 64;
    const STEP_REST_NS_MAX: u64 = 10_000_000;

    /// The thread that scrubs now and then: a scrub begins each `interval`, and is to be done within it. Where the system
    /// gives no thread nothing is scrubbed, and `stats` tells so.
    pub(in crate::db) fn start(engine: &Arc<Engine>, interval: Duration) -> StoppableThread {
        let thread = StoppableThread::default();
        let engine = Arc::clone(engine);
        thread.start("lightning-scrub", move |stop| run(&engine, interval, stop));
        thread
    }

    fn run(engine: &Engine, interval: Duration, stop: &Stop) {
        let now_ns = || engine.env.clock.monotonic_ns();
        let mut rest = interval;
        while !stop.rest(rest) {
            let due_ns = now_ns().saturating_add(u64::try_from(interval.as_nanos()).unwrap_or(u64::MAX));
            engine.scrubs.expect(due_ns);
            let mut work = ScrubWork::new(engine);
            let mut bytes = 0;
            // An I/O error is told to whoever reads there; the next scrub begins anew.
            while let Ok(true) = work.step(engine, STEP_NODES) {
                let step_bytes = work.bytes() - core::mem::replace(&mut bytes, work.bytes());
                let rest_ns = engine.scrubs.rest_ns(step_bytes, STEP_REST_NS_MAX, now_ns());
                if stop.rest(Duration::from_nanos(rest_ns)) {
                    return;
                }
            }
            rest = Duration::from_nanos(due_ns.saturating_sub(now_ns()));
        }
    }
}
