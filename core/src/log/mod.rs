//! Write-ahead log: record format, append, replay, segments. Uses `codec` and `env`; knows nothing of tables or trees.
//!
//! The log file is a 4 KiB [file header](segment::FileHeader) and then *regions* of equal size. A region in use holds one
//! *segment*: a [segment header](segment::SegmentHeader) and a chain of [frames](frame::FrameHeader). A commit is one or
//! more frames of at most 256 KiB, the last one marked, and may cross into the next segment; the last frame of a full
//! segment is a *link* that names the region and generation of its successor.
//!
//! **What makes a frame a frame.** Its checksum covers the database's id, the generation of its segment, its own offset,
//! the previous frame's checksum and its body's checksum. The generation comes from the link (or from the checkpoint's
//! [`LogPosition`]), never from the segment. So a frame left in a recycled region, a frame of a failed append, and log
//! bytes inside a user's value cannot be taken for a record.
//!
//! **Torn or damaged.** Every frame says the highest sequence that was durable when it was written. The first invalid
//! frame is the end of the log, unless a later frame shows that a commit which would be lost had been durable: then it is
//! [`Error::Corrupt`](crate::Error::Corrupt). What is cut is reported as [`Torn`].
//!
//! **Synced bytes are never put at risk.** A write covers whole 4 KiB sectors from its first byte on: the bytes already in
//! the last sector are written again unchanged, so that a torn write finds them old or new, which is the same.
//!
//! **Architecture invariant:** the log syncs nothing and decides nothing about durability. Its caller syncs, then tells it
//! ([`Log::set_durable`], [`Log::set_checkpoint`], [`Log::release`]).
#![cfg_attr(not(test), deny(clippy::indexing_slicing))]

#[cfg(feature = "testing")]
pub(crate) mod doors;
mod draft;
mod follow;
#[cfg(all(test, feature = "encryption"))]
pub(crate) mod forged;
mod frame;
mod gather;
mod operation;
mod outcome;
mod position;
mod replay;
mod scan;
mod sealed;
mod segment;
mod window;
mod writer;

#[cfg(test)]
mod tests;

pub(crate) use follow::{Followed, Follower, intact};
pub(crate) use gather::{Gather, database_of_log};
pub(crate) use operation::{Operation, OperationWriter, Operations, Preamble};
pub(crate) use outcome::{Commit, ReplayEnd, Verdict};
pub(crate) use position::{KnownSegment, LogPosition, SealedSegment};
pub(crate) use replay::{holds_commits, is_foreign, replay, require_own, was_begun};
pub(crate) use sealed::{Owner, framed_len};
#[cfg(feature = "encryption")]
pub(crate) use sealed::{open_payload, seal_payload};
pub(crate) use writer::{Keep, Log, LogConfig};
