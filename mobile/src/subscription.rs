//! Live results: the rows of a query now, and after each commit that changes them.

use std::sync::Arc;
use std::time::Duration;

use lightning_db::{Difference, Document};

use crate::failure::Failure;
use crate::objects::{self, Object, locked, wrong};

/// A live result.
#[derive(uniffi::Object)]
pub struct Live {
    handle: u64,
}

/// Is told that there may be something new. It is called by whoever commits, while others wait for that: it wakes somebody, and
/// does not use the database.
#[uniffi::export(with_foreign)]
pub trait Ready: Send + Sync {
    /// There may be something new.
    fn ready(&self);
}

/// What has changed in a live result. Places count from 0: take away the rows at `removed` and at `from` of `changed`, all of
/// which are places among the rows before; then put `changed` and `added` in, lowest `at` first.
#[derive(Clone, Debug, PartialEq, Eq, uniffi::Record)]
pub struct LiveChange {
    /// Rows that are gone.
    pub removed: Vec<RemovedRow>,
    /// Rows that are not as they were, or not where they were.
    pub changed: Vec<ChangedRow>,
    /// Rows that are new; the first time all of them.
    pub added: Vec<AddedRow>,
    /// How many there are now.
    pub rows: u64,
    /// The commit after which it is so.
    pub sequence: u64,
}

/// A row that is gone.
#[derive(Clone, Debug, PartialEq, Eq, uniffi::Record)]
pub struct RemovedRow {
    /// Its place before.
    pub at: u64,
    /// The key of its document, CBOR.
    pub key: Vec<u8>,
}

/// A row that has changed.
#[derive(Clone, Debug, PartialEq, Eq, uniffi::Record)]
pub struct ChangedRow {
    /// Its place before.
    pub from: u64,
    /// Its place now.
    pub at: u64,
    /// As it is now, CBOR.
    pub row: Vec<u8>,
}

/// A row that is new.
#[derive(Clone, Debug, PartialEq, Eq, uniffi::Record)]
pub struct AddedRow {
    /// Its place now.
    pub at: u64,
    /// CBOR.
    pub row: Vec<u8>,
}

impl Live {
    pub(crate) fn new(handle: u64) -> Result<Arc<Self>, Failure> {
        Ok(Arc::new(Self { handle }))
    }

    fn with<R>(
        &self,
        body: impl FnOnce(&mut lightning_db::Subscription<crate::raw::Raw>) -> lightning_db::Result<R>,
    ) -> Result<R, Failure> {
        let Object::Live(live) = objects::get(self.handle)? else { return Err(wrong("a live result").into()) };
        let mut live = locked(&live);
        Ok(body(&mut live)?)
    }
}

#[uniffi::export]
impl Live {
    /// What has changed since the last call, if anything has. Does not wait.
    pub fn try_next(&self) -> Result<Option<LiveChange>, Failure> {
        self.with(|live| live.try_next_cbor()?.map(crossing).transpose())
    }

    /// As `try_next`, waiting for so many milliseconds at most.
    pub fn wait_next(&self, limit_ms: u64) -> Result<Option<LiveChange>, Failure> {
        self.with(|live| live.next_cbor(Some(Duration::from_millis(limit_ms)))?.map(crossing).transpose())
    }

    /// Has `ready` told whenever there may be something new, at once if there may be now; not again before something was asked for.
    pub fn on_ready(&self, ready: Arc<dyn Ready>) -> Result<(), Failure> {
        self.with(|live| {
            live.on_ready(move || ready.ready());
            Ok(())
        })
    }

    /// When a row goes by itself, in milliseconds since 1970: then it is time to ask, even if nobody calls.
    pub fn wake_at_ms(&self) -> Result<Option<u64>, Failure> {
        self.with(|live| Ok(live.wake_at_ms()))
    }

    /// Ends it.
    pub fn end(&self) {
        objects::remove(self.handle);
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        self.end();
    }
}

fn crossing(difference: Difference<Vec<u8>>) -> lightning_db::Result<LiveChange> {
    let removed = difference.removed.into_iter();
    Ok(LiveChange {
        removed: removed
            .map(|row| Ok(RemovedRow { at: row.at as u64, key: row.key.to_cbor()? }))
            .collect::<lightning_db::Result<_>>()?,
        changed: (difference.changed.into_iter())
            .map(|row| ChangedRow { from: row.from as u64, at: row.at as u64, row: row.row })
            .collect(),
        added: (difference.added.into_iter()).map(|row| AddedRow { at: row.at as u64, row: row.row }).collect(),
        rows: difference.len as u64,
        sequence: difference.sequence,
    })
}
