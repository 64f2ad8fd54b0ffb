//! The files of a database, which are given back while an application sleeps.

use std::path::{Path, PathBuf};
use std::sync::{PoisonError, RwLock, RwLockReadGuard};
use std::thread;
use std::time::{Duration, Instant};

use lightning_db::env::{FileId, FileStorage, OpenMode, Storage, StorageError, StorageErrorKind, Sync};
use lightning_db::{Error, Result};

/// Files that are open, with the lock on them taken, or neither.
#[derive(Debug)]
pub struct Files {
    path: PathBuf,
    mode: OpenMode,
    /// Whoever reads or writes holds it shared: nothing is closed under a call.
    open: RwLock<Option<FileStorage>>,
}

/// The time between two attempts to take files back that another process has.
const AGAIN: Duration = Duration::from_millis(20);

impl Files {
    pub fn open(path: &str, mode: OpenMode) -> Result<Self> {
        let files = FileStorage::open(path, mode)?;
        // What is opened again is there.
        let mode = OpenMode { create: false, ..mode };
        Ok(Self { path: files.path().to_owned(), mode, open: RwLock::new(Some(files)) })
    }

    /// Where the data is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Waits for the calls that use them, closes them and gives up the lock. An error says that what was written last may not be
    /// on the medium; they are closed all the same.
    pub fn give_back(&self) -> Result<()> {
        let mut open = self.open.write().unwrap_or_else(PoisonError::into_inner);
        let Some(files) = open.take() else { return Ok(()) };
        // A length that was set since the last barrier is nobody's to remember.
        let synced = FileId::ALL.into_iter().try_for_each(|file| files.sync(file).map(drop));
        drop(files);
        Ok(synced?)
    }

    /// Takes the lock and opens them again. As long as another process has them, that is tried for `wait`.
    pub fn take_again(&self, wait: Duration) -> Result<()> {
        let begun = Instant::now();
        loop {
            let mut open = self.open.write().unwrap_or_else(PoisonError::into_inner);
            if open.is_some() {
                return Ok(());
            }
            match FileStorage::open(&self.path, self.mode) {
                Ok(files) => {
                    *open = Some(files);
                    return Ok(());
                }
                Err(Error::Locked { .. }) if begun.elapsed() < wait => {
                    drop(open);
                    thread::sleep(AGAIN);
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Whether they are open, or are opened before `limit` has passed.
    pub fn wait_until_open(&self, limit: Duration) -> bool {
        let begun = Instant::now();
        loop {
            if self.files().is_some() {
                return true;
            }
            let left = limit.saturating_sub(begun.elapsed());
            if left.is_zero() {
                return false;
            }
            thread::sleep(left.min(AGAIN));
        }
    }

    fn files(&self) -> RwLockReadGuard<'_, Option<FileStorage>> {
        self.open.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn with<R>(
        &self,
        (file, offset, len): (FileId, u64, u64),
        body: impl FnOnce(&FileStorage) -> Result<R, StorageError>,
    ) -> Result<R, StorageError> {
        let result = match &*self.files() {
            Some(files) => body(files),
            None => {
                let (kind, what) = (StorageErrorKind::Suspended, "the database is suspended");
                Err(StorageError::new(kind, file, offset, len, what))
            }
        };
        // On a phone nobody knows by heart where a file is.
        result.map_err(|mut error| {
            error.message = format!("'{}': {}", self.path.display(), error.message);
            error
        })
    }
}

impl Storage for Files {
    fn read_at(&self, file: FileId, offset: u64, buf: &mut [u8]) -> Result<(), StorageError> {
        self.with((file, offset, buf.len() as u64), |files| files.read_at(file, offset, buf))
    }

    fn write_at(&self, file: FileId, offset: u64, buf: &[u8]) -> Result<(), StorageError> {
        self.with((file, offset, buf.len() as u64), |files| files.write_at(file, offset, buf))
    }

    fn len(&self, file: FileId) -> Result<u64, StorageError> {
        self.with((file, 0, 0), |files| files.len(file))
    }

    fn set_len(&self, file: FileId, len: u64) -> Result<(), StorageError> {
        self.with((file, 0, len), |files| files.set_len(file, len))
    }

    fn allocate(&self, file: FileId, len: u64) -> Result<(), StorageError> {
        self.with((file, 0, len), |files| files.allocate(file, len))
    }

    fn sync(&self, file: FileId) -> Result<Sync, StorageError> {
        self.with((file, 0, 0), |files| files.sync(file))
    }

    fn prefetch(&self, file: FileId, offset: u64, len: u64) {
        if let Some(files) = &*self.files() {
            files.prefetch(file, offset, len);
        }
    }

    fn name(&self) -> String {
        self.path.display().to_string()
    }
}

#[cfg(test)]
mod tests;
