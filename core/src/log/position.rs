//! Places in the log that a checkpoint record remembers.

use alloc::vec::Vec;

use super::segment::{FILE_HEADER_BYTES, Layout, SegmentHeader, segment_bytes_valid};
use crate::codec::bytes::{Reader, Writer};

/// A commit boundary in the log, with all that is needed to go on reading there.
///
/// A position at the very start of a region means that the segment's header comes next and must name `chain` as its
/// predecessor; that is how a checkpoint says "the log begins anew here", see [`LogPosition::fresh`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LogPosition {
    /// Index of the region in the log file.
    pub region: u32,
    /// Generation of the segment in it.
    pub generation: u64,
    /// Byte offset in the log file.
    pub offset: u64,
    /// Checksum of the frame (or segment header) before this place.
    pub chain: u32,
    /// Sequence of the last commit before this place.
    pub sequence: u64,
}

impl LogPosition {
    #[cfg(test)]
    /// Bytes of the encoding.
    pub(crate) const ENCODED_LEN: usize = 32;

    /// The start of a log that does not exist yet: region 0, to be opened as `generation`, after commit `sequence`. A
    /// checkpoint that needs no log (a new database, a clean close) holds this; the log file may be empty then.
    pub(crate) fn fresh(generation: u64, sequence: u64) -> Self {
        Self { region: 0, generation, offset: FILE_HEADER_BYTES, chain: 0, sequence }
    }

    /// A [fresh](Self::fresh) position in another region, because the first ones hold segments that are kept.
    pub(super) fn fresh_in(layout: &Layout, region: u32, generation: u64, sequence: u64) -> Self {
        Self { region, generation, offset: layout.region_start(region), chain: 0, sequence }
    }

    /// Whether the log begins anew here. Nothing else lies at the start of a region.
    pub(crate) fn is_fresh(&self) -> bool {
        let before = self.offset.checked_sub(FILE_HEADER_BYTES);
        self.chain == 0
            && match (before, self.region) {
                (Some(before), 0) => before == 0,
                (Some(before), region) => {
                    let region = u64::from(region);
                    let segment_bytes = before / region;
                    let valid = u32::try_from(segment_bytes).is_ok_and(segment_bytes_valid);
                    before.is_multiple_of(region) && valid
                }
                (None, _) => false,
            }
    }

    pub(super) fn is_segment_start(&self, layout: &Layout) -> bool {
        layout.region_start(self.region) == self.offset
    }

    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        out.put_u32(self.region);
        out.put_u64(self.generation);
        out.put_u64(self.offset);
        out.put_u32(self.chain);
        out.put_u64(self.sequence);
    }

    pub(crate) fn decode(reader: &mut Reader<'_>) -> Option<Self> {
        Some(Self {
            region: reader.u32()?,
            generation: reader.counter()?,
            offset: reader.u64()?,
            chain: reader.u32()?,
            sequence: reader.counter()?,
        })
    }
}

/// A part of the log, within one segment, that recovery must still replay and that nothing is appended to. It must be
/// durable before a checkpoint record names it: then any damage in it is an error, not a torn tail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SealedSegment {
    /// Where it begins. Only in the first of a list may this lie inside a commit (whose beginning needs no replay).
    pub start: LogPosition,
    /// The byte after its last frame, as an offset in the log file.
    pub end_offset: u64,
    /// The highest sequence of which any frame lies here; a checkpoint that has merged it no longer needs this segment.
    pub last_sequence: u64,
}

impl SealedSegment {
    #[cfg(test)]
    /// Bytes of the encoding.
    pub(crate) const ENCODED_LEN: usize = LogPosition::ENCODED_LEN + 16;

    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        self.start.encode(out);
        out.put_u64(self.end_offset);
        out.put_u64(self.last_sequence);
    }

    pub(crate) fn decode(reader: &mut Reader<'_>) -> Option<Self> {
        Some(Self { start: LogPosition::decode(reader)?, end_offset: reader.u64()?, last_sequence: reader.counter()? })
    }
}

/// A whole segment, as whoever follows the log must know it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct KnownSegment {
    /// Its generation.
    pub generation: u64,
    /// The region it lies in.
    pub region: u32,
    /// Sequence of the last commit begun before it.
    pub sequence: u64,
    /// Whether it is the first of an opening, so that no link leads to it.
    pub begins: bool,
}

impl KnownSegment {
    pub(super) fn of(header: &SegmentHeader) -> Self {
        let SegmentHeader { generation, region, sequence, previous, .. } = *header;
        Self { generation, region, sequence, begins: previous == 0 }
    }

    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        out.put_u64(self.generation);
        out.put_u32(self.region);
        out.put_u64(self.sequence);
        out.put_u8(u8::from(self.begins));
    }

    pub(crate) fn decode(reader: &mut Reader<'_>) -> Option<Self> {
        Some(Self {
            generation: reader.counter()?,
            region: reader.u32()?,
            sequence: reader.counter()?,
            begins: match reader.u8()? {
                0 => false,
                1 => true,
                _ => return None,
            },
        })
    }
}

/// Which segment a region holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct LiveSegment {
    /// Its generation.
    pub generation: u64,
    /// The region it lies in.
    pub region: u32,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_and_sealed_segments_come_back_in_fixed_width() {
        let start = LogPosition { region: 3, generation: 1 << 40, offset: 123_456, chain: 0xdead_beef, sequence: 99 };
        let sealed = SealedSegment { start, end_offset: 130_000, last_sequence: 120 };
        let mut bytes = Vec::new();
        start.encode(&mut bytes);
        assert_eq!(bytes.len(), LogPosition::ENCODED_LEN);
        sealed.encode(&mut bytes);
        assert_eq!(bytes.len(), LogPosition::ENCODED_LEN + SealedSegment::ENCODED_LEN);
        let mut reader = Reader::new(&bytes);
        assert_eq!(LogPosition::decode(&mut reader), Some(start));
        assert_eq!(SealedSegment::decode(&mut reader), Some(sealed));
        assert!(reader.is_empty());
        assert_eq!(LogPosition::decode(&mut Reader::new(&bytes[..31])), None);
    }
}
