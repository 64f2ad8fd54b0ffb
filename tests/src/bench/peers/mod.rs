//! The databases, one file each, behind [`Engine`](super::engine::Engine).
//!
//! The rules for all: byte strings as keys and values (no peer is told that the lengths are fixed), compression off,
//! the memory budget of the settings, otherwise what the peer's own documentation recommends for the work at hand.

#[cfg(feature = "peer-canopydb")]
mod canopydb;
#[cfg(feature = "peer-fjall")]
mod fjall;
pub(crate) mod lightning;
#[cfg(feature = "peer-lmdb")]
mod lmdb;
mod raw;
#[cfg(feature = "peer-redb")]
mod redb;
#[cfg(feature = "peer-rocksdb")]
mod rocksdb;
#[cfg(feature = "peer-sqlite")]
pub(crate) mod sqlite;

use std::collections::BTreeMap;

use self::lightning::Manner;
use super::Result;
use super::arguments::{Job, Subject};
use super::documents;
use super::engine::Engine;
use super::worker::{Worker, serve};

/// The name of Lightning DB among the peers.
pub(crate) const OURS: &str = "lightning";
/// Lightning DB with other choices: measured where they are asked for.
pub(crate) const OURS_OTHERWISE: [&str; 2] =
    [<lightning::Blake3 as Manner>::NAME, <lightning::VerifyAlways as Manner>::NAME];
/// Not a database: appends to a file and syncs, which is the least a synced commit can cost.
pub(crate) const FLOOR: &str = raw::NAME;

/// Those built in, in the order of the table.
pub(crate) fn names(subject: &Subject) -> Vec<&'static str> {
    registry(subject).into_iter().map(|peer| peer.name).collect()
}

/// What is measured under each name.
pub(crate) fn descriptions(subject: &Subject, wanted: &[&'static str]) -> BTreeMap<&'static str, String> {
    let wanted = registry(subject).into_iter().filter(|peer| wanted.contains(&peer.name));
    wanted.map(|peer| (peer.name, (peer.description)())).collect()
}

/// Serves as the worker of the peer that `job` names.
pub(crate) fn work(job: &Job) -> Result<()> {
    let peer = registry(&job.subject).into_iter().find(|peer| peer.name == job.peer);
    (peer.ok_or_else(|| format!("no peer '{}' is built in", job.peer))?.work)(job)
}

/// A database, and how to drive it.
pub(crate) struct Peer {
    pub(crate) name: &'static str,
    pub(crate) description: fn() -> String,
    pub(crate) work: fn(&Job) -> Result<()>,
}

impl Peer {
    fn of<E: Engine>() -> Self {
        Self { name: E::NAME, description: E::description, work: work_with::<E> }
    }
}

fn registry(subject: &Subject) -> Vec<Peer> {
    match subject {
        Subject::Records => of_records(),
        Subject::Documents(_) => documents::registry(),
    }
}

fn of_records() -> Vec<Peer> {
    vec![
        Peer::of::<lightning::Lightning<lightning::Usual>>(),
        Peer::of::<lightning::Lightning<lightning::Blake3>>(),
        Peer::of::<lightning::Lightning<lightning::VerifyAlways>>(),
        #[cfg(feature = "peer-lmdb")]
        Peer::of::<lmdb::Lmdb>(),
        #[cfg(feature = "peer-redb")]
        Peer::of::<redb::Redb>(),
        #[cfg(feature = "peer-canopydb")]
        Peer::of::<canopydb::Canopydb>(),
        #[cfg(feature = "peer-fjall")]
        Peer::of::<fjall::Fjall>(),
        #[cfg(feature = "peer-rocksdb")]
        Peer::of::<rocksdb::RocksDb>(),
        #[cfg(feature = "peer-sqlite")]
        Peer::of::<sqlite::Sqlite>(),
        Peer { name: raw::NAME, description: raw::description, work: raw::work },
    ]
}

fn work_with<E: Engine>(job: &Job) -> Result<()> {
    let mut worker = Worker::<E>::new(job)?;
    serve(|request| worker.run(request))?;
    worker.close()
}

/// The version of a crate this program was built with; the last of several, which is ours where peers use older ones.
pub(crate) fn locked_version(name: &str) -> &'static str {
    const LOCK: &str = include_str!("../../../../Cargo.lock");
    let packages = LOCK.split("[[package]]");
    let package = packages.into_iter().filter(|package| package.contains(&format!("name = \"{name}\"\n"))).last();
    let version = package.and_then(|package| package.split("version = \"").nth(1));
    version.and_then(|rest| rest.split('"').next()).unwrap_or("unknown")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lock_file_gives_versions() {
        assert_eq!(locked_version("lightning-db"), env!("CARGO_PKG_VERSION"));
        assert_eq!(locked_version("no-such-crate"), "unknown");
    }
}
