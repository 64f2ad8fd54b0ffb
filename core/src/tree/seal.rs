//! What makes a stored node prove itself: its first bytes are those of its checksum, which covers the database, the place
//! and everything after them. The reference in the parent holds the whole checksum, so one computation proves both, and a
//! node whose parents are lost can still be told from whatever else the file holds.

#![deny(clippy::indexing_slicing)]

use crate::codec::checksum::{Checksum, Digest};

use super::layout::{AGE_AT, CHECKSUM_LEN, KIND_AT};

/// Which tree a node is part of, for whoever finds it without its parents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum TreeKind {
    /// The bottom: records.
    Base = 0xb0,
    /// Records and tombstones of a run.
    RunPoints = 0xc0,
    /// Deleted ranges of a run.
    RunIntervals = 0xd0,
}

impl TreeKind {
    /// The kind and the level that a node's kind byte stands for.
    pub(crate) fn split(byte: u8) -> Option<(Self, u8)> {
        let kind = match byte & 0xf0 {
            0xb0 => Self::Base,
            0xc0 => Self::RunPoints,
            0xd0 => Self::RunIntervals,
            _ => return None,
        };
        Some((kind, byte & 0x0f))
    }
}

/// How the nodes of one database are proven.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seal {
    pub checksum: Checksum,
    pub database_id: [u8; 16],
}

impl Seal {
    /// The checksum of a stored node at `offset`: of the database's id, the offset and the node after its own checksum.
    pub(crate) fn digest(&self, stored: &[u8], offset: u64) -> Digest {
        let covered = stored.get(CHECKSUM_LEN..).unwrap_or(&[]);
        self.checksum.of(&[&self.database_id, &offset.to_le_bytes(), covered])
    }

    /// Whether a node begins with the first bytes of this checksum of it.
    pub(crate) fn begins_with(stored: &[u8], digest: Digest) -> bool {
        stored.starts_with(&digest.first_bytes())
    }

    /// Completes a node that is about to be stored at `offset`, and gives its checksum. `age` is told in its low 32 bits.
    pub(crate) fn close(&self, stored: &mut [u8], offset: u64, tree: TreeKind, age: u64) -> Digest {
        if let Some(kind) = stored.get_mut(KIND_AT) {
            *kind = tree as u8 | (*kind & 0x0f);
        }
        if let Some(at) = stored.get_mut(AGE_AT..).and_then(<[u8]>::first_chunk_mut::<4>) {
            *at = (age as u32).to_le_bytes();
        }
        let digest = self.digest(stored, offset);
        if let Some(first) = stored.first_chunk_mut::<CHECKSUM_LEN>() {
            *first = digest.first_bytes();
        }
        digest
    }
}

#[cfg(test)]
#[allow(clippy::indexing_slicing)]
mod tests {
    use super::*;
    use alloc::vec;

    #[test]
    fn a_node_proves_itself_at_its_place_in_its_database_only() {
        for &checksum in Checksum::ALL {
            let seal = Seal { checksum, database_id: [7; 16] };
            let mut stored = vec![0; 100];
            stored[KIND_AT] = TreeKind::Base as u8 | 3;
            let digest = seal.close(&mut stored, 8192, TreeKind::RunPoints, 0x1_2345_6789);
            assert_eq!(TreeKind::split(stored[KIND_AT]), Some((TreeKind::RunPoints, 3)));
            assert_eq!(stored[AGE_AT..AGE_AT + 4], [0x89, 0x67, 0x45, 0x23]);
            assert_eq!(seal.digest(&stored, 8192), digest);
            assert!(Seal::begins_with(&stored, digest));
            let elsewhere = seal.digest(&stored, 8256);
            assert!(!Seal::begins_with(&stored, elsewhere), "at another place");
            let foreign = Seal { database_id: [8; 16], ..seal }.digest(&stored, 8192);
            assert!(!Seal::begins_with(&stored, foreign), "in another database");
            for at in CHECKSUM_LEN..stored.len() {
                stored[at] ^= 1;
                assert!(!Seal::begins_with(&stored, seal.digest(&stored, 8192)), "byte {at}");
                stored[at] ^= 1;
            }
        }
    }
}
