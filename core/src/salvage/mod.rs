//! Salvage: everything readable of a damaged database, copied into a new one. The damaged files are only read.
//!
//! **What is believed.** Nothing but what proves itself: a node its checksum, which covers the database and the place; a
//! value the checksum in its reference; a frame of the log its own. So a record comes back as it was committed, or not.
//!
//! **Where to begin.** With the newest superblock that is whole. Where one or both are lost, with the newest whole copy of
//! one, which stands in front of every checkpoint record. Its record names the trees, newest last: the base, then each
//! run from the oldest on, then the commits of the log. They are applied to the new database in that order, so that the
//! order of layers does what it does in reading, and memory holds a batch at a time.
//!
//! **Trees** are walked from their roots. What a damaged leaf held is lost, and its parent says between which keys. Below a
//! damaged inner node the leaves are looked for in the whole file ([`orphans`]): leaves of that tree that nothing else
//! refers to, whose space is in use, and that no newer one has replaced. If as many records are found as the parent says,
//! nothing is lost.
//!
//! **No record at all**, not even an old one, leaves the nodes alone ([`nodes_alone`]): all of them are put together by
//! their age. This is the only case in which a record may come back that had been deleted.
//!
//! **Older versions** of a lost record are not put in its place: a database that says it has a record says that this is the
//! record. But where a *run's* leaf is lost, which held only what had changed since, what the layers below have stays: the
//! report names such ranges as lost changes.
//!
//! **The log** is replayed as in opening. If that refuses, because damage lies in its middle, every commit that is whole is
//! taken, and the numbers of those that are not are reported. Where the log ended cannot be proven: what was there at its very
//! end and is zeros now looks as if never written. So the report of an unclean database names the last commit found.
//!
//! **Architecture invariant:** this module writes through transactions of the new database only, and never to the source.
#![cfg_attr(not(test), deny(clippy::indexing_slicing))]

mod begin;
#[cfg(all(feature = "std", any(unix, windows)))]
mod files;
mod grains;
mod losses;
mod names;
mod nodes_alone;
mod orphans;
mod replay;
mod report;
mod sink;
mod source;
#[cfg(all(test, feature = "std"))]
mod tests;
mod trees;
mod walk;

pub use report::{LogEnd, Loss, LossKind, SalvageBasis, SalvageReport};

use alloc::collections::BTreeSet;
use alloc::sync::Arc;

use self::begin::Beginning;
use self::losses::Losses;
use self::sink::Sink;
use self::source::Source;
use crate::db::Database;
use crate::engine::{Nodes, Verify};
use crate::env::Storage;
use crate::error::{Error, Result};

/// Nodes are read once, so hardly any is kept.
const CACHE_BYTES: usize = 256 << 10;

impl Database {
    /// Copies everything readable of the damaged database in `source` into this one, which must have no tables, and says
    /// what is lost. Nothing is written to `source`. The tables keep their names and types; those whose definitions are
    /// lost become `recovered-N`, of bytes.
    ///
    /// After an error, `NotResident` too, this database is to be thrown away. `progress` sees the report as it grows.
    pub fn salvage(&self, source: Arc<dyn Storage>, progress: &mut dyn FnMut(&SalvageReport)) -> Result<SalvageReport> {
        if !self.tables()?.is_empty() {
            return Err(Error::invalid("salvage needs a new database to write to, and this one has tables"));
        }
        #[cfg_attr(not(feature = "encryption"), allow(unused_mut, reason = "nothing is encrypted"))]
        let mut source = Source::open(source)?;
        #[cfg(feature = "encryption")]
        {
            // The damaged database is opened by the key of the new one.
            source.key = self.own_key();
        }
        let beginning = begin::find(&source)?;
        self.salvage_from(&source, &beginning, progress)
    }

    fn salvage_from(
        &self,
        source: &Source,
        beginning: &Beginning,
        progress: &mut dyn FnMut(&SalvageReport),
    ) -> Result<SalvageReport> {
        let mut work = Salvage {
            nodes: Arc::new(Nodes::new(
                Arc::clone(&source.storage),
                beginning.seal.clone(),
                (CACHE_BYTES, CACHE_BYTES),
                Verify::Resident,
            )),
            source,
            beginning,
            sink: Sink::new(self),
            losses: Losses::default(),
            report: SalvageReport::new(beginning.basis()),
            made_again: BTreeSet::new(),
            progress,
        };
        match &beginning.checkpoint {
            Some((superblock, record)) => {
                work.report.checkpoint = Some(superblock.checkpoint);
                work.copy_trees(superblock, record)?;
            }
            None => work.copy_nodes_alone()?,
        }
        work.replay_log()?;
        work.sink.finish()?;
        work.name_tables()?;
        work.finish()
    }
}

/// One salvage under way.
struct Salvage<'a> {
    source: &'a Source,
    beginning: &'a Beginning,
    nodes: Arc<Nodes>,
    sink: Sink<'a>,
    losses: Losses,
    report: SalvageReport,
    /// Tables of indexes, which are made again whatever of them came back.
    made_again: BTreeSet<u64>,
    progress: &'a mut dyn FnMut(&SalvageReport),
}

impl Salvage<'_> {
    fn tell_progress(&mut self) {
        (self.progress)(&self.report);
    }
}
