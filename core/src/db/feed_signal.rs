//! What a feed that waits for the next commit sleeps on.

use std::sync::Arc;
use std::time::Duration;

use super::watchers::{WatchHandle, Watcher};
use crate::engine::Engine;
use crate::env::sync::{Condvar, Mutex};
use crate::error::{Error, Result};
use crate::log::Operations;

/// Told of every publication for as long as it lives; made when a feed first waits.
pub(super) struct FeedSignal {
    told: Arc<Told>,
    clock: Arc<dyn crate::env::Clock>,
    _handle: WatchHandle,
}

#[derive(Default)]
struct Told {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    published: u64,
    /// Feeds that wait now.
    waiting: usize,
    stopped: Option<Error>,
}

impl Watcher for Told {
    fn committed(&self, _: u64, _: Operations<'_>) {}

    fn published(&self, sequence: u64) {
        let mut state = self.state.lock();
        state.published = state.published.max(sequence);
        let anybody = state.waiting > 0;
        drop(state);
        // Each commit comes here, and waking asks the system.
        if anybody {
            self.changed.notify_all();
        }
    }

    fn stopped(&self, why: &Error) {
        self.state.lock().stopped = Some(why.clone());
        self.changed.notify_all();
    }
}

impl FeedSignal {
    pub(super) fn new(engine: &Arc<Engine>) -> Self {
        let told = Arc::new(Told::default());
        let handle = WatchHandle::new(engine, Arc::clone(&told) as Arc<dyn Watcher>);
        Self { told, clock: Arc::clone(&engine.env.clock), _handle: handle }
    }

    /// Whether a commit after `sequence` became visible before `timeout` had passed.
    pub(super) fn wait(&self, sequence: u64, timeout: Duration) -> Result<bool> {
        let start_ns = self.clock.monotonic_ns();
        let mut state = self.told.state.lock();
        loop {
            if state.published > sequence {
                return Ok(true);
            }
            if let Some(why) = &state.stopped {
                return Err(why.clone());
            }
            let passed = Duration::from_nanos(self.clock.monotonic_ns().saturating_sub(start_ns));
            let Some(left) = timeout.checked_sub(passed).filter(|left| !left.is_zero()) else { return Ok(false) };
            state.waiting += 1;
            let (again, timed_out) = self.told.changed.wait_timeout(state, left);
            state = again;
            state.waiting -= 1;
            if timed_out {
                // The clock of the system has moved on, that of the environment may stand still.
                return if state.published > sequence {
                    Ok(true)
                } else {
                    state.stopped.clone().map_or(Ok(false), Err)
                };
            }
        }
    }
}
