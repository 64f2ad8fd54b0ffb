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
pub(super) use thread::Scrubbing;

#[cfg(feature = "std")]
mod thread {
    use std::sync::{Arc, Condvar, Mutex, PoisonError};
    use std::thread::JoinHandle;
    use std::time::Duration;

    use crate::engine::{Engine, ScrubWork};

    /// Nodes read at once, and the rest between: some 25 MB a second, unless it has to be more for everything to be read in
    /// time.
    const STEP_NODES: usize = 64;
    const STEP_REST_NS_MAX: u64 = 10_000_000;

    /// The thread that scrubs now and then. It ends with the database.
    #[derive(Debug)]
    pub(in crate::db) struct Scrubbing {
        stop: Arc<Stop>,
        thread: Mutex<Option<JoinHandle<()>>>,
    }

    #[derive(Debug, Default)]
    struct Stop {
        stopped: Mutex<bool>,
        changed: Condvar,
    }

    impl Stop {
        /// Rests; true when it is to end.
        fn rest(&self, time: Duration) -> bool {
            let stopped = self.stopped.lock().unwrap_or_else(PoisonError::into_inner);
            let rested = self.changed.wait_timeout_while(stopped, time, |stopped| !*stopped);
            *rested.unwrap_or_else(PoisonError::into_inner).0
        }
    }

    impl Scrubbing {
        /// A scrub begins each `interval`, and is to be done within it. `None` when the system gives no thread.
        pub(in crate::db) fn start(engine: &Arc<Engine>, interval: Duration) -> Option<Self> {
            let stop = Arc::new(Stop::default());
            let (engine, seen) = (Arc::clone(engine), Arc::clone(&stop));
            let thread = std::thread::Builder::new().name("lightning-scrub".into()).spawn(move || {
                let now_ns = || engine.env.clock.monotonic_ns();
                let mut rest = interval;
                while !seen.rest(rest) {
                    let due_ns = now_ns().saturating_add(u64::try_from(interval.as_nanos()).unwrap_or(u64::MAX));
                    engine.scrubs.expect(due_ns);
                    let mut work = ScrubWork::new(&engine);
                    let mut bytes = 0;
                    // An I/O error is told to whoever reads there; the next scrub begins anew.
                    while let Ok(true) = work.step(&engine, STEP_NODES) {
                        let step_bytes = work.bytes() - core::mem::replace(&mut bytes, work.bytes());
                        let rest_ns = engine.scrubs.rest_ns(step_bytes, STEP_REST_NS_MAX, now_ns());
                        if seen.rest(Duration::from_nanos(rest_ns)) {
                            return;
                        }
                    }
                    rest = Duration::from_nanos(due_ns.saturating_sub(now_ns()));
                }
            });
            Some(Self { stop, thread: Mutex::new(Some(thread.ok()?)) })
        }

        /// Ends the thread and waits for it.
        pub(in crate::db) fn stop(&self) {
            *self.stop.stopped.lock().unwrap_or_else(PoisonError::into_inner) = true;
            self.stop.changed.notify_all();
            let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
            if let Some(thread) = thread {
                // A panic there has been reported by the panic hook.
                let _ = thread.join();
            }
        }
    }
}
