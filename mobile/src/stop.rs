//! Calls that are given up: by a coroutine or task that was cancelled, or by hand.
//!
//! Whoever gives a call up does not wait for it. What takes long ends at its next step; what does not is done, and nobody is told.
//! A commit that is under way is made, or it is not: it is never half, and whoever has to know looks.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use lightning_db::{Error, Result, Stop as CoreStop};

use crate::failure::Failure;
use crate::objects::{self, Object, locked};

/// Gives calls up, from any thread, for languages whose tasks do not end those they wait for.
#[derive(Debug, Default, uniffi::Object)]
pub struct Stop {
    stopped: CoreStop,
    /// Calls that somebody waits for.
    waiting: Mutex<Vec<(CoreStop, Waker)>>,
}

#[uniffi::export]
impl Stop {
    /// One for the calls of one task.
    #[uniffi::constructor]
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    /// Gives up all calls that it was given to, those that are still to be made as well. They are `Cancelled`.
    pub fn stop(&self) {
        self.stopped.stop();
        let waiting = std::mem::take(&mut *locked(&self.waiting));
        for (call, waker) in waiting {
            call.stop();
            waker.wake();
        }
    }
}

/// A scope in which calls can be given up.
#[derive(Clone)]
pub struct Stoppable {
    pub scope: u64,
    pub stop: CoreStop,
}

/// A scope like `scope`, of the same database as `sibling`, whose calls [`stop`] gives up. It is released like a cursor.
pub fn stoppable(sibling: u64, scope: u64) -> Result<u64> {
    objects::insert_beside(sibling, Object::Stoppable(Stoppable { scope, stop: CoreStop::new() }))
}

/// Gives up the calls made in a scope, and those of cursors that were opened in it.
pub fn stop(stoppable: u64) -> Result<()> {
    match objects::get(stoppable) {
        Ok(Object::Stoppable(stoppable)) => {
            stoppable.stop.stop();
            Ok(())
        }
        Ok(_) => Err(objects::wrong("a scope that can be given up")),
        // Its calls have ended.
        Err(_) => Ok(()),
    }
}

/// Runs `body` on a thread that may wait. It is told to end when the call is given up: by `stop`, or because nobody waits any more.
pub fn unblock<R: Send + 'static>(
    stop: Option<Arc<Stop>>,
    body: impl FnOnce() -> Result<R, Failure> + Send + 'static,
) -> Unblocked<R> {
    let call = CoreStop::new();
    if stop.as_ref().is_some_and(|stop| stop.stopped.is_stopped()) {
        call.stop();
    }
    let told = call.clone();
    let task = blocking::unblock(move || {
        let _entered = told.enter();
        // Whoever was given up before it began has done nothing.
        CoreStop::check()?;
        body()
    });
    Unblocked { stop, call, task: Some(task) }
}

/// The result of a call on a thread of its own.
pub struct Unblocked<R> {
    stop: Option<Arc<Stop>>,
    call: CoreStop,
    task: Option<blocking::Task<Result<R, Failure>>>,
}

impl<R> Future for Unblocked<R> {
    type Output = Result<R, Failure>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let Some(task) = &mut self.task else { return Poll::Ready(Err(Error::Cancelled.into())) };
        if let Poll::Ready(result) = Pin::new(task).poll(context) {
            self.task = None;
            return Poll::Ready(result);
        }
        // Before it is asked whether it was stopped: whoever stops it from now on wakes.
        if let Some(stop) = &self.stop {
            let mut waiting = locked(&stop.waiting);
            waiting.retain(|(_, waker)| !waker.will_wake(context.waker()));
            waiting.push((self.call.clone(), context.waker().clone()));
            drop(waiting);
            if stop.stopped.is_stopped() {
                // It ends by itself, and what it gives then is dropped.
                self.call.stop();
                self.task = None;
                return Poll::Ready(Err(Error::Cancelled.into()));
            }
        }
        Poll::Pending
    }
}

impl<R> Drop for Unblocked<R> {
    fn drop(&mut self) {
        if self.task.is_some() {
            self.call.stop();
        }
    }
}

#[cfg(test)]
mod tests;
