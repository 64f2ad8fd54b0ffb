//! Lightning DB for JavaScript: the engine on the storages of browsers and of Node, Deno and Bun.
//!
//! [`Engine`] is what JavaScript sees: it answers requests, each of which holds many operations ([`wire`] says in what
//! form). [`HandleStorage`] keeps a database in two files that JavaScript has opened: in the origin private file system,
//! where that is done in dedicated workers only, or in a directory. [`IndexedDb`] keeps it in IndexedDB, anywhere: what is
//! not in memory must be fetched first, and what is written becomes durable later, so operations run through a driver that
//! starts them again.
//!
//! **Architecture invariant:** nothing here knows the file format. These are byte files, a clock and entropy; and nothing
//! here knows what a query or a document is: those cross as they are.

mod environment;
mod export;
mod failure;
mod handles;
mod indexed_db;
#[cfg(feature = "encryption")]
mod keys;
mod session;
pub mod wire;

#[cfg(feature = "wee_alloc")]
#[global_allocator]
static ALLOCATOR: wee_alloc::WeeAlloc<'static> = wee_alloc::WeeAlloc::INIT;

pub use environment::{JsClock, JsEntropy};
pub use export::Engine;
pub use handles::{FileHandle, HandleStorage};
pub use indexed_db::{Flushed, IndexedDb, IndexedDbStorage, Restartable};
