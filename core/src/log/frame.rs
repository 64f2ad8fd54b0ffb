//! One frame: a 40-byte header, a body, zeros up to a multiple of 8.
//!
//! | at | bytes | field |
//! |---|---|---|
//! | 0 | 4 | checksum of database id, generation, offset of the frame in the file, and bytes 4 to 40 |
//! | 4 | 4 | checksum of the body |
//! | 8 | 4 | checksum (bytes 0 to 4) of the previous frame, of the segment's header for the first one |
//! | 12 | 4 | body length, bits 0 to 23; kind, bits 24 to 27; bit 31: last frame of its commit |
//! | 16 | 8 | sequence of the commit, in a mark or link of the last commit begun before it |
//! | 24 | 8 | highest sequence known durable when the frame was written |
//! | 32 | 8 | highest checkpoint number known durable when the frame was written |
//!
//! The header proves itself without its body, so that the search for proof after a torn frame costs 68 bytes of checksum
//! a candidate, whatever a hostile length says.

use alloc::vec::Vec;

use crate::codec::bytes::{Reader, Writer};
use crate::codec::checksum::crc32;
use crate::testing::Mutant;

/// Bytes of a frame's header.
pub(super) const FRAME_HEADER_BYTES: usize = 40;
/// The longest body.
pub(super) const BODY_BYTES_MAX: usize = 256 * 1024;
/// Bytes of a whole link frame; every segment keeps room for it.
pub(super) const LINK_FRAME_BYTES: u64 = 56;

const LINK_BODY_BYTES: u32 = 12;
const LAST: u32 = 1 << 31;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// The first frame of a commit.
    Commit,
    /// Any other frame of a commit.
    CommitContinued,
    /// Nothing but the header's durable sequence and checkpoint.
    Mark,
    /// The end of the segment; the body is a [`Link`].
    Link,
}

impl Kind {
    fn code(self) -> u32 {
        match self {
            Kind::Commit => 1,
            Kind::CommitContinued => 2,
            Kind::Mark => 3,
            Kind::Link => 4,
        }
    }

    fn from_code(code: u32) -> Option<Self> {
        match code {
            1 => Some(Kind::Commit),
            2 => Some(Kind::CommitContinued),
            3 => Some(Kind::Mark),
            4 => Some(Kind::Link),
            _ => None,
        }
    }
}

/// Where a frame lies and whose it is: what its checksum covers beside its bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place<'a> {
    pub database_id: &'a [u8; 16],
    pub generation: u64,
    /// Offset in the log file.
    pub offset: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FrameHeader {
    pub kind: Kind,
    /// Whether a commit ends here; false in marks and links.
    pub last: bool,
    pub body_len: u32,
    pub body_checksum: u32,
    pub previous: u32,
    pub sequence: u64,
    pub durable: u64,
    pub checkpoint: u64,
}

impl FrameHeader {
    /// Appends the header for a frame at `place` and gives its checksum.
    pub(super) fn encode(&self, place: Place<'_>, out: &mut Vec<u8>) -> u32 {
        let start = out.len();
        let last = if self.last { LAST } else { 0 };
        out.put_u32(0);
        out.put_u32(self.body_checksum);
        out.put_u32(self.previous);
        out.put_u32(self.body_len | (self.kind.code() << 24) | last);
        out.put_u64(self.sequence);
        out.put_u64(self.durable);
        out.put_u64(self.checkpoint);
        let covered = out.get(start + 4..).unwrap_or_default();
        let checksum = crc32(&[&place.seed(), covered]);
        if let Some(to) = out.get_mut(start..start + 4) {
            to.copy_from_slice(&checksum.to_le_bytes());
        }
        checksum
    }

    /// The header in `bytes` and its checksum, if it is one that was written for this `place`.
    pub(super) fn verify(place: Place<'_>, bytes: &[u8]) -> Option<(Self, u32)> {
        let bytes = bytes.get(..FRAME_HEADER_BYTES)?;
        let (header, checksum) = Self::parse(bytes)?;
        let proven = crc32(&[&place.seed(), bytes.get(4..)?]) == checksum;
        (proven || Mutant::FrameHeaderUnverified.is_active()).then_some((header, checksum))
    }

    /// The fields, if they are such as a writer may write. Cheap, and refuses nearly everything that is no frame.
    fn parse(bytes: &[u8]) -> Option<(Self, u32)> {
        let mut reader = Reader::new(bytes);
        let checksum = reader.u32()?;
        let body_checksum = reader.u32()?;
        let previous = reader.u32()?;
        let word = reader.u32()?;
        let kind = Kind::from_code((word >> 24) & 0x7f)?;
        let last = word & LAST != 0;
        let body_len = word & 0x00ff_ffff;
        let (sequence, durable, checkpoint) = (reader.counter()?, reader.counter()?, reader.counter()?);
        let shape = match kind {
            Kind::Commit | Kind::CommitContinued => body_len as usize <= BODY_BYTES_MAX,
            Kind::Mark => body_len == 0 && !last,
            Kind::Link => body_len == LINK_BODY_BYTES && !last,
        };
        (shape && durable <= sequence).then_some((
            Self { kind, last, body_len, body_checksum, previous, sequence, durable, checkpoint },
            checksum,
        ))
    }

    /// Makes the checksum of a header right.
    #[cfg(feature = "testing")]
    pub(super) fn reseal(place: Place<'_>, bytes: &mut [u8]) {
        let Some((checksum, rest)) = bytes.split_first_chunk_mut::<4>() else { return };
        if let Some(covered) = rest.get(..FRAME_HEADER_BYTES - 4) {
            *checksum = crc32(&[&place.seed(), covered]).to_le_bytes();
        }
    }

    /// Makes the checksums of a whole frame right, after a frame of checksum `previous`; `None` if it has no frame's shape.
    #[cfg(feature = "testing")]
    pub(super) fn reseal_linked(place: Place<'_>, previous: u32, frame: &mut [u8]) -> Option<(Self, u32)> {
        let (header, _) = Self::parse(frame)?;
        let body = frame.get(FRAME_HEADER_BYTES..)?.get(..header.body_len as usize)?;
        let fields = [crc32(&[body]).to_le_bytes(), previous.to_le_bytes()].concat();
        frame.get_mut(4..12)?.copy_from_slice(&fields);
        Self::reseal(place, frame);
        Self::verify(place, frame)
    }

    /// Bytes from this frame to the next: header, body, padding.
    pub(super) fn frame_bytes(&self) -> u64 {
        frame_bytes(self.body_len as usize)
    }
}

/// Bytes a frame with a body of this length takes.
pub(super) fn frame_bytes(body_len: usize) -> u64 {
    ((FRAME_HEADER_BYTES + body_len) as u64).next_multiple_of(8)
}

impl Place<'_> {
    fn seed(&self) -> [u8; 32] {
        let mut seed = [0; 32];
        let (id, rest) = seed.split_at_mut(16);
        let (generation, offset) = rest.split_at_mut(8);
        id.copy_from_slice(self.database_id);
        generation.copy_from_slice(&self.generation.to_le_bytes());
        offset.copy_from_slice(&self.offset.to_le_bytes());
        seed
    }
}

/// The body of a link: where the log goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Link {
    pub region: u32,
    pub generation: u64,
}

impl Link {
    pub(super) fn encode(&self) -> [u8; LINK_BODY_BYTES as usize] {
        let mut bytes = [0; LINK_BODY_BYTES as usize];
        let (region, generation) = bytes.split_at_mut(4);
        region.copy_from_slice(&self.region.to_le_bytes());
        generation.copy_from_slice(&self.generation.to_le_bytes());
        bytes
    }

    pub(super) fn decode(body: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(body);
        Some(Self { region: reader.u32()?, generation: reader.counter()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: [u8; 16] = *b"0123456789abcdef";

    fn place(generation: u64, offset: u64) -> Place<'static> {
        Place { database_id: &ID, generation, offset }
    }

    fn header() -> FrameHeader {
        FrameHeader {
            kind: Kind::Commit,
            last: true,
            body_len: 77,
            body_checksum: 5,
            previous: 6,
            sequence: 40,
            durable: 39,
            checkpoint: 3,
        }
    }

    #[test]
    fn a_header_is_valid_only_where_it_was_written() {
        let mut bytes = Vec::new();
        let checksum = header().encode(place(7, 4160), &mut bytes);
        assert_eq!(bytes.len(), FRAME_HEADER_BYTES);
        assert_eq!(FrameHeader::verify(place(7, 4160), &bytes), Some((header(), checksum)));
        assert_eq!(FrameHeader::verify(place(8, 4160), &bytes), None);
        assert_eq!(FrameHeader::verify(place(7, 4168), &bytes), None);
        let other = Place { database_id: b"another database", generation: 7, offset: 4160 };
        assert_eq!(FrameHeader::verify(other, &bytes), None);
    }

    #[test]
    fn every_flipped_bit_of_a_header_is_seen() {
        let mut bytes = Vec::new();
        header().encode(place(7, 4160), &mut bytes);
        for bit in 0..bytes.len() * 8 {
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(FrameHeader::verify(place(7, 4160), &bytes), None, "bit {bit}");
            bytes[bit / 8] ^= 1 << (bit % 8);
        }
    }

    #[test]
    fn a_link_fits_the_room_kept_for_it() {
        let link = Link { region: 9, generation: 1 << 50 };
        assert_eq!(frame_bytes(link.encode().len()), LINK_FRAME_BYTES);
        assert_eq!(Link::decode(&link.encode()), Some(link));
    }
}
