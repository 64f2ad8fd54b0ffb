//! A copy of the database as one snapshot sees it: a data file as a clean close leaves it, made from its first byte to its
//! last, so that it can go into a pipe.
//!
//! **Twice the same.** The superblocks stand at the beginning and name what lies at the end. So everything is laid out
//! once without keeping a byte of it, and then made again and given away. A tree that is made in order depends on its
//! entries alone, and a snapshot does not change: both times every node comes to the same place. What was laid out is
//! compared with what was made. What goes to a file is made at once, with zeros where the superblocks come, which are put there
//! in the end.
//!
//! Leaves of the base that nothing newer touches become leaves of the copy as they are stored, unless they are nearly empty.
//!
//! The copy has one tree, no runs, and needs no log. It begins an incarnation of its own, which left this one at the
//! snapshot's commit. Every byte that is read is verified, and the copy is verified by whoever checks it: it is a database.

use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;

use super::backup_pass::Pass;
use super::open::random;
use super::record::{ANCESTORS_MAX, Ancestor, CheckpointRecord};
use super::state::Engine;
use super::version::Version;
#[cfg(feature = "encryption")]
use crate::codec::cipher::Envelope;
use crate::codec::cipher::{Proof, Unit};
use crate::error::{Error, Result};
use crate::log::LogPosition;
use crate::space::{
    Extent, GRAINS_PER_SECTOR, PendingFree, RESERVED_SECTORS, SECTOR_BYTES, SECTORS_PER_PAGE, Superblock,
};
use crate::tree::{Root, Seal};

/// Bytes that are given away at once, about.
pub(super) const PIECE_BYTES: usize = 256 << 10;
/// Before everything that is named.
const RESERVED_BYTES: usize = (RESERVED_SECTORS * SECTOR_BYTES) as usize;
/// The numbers of its two superblocks.
const CHECKPOINTS: [u64; 2] = [1, 2];

/// Whether this is a copy that nobody has written to: no other database that goes on from another has so low a number.
pub(super) fn is_new_copy(superblock: &Superblock) -> bool {
    superblock.parent != (0, 0) && superblock.clean && CHECKPOINTS.contains(&superblock.checkpoint)
}

/// A backup under way.
#[derive(Debug)]
pub(crate) struct BackupWork {
    version: Arc<Version>,
    /// That the nodes of the copy carry.
    age: u64,
    pass: Pass,
    /// Of the copy: what is the same in both superblocks.
    superblock: Superblock,
    /// Both passes seal in one session of their own.
    seal: Seal,
    ancestors: Vec<Ancestor>,
    layout: Option<Layout>,
    phase: Phase,
    entries_done: u64,
    bytes_given: u64,
    /// The superblocks, where zeros were given away in their place.
    head: Option<Vec<u8>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    LayOut,
    Make,
    /// Both in one, but for the superblocks.
    #[cfg(all(feature = "std", any(unix, windows)))]
    AtOnce,
    Done,
    /// The second pass was not like the first; what was given away is no database.
    Failed,
}

/// What is known once everything has its place.
#[derive(Debug)]
struct Layout {
    root: Option<Root>,
    /// Where the trees and values end.
    end: u64,
    file_bytes: u64,
    /// The pages of the map and the records.
    tail: Vec<u8>,
}

impl BackupWork {
    /// Of what `version` holds.
    pub(crate) fn new(engine: &Engine, version: Arc<Version>) -> Self {
        let history = &engine.history;
        // Of one moment: what seals the copy is what its keys open.
        let (found, envelope) = {
            let work = engine.work.lock();
            (work.superblock.clone(), engine.nodes.seal().envelope.for_copy(&*engine.env.entropy))
        };
        let mut ancestors = history.ancestors.clone();
        ancestors.push(Ancestor { incarnation: history.incarnation, left_at: version.sequence });
        ancestors.drain(..ancestors.len().saturating_sub(ANCESTORS_MAX));
        let superblock = Superblock {
            incarnation: random(&engine.env),
            parent: (history.incarnation, version.sequence),
            sequence: version.sequence,
            clean: true,
            ..found
        };
        // Of both passes, whatever becomes the base meanwhile: it is in every node, and so in what names them.
        let age = engine.space.lock().ages.base().max(version.sequence);
        let seal = Seal { envelope, ..engine.nodes.seal().clone() };
        Self {
            pass: Pass::new(engine, &version, &seal, age, false),
            seal,
            version,
            age,
            superblock,
            ancestors,
            layout: None,
            phase: Phase::LayOut,
            entries_done: 0,
            bytes_given: 0,
            head: None,
        }
    }

    /// Whoever takes it can put other bytes over the first ones in the end: [`head`](Self::head). Nothing where it was begun.
    #[cfg(all(feature = "std", any(unix, windows)))]
    pub(crate) fn make_at_once(&mut self, engine: &Engine) {
        if self.phase == Phase::LayOut && !self.pass.started {
            self.phase = Phase::AtOnce;
            self.pass = Pass::new(engine, &self.version, &self.seal, self.age, true);
            self.pass.sink.out = vec![0; RESERVED_BYTES];
        }
    }

    /// What is to be put over the first bytes when all are there, if that is so.
    #[cfg(all(feature = "std", any(unix, windows)))]
    pub(crate) fn head(&self) -> Option<&[u8]> {
        self.head.as_deref().filter(|_| self.phase == Phase::Done)
    }

    /// Goes on for a bounded while; whether there is more to do. Restartable.
    pub(crate) fn step(&mut self, engine: &Engine) -> Result<bool> {
        match self.phase {
            Phase::Done => return Ok(false),
            Phase::Failed => return Err(changed()),
            #[cfg(all(feature = "std", any(unix, windows)))]
            Phase::AtOnce => {}
            Phase::LayOut | Phase::Make => {}
        }
        let before = self.pass.entries;
        let finished = self.pass.step(engine);
        self.entries_done += self.pass.entries - before;
        let Some(root) = finished? else { return Ok(true) };
        #[cfg(all(feature = "std", any(unix, windows)))]
        if self.phase == Phase::AtOnce {
            let (layout, superblocks) = self.lay_out(engine, root)?;
            self.finish(&layout);
            self.head = Some(head_of(&superblocks));
            self.layout = Some(layout);
            return Ok(false);
        }
        match self.layout.take() {
            None => {
                let layout = self.lay_out(engine, root)?;
                let mut next = Pass::new(engine, &self.version, &self.seal, self.age, true);
                next.sink.out = head_of(&layout.1);
                self.layout = Some(layout.0);
                self.pass = next;
                self.phase = Phase::Make;
                Ok(true)
            }
            Some(layout) if (layout.root, layout.end) == (root, self.pass.sink.position) => {
                self.finish(&layout);
                self.layout = Some(layout);
                Ok(false)
            }
            Some(_) => {
                self.phase = Phase::Failed;
                Err(changed())
            }
        }
    }

    /// Behind the trees and values comes what names them.
    fn finish(&mut self, layout: &Layout) {
        self.pass.sink.pad(layout.end.next_multiple_of(SECTOR_BYTES));
        self.pass.sink.out.extend_from_slice(&layout.tail);
        self.phase = Phase::Done;
    }

    /// What was made since the last call.
    pub(crate) fn take(&mut self) -> Vec<u8> {
        let taken = core::mem::take(&mut self.pass.sink.out);
        self.bytes_given += taken.len() as u64;
        taken
    }

    /// Leaves that became leaves of the copy as they are, in this pass.
    #[cfg(test)]
    pub(crate) fn leaves_taken_over(&self) -> u64 {
        self.pass.leaves
    }

    /// Entries that the copy has.
    pub(crate) fn copied(&self) -> u64 {
        if self.pass.sink.keeps { self.pass.entries } else { 0 }
    }

    /// Entries read, of how many about: each is read twice, unless all is made at once.
    pub(crate) fn entries(&self) -> (u64, u64) {
        let layers = &self.version.layers;
        let trees = layers.base.map_or(0, |root| root.entries)
            + layers.runs.iter().map(|layer| layer.run.entries()).sum::<u64>();
        let memory =
            self.version.memtable.len() + layers.frozen.iter().map(|frozen| frozen.memtable.len()).sum::<usize>();
        let once = trees.saturating_add(memory as u64);
        let all = match self.phase {
            #[cfg(all(feature = "std", any(unix, windows)))]
            Phase::AtOnce => once,
            _ => once.saturating_mul(2),
        };
        match self.phase {
            Phase::Done => (self.entries_done, self.entries_done),
            _ => (self.entries_done, all.max(self.entries_done)),
        }
    }

    /// Bytes given away, of how many once that is known.
    pub(crate) fn bytes(&self) -> (u64, Option<u64>) {
        (self.bytes_given, self.layout.as_ref().map(|layout| layout.file_bytes))
    }

    /// Bytes of the copy that were laid out, and that were made.
    pub(crate) fn bytes_passed(&self) -> u64 {
        let is_second = self.head.is_none();
        let laid_out = self.layout.as_ref().filter(|_| is_second).map_or(0, |layout| layout.end);
        laid_out + self.pass.sink.position
    }

    /// The commit that the copy is of.
    pub(crate) fn sequence(&self) -> u64 {
        self.version.sequence
    }

    /// Places for the map and for both records, behind everything else; and the superblocks that name them.
    fn lay_out(&self, engine: &Engine, root: Option<Root>) -> Result<(Layout, Vec<Superblock>)> {
        let sink = &self.pass.sink;
        let checksum = sink.seal.checksum;
        let envelope = &sink.seal.envelope;
        let copy_bytes = self.superblock.copy_bytes();
        let first = sink.position.div_ceil(SECTOR_BYTES);
        let log = {
            let work = engine.work.lock();
            let writer = engine.writer.lock();
            // The log of a copy begins with a generation that no segment of this one has yet.
            let newest = writer.log.as_ref().map_or(work.merged_log, |log| log.position()).generation;
            LogPosition::fresh(newest.max(work.merged_log.generation).saturating_add(1), self.version.sequence)
        };
        let mut record = CheckpointRecord {
            base: root,
            runs: Vec::new(),
            values: self.pass.values,
            next_run_id: 0,
            base_age: sink.age,
            sealed: Vec::new(),
            log,
            kept: Vec::new(),
            ancestors: self.ancestors.clone(),
            time_ms: self.version.time_ms,
            sectors: 0,
            archive: None,
            // A copy is another database, to be used.
            is_frozen: false,
            named: Vec::new(),
            map_pages: Vec::new(),
            pending: Vec::new(),
        };
        // As many pages as it takes to describe them, too.
        let page = |index: u64| (first + index) * SECTOR_BYTES;
        let mut pages = 1;
        let record_sectors = loop {
            let none = Proof::none(checksum);
            record.map_pages = (0..pages).map(|index| (page(index), none)).collect();
            record.pending = Vec::from([PendingFree {
                extent: Extent { offset: 0, len: 0 },
                checkpoint: 0,
                readable: 0..0,
                until_archived: 0,
            }]);
            let need = copy_bytes + record.encode().len() as u64;
            let record_sectors = need.div_ceil(SECTOR_BYTES);
            record.sectors = first + pages + 2 * record_sectors;
            let wanted = record.sectors.div_ceil(SECTORS_PER_PAGE);
            if wanted <= pages {
                break record_sectors;
            }
            pages = wanted;
        };
        let file_bytes = record.sectors * SECTOR_BYTES;
        let mut counts = sink.counts.clone();
        counts.resize(first as usize, 0);
        counts.resize(record.sectors as usize, GRAINS_PER_SECTOR as u8);
        counts.resize((pages * SECTORS_PER_PAGE) as usize, 0);
        record.map_pages = (0..pages)
            .zip(counts.chunks_mut(SECTORS_PER_PAGE as usize))
            .map(|(index, image)| (page(index), envelope.prove(checksum, Unit::MapPage, page(index), image)))
            .collect();
        let mut tail = counts;
        let extent = |slot: u64| Extent {
            offset: (first + pages + slot * record_sectors) * SECTOR_BYTES,
            len: record_sectors * SECTOR_BYTES,
        };
        let mut superblocks = Vec::new();
        for (slot, number) in (0..).zip(CHECKPOINTS) {
            // To each the other is one that waits to be reused.
            record.pending = Vec::from([PendingFree {
                extent: extent(1 - slot),
                checkpoint: number,
                readable: 0..0,
                until_archived: 0,
            }]);
            let whole = extent(slot);
            let mut encoded = record.encode();
            let place = Extent { offset: whole.offset + copy_bytes, len: whole.len - copy_bytes };
            encoded.resize(place.len as usize, 0);
            let superblock = Superblock {
                checkpoint: number,
                record: (place, envelope.prove(checksum, Unit::Record, place.offset, &mut encoded)),
                file_bytes,
                ..self.superblock.clone()
            };
            #[cfg(feature = "encryption")]
            let superblock = match envelope {
                // Nothing else has its slot for a place.
                Envelope::Sealed(cipher) => superblock.authenticated(cipher, number % 2),
                Envelope::Plain => superblock,
            };
            tail.extend_from_slice(&superblock.encode_copy());
            tail.extend_from_slice(&encoded);
            superblocks.push(superblock);
        }
        Ok((Layout { root, end: sink.position, file_bytes, tail }, superblocks))
    }
}

/// The first bytes of a copy.
fn head_of(superblocks: &[Superblock]) -> Vec<u8> {
    let mut head = vec![0; RESERVED_BYTES];
    for (number, superblock) in CHECKPOINTS.iter().zip(superblocks) {
        let at = (number % 2 * SECTOR_BYTES) as usize;
        let copy = superblock.encode_copy();
        if let Some(sector) = head.get_mut(at..at + copy.len()) {
            sector.copy_from_slice(&copy);
        }
    }
    head
}

#[cold]
fn changed() -> Error {
    Error::invalid("what was read for the backup changed while it was made; begin it again")
}
