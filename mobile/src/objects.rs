//! What handles stand for.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use lightning_db::{
    Collection, Database, EncryptionKey, Error, MigrationStep, Result, Snapshot, Subscription, Transaction,
};

use crate::feed::Following;
use crate::handles::Handles;
use crate::opened::Opened;
use crate::raw::Raw;
use crate::rows::Cursor;
use crate::stop::Stoppable;
use crate::table::OpenTable;

/// Everything that is open in this process.
static OBJECTS: Handles<Held> = Handles::new();

/// An object, and the database without which it is nothing.
#[derive(Clone)]
struct Held {
    owner: Owner,
    object: Object,
}

/// A database, as those that belong to it know it. Numbers are not used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Owner(u64);

impl Owner {
    pub fn new() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        Self(NEXT.fetch_add(1, Ordering::Relaxed))
    }
}

/// A handle of `object`.
pub fn insert(owner: Owner, object: Object) -> Result<u64> {
    OBJECTS.insert(Held { owner, object })
}

/// A handle of `object`, which belongs to the same database as `sibling`.
pub fn insert_beside(sibling: u64, object: Object) -> Result<u64> {
    let handle = insert(OBJECTS.get(sibling)?.owner, object)?;
    // Whoever closes the database looks for all that is open in it: before this one was there, or after.
    if let Err(closed) = OBJECTS.get(sibling) {
        drop(OBJECTS.remove(handle));
        return Err(closed);
    }
    Ok(handle)
}

/// What a handle stands for.
pub fn get(handle: u64) -> Result<Object> {
    Ok(OBJECTS.get(handle)?.object)
}

/// Gives a handle up; what it stood for.
pub fn remove(handle: u64) -> Option<Object> {
    OBJECTS.remove(handle).map(|held| held.object)
}

/// How many there are.
pub fn count() -> u64 {
    OBJECTS.len()
}

/// Gives up all that belongs to a database, so that nothing keeps its files once the calls that are under way have ended.
pub fn remove_all_of(owner: Owner) {
    OBJECTS.remove_all(|held| held.owner == owner);
}

/// One of them. Cheap to clone: a clone stands for the same.
#[derive(Clone)]
pub enum Object {
    Database(Arc<Opened>),
    /// Of no database, until one is opened with it.
    Key(EncryptionKey),
    Collection(Arc<Collection<Raw>>),
    Table(Arc<OpenTable>),
    /// The same one for all: whatever is read of it is gone by the same time.
    Snapshot(Arc<Snapshot>),
    Transaction(Arc<Mutex<Option<Transaction>>>),
    Rows(Arc<Mutex<Cursor>>),
    Stoppable(Stoppable),
    Live(Arc<Mutex<Subscription<Raw>>>),
    Feed(Arc<Mutex<Following>>),
    Migration(Arc<Mutex<Option<MigrationStep>>>),
}

/// What is read and written through a handle.
pub enum Target {
    Collection(Arc<Collection<Raw>>),
    Table(Arc<OpenTable>),
}

pub fn opened(handle: u64) -> Result<Arc<Opened>> {
    match get(handle)? {
        Object::Database(opened) => Ok(opened),
        _ => Err(wrong("a database")),
    }
}

pub fn database(handle: u64) -> Result<Database> {
    Ok(opened(handle)?.database.clone())
}

/// The key of a handle; none for 0.
pub fn key(handle: u64) -> Result<Option<EncryptionKey>> {
    match handle {
        0 => Ok(None),
        handle => match get(handle)? {
            Object::Key(key) => Ok(Some(key)),
            _ => Err(wrong("a key")),
        },
    }
}

pub fn collection(handle: u64) -> Result<Arc<Collection<Raw>>> {
    match get(handle)? {
        Object::Collection(collection) => Ok(collection),
        _ => Err(wrong("a collection")),
    }
}

pub fn table(handle: u64) -> Result<Arc<OpenTable>> {
    match get(handle)? {
        Object::Table(table) => Ok(table),
        _ => Err(wrong("a table")),
    }
}

pub fn target(handle: u64) -> Result<Target> {
    match get(handle)? {
        Object::Collection(collection) => Ok(Target::Collection(collection)),
        Object::Table(table) => Ok(Target::Table(table)),
        _ => Err(wrong("a collection or table")),
    }
}

pub fn rows(handle: u64) -> Result<Arc<Mutex<Cursor>>> {
    match get(handle)? {
        Object::Rows(rows) => Ok(rows),
        _ => Err(wrong("a cursor")),
    }
}

impl Target {
    /// The database it is in.
    pub fn database(&self) -> &Database {
        match self {
            Self::Collection(collection) => collection.database(),
            Self::Table(table) => &table.database,
        }
    }
}

/// Takes a lock. What a panic has left behind is seen by the engine, whose own locks are around all that matters.
pub fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cold]
pub fn wrong(expected: &str) -> Error {
    invalid(format!("the handle is not that of {expected}"))
}

#[cold]
pub fn invalid(what: impl Into<String>) -> Error {
    Error::Invalid { what: what.into() }
}
