//! The search, behind the first invalid frame, for frames that show what was durable.
//!
//! Nothing found here is ever replayed. A frame's header proves itself, so torn bodies do not matter and a body's length
//! costs nothing. What is left of appends that an earlier recovery cut off, or that failed, cannot mislead: such a frame
//! was written when every sequence it calls durable had been replayed or appended before it.

use alloc::vec::Vec;

use super::frame::{FRAME_HEADER_BYTES, FrameHeader, Place};
use super::position::KnownSegment;
use super::segment::{FILE_HEADER_BYTES, Layout, SECTOR_BYTES, SEGMENT_HEADER_BYTES, SegmentHeader};
use super::window::Window;
use crate::env::{FileId, Storage};
use crate::error::Result;

/// What the search has found so far.
#[derive(Debug)]
pub(super) struct Evidence {
    /// Frames behind the damage.
    pub frames: u64,
    /// Highest sequence they call durable.
    pub durable: u64,
    /// Highest checkpoint number they call durable.
    pub checkpoint: u64,
    /// Bytes from where the search began, segment by segment, to the end of the last frame.
    pub bytes: u64,
    /// Highest generation of any segment.
    pub generation: u64,
}

impl Evidence {
    pub(super) fn new(generation: u64) -> Self {
        Self { frames: 0, durable: 0, checkpoint: 0, bytes: 0, generation }
    }
}

/// Where to search.
#[derive(Clone, Copy)]
pub(super) struct Search<'a> {
    pub storage: &'a dyn Storage,
    pub database_id: &'a [u8; 16],
    pub layout: Layout,
}

impl Search<'_> {
    /// Looks for frames of `generation` from `from` to the end of the region.
    pub(super) fn segment(
        &self,
        window: &mut Window,
        region: u32,
        generation: u64,
        from: u64,
        evidence: &mut Evidence,
    ) -> Result<()> {
        let end = self.layout.region_end(region);
        let mut offset = from.next_multiple_of(8);
        let mut last = from;
        while let Some(bytes) = window.rest(self.storage, offset, FRAME_HEADER_BYTES, end)? {
            let (skipped, found) = self.first_header(bytes, generation, offset);
            offset += skipped;
            if let Some(header) = found {
                evidence.frames += 1;
                evidence.durable = evidence.durable.max(header.durable);
                evidence.checkpoint = evidence.checkpoint.max(header.checkpoint);
                offset = offset.saturating_add(header.frame_bytes());
                last = offset;
            }
        }
        evidence.bytes += last.saturating_sub(from);
        Ok(())
    }

    /// The first header in `bytes`, which lie at `offset`, and the bytes before it; or the bytes that hold none.
    fn first_header(&self, bytes: &[u8], generation: u64, offset: u64) -> (u64, Option<FrameHeader>) {
        let mut skipped = 0;
        let mut rest = bytes;
        while rest.len() >= FRAME_HEADER_BYTES {
            let place = Place { database_id: self.database_id, generation, offset: offset + skipped };
            if let Some((header, _)) = FrameHeader::verify(place, rest) {
                return (skipped, Some(header));
            }
            skipped += 8;
            rest = rest.get(8..).unwrap_or_default();
        }
        (skipped, None)
    }

    /// Looks through every segment newer than the one the log ended in, and gives those not newer than `newest`.
    pub(super) fn other_segments(
        &self,
        window: &mut Window,
        newest: u64,
        evidence: &mut Evidence,
    ) -> Result<Vec<KnownSegment>> {
        let ended_in = evidence.generation;
        let regions = self.layout.regions(window.file_bytes());
        for region in 0..regions {
            self.storage.prefetch(FileId::Log, self.layout.region_start(region), SEGMENT_HEADER_BYTES);
        }
        let mut retained = Vec::new();
        for region in 0..regions {
            // A segment that is not seen here is not retained: its region would be given to the next one, while the durable
            // checkpoint still names it.
            let found = self.segment_header(region, window.file_bytes())?;
            let Some((header, _)) = found else { continue };
            let generation = header.generation;
            if generation <= newest {
                retained.push(KnownSegment::of(&header));
            }
            if generation > ended_in {
                evidence.generation = evidence.generation.max(generation);
                let frames = self.layout.region_start(region).saturating_add(SEGMENT_HEADER_BYTES);
                self.segment(window, region, generation, frames, evidence)?;
            }
        }
        Ok(retained)
    }

    /// The header of the segment in `region` and its checksum, if it is whole and was written for this place. Read again where
    /// there is none, as frames are: one wrong bit in reading must not make a segment disappear.
    pub(super) fn segment_header(&self, region: u32, file_bytes: u64) -> Result<Option<(SegmentHeader, u32)>> {
        let start = self.layout.region_start(region);
        if start.saturating_add(SEGMENT_HEADER_BYTES) > file_bytes {
            return Ok(None);
        }
        match self.segment_header_at(start, region)? {
            None => self.segment_header_at(start, region),
            found => Ok(found),
        }
    }

    fn segment_header_at(&self, start: u64, region: u32) -> Result<Option<(SegmentHeader, u32)>> {
        let mut bytes = [0; SEGMENT_HEADER_BYTES as usize];
        self.storage.read_at(FileId::Log, start, &mut bytes)?;
        Ok(SegmentHeader::decode(self.database_id, &bytes).filter(|(header, _)| {
            header.region == region && u64::from(header.segment_bytes) == self.layout.segment_bytes
        }))
    }
}

/// The layout of a log file whose header is lost, from any segment's header; one region if there is none.
pub(super) fn guess_layout(window: &mut Window, storage: &dyn Storage, database_id: &[u8; 16]) -> Result<Layout> {
    let mut offset = FILE_HEADER_BYTES;
    while let Some(bytes) = window.get(storage, offset, SEGMENT_HEADER_BYTES as usize, u64::MAX)? {
        if let Some((header, _)) = SegmentHeader::decode(database_id, bytes) {
            let layout = Layout { segment_bytes: u64::from(header.segment_bytes) };
            if layout.region_start(header.region) == offset {
                return Ok(layout);
            }
        }
        offset += SECTOR_BYTES;
    }
    Ok(Layout { segment_bytes: window.file_bytes().max(SECTOR_BYTES) })
}
