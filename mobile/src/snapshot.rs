//! Snapshots.

use std::sync::Arc;

use crate::failure::Failure;
use crate::objects::{self, Object};

/// The database as it was when this was made. Its handle is a scope for reading.
#[derive(uniffi::Object)]
pub struct Snapshot {
    handle: u64,
    sequence: u64,
}

impl Snapshot {
    pub(crate) fn new(database: u64) -> Result<Arc<Self>, Failure> {
        let (handle, sequence) = open(database)?;
        Ok(Arc::new(Self { handle, sequence }))
    }
}

/// Begins one; gives its handle, and the newest commit that it sees.
pub(crate) fn open(database: u64) -> lightning_db::Result<(u64, u64)> {
    let snapshot = objects::database(database)?.snapshot();
    let sequence = snapshot.sequence();
    Ok((objects::insert_beside(database, Object::Snapshot(Arc::new(snapshot)))?, sequence))
}

#[uniffi::export]
impl Snapshot {
    /// The number by which the other calls know it.
    pub fn number(&self) -> u64 {
        self.handle
    }

    /// The newest commit that it sees.
    pub fn sequence(&self) -> u64 {
        self.sequence
    }

    /// Gives up what it holds.
    pub fn end(&self) {
        objects::remove(self.handle);
    }
}

impl Drop for Snapshot {
    fn drop(&mut self) {
        self.end();
    }
}
