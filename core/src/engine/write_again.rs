//! Recovery writes again what it builds on.
//!
//! After a sync that failed, reads may go on showing what is not on the medium and never will be: an operating system calls
//! such pages clean, so that later syncs succeed without them, also for the next process. What opening has read is therefore
//! no proof of what is stored. The same bytes are written once more, in the same places, before a sync and before the
//! checkpoint that builds on them; where they were stored already that changes nothing, torn or whole.

use alloc::vec;
use alloc::vec::Vec;
use core::ops::Range;

use crate::env::{FileId, Storage};
use crate::error::{Error, Result};
use crate::log::ReplayEnd;
use crate::space::{Extent, SECTOR_BYTES, Superblock};
use crate::testing::Mutant;

/// Bytes at a time; whole sectors.
const PIECE_BYTES: u64 = 256 << 10;
/// Attempts at reading the same twice in succession.
const READS_MAX: usize = 4;

/// What recovery has read and relies on.
pub(super) struct Found<'a> {
    /// The superblock that was opened.
    pub superblock: &'a Superblock,
    /// What was replayed.
    pub log: Option<&'a ReplayEnd>,
    /// Values whose commits said that they were perhaps not durable. All others were, before a commit named them.
    pub values: &'a [Extent],
}

impl Found<'_> {
    /// Durable, all of it, with the next sync of each file.
    pub(super) fn write_again(&self, storage: &dyn Storage) -> Result<()> {
        if Mutant::FoundNotWrittenAgain.is_active() {
            return Ok(());
        }
        self.superblock.write(storage)?;
        for value in self.values {
            write_again(storage, FileId::Data, value.offset..value.offset.saturating_add(value.len))?;
        }
        for range in self.log.map(ReplayEnd::replayed_ranges).into_iter().flatten() {
            write_again(storage, FileId::Log, range)?;
        }
        write_lengths_again(storage)
    }
}

/// The lengths too may only seem to be what they are.
pub(super) fn write_lengths_again(storage: &dyn Storage) -> Result<()> {
    LastSectors::read(storage)?.write_again(storage)
}

/// The end of each file as it was found.
#[derive(Debug)]
pub(super) struct LastSectors(Vec<(FileId, u64, Vec<u8>)>);

impl LastSectors {
    /// Reads them, so that writing them again reads nothing.
    pub(super) fn read(storage: &dyn Storage) -> Result<Self> {
        let mut sectors = Vec::new();
        for file in FileId::ALL {
            let len = storage.len(file)?;
            let Some(last) = len.checked_sub(1) else { continue };
            let at = last / SECTOR_BYTES * SECTOR_BYTES;
            let mut bytes = vec![0; (len - at) as usize];
            let mut again = bytes.clone();
            read_alike(storage, file, at, &mut bytes, &mut again)?;
            sectors.push((file, at, bytes));
        }
        Ok(Self(sectors))
    }

    /// To be called before anything else is written.
    pub(super) fn write_again(&self, storage: &dyn Storage) -> Result<()> {
        for (file, at, bytes) in &self.0 {
            storage.write_at(*file, *at, bytes)?;
        }
        Ok(())
    }
}

/// Whole sectors, as far as the file goes.
fn write_again(storage: &dyn Storage, file: FileId, range: Range<u64>) -> Result<()> {
    let end = range.end.next_multiple_of(SECTOR_BYTES).min(storage.len(file)?);
    let mut at = range.start / SECTOR_BYTES * SECTOR_BYTES;
    let mut bytes = vec![0; PIECE_BYTES.min(end.saturating_sub(at)) as usize];
    let mut again = bytes.clone();
    while at < end {
        let len = PIECE_BYTES.min(end - at) as usize;
        let (Some(bytes), Some(again)) = (bytes.get_mut(..len), again.get_mut(..len)) else { break };
        read_alike(storage, file, at, bytes, again)?;
        storage.write_at(file, at, bytes)?;
        at += len as u64;
    }
    Ok(())
}

/// A bit that only the reading made wrong must not be stored.
fn read_alike(storage: &dyn Storage, file: FileId, at: u64, bytes: &mut [u8], again: &mut [u8]) -> Result<()> {
    storage.read_at(file, at, bytes)?;
    for _ in 1..READS_MAX {
        storage.read_at(file, at, again)?;
        if bytes == again {
            return Ok(());
        }
        bytes.copy_from_slice(again);
    }
    Err(Error::corrupt(file, at, "every reading gives other bytes"))
}
