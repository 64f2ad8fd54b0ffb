//! Reading commits one after the other while others are appended: what a change feed does.
//!
//! A reader is not the writer: the segment it reads may be given up and written anew at any moment. What it takes for a
//! frame carries the checksum of its generation, its place and its predecessor, so bytes of another use are none; and
//! sequences rise by one, so nothing is left out. Where the next commit cannot be found the caller learns just that, and asks
//! the writer whether the segment is still there.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use super::frame::{FRAME_HEADER_BYTES, FrameHeader, Kind, Link, Place};
use super::position::{KnownSegment, LiveSegment, LogPosition};
use super::scan::Search;
use super::segment::{Layout, SEGMENT_HEADER_BYTES};
use super::window::Window;
use crate::codec::checksum::crc32;
use crate::env::{FileId, Storage};
use crate::error::{Error, Result};

/// Whoever waits for single commits reads little; whoever has many to read, more and more at once.
const READ_BYTES_MIN: usize = 4 << 10;
const READ_BYTES_MAX: usize = 512 << 10;

/// What [`Follower::next`] found.
#[derive(Debug)]
pub(crate) enum Followed {
    /// The next commit.
    Commit {
        /// One more than that of the commit before.
        sequence: u64,
        /// All that was given to [`append`](super::Log::append).
        payload: Vec<u8>,
        /// Offset of its last frame in the log file.
        offset: u64,
    },
    /// Every commit that was asked for has been given.
    End,
    /// There must be a commit more, and it is not in the segment of this generation, where it would have to be.
    Lost {
        /// Of the segment.
        generation: u64,
        /// Where in the log file.
        offset: u64,
    },
}

/// Where one reader of the log stands.
pub(crate) struct Follower {
    database_id: [u8; 16],
    layout: Layout,
    window: Window,
    read_bytes: usize,
    /// Commits up to this one may be read; what the file held behind them when it was read is not to be believed later.
    until: u64,
    at: LogPosition,
    /// The segment to go to, and the checksum that its header names, if that is known.
    entering: Option<(LiveSegment, Option<u32>)>,
    /// Segments to which no link leads, still to come.
    openings: VecDeque<KnownSegment>,
    /// The last commit passed.
    sequence: u64,
    /// Commits up to this one are not given.
    after: u64,
    /// The frames so far of a commit that has more.
    pending: Option<Vec<u8>>,
    /// The next frame may be one of a commit that began in an earlier segment.
    mid_commit: bool,
}

impl Follower {
    /// Begins with the first commit after `after`, which must not be older than the first of `segments`: all of the log that
    /// may be followed, oldest first, not empty.
    pub(crate) fn new(
        database_id: [u8; 16],
        segment_bytes: u32,
        segments: &[KnownSegment],
        after: u64,
    ) -> Option<Self> {
        let from = segments.iter().rposition(|segment| segment.sequence <= after)?;
        let (first, later) = segments.get(from..)?.split_first()?;
        let layout = Layout { segment_bytes: u64::from(segment_bytes) };
        let at = LogPosition::fresh_in(&layout, first.region, first.generation, first.sequence);
        let live = LiveSegment { generation: first.generation, region: first.region };
        Some(Self {
            database_id,
            layout,
            window: Window::new(0),
            read_bytes: READ_BYTES_MAX,
            until: 0,
            at,
            entering: Some((live, None)),
            openings: later.iter().copied().filter(|segment| segment.begins).collect(),
            sequence: first.sequence,
            after,
            pending: None,
            mid_commit: true,
        })
    }

    /// Begins with the commit after `position`, the newest place in the log.
    pub(crate) fn at_end(database_id: [u8; 16], segment_bytes: u32, position: LogPosition) -> Self {
        Self {
            database_id,
            layout: Layout { segment_bytes: u64::from(segment_bytes) },
            window: Window::new(0),
            read_bytes: READ_BYTES_MIN,
            until: 0,
            at: position,
            entering: None,
            openings: VecDeque::new(),
            sequence: position.sequence,
            after: position.sequence,
            pending: None,
            mid_commit: false,
        }
    }

    /// The next commit, if its sequence is not above `until`: all up to there must be visible, so that they are in the log
    /// for good. After an error it goes on where it was.
    pub(crate) fn next(&mut self, storage: &dyn Storage, until: u64) -> Result<Followed> {
        if until > self.until {
            // Behind the last commit an append may have failed since, and another have taken its place.
            self.window.renew(storage.len(FileId::Log)?);
            self.until = until;
        }
        loop {
            if self.sequence >= self.until && self.pending.is_none() {
                self.read_bytes = READ_BYTES_MIN;
                return Ok(Followed::End);
            }
            if let Some(opening) = self.openings.front()
                && self.pending.is_none()
                && self.entering.is_none()
                && opening.sequence == self.sequence
            {
                // What lies behind the last commit of an earlier opening was cut off.
                self.entering = Some((LiveSegment { generation: opening.generation, region: opening.region }, Some(0)));
                self.mid_commit = false;
                self.openings.pop_front();
            }
            let found = match self.entering {
                Some((segment, previous)) => self.enter(storage, segment, previous)?,
                None => self.frame(storage)?,
            };
            match found {
                Step::More => {}
                Step::Commit { sequence, payload, offset } if sequence > self.after => {
                    return Ok(Followed::Commit { sequence, payload, offset });
                }
                Step::Commit { .. } => {}
                Step::Lost => {
                    let generation = self.entering.map_or(self.at.generation, |(segment, _)| segment.generation);
                    return Ok(Followed::Lost { generation, offset: self.at.offset });
                }
            }
        }
    }

    fn enter(&mut self, storage: &dyn Storage, segment: LiveSegment, previous: Option<u32>) -> Result<Step> {
        let search = Search { storage, database_id: &self.database_id, layout: self.layout };
        let Some((header, chain)) = search.segment_header(segment.region, self.window.file_bytes())? else {
            return Ok(Step::Lost);
        };
        if header.generation != segment.generation || previous.is_some_and(|previous| previous != header.previous) {
            return Ok(Step::Lost);
        }
        self.at = LogPosition {
            region: segment.region,
            generation: segment.generation,
            offset: self.layout.region_start(segment.region).saturating_add(SEGMENT_HEADER_BYTES),
            chain,
            sequence: self.sequence,
        };
        self.entering = None;
        Ok(Step::More)
    }

    /// Takes the next frame. Changes nothing when it fails.
    fn frame(&mut self, storage: &dyn Storage) -> Result<Step> {
        let end = self.layout.region_end(self.at.region);
        let read_bytes = self.read_bytes;
        let mut frame = self.valid_frame(storage, end)?;
        if frame.is_none() {
            // Read twice, as everywhere.
            self.window.clear();
            frame = self.valid_frame(storage, end)?;
        }
        let Some((header, checksum)) = frame else { return Ok(Step::Lost) };
        let offset = self.at.offset;
        let whole = FRAME_HEADER_BYTES + header.body_len as usize;
        let bytes = self.window.get_some(storage, offset, whole, end, read_bytes)?;
        let Some(body) = bytes.and_then(|bytes| bytes.get(FRAME_HEADER_BYTES..)) else { return Ok(Step::Lost) };
        let mut step = Step::More;
        match header.kind {
            Kind::Mark => {}
            Kind::Link => {
                let Some(Link { region, generation }) =
                    Link::decode(body).filter(|l| l.generation > self.at.generation)
                else {
                    return Ok(Step::Lost);
                };
                self.entering = Some((LiveSegment { generation, region }, Some(checksum)));
            }
            // The rest of a commit that began before the first segment read.
            Kind::CommitContinued if self.mid_commit && self.pending.is_none() => {}
            Kind::Commit | Kind::CommitContinued => {
                let follows = header.sequence == self.sequence.saturating_add(1);
                if !follows || (header.kind == Kind::Commit) == self.pending.is_some() {
                    return Ok(Step::Lost);
                }
                let mut payload = self.pending.take().unwrap_or_default();
                payload.extend_from_slice(body);
                if header.last {
                    self.sequence = header.sequence;
                    step = Step::Commit { sequence: header.sequence, payload, offset };
                } else {
                    self.pending = Some(payload);
                }
            }
        }
        self.mid_commit &= matches!(header.kind, Kind::CommitContinued | Kind::Link) && !header.last;
        self.at.offset = offset.saturating_add(header.frame_bytes());
        self.at.chain = checksum;
        self.read_bytes = read_bytes.saturating_mul(2).min(READ_BYTES_MAX);
        Ok(step)
    }

    /// The header of the frame at the current place, if the frame is whole and continues the chain.
    fn valid_frame(&mut self, storage: &dyn Storage, end: u64) -> Result<Option<(FrameHeader, u32)>> {
        let LogPosition { generation, offset, chain, .. } = self.at;
        let Some(bytes) = self.window.get_some(storage, offset, FRAME_HEADER_BYTES, end, self.read_bytes)? else {
            return Ok(None);
        };
        let place = Place { database_id: &self.database_id, generation, offset };
        let Some((header, checksum)) = FrameHeader::verify(place, bytes) else { return Ok(None) };
        if header.previous != chain || offset.saturating_add(header.frame_bytes()) > end {
            return Ok(None);
        }
        let whole = FRAME_HEADER_BYTES + header.body_len as usize;
        let bytes = self.window.get_some(storage, offset, whole, end, self.read_bytes)?;
        let body = bytes.and_then(|bytes| bytes.get(FRAME_HEADER_BYTES..));
        Ok(body.filter(|body| crc32(&[body]) == header.body_checksum).map(|_| (header, checksum)))
    }
}

impl core::fmt::Debug for Follower {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Follower").field("at", &self.at).field("sequence", &self.sequence).finish_non_exhaustive()
    }
}

enum Step {
    More,
    Commit { sequence: u64, payload: Vec<u8>, offset: u64 },
    Lost,
}

/// Of segments that an earlier session kept for feeds, those that are still there: the newest ones, up to the first that is
/// not. One that cannot be read now is there as far as anybody knows: whoever follows it is told.
pub(crate) fn intact(
    storage: &dyn Storage,
    database_id: &[u8; 16],
    segment_bytes: u32,
    mut kept: Vec<KnownSegment>,
) -> Result<Vec<KnownSegment>> {
    let file_bytes = storage.len(FileId::Log)?;
    let search = Search { storage, database_id, layout: Layout { segment_bytes: u64::from(segment_bytes) } };
    for segment in &kept {
        let start = search.layout.region_start(segment.region);
        if start < file_bytes {
            storage.prefetch(FileId::Log, start, SEGMENT_HEADER_BYTES);
        }
    }
    let mut first = kept.len();
    let mut newer = u64::MAX;
    for (at, segment) in kept.iter().enumerate().rev() {
        let is_there = match search.segment_header(segment.region, file_bytes) {
            Err(error @ Error::Storage(_)) if error.not_resident().is_none() => true,
            found => found?.is_some_and(|(header, _)| KnownSegment::of(&header) == *segment),
        };
        if !is_there || segment.generation >= newer {
            break;
        }
        (first, newer) = (at, segment.generation);
    }
    kept.drain(..first);
    Ok(kept)
}
