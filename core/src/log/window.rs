//! Reads the log file in large sequential pieces.

use alloc::vec::Vec;

use crate::env::{FileId, Storage};
use crate::error::Result;

/// Bytes asked of the storage at once: the largest frame fits.
const READ_BYTES: usize = 512 * 1024;

/// The bytes of the log file around the place being read.
pub(super) struct Window {
    bytes: Vec<u8>,
    start: u64,
    file_bytes: u64,
}

impl Window {
    pub(super) fn new(file_bytes: u64) -> Self {
        Self { bytes: Vec::new(), start: 0, file_bytes }
    }

    pub(super) fn file_bytes(&self) -> u64 {
        self.file_bytes
    }

    /// Forgets what was read of a file that may have changed, and is so long now.
    pub(super) fn renew(&mut self, file_bytes: u64) {
        self.bytes.clear();
        self.file_bytes = file_bytes;
    }

    /// Forgets what was read: the next bytes come from the storage.
    pub(super) fn clear(&mut self) {
        self.bytes.clear();
    }

    /// The `len` bytes at `offset`, or `None` if they do not all lie before `end` and inside the file.
    pub(super) fn get(&mut self, storage: &dyn Storage, offset: u64, len: usize, end: u64) -> Result<Option<&[u8]>> {
        self.get_some(storage, offset, len, end, READ_BYTES)
    }

    /// As [`get`](Self::get), asking the storage for at least `read_bytes`, if there are so many.
    pub(super) fn get_some(
        &mut self,
        storage: &dyn Storage,
        offset: u64,
        len: usize,
        end: u64,
        read_bytes: usize,
    ) -> Result<Option<&[u8]>> {
        let end = end.min(self.file_bytes);
        match offset.checked_add(len as u64) {
            Some(last) if last <= end => {}
            _ => return Ok(None),
        }
        if self.resident(offset, len).is_none() {
            self.fill(storage, offset, len.max(read_bytes), end)?;
        }
        Ok(self.resident(offset, len))
    }

    /// All bytes from `offset` that are at hand, at least `len` unless they do not all lie before `end`.
    pub(super) fn rest(&mut self, storage: &dyn Storage, offset: u64, len: usize, end: u64) -> Result<Option<&[u8]>> {
        if self.get(storage, offset, len, end)?.is_none() {
            return Ok(None);
        }
        let limit = usize::try_from(end.saturating_sub(offset)).unwrap_or(usize::MAX);
        let from = self.index_of(offset).unwrap_or(self.bytes.len());
        Ok(self.bytes.get(from..).map(|rest| rest.get(..limit).unwrap_or(rest)))
    }

    fn index_of(&self, offset: u64) -> Option<usize> {
        usize::try_from(offset.checked_sub(self.start)?).ok()
    }

    fn resident(&self, offset: u64, len: usize) -> Option<&[u8]> {
        let from = self.index_of(offset)?;
        self.bytes.get(from..from.checked_add(len)?)
    }

    /// Makes the window begin at `offset`, keeping what it has of that, and read on from there.
    fn fill(&mut self, storage: &dyn Storage, offset: u64, len: usize, end: u64) -> Result<()> {
        match self.index_of(offset) {
            Some(from) if from <= self.bytes.len() => {
                self.bytes.drain(..from);
            }
            _ => self.bytes.clear(),
        }
        self.start = offset;
        let kept = self.bytes.len();
        let wanted = usize::try_from(end - offset).unwrap_or(usize::MAX).min(len);
        self.bytes.resize(wanted.max(kept), 0);
        let more = self.bytes.get_mut(kept..).unwrap_or_default();
        let read = storage.read_at(FileId::Log, offset + kept as u64, more);
        if read.is_err() {
            self.bytes.truncate(kept);
        }
        Ok(read?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::env::MemoryStorage;

    #[test]
    fn gives_the_bytes_of_the_file_and_nothing_beyond_the_end() {
        let file: Vec<u8> = (0..3 * READ_BYTES + 77).map(|i| (i * 31 % 251) as u8).collect();
        let storage = MemoryStorage::with_contents(Vec::new(), file.clone());
        let mut window = Window::new(file.len() as u64);
        for offset in [0usize, 5, READ_BYTES - 3, READ_BYTES - 3, 2 * READ_BYTES, 9, 3 * READ_BYTES + 7] {
            let found = window.get(&storage, offset as u64, 70, u64::MAX).unwrap().unwrap();
            assert_eq!(found, &file[offset..offset + 70]);
            let rest = window.rest(&storage, offset as u64, 40, offset as u64 + 60).unwrap().unwrap();
            assert_eq!(rest, &file[offset..offset + 60]);
        }
        assert!(window.get(&storage, file.len() as u64 - 10, 11, u64::MAX).unwrap().is_none());
        assert!(window.get(&storage, 100, 50, 149).unwrap().is_none());
        assert!(window.get(&storage, u64::MAX - 3, 50, u64::MAX).unwrap().is_none());
    }
}
