//! The writing end of the log.

use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::mem;

use super::draft::{Draft, Durable, TERMINATOR, links_needed, segment_start};
use super::frame::Kind;
use super::outcome::ReplayEnd;
use super::position::{KnownSegment, LiveSegment, LogPosition};
use super::segment::{FileHeader, Layout, SEGMENT_HEADER_BYTES, segment_bytes_valid};
use crate::env::{FileId, Storage};
use crate::error::{Error, Result};
use crate::testing::Mutant;

/// The buffer of an append is given back above this, so that one large commit does not hold memory for ever.
const SCRATCH_BYTES_KEPT: usize = 320 * 1024;

/// Zeros are written in pieces of this size.
#[cfg(feature = "encryption")]
const ZEROS_BYTES: u64 = 256 << 10;

/// What a log is made with.
#[derive(Clone, Debug)]
pub(crate) struct LogConfig {
    /// Binds every frame to its database.
    pub database_id: [u8; 16],
    /// Bytes of a segment: at least 64 KiB, a multiple of 4096. An existing log file keeps what it was made with.
    pub segment_bytes: u32,
    /// How many segments may be in use at once, beside those kept for change feeds.
    pub regions_max: u32,
    /// The incarnation written into new segments.
    pub incarnation: u64,
}

impl LogConfig {
    /// The usual size of a segment.
    pub(crate) const SEGMENT_BYTES: u32 = 1 << 20;

    pub(super) fn layout(&self) -> Layout {
        Layout { segment_bytes: u64::from(self.segment_bytes) }
    }
}

/// Which segments that recovery does not need are to stay.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Keep {
    /// The newest ones, up to so many bytes.
    pub bytes: u64,
    /// All that hold commits after this one.
    pub after: Option<u64>,
}

/// Appends commits. It never syncs: a commit is durable when the caller has synced the log file after `append`.
#[derive(Debug)]
pub(crate) struct Log {
    config: LogConfig,
    /// Segments not yet released, oldest first; the last is being written.
    live: VecDeque<KnownSegment>,
    /// Older ones are kept for change feeds alone.
    needed_from: u64,
    /// How many those are.
    kept: usize,
    /// From this generation on the segments hold every commit, one after the other.
    followed_from: u64,
    position: LogPosition,
    next_generation: u64,
    durable: Durable,
    /// Length to which the file is known to reach.
    file_bytes: u64,
    /// What the file holds from the start of the current sector to the position.
    tail: Vec<u8>,
    scratch: Vec<u8>,
    /// Whether part of a failed append may lie behind the position.
    remains: bool,
    /// Of the file this writes nothing yet: see [`Log::create_later`].
    unwritten: bool,
    /// Regions hold what must not stay: they are filled with zeros before they are used again.
    #[cfg(feature = "encryption")]
    wipes: bool,
}

impl Log {
    /// Begins a log at a [fresh](LogPosition::fresh) position that a durable checkpoint holds, over whatever the file
    /// held. Commits may follow at once: replay from that position finds them.
    pub(crate) fn create(storage: &dyn Storage, config: LogConfig, start: LogPosition) -> Result<Self> {
        let mut log = Self::create_later(storage, config, start)?;
        log.write_beginning(storage)?;
        Ok(log)
    }

    /// As [`create`](Self::create), but writes nothing. Before the first append, and before anything durable says that the log
    /// is needed, comes [`write_beginning`](Self::write_beginning).
    pub(crate) fn create_later(storage: &dyn Storage, config: LogConfig, start: LogPosition) -> Result<Self> {
        if start != LogPosition::fresh_in(&config.layout(), start.region, start.generation, start.sequence) {
            return Err(Error::invalid("a log can only be created at a fresh position"));
        }
        let first = LiveSegment { generation: start.generation, region: start.region };
        let mut log = Self::lay_out(storage, config, VecDeque::new(), first, start.sequence)?;
        log.needed_from = start.generation;
        Ok(log)
    }

    /// Writes what [`create_later`](Self::create_later) left out; once that is done, nothing. After an error it may be called
    /// again.
    pub(crate) fn write_beginning(&mut self, storage: &dyn Storage) -> Result<()> {
        if self.unwritten {
            self.write_start(storage, true)?;
            self.unwritten = false;
        }
        Ok(())
    }

    /// Goes on after a replay, in a new segment: what was replayed, and what lies cut off behind it, is never appended to.
    /// Before the first commit the caller must sync the log and make a checkpoint durable that holds `end.segments`
    /// (those it still needs) and this log's [`position`](Log::position), for nothing on storage leads to the new segment yet.
    ///
    /// The new segment may lie beyond `regions_max`; only appends are held to that.
    pub(crate) fn resume(storage: &dyn Storage, mut config: LogConfig, end: &ReplayEnd) -> Result<Self> {
        if let Some(segment_bytes) = end.segment_bytes {
            config.segment_bytes = segment_bytes;
        }
        let mut live: Vec<KnownSegment> = end.retained.iter().chain(&end.entered).copied().collect();
        live.sort_unstable();
        live.dedup();
        let region = free_regions(&live).next();
        let Some(region) = region else { return Err(Error::invalid("every region of the log is in use")) };
        let next = LiveSegment { generation: end.next_generation, region };
        let mut log = Self::lay_out(storage, config, live.into(), next, end.position.sequence)?;
        log.write_start(storage, end.segment_bytes.is_none())?;
        log.unwritten = false;
        Ok(log)
    }

    /// A log whose first new segment is not written yet.
    fn lay_out(
        storage: &dyn Storage,
        config: LogConfig,
        mut live: VecDeque<KnownSegment>,
        first: LiveSegment,
        sequence: u64,
    ) -> Result<Self> {
        if !segment_bytes_valid(config.segment_bytes) {
            return Err(Error::invalid("a log segment must be at least 64 KiB, and a multiple of 4096 bytes"));
        }
        let file_bytes = storage.len(FileId::Log)?;
        let (start, header) = segment_start(&config, first, 0, sequence);
        let next_generation = following(first.generation)?;
        let mut tail = Vec::new();
        let chain = header.encode(&mut tail);
        live.push_back(KnownSegment::of(&header));
        Ok(Self {
            live,
            needed_from: 0,
            kept: 0,
            followed_from: first.generation,
            position: LogPosition { chain, offset: start.offset + SEGMENT_HEADER_BYTES, ..start },
            next_generation,
            durable: Durable::default(),
            file_bytes,
            tail,
            scratch: Vec::new(),
            remains: false,
            unwritten: true,
            #[cfg(feature = "encryption")]
            wipes: false,
            config,
        })
    }

    /// Writes the header of the segment laid out, and of the file if it is a new one.
    fn write_start(&mut self, storage: &dyn Storage, new_file: bool) -> Result<()> {
        self.grow(storage, self.position.region)?;
        // What an earlier process left may have holes.
        storage.allocate(FileId::Log, self.file_bytes)?;
        if new_file {
            let header = FileHeader { segment_bytes: self.config.segment_bytes, database_id: self.config.database_id };
            self.scratch.clear();
            header.encode(&mut self.scratch);
            storage.write_at(FileId::Log, 0, &self.scratch)?;
        }
        self.scratch.clear();
        self.scratch.extend_from_slice(&self.tail);
        self.scratch.extend_from_slice(&TERMINATOR);
        Ok(storage.write_at(FileId::Log, self.position.offset - SEGMENT_HEADER_BYTES, &self.scratch)?)
    }

    /// The place after the last commit or mark: where a checkpoint made now begins its replay.
    pub(crate) fn position(&self) -> LogPosition {
        self.position
    }

    /// What the last checkpoint of a clean close holds instead: nothing to replay, and a log begun anew at the next
    /// opening, beside what is [kept](Self::kept_before) for feeds. When it is durable in both superblocks,
    /// [`Log::discard`] the file, or [release](Self::release_to_feeds) what is not kept and [trim](Self::trim) it.
    pub(crate) fn fresh_position(&self, keep: Keep) -> LogPosition {
        let kept = self.kept_before(self.next_generation, keep);
        let region = free_regions(&kept).next().unwrap_or(0);
        LogPosition::fresh_in(&self.config.layout(), region, self.next_generation, self.position.sequence)
    }

    /// Of the segment that comes next.
    pub(crate) fn following_generation(&self) -> u64 {
        self.next_generation
    }

    /// The newest segments before `generation` that may still be followed and are to be kept: those for change feeds, and those
    /// for an archive.
    pub(crate) fn kept_before(&self, generation: u64, keep: Keep) -> Vec<KnownSegment> {
        let count = usize::try_from(keep.bytes / u64::from(self.config.segment_bytes.max(1))).unwrap_or(usize::MAX);
        let before = self.followed().filter(|segment| segment.generation < generation).count();
        let for_feeds = before.saturating_sub(count);
        let first =
            keep.after.and_then(|after| self.holds_after(after)).map_or(for_feeds, |first| first.min(for_feeds));
        self.followed().take(before).skip(first).collect()
    }

    /// Which of those that may be [followed](Self::followed) holds the beginning of the commit after this one; `None` where it is
    /// gone.
    pub(crate) fn holds_after(&self, after: u64) -> Option<usize> {
        self.followed().filter(|segment| segment.sequence <= after).count().checked_sub(1)
    }

    /// Bytes of the segments before `generation` that hold commits after this one.
    pub(crate) fn bytes_after(&self, after: u64, generation: u64) -> u64 {
        let before = self.followed().filter(|segment| segment.generation < generation).count();
        let first = self.holds_after(after).unwrap_or(before);
        before.saturating_sub(first) as u64 * u64::from(self.config.segment_bytes)
    }

    /// The segments that hold every commit after the [sequence](KnownSegment::sequence) of the first, oldest first.
    pub(crate) fn followed(&self) -> impl Iterator<Item = KnownSegment> {
        self.live.iter().copied().filter(|segment| segment.generation >= self.followed_from)
    }

    /// Takes over segments that an earlier session kept for feeds. They end where `replayed_from`, the first generation
    /// that was replayed or is written now, begins. To be called before the first append.
    pub(crate) fn adopt(&mut self, kept: &[KnownSegment], replayed_from: u64) {
        self.followed_from = replayed_from;
        for segment in kept.iter().rev().filter(|segment| segment.generation < replayed_from) {
            if !self.live.contains(segment) {
                if self.live.iter().any(|live| live.region == segment.region) {
                    break;
                }
                self.live.push_back(*segment);
            }
            self.followed_from = segment.generation;
        }
        self.live.make_contiguous().sort_unstable();
        self.count_kept();
    }

    /// Writes all frames of a commit: one write, unless the commit leaves its segment.
    ///
    /// `sequence` must be higher than any before. When the commit needs more segments than are free, this is
    /// [`Error::LimitExceeded`] and nothing was written. After any other error the log stands where it stood, and the next
    /// append or mark overwrites what was written; until then a crash may bring the failed commit back.
    pub(crate) fn append(&mut self, storage: &dyn Storage, sequence: u64, payload: &[u8]) -> Result<()> {
        if sequence <= self.position.sequence && !Mutant::SequenceGivenAgain.is_active() {
            return Err(Error::invalid("a commit needs a higher sequence than the one before"));
        }
        self.append_chain(storage, Kind::Commit, sequence, payload)
    }

    /// Writes a mark, which carries what is known to be durable: when idle, at close, and over a failed append. Like a commit
    /// it fails when it needs a segment and none is free.
    pub(crate) fn mark(&mut self, storage: &dyn Storage) -> Result<()> {
        self.append_chain(storage, Kind::Mark, self.position.sequence, &[])
    }

    #[cfg(feature = "std")]
    /// How long the file is, once its beginning was written.
    pub(crate) fn file_bytes_written(&self) -> Option<u64> {
        (!self.unwritten).then_some(self.file_bytes)
    }

    /// Whether a failed append may have left something behind the position, which a crash could bring back: the next append
    /// or mark overwrites it.
    pub(crate) fn has_remains(&self) -> bool {
        self.remains
    }

    /// All commits up to `sequence` are durable. The next frame says so.
    pub(crate) fn set_durable(&mut self, sequence: u64) {
        if !Mutant::DurableNotTold.is_active() {
            self.durable.sequence = self.durable.sequence.max(sequence);
        }
    }

    /// Checkpoint `number` is durable. The next frame says so.
    pub(crate) fn set_checkpoint(&mut self, number: u64) {
        self.durable.checkpoint = self.durable.checkpoint.max(number);
    }

    /// Gives back the regions of all segments before the one `oldest` lies in. What may be given back is the caller's
    /// duty: neither superblock, nor an archive, a feed or a backup may need them.
    pub(crate) fn release(&mut self, oldest: &LogPosition) {
        self.release_to_feeds(oldest, oldest.generation);
    }

    /// As [`release`](Self::release), but segments from generation `kept_from` on stay for change feeds.
    pub(crate) fn release_to_feeds(&mut self, oldest: &LogPosition, kept_from: u64) {
        self.needed_from = self.needed_from.max(oldest.generation);
        self.followed_from = self.followed_from.max(kept_from.min(oldest.generation));
        let in_use = self.needed_from.min(self.followed_from);
        while self.live.len() > 1 && self.live.front().is_some_and(|segment| segment.generation < in_use) {
            self.live.pop_front();
        }
        self.count_kept();
    }

    /// How many segments are in use for more than change feeds.
    fn needed(&self) -> usize {
        self.live.len().saturating_sub(self.kept)
    }

    /// Counted when it changes, because every commit asks.
    fn count_kept(&mut self) {
        self.kept = self.live.iter().take_while(|segment| segment.generation < self.needed_from).count();
    }

    /// Bytes of the segments in use, the current one up to the position, without those kept for feeds.
    pub(crate) fn live_bytes(&self) -> u64 {
        let full = self.needed().saturating_sub(1) as u64 * u64::from(self.config.segment_bytes);
        full + (self.position.offset - self.config.layout().region_start(self.position.region))
    }

    #[cfg(test)]
    /// How many segments are in use, the current one included.
    pub(crate) fn regions_in_use(&self) -> usize {
        self.live.len()
    }

    /// Whether a payload of `len` bytes, and a mark after it, would find too few segments.
    pub(crate) fn is_full_for(&self, len: u64) -> bool {
        // A segment is left before its last few bytes are used.
        let usable = u64::from(self.config.segment_bytes) - u64::from(self.config.segment_bytes) / 16;
        let needed = len.div_ceil(usable) + 2;
        // Two may be in use with everything merged, so that no work would ever free one.
        self.needed() > 2 && self.needed() as u64 + needed > u64::from(self.config.regions_max)
    }

    /// The generation of the oldest segment in use for more than change feeds.
    pub(crate) fn oldest_generation(&self) -> u64 {
        let mut live = self.live.iter().map(|segment| segment.generation);
        live.find(|generation| *generation >= self.needed_from).unwrap_or(self.position.generation)
    }

    /// Cuts free regions off the end of the file.
    pub(crate) fn trim(&mut self, storage: &dyn Storage) -> Result<()> {
        let last = self.live.iter().map(|segment| segment.region).max().unwrap_or(0);
        let len = self.config.layout().region_end(last);
        if len < self.file_bytes {
            storage.set_len(FileId::Log, len)?;
            self.file_bytes = len;
        }
        Ok(())
    }

    /// Empties the log file, after a clean close whose checkpoints need no log.
    pub(crate) fn discard(storage: &dyn Storage) -> Result<()> {
        Ok(storage.set_len(FileId::Log, 0)?)
    }

    fn append_chain(&mut self, storage: &dyn Storage, kind: Kind, sequence: u64, payload: &[u8]) -> Result<()> {
        let links = links_needed(self.config.layout(), &self.position, payload.len());
        self.append_after(storage, links, false, (kind, sequence, payload))
    }

    /// Goes on in a new segment, with a mark: what is written from now on shares no segment with what was written before.
    #[cfg(feature = "encryption")]
    pub(crate) fn leave_segment(&mut self, storage: &dyn Storage) -> Result<()> {
        self.append_after(storage, 1, true, (Kind::Mark, self.position.sequence, &[]))
    }

    /// From now on regions are filled with zeros before they are used again, or are no longer.
    #[cfg(feature = "encryption")]
    pub(crate) fn set_wiping(&mut self, wipes: bool) {
        self.wipes = wipes;
    }

    /// The generation of the oldest segment that is kept for anybody.
    #[cfg(feature = "encryption")]
    pub(crate) fn oldest_kept(&self) -> u64 {
        self.live.front().map_or(self.position.generation, |segment| segment.generation)
    }

    /// Fills with zeros region `region`, unless it is in use; whether there are more.
    #[cfg(feature = "encryption")]
    pub(crate) fn wipe(&mut self, storage: &dyn Storage, region: u32) -> Result<bool> {
        let layout = self.config.layout();
        let file_bytes = storage.len(FileId::Log)?;
        let (start, end) = (layout.region_start(region), layout.region_end(region).min(file_bytes));
        if start < end && self.live.iter().all(|segment| segment.region != region) {
            fill_with_zeros(storage, start, end)?;
        }
        Ok(layout.region_end(region) < file_bytes)
    }

    fn append_after(
        &mut self,
        storage: &dyn Storage,
        links: usize,
        leaves: bool,
        (kind, sequence, payload): (Kind, u64, &[u8]),
    ) -> Result<()> {
        if self.unwritten {
            return Err(Error::invalid("the log's beginning must be written before a commit"));
        }
        let successors = self.take_regions(storage, links)?;
        let buffer = mem::take(&mut self.scratch);
        let had_remains = mem::replace(&mut self.remains, true);
        let mut draft = Draft::begin(&self.config, self.durable, self.position, &self.tail, buffer);
        let written = match successors.split_first() {
            Some((next, others)) if leaves => {
                draft.link(storage, *next).and_then(|()| draft.write_chain(storage, others, kind, sequence, payload))
            }
            _ => draft.write_chain(storage, &successors, kind, sequence, payload),
        };
        let buffer = if written.is_ok() {
            let (position, entered, buffer) = draft.finish(&mut self.tail);
            self.position = position;
            self.live.extend(entered);
            self.remains = false;
            buffer
        } else {
            // What stays in its segment is one write, and one that was refused for now was not begun.
            if successors.is_empty() && written.as_ref().is_err_and(Error::is_refused_for_now) {
                self.remains = had_remains;
            }
            draft.abandon()
        };
        if buffer.capacity() <= SCRATCH_BYTES_KEPT {
            self.scratch = buffer;
        }
        written
    }

    /// Chooses `count` free regions and makes the file reach over them. A generation written once is never given
    /// again, even if the append then fails.
    fn take_regions(&mut self, storage: &dyn Storage, count: usize) -> Result<Vec<LiveSegment>> {
        if count == 0 {
            return Ok(Vec::new());
        }
        let limit = u64::from(self.config.regions_max);
        let needed = self.needed().saturating_add(count) as u64;
        if needed > limit {
            return Err(Error::LimitExceeded { what: "number of log segments in use", value: needed, limit });
        }
        let regions: Vec<u32> = free_regions(self.live.make_contiguous()).take(count).collect();
        self.grow(storage, regions.iter().copied().max().unwrap_or(0))?;
        #[cfg(feature = "encryption")]
        if self.wipes && !Mutant::StaleSpaceUnwiped.is_active() {
            let layout = self.config.layout();
            for &region in &regions {
                fill_with_zeros(storage, layout.region_start(region), layout.region_end(region))?;
            }
        }
        let mut taken = Vec::with_capacity(count);
        for region in regions {
            taken.push(LiveSegment { generation: self.next_generation, region });
            self.next_generation = following(self.next_generation)?;
        }
        Ok(taken)
    }

    fn grow(&mut self, storage: &dyn Storage, region: u32) -> Result<()> {
        let len = self.config.layout().region_end(region);
        if len > self.file_bytes {
            storage.allocate(FileId::Log, len)?;
            self.file_bytes = len;
        }
        Ok(())
    }
}

#[cfg(feature = "encryption")]
fn fill_with_zeros(storage: &dyn Storage, mut at: u64, end: u64) -> Result<()> {
    let zeros = alloc::vec![0; end.saturating_sub(at).min(ZEROS_BYTES) as usize];
    while at < end {
        let len = (end - at).min(ZEROS_BYTES);
        storage.write_at(FileId::Log, at, zeros.get(..len as usize).unwrap_or_default())?;
        at += len;
    }
    Ok(())
}

fn following(generation: u64) -> Result<u64> {
    generation.checked_add(1).ok_or(Error::LimitExceeded {
        what: "generation of a log segment",
        value: generation,
        limit: u64::MAX - 1,
    })
}

/// Regions that none of `live` lies in, lowest first, so that the file stays short.
fn free_regions(live: &[KnownSegment]) -> impl Iterator<Item = u32> {
    (0..u32::MAX).filter(|region| live.iter().all(|segment| segment.region != *region))
}
