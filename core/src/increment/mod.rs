//! The form of an increment: the commits after one place in a database's history, up to another, in one file.
//!
//! It is a header and then records, each chained to the one before by its checksum, so that none can be left out, put
//! elsewhere or come from another file. The values of a commit that have extents of their own come before it, in the order in
//! which its operations name them; the commit itself is as it was in the log. The last record says where the increment ends:
//! one without it was cut.
//!
//! | at | size | field of the header |
//! |---|---|---|
//! | 0 | 8 | magic `LightInc` |
//! | 8 | 4 | version: 0 |
//! | 12 | 4 | zero; of an encrypted database, bytes of the keys that follow the header |
//! | 16 | 16 | id of the database |
//! | 32 | 8 | incarnation of the commit that it goes on after |
//! | 40 | 8 | that commit's sequence |
//! | 48 | 76 | zero |
//! | 124 | 4 | CRC-32 of bytes 0 to 124 |
//!
//! Behind the header of an encrypted database's increment come its keys and 4 bytes of CRC-32 of the header's and of them; the
//! first record is chained to that, and bodies are sealed (`sealed.rs`).
//!
//! | at | size | field of a record |
//! |---|---|---|
//! | 0 | 4 | CRC-32 of the one before (first: of the header), then of what follows here |
//! | 4 | 4 | bytes of the body, bits 0 to 23; kind, bits 24 to 31 |
//! | 8 | | body, at most 256 KiB |
//!
//! | kind | body |
//! |---|---|
//! | 1 | the next value begins: its length, 8 bytes |
//! | 2 | a piece of it; it ends when all its bytes have come |
//! | 3 | it is gone: it was overwritten before it was read; nothing of it is to be used |
//! | 4 | a piece of a commit, and more of it to come |
//! | 5 | the last piece of a commit; the first one begins with incarnation and sequence, 8 bytes each |
//! | 7 | of which history the commits are, once and before all other records: the incarnation of the writer, and then those before it, oldest first, each with the commit at which it was left: 8 bytes each |
//! | 6 | the end: incarnation and sequence of the last commit, its time in milliseconds since 1970, how many commits there were: 8 bytes each |

#![cfg_attr(not(test), deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used))]

use alloc::vec::Vec;

#[cfg(feature = "testing")]
pub(crate) mod doors;
#[cfg(feature = "std")]
mod ends;
mod header;
mod read;
#[cfg(feature = "encryption")]
mod sealed;
#[cfg(test)]
mod tests;
mod write;

#[cfg(feature = "std")]
pub(crate) use ends::Ends;
#[cfg(feature = "std")]
pub(crate) use header::HEADER_BYTES;
pub(crate) use header::Place;
pub(crate) use read::{Decoder, Event};
#[cfg(feature = "encryption")]
pub(crate) use sealed::Opener;
pub(crate) use write::Encoder;

/// Bytes of a record before its body.
const RECORD_HEADER_BYTES: usize = 8;
/// Bytes of the fields of the last record.
#[cfg_attr(not(feature = "std"), allow(dead_code, reason = "only an archive is chosen from by them"))]
pub(crate) const END_BYTES: usize = 32;
/// The longest body.
pub(crate) const BODY_BYTES_MAX: usize = 256 << 10;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    ValueBegins = 1,
    ValuePiece = 2,
    ValueGone = 3,
    CommitPiece = 4,
    CommitEnds = 5,
    End = 6,
    History = 7,
}

impl Kind {
    fn from_code(code: u32) -> Option<Self> {
        Some(match code {
            1 => Kind::ValueBegins,
            2 => Kind::ValuePiece,
            3 => Kind::ValueGone,
            4 => Kind::CommitPiece,
            5 => Kind::CommitEnds,
            6 => Kind::End,
            7 => Kind::History,
            _ => return None,
        })
    }
}

/// The history that the commits of an increment are part of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct History {
    pub incarnation: u64,
    /// Those before it, oldest first, and the commit at which each was left.
    pub ancestors: Vec<(u64, u64)>,
}

/// Where an increment ends, as its last record says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct End {
    pub at: Place,
    pub time_ms: u64,
    pub commits: u64,
}
