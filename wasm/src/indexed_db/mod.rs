//! A database in IndexedDB: two byte files, kept as blocks.
//!
//! IndexedDB answers later, the engine wants its bytes now. So [`IndexedDbStorage`] holds some blocks in memory and says
//! `NotResident` for the others; the driver, [`IndexedDb`], fetches those and runs the operation again. Writes are
//! collected in memory; a sync is pending until the driver has written them in one transaction.
//!
//! `blocks` and `storage` know nothing of JavaScript; `connection` knows nothing of the engine.

mod blocks;
mod connection;
mod driver;
mod storage;

pub use driver::{Flushed, IndexedDb, Restartable};
pub use storage::IndexedDbStorage;
