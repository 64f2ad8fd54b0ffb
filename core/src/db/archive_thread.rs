//! The thread that archives now and then.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use super::archive::Archive;
use crate::engine::Engine;

/// It looks at least this often whether there is much to archive.
const REST_MAX: Duration = Duration::from_secs(1);
/// What failed is tried again after this long.
const AGAIN: Duration = Duration::from_secs(5);

/// Made when there first is something to archive and somewhere to archive it.
#[derive(Debug, Default)]
pub(super) struct Thread {
    stop: Arc<Stop>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Debug, Default)]
struct Stop {
    stopped: Mutex<bool>,
    changed: Condvar,
}

impl Stop {
    fn is_set(&self) -> bool {
        *self.stopped.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Rests; true when it is to end.
    fn rest(&self, time: Duration) -> bool {
        let stopped = self.stopped.lock().unwrap_or_else(PoisonError::into_inner);
        let rested = self.changed.wait_timeout_while(stopped, time, |stopped| !*stopped);
        *rested.unwrap_or_else(PoisonError::into_inner).0
    }
}

impl Thread {
    /// Nothing where it runs. Where the system gives none the rest is archived when the database is closed, and the status tells
    /// how much there is.
    pub(super) fn start(&self, archive: &Arc<Archive>, engine: &Arc<Engine>, interval: Duration) {
        let mut thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner);
        if thread.is_some() || self.stop.is_set() {
            return;
        }
        // It ends before the database does, which waits for it.
        let (archive, engine, stop) = (Arc::downgrade(archive), Arc::clone(engine), Arc::clone(&self.stop));
        let rest = interval.min(REST_MAX);
        let made = std::thread::Builder::new().name("lightning-archive".into()).spawn(move || {
            let mut next = rest;
            while !stop.rest(next) {
                let Some(archive) = archive.upgrade() else { return };
                next = loop {
                    match archive.step(&engine, false) {
                        Ok(true) if !stop.is_set() => {}
                        Ok(_) => break rest,
                        Err(_) => break AGAIN,
                    }
                };
            }
        });
        *thread = made.ok();
    }

    /// Ends it and waits for it.
    pub(super) fn stop(&self) {
        *self.stop.stopped.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.stop.changed.notify_all();
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            // A panic there has been reported by the panic hook.
            let _ = thread.join();
        }
    }
}
