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
    pub(crate) fn new(database: u64, name: Option<&str>) -> Result<Arc<Self>, Failure> {
        let (handle, sequence) = open(database, name)?;
        Ok(Arc::new(Self { handle, sequence }))
    }
}

/// A snapshot that has a name, and outlives the process.
#[derive(Clone, Debug, PartialEq, Eq, uniffi::Record)]
pub struct NamedSnapshot {
    /// Its name.
    pub name: String,
    /// The newest commit that it sees.
    pub sequence: u64,
    /// When that was made, in milliseconds since 1970.
    pub time_ms: u64,
    /// Bytes that would be free without it, unless another snapshot needs them, too.
    pub held_bytes: u64,
}

impl From<lightning_db::NamedSnapshot> for NamedSnapshot {
    fn from(named: lightning_db::NamedSnapshot) -> Self {
        let lightning_db::NamedSnapshot { name, sequence, time_ms, held_bytes, .. } = named;
        Self { name, sequence, time_ms, held_bytes }
    }
}

/// Begins one, of now or of what has a name; gives its handle, and the newest commit that it sees.
pub(crate) fn open(database: u64, name: Option<&str>) -> lightning_db::Result<(u64, u64)> {
    let core = objects::database(database)?;
    let snapshot = match name {
        None => core.snapshot(),
        Some(name) => core.snapshot_named(name)?,
    };
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
