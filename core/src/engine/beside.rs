//! Barriers of background work that a thread of their own waits for, so that flushes and merges go on meanwhile.
//!
//! Without such a thread, as in a browser or in a simulation, a barrier is waited for where it is asked for, or the
//! platform completes it later.

use alloc::string::String;
use std::boxed::Box;
use std::sync::Arc;
use std::time::Duration;

use super::state::Engine;
use crate::env::sync::{Condvar, Mutex, thread};
use crate::env::{FileId, SyncTicket};
use crate::error::{Error, Result};

const POLL_INTERVAL: Duration = Duration::from_millis(1);

/// What is to be made durable.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Barrier {
    /// Everything written to the data file.
    Data,
    /// The log up to a commit.
    Log(u64),
}

/// The result of one barrier, once it is known.
pub(super) type Outcome = Arc<Mutex<Option<core::result::Result<(), String>>>>;

/// Takes barriers to the thread that waits for them; false when there is none any more.
type BarrierSender = Box<dyn Fn(BarrierRequest) -> bool + Send>;

/// One barrier on its way to the thread.
#[derive(Debug)]
pub(crate) struct BarrierRequest {
    barrier: Barrier,
    outcome: Outcome,
}

/// The way to the thread, and what came back.
#[derive(Default)]
pub(super) struct Beside {
    state: Mutex<State>,
    completed: Condvar,
}

#[derive(Default)]
struct State {
    send: Option<BarrierSender>,
    under_way: usize,
    /// Barriers completed so far.
    count: u64,
}

impl core::fmt::Debug for Beside {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Beside").finish_non_exhaustive()
    }
}

impl Beside {
    /// Sends a barrier to the thread, if there is one.
    fn start(&self, barrier: Barrier) -> Option<Outcome> {
        let mut state = self.state.lock();
        let send = state.send.as_ref()?;
        let outcome = Outcome::default();
        if !send(BarrierRequest { barrier, outcome: Arc::clone(&outcome) }) {
            return None;
        }
        state.under_way += 1;
        Some(outcome)
    }

    /// How many barriers have been completed.
    pub(super) fn count(&self) -> u64 {
        self.state.lock().count
    }

    /// Waits until more than `count` barriers are complete; false when none is under way that could be.
    pub(super) fn wait_beyond(&self, count: u64) -> bool {
        let mut state = self.state.lock();
        while state.count == count {
            if state.under_way == 0 {
                return false;
            }
            state = self.completed.wait(state);
        }
        true
    }
}

impl Engine {
    /// From now on barriers of background work go this way; `None`: they are waited for in place.
    pub(crate) fn wait_beside(&self, send: Option<BarrierSender>) {
        self.beside.state.lock().send = send;
    }

    /// What the thread does with each barrier it is sent.
    pub(crate) fn complete_beside(&self, request: &BarrierRequest) {
        let result = match request.barrier {
            Barrier::Data => {
                let mut ticket = None;
                loop {
                    match self.barrier(FileId::Data, &mut ticket) {
                        // A platform that completes it later tells the engine, not this thread.
                        Err(Error::Pending(_)) => thread::sleep(POLL_INTERVAL),
                        result => break result,
                    }
                }
            }
            Barrier::Log(sequence) => self.make_durable(sequence),
        };
        *request.outcome.lock() = Some(result.map_err(|error| alloc::format!("{error}")));
        let mut state = self.beside.state.lock();
        state.under_way -= 1;
        state.count += 1;
        drop(state);
        self.beside.completed.notify_all();
    }

    /// Whether the barrier is complete: `Pending` until then. `slot` remembers it between calls.
    pub(super) fn barrier_beside(&self, barrier: Barrier, slot: &mut Option<Outcome>) -> Option<Result<()>> {
        if slot.is_none() {
            *slot = Some(self.beside.start(barrier)?);
        }
        let result = slot.as_ref().and_then(|outcome| outcome.lock().take());
        let Some(result) = result else { return Some(Err(Error::Pending(SyncTicket(0)))) };
        *slot = None;
        Some(result.map_err(|cause| Error::Poisoned { cause }))
    }
}
