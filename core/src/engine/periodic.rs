//! Commits that are acknowledged at once and synced within an interval.
//!
//! Whoever works next once the time has come does the sync: a step of background work or, where no thread does those, a
//! commit.

use super::state::Engine;
use crate::error::Result;

/// The next sync that was promised.
#[derive(Clone, Copy, Debug)]
pub(super) struct Promise {
    /// On the monotonic clock.
    due_ns: u64,
    /// The newest commit that counts on it.
    sequence: u64,
}

impl Engine {
    /// A commit was made that is to be durable within this time; whether that is sooner than was promised before.
    pub(super) fn promise_sync(&self, sequence: u64, interval_ms: u32) -> bool {
        let due_ns = self.env.clock.monotonic_ns().saturating_add(u64::from(interval_ms) * 1_000_000);
        let mut promise = self.promise.lock();
        let sooner = promise.is_none_or(|earlier| due_ns < earlier.due_ns);
        let due_ns = promise.map_or(due_ns, |earlier| earlier.due_ns.min(due_ns));
        *promise = Some(Promise { due_ns, sequence });
        sooner
    }

    /// Everything up to here is durable.
    pub(super) fn keep_promise(&self, durable: u64) {
        let mut promise = self.promise.lock();
        *promise = promise.filter(|promise| promise.sequence > durable);
    }

    /// Nanoseconds until the next sync that was promised; 0 when it is due.
    pub(crate) fn ns_to_promised_sync(&self) -> Option<u64> {
        let promise = (*self.promise.lock())?;
        Some(promise.due_ns.saturating_sub(self.env.clock.monotonic_ns()))
    }

    /// Syncs if that was promised by now. Where the platform completes it later, the next call goes on waiting.
    pub(crate) fn sync_if_promised(&self) -> Result<()> {
        if self.ns_to_promised_sync() != Some(0) {
            return Ok(());
        }
        self.make_durable(self.head().sequence)
    }
}
