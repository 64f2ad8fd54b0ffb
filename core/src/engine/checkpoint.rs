//! Makes the current layers durable.
//!
//! **Checkpoint order, never otherwise:** sync the log (a flush did) → write nodes (the jobs did), the pages of the space
//! map and the checkpoint record → sync the data file → write the other superblock → sync → reuse.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::archive::{ArchiveRecord, archived_to, is_held};
use super::maintenance::{Progress, Work};
use super::named::{Named, copied};
use super::record::CheckpointRecord;
use super::state::{BarrierSlot, Engine, GrainCounts};
use super::version::Layers;
#[cfg(feature = "encryption")]
use crate::codec::cipher::{Cipher, Envelope, KeyArea};
use crate::codec::cipher::{Proof, Unit};
use crate::env::FileId;
use crate::error::{Error, Result};
use crate::log::{KnownSegment, LogPosition};
#[cfg(feature = "encryption")]
use crate::space::KeyBlock;
use crate::space::{Extent, GRAIN_BYTES, PendingFree, SECTOR_BYTES, Superblock};
use crate::testing::Mutant;

/// Room the record's extent has beyond its first estimate, because reserving space adds pending frees.
const RECORD_SLACK_BYTES: u64 = 1024;

/// One checkpoint under way.
#[derive(Debug)]
pub(super) struct Checkpoint {
    /// Written at close: the log may be absent.
    clean: bool,
    /// Both slots get it: at close, and for a new database, which would look like none at all without its only superblock.
    both_slots: bool,
    phase: Phase,
    barrier: BarrierSlot,
    /// Extents taken for this checkpoint's own map pages and record.
    pub(super) written: Vec<Extent>,
    /// The map pages and the record they replace: free once this checkpoint is durable.
    replaced: Vec<Extent>,
    /// The record of the first of two slots: free once both have newer ones.
    first_record: Option<Extent>,
    /// Pages of the space map that this checkpoint makes durable.
    dirty_pages: Vec<u64>,
    /// Its number, once everything that belongs to it is known.
    number: Option<u64>,
    next: Option<Next>,
    /// The keys that it brings, if they are others than before.
    #[cfg(feature = "encryption")]
    keys: Option<KeyArea>,
    /// What seals from then on, if those are of a new data key. It seals the superblocks already: whoever has the one of before must not
    /// be able to make them up.
    #[cfg(feature = "encryption")]
    successor: Option<Cipher>,
}

/// What will be true once the superblock is durable.
#[derive(Debug)]
struct Next {
    superblock: Superblock,
    /// For the other slot, where both get one.
    second: Option<Superblock>,
    map_pages: Vec<(u64, Proof)>,
    log: LogPosition,
    replay_start: LogPosition,
    /// From this generation on segments are kept for change feeds.
    kept_from: u64,
    /// What its record says of the archive.
    archive: Option<Box<ArchiveRecord>>,
    #[cfg(feature = "std")]
    is_frozen: bool,
    /// The snapshots that it names.
    named: Vec<Arc<Named>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Only after opening: the new beginning of the log is durable before a superblock names it.
    SyncLog,
    Write,
    SyncData,
    WriteSuperblock,
    SyncSuperblock,
    /// The second slot.
    WriteSecond,
    SyncSecond,
}

impl Checkpoint {
    pub(super) fn new(clean: bool) -> Self {
        Self {
            clean,
            both_slots: clean,
            phase: Phase::Write,
            barrier: BarrierSlot::default(),
            written: Vec::new(),
            replaced: Vec::new(),
            first_record: None,
            dirty_pages: Vec::new(),
            number: None,
            next: None,
            #[cfg(feature = "encryption")]
            keys: None,
            #[cfg(feature = "encryption")]
            successor: None,
        }
    }

    /// Brings other keys, into both slots: the ones before must open neither.
    #[cfg(feature = "encryption")]
    pub(super) fn of_keys(keys: KeyArea) -> Self {
        Self { both_slots: true, keys: Some(keys), ..Self::new(false) }
    }

    /// Brings a new data key, likewise.
    #[cfg(feature = "encryption")]
    pub(super) fn of_data_key(keys: KeyArea, successor: Cipher) -> Self {
        Self { successor: Some(successor), ..Self::of_keys(keys) }
    }

    /// Takes the data key before away, likewise, when all that was under it is wiped, in the log too.
    #[cfg(feature = "encryption")]
    pub(super) fn of_last_key(keys: KeyArea) -> Self {
        Self { phase: Phase::SyncLog, ..Self::of_keys(keys) }
    }

    /// The checkpoint that follows opening: it names the log's new beginning.
    pub(super) fn first(creates: bool) -> Self {
        Self { phase: Phase::SyncLog, both_slots: creates, ..Self::new(false) }
    }

    pub(super) fn step(&mut self, engine: &Engine, work: &mut Work) -> Result<Progress> {
        match self.phase {
            Phase::SyncLog => {
                if !Mutant::LogStartNotSynced.is_active() {
                    // A later sync may succeed without what this one has lost.
                    engine.barrier(FileId::Log, &mut self.barrier.ticket).inspect_err(|error| {
                        if !matches!(error, Error::Pending(_)) {
                            engine.poison(error);
                        }
                    })?;
                }
                self.phase = Phase::Write;
            }
            Phase::Write => {
                self.write(engine, work)?;
                #[cfg(feature = "encryption")]
                if Mutant::NewKeyBeforeItsSlot.is_active() {
                    self.take_up_keys(engine, work);
                }
                self.phase = Phase::SyncData;
            }
            Phase::SyncData => {
                if !Mutant::SuperblockBeforeData.is_active() {
                    engine.data_barrier(&mut self.barrier)?;
                }
                self.phase = Phase::WriteSuperblock;
            }
            Phase::WriteSuperblock => {
                if let Some(next) = &self.next {
                    next.superblock.write(engine.storage())?;
                }
                self.phase = Phase::SyncSuperblock;
            }
            Phase::SyncSuperblock => {
                if !Mutant::SuperblockNotSynced.is_active() {
                    engine.data_barrier(&mut self.barrier)?;
                }
                if !self.both_slots {
                    self.finish(engine, work);
                    return Ok(Progress::Idle);
                }
                if let Some(next) = &mut self.next
                    && let Some(second) = next.second.take()
                {
                    next.superblock = second;
                }
                self.phase = Phase::WriteSecond;
            }
            Phase::WriteSecond => {
                if let Some(next) = &self.next {
                    next.superblock.write(engine.storage())?;
                }
                self.phase = Phase::SyncSecond;
            }
            Phase::SyncSecond => {
                engine.data_barrier(&mut self.barrier)?;
                self.finish(engine, work);
                return Ok(Progress::Idle);
            }
        }
        Ok(Progress::More)
    }

    /// How long the file must be for the superblock that is being written.
    pub(super) fn file_bytes(&self) -> u64 {
        self.next.as_ref().map_or(0, |next| next.superblock.file_bytes)
    }

    /// A superblock may be on the medium although writing it failed. What it refers to cannot be given up any more, so
    /// such a checkpoint is not abandoned but goes on with the next step.
    pub(super) fn may_be_on_the_medium(&self) -> bool {
        !matches!(self.phase, Phase::SyncLog | Phase::Write | Phase::SyncData)
    }

    fn write(&mut self, engine: &Engine, work: &mut Work) -> Result<()> {
        work.leave_out(engine.storage())?;
        let under_way = GrainCounts::of(work.under_way());
        let layers = engine.version().layers.clone();
        let replay_start = work.sealed.first().map_or(work.merged_log, |segment| segment.start);
        let kept = engine.writer.lock().log.as_ref().map_or_else(Vec::new, |log| {
            let merged = (work.merged_sequence, work.merged_time_ms);
            let keep = engine.keep_of_log(log, replay_start.generation, merged);
            #[cfg_attr(not(feature = "encryption"), allow(unused_mut, reason = "nothing is to be released"))]
            let mut kept = log.kept_before(replay_start.generation, keep);
            #[cfg(feature = "encryption")]
            if let Some(reencryption) = &work.reencryption {
                // Feeds do not get what is under the data key of before any more.
                let needed = log.kept_before(replay_start.generation, crate::log::Keep { bytes: 0, ..keep });
                let generation = reencryption.log_to_release();
                kept.retain(|segment| segment.generation > generation || needed.contains(segment));
            }
            kept
        });
        // Asked once: what it says is what may be reused afterwards.
        let archive = engine.archive_record();
        let is_frozen = engine.is_frozen.load(crate::env::sync::atomic::Ordering::Relaxed);
        let named = engine.named();
        let seal = engine.nodes.seal();
        let checksum = seal.checksum;
        let found = Superblock {
            #[cfg(feature = "encryption")]
            key_block: match self.keys.clone() {
                Some(keys) => Some(KeyBlock::new(keys)),
                None => work.superblock.key_block.clone(),
            },
            ..work.superblock.clone()
        };
        let copy_bytes = found.copy_bytes();
        // A map that is not right is left out: it is made again by whoever opens the database next.
        #[cfg(feature = "std")]
        let has_map = !engine.leaves_space();
        #[cfg(not(feature = "std"))]
        let has_map = true;
        let mut space = engine.space.lock();
        space.map.require_consistent()?;
        let building = space.building;
        if work.superblock.record.0.len > 0 {
            self.replaced.push(work.superblock.record_and_copy());
        }
        // Reserving space for a page of the map changes the map: until nothing changes any more.
        let mut map_pages: Vec<Option<u64>> = Vec::new();
        // One for each superblock, so that nothing hangs on one record alone.
        let slots = 1 + usize::from(self.both_slots);
        let mut record_extents: Vec<Extent> = Vec::new();
        loop {
            let fresh: Vec<u64> = space
                .map
                .dirty_pages()
                .iter()
                .copied()
                .filter(|&page| has_map && map_pages.get(page as usize).copied().flatten().is_none())
                .collect();
            for page in &fresh {
                if let Some(&(offset, _)) = work.map_pages.get(*page as usize) {
                    self.replaced.push(Extent { offset, len: SECTOR_BYTES });
                }
                let extent = space.map.allocate(SECTOR_BYTES)?;
                self.written.push(extent);
                if map_pages.len() <= *page as usize {
                    map_pages.resize(*page as usize + 1, None);
                }
                map_pages[*page as usize] = Some(extent.offset);
            }
            let record =
                self.record(engine, &layers, work, (&kept, archive.as_deref(), is_frozen, &named), &space, &[], None);
            let page_bytes = (8 + Proof::width(checksum) as u64) * space.map.page_count();
            let need = copy_bytes + record.encode().len() as u64 + page_bytes;
            if record_extents.len() < slots || record_extents.iter().any(|extent| extent.len < need) {
                for small in record_extents.drain(..) {
                    space.map.release(small);
                    self.written.retain(|extent| *extent != small);
                }
                for slot in 0..slots {
                    let mut extent = space.map.allocate((need + RECORD_SLACK_BYTES).next_multiple_of(GRAIN_BYTES))?;
                    if slot + 1 < slots {
                        // To the end of its sector, so that no one damaged sector takes both.
                        let end = extent.offset + extent.len;
                        let rest = space.map.allocate((end.next_multiple_of(SECTOR_BYTES) - end).max(GRAIN_BYTES))?;
                        match rest.offset == end {
                            true => extent.len += rest.len,
                            false => space.map.release(rest),
                        }
                    }
                    self.written.push(extent);
                    record_extents.push(extent);
                }
            } else if fresh.is_empty() {
                break;
            }
        }
        space.map.seal_window();
        // Only what is beyond the last page in the end: the file reached there for a moment, while space was sought.
        while let Some(page) = map_pages
            .get_mut(space.map.page_count() as usize..)
            .and_then(|beyond| beyond.iter_mut().find_map(Option::take))
        {
            let extent = Extent { offset: page, len: SECTOR_BYTES };
            space.map.release(extent);
            self.written.retain(|written| *written != extent);
        }
        let page_count = if has_map { space.map.page_count() } else { 0 };
        for page in work.map_pages.get(page_count as usize..).unwrap_or(&[]) {
            self.replaced.push(Extent { offset: page.0, len: SECTOR_BYTES });
        }
        let mut pages = Vec::new();
        let mut images = Vec::new();
        for page in 0..page_count {
            match map_pages.get(page as usize).copied().flatten() {
                Some(offset) => {
                    let mut image = space.page_image(page, &under_way);
                    image.resize(SECTOR_BYTES as usize, 0);
                    pages.push((offset, seal.envelope.prove(checksum, Unit::MapPage, offset, &mut image)));
                    images.push((offset, image));
                }
                None => match work.map_pages.get(page as usize) {
                    Some(&kept) => pages.push(kept),
                    None => return Err(Error::invalid("a page of the space map has no place")),
                },
            }
        }
        let common = Superblock {
            checkpoint: building,
            sequence: work.merged_sequence,
            clean: self.clean,
            file_bytes: space.map.file_bytes(),
            ..found
        };
        let mut superblocks = Vec::new();
        for (slot, &whole) in record_extents.iter().enumerate() {
            // To each record the other is one that waits to be reused, not before both slots have new ones.
            let other = record_extents.iter().copied().find(|other| *other != whole);
            let other = other.map(|extent| PendingFree {
                extent,
                checkpoint: building + slot as u64,
                readable: 0..0,
                until_archived: 0,
            });
            let mut encoded = self
                .record(engine, &layers, work, (&kept, archive.as_deref(), is_frozen, &named), &space, &pages, other)
                .encode();
            let extent = Extent { offset: whole.offset + copy_bytes, len: whole.len - copy_bytes };
            encoded.resize(extent.len as usize, 0);
            let record = (extent, seal.envelope.prove(checksum, Unit::Record, extent.offset, &mut encoded));
            let superblock = Superblock { checkpoint: building + slot as u64, record, ..common.clone() };
            #[cfg(feature = "encryption")]
            let superblock = match &seal.envelope {
                Envelope::Sealed(cipher) => superblock.authenticated(self.successor.as_ref().unwrap_or(cipher), 0),
                Envelope::Plain => superblock,
            };
            // Where both superblocks are lost, the copy leads to the record.
            let mut image = superblock.encode_copy();
            image.extend_from_slice(&encoded);
            images.push((whole.offset, image));
            superblocks.push(superblock);
        }
        space.wipe_given_out(engine.storage())?;
        let mut superblocks = superblocks.into_iter();
        let Some(superblock) = superblocks.next() else { return Ok(()) };
        if self.both_slots {
            self.first_record = record_extents.first().copied();
        }
        let file_bytes = common.file_bytes;
        self.dirty_pages = space.map.take_dirty();
        // What is freed from here on is still part of this checkpoint.
        space.building = building + 1;
        self.number = Some(building);
        // While nobody can take space beyond it: a value written there between the question and the answer would be cut.
        let storage = engine.storage();
        if storage.len(FileId::Data)? < file_bytes {
            storage.set_len(FileId::Data, file_bytes)?;
        }
        drop(space);
        (work.unsaved, work.unsaved_bytes) = (false, 0);

        for (offset, image) in &images {
            engine.nodes.invalidate(*offset);
            storage.write_at(FileId::Data, *offset, image)?;
        }
        self.next = Some(Next {
            superblock,
            second: superblocks.next(),
            map_pages: pages,
            log: work.merged_log,
            kept_from: kept.first().map_or(replay_start.generation, |segment| segment.generation),
            replay_start,
            archive,
            #[cfg(feature = "std")]
            is_frozen,
            named,
        });
        Ok(())
    }

    #[allow(clippy::too_many_arguments, reason = "a record is made of all these")]
    fn record(
        &self,
        engine: &Engine,
        layers: &Layers,
        work: &Work,
        (kept, archive, is_frozen, named): (&[KnownSegment], Option<&ArchiveRecord>, bool, &[Arc<Named>]),
        space: &super::state::Space,
        pages: &[(u64, Proof)],
        other: Option<PendingFree>,
    ) -> CheckpointRecord {
        CheckpointRecord {
            base: layers.base,
            runs: layers.runs.clone(),
            values: work.values,
            next_run_id: work.next_run_id,
            base_age: space.ages.base(),
            sealed: work.sealed.clone(),
            log: work.merged_log,
            kept: kept.to_vec(),
            ancestors: engine.history.ancestors.clone(),
            time_ms: work.merged_time_ms,
            sectors: space.map.sectors(),
            archive: archive.map(ArchiveRecord::copied),
            is_frozen,
            named: copied(named),
            map_pages: pages.to_vec(),
            pending: { space.pending.iter().cloned().chain(self.pending_frees(space.building)).chain(other).collect() },
        }
    }

    fn pending_frees(&self, checkpoint: u64) -> impl Iterator<Item = PendingFree> {
        self.replaced.iter().map(move |&extent| PendingFree { extent, checkpoint, readable: 0..0, until_archived: 0 })
    }

    /// The superblock is durable: what the checkpoint before it freed may be reused.
    fn finish(&mut self, engine: &Engine, work: &mut Work) {
        let Some(next) = self.next.take() else { return };
        let durable = next.superblock.checkpoint;
        work.superblock = next.superblock;
        work.map_pages = next.map_pages;
        // What this checkpoint no longer needs of the log stays until the next one is durable too.
        let reusable_log = core::mem::replace(&mut work.checkpoint_log, next.replay_start);
        let kept_from = core::mem::replace(&mut work.checkpoint_kept, next.kept_from);
        work.saved_log = next.log;
        engine.counters.checkpoints.add(1);
        let mut writer = engine.writer.lock();
        if let Some(log) = writer.log.as_mut() {
            log.set_checkpoint(durable);
            if Mutant::LogReusedEarly.is_active() {
                log.release_to_feeds(&work.checkpoint_log, work.checkpoint_kept);
            }
            log.release_to_feeds(&reusable_log, kept_from);
        }
        engine.note_log_room(&writer);
        drop(writer);
        // What the checkpoint before names stays, too, until the next one is durable.
        let named_before = core::mem::replace(&mut work.checkpoint_named, next.named);
        let archived = archived_to(next.archive.as_deref());
        work.checkpoint_archive = next.archive;
        #[cfg(feature = "std")]
        {
            work.checkpoint_frozen = next.is_frozen;
        }
        let mut named = engine.named.lock();
        named.forget_unread();
        let is_awaited = !named.is_empty() || !named_before.is_empty() || work.checkpoint_archive.is_some();
        let mut space = engine.space.lock();
        // In both slots it has two numbers.
        for free in self.pending_frees(durable - u64::from(self.both_slots)) {
            space.pending.push(free);
        }
        if let Some(extent) = self.first_record.take() {
            space.pending.push(PendingFree { extent, checkpoint: durable, readable: 0..0, until_archived: 0 });
        }
        space.building = durable + 1;
        // Space that could not be read is not given out again.
        space.expire(&engine.options.limits, &*engine.env.clock);
        let quarantine = engine.nodes.quarantine();
        let is_kept_now = |free: &PendingFree| quarantine.holds(free.extent);
        let is_kept_for_others = |free: &PendingFree| {
            is_kept_now(free)
                || is_held(free, archived)
                || named.hold(free)
                || named_before.iter().chain(&work.checkpoint_named).any(|one| one.holds(free))
        };
        space.release_pending(durable, if is_awaited { &is_kept_for_others } else { &is_kept_now });
        drop(space);
        self.written.clear();
        #[cfg(feature = "encryption")]
        self.take_up_keys(engine, work);
        engine.opening.store(false, crate::env::sync::atomic::Ordering::Release);
    }

    /// The superblocks have them.
    #[cfg(feature = "encryption")]
    fn take_up_keys(&mut self, engine: &Engine, work: &mut Work) {
        let has_retired = work.superblock.key_block.as_ref().is_some_and(|block| block.keys.has_retired());
        match (self.successor.take(), &engine.nodes.seal().envelope) {
            (Some(successor), Envelope::Sealed(cipher)) => {
                cipher.go_on_as(successor);
                engine.begin_reencryption(work);
            }
            _ if work.reencryption.is_some() && !has_retired && self.keys.is_some() => engine.end_reencryption(work),
            _ => {}
        }
    }

    /// Nothing refers to what was written: it is free again.
    pub(super) fn abandon(self, engine: &Engine, work: &mut Work) {
        work.unsaved = true;
        if self.clean {
            engine.go_on_after_failed_close();
        }
        let mut space = engine.space.lock();
        if let Some(number) = self.number {
            // It is given again, because superblocks take turns by it; what was freed meanwhile waits for one checkpoint
            // more than it needs.
            space.building = number;
        }
        space.map.mark_dirty(&self.dirty_pages);
        for extent in self.written {
            space.map.release(extent);
        }
    }
}
