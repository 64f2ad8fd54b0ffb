//! Transactions.

use std::sync::{Arc, Mutex};

use lightning_db::{Error, Isolation as CoreIsolation};

use crate::failure::Failure;
use crate::objects::{self, Object, locked, wrong};
use crate::stop::{Stop, unblock};

/// A transaction that goes on until it is committed or closed. Its handle is a scope for reading and writing.
#[derive(uniffi::Object)]
pub struct Transaction {
    handle: u64,
}

/// What a transaction is kept from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, uniffi::Enum)]
pub enum Isolation {
    /// What others commit meanwhile may be seen or not.
    ReadCommitted,
    /// All is read as it was at the beginning; two that write the same conflict.
    Snapshot,
    /// As if all had run one after the other.
    Serializable,
}

/// When a commit is acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, uniffi::Enum)]
pub enum Durability {
    /// When it is on the medium.
    Sync,
    /// At once; it is on the medium within a second or so.
    Periodic,
    /// At once; it survives the end of the process, and a power loss only after the next checkpoint.
    Relaxed,
}

impl Transaction {
    pub(crate) fn begin(database: u64, isolation: Isolation) -> Result<Arc<Self>, Failure> {
        Ok(Arc::new(Self { handle: begin(database, isolation)? }))
    }
}

#[uniffi::export]
impl Transaction {
    /// The number by which the other calls know it.
    pub fn number(&self) -> u64 {
        self.handle
    }

    /// Makes everything permanent, or nothing. It is over then, whatever comes of it.
    ///
    /// Given up before it has begun nothing is committed; later it is, or it is not, and whoever has to know looks.
    #[uniffi::method(default(stop = None))]
    pub async fn commit(&self, stop: Option<Arc<Stop>>) -> Result<(), Failure> {
        let handle = self.handle;
        unblock(stop, move || commit(handle)).await
    }

    /// Makes everything permanent, or nothing, on the calling thread.
    pub fn commit_blocking(&self) -> Result<(), Failure> {
        commit(self.handle)
    }

    /// Ends it; nothing of it is kept, unless it was committed.
    pub fn end(&self) {
        objects::remove(self.handle);
    }
}

impl Drop for Transaction {
    fn drop(&mut self) {
        self.end();
    }
}

/// Begins one in a database; gives its handle.
pub(crate) fn begin(database: u64, isolation: Isolation) -> lightning_db::Result<u64> {
    let transaction = objects::database(database)?.begin(match isolation {
        Isolation::ReadCommitted => CoreIsolation::ReadCommitted,
        Isolation::Snapshot => CoreIsolation::Snapshot,
        Isolation::Serializable => CoreIsolation::Serializable,
    });
    objects::insert_beside(database, Object::Transaction(Arc::new(Mutex::new(Some(transaction)))))
}

pub(crate) fn commit(handle: u64) -> Result<(), Failure> {
    let Object::Transaction(transaction) = objects::get(handle)? else { return Err(wrong("a transaction").into()) };
    drop(objects::remove(handle));
    // Whoever still uses it finds it closed.
    let transaction = locked(&transaction).take();
    let mut transaction = transaction.ok_or(Error::Closed)?;
    Ok(transaction.commit()?)
}
