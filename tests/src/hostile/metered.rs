//! A storage in memory that counts what is read, and has an end.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use lightning_db::env::{FileId, MemoryStorage, Storage, StorageError, StorageErrorKind, Sync};

/// A disk of so many bytes: a file that claims to be longer is refused, as it is by a real one.
const FILE_BYTES_MAX: u64 = 16 << 20;

/// Counts bytes and calls; every call counts as at least a header's worth, so that tiny reads without end are seen.
#[derive(Debug)]
pub struct Metered {
    files: Arc<MemoryStorage>,
    read_bytes: AtomicU64,
    read_bytes_max: AtomicU64,
}

/// What a call costs beside its bytes.
const CALL_BYTES: u64 = 64;

impl Metered {
    /// A storage of these files.
    pub fn new(files: MemoryStorage) -> Self {
        Self::over(Arc::new(files))
    }

    /// A storage of files that others look at too.
    pub fn over(files: Arc<MemoryStorage>) -> Self {
        Self { files, read_bytes: AtomicU64::new(0), read_bytes_max: AtomicU64::new(u64::MAX) }
    }

    /// From now on reading more than so many bytes is a panic: whoever reads would not come to an end.
    pub fn allow(&self, bytes: u64) {
        self.read_bytes.store(0, Ordering::Relaxed);
        self.read_bytes_max.store(bytes, Ordering::Relaxed);
    }

    fn full(file: FileId, offset: u64, len: u64) -> Result<(), StorageError> {
        match offset.checked_add(len) {
            Some(end) if end <= FILE_BYTES_MAX => Ok(()),
            _ => Err(StorageError::new(StorageErrorKind::Full, file, offset, len, "the disk is full")),
        }
    }
}

impl Storage for Metered {
    fn read_at(&self, file: FileId, offset: u64, buf: &mut [u8]) -> Result<(), StorageError> {
        let cost = buf.len() as u64 + CALL_BYTES;
        let read = self.read_bytes.fetch_add(cost, Ordering::Relaxed) + cost;
        let max = self.read_bytes_max.load(Ordering::Relaxed);
        assert!(
            read <= max,
            "read {read} bytes, which is more than {max}: the last {} at {offset} of the {file}",
            buf.len()
        );
        self.files.read_at(file, offset, buf)
    }

    fn write_at(&self, file: FileId, offset: u64, buf: &[u8]) -> Result<(), StorageError> {
        Self::full(file, offset, buf.len() as u64)?;
        self.files.write_at(file, offset, buf)
    }

    fn len(&self, file: FileId) -> Result<u64, StorageError> {
        self.files.len(file)
    }

    fn set_len(&self, file: FileId, len: u64) -> Result<(), StorageError> {
        Self::full(file, 0, len)?;
        self.files.set_len(file, len)
    }

    fn sync(&self, file: FileId) -> Result<Sync, StorageError> {
        self.files.sync(file)
    }

    fn name(&self) -> String {
        "hostile files".into()
    }
}
