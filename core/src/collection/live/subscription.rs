//! The handle of a live result.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::marker::PhantomData;
#[cfg(feature = "std")]
use core::time::Duration;

use super::change::{Difference, RowsChange};
use super::follow::Follower;
use super::rows::SharedRow;
use crate::collection::document::Document;
use crate::collection::handle::Collection;
use crate::document::query::Query;
use crate::env::sync::MaybeSendSync;
use crate::error::Result;

/// A live result: the rows of a query now, and again after each commit that changes them.
///
/// The first time it gives all rows, then it gives something whenever the rows are not what they were: not for commits that
/// leave them as they are. Several commits between two calls are one change, to the newest state; whoever asks seldom
/// misses states in between, and waits for no queue. Documents that go by themselves leave the result when their time has come.
///
/// It ends with an error when the database is closed or fails, when the collection is dropped, and when the query can no longer
/// be answered; it does not keep the database open. Dropping it ends it.
///
/// With `std` it is an iterator that waits for the next change.
///
/// ```
/// # use lightning_db::{Collection, Query, Result, Value, field};
/// # fn show(rows: &[Value]) {}
/// # fn follow(people: &Collection<Value>) -> Result<()> {
/// let youngest = people.watch(Query::new().filter(field("age").from(18)).order_by("age").limit(20))?;
/// for change in youngest {
///     show(&change?.rows);
/// }
/// # Ok(())
/// # }
/// ```
pub struct Subscription<T> {
    follower: Follower,
    #[cfg(feature = "std")]
    is_over: bool,
    types: PhantomData<fn() -> T>,
}

impl<T: Document> Collection<T> {
    /// Follows what a query finds: its rows now, and after each commit that changes them.
    ///
    /// All rows that the query gives are held in memory. With a limit, an index of the query's order keeps changes cheap.
    pub fn watch(&self, query: Query) -> Result<Subscription<T>> {
        Ok(Subscription {
            follower: Follower::new(&self.database, &self.known, query)?,
            #[cfg(feature = "std")]
            is_over: false,
            types: PhantomData,
        })
    }
}

impl<T: Document> Subscription<T> {
    /// The rows and what has changed, if anything has since the last call. Does not wait.
    pub fn try_next(&mut self) -> Result<Option<RowsChange<T>>> {
        let Some(difference) = self.follower.next()? else { return Ok(None) };
        self.change(difference).map(Some).map_err(|error| self.follower.fail(error))
    }

    /// Only what has changed, with places, if anything has since the last call. Costs what has changed, not what there is.
    pub fn try_next_difference(&mut self) -> Result<Option<Difference<T>>> {
        let Some(difference) = self.follower.next()? else { return Ok(None) };
        let typed = difference.map(|row| T::from_cbor(row.document()));
        typed.map(Some).map_err(|error| self.follower.fail(error))
    }

    /// As [`try_next_difference`](Self::try_next_difference), with rows as CBOR.
    pub fn try_next_cbor(&mut self) -> Result<Option<Difference<Vec<u8>>>> {
        let Some(difference) = self.follower.next()? else { return Ok(None) };
        difference.map(|row| Ok(row.document().to_vec())).map(Some)
    }

    /// The rows that were last given, as CBOR, in order.
    pub fn rows_cbor(&self) -> impl ExactSizeIterator<Item = &[u8]> {
        self.follower.rows().iter().map(SharedRow::document)
    }

    /// Calls `ready` whenever there may be something new, at once if there may be now. It is not called again before something
    /// was asked for.
    ///
    /// It is called by the thread that commits, or by the one that makes commits durable, while others wait for that: it wakes
    /// somebody, and does not use the database. Nobody calls it when a row goes by itself: see
    /// [`wake_at_ms`](Self::wake_at_ms).
    pub fn on_ready(&self, ready: impl Fn() + MaybeSendSync + 'static) {
        self.follower.feed().on_ready(Arc::new(ready));
    }

    /// When a row goes by itself, in milliseconds since 1970: then it is time to ask, even if nobody calls.
    pub fn wake_at_ms(&self) -> Option<u64> {
        self.follower.first_expiry()
    }

    fn change(&self, difference: Difference<SharedRow>) -> Result<RowsChange<T>> {
        let read = |row: &SharedRow| T::from_cbor(row.document());
        Ok(RowsChange {
            rows: self.follower.rows().iter().map(read).collect::<Result<_>>()?,
            added: difference.added.iter().map(|placed| read(&placed.row)).collect::<Result<_>>()?,
            changed: difference.changed.iter().map(|moved| read(&moved.row)).collect::<Result<_>>()?,
            removed: difference.removed.into_iter().map(|removed| removed.key).collect(),
            sequence: difference.sequence,
        })
    }
}

#[cfg(feature = "std")]
impl<T: Document> Subscription<T> {
    /// As [`try_next`](Self::try_next), waiting no longer than this for a change.
    pub fn next_timeout(&mut self, limit: Duration) -> Result<Option<RowsChange<T>>> {
        self.wait_for(Some(limit), Self::try_next)
    }

    /// Waits for the next change, and gives it as [`try_next_difference`](Self::try_next_difference) does.
    pub fn next_difference(&mut self) -> Result<Difference<T>> {
        loop {
            if let Some(difference) = self.wait_for(None, Self::try_next_difference)? {
                return Ok(difference);
            }
        }
    }

    /// Waits for the next change, and gives it as [`try_next_cbor`](Self::try_next_cbor) does; `None` when the limit passed before.
    pub fn next_cbor(&mut self, limit: Option<Duration>) -> Result<Option<Difference<Vec<u8>>>> {
        self.wait_for(limit, Self::try_next_cbor)
    }

    /// What `ask` gives, as soon as it gives something; `None` when the limit passed before.
    fn wait_for<R>(
        &mut self,
        limit: Option<Duration>,
        mut ask: impl FnMut(&mut Self) -> Result<Option<R>>,
    ) -> Result<Option<R>> {
        let start_ns = self.follower.clock().monotonic_ns();
        loop {
            if let Some(given) = ask(self)? {
                return Ok(Some(given));
            }
            let passed_ns = self.follower.clock().monotonic_ns().saturating_sub(start_ns);
            let rest = limit.map(|limit| limit.saturating_sub(Duration::from_nanos(passed_ns)));
            if !self.follower.wait(rest) {
                return ask(self);
            }
        }
    }
}

#[cfg(feature = "std")]
impl<T: Document> Iterator for Subscription<T> {
    type Item = Result<RowsChange<T>>;

    /// Waits for the next change. The last item is the error that the subscription ended with.
    fn next(&mut self) -> Option<Self::Item> {
        if self.is_over {
            return None;
        }
        match self.wait_for(None, Self::try_next).transpose() {
            Some(Err(error)) => {
                self.is_over = !super::follow::passes(&error);
                Some(Err(error))
            }
            change => change,
        }
    }
}

impl<T> fmt::Debug for Subscription<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscription").finish_non_exhaustive()
    }
}
