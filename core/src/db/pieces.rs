//! Bytes that are made in bounded steps, for whoever takes them in their order.

use alloc::vec::Vec;

use crate::error::Result;

/// Whoever fills a file with them rests no longer at once: whoever cancels is heard this often.
#[cfg(all(feature = "std", any(unix, windows)))]
pub(super) const REST_MAX: core::time::Duration = core::time::Duration::from_millis(100);

/// What is made so: a backup, an increment.
pub(super) trait Pieces {
    /// How far it is.
    #[cfg(all(feature = "std", any(unix, windows)))]
    type State: Send;

    #[cfg(all(feature = "std", any(unix, windows)))]
    fn state(&self) -> Self::State;

    /// For how long the next step is to be waited with, in nanoseconds.
    #[cfg(all(feature = "std", any(unix, windows)))]
    fn rest_ns(&self) -> u64 {
        0
    }

    /// How often the log was synced of the database that it is made from.
    #[cfg(all(feature = "std", any(unix, windows)))]
    fn log_syncs(&self) -> impl Fn() -> u64 + Clone + Send + 'static;

    /// Goes on for a bounded while; whether there is more to do.
    fn go_on(&mut self) -> Result<bool>;

    /// What was made since the last call, perhaps nothing.
    fn take_made(&mut self) -> Vec<u8>;

    /// What is to be put over the first bytes when all were taken, where that was not known before.
    #[cfg(all(feature = "std", any(unix, windows)))]
    fn head(&self) -> Option<&[u8]> {
        None
    }

    /// The bytes that come next; `None` behind the last.
    fn next_piece(&mut self) -> Result<Option<Vec<u8>>> {
        loop {
            let more = self.go_on()?;
            match self.take_made() {
                bytes if !bytes.is_empty() => return Ok(Some(bytes)),
                _ if more => {}
                _ => return Ok(None),
            }
        }
    }
}
