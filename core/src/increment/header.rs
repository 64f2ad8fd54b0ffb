//! The first bytes of an increment.

use alloc::vec::Vec;

use crate::codec::bytes::{Reader, Writer};
use crate::codec::checksum::crc32;

pub(super) const MAGIC: [u8; 8] = *b"LightInc";
const VERSION: u32 = 0;
/// Bytes of the header.
pub(crate) const HEADER_BYTES: usize = 128;
const COVERED: usize = HEADER_BYTES - 4;

/// A commit of one history.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub incarnation: u64,
    pub sequence: u64,
}

/// Why bytes are no header.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum NoHeader {
    Foreign,
    Newer(u32),
    Damaged,
}

/// Appends the header and the keys; gives the checksum to which the first record is chained.
pub(super) fn encode(database_id: &[u8; 16], after: Place, keys: &[u8], out: &mut Vec<u8>) -> u32 {
    let start = out.len();
    out.extend_from_slice(&MAGIC);
    out.put_u32(VERSION);
    out.put_u32(keys.len() as u32);
    out.extend_from_slice(database_id);
    out.put_u64(after.incarnation);
    out.put_u64(after.sequence);
    out.resize(start + COVERED, 0);
    let checksum = crc32(&[out.get(start..).unwrap_or_default()]);
    out.put_u32(checksum);
    if keys.is_empty() {
        return checksum;
    }
    let checksum = crc32(&[&checksum.to_le_bytes(), keys]);
    out.extend_from_slice(keys);
    out.put_u32(checksum);
    checksum
}

/// The fields of a header.
pub(super) struct Header {
    pub database_id: [u8; 16],
    /// The commit it goes on after.
    pub after: Place,
    pub checksum: u32,
    /// Bytes of the keys behind it, and then a checksum; without keys there is none.
    pub keys_len: usize,
}

pub(super) fn decode(bytes: &[u8]) -> Result<Header, NoHeader> {
    let mut reader = Reader::new(bytes);
    if reader.take(MAGIC.len()) != Some(&MAGIC) {
        return Err(NoHeader::Foreign);
    }
    let version = reader.u32().ok_or(NoHeader::Damaged)?;
    let covered = bytes.get(..COVERED).ok_or(NoHeader::Damaged)?;
    let stored = bytes.get(COVERED..HEADER_BYTES).and_then(|stored| stored.try_into().ok()).ok_or(NoHeader::Damaged)?;
    let checksum = crc32(&[covered]);
    if checksum != u32::from_le_bytes(stored) {
        return Err(NoHeader::Damaged);
    }
    if version != VERSION {
        return Err(NoHeader::Newer(version));
    }
    let fields = (|| {
        let keys_len = reader.u32()? as usize;
        let database_id = reader.bytes16()?;
        let after = Place { incarnation: reader.u64()?, sequence: reader.counter()? };
        Some(Header { database_id, after, checksum, keys_len })
    })();
    fields.ok_or(NoHeader::Damaged)
}
