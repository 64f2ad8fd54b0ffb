//! A database in memory: for tests, caches and private browsing.

use alloc::string::String;
use alloc::vec::Vec;

use super::storage::{FileId, Storage, StorageError, StorageErrorKind, Sync};
use super::sync::Mutex;

/// Two growable byte vectors. Nothing survives the value itself.
#[derive(Debug, Default)]
pub struct MemoryStorage {
    files: Mutex<[Vec<u8>; 2]>,
}

impl MemoryStorage {
    /// Empty files.
    pub fn new() -> Self {
        Self::default()
    }

    /// Files with these contents, as another storage left them.
    pub fn with_contents(data: Vec<u8>, log: Vec<u8>) -> Self {
        Self { files: Mutex::new([data, log]) }
    }

    /// A copy of one file as it stands.
    pub fn contents(&self, file: FileId) -> Vec<u8> {
        let files = self.files.lock();
        match file {
            FileId::Data => files[0].clone(),
            FileId::Log => files[1].clone(),
        }
    }

    fn with<R>(&self, file: FileId, f: impl FnOnce(&mut Vec<u8>) -> R) -> R {
        let mut files = self.files.lock();
        let [data, log] = &mut *files;
        f(match file {
            FileId::Data => data,
            FileId::Log => log,
        })
    }
}

impl Storage for MemoryStorage {
    fn read_at(&self, file: FileId, offset: u64, buf: &mut [u8]) -> Result<(), StorageError> {
        if buf.is_empty() {
            return Ok(());
        }
        self.with(file, |bytes| {
            let range = range(file, offset, buf.len())?;
            let len = buf.len() as u64;
            let from = bytes.get(range).ok_or_else(|| {
                StorageError::new(StorageErrorKind::UnexpectedEnd, file, offset, len, "the file ends before this range")
            })?;
            buf.copy_from_slice(from);
            Ok(())
        })
    }

    fn write_at(&self, file: FileId, offset: u64, buf: &[u8]) -> Result<(), StorageError> {
        if buf.is_empty() {
            return Ok(());
        }
        self.with(file, |bytes| {
            let range = range(file, offset, buf.len())?;
            if bytes.len() < range.end {
                grow(bytes, range.end, file)?;
            }
            if let Some(to) = bytes.get_mut(range) {
                to.copy_from_slice(buf);
            }
            Ok(())
        })
    }

    fn len(&self, file: FileId) -> Result<u64, StorageError> {
        Ok(self.with(file, |bytes| bytes.len() as u64))
    }

    fn set_len(&self, file: FileId, len: u64) -> Result<(), StorageError> {
        self.with(file, |bytes| {
            let end = range(file, 0, usize::try_from(len).unwrap_or(usize::MAX))?.end;
            if end > bytes.len() {
                grow(bytes, end, file)
            } else {
                bytes.truncate(end);
                Ok(())
            }
        })
    }

    fn sync(&self, _file: FileId) -> Result<Sync, StorageError> {
        Ok(Sync::Done)
    }

    fn name(&self) -> String {
        String::from("memory")
    }
}

fn range(file: FileId, offset: u64, len: usize) -> Result<core::ops::Range<usize>, StorageError> {
    usize::try_from(offset).ok().and_then(|start| Some(start..start.checked_add(len)?)).ok_or_else(|| {
        StorageError::new(StorageErrorKind::Full, file, offset, len as u64, "beyond what this machine can address")
    })
}

fn grow(bytes: &mut Vec<u8>, len: usize, file: FileId) -> Result<(), StorageError> {
    let more = len.saturating_sub(bytes.len());
    bytes.try_reserve(more).map_err(|_| {
        StorageError::new(StorageErrorKind::Full, file, bytes.len() as u64, more as u64, "out of memory")
    })?;
    bytes.resize(len, 0);
    Ok(())
}
