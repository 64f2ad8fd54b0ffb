//! The log as a whole: what goes in comes out, after any crash, and damage is never silent.

mod crash;
mod damage;
mod disk;
mod follow;
mod lives;
mod recycle;
mod round_trip;

use alloc::vec::Vec;

use super::{Log, LogConfig, LogPosition, OperationWriter, Preamble, SealedSegment, Verdict, replay};
use crate::env::{FileId, MemoryStorage, Storage};
use crate::error::{Error, Result};
use crate::log::outcome::ReplayEnd;

const ID: [u8; 16] = *b"0123456789abcdef";
const SEGMENT: u32 = 64 * 1024;

fn config() -> LogConfig {
    LogConfig { database_id: ID, segment_bytes: SEGMENT, regions_max: 256, incarnation: 7 }
}

fn start() -> LogPosition {
    LogPosition::fresh(1, 0)
}

/// Bytes that differ from commit to commit.
fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut bytes = Vec::with_capacity(len + 8);
    while bytes.len() < len {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(len);
    bytes
}

/// A payload with `len` bytes of operations.
fn payload(seed: u64, len: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    OperationWriter::begin(&mut bytes, Preamble::at(seed));
    bytes.extend_from_slice(&noise(seed, len));
    bytes
}

type Commits = Vec<(u64, Vec<u8>)>;

fn read_from(storage: &dyn Storage, sealed: &[SealedSegment], from: LogPosition) -> Result<(Commits, ReplayEnd)> {
    let mut commits = Vec::new();
    let end = replay(storage, ID, None, sealed, from, &mut |commit| {
        commits.push((commit.sequence, commit.payload.to_vec()));
        Ok(Verdict::Whole)
    })?;
    Ok((commits, end))
}

fn read(storage: &dyn Storage) -> Result<(Commits, ReplayEnd)> {
    read_from(storage, &[], start())
}

/// A log with commits of these sizes, numbered from 1.
fn written(sizes: &[usize]) -> (MemoryStorage, Log, Commits) {
    let storage = MemoryStorage::new();
    let mut log = Log::create(&storage, config(), start()).unwrap();
    let commits: Commits = (1..).zip(sizes).map(|(sequence, size)| (sequence, payload(sequence, *size))).collect();
    for (sequence, payload) in &commits {
        log.append(&storage, *sequence, payload).unwrap();
    }
    (storage, log, commits)
}

fn log_bytes(storage: &MemoryStorage) -> Vec<u8> {
    storage.contents(FileId::Log)
}

fn with_log(bytes: &[u8]) -> MemoryStorage {
    MemoryStorage::with_contents(Vec::new(), bytes.to_vec())
}

fn is_corrupt(error: &Error) -> bool {
    matches!(error, Error::Corrupt(corruption) if corruption.file == FileId::Log)
}
