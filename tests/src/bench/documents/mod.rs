//! The benchmark of documents: places of the world with two secondary indexes, a unique one over `code` and one over
//! `population`, beside other ways to keep such things.
//!
//! It shares the conductor, the worker processes and the report with the benchmark of records. What differs is in here:
//! the documents ([`city`]), what is asked of a database ([`engine`]), and the steps ([`step`]). Each worker knows all
//! documents and works out by itself what a right answer is ([`answers`]); every answer is compared with that.

mod answers;
mod city;
mod collections;
mod engine;
mod lightning;
mod loads;
#[cfg(feature = "peer-native-db")]
mod native_db;
mod opening;
mod reads;
#[cfg(feature = "peer-redb")]
mod redb;
#[cfg(feature = "peer-sqlite")]
mod sqlite;
pub(crate) mod step;
mod updates;
mod watching;
mod worker;

use super::peers::Peer;
use engine::DocumentEngine;

/// The databases built in, in the order of the table.
pub(crate) fn registry() -> Vec<Peer> {
    vec![
        peer::<lightning::Lightning>(),
        #[cfg(feature = "peer-sqlite")]
        peer::<sqlite::Sqlite>(),
        #[cfg(feature = "peer-native-db")]
        peer::<native_db::NativeDb>(),
        #[cfg(feature = "peer-redb")]
        peer::<redb::Redb>(),
    ]
}

fn peer<E: DocumentEngine>() -> Peer {
    Peer { name: E::NAME, description: E::description, work: worker::work::<E> }
}
