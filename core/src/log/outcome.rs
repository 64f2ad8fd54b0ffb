//! What a replay gives: commits on the way, and what it found at the end.

use alloc::vec::Vec;
use core::ops::Range;

use super::operation::Operations;
use super::position::{KnownSegment, LogPosition, SealedSegment};
use super::segment::{FILE_HEADER_BYTES, Layout, SEGMENT_HEADER_BYTES};

/// One commit, as the visitor of [`replay`] gets it.
#[derive(Clone, Copy, Debug)]
#[allow(dead_code, reason = "recovery needs less of a commit than a change feed or an archive does")]
pub(crate) struct Commit<'a> {
    /// Its sequence; higher than that of the commit before.
    pub sequence: u64,
    /// Wall-clock time of the commit, in milliseconds since 1970.
    pub time_ms: u64,
    /// The incarnation of the database that wrote it.
    pub incarnation: u64,
    /// Its values in extents may be missing: whoever takes it looks whether they are there.
    pub values_unsynced: bool,
    /// All that was given to [`append`](super::Log::append).
    pub payload: &'a [u8],
    /// The part of the payload that holds the operations.
    pub operations: &'a [u8],
    /// Offset of its first frame in the log file.
    pub offset: u64,
    /// The place after it: where a checkpoint that contains it may begin.
    pub end: LogPosition,
}

impl<'a> Commit<'a> {
    /// What the commit does.
    pub(crate) fn operations(&self) -> Operations<'a> {
        Operations::new(self.operations, self.sequence, self.offset)
    }
}

/// What the visitor of [`replay`](super::replay()) makes of a commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It is whole.
    Whole,
    /// Values it refers to are not there, so a crash came before they were durable: the log ends before it.
    Torn,
}

/// A tail that was cut off: an append that a crash interrupted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Torn {
    /// Offset of the first byte cut off in the log file.
    pub offset: u64,
    /// Bytes cut off, as far as they can be told from what lay there before.
    pub bytes: u64,
}

/// What a replay found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ReplayEnd {
    /// The place after the last whole commit or mark; its `sequence` is that of the last commit.
    pub position: LogPosition,
    /// The highest sequence that a frame says was durable.
    pub durable_sequence: u64,
    /// The highest checkpoint number that a frame, cut off or not, says was durable. Higher than that of the superblock
    /// means that the superblock is not the latest.
    pub checkpoint: u64,
    /// What was cut off, if anything.
    pub torn: Option<Torn>,
    /// All that was replayed, for the next checkpoint record, oldest first; each holds at least one frame.
    pub segments: Vec<SealedSegment>,
    /// Segments in the file that are no newer than the one replay began in. They may be retained by the other superblock,
    /// an archive or a feed, so they stay in use until [released](super::Log::release).
    pub retained: Vec<KnownSegment>,
    /// Those that hold what was replayed, whole.
    pub entered: Vec<KnownSegment>,
    /// A generation that no segment of this file was ever opened as.
    pub next_generation: u64,
    /// The segment size of the file; `None` if it has no valid header, and then it holds nothing.
    pub segment_bytes: Option<u32>,
}

impl ReplayEnd {
    /// Bytes of all that was replayed.
    pub(crate) fn replayed_bytes(&self) -> u64 {
        self.segments.iter().map(|segment| segment.end_offset.saturating_sub(segment.start.offset)).sum()
    }

    /// Where in the log file that is, with the headers that lead there.
    pub(crate) fn replayed_ranges(&self) -> impl Iterator<Item = Range<u64>> {
        let layout = self.segment_bytes.map(|bytes| Layout { segment_bytes: u64::from(bytes) });
        let file = layout.is_some().then_some(0..FILE_HEADER_BYTES);
        let segments = layout.into_iter().flat_map(|layout| {
            self.segments.iter().flat_map(move |segment| {
                let header = layout.region_start(segment.start.region);
                [header..header.saturating_add(SEGMENT_HEADER_BYTES), segment.start.offset..segment.end_offset]
            })
        });
        file.into_iter().chain(segments)
    }

    /// Sequence of the last whole commit.
    pub(crate) fn last_sequence(&self) -> u64 {
        self.position.sequence
    }

    /// Whether nothing of the log was found and nothing cut off: then [`create`](super::Log::create) it at the position
    /// replay began from, else [`resume`](super::Log::resume).
    pub(crate) fn is_empty(&self) -> bool {
        self.position.is_fresh() && self.torn.is_none()
    }

    /// The end of a replay that found no log.
    pub(super) fn nothing(from: LogPosition, next_generation: u64) -> Self {
        Self {
            position: from,
            durable_sequence: 0,
            checkpoint: 0,
            torn: None,
            segments: Vec::new(),
            retained: Vec::new(),
            entered: Vec::new(),
            next_generation,
            segment_bytes: None,
        }
    }
}
