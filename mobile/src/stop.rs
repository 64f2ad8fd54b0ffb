//! Calls that are given up: by a coroutine or task that was cancelled, or by hand.
//!
//! Whoever gives a call up does not wait for it. What takes long ends at its next step; what does not is done, and nobody is told.
//! A commit that is under way is made, or it is not: it is never half, and whoever has to know looks.

use std::any::Any;
use std::collections::BTreeMap;
use std::future::Future;
use std::marker::PhantomData;
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
    /// The calls that it was given to, from before they begin: one may be given up before anybody waits for it.
    calls: Mutex<Calls>,
}

#[derive(Debug, Default)]
struct Calls {
    next: u64,
    by_number: BTreeMap<u64, Call>,
}

#[derive(Debug)]
struct Call {
    stop: CoreStop,
    /// Of whoever waits for it.
    waker: Option<Waker>,
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
        let calls = std::mem::take(&mut locked(&self.calls).by_number);
        for call in calls.into_values() {
            call.stop.stop();
            call.waker.into_iter().for_each(Waker::wake);
        }
    }
}

/// A call that a [`Stop`] was given to.
struct Given {
    stop: Arc<Stop>,
    number: u64,
}

impl Given {
    fn new(stop: Arc<Stop>, call: &CoreStop) -> Self {
        let number = {
            let mut calls = locked(&stop.calls);
            let number = calls.next;
            calls.next += 1;
            calls.by_number.insert(number, Call { stop: call.clone(), waker: None });
            number
        };
        // Behind that: who stops it from now on finds the call.
        if stop.stopped.is_stopped() {
            call.stop();
        }
        Self { stop, number }
    }

    /// Has `waker` woken when the call is given up; `false` where it was.
    fn wait(&self, waker: &Waker) -> bool {
        let mut calls = locked(&self.stop.calls);
        let Some(call) = calls.by_number.get_mut(&self.number).filter(|call| !call.stop.is_stopped()) else {
            return false;
        };
        call.waker = Some(waker.clone());
        true
    }
}

impl Drop for Given {
    fn drop(&mut self) {
        locked(&self.stop.calls).by_number.remove(&self.number);
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
    let given = stop.map(|stop| Given::new(stop, &call));
    let told = call.clone();
    let task = on_thread(Box::new(move || {
        let _entered = told.enter();
        // Whoever was given up before it began has done nothing.
        Box::new(CoreStop::check().map_err(Failure::from).and_then(|()| body()))
    }));
    Unblocked { result: AnyResult { given, call, task: Some(task), is_needed: false }, gives: PhantomData }
}

/// As [`unblock`], for what must be done whether anybody waits for it or not: closing, letting go of files.
pub fn unblock_needed<R: Send + 'static>(body: impl FnOnce() -> Result<R, Failure> + Send + 'static) -> Unblocked<R> {
    let task = on_thread(Box::new(move || Box::new(body())));
    let result = AnyResult { given: None, call: CoreStop::new(), task: Some(task), is_needed: true };
    Unblocked { result, gives: PhantomData }
}

/// One task for calls of all kinds: each kind of its own would be compiled anew, with all that is around it.
fn on_thread(body: Box<dyn FnOnce() -> Box<dyn Any + Send> + Send>) -> blocking::Task<Box<dyn Any + Send>> {
    blocking::unblock(body)
}

/// The result of a call on a thread of its own.
pub struct Unblocked<R> {
    result: AnyResult,
    gives: PhantomData<fn() -> R>,
}

impl<R: 'static> Future for Unblocked<R> {
    type Output = Result<R, Failure>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        self.result.poll(context).map(|result| match result?.downcast::<Result<R, Failure>>() {
            Ok(result) => *result,
            Err(_) => Err(Error::Closed.into()),
        })
    }
}

/// A result of any kind: what waits for it is compiled once.
struct AnyResult {
    given: Option<Given>,
    call: CoreStop,
    task: Option<blocking::Task<Box<dyn Any + Send>>>,
    is_needed: bool,
}

impl AnyResult {
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Result<Box<dyn Any + Send>, Failure>> {
        let Some(task) = &mut self.task else { return Poll::Ready(Err(Error::Cancelled.into())) };
        if let Poll::Ready(result) = Pin::new(task).poll(context) {
            self.task = None;
            return Poll::Ready(Ok(result));
        }
        if self.given.as_ref().is_some_and(|given| !given.wait(context.waker())) {
            // It ends by itself, and what it gives then is dropped.
            self.task = None;
            return Poll::Ready(Err(Error::Cancelled.into()));
        }
        Poll::Pending
    }
}

impl Drop for AnyResult {
    fn drop(&mut self) {
        match self.task.take() {
            Some(task) if self.is_needed => task.detach(),
            Some(_) => self.call.stop(),
            None => {}
        }
    }
}

#[cfg(test)]
mod tests;
