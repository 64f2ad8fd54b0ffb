//! A segment as somebody makes it up who has no key: all checksums are right, and so is the place that a checkpoint names.

use alloc::vec::Vec;

use super::draft::{Draft, Durable, segment_start};
use super::frame::Kind;
use super::position::{LiveSegment, LogPosition};
use super::segment::SEGMENT_HEADER_BYTES;
use super::writer::LogConfig;
use crate::env::{FileId, Storage};

/// Writes it over the one that `at` is the beginning of, with these commits.
pub(crate) fn forge(storage: &dyn Storage, config: &LogConfig, at: LogPosition, commits: &[(u64, Vec<u8>)]) {
    let segment = LiveSegment { generation: at.generation, region: at.region };
    let checksum = |previous: u32| {
        let (_, header) = segment_start(config, segment, previous, at.sequence);
        let mut bytes = Vec::new();
        (header.encode(&mut bytes), bytes)
    };
    // A checksum is linear: which bits of a field that nobody looks at make it the one that is wanted, elimination tells.
    let zero = checksum(0).0;
    let mut rows: Vec<(u32, u32)> = (0..32).map(|bit| (checksum(1 << bit).0 ^ zero, 1 << bit)).collect();
    let (mut wanted, mut previous) = (at.chain ^ zero, 0);
    for bit in (0..32).map(|bit| 1u32 << bit) {
        let Some(pivot) = rows.iter().position(|(row, _)| row & bit != 0) else { continue };
        let (row, field) = rows.remove(pivot);
        for other in rows.iter_mut().filter(|(other, _)| other & bit != 0) {
            *other = (other.0 ^ row, other.1 ^ field);
        }
        if wanted & bit != 0 {
            (wanted, previous) = (wanted ^ row, previous ^ field);
        }
    }
    let (chain, mut tail) = checksum(previous);
    assert_eq!(chain, at.chain);
    let (start, _) = segment_start(config, segment, previous, at.sequence);
    storage.write_at(FileId::Log, start.offset, &tail).unwrap();
    let mut position = LogPosition { chain, offset: start.offset + SEGMENT_HEADER_BYTES, ..start };
    assert_eq!(position, at);
    for (sequence, payload) in commits {
        let mut draft = Draft::begin(config, Durable::default(), position, &tail, Vec::new());
        draft.write_chain(storage, &[], Kind::Commit, *sequence, payload).unwrap();
        (position, _, _) = draft.finish(&mut tail);
    }
}
