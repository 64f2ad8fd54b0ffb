//! A thread that does something now and then, and rests between, until it is told to stop.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

/// The thread, or where it will be.
#[derive(Debug, Default)]
pub(super) struct StoppableThread {
    stop: Arc<Stop>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// Whether it is to stop.
#[derive(Debug, Default)]
pub(super) struct Stop {
    is_set: Mutex<bool>,
    changed: Condvar,
}

impl Stop {
    pub(super) fn is_set(&self) -> bool {
        *self.is_set.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Rests; true when the thread is to end.
    pub(super) fn rest(&self, time: Duration) -> bool {
        let is_set = self.is_set.lock().unwrap_or_else(PoisonError::into_inner);
        let rested = self.changed.wait_timeout_while(is_set, time, |is_set| !*is_set);
        *rested.unwrap_or_else(PoisonError::into_inner).0
    }
}

impl StoppableThread {
    /// Starts it, unless it was started or stopped before. False where the system gives no thread.
    pub(super) fn start(&self, name: &str, run: impl FnOnce(&Stop) + Send + 'static) -> bool {
        let mut thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner);
        if thread.is_none() && !self.stop.is_set() {
            let stop = Arc::clone(&self.stop);
            *thread = Builder::new().name(name.into()).spawn(move || run(&stop)).ok();
        }
        thread.is_some()
    }

    /// Ends it and waits for it; it is not started again.
    pub(super) fn stop(&self) {
        *self.stop.is_set.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.stop.changed.notify_all();
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            // A panic there has been reported by the panic hook.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stopped_thread_ends_at_once_wherever_it_rests_and_is_not_started_again() {
        let thread = StoppableThread::default();
        let (told, ended) = std::sync::mpsc::channel();
        let run = move |stop: &Stop| told.send(stop.rest(Duration::from_secs(3600))).unwrap();
        assert!(thread.start("test", run));
        thread.stop();
        assert_eq!(ended.recv(), Ok(true));
        assert!(!thread.start("test", |_| unreachable!("it was stopped")));
        thread.stop();
    }
}
