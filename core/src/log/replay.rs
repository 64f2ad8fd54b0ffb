//! Reading the log back after a crash.

use alloc::format;
use alloc::vec::Vec;

use super::frame::{FRAME_HEADER_BYTES, FrameHeader, Kind, Link, Place};
use super::operation::Preamble;
use super::outcome::{Commit, ReplayEnd, Torn, Verdict};
use super::position::{KnownSegment, LiveSegment, LogPosition, SealedSegment};
use super::scan::{Evidence, Search, guess_layout};
use super::sealed::Owner;
#[cfg(feature = "encryption")]
use super::sealed::open_payload;
use super::segment::{FileHeader, FileState, Layout, SEGMENT_HEADER_BYTES, SegmentHeader};
use super::window::Window;
use crate::codec::checksum::crc32;
#[cfg(feature = "encryption")]
use crate::codec::cipher::Envelope;
use crate::env::{FileId, Storage};
use crate::error::{Error, Result};
use crate::testing::Mutant;

/// Gives `visit` all whole commits of `sealed` and then those from `from` on, in order.
///
/// A commit may be among them that the checkpoint already contains: the caller compares sequences. After an error, also
/// `NotResident`, what was visited is to be thrown away: run again, the replay begins at the beginning. It writes nothing.
///
/// - In `sealed` any damage is [`Error::Corrupt`].
/// - From `from` on, the first invalid frame ends the log, unless a later frame shows that a commit after it was durable
///   ([`Error::Corrupt`]). A commit without its last frame is cut off whole, and one that the visitor finds torn, likewise.
/// - An empty file is an empty log if `from` is [fresh](LogPosition::fresh), else [`Error::Corrupt`].
/// - A log that begins at a fresh `from` is the one of `incarnation`, where that is known, else [`Error::Corrupt`]: no checksum
///   tells it from one that was left beside a restored file.
pub(crate) fn replay(
    storage: &dyn Storage,
    owner: impl Into<Owner>,
    incarnation: Option<u64>,
    sealed: &[SealedSegment],
    from: LogPosition,
    visit: &mut dyn FnMut(Commit<'_>) -> Result<Verdict>,
) -> Result<ReplayEnd> {
    let Owner { database_id, envelope } = owner.into();
    #[cfg(not(feature = "encryption"))]
    let _ = envelope;
    let file_bytes = storage.len(FileId::Log)?;
    let needs_file = !sealed.is_empty() || !from.is_fresh();
    let header = match FileHeader::read(storage, &database_id, file_bytes)? {
        FileState::Damaged => FileHeader::read(storage, &database_id, file_bytes)?,
        header => header,
    };
    let layout = match header {
        FileState::Valid(layout) => layout,
        FileState::Empty if needs_file => {
            return Err(Error::corrupt(FileId::Log, 0, "the file is empty or missing, but the data file needs it"));
        }
        FileState::Empty => return Ok(ReplayEnd::nothing(from, from.generation)),
        FileState::Damaged if needs_file => return Err(damaged_file_header()),
        FileState::Damaged => return torn_creation(storage, &database_id, from, file_bytes),
    };
    let mut replay = Replay {
        storage,
        database_id: &database_id,
        #[cfg(feature = "encryption")]
        envelope: &envelope,
        layout,
        window: Window::new(file_bytes),
        begins_as: incarnation.filter(|_| sealed.is_empty() && from.is_fresh()),
        incarnation: 0,
        sequence: sealed.first().map_or(from.sequence, |segment| segment.start.sequence),
        pending: None,
        body: Vec::new(),
        mid_commit: true,
        link: None,
        durable: 0,
        checkpoint: 0,
        segments: Vec::with_capacity(sealed.len() + 4),
        entered: Vec::new(),
    };
    // What was cut is never appended to, so no segment comes twice.
    let generations = sealed.iter().map(|segment| segment.start).chain([from]);
    if !generations.is_sorted_by(|segment, next| segment.generation < next.generation) {
        return Err(damaged(&from, from.offset, "the checkpoint names the same segment twice"));
    }
    for segment in sealed {
        replay.sealed(segment, visit)?;
    }
    replay.tail(from, visit)
}

/// Whether the file holds a segment of this database that is as new as `generation`, or newer.
pub(crate) fn was_begun(storage: &dyn Storage, database_id: &[u8; 16], generation: u64) -> Result<bool> {
    match any_segment(storage, database_id, &|header| header.generation >= generation) {
        Err(Error::Corrupt(_)) => Ok(false),
        found => found,
    }
}

/// Refuses a log that cannot be the one of a database that was closed properly as `incarnation`, and whose next segment would be
/// of `generation`: one that was left beside a file that was restored, or put in the other's place. What that log holds would
/// be lost with the first commit, and what is left of it be taken for this one's after a crash.
///
/// What this database may have left itself, when it was killed while it closed or before its first commit: segments of
/// generations before, and the beginning of the next. Where `is_new`, this incarnation has not written any.
pub(crate) fn require_own(
    storage: &dyn Storage,
    database_id: &[u8; 16],
    (incarnation, generation): (u64, u64),
    is_new: bool,
) -> Result<()> {
    let is_foreign =
        |header: &SegmentHeader| header.incarnation != incarnation && (is_new || header.generation >= generation);
    match any_segment(storage, database_id, &is_foreign)? {
        true => Err(foreign(0)),
        false => Ok(()),
    }
}

/// Whether the log that a fresh position names was begun as another incarnation than this.
pub(crate) fn is_foreign(
    storage: &dyn Storage,
    database_id: &[u8; 16],
    from: &LogPosition,
    incarnation: u64,
) -> Result<bool> {
    let is_foreign = |header: &SegmentHeader| header.generation == from.generation && header.incarnation != incarnation;
    Ok(from.is_fresh() && any_segment(storage, database_id, &is_foreign)?)
}

/// Whether the file holds a segment of this database that is as asked for. The log of another database is [`Error::Corrupt`].
fn any_segment(
    storage: &dyn Storage,
    database_id: &[u8; 16],
    is_asked_for: &dyn Fn(&SegmentHeader) -> bool,
) -> Result<bool> {
    let file_bytes = storage.len(FileId::Log)?;
    let layout = match FileHeader::read(storage, database_id, file_bytes)? {
        FileState::Valid(layout) => layout,
        FileState::Damaged => guess_layout(&mut Window::new(file_bytes), storage, database_id)?,
        FileState::Empty => return Ok(false),
    };
    let search = Search { storage, database_id, layout };
    for region in 0..layout.regions(file_bytes) {
        if search.segment_header(region, file_bytes)?.is_some_and(|(header, _)| is_asked_for(&header)) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether the log, of whatever database, holds more than one that is just being made does. For whoever finds no data file
/// beside it.
pub(crate) fn holds_commits(storage: &dyn Storage) -> Result<bool> {
    let Some(database_id) = FileHeader::database_id(storage)? else { return Ok(false) };
    if was_begun(storage, &database_id, 2)? {
        return Ok(true);
    }
    let mut any = false;
    let replayed = replay(storage, database_id, None, &[], LogPosition::fresh(1, 0), &mut |_| {
        any = true;
        Ok(Verdict::Whole)
    });
    match replayed {
        Ok(_) => Ok(any),
        Err(Error::Corrupt(_)) => Ok(true),
        Err(error) => Err(error),
    }
}

/// A commit whose last frame has not come yet.
struct Pending {
    sequence: u64,
    offset: u64,
    /// False for the commit that the first sealed segment begins in the middle of: it is not given to the visitor.
    wanted: bool,
}

/// Why reading a segment stopped.
enum Stop {
    /// A link to `next`, whose header must name `chain`.
    Link { next: LiveSegment, chain: u32 },
    /// The end of the sealed part of a segment.
    SealedEnd,
    /// No valid frame here.
    Invalid(LogPosition),
}

/// The place behind the last whole commit, and how many segments reach up to it.
#[derive(Clone, Copy)]
struct Cut {
    position: LogPosition,
    segments: usize,
}

struct Replay<'a> {
    storage: &'a dyn Storage,
    database_id: &'a [u8; 16],
    #[cfg(feature = "encryption")]
    envelope: &'a Envelope,
    layout: Layout,
    window: Window,
    /// Of the log that begins at a fresh position.
    begins_as: Option<u64>,
    /// Of the segment that is read.
    incarnation: u64,
    /// Sequence of the last whole commit.
    sequence: u64,
    pending: Option<Pending>,
    /// The bodies of the pending commit, when it has more than one.
    body: Vec<u8>,
    /// Whether the next frame may lie inside a commit: only at the very beginning.
    mid_commit: bool,
    /// Where the last sealed segment led, until the next is entered.
    link: Option<(LiveSegment, u32)>,
    durable: u64,
    checkpoint: u64,
    segments: Vec<SealedSegment>,
    entered: Vec<KnownSegment>,
}

impl<'a> Replay<'a> {
    fn sealed(&mut self, segment: &SealedSegment, visit: &mut dyn FnMut(Commit<'_>) -> Result<Verdict>) -> Result<()> {
        let start = segment.start;
        let previous = self.enter_at(&start)?;
        let expected = LiveSegment { generation: start.generation, region: start.region };
        if self.link.take().is_some_and(|link| link != (expected, previous)) {
            return Err(damaged(&start, start.offset, "the segment before, also sealed, leads elsewhere"));
        }
        self.segments.push(*segment);
        let mut cut = Cut { position: start, segments: 0 };
        match self.walk(start, Some(segment.end_offset), &mut cut, visit)? {
            Stop::SealedEnd => {}
            Stop::Link { next, chain } => self.link = Some((next, chain)),
            Stop::Invalid(at) => {
                return Err(damaged(&at, at.offset, "a frame in the sealed part of the log is damaged"));
            }
        }
        let reached = self.pending.as_ref().map_or(self.sequence, |pending| pending.sequence);
        if reached != segment.last_sequence {
            let what = format!("the sealed part ends with commit {reached}, expected {}", segment.last_sequence);
            return Err(damaged(&start, segment.end_offset, &what));
        }
        Ok(())
    }

    fn tail(&mut self, from: LogPosition, visit: &mut dyn FnMut(Commit<'_>) -> Result<Verdict>) -> Result<ReplayEnd> {
        if self.pending.is_some() || self.link.is_some() || from.sequence != self.sequence {
            return Err(damaged(
                &from,
                from.offset,
                "the sealed part of the log does not reach the place it goes on from",
            ));
        }
        self.mid_commit = false;
        let mut cut = Cut { position: from, segments: self.segments.len() };
        let mut at = from;
        if from.is_segment_start(&self.layout) {
            match self.enter(LiveSegment { generation: from.generation, region: from.region }, from.chain)? {
                Some(entered) => at = entered,
                None => return self.finish(from, cut, from),
            }
        } else {
            self.enter_at(&from)?;
        }
        cut = Cut { position: at, segments: cut.segments + 1 };
        loop {
            self.segments.push(SealedSegment { start: at, end_offset: at.offset, last_sequence: at.sequence });
            match self.walk(at, None, &mut cut, visit)? {
                Stop::Link { next, chain } => match self.enter(next, chain)? {
                    Some(entered) => at = entered,
                    None => {
                        let LiveSegment { generation, region } = next;
                        let offset = self.layout.region_start(region);
                        let damage = LogPosition { region, generation, offset, chain, sequence: self.sequence };
                        return self.finish(damage, cut, from);
                    }
                },
                Stop::Invalid(damage) => return self.finish(damage, cut, from),
                Stop::SealedEnd => return Err(damaged(&at, at.offset, "an open segment has no sealed end")),
            }
        }
    }

    /// Makes sure that the segment of a position from a checkpoint record is there; gives the checksum its header names.
    fn enter_at(&mut self, position: &LogPosition) -> Result<u32> {
        let start = self.layout.region_start(position.region);
        if !self.layout.holds(position) || position.offset == start {
            return Err(damaged(position, position.offset, "the checkpoint names a place that is not in this log"));
        }
        // A segment lies in a region wholly allocated, and was durable before a checkpoint named it.
        let file_bytes = self.window.file_bytes();
        if self.layout.region_end(position.region) > file_bytes {
            return Err(damaged(
                position,
                file_bytes,
                "the file ends inside a segment that the checkpoint needs: it was cut",
            ));
        }
        let header = self.segment_header(position.region)?.filter(|(header, checksum)| {
            let first = position.offset == start + SEGMENT_HEADER_BYTES;
            header.generation == position.generation && (!first || *checksum == position.chain)
        });
        let Some((header, _)) = header else {
            return Err(damaged(position, start, "the segment's header is damaged, or the segment was used again"));
        };
        self.incarnation = header.incarnation;
        self.entered.push(KnownSegment::of(&header));
        Ok(header.previous)
    }

    /// Goes on to a segment that its predecessor (or a fresh position) names. `None` if it is not there.
    fn enter(&mut self, segment: LiveSegment, previous: u32) -> Result<Option<LogPosition>> {
        let Some((header, chain)) = self.segment_header(segment.region)? else { return Ok(None) };
        if header.generation != segment.generation || header.previous != previous {
            return Ok(None);
        }
        if self.begins_as.take().is_some_and(|incarnation| incarnation != header.incarnation) {
            return Err(foreign(self.layout.region_start(segment.region)));
        }
        self.incarnation = header.incarnation;
        self.entered.push(KnownSegment::of(&header));
        Ok(Some(LogPosition {
            region: segment.region,
            generation: segment.generation,
            offset: self.layout.region_start(segment.region) + SEGMENT_HEADER_BYTES,
            chain,
            sequence: self.sequence,
        }))
    }

    fn segment_header(&mut self, region: u32) -> Result<Option<(SegmentHeader, u32)>> {
        let file_bytes = self.window.file_bytes();
        self.search().segment_header(region, file_bytes)
    }

    fn search(&self) -> Search<'a> {
        Search { storage: self.storage, database_id: self.database_id, layout: self.layout }
    }

    /// Reads frames from `at` to the end of the segment or of its sealed part.
    fn walk(
        &mut self,
        mut at: LogPosition,
        sealed_end: Option<u64>,
        cut: &mut Cut,
        visit: &mut dyn FnMut(Commit<'_>) -> Result<Verdict>,
    ) -> Result<Stop> {
        let region_end = self.layout.region_end(at.region);
        let end = sealed_end.unwrap_or(region_end).min(region_end);
        loop {
            if sealed_end == Some(at.offset) {
                return Ok(Stop::SealedEnd);
            }
            let Some((header, checksum)) = self.frame_read_twice(&at, end)? else { return Ok(Stop::Invalid(at)) };
            let offset = at.offset;
            at.offset += header.frame_bytes();
            at.chain = checksum;
            self.durable = self.durable.max(header.durable);
            self.checkpoint = self.checkpoint.max(header.checkpoint);
            match header.kind {
                Kind::Commit | Kind::CommitContinued => {
                    let before = self.sequence;
                    if self.commit_frame(&header, offset, &mut at, visit)? == Verdict::Torn {
                        self.sequence = before;
                        return Ok(Stop::Invalid(LogPosition { offset, sequence: before, ..at }));
                    }
                }
                Kind::Mark if self.pending.is_some() => {
                    return Err(damaged(&at, offset, "a mark lies inside a commit"));
                }
                Kind::Mark => {}
                Kind::Link => {
                    self.leave(&at);
                    if sealed_end.is_some_and(|end| end != at.offset) {
                        return Err(damaged(&at, offset, "a link lies before the end of the sealed part"));
                    }
                    return self.link(&at, offset, checksum);
                }
            }
            self.leave(&at);
            if self.pending.is_none() || Mutant::CutInsideCommit.is_active() {
                *cut = Cut { position: at, segments: self.segments.len() };
            }
        }
    }

    /// Notes how far the current segment has been read.
    fn leave(&mut self, at: &LogPosition) {
        let reached = self.pending.as_ref().map_or(self.sequence, |pending| pending.sequence);
        if let Some(segment) = self.segments.last_mut() {
            segment.end_offset = at.offset;
            segment.last_sequence = reached;
        }
    }

    /// As [`frame`](Self::frame); but the log does not end at a bit that only the reading made wrong.
    fn frame_read_twice(&mut self, at: &LogPosition, end: u64) -> Result<Option<(FrameHeader, u32)>> {
        if let Some(frame) = self.frame(at, end)? {
            return Ok(Some(frame));
        }
        self.window.clear();
        self.frame(at, end)
    }

    /// The frame at `at`, if it is valid, whole and continues the chain.
    fn frame(&mut self, at: &LogPosition, end: u64) -> Result<Option<(FrameHeader, u32)>> {
        let Some(bytes) = self.window.get(self.storage, at.offset, FRAME_HEADER_BYTES, end)? else { return Ok(None) };
        let place = Place { database_id: self.database_id, generation: at.generation, offset: at.offset };
        let Some((header, checksum)) = FrameHeader::verify(place, bytes) else { return Ok(None) };
        let follows = header.previous == at.chain || Mutant::ChainUnverified.is_active();
        if !follows || at.offset.saturating_add(header.frame_bytes()) > end {
            return Ok(None);
        }
        let body = body_of(&mut self.window, self.storage, &header, at.offset)?;
        let whole = crc32(&[body]) == header.body_checksum || Mutant::FrameBodyUnverified.is_active();
        Ok(whole.then_some((header, checksum)))
    }

    fn link(&mut self, at: &LogPosition, offset: u64, chain: u32) -> Result<Stop> {
        let place = self.window.get(self.storage, offset + FRAME_HEADER_BYTES as u64, 12, u64::MAX)?;
        match place.and_then(Link::decode) {
            Some(Link { region, generation }) if generation > at.generation => {
                Ok(Stop::Link { next: LiveSegment { generation, region }, chain })
            }
            _ => Err(damaged(at, offset, "a link leads back to an older segment")),
        }
    }

    /// Takes a frame of a commit; gives the commit to the visitor if it is the last.
    fn commit_frame(
        &mut self,
        header: &FrameHeader,
        offset: u64,
        at: &mut LogPosition,
        visit: &mut dyn FnMut(Commit<'_>) -> Result<Verdict>,
    ) -> Result<Verdict> {
        let first = header.kind == Kind::Commit;
        let pending = match self.pending.take() {
            None if first && header.sequence > self.sequence => {
                self.body.clear();
                Pending { sequence: header.sequence, offset, wanted: true }
            }
            None if !first && self.mid_commit && self.segments.len() == 1 => {
                Pending { sequence: header.sequence, offset, wanted: false }
            }
            Some(pending) if !first && pending.sequence == header.sequence => pending,
            _ => {
                let what = format!("a frame of commit {} lies where none can be", header.sequence);
                return Err(damaged(at, offset, &what));
            }
        };
        self.mid_commit = false;
        if pending.wanted && !(first && header.last) {
            self.body.extend_from_slice(body_of(&mut self.window, self.storage, header, offset)?);
        }
        if !header.last {
            self.pending = Some(pending);
            return Ok(Verdict::Whole);
        }
        self.sequence = header.sequence;
        at.sequence = header.sequence;
        if !pending.wanted {
            return Ok(Verdict::Whole);
        }
        let payload = if first { body_of(&mut self.window, self.storage, header, offset)? } else { &self.body };
        #[cfg(feature = "encryption")]
        let opened = match self.envelope {
            Envelope::Sealed(cipher) => {
                let opened = open_payload(cipher, Some(self.incarnation), header.sequence, payload);
                let why = || format!("commit {}: it is not what was sealed", header.sequence);
                Some(opened.ok_or_else(|| damaged(at, pending.offset, &why()))?)
            }
            Envelope::Plain => None,
        };
        #[cfg(feature = "encryption")]
        let payload = opened.as_deref().unwrap_or(payload);
        let Some((Preamble { time_ms, values_unsynced }, operations)) = Preamble::split(payload) else {
            let what = format!("commit {}: its payload does not begin as one does", header.sequence);
            return Err(damaged(at, pending.offset, &what));
        };
        visit(Commit {
            sequence: header.sequence,
            time_ms,
            incarnation: self.incarnation,
            values_unsynced,
            payload,
            operations,
            offset: pending.offset,
            end: *at,
        })
    }

    /// The log ends at the damage; decides whether that loses anything that was durable.
    fn finish(&mut self, damage: LogPosition, cut: Cut, from: LogPosition) -> Result<ReplayEnd> {
        let first_lost = cut.position.sequence.saturating_add(1);
        let blank = self.is_blank(&damage)?;
        let mut evidence = Evidence::new(damage.generation);
        let search = self.search();
        search.segment(&mut self.window, damage.region, damage.generation, damage.offset, &mut evidence)?;
        let retained = search.other_segments(&mut self.window, from.generation, &mut evidence)?;
        if evidence.durable >= first_lost && !Mutant::DurableCommitsCut.is_active() {
            let what = format!(
                "segment {} (region {}): a frame is damaged, and a later one shows that commit {} was durable, so cutting \
                 the log here would lose commits from {first_lost} on",
                damage.generation, damage.region, evidence.durable
            );
            return Err(Error::corrupt(FileId::Log, damage.offset, what));
        }
        // A commit without its end, or a link to a segment that is not there.
        let dropped = damage.offset != cut.position.offset;
        let torn = (!blank || dropped || evidence.frames > 0)
            .then(|| Torn { offset: cut.position.offset, bytes: self.torn_bytes(&cut, &damage, &evidence) });
        self.segments.truncate(cut.segments);
        let own = |segment: &&mut SealedSegment| segment.start.generation == cut.position.generation;
        if let Some(last) = self.segments.last_mut().filter(own) {
            last.end_offset = cut.position.offset;
            last.last_sequence = cut.position.sequence;
        }
        self.segments.retain(|segment| segment.end_offset > segment.start.offset);
        let held = |segment: &KnownSegment| self.segments.iter().any(|s| s.start.generation == segment.generation);
        self.entered.retain(held);
        let regions = u64::from(self.layout.regions(self.window.file_bytes()));
        Ok(ReplayEnd {
            position: cut.position,
            durable_sequence: self.durable,
            checkpoint: self.checkpoint.max(evidence.checkpoint),
            torn,
            segments: core::mem::take(&mut self.segments),
            retained,
            entered: core::mem::take(&mut self.entered),
            // No segment behind a cut was released, so no more were opened there than there are regions, even if their
            // headers are lost.
            next_generation: evidence.generation.saturating_add(regions).saturating_add(1),
            segment_bytes: u32::try_from(self.layout.segment_bytes).ok(),
        })
    }

    /// Whether the writer never wrote at this place, rather than wrote what is not valid now.
    fn is_blank(&mut self, damage: &LogPosition) -> Result<bool> {
        let start = self.layout.region_start(damage.region);
        if damage.offset == start {
            let older = self.segment_header(damage.region)?;
            if older.is_some_and(|(header, _)| header.generation < damage.generation) {
                return Ok(true);
            }
        }
        let bytes = self.window.get(self.storage, damage.offset, 8, self.layout.region_end(damage.region))?;
        Ok(bytes.is_none_or(|bytes| bytes.iter().all(|byte| *byte == 0)))
    }

    fn torn_bytes(&self, cut: &Cut, damage: &LogPosition, evidence: &Evidence) -> u64 {
        let here = |end: u64| end.saturating_sub(cut.position.offset);
        let chained: u64 = if cut.position.generation == damage.generation {
            here(damage.offset)
        } else {
            let later = self.segments.get(cut.segments..).unwrap_or_default();
            let own = self.segments.get(cut.segments.wrapping_sub(1)).map_or(0, |segment| here(segment.end_offset));
            own + later.iter().map(|segment| segment.end_offset.saturating_sub(segment.start.offset)).sum::<u64>()
        };
        (chained + evidence.bytes).max(FRAME_HEADER_BYTES as u64)
    }
}

/// The file has bytes but no valid header, and the checkpoint needs none: the creation of the log was torn, unless a frame
/// shows that commits of it were durable.
fn torn_creation(
    storage: &dyn Storage,
    database_id: &[u8; 16],
    from: LogPosition,
    file_bytes: u64,
) -> Result<ReplayEnd> {
    let mut window = Window::new(file_bytes);
    let layout = guess_layout(&mut window, storage, database_id)?;
    let search = Search { storage, database_id, layout };
    let mut evidence = Evidence::new(from.generation);
    search.segment(&mut window, from.region, from.generation, from.offset, &mut evidence)?;
    search.other_segments(&mut window, from.generation, &mut evidence)?;
    if evidence.durable > from.sequence {
        return Err(damaged_file_header());
    }
    let regions = u64::from(layout.regions(file_bytes));
    let mut end = ReplayEnd::nothing(from, evidence.generation.saturating_add(regions).saturating_add(1));
    end.checkpoint = evidence.checkpoint;
    end.torn = Some(Torn { offset: 0, bytes: file_bytes });
    Ok(end)
}

/// The body of a valid frame at `offset`.
fn body_of<'w>(window: &'w mut Window, storage: &dyn Storage, header: &FrameHeader, offset: u64) -> Result<&'w [u8]> {
    let whole = FRAME_HEADER_BYTES + header.body_len as usize;
    let bytes = window.get(storage, offset, whole, u64::MAX)?;
    Ok(bytes.and_then(|bytes| bytes.get(FRAME_HEADER_BYTES..)).unwrap_or_default())
}

#[cold]
fn foreign(offset: u64) -> Error {
    let what = "this is not the data file's own log, as after a file was restored from a backup beside another's log: restore it \
                again, put the log's own file back, or delete the log";
    Error::corrupt(FileId::Log, offset, what)
}

fn damaged_file_header() -> Error {
    Error::corrupt(FileId::Log, 0, "the file header is damaged, and commits behind it are needed")
}

fn damaged(at: &LogPosition, offset: u64, what: &str) -> Error {
    Error::corrupt(FileId::Log, offset, format!("segment {} (region {}): {what}", at.generation, at.region))
}
