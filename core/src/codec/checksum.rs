//! CRC-32 (ISO-HDLC, as in zlib and RFC 1952), by crc32fast.

/// The checksum of the concatenation of `parts`.
pub(crate) fn crc32(parts: &[&[u8]]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    for part in parts {
        hasher.update(part);
    }
    hasher.finalize()
}
