//! Makes the current layers durable.
//!
//! **Checkpoint order, never otherwise:** sync the log (a flush did) → write nodes (the jobs did), the pages of the space
//! map and the checkpoint record → sync the data file → write the other superblock → sync → reuse.

use alloc::vec::Vec;

use super::maintenance::{Progress, Work};
use super::record::CheckpointRecord;
use super::state::{BarrierSlot, Engine, GrainCounts};
use super::version::Layers;
use crate::codec::checksum::Digest;
use crate::env::FileId;
use crate::error::{Error, Result};
use crate::log::LogPosition;
use crate::space::{Extent, PendingFree, SECTOR_BYTES, Superblock};
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
    /// Pages of the space map that this checkpoint makes durable.
    dirty_pages: Vec<u64>,
    /// Its number, once everything that belongs to it is known.
    number: Option<u64>,
    next: Option<Next>,
}

/// What will be true once the superblock is durable.
#[derive(Debug)]
struct Next {
    superblock: Superblock,
    map_pages: Vec<(u64, Digest)>,
    log: LogPosition,
    replay_start: LogPosition,
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
            dirty_pages: Vec::new(),
            number: None,
            next: None,
        }
    }

    /// The checkpoint that follows opening: it names the log's new beginning.
    pub(super) fn first(creates: bool) -> Self {
        Self { phase: Phase::SyncLog, both_slots: creates, ..Self::new(false) }
    }

    pub(super) fn step(&mut self, engine: &Engine, work: &mut Work) -> Result<Progress> {
        match self.phase {
            Phase::SyncLog => {
                if !Mutant::LogStartNotSynced.is_active() {
                    engine.barrier(FileId::Log, &mut self.barrier.ticket)?;
                }
                self.phase = Phase::Write;
            }
            Phase::Write => {
                self.write(engine, work)?;
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
                if let Some(next) = &mut self.next {
                    next.superblock.checkpoint += 1;
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

    /// A superblock may be on the medium although writing it failed. What it refers to cannot be given up any more, so
    /// such a checkpoint is not abandoned but goes on with the next step.
    pub(super) fn may_be_on_the_medium(&self) -> bool {
        !matches!(self.phase, Phase::SyncLog | Phase::Write | Phase::SyncData)
    }

    fn write(&mut self, engine: &Engine, work: &mut Work) -> Result<()> {
        work.leave_out(engine.storage())?;
        let under_way = GrainCounts::of(work.under_way());
        let layers = engine.version().layers.clone();
        let checksum = engine.nodes.seal().checksum;
        let mut space = engine.space.lock();
        space.map.require_consistent()?;
        let building = space.building;
        let old_record = work.superblock.record.0;
        if old_record.len > 0 {
            self.replaced.push(old_record);
        }
        // Reserving space for a page of the map changes the map: until nothing changes any more.
        let mut map_pages: Vec<Option<u64>> = Vec::new();
        let mut record_extent: Option<Extent> = None;
        loop {
            let fresh: Vec<u64> = space
                .map
                .dirty_pages()
                .iter()
                .copied()
                .filter(|&page| map_pages.get(page as usize).copied().flatten().is_none())
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
            let record = self.record(&layers, work, &space, &[]);
            let page_bytes = (8 + checksum.width() as u64) * space.map.page_count();
            let need = record.encode().len() as u64 + page_bytes;
            if record_extent.is_none_or(|extent| extent.len < need) {
                if let Some(small) = record_extent.take() {
                    space.map.release(small);
                    self.written.retain(|extent| *extent != small);
                }
                let extent = space.map.allocate(need + RECORD_SLACK_BYTES)?;
                self.written.push(extent);
                record_extent = Some(extent);
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
        let Some(record_extent) = record_extent else { return Ok(()) };
        for page in work.map_pages.get(space.map.page_count() as usize..).unwrap_or(&[]) {
            self.replaced.push(Extent { offset: page.0, len: SECTOR_BYTES });
        }
        let mut pages = Vec::new();
        let mut images = Vec::new();
        for page in 0..space.map.page_count() {
            match map_pages.get(page as usize).copied().flatten() {
                Some(offset) => {
                    let mut image = space.page_image(page, &under_way);
                    image.resize(SECTOR_BYTES as usize, 0);
                    pages.push((offset, checksum.of(&[&image])));
                    images.push((offset, image));
                }
                None => match work.map_pages.get(page as usize) {
                    Some(&kept) => pages.push(kept),
                    None => return Err(Error::invalid("a page of the space map has no place")),
                },
            }
        }
        let record = self.record(&layers, work, &space, &pages);
        let mut encoded = record.encode();
        encoded.resize(record_extent.len as usize, 0);
        let file_bytes = space.map.file_bytes();
        let sequence = work.merged_sequence;
        self.dirty_pages = space.map.take_dirty();
        // What is freed from here on is still part of this checkpoint.
        space.building = building + 1;
        self.number = Some(building);
        drop(space);
        (work.unsaved, work.unsaved_bytes) = (false, 0);

        let storage = engine.storage();
        if storage.len(FileId::Data)? < file_bytes {
            storage.set_len(FileId::Data, file_bytes)?;
        }
        for (offset, image) in &images {
            engine.nodes.invalidate(*offset);
            storage.write_at(FileId::Data, *offset, image)?;
        }
        engine.nodes.invalidate(record_extent.offset);
        storage.write_at(FileId::Data, record_extent.offset, &encoded)?;
        self.next = Some(Next {
            superblock: Superblock {
                checkpoint: building,
                sequence,
                clean: self.clean,
                record: (record_extent, checksum.of(&[&encoded])),
                file_bytes,
                ..work.superblock.clone()
            },
            map_pages: pages,
            log: work.merged_log,
            replay_start: record.replay_start(),
        });
        Ok(())
    }

    fn record(
        &self,
        layers: &Layers,
        work: &Work,
        space: &super::state::Space,
        pages: &[(u64, Digest)],
    ) -> CheckpointRecord {
        CheckpointRecord {
            base: layers.base,
            runs: layers.runs.clone(),
            values: work.values,
            next_run_id: work.next_run_id,
            sealed: work.sealed.clone(),
            log: work.merged_log,
            time_ms: work.merged_time_ms,
            sectors: space.map.sectors(),
            map_pages: pages.to_vec(),
            pending: space.pending.iter().cloned().chain(self.pending_frees(space.building)).collect(),
        }
    }

    fn pending_frees(&self, checkpoint: u64) -> impl Iterator<Item = PendingFree> {
        self.replaced.iter().map(move |&extent| PendingFree { extent, checkpoint, readable: 0..0 })
    }

    /// The superblock is durable: what the checkpoint before it freed may be reused.
    fn finish(&mut self, engine: &Engine, work: &mut Work) {
        let Some(next) = self.next.take() else { return };
        let durable = next.superblock.checkpoint;
        work.superblock = next.superblock;
        work.map_pages = next.map_pages;
        // What this checkpoint no longer needs of the log stays until the next one is durable too.
        let reusable_log = core::mem::replace(&mut work.checkpoint_log, next.replay_start);
        work.saved_log = next.log;
        engine.counters.checkpoints.add(1);
        let mut writer = engine.writer.lock();
        if let Some(log) = writer.log.as_mut() {
            log.set_checkpoint(durable);
            log.release(if Mutant::LogReusedEarly.is_active() { &work.checkpoint_log } else { &reusable_log });
        }
        engine.note_log_room(&writer);
        drop(writer);
        let mut space = engine.space.lock();
        // In both slots it has two numbers.
        for free in self.pending_frees(durable - u64::from(self.both_slots)) {
            space.pending.push(free);
        }
        space.building = durable + 1;
        space.release_pending(durable);
        drop(space);
        self.written.clear();
        engine.opening.store(false, core::sync::atomic::Ordering::Release);
    }

    /// Nothing refers to what was written: it is free again.
    pub(super) fn abandon(self, engine: &Engine, work: &mut Work) {
        work.unsaved = true;
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
