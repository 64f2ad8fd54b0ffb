//! What proves bytes: CRC-32 (ISO-HDLC, as in zlib and RFC 1952) against damage, or with the feature `blake3` the first 16
//! bytes of BLAKE3 against whoever can write the file too.

use alloc::vec::Vec;
use core::fmt;

use super::bytes::{Reader, Writer};

/// What proves the nodes and values of a database, chosen when it is made. The superblocks, which name everything else, and
/// the log, which holds only what is not in the trees yet, are proven by CRC-32 always.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Checksum {
    /// CRC-32: four bytes in each reference; proves against damage.
    #[default]
    Crc32,
    /// BLAKE3: sixteen bytes in each reference. Every node holds the hashes of those below it, so the superblock's reference
    /// proves the whole database. The file opens only in builds with the feature `blake3`.
    #[cfg(feature = "blake3")]
    Blake3,
    /// The tags of the cipher: of every encrypted database, whatever was asked for. Of others it cannot be asked for.
    #[cfg(feature = "encryption")]
    Tag,
}

impl Checksum {
    /// All that this build can compute.
    pub(crate) const ALL: &[Self] = &[
        Self::Crc32,
        #[cfg(feature = "blake3")]
        Self::Blake3,
    ];

    /// A name for people.
    pub fn name(self) -> &'static str {
        match self {
            Self::Crc32 => "CRC-32",
            #[cfg(feature = "blake3")]
            Self::Blake3 => "BLAKE3",
            #[cfg(feature = "encryption")]
            Self::Tag => "tags of the cipher",
        }
    }

    /// Whether it is the cipher that proves.
    pub(crate) fn is_tag(self) -> bool {
        #[cfg(feature = "encryption")]
        return self == Self::Tag;
        #[cfg(not(feature = "encryption"))]
        false
    }

    /// The digest of the concatenation of `parts`.
    pub(crate) fn of(self, parts: &[&[u8]]) -> Digest {
        match self {
            Self::Crc32 => Digest::Crc32(crc32(parts)),
            #[cfg(feature = "blake3")]
            Self::Blake3 => {
                let mut hasher = blake3::Hasher::new();
                for part in parts {
                    hasher.update(part);
                }
                let mut digest = [0; 16];
                hasher.finalize_xof().fill(&mut digest);
                Digest::Hash(digest)
            }
            // Only a cipher makes tags: this equals none.
            #[cfg(feature = "encryption")]
            Self::Tag => Digest::Crc32(crc32(parts)),
        }
    }

    /// Bytes of one digest.
    pub(crate) fn width(self) -> usize {
        match self {
            Self::Crc32 => 4,
            #[cfg(feature = "blake3")]
            Self::Blake3 => 16,
            #[cfg(feature = "encryption")]
            Self::Tag => 16,
        }
    }
}

/// The result of a [`Checksum`]. Stored without its kind: the length says it.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Digest {
    Crc32(u32),
    /// A hash; where a database is encrypted, a tag.
    #[cfg(any(feature = "blake3", feature = "encryption"))]
    Hash([u8; 16]),
    /// The tag of a value in an extent of its own, whose form is another than with a hash.
    #[cfg(feature = "encryption")]
    Tag([u8; 16]),
}

impl Digest {
    /// The longest digest, in bytes.
    pub(crate) const WIDTH_MAX: usize = 16;

    /// Which checksum of a value this is.
    pub(crate) fn kind(self) -> Checksum {
        match self {
            Self::Crc32(_) => Checksum::Crc32,
            #[cfg(feature = "blake3")]
            Self::Hash(_) => Checksum::Blake3,
            #[cfg(all(feature = "encryption", not(feature = "blake3")))]
            Self::Hash(_) => Checksum::Tag,
            #[cfg(feature = "encryption")]
            Self::Tag(_) => Checksum::Tag,
        }
    }

    /// Bytes of the encoding.
    pub(crate) fn width(self) -> usize {
        match self {
            Self::Crc32(_) => 4,
            #[cfg(any(feature = "blake3", feature = "encryption"))]
            Self::Hash(_) => 16,
            #[cfg(feature = "encryption")]
            Self::Tag(_) => 16,
        }
    }

    /// Of nothing yet, but as long as one of `checksum`.
    pub(crate) fn none(checksum: Checksum) -> Self {
        match checksum {
            #[cfg(feature = "encryption")]
            Checksum::Tag => Self::Hash([0; 16]),
            other => other.of(&[]),
        }
    }

    pub(crate) fn encode(self, out: &mut Vec<u8>) {
        match self {
            Self::Crc32(crc) => out.put_u32(crc),
            #[cfg(any(feature = "blake3", feature = "encryption"))]
            Self::Hash(digest) => out.extend_from_slice(&digest),
            #[cfg(feature = "encryption")]
            Self::Tag(tag) => out.extend_from_slice(&tag),
        }
    }

    /// Reads a digest of `kind`.
    pub(crate) fn decode(reader: &mut Reader<'_>, kind: Checksum) -> Option<Self> {
        Some(match kind {
            Checksum::Crc32 => Self::Crc32(reader.u32()?),
            #[cfg(feature = "blake3")]
            Checksum::Blake3 => Self::Hash(reader.bytes16()?),
            #[cfg(feature = "encryption")]
            Checksum::Tag => Self::Hash(reader.bytes16()?),
        })
    }

    /// A digest that fills `bytes` exactly.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        match bytes.len() {
            4 => bytes.first_chunk().map(|crc| Self::Crc32(u32::from_le_bytes(*crc))),
            #[cfg(any(feature = "blake3", feature = "encryption"))]
            16 => bytes.first_chunk().map(|digest| Self::Hash(*digest)),
            _ => None,
        }
    }

    /// The first four bytes of its encoding.
    pub(crate) fn first_bytes(self) -> [u8; 4] {
        match self {
            Self::Crc32(crc) => crc.to_le_bytes(),
            #[cfg(any(feature = "blake3", feature = "encryption"))]
            Self::Hash([a, b, c, d, ..]) => [a, b, c, d],
            #[cfg(feature = "encryption")]
            Self::Tag([a, b, c, d, ..]) => [a, b, c, d],
        }
    }
}

/// Hexadecimal: a CRC-32 as a number, a hash byte by byte.
impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Crc32(crc) => write!(f, "{crc:#010x}"),
            #[cfg(any(feature = "blake3", feature = "encryption"))]
            Self::Hash(digest) => digest.iter().try_for_each(|byte| write!(f, "{byte:02x}")),
            #[cfg(feature = "encryption")]
            Self::Tag(tag) => tag.iter().try_for_each(|byte| write!(f, "{byte:02x}")),
        }
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The CRC-32 of the concatenation of `parts`.
pub(crate) fn crc32(parts: &[&[u8]]) -> u32 {
    #[cfg(target_family = "wasm")]
    return parts.iter().fold(0, |crc, part| super::crc32::crc32(crc, part));
    #[cfg(not(target_family = "wasm"))]
    {
        let mut hasher = crc32fast::Hasher::new();
        for part in parts {
            hasher.update(part);
        }
        hasher.finalize()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;

    fn check(checksum: Checksum, of_nothing: &str, of_abc: &str) {
        assert_eq!(format!("{}", checksum.of(&[])), of_nothing);
        let digest = checksum.of(&[b"a", b"bc"]);
        assert_eq!(format!("{digest}"), of_abc);
        let mut bytes = Vec::new();
        digest.encode(&mut bytes);
        assert_eq!(bytes.len(), checksum.width());
        assert_eq!(Digest::from_bytes(&bytes), Some(digest));
        assert_eq!(Digest::decode(&mut Reader::new(&bytes), checksum), Some(digest));
        assert_eq!(Digest::from_bytes(&bytes[1..]), None);
        assert_eq!(digest.first_bytes(), bytes[..4]);
    }

    #[test]
    fn checksums_are_those_of_the_standards() {
        check(Checksum::Crc32, "0x00000000", "0x352441c2");
        // The beginnings of the hashes that BLAKE3's own tools print.
        #[cfg(feature = "blake3")]
        check(Checksum::Blake3, "af1349b9f5f9a1a6a0404dea36dcc949", "6437b3ac38465133ffb63b75273a8db5");
    }
}
