//! The change feed: every commit, one after the other.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use lightning_db::{Change as CoreChange, ChangeFeed, Database, Document, FeedPosition, Value};

use crate::failure::Failure;
use crate::objects::{self, Object, locked, wrong};
use crate::raw::Raw;

/// The type of the values of collections.
const DOCUMENTS: &str = "document";

/// A change feed.
#[derive(uniffi::Object)]
pub struct Feed {
    handle: u64,
    database: u64,
}

/// A feed, and what it gave that has not crossed yet: what is needed for that could not be read.
pub struct Following {
    feed: ChangeFeed,
    given: FeedPosition,
    pending: Option<lightning_db::Commit>,
}

impl Following {
    fn next(&mut self, database: &Database) -> lightning_db::Result<Option<Commit>> {
        if self.pending.is_none() {
            self.pending = self.feed.next()?;
        }
        let Some(commit) = &self.pending else { return Ok(None) };
        let crossed = crossing(database, commit)?;
        self.given = commit.position();
        self.pending = None;
        Ok(Some(crossed))
    }

    fn position(&self) -> FeedPosition {
        self.given
    }
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

/// One of its changes; keys and values of tables are as they are stored.
#[derive(Clone, Debug, PartialEq, Eq, uniffi::Enum)]
pub enum Change {
    /// A value was written to a table.
    Put {
        /// The table.
        table: String,
        /// The key.
        key: Vec<u8>,
        /// The value; null where a long one is no longer there.
        value: Option<Vec<u8>>,
    },
    /// A document was written.
    PutDocument {
        /// The collection.
        collection: String,
        /// Its key, CBOR.
        id: Vec<u8>,
        /// CBOR; null where a long one is no longer there.
        document: Option<Vec<u8>>,
        /// When it goes by itself, in milliseconds since 1970.
        expires_ms: Option<u64>,
    },
    /// A value was deleted from a table.
    Delete {
        /// The table.
        table: String,
        /// The key.
        key: Vec<u8>,
    },
    /// A document was deleted.
    DeleteDocument {
        /// The collection.
        collection: String,
        /// Its key, CBOR.
        id: Vec<u8>,
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
        let given = feed.position();
        Ok(Arc::new(Self {
            handle: objects::insert_beside(
                database,
                Object::Feed(Arc::new(Mutex::new(Following { feed, given, pending: None }))),
            )?,
            database,
        }))
    }

    fn with<R>(&self, body: impl FnOnce(&mut Following) -> lightning_db::Result<R>) -> Result<R, Failure> {
        let Object::Feed(feed) = objects::get(self.handle)? else { return Err(wrong("a change feed").into()) };
        let mut feed = locked(&feed);
        Ok(body(&mut feed)?)
    }
}

#[uniffi::export]
impl Feed {
    /// The next commit, if there is one yet. Does not wait.
    pub fn next(&self) -> Result<Option<Commit>, Failure> {
        let database = objects::database(self.database)?;
        self.with(|following| match following.next(&database) {
            // There is none to be read now.
            Err(error) if error.is_suspended() => Ok(None),
            next => next,
        })
    }

    /// Waits for a commit, so many milliseconds at most; whether there is one.
    pub fn wait(&self, limit_ms: u64) -> Result<bool, Failure> {
        let limit = Duration::from_millis(limit_ms);
        if !objects::opened(self.database)?.wait_until_resumed(limit) {
            return Ok(false);
        }
        self.with(|following| match following.pending {
            Some(_) => Ok(true),
            None => following.feed.wait(limit),
        })
    }

    /// Where it has come to.
    pub fn position(&self) -> Result<Vec<u8>, Failure> {
        self.with(|following| Ok(following.position().to_bytes().to_vec()))
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

fn crossing(database: &Database, commit: &lightning_db::Commit) -> lightning_db::Result<Commit> {
    let collections: Vec<_> =
        database.tables()?.into_iter().filter(|table| table.value_type == DOCUMENTS).map(|table| table.name).collect();
    let id = |table: &str, key: &[u8]| -> lightning_db::Result<Option<Vec<u8>>> {
        let is_collection = collections.iter().any(|name| name == table);
        is_collection.then(|| Value::decode_key(key)?.to_cbor()).transpose()
    };
    let mut changes = Vec::new();
    for change in commit.changes() {
        changes.push(match change {
            CoreChange::Put { table, key, value } => match id(table, key)? {
                Some(id) => {
                    let (document, expires_ms) = match value.read_document::<Raw>()? {
                        Some(written) => (Some(written.document.0), written.expires_ms),
                        None => (None, None),
                    };
                    Change::PutDocument { collection: table.to_owned(), id, document, expires_ms }
                }
                None => Change::Put {
                    table: table.to_owned(),
                    key: key.to_vec(),
                    value: value.read()?.map(std::borrow::Cow::into_owned),
                },
            },
            CoreChange::Delete { table, key } => match id(table, key)? {
                Some(id) => Change::DeleteDocument { collection: table.to_owned(), id },
                None => Change::Delete { table: table.to_owned(), key: key.to_vec() },
            },
            CoreChange::DeleteRange { table, from, to } => {
                Change::DeleteRange { table: table.to_owned(), from: from.to_vec(), to: to.map(<[u8]>::to_vec) }
            }
            _ => continue,
        });
    }
    let position = commit.position().to_bytes().to_vec();
    Ok(Commit { sequence: commit.sequence(), time_ms: commit.time_ms(), position, changes })
}
