//! The headers of the file and of segments, and where regions lie.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::position::LogPosition;
use crate::codec::bytes::{Reader, Writer};
use crate::codec::checksum::crc32;
use crate::env::{FileId, Storage};
use crate::error::{Error, Result};

/// Bytes before the first region.
pub(super) const FILE_HEADER_BYTES: u64 = 4096;
/// The unit that one write may put at risk, see the fault model on [`Storage`].
pub(super) const SECTOR_BYTES: u64 = 4096;
/// Bytes of a segment's header, followed at once by its first frame.
pub(super) const SEGMENT_HEADER_BYTES: u64 = 64;
/// The smallest segment.
pub(super) const SEGMENT_BYTES_MIN: u32 = 64 * 1024;

const FILE_MAGIC: [u8; 16] = *b"Lightning DB log";
const SEGMENT_MAGIC: u64 = u64::from_le_bytes(*b"LDBlgseg");
const FORMAT_VERSION: u32 = 1;

/// How the log file is divided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Layout {
    pub segment_bytes: u64,
}

impl Layout {
    pub(super) fn region_start(&self, region: u32) -> u64 {
        FILE_HEADER_BYTES.saturating_add(self.segment_bytes.saturating_mul(u64::from(region)))
    }

    pub(super) fn region_end(&self, region: u32) -> u64 {
        self.region_start(region).saturating_add(self.segment_bytes)
    }

    /// Regions of which a file of this length holds any byte.
    pub(super) fn regions(&self, file_bytes: u64) -> u32 {
        let bytes = file_bytes.saturating_sub(FILE_HEADER_BYTES);
        u32::try_from(bytes.div_ceil(self.segment_bytes.max(1))).unwrap_or(u32::MAX)
    }

    /// Whether the position can be one in a log of this layout.
    pub(super) fn holds(&self, position: &LogPosition) -> bool {
        let start = self.region_start(position.region);
        let frames = start.saturating_add(SEGMENT_HEADER_BYTES);
        position.offset.is_multiple_of(8)
            && (position.offset == start || position.offset >= frames)
            && position.offset <= self.region_end(position.region)
    }
}

/// The first 4 KiB of the log file:
///
/// | at | bytes | field |
/// |---|---|---|
/// | 0 | 16 | magic `Lightning DB log` |
/// | 16 | 4 | format version, 1 |
/// | 20 | 4 | bytes of a segment |
/// | 24 | 16 | id of the database |
/// | 40 | 4 | checksum of bytes 0 to 40 |
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FileHeader {
    pub segment_bytes: u32,
    pub database_id: [u8; 16],
}

/// What the beginning of the log file says.
pub(super) enum FileState {
    /// The file has no bytes.
    Empty,
    /// The header is whole.
    Valid(Layout),
    /// The header is torn or damaged.
    Damaged,
}

impl FileHeader {
    const FIELDS_BYTES: usize = 44;

    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        let start = out.len();
        out.extend_from_slice(&FILE_MAGIC);
        out.put_u32(FORMAT_VERSION);
        out.put_u32(self.segment_bytes);
        out.extend_from_slice(&self.database_id);
        let checksum = crc32(&[out.get(start..).unwrap_or_default()]);
        out.put_u32(checksum);
        out.resize(start + FILE_HEADER_BYTES as usize, 0);
    }

    /// Reads and checks the header. The log of another database, or of a newer version, is an error at once.
    pub(super) fn read(storage: &dyn Storage, database_id: &[u8; 16], file_bytes: u64) -> Result<FileState> {
        if file_bytes == 0 {
            return Ok(FileState::Empty);
        }
        if file_bytes < FILE_HEADER_BYTES {
            return Ok(FileState::Damaged);
        }
        let mut bytes = [0; Self::FIELDS_BYTES];
        storage.read_at(FileId::Log, 0, &mut bytes)?;
        let Some((version, header)) = Self::decode(&bytes) else { return Ok(FileState::Damaged) };
        if version != FORMAT_VERSION {
            return Err(Error::Unsupported {
                what: format!("log format version {version}"),
                remedy: "open the database with the version that wrote it, or a newer one",
            });
        }
        if header.database_id != *database_id {
            let what = format!(
                "this is the log of database {}, not of {}; put the log file that belongs to the data file beside it",
                hex(&header.database_id),
                hex(database_id)
            );
            return Err(Error::corrupt(FileId::Log, 0, what));
        }
        if !segment_bytes_valid(header.segment_bytes) {
            return Ok(FileState::Damaged);
        }
        Ok(FileState::Valid(Layout { segment_bytes: u64::from(header.segment_bytes) }))
    }

    /// Makes the checksum of a file's header right.
    #[cfg(feature = "testing")]
    pub(super) fn reseal(file: &mut [u8]) {
        if let Some((fields, rest)) = file.split_at_mut_checked(40)
            && let Some(checksum) = rest.first_chunk_mut::<4>()
        {
            *checksum = crc32(&[fields]).to_le_bytes();
        }
    }

    fn decode(bytes: &[u8]) -> Option<(u32, Self)> {
        let mut reader = Reader::new(bytes);
        let magic = reader.bytes16()?;
        let version = reader.u32()?;
        let segment_bytes = reader.u32()?;
        let database_id = reader.bytes16()?;
        let checksum = reader.u32()?;
        let valid = magic == FILE_MAGIC && crc32(&[bytes.get(..40)?]) == checksum;
        valid.then_some((version, Self { segment_bytes, database_id }))
    }
}

/// The first 64 bytes of a segment:
///
/// | at | bytes | field |
/// |---|---|---|
/// | 0 | 8 | magic `LDBlgseg` |
/// | 8 | 16 | id of the database |
/// | 24 | 8 | generation |
/// | 32 | 8 | incarnation |
/// | 40 | 8 | sequence of the last commit begun before it |
/// | 48 | 4 | checksum of the link that led here; 0 for the first segment after an opening |
/// | 52 | 4 | region |
/// | 56 | 4 | bytes of a segment |
/// | 60 | 4 | checksum of bytes 0 to 60, which the first frame names as its predecessor |
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SegmentHeader {
    pub database_id: [u8; 16],
    pub generation: u64,
    pub incarnation: u64,
    pub sequence: u64,
    pub previous: u32,
    pub region: u32,
    pub segment_bytes: u32,
}

impl SegmentHeader {
    /// Appends the header and gives its checksum.
    pub(super) fn encode(&self, out: &mut Vec<u8>) -> u32 {
        let start = out.len();
        out.put_u64(SEGMENT_MAGIC);
        out.extend_from_slice(&self.database_id);
        out.put_u64(self.generation);
        out.put_u64(self.incarnation);
        out.put_u64(self.sequence);
        out.put_u32(self.previous);
        out.put_u32(self.region);
        out.put_u32(self.segment_bytes);
        let checksum = crc32(&[out.get(start..).unwrap_or_default()]);
        out.put_u32(checksum);
        checksum
    }

    /// Makes the checksum right of what begins like a segment, after a frame of checksum `previous` if one is given.
    #[cfg(feature = "testing")]
    pub(super) fn reseal(bytes: &mut [u8], previous: Option<u32>) -> Option<u32> {
        if !bytes.starts_with(&SEGMENT_MAGIC.to_le_bytes()) {
            return None;
        }
        if let Some(previous) = previous {
            bytes.get_mut(48..52)?.copy_from_slice(&previous.to_le_bytes());
        }
        let checksum = crc32(&[bytes.get(..60)?]);
        bytes.get_mut(60..64)?.copy_from_slice(&checksum.to_le_bytes());
        Some(checksum)
    }

    /// The header in `bytes` and its checksum, if it is whole and of this database. Whether its generation is the one
    /// expected is for the caller to say.
    pub(super) fn decode(database_id: &[u8; 16], bytes: &[u8]) -> Option<(Self, u32)> {
        let mut reader = Reader::new(bytes);
        if reader.u64()? != SEGMENT_MAGIC {
            return None;
        }
        let header = Self {
            database_id: reader.bytes16()?,
            generation: reader.u64()?,
            incarnation: reader.u64()?,
            sequence: reader.u64()?,
            previous: reader.u32()?,
            region: reader.u32()?,
            segment_bytes: reader.u32()?,
        };
        let checksum = reader.u32()?;
        let valid = crc32(&[bytes.get(..60)?]) == checksum && header.database_id == *database_id;
        (valid && segment_bytes_valid(header.segment_bytes)).then_some((header, checksum))
    }
}

/// Whether segments may have this size: a multiple of the sector, not too small.
pub(super) fn segment_bytes_valid(bytes: u32) -> bool {
    bytes >= SEGMENT_BYTES_MIN && u64::from(bytes).is_multiple_of(SECTOR_BYTES)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::env::MemoryStorage;

    #[test]
    fn headers_come_back_and_every_flipped_bit_is_seen() {
        let id = *b"0123456789abcdef";
        let header = SegmentHeader {
            database_id: id,
            generation: 12,
            incarnation: 13,
            sequence: 14,
            previous: 15,
            region: 16,
            segment_bytes: 1 << 20,
        };
        let mut bytes = Vec::new();
        let checksum = header.encode(&mut bytes);
        assert_eq!(bytes.len() as u64, SEGMENT_HEADER_BYTES);
        assert_eq!(SegmentHeader::decode(&id, &bytes), Some((header, checksum)));
        assert_eq!(SegmentHeader::decode(b"another database", &bytes), None);
        for bit in 0..bytes.len() * 8 {
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(SegmentHeader::decode(&id, &bytes), None, "bit {bit}");
            bytes[bit / 8] ^= 1 << (bit % 8);
        }
    }

    #[test]
    fn the_log_of_another_database_is_named() {
        let mut bytes = Vec::new();
        FileHeader { segment_bytes: 1 << 20, database_id: [0xab; 16] }.encode(&mut bytes);
        assert_eq!(bytes.len() as u64, FILE_HEADER_BYTES);
        let storage = MemoryStorage::with_contents(Vec::new(), bytes);
        assert!(matches!(FileHeader::read(&storage, &[0xab; 16], 4096), Ok(FileState::Valid(_))));
        let message = format!("{}", FileHeader::read(&storage, &[0xcd; 16], 4096).err().unwrap());
        assert!(message.contains("log file"), "{message}");
        assert!(message.contains(&"ab".repeat(16)) && message.contains(&"cd".repeat(16)), "{message}");
    }
}
