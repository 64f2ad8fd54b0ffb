//! Lightning DB for Swift, Kotlin and C.
//!
//! The wide interface is UniFFI's: an object for each noun of the database, errors, records, asynchronous calls, callbacks. A
//! call of UniFFI costs up to 60 µs from Kotlin, so what is called most (get, put, batch, the next rows of a cursor) has a second,
//! narrow entry: functions of C (`c.rs`) and of Java's virtual machine (`jvm.rs`). Both see the same objects: whatever is open has
//! a handle, a number that [`handles`] gives out, and an object of UniFFI is nothing but such a number.
//!
//! Documents, keys, queries, updates and schemas cross as CBOR (RFC 8949), so that nothing is encoded twice; the packages for
//! Swift and Kotlin read and write it straight from and into their own types.
//!
//! **Architecture invariant:** nothing of the engine is built here. A function finds the objects that its handles name, calls the
//! core, and packs what comes back. No foreign code runs while a lock of this crate is held.

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod archive;
mod backup;
mod calls;
mod collection;
mod database;
mod encryption;
mod failure;
mod feed;
mod files;
mod handles;
mod health;
mod limits;
mod maintenance;
mod objects;
mod opened;
mod options;
mod packed;
mod raw;
mod restore;
mod rows;
mod scope;
#[cfg(test)]
mod scratch;
mod snapshot;
mod stop;
mod subscription;
mod table;
mod transaction;

#[allow(unsafe_code, reason = "pointers of C; what is asked of callers stands at each function")]
pub mod c;
#[cfg(feature = "jvm")]
#[allow(unsafe_code, reason = "names that the virtual machine looks for")]
mod jvm;

pub use failure::Failure;

uniffi::setup_scaffolding!("lightning_db");
