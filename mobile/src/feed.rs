//! The change feed: every commit, one after the other.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use lightning_db::{Change as CoreChange, ChangeFeed};

use crate::failure::Failure;
use crate::objects::{self, Object, locked, wrong};

/// A change feed.
#[derive(uniffi::Object)]
pub struct Feed {
    handle: u64,
}

/// One commit.
#[derive(Clone, Debug, PartialEq, Eq, uniffi::Record)]
pub struct Commit {
    /// Its number: one more than that of the commit before.
    pub sequence: u64,
    /// When it was made, in milliseconds since 1970.
    pub time_ms: u64,
    /// To be kept, and to go on after.
    pub position: Vec<u8>,
    /// What it changed, in order.
    pub changes: Vec<Change>,
}

/// One of its changes; keys and values as they are stored.
#[derive(Clone, Debug, PartialEq, Eq, uniffi::Enum)]
pub enum Change {
    /// A value was written.
    Put {
        /// The table, or collection.
        table: String,
        /// The key.
        key: Vec<u8>,
        /// The value; null where a long one is no longer there.
        value: Option<Vec<u8>>,
    },
    /// A value was deleted.
    Delete {
        /// The table, or collection.
        table: String,
        /// The key.
        key: Vec<u8>,
    },
    /// All values of a range were deleted.
    DeleteRange {
        /// The table, or collection.
        table: String,
        /// From this key on.
        from: Vec<u8>,
        /// Below this key; null is the end of the table.
        to: Option<Vec<u8>>,
    },
}

impl Feed {
    pub(crate) fn new(database: u64, feed: ChangeFeed) -> Result<Arc<Self>, Failure> {
        Ok(Arc::new(Self { handle: objects::insert_beside(database, Object::Feed(Arc::new(Mutex::new(feed))))? }))
    }

    fn with<R>(&self, body: impl FnOnce(&mut ChangeFeed) -> lightning_db::Result<R>) -> Result<R, Failure> {
        let Object::Feed(feed) = objects::get(self.handle)? else { return Err(wrong("a change feed").into()) };
        let mut feed = locked(&feed);
        Ok(body(&mut feed)?)
    }
}

#[uniffi::export]
impl Feed {
    /// The next commit, if there is one yet. Does not wait.
    pub fn next(&self) -> Result<Option<Commit>, Failure> {
        self.with(|feed| feed.next()?.map(|commit| crossing(&commit)).transpose())
    }

    /// Waits for a commit, so many milliseconds at most; whether there is one.
    pub fn wait(&self, limit_ms: u64) -> Result<bool, Failure> {
        self.with(|feed| feed.wait(Duration::from_millis(limit_ms)))
    }

    /// Where it has come to.
    pub fn position(&self) -> Result<Vec<u8>, Failure> {
        self.with(|feed| Ok(feed.position().to_bytes().to_vec()))
    }

    /// Ends it.
    pub fn end(&self) {
        objects::remove(self.handle);
    }
}

impl Drop for Feed {
    fn drop(&mut self) {
        self.end();
    }
}

fn crossing(commit: &lightning_db::Commit) -> lightning_db::Result<Commit> {
    let mut changes = Vec::new();
    for change in commit.changes() {
        changes.push(match change {
            CoreChange::Put { table, key, value } => Change::Put {
                table: table.to_owned(),
                key: key.to_vec(),
                value: value.read()?.map(std::borrow::Cow::into_owned),
            },
            CoreChange::Delete { table, key } => Change::Delete { table: table.to_owned(), key: key.to_vec() },
            CoreChange::DeleteRange { table, from, to } => {
                Change::DeleteRange { table: table.to_owned(), from: from.to_vec(), to: to.map(<[u8]>::to_vec) }
            }
            _ => continue,
        });
    }
    let position = commit.position().to_bytes().to_vec();
    Ok(Commit { sequence: commit.sequence(), time_ms: commit.time_ms(), position, changes })
}
