//! A storage for tests that fails when it is told to.

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use std::sync::Mutex;

use super::{FileId, MemoryStorage, Storage, StorageError, StorageErrorKind, Sync};

/// Memory that fails when it is told to.
#[derive(Debug, Default)]
pub(crate) struct Failing {
    pub memory: Arc<MemoryStorage>,
    /// Syncs fail.
    pub syncs: Mutex<bool>,
    /// The next write to the log is carried out and then fails.
    pub next_write: Mutex<bool>,
    /// Of the data file only these offsets and lengths are there, each to be read once.
    pub fetched: Mutex<Option<Vec<(u64, u64)>>>,
    /// This byte of the data file cannot be read.
    pub unreadable: Mutex<Option<u64>>,
}

impl Storage for Failing {
    fn name(&self) -> String {
        self.memory.name()
    }
    fn len(&self, file: FileId) -> Result<u64, StorageError> {
        self.memory.len(file)
    }
    fn set_len(&self, file: FileId, len: u64) -> Result<(), StorageError> {
        self.memory.set_len(file, len)
    }
    fn allocate(&self, file: FileId, len: u64) -> Result<(), StorageError> {
        self.memory.allocate(file, len)
    }
    fn read_at(&self, file: FileId, offset: u64, buffer: &mut [u8]) -> Result<(), StorageError> {
        let len = buffer.len() as u64;
        if let Some(fetched) = self.fetched.lock().unwrap().as_mut().filter(|_| file == FileId::Data) {
            let Some(at) = fetched.iter().position(|range| *range == (offset, len)) else {
                return Err(StorageError::new(StorageErrorKind::NotResident, file, offset, len, "not there"));
            };
            fetched.swap_remove(at);
        }
        let unreadable = *self.unreadable.lock().unwrap();
        if file == FileId::Data && unreadable.is_some_and(|byte| (offset..offset + len).contains(&byte)) {
            return Err(StorageError::new(StorageErrorKind::Other, file, offset, len, "unreadable"));
        }
        self.memory.read_at(file, offset, buffer)
    }
    fn write_at(&self, file: FileId, offset: u64, bytes: &[u8]) -> Result<(), StorageError> {
        self.memory.write_at(file, offset, bytes)?;
        if file == FileId::Log && core::mem::take(&mut *self.next_write.lock().unwrap()) {
            return Err(StorageError::new(StorageErrorKind::Other, file, offset, bytes.len() as u64, "no more"));
        }
        Ok(())
    }
    fn sync(&self, file: FileId) -> Result<Sync, StorageError> {
        if *self.syncs.lock().unwrap() {
            return Err(StorageError::new(StorageErrorKind::Other, file, 0, 0, "the medium is gone"));
        }
        self.memory.sync(file)
    }
}
