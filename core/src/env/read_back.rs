//! A storage that reads back whatever it writes.

use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec;

use super::storage::{FileId, Storage, StorageError, StorageErrorKind, Sync};

/// Bytes compared at once.
const PIECE_BYTES: usize = 64 << 10;

/// Another storage, of which each write is read again and compared before it counts as made. What is read is what the platform
/// shows, which after a write that is not synced yet may come from its own memory.
pub(crate) struct ReadBack(pub Arc<dyn Storage>);

impl ReadBack {
    #[inline(never)]
    pub(crate) fn over(storage: Arc<dyn Storage>) -> Arc<dyn Storage> {
        Arc::new(Self(storage))
    }

    fn compare(&self, file: FileId, offset: u64, written: &[u8]) -> Result<(), StorageError> {
        let mut read = vec![0; written.len().min(PIECE_BYTES)];
        let mut at = offset;
        for piece in written.chunks(PIECE_BYTES) {
            let read = read.get_mut(..piece.len()).unwrap_or_default();
            self.0.read_at(file, at, read)?;
            if read != piece {
                // A wrong bit may be one that only the reading made.
                self.0.read_at(file, at, read)?;
            }
            if read != piece {
                let wrong = read.iter().zip(piece).position(|(read, written)| read != written).unwrap_or(0);
                let message = format!("byte {} reads back other than it was written", at + wrong as u64);
                return Err(StorageError::new(StorageErrorKind::Other, file, at, piece.len() as u64, message));
            }
            at += piece.len() as u64;
        }
        Ok(())
    }
}

impl Storage for ReadBack {
    fn read_at(&self, file: FileId, offset: u64, buf: &mut [u8]) -> Result<(), StorageError> {
        self.0.read_at(file, offset, buf)
    }

    fn write_at(&self, file: FileId, offset: u64, buf: &[u8]) -> Result<(), StorageError> {
        self.0.write_at(file, offset, buf)?;
        self.compare(file, offset, buf)
    }

    fn len(&self, file: FileId) -> Result<u64, StorageError> {
        self.0.len(file)
    }

    fn set_len(&self, file: FileId, len: u64) -> Result<(), StorageError> {
        self.0.set_len(file, len)
    }

    fn allocate(&self, file: FileId, len: u64) -> Result<(), StorageError> {
        self.0.allocate(file, len)
    }

    fn sync(&self, file: FileId) -> Result<Sync, StorageError> {
        self.0.sync(file)
    }

    fn prefetch(&self, file: FileId, offset: u64, len: u64) {
        self.0.prefetch(file, offset, len);
    }

    fn name(&self) -> String {
        self.0.name()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::env::MemoryStorage;

    /// Changes the byte at this offset of the data file on its way.
    struct Flips(MemoryStorage, u64);

    impl Storage for Flips {
        fn read_at(&self, file: FileId, offset: u64, buf: &mut [u8]) -> Result<(), StorageError> {
            self.0.read_at(file, offset, buf)
        }
        fn write_at(&self, file: FileId, offset: u64, buf: &[u8]) -> Result<(), StorageError> {
            let mut bytes = buf.to_vec();
            if let Some(byte) = self.1.checked_sub(offset).and_then(|at| bytes.get_mut(usize::try_from(at).unwrap())) {
                *byte ^= 4;
            }
            self.0.write_at(file, offset, &bytes)
        }
        fn len(&self, file: FileId) -> Result<u64, StorageError> {
            self.0.len(file)
        }
        fn set_len(&self, file: FileId, len: u64) -> Result<(), StorageError> {
            self.0.set_len(file, len)
        }
        fn sync(&self, file: FileId) -> Result<Sync, StorageError> {
            self.0.sync(file)
        }
        fn name(&self) -> String {
            self.0.name()
        }
    }

    #[test]
    fn what_reads_back_otherwise_was_not_written() {
        let long = vec![7; 3 * PIECE_BYTES + 100];
        for wrong in [0, 1, PIECE_BYTES as u64, long.len() as u64 - 1] {
            let storage = ReadBack(Arc::new(Flips(MemoryStorage::new(), 4096 + wrong)));
            let error = storage.write_at(FileId::Data, 4096, &long).unwrap_err();
            let says = format!("byte {} ", 4096 + wrong);
            assert!(error.message.starts_with(&says) && error.kind == StorageErrorKind::Other, "{error}");
            storage.write_at(FileId::Data, 4096 + long.len() as u64, &long).unwrap();
        }
    }
}
