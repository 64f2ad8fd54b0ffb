//! Calls that are given up by another thread.

use core::fmt;
use core::marker::PhantomData;
use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::error::{Error, Result};

std::thread_local! {
    static CURRENT: RefCell<Option<Stop>> = const { RefCell::new(None) };
}

/// Tells calls to end. Clones tell the same calls.
///
/// A thread [enters](Self::enter) it before it calls: what takes long there (a query over many rows, verifying, a backup, making
/// an index, compacting) then ends at its next step with [`Error::Cancelled`], once somebody has said [`stop`](Self::stop). What was
/// written in a transaction that ends so is undone. A commit is no step: it is made, or it is not.
///
/// ```
/// use lightning_db::{Error, Stop};
///
/// # fn verify(db: &lightning_db::Database) -> lightning_db::Result<()> {
/// let stop = Stop::new();
/// let other = stop.clone();
/// // Another thread: other.stop();
/// # other.stop();
/// let _entered = stop.enter();
/// assert_eq!(db.check().unwrap_err(), Error::Cancelled);
/// # Ok(())
/// # }
/// # use lightning_db::{Database, Environment, Options, env::{MemoryStorage, SystemClock, SystemEntropy}};
/// # let environment = Environment { clock: std::sync::Arc::new(SystemClock::default()), entropy: std::sync::Arc::new(SystemEntropy) };
/// # verify(&Database::open_storage(std::sync::Arc::new(MemoryStorage::new()), environment, Options::default())?)?;
/// # Ok::<(), Error>(())
/// ```
#[derive(Clone, Default)]
pub struct Stop(Arc<AtomicBool>);

/// As long as this is held, calls of this thread end when they are told to.
#[must_use]
pub struct Entered {
    before: Option<Stop>,
    /// Of this thread alone.
    here: PhantomData<*const ()>,
}

impl Stop {
    /// One that has told nobody yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Tells all calls to end, those that are still to be made as well.
    pub fn stop(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether it has.
    pub fn is_stopped(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// From now on, until what this gives is dropped, calls of this thread end when they are told to.
    pub fn enter(&self) -> Entered {
        let before = CURRENT.with_borrow_mut(|current| current.replace(self.clone()));
        Entered { before, here: PhantomData }
    }

    /// What calls of this thread listen to, for a thread that works for it.
    pub(crate) fn current() -> Option<Self> {
        CURRENT.with_borrow(Clone::clone)
    }

    /// [`Error::Cancelled`], if the call of this thread that is under way is to end.
    #[inline]
    pub fn check() -> Result<()> {
        match CURRENT.with_borrow(|current| current.as_ref().is_some_and(Self::is_stopped)) {
            true => Err(Error::Cancelled),
            false => Ok(()),
        }
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        let before = self.before.take();
        CURRENT.with_borrow_mut(|current| *current = before);
    }
}

impl fmt::Debug for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stop").field("is_stopped", &self.is_stopped()).finish()
    }
}

impl fmt::Debug for Entered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Entered").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::db::{Database, Options};
    use crate::engine::Environment;
    use crate::env::{FixedClock, MemoryStorage, SeededEntropy};
    use crate::{Query, Schema, Value, field};

    fn database() -> Database {
        let env = Environment { clock: Arc::new(FixedClock(1000)), entropy: Arc::new(SeededEntropy::new(7)) };
        let options = Options { background_thread: false, ..Options::default() };
        Database::open_storage(Arc::new(MemoryStorage::new()), env, options).unwrap()
    }

    #[test]
    fn what_takes_long_ends_and_nothing_of_it_is_kept() {
        let db = database();
        let people = db.collection::<Value>("people", Schema::key("id")).unwrap();
        for id in 0..2000_u64 {
            people.put(&Value::Map(vec![("id".into(), id.into()), ("age".into(), (id % 90).into())])).unwrap();
        }
        let stop = Stop::new();
        let young = || Query::new().filter(field("age").below(10));
        let entered = stop.enter();
        assert_eq!(people.count(young()).unwrap(), 230);
        let mut rows = people.query(Query::new()).unwrap();
        assert!(rows.next().unwrap().is_ok());
        stop.stop();
        assert!(rows.any(|row| row == Err(Error::Cancelled)));
        assert_eq!(people.count(young()).unwrap_err(), Error::Cancelled);
        assert_eq!(people.count(young().order_by("age")).unwrap_err(), Error::Cancelled);
        assert_eq!(people.delete_where(young()).unwrap_err(), Error::Cancelled);
        assert_eq!(db.check().unwrap_err(), Error::Cancelled);
        assert_eq!(db.compact().unwrap_err(), Error::Cancelled);
        let schema = Schema::key("id").index("age");
        assert_eq!(db.collection::<Value>("people", schema.clone()).map(drop).unwrap_err(), Error::Cancelled);
        // What is short is done: whoever writes one document has written it.
        people.put(&Value::Map(vec![("id".into(), 5000_u64.into())])).unwrap();
        drop(entered);
        assert_eq!(people.count(young()).unwrap(), 230);
        let people = db.collection::<Value>("people", schema).unwrap();
        assert_eq!(people.count(young()).unwrap(), 230, "the index is made after all");
        assert_eq!(db.check().unwrap().problems, Vec::<String>::new());
        db.compact().unwrap();
    }

    #[test]
    fn other_threads_and_calls_outside_are_not_told() {
        let (outer, inner) = (Stop::new(), Stop::new());
        let entered = outer.enter();
        {
            let _inner = inner.enter();
            inner.stop();
            assert_eq!(Stop::check(), Err(Error::Cancelled));
            std::thread::scope(|scope| scope.spawn(|| assert_eq!(Stop::check(), Ok(()))).join().unwrap());
        }
        assert_eq!(Stop::check(), Ok(()));
        outer.clone().stop();
        assert_eq!(Stop::check(), Err(Error::Cancelled));
        drop(entered);
        assert_eq!(Stop::check(), Ok(()));
    }
}
