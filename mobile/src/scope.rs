//! Where something is read or written: in the database as it is now, in a snapshot, or in a transaction.

use std::sync::{Arc, Mutex};

use lightning_db::{
    Database, Entered, Error, Query, ReadCollection, Result, Snapshot, Stop, Transaction, Value, WriteCollection,
    WriteTransaction,
};

use crate::objects::{self, Object, locked, wrong};
use crate::raw::Raw;
use crate::rows::Rows;
use crate::stop::Stoppable;

/// The scope of a call that is a transaction, or a snapshot, of its own.
pub const NOW: u64 = 0;

/// What a scope reads.
pub enum Reading {
    Rest(Arc<Snapshot>),
    Transaction(Arc<Mutex<Option<Transaction>>>),
}

/// What `scope` reads of `database`; the call can be given up as long as the other part is held.
pub fn reading(scope: u64, database: &Database) -> Result<(Reading, Option<Entered>)> {
    if scope == NOW {
        return Ok((Reading::Rest(Arc::new(database.snapshot())), None));
    }
    match objects::get(scope)? {
        Object::Snapshot(snapshot) => Ok((Reading::Rest(snapshot), None)),
        Object::Transaction(transaction) => Ok((Reading::Transaction(transaction), None)),
        Object::Stoppable(Stoppable { scope, stop }) => {
            let entered = stop.enter();
            Stop::check()?;
            Ok((reading(scope, database)?.0, Some(entered)))
        }
        _ => Err(wrong("a snapshot or transaction")),
    }
}

/// Who may give up what is done in a scope.
pub fn stop_of(scope: u64) -> Option<Stop> {
    if scope == NOW {
        return None;
    }
    match objects::get(scope) {
        Ok(Object::Stoppable(stoppable)) => Some(stoppable.stop),
        _ => None,
    }
}

/// Runs `body` in a transaction: that of `scope`, where what failed is undone and the transaction goes on, or one of its own.
pub fn write<R>(scope: u64, database: &Database, body: impl FnOnce(&mut WriteTransaction) -> Result<R>) -> Result<R> {
    let (mut body, mut given) = (Some(body), None);
    write_any(scope, database, &mut |tx| {
        if let Some(body) = body.take() {
            given = Some(body(tx)?);
        }
        Ok(())
    })?;
    given.ok_or(Error::Closed)
}

/// What is alike for all that is written: for each kind of its own it would be compiled anew, with a commit around it.
fn write_any(scope: u64, database: &Database, body: &mut dyn FnMut(&mut WriteTransaction) -> Result<()>) -> Result<()> {
    if scope == NOW {
        return database.transaction(body);
    }
    let transaction = match objects::get(scope)? {
        Object::Transaction(transaction) => transaction,
        Object::Stoppable(Stoppable { scope, stop }) => {
            let _entered = stop.enter();
            Stop::check()?;
            return write_any(scope, database, body);
        }
        _ => return Err(wrong("a transaction")),
    };
    within(&transaction, |tx| {
        let before = tx.savepoint();
        let result = body(tx);
        if result.is_err() {
            tx.rollback_to(&before);
        }
        result
    })
}

/// Runs `body` in a transaction that goes on.
pub fn within<R>(
    transaction: &Mutex<Option<Transaction>>,
    body: impl FnOnce(&mut WriteTransaction) -> Result<R>,
) -> Result<R> {
    body(locked(transaction).as_mut().ok_or(Error::Closed)?)
}

/// A collection at rest, or in a transaction: what is read of both alike.
pub trait Reads {
    fn get(&mut self, key: Value) -> Result<Option<Vec<u8>>>;
    /// Gives `see` the document of each key in their order; `see` must not read.
    fn each(&mut self, keys: Vec<Value>, see: &mut dyn FnMut(Option<&[u8]>) -> Result<()>) -> Result<()>;
    fn get_by(&mut self, index: &str, values: Vec<Value>) -> Result<Option<Vec<u8>>>;
    fn count(&mut self, query: Query) -> Result<u64>;
    fn extreme(&mut self, path: &str, query: Query, highest: bool) -> Result<Option<Value>>;
    fn rows(&mut self, query: Query) -> Result<Rows>;
}

macro_rules! reads {
    ($collection:ty, $self:ident, $query:ident, $rows:expr) => {
        impl Reads for $collection {
            fn get(&mut self, key: Value) -> Result<Option<Vec<u8>>> {
                self.get_cbor(key)
            }

            fn each(&mut self, keys: Vec<Value>, see: &mut dyn FnMut(Option<&[u8]>) -> Result<()>) -> Result<()> {
                self.each_cbor(keys, see)
            }

            fn get_by(&mut self, index: &str, values: Vec<Value>) -> Result<Option<Vec<u8>>> {
                self.get_cbor_by(index, values)
            }

            fn count(&mut self, query: Query) -> Result<u64> {
                <$collection>::count(self, query)
            }

            fn extreme(&mut self, path: &str, query: Query, highest: bool) -> Result<Option<Value>> {
                if highest { self.max(path, query) } else { self.min(path, query) }
            }

            fn rows(&mut $self, $query: Query) -> Result<Rows> {
                $rows
            }
        }
    };
}

reads!(ReadCollection<Raw>, self, query, Ok(Rows::Documents(Box::new(self.query(query)?))));
reads!(WriteCollection<'_, Raw>, self, query, Ok(Rows::Gathered(self.query(query)?.into_iter())));

/// Runs `body` on a collection as `scope` sees it.
pub fn read<R>(
    scope: u64,
    collection: &lightning_db::Collection<Raw>,
    body: impl FnOnce(&mut dyn Reads) -> Result<R>,
) -> Result<R> {
    let (mut body, mut given) = (Some(body), None);
    read_any(scope, collection, &mut |documents| {
        if let Some(body) = body.take() {
            given = Some(body(documents)?);
        }
        Ok(())
    })?;
    given.ok_or(Error::Closed)
}

fn read_any(
    scope: u64,
    collection: &lightning_db::Collection<Raw>,
    body: &mut dyn FnMut(&mut dyn Reads) -> Result<()>,
) -> Result<()> {
    if scope == NOW {
        // Nobody else has this snapshot.
        return body(&mut collection.database().snapshot().collection(collection)?);
    }
    let (reading, _entered) = reading(scope, collection.database())?;
    match reading {
        Reading::Rest(snapshot) => body(&mut snapshot.collection(collection)?),
        Reading::Transaction(transaction) => within(&transaction, |tx| body(&mut tx.collection(collection)?)),
    }
}
