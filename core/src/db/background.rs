//! The thread that does background work, the one that waits for its barriers, and the writers that wait for it.

use std::sync::Arc;
use std::time::Duration;

use crate::engine::{Engine, Progress};
use crate::env::sync::atomic::{AtomicUsize, Ordering};
use crate::env::sync::thread::{self, JoinHandle};
use crate::env::sync::{Condvar, Mutex, MutexGuard, mpsc};
use crate::error::{Error, Result};
use crate::testing::Mutant;

/// A resting database's memtable is merged after this long without a commit.
const IDLE_INTERVAL: Duration = Duration::from_secs(5);

/// The threads of one database. They hold the engine weakly enough that dropping the database ends them: the database
/// stops them first.
///
/// **The rule:** whoever has committed, or waits for room, has started them before. So a database that was closed properly
/// and is only read starts none, and background work rests there anyway.
#[derive(Debug)]
pub(super) struct Background {
    signal: Arc<Signal>,
    engine: Arc<Engine>,
    /// Which of [`NOT_STARTED`], [`RUNNING`] and [`NONE`]; changed under `threads`.
    state: AtomicUsize,
    threads: Mutex<[Option<JoinHandle<()>>; 2]>,
}

const NOT_STARTED: usize = 0;
const RUNNING: usize = 1;
/// The system gave none, or they were stopped.
const NONE: usize = 2;

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
    pub(super) fn new(engine: &Arc<Engine>) -> Self {
        Self {
            signal: Arc::default(),
            engine: Arc::clone(engine),
            state: AtomicUsize::new(NOT_STARTED),
            threads: Mutex::default(),
        }
    }

    /// Starts them, if they are not running. False when the system gives none, or when they were stopped: writers then do the
    /// work themselves.
    #[inline]
    pub(super) fn start(&self) -> bool {
        match self.state.load(Ordering::Acquire) {
            RUNNING => true,
            NONE => false,
            _ => self.start_now(),
        }
    }

    #[cold]
    fn start_now(&self) -> bool {
        let mut threads = self.threads.lock();
        if self.state.load(Ordering::Acquire) == NOT_STARTED {
            let barriers = start_barriers(&self.engine, &self.signal);
            let (engine, signal) = (Arc::clone(&self.engine), Arc::clone(&self.signal));
            let thread =
                thread::Builder::new().name("lightning-background".into()).spawn(move || run(&engine, &signal));
            let state = if thread.is_ok() { RUNNING } else { NONE };
            if thread.is_err() {
                self.engine.wait_beside(None);
            }
            *threads = [thread.ok(), barriers];
            self.state.store(state, Ordering::Release);
        }
        self.state.load(Ordering::Acquire) == RUNNING
    }

    /// There may be work.
    pub(super) fn wake(&self) {
        self.signal.wake();
    }

    /// Returns when writers may go on, false at once where there are no threads; fails with what stops the background work now: what stopped it earlier may be over.
    pub(super) fn wait_for_room(&self, engine: &Engine) -> Result<bool> {
        if !self.start() {
            return Ok(false);
        }
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
        Ok(true)
    }

    /// Ends the threads and waits for them; none is started after.
    pub(super) fn stop(&self) {
        let threads = {
            let mut threads = self.threads.lock();
            self.state.store(NONE, Ordering::Release);
            core::mem::take(&mut *threads)
        };
        self.signal.lock().stop = true;
        self.signal.work.notify_all();
        self.signal.progress.notify_all();
        // Without the way to it the thread of the barriers ends with the last one it was sent.
        self.engine.wait_beside(None);
        for thread in threads.into_iter().flatten() {
            if thread.thread().id() != thread::current().id() {
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

#[cfg(all(test, not(loom)))]
mod tests {
    use super::{NONE, NOT_STARTED, Ordering, RUNNING};
    use crate::Table;
    use crate::db::{Database, Options};
    use crate::engine::Environment;
    use crate::env::{FileId, FixedClock, MemoryStorage, SeededEntropy};
    use std::sync::Arc;

    const TABLE: Table<u32, u32> = Table::new("t");

    fn open(storage: &Arc<MemoryStorage>) -> Database {
        let env = Environment { clock: Arc::new(FixedClock(1000)), entropy: Arc::new(SeededEntropy::new(7)) };
        Database::open_storage(Arc::clone(storage) as _, env, Options::default()).unwrap()
    }

    fn put(database: &Database, number: u32) {
        database.transaction(|tx| tx.table(TABLE)?.put(number, number)).unwrap();
    }

    fn state(database: &Database) -> usize {
        database.shared.background.as_ref().unwrap().state.load(Ordering::Relaxed)
    }

    #[test]
    fn who_only_reads_starts_no_threads() {
        let storage = Arc::new(MemoryStorage::default());
        let database = open(&storage);
        assert_eq!(state(&database), RUNNING, "a new database is written to");
        put(&database, 1);
        database.close().unwrap();
        assert_eq!(state(&database), NONE);
        drop(database);

        let database = open(&storage);
        assert!(database.snapshot().table(TABLE).unwrap().get(1).unwrap().is_some());
        assert_eq!(state(&database), NOT_STARTED);
        put(&database, 2);
        assert_eq!(state(&database), RUNNING);
        database.close().unwrap();
        assert_eq!(state(&database), NONE);
    }

    #[test]
    fn what_was_not_closed_is_merged_without_being_asked() {
        let storage = Arc::new(MemoryStorage::default());
        let database = open(&storage);
        put(&database, 1);
        let left =
            Arc::new(MemoryStorage::with_contents(storage.contents(FileId::Data), storage.contents(FileId::Log)));
        drop(database);
        assert_eq!(state(&open(&left)), RUNNING);
    }
}
