//! A thread that does something at a time of the wall clock: it is made when there first is such a time, and sleeps until then.

use std::sync::Arc;
use std::time::Duration;

use super::database::Database;
use crate::env::Clock;
use crate::env::sync::thread::{self, JoinHandle};
use crate::env::sync::{Condvar, Mutex};

/// The clock may be set meanwhile, so it is looked at at least this often.
const REST_MAX: Duration = Duration::from_secs(60);
/// What failed is tried again after this long.
const AGAIN_MS: u64 = 10_000;

/// What is done; gives when it is to be done again.
pub(crate) type Work = fn(&Database) -> crate::error::Result<Option<u64>>;

/// The next time, and the thread.
#[derive(Debug, Default)]
pub(super) struct Alarm {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// In milliseconds since 1970.
    due_ms: Option<u64>,
    stop: bool,
    thread: Option<JoinHandle<()>>,
}

impl Alarm {
    /// Ends the thread and waits for it.
    pub(super) fn stop(&self) {
        let mut state = self.state.lock();
        state.stop = true;
        let thread = state.thread.take();
        drop(state);
        self.changed.notify_all();
        if let Some(thread) = thread
            && thread.thread().id() != thread::current().id()
        {
            // A panic there has been reported by the panic hook.
            let _ = thread.join();
        }
    }

    fn set(&self, at_ms: u64) -> bool {
        let mut state = self.state.lock();
        if state.stop || state.due_ms.is_some_and(|due| due <= at_ms) {
            return false;
        }
        state.due_ms = Some(at_ms);
        drop(state);
        self.changed.notify_all();
        true
    }

    /// Sleeps until the time has come; false when the thread is to end.
    fn rest(&self, clock: &dyn Clock) -> bool {
        let mut state = self.state.lock();
        loop {
            if state.stop {
                return false;
            }
            let now = clock.wall_ms();
            let rest = match state.due_ms {
                Some(due) if due <= now => {
                    state.due_ms = None;
                    return true;
                }
                Some(due) => Duration::from_millis(due - now).min(REST_MAX),
                None => REST_MAX,
            };
            state = self.changed.wait_timeout(state, rest).0;
        }
    }
}

impl Database {
    /// Has `work` done at this time, and at the times that it gives then. The same work for all calls. Nothing without background
    /// threads, or in a database that is read only.
    pub(crate) fn wake_at(&self, at_ms: u64, work: Work) {
        let shared = &self.shared;
        if shared.background.is_none() || shared.options.read_only || !shared.alarm.set(at_ms) {
            return;
        }
        let mut state = shared.alarm.state.lock();
        if state.thread.is_none() && !state.stop {
            let lent = Database { shared: Arc::new(shared.lent()) };
            let thread = thread::Builder::new().name("lightning-expiry".into());
            // Without a thread the next opening does it.
            state.thread = thread.spawn(move || run(&lent, work)).ok();
        }
    }
}

fn run(database: &Database, work: Work) {
    let (alarm, clock) = (&database.shared.alarm, &*database.shared.engine.env.clock);
    while alarm.rest(clock) {
        let next_ms = work(database).unwrap_or_else(|_| Some(clock.wall_ms().saturating_add(AGAIN_MS)));
        if let Some(next_ms) = next_ms {
            alarm.set(next_ms);
        }
    }
}

#[cfg(all(test, not(shuttle)))]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::thread::yield_now;

    use super::*;
    use crate::db::Options;
    use crate::engine::Environment;
    use crate::env::{FixedClock, MemoryStorage, SeededEntropy};

    static IS_AT_WORK: AtomicBool = AtomicBool::new(false);

    /// Goes on until the database is being closed.
    fn work(database: &Database) -> crate::error::Result<Option<u64>> {
        IS_AT_WORK.store(true, Ordering::SeqCst);
        while !database.shared.alarm.state.lock().stop {
            yield_now();
        }
        Ok(None)
    }

    #[test]
    fn whoever_drops_the_last_handle_closes_the_database_and_waits_for_what_is_done_beside() {
        let storage = Arc::new(MemoryStorage::new());
        let env = Environment { clock: Arc::new(FixedClock(1000)), entropy: Arc::new(SeededEntropy::new(7)) };
        let open = || Database::open_storage(storage.clone(), env.clone(), Options::default()).unwrap();
        let database = open();
        let other = database.clone();
        database.wake_at(0, work);
        while !IS_AT_WORK.load(Ordering::SeqCst) {
            yield_now();
        }
        let engine = Arc::downgrade(&database.shared.engine);
        drop(database);
        assert!(engine.upgrade().is_some(), "there is another handle");
        drop(other);
        assert!(engine.upgrade().is_none(), "nobody holds anything of it");
        assert!(open().recovery().clean);
    }
}
