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

/// Appends the header; gives its checksum, to which the first record is chained.
pub(super) fn encode(database_id: &[u8; 16], after: Place, out: &mut Vec<u8>) -> u32 {
    let start = out.len();
    out.extend_from_slice(&MAGIC);
    out.put_u32(VERSION);
    out.put_u32(0);
    out.extend_from_slice(database_id);
    out.put_u64(after.incarnation);
    out.put_u64(after.sequence);
    out.resize(start + COVERED, 0);
    let checksum = crc32(&[out.get(start..).unwrap_or_default()]);
    out.put_u32(checksum);
    checksum
}

/// The database's id, the commit it goes on after, and the checksum.
pub(super) fn decode(bytes: &[u8]) -> Result<([u8; 16], Place, u32), NoHeader> {
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
        reader.u32()?;
        let id = reader.bytes16()?;
        Some((id, Place { incarnation: reader.u64()?, sequence: reader.counter()? }))
    })();
    let (id, after) = fields.ok_or(NoHeader::Damaged)?;
    Ok((id, after, checksum))
}
