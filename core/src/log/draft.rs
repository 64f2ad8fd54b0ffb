//! The frames of one append, laid out in memory and written segment by segment. The only code that writes frames.

use alloc::vec::Vec;

use super::frame::{BODY_BYTES_MAX, FRAME_HEADER_BYTES, FrameHeader, Kind, LINK_FRAME_BYTES, Link, Place, frame_bytes};
use super::position::{KnownSegment, LiveSegment, LogPosition};
use super::segment::{Layout, SECTOR_BYTES, SEGMENT_HEADER_BYTES, SegmentHeader};
use super::writer::LogConfig;
use crate::codec::checksum::crc32;
use crate::env::{FileId, Storage};
use crate::error::{Error, Result};
use crate::testing::Mutant;

/// A body is not split to fill less than this at the end of a segment.
const PIECE_BYTES_MIN: u64 = 512;
/// Bytes gathered before a write, so that a large segment needs no buffer of its size.
const WRITE_BYTES: usize = 1 << 20;
/// Zeros after the last frame: what an earlier use of the region left there is not mistaken for a torn append.
pub(super) const TERMINATOR: [u8; 8] = [0; 8];

/// What the writer knew to be durable; every frame says it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Durable {
    pub sequence: u64,
    pub checkpoint: u64,
}

/// An append under way. Nothing of the writer changes until all of it is written.
pub(super) struct Draft<'a> {
    config: &'a LogConfig,
    durable: Durable,
    /// The place after the last frame laid out.
    at: LogPosition,
    /// The segments entered.
    entered: Vec<KnownSegment>,
    /// Bytes not yet written, from the sector of `start` on.
    bytes: Vec<u8>,
    /// Offset in the log file of the first of `bytes`, a multiple of the sector.
    start: u64,
}

impl<'a> Draft<'a> {
    /// Begins at `at`, after the bytes of its sector that are already in the file (`tail`).
    pub(super) fn begin(
        config: &'a LogConfig,
        durable: Durable,
        at: LogPosition,
        tail: &[u8],
        mut buffer: Vec<u8>,
    ) -> Self {
        let tail = if Mutant::SyncedBytesAtRisk.is_active() { &[] } else { tail };
        buffer.clear();
        buffer.extend_from_slice(tail);
        Self { config, durable, at, entered: Vec::new(), bytes: buffer, start: at.offset - tail.len() as u64 }
    }

    /// Lays out and writes all frames of `payload`, entering `successors` one after the other as segments fill up.
    pub(super) fn write_chain(
        &mut self,
        storage: &dyn Storage,
        successors: &[LiveSegment],
        first: Kind,
        sequence: u64,
        payload: &[u8],
    ) -> Result<()> {
        let mut successors = successors.iter();
        let mut kind = first;
        let mut rest = payload;
        loop {
            let Some((body, after)) =
                body_that_fits(self.room(), rest.len()).and_then(|len| rest.split_at_checked(len))
            else {
                // The writer counted the links beforehand by the same rule, so there is always another.
                let Some(next) = successors.next() else {
                    return Err(Error::invalid("a commit was given fewer log segments than it fills"));
                };
                self.link(storage, *next)?;
                continue;
            };
            rest = after;
            self.at.sequence = sequence;
            self.frame(kind, kind != Kind::Mark && rest.is_empty(), body);
            kind = Kind::CommitContinued;
            if rest.is_empty() {
                break;
            }
            if self.bytes.len() >= WRITE_BYTES {
                self.write(storage)?;
            }
        }
        self.bytes.extend_from_slice(&TERMINATOR);
        self.write(storage)
    }

    /// Where the next append begins, the bytes of its sector already in the file (into `tail`), the segments entered, and the
    /// buffer.
    pub(super) fn finish(self, tail: &mut Vec<u8>) -> (LogPosition, Vec<KnownSegment>, Vec<u8>) {
        let len = usize::try_from(self.at.offset.saturating_sub(self.start)).unwrap_or(0);
        tail.clear();
        tail.extend_from_slice(self.bytes.get(..len).unwrap_or_default());
        (self.at, self.entered, self.bytes)
    }

    /// The buffer, when the append failed.
    pub(super) fn abandon(self) -> Vec<u8> {
        self.bytes
    }

    fn room(&self) -> u64 {
        self.config.layout().region_end(self.at.region).saturating_sub(LINK_FRAME_BYTES + self.at.offset)
    }

    fn frame(&mut self, kind: Kind, last: bool, body: &[u8]) {
        let header = FrameHeader {
            kind,
            last,
            body_len: body.len() as u32,
            body_checksum: crc32(&[body]),
            previous: self.at.chain,
            sequence: self.at.sequence,
            durable: self.durable.sequence.min(self.at.sequence),
            checkpoint: self.durable.checkpoint,
        };
        let id = &self.config.database_id;
        let place = Place { database_id: id, generation: self.at.generation, offset: self.at.offset };
        self.at.chain = header.encode(place, &mut self.bytes);
        self.bytes.extend_from_slice(body);
        self.at.offset += header.frame_bytes();
        let padding = self.bytes.len().next_multiple_of(8);
        self.bytes.resize(padding, 0);
    }

    /// Leaves the segment, however much room it has.
    pub(super) fn link(&mut self, storage: &dyn Storage, next: LiveSegment) -> Result<()> {
        self.frame(Kind::Link, false, &Link { region: next.region, generation: next.generation }.encode());
        self.write(storage)?;
        self.bytes.clear();
        let (at, header) = segment_start(self.config, next, self.at.chain, self.at.sequence);
        self.start = at.offset;
        let chain = header.encode(&mut self.bytes);
        self.entered.push(KnownSegment::of(&header));
        self.at = LogPosition { offset: at.offset + SEGMENT_HEADER_BYTES, chain, ..at };
        Ok(())
    }

    /// Writes what is laid out and keeps of it what shares a sector with the next byte.
    fn write(&mut self, storage: &dyn Storage) -> Result<()> {
        storage.write_at(FileId::Log, self.start, &self.bytes)?;
        let next = self.at.offset - self.at.offset % SECTOR_BYTES;
        let done = usize::try_from(next.saturating_sub(self.start)).unwrap_or(usize::MAX);
        self.bytes.drain(..done.min(self.bytes.len()));
        self.start = next;
        Ok(())
    }
}

/// The start of the region of `segment` and the header to write there.
pub(super) fn segment_start(
    config: &LogConfig,
    segment: LiveSegment,
    previous: u32,
    sequence: u64,
) -> (LogPosition, SegmentHeader) {
    let LiveSegment { generation, region } = segment;
    let offset = config.layout().region_start(region);
    let header = SegmentHeader {
        database_id: config.database_id,
        generation,
        incarnation: config.incarnation,
        sequence,
        previous,
        region,
        segment_bytes: config.segment_bytes,
    };
    (LogPosition { region, generation, offset, chain: previous, sequence }, header)
}

/// How many segments beyond the current one a payload of `len` bytes enters when appended at `at`.
pub(super) fn links_needed(layout: Layout, at: &LogPosition, len: usize) -> usize {
    let mut room = layout.region_end(at.region).saturating_sub(LINK_FRAME_BYTES + at.offset);
    let fresh = layout.segment_bytes.saturating_sub(SEGMENT_HEADER_BYTES + LINK_FRAME_BYTES);
    let mut rest = len;
    let mut links = 0;
    loop {
        match body_that_fits(room, rest) {
            Some(body) => {
                rest -= body;
                room -= frame_bytes(body);
                if rest == 0 {
                    return links;
                }
            }
            None => {
                links += 1;
                room = fresh;
            }
        }
    }
}

/// The length of the next frame's body, when `rest` bytes are to come and `room` bytes (a multiple of 8) are left in the
/// segment; `None` if the segment must be left first.
fn body_that_fits(room: u64, rest: usize) -> Option<usize> {
    let wanted = rest.min(BODY_BYTES_MAX);
    if frame_bytes(wanted) <= room {
        return Some(wanted);
    }
    let body = room.checked_sub(FRAME_HEADER_BYTES as u64)?;
    if body < PIECE_BYTES_MIN { None } else { usize::try_from(body).ok() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_fills_the_segment_but_is_not_split_for_a_scrap() {
        assert_eq!(body_that_fits(40, 0), Some(0));
        assert_eq!(body_that_fits(32, 0), None);
        assert_eq!(body_that_fits(48, 8), Some(8));
        assert_eq!(body_that_fits(48, 9), None, "would leave a piece of 8 bytes");
        assert_eq!(body_that_fits(40 + 512, 513), Some(512));
        assert_eq!(body_that_fits(40 + 504, 513), None);
        assert_eq!(body_that_fits(1 << 20, 1 << 20), Some(BODY_BYTES_MAX));
    }
}
