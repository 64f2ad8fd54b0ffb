//! The thread that does background work, the one that waits for its barriers, and the writers that wait for it.

use std::sync::Arc;
use std::time::Duration;

use crate::engine::{Engine, Progress};
use crate::env::sync::thread::{self, JoinHandle};
use crate::env::sync::{Condvar, Mutex, MutexGuard, mpsc};
use crate::error::{Error, Result};
use crate::testing::Mutant;

/// A resting database's memtable is merged after this long without a commit.
const IDLE_INTERVAL: Duration = Duration::from_secs(5);

/// Handle of the thread. It holds the engine weakly enough that dropping the database ends it: the database stops it
/// first.
#[derive(Debug)]
pub(super) struct Background {
    signal: Arc<Signal>,
    engine: Arc<Engine>,
    thread: Mutex<Option<JoinHandle<()>>>,
    barriers: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Debug, Default)]
struct Signal {
    state: Mutex<State>,
    /// There may be work.
    work: Condvar,
    /// Work was done.
    progress: Condvar,
}

#[derive(Debug, Default)]
struct State {
    stop: bool,
    wanted: bool,
    failed: Option<Error>,
}

impl Signal {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }

    fn wake(&self) {
        let mut state = self.lock();
        if !state.wanted {
            state.wanted = true;
            self.work.notify_one();
        }
    }
}

impl Background {
    /// `None` when the system gives no thread: writers then do the work themselves.
    pub(super) fn start(engine: &Arc<Engine>) -> Option<Self> {
        let signal = Arc::new(Signal::default());
        let barriers = start_barriers(engine, &signal);
        let (worked, seen) = (Arc::clone(engine), Arc::clone(&signal));
        let thread = thread::Builder::new().name("lightning-background".into()).spawn(move || run(&worked, &seen));
        let Ok(thread) = thread else {
            engine.wait_beside(None);
            return None;
        };
        let (thread, barriers) = (Mutex::new(Some(thread)), Mutex::new(barriers));
        Some(Self { signal, engine: Arc::clone(engine), thread, barriers })
    }

    /// There may be work.
    pub(super) fn wake(&self) {
        self.signal.wake();
    }

    /// Returns when writers may go on; fails with what stops the background work now: what stopped it earlier may be over.
    pub(super) fn wait_for_room(&self, engine: &Engine) -> Result<()> {
        let mut state = self.signal.lock();
        state.failed = None;
        state.wanted = true;
        self.signal.work.notify_one();
        while engine.must_wait() {
            if let Some(error) = state.failed.take() {
                return Err(error);
            }
            if state.stop {
                return Err(Error::Closed);
            }
            state = self.signal.progress.wait(state);
        }
        Ok(())
    }

    /// Ends the thread and waits for it.
    pub(super) fn stop(&self) {
        self.signal.lock().stop = true;
        self.signal.work.notify_all();
        self.signal.progress.notify_all();
        // Without the way to it the thread of the barriers ends with the last one it was sent.
        self.engine.wait_beside(None);
        for thread in [&self.thread, &self.barriers] {
            let thread = thread.lock().take();
            if let Some(thread) = thread
                && thread.thread().id() != thread::current().id()
            {
                // A panic there has been reported by the panic hook; the engine's state is checked on every use.
                let _ = thread.join();
            }
        }
    }
}

/// The thread that waits for barriers. Without it they are waited for where they are asked for.
fn start_barriers(engine: &Arc<Engine>, signal: &Arc<Signal>) -> Option<JoinHandle<()>> {
    let (send, requests) = mpsc::channel();
    let (synced, signal) = (Arc::clone(engine), Arc::clone(signal));
    let thread = thread::Builder::new().name("lightning-barriers".into()).spawn(move || {
        while let Ok(request) = requests.recv() {
            synced.complete_beside(&request);
            signal.wake();
        }
    });
    let thread = thread.ok()?;
    engine.wait_beside(Some(std::boxed::Box::new(move |request| send.send(request).is_ok())));
    Some(thread)
}

fn run(engine: &Engine, signal: &Signal) {
    let mut last_sequence = engine.version().sequence;
    loop {
        {
            // A periodic commit that is due before all others wakes the thread, so nothing is due earlier than this.
            let due = engine.sync_due_in_ns().map(Duration::from_nanos);
            let mut state = signal.lock();
            if !state.wanted && !state.stop {
                let interval = due.map_or(IDLE_INTERVAL, |due| due.min(IDLE_INTERVAL));
                let (woken, timed_out) = signal.work.wait_timeout(state, interval);
                state = woken;
                if timed_out && due.is_none() && !state.wanted && !state.stop {
                    drop(state);
                    let sequence = engine.version().sequence;
                    if sequence == last_sequence {
                        engine.freeze_now();
                    }
                    last_sequence = sequence;
                    state = signal.lock();
                }
            }
            if state.stop {
                return;
            }
            state.wanted = false;
        }
        loop {
            let result = engine.step_without_waiting();
            let mut state = signal.lock();
            if let Err(error) = &result
                && !matches!(error, Error::Pending(_))
            {
                state.failed = Some(error.clone());
            } else {
                state.failed = None;
            }
            if !Mutant::RoomMadeSilently.is_active() {
                signal.progress.notify_all();
            }
            if state.stop {
                return;
            }
            if !matches!(result, Ok(Progress::More)) {
                break;
            }
        }
    }
}
