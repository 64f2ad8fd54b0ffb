//! Files whose operations fail now and then.

use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use lightning_db::env::{FileId, FileStorage, Storage, StorageError, StorageErrorKind, Sync};
use lightning_db_tests::random::Random;

/// Real files behind operations of which one in so many fails.
#[derive(Debug)]
pub struct Flaky {
    files: FileStorage,
    random: Mutex<Random>,
    one_in: u64,
    failing: AtomicBool,
    failures: AtomicU64,
}

impl Flaky {
    pub fn new(files: FileStorage, seed: u64, one_in: u64) -> Self {
        // Writes through memory cannot fail on purpose.
        let files = files.positional();
        let random = Mutex::new(Random::new(seed));
        Self { files, random, one_in, failing: AtomicBool::new(false), failures: AtomicU64::new(0) }
    }

    /// Begins or ends failing.
    pub fn fail(&self, failing: bool) {
        self.failing.store(failing, Ordering::Relaxed);
    }

    /// Operations that failed.
    pub fn failures(&self) -> u64 {
        self.failures.load(Ordering::Relaxed)
    }

    /// How much of the operation is done before it fails, in parts of a thousand; `None` if it does not.
    fn failure(&self) -> Option<usize> {
        if !self.failing.load(Ordering::Relaxed) {
            return None;
        }
        let mut random = self.random.lock().unwrap_or_else(PoisonError::into_inner);
        random.chance(1, self.one_in).then(|| {
            self.failures.fetch_add(1, Ordering::Relaxed);
            random.index(1000)
        })
    }
}

fn failed(file: FileId, offset: u64, len: u64) -> StorageError {
    StorageError::new(StorageErrorKind::Other, file, offset, len, "a failure on purpose")
}

impl Storage for Flaky {
    fn read_at(&self, file: FileId, offset: u64, buf: &mut [u8]) -> Result<(), StorageError> {
        match self.failure() {
            Some(_) => Err(failed(file, offset, buf.len() as u64)),
            None => self.files.read_at(file, offset, buf),
        }
    }

    fn write_at(&self, file: FileId, offset: u64, buf: &[u8]) -> Result<(), StorageError> {
        let Some(part) = self.failure() else { return self.files.write_at(file, offset, buf) };
        self.files.write_at(file, offset, &buf[..buf.len() * part / 1000])?;
        Err(failed(file, offset, buf.len() as u64))
    }

    fn len(&self, file: FileId) -> Result<u64, StorageError> {
        self.files.len(file)
    }

    fn set_len(&self, file: FileId, len: u64) -> Result<(), StorageError> {
        match self.failure() {
            Some(_) => Err(failed(file, 0, len)),
            None => self.files.set_len(file, len),
        }
    }

    fn allocate(&self, file: FileId, len: u64) -> Result<(), StorageError> {
        match self.failure() {
            Some(_) => Err(failed(file, 0, len)),
            None => self.files.allocate(file, len),
        }
    }

    fn sync(&self, file: FileId) -> Result<Sync, StorageError> {
        match self.failure() {
            Some(_) => Err(failed(file, 0, 0)),
            None => self.files.sync(file),
        }
    }

    fn name(&self) -> String {
        self.files.name()
    }
}
