//! Lightning DB in the browser: the engine on a browser's storages.
//!
//! [`OpfsStorage`] keeps a database in two files of the origin private file system; it works in dedicated workers only,
//! where file handles are synchronous. [`IndexedDb`] keeps it in IndexedDB, anywhere: what is not in memory must be
//! fetched first, and what is written becomes durable later, so operations run through a driver that starts them again.
//! [`BrowserDatabase`] is the engine on either of them, or in memory.
//!
//! **Architecture invariant:** nothing here knows the file format. These are byte files, a clock and entropy.

mod database;
mod environment;
mod failure;
mod indexed_db;
mod opfs;
mod spike;

pub use database::{BrowserDatabase, Place};
pub use environment::{JsClock, JsEntropy};
pub use indexed_db::{Flushed, IndexedDb, IndexedDbStorage, Restartable};
pub use opfs::OpfsStorage;
