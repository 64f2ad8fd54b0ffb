//! Doors for tests that feed the decoders of this layer arbitrary bytes: see [`crate::testing`].
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use alloc::vec::Vec;

use super::frame::{FRAME_HEADER_BYTES, FrameHeader, Kind, Link, Place};
use super::operation::{Operation, OperationWriter, Operations, Preamble};
use super::outcome::Verdict;
use super::position::{LogPosition, SealedSegment};
use super::replay::{replay, was_begun};
use super::segment::{FILE_HEADER_BYTES, FileHeader, Layout, SEGMENT_BYTES_MIN, SEGMENT_HEADER_BYTES, SegmentHeader};
use super::writer::{Log, LogConfig};
use crate::codec::bytes::Reader;
use crate::codec::checksum::Checksum;
use crate::codec::slot::ValueRef;
use crate::env::{FileId, MemoryStorage};
use crate::error::Error;

/// The database that the logs given here are of.
const ID: [u8; 16] = *b"0123456789abcdef";
const PLACE: Place<'static> = Place { database_id: &ID, generation: 7, offset: 4160 };

/// Decodes the header of a frame, and its body as a link.
pub fn frame(bytes: &[u8]) {
    let Some((header, checksum)) = FrameHeader::verify(PLACE, bytes) else { return };
    let mut again = Vec::new();
    assert_eq!(header.encode(PLACE, &mut again), checksum);
    assert_eq!(again, bytes[..FRAME_HEADER_BYTES], "a header has one form");
    assert!(header.frame_bytes() >= FRAME_HEADER_BYTES as u64 && header.frame_bytes().is_multiple_of(8));
    if let Some(link) = Link::decode(&bytes[FRAME_HEADER_BYTES..]) {
        assert_eq!(Link::decode(&link.encode()), Some(link));
    }
}

/// As [`frame`], with a checksum that is right.
pub fn frame_resealed(bytes: &[u8]) {
    let mut bytes = bytes.to_vec();
    FrameHeader::reseal(PLACE, &mut bytes);
    frame(&bytes);
}

/// Decodes the payload of a commit.
pub fn operations(bytes: &[u8]) {
    let Some((preamble, rest)) = Preamble::split(bytes) else { return };
    let mut again = Vec::new();
    let mut writer = OperationWriter::begin(&mut again, preamble);
    for operation in Operations::new(rest, 1, 0) {
        match operation {
            Ok(Operation::Put { key, value }) => writer.put(key, value),
            Ok(Operation::PutExtent { key, value }) => writer.put_extent(key, value),
            Ok(Operation::Delete { key }) => writer.delete(key),
            Ok(Operation::DeleteRange { start, end }) => writer.delete_range(start, end),
            Err(error) => return assert!(matches!(error, Error::Corrupt(_)), "{error}"),
        }
    }
    assert_eq!(again, bytes, "a payload has one form");
}

/// Replays a whole log file from its beginning, then goes on writing where it ended and replays again.
pub fn log(bytes: &[u8]) {
    replay_and_go_on(bytes.to_vec());
}

/// As [`log`], with the checksums made right that would end the log early.
pub fn log_resealed(bytes: &[u8]) {
    let mut bytes = bytes.to_vec();
    if let Some(begin) = bytes.first_chunk_mut::<40>() {
        begin[24..].copy_from_slice(&ID);
    }
    reseal_log(&mut bytes, &ID, &[from()]);
    replay_and_go_on(bytes);
}

fn from() -> LogPosition {
    LogPosition::fresh(1, 0)
}

fn replay_and_go_on(bytes: Vec<u8>) {
    let size = bytes.len();
    let storage = MemoryStorage::with_contents(Vec::new(), bytes);
    let _ = was_begun(&storage, &ID, 1);
    let mut payloads = 0;
    let replayed = replay(&storage, ID, None, &[], from(), &mut |commit| {
        payloads += commit.payload.len();
        for operation in commit.operations() {
            operation?;
        }
        Ok(Verdict::Whole)
    });
    let end = match replayed {
        Ok(end) => end,
        Err(error) => return assert!(matches!(error, Error::Corrupt(_) | Error::Unsupported { .. }), "{error}"),
    };
    assert!(payloads <= size, "{payloads} bytes of payload out of a log of {size}");
    assert!(end.segments.windows(2).all(|pair| pair[0].start.generation < pair[1].start.generation));
    let segment_bytes = end.segment_bytes.unwrap_or(SEGMENT_BYTES_MIN);
    // A log that names another size of its segments may be larger than this test's memory.
    if segment_bytes > 16 * SEGMENT_BYTES_MIN {
        return;
    }
    let config = LogConfig { database_id: ID, segment_bytes, regions_max: 1 << 20, incarnation: 3 };
    let Ok(mut log) = Log::resume(&storage, config, &end) else { return };
    let Some(sequence) = end.last_sequence().checked_add(1) else { return };
    let mut payload = Vec::new();
    OperationWriter::begin(&mut payload, Preamble::at(5)).put(b"key", b"value");
    let start = log.position();
    if log.append(&storage, sequence, &payload).is_err() {
        return;
    }
    let mut found = Vec::new();
    replay(&storage, ID, None, &end.segments, start, &mut |commit| {
        found.push(commit.sequence);
        Ok(Verdict::Whole)
    })
    .unwrap_or_else(|error| panic!("what was replayed once, and then appended to, cannot be replayed again: {error}"));
    assert_eq!(found.last(), Some(&sequence), "what was appended is found");
}

/// Makes the checksums right of the file's header, of every segment's header, and of the chains of frames that begin at
/// `starts`.
pub(crate) fn reseal_log(log: &mut [u8], database_id: &[u8; 16], starts: &[LogPosition]) {
    FileHeader::reseal(log);
    let Some(segment_bytes) = log.get(20..).and_then(|bytes| Reader::new(bytes).u32()) else { return };
    let layout = Layout { segment_bytes: u64::from(segment_bytes.max(SEGMENT_BYTES_MIN)) };
    for region in 0..layout.regions(log.len() as u64) {
        reseal_segment_header(log, layout, region, None);
    }
    for start in starts {
        reseal_chain(log, layout, database_id, *start);
    }
}

fn reseal_segment_header(log: &mut [u8], layout: Layout, region: u32, previous: Option<u32>) -> Option<u32> {
    let at = usize::try_from(layout.region_start(region)).ok()?;
    SegmentHeader::reseal(log.get_mut(at..at.checked_add(SEGMENT_HEADER_BYTES as usize)?)?, previous)
}

fn reseal_chain(log: &mut [u8], layout: Layout, database_id: &[u8; 16], start: LogPosition) -> Option<()> {
    let LogPosition { mut region, mut generation, mut offset, mut chain, .. } = start;
    if offset == layout.region_start(region) {
        chain = reseal_segment_header(log, layout, region, Some(chain))?;
        offset = offset.checked_add(SEGMENT_HEADER_BYTES)?;
    }
    loop {
        let place = Place { database_id, generation, offset };
        let at = usize::try_from(offset).ok()?;
        if offset < FILE_HEADER_BYTES || offset >= layout.region_end(region) {
            return None;
        }
        let (header, checksum) = FrameHeader::reseal_linked(place, chain, log.get_mut(at..)?)?;
        chain = checksum;
        offset = offset.checked_add(header.frame_bytes())?;
        if header.kind == Kind::Link {
            let link = Link::decode(log.get(at + FRAME_HEADER_BYTES..)?)?;
            if link.generation <= generation {
                return None;
            }
            (region, generation) = (link.region, link.generation);
            chain = reseal_segment_header(log, layout, region, Some(chain))?;
            offset = layout.region_start(region).checked_add(SEGMENT_HEADER_BYTES)?;
        }
    }
}

/// The chains of frames that a checkpoint record names begin here.
pub(crate) fn starts(sealed: &[SealedSegment], log: LogPosition) -> Vec<LogPosition> {
    sealed.iter().map(|segment| segment.start).chain([log]).collect()
}

/// A log of a few commits, one over several frames and segments, and the parts of it that decoders read, each with the name
/// of the door it is a seed for.
pub fn seeds() -> Vec<(&'static str, Vec<u8>)> {
    let storage = MemoryStorage::new();
    let config = LogConfig { database_id: ID, segment_bytes: SEGMENT_BYTES_MIN, regions_max: 16, incarnation: 3 };
    let mut log = Log::create(&storage, config, from()).unwrap();
    let mut payload = Vec::new();
    let mut seeds = Vec::new();
    for (sequence, value_bytes) in (1..).zip([30, 500, 66_000, 3, 0, 100]) {
        let mut writer = OperationWriter::begin(&mut payload, Preamble::at(1000 + sequence));
        // The long one of zeros, which a packed corpus does not hold.
        writer.put(b"key", &alloc::vec![if value_bytes > 1000 { 0 } else { sequence as u8 }; value_bytes]);
        writer.delete(b"other");
        writer.delete_range(b"a", if sequence % 2 == 0 { Some(b"b") } else { None });
        for &checksum in Checksum::ALL {
            writer.put_extent(b"long", ValueRef { offset: 8192, len: 70_000, checksum: checksum.of(&[b"table"]) });
        }
        log.append(&storage, sequence, &payload).unwrap();
        if payload.len() < 200 {
            seeds.push(("operations", payload.clone()));
        }
        if sequence == 4 {
            log.set_durable(3);
            log.mark(&storage).unwrap();
        }
    }
    let len = usize::try_from(log.position().offset).unwrap() + 64;
    let mut bytes = storage.contents(FileId::Log);
    bytes.truncate(len);
    let first = (FILE_HEADER_BYTES + SEGMENT_HEADER_BYTES) as usize;
    seeds.push(("frame", bytes[first..first + 100].to_vec()));
    seeds.push(("log", bytes));
    seeds
}
