//! A database in two files of the operating system.
//!
//! Everything is positional: no handle has a position, so any thread may read while another writes elsewhere. Who may
//! open is settled once, in `lock`; after that nothing is created, listed or removed until the storage is dropped.

mod durable;
mod lock;
#[cfg(all(target_os = "linux", target_pointer_width = "64"))]
mod map;
mod open;
mod positional;
mod process;
#[cfg(test)]
mod tests;

use std::io;
use std::path::{Path, PathBuf};
use std::string::{String, ToString};

use self::durable::DurableFile;
use self::lock::Ownership;
pub(crate) use self::open::beside;
pub use self::open::{OpenMode, canonical_name};
use super::storage::{FileId, Storage, StorageError, StorageErrorKind, Sync};
use crate::error::Error;

/// A database in two files, `app.ldb` and `app.ldb-log`, owned by one process at a time.
///
/// Ownership is an operating system lock on the data file together with the file `app.ldb-lock`, which names its holder
/// for processes that have no such locks (Node) and for messages. Both end when the storage is dropped; what a crash
/// leaves behind is recognised as stale by the next open.
///
/// ```
/// use lightning_db::env::{FileId, FileStorage, OpenMode, Storage};
///
/// let folder = std::env::temp_dir().join(format!("lightning-doc-{}", std::process::id()));
/// std::fs::create_dir_all(&folder).unwrap();
/// let storage = FileStorage::open(&folder.join("app.ldb"), OpenMode::CREATE)?;
/// storage.write_at(FileId::Data, 0, b"hello")?;
/// let _done = storage.sync(FileId::Data)?;
/// drop(storage);
/// # std::fs::remove_dir_all(&folder).unwrap();
/// # Ok::<(), lightning_db::Error>(())
/// ```
#[derive(Debug)]
pub struct FileStorage {
    /// Declared first, so dropped first: the lock file goes while the operating system's lock on `data` is still held.
    _ownership: Ownership,
    data: DurableFile,
    /// Absent only in a database opened for reading that was closed cleanly and moved without its log.
    log: Option<DurableFile>,
    /// The folder whose entries must be made durable with the first sync, if a file was created.
    folder: durable::Folder,
    path: PathBuf,
    read_only: bool,
    /// The log was made beside a data file that was there before.
    log_made_beside: bool,
}

impl FileStorage {
    /// Opens the database at `path` (and its log beside it) and takes ownership of it.
    ///
    /// # Errors
    ///
    /// [`Error::Locked`] while another process, or another handle of this one, has it open; [`Error::Invalid`] for a path
    /// that cannot be a database (a folder, a missing parent, nothing there and not [created](OpenMode::create));
    /// [`Error::Storage`] with [`StorageErrorKind::PermissionDenied`] where the system refuses.
    pub fn open(path: impl AsRef<Path>, mode: OpenMode) -> Result<Self, Error> {
        let path = canonical_name(path)?;
        let data = open::open_data(&path, mode)?;
        let ownership = Ownership::take(&path, &data.file, mode.read_only)?;
        let log = open::open_log(&path, mode)?;
        let log_created = log.as_ref().is_some_and(|log| log.created);
        let created = data.created || log_created;
        Ok(Self {
            log_made_beside: log_created && !data.created,
            _ownership: ownership,
            data: DurableFile::new(data),
            log: log.map(|log| DurableFile::new(log).mapped(!mode.read_only)),
            folder: durable::Folder::of(&path, created),
            path,
            read_only: mode.read_only,
        })
    }

    /// Reads and writes by system calls alone. On 64-bit Linux, over space really allocated on a local file system, the log
    /// is otherwise written through memory: ten times as fast, but an I/O error there, or another program cutting the log
    /// file, ends the process with SIGBUS where a system call returns an error.
    #[must_use]
    pub fn positional(mut self) -> Self {
        self.log = self.log.take().map(|log| log.mapped(false));
        self
    }

    /// The data file's path, absolute and without symbolic links.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn file(&self, file: FileId) -> Option<&DurableFile> {
        match file {
            FileId::Data => Some(&self.data),
            FileId::Log => self.log.as_ref(),
        }
    }

    fn writable(&self, file: FileId, offset: u64, len: u64) -> Result<&DurableFile, StorageError> {
        match self.file(file) {
            Some(open) if !self.read_only => Ok(open),
            _ => Err(StorageError::new(
                StorageErrorKind::PermissionDenied,
                file,
                offset,
                len,
                "the database is open for reading only",
            )),
        }
    }
}

impl Drop for FileStorage {
    /// A file that turned out to be no database, or not one to be written to, has nothing left beside it. An absent log and
    /// an empty one mean the same.
    fn drop(&mut self) {
        if self.log_made_beside && self.log.as_ref().is_some_and(|log| matches!(log.len(), Ok(0))) {
            // Only tidiness.
            _ = std::fs::remove_file(open::beside(&self.path, "-log"));
        }
    }
}

impl Storage for FileStorage {
    fn read_at(&self, file: FileId, offset: u64, buf: &mut [u8]) -> Result<(), StorageError> {
        let len = buf.len() as u64;
        match self.file(file) {
            Some(open) => open.read_at(offset, buf).map_err(|error| storage_error(&error, file, offset, len)),
            None if buf.is_empty() => Ok(()),
            None => Err(StorageError::new(StorageErrorKind::UnexpectedEnd, file, offset, len, "there is no log file")),
        }
    }

    fn write_at(&self, file: FileId, offset: u64, buf: &[u8]) -> Result<(), StorageError> {
        let len = buf.len() as u64;
        self.writable(file, offset, len)?
            .write_at(offset, buf)
            .map_err(|error| storage_error(&error, file, offset, len))
    }

    fn len(&self, file: FileId) -> Result<u64, StorageError> {
        self.file(file).map_or(Ok(0), DurableFile::len).map_err(|error| storage_error(&error, file, 0, 0))
    }

    fn set_len(&self, file: FileId, len: u64) -> Result<(), StorageError> {
        self.writable(file, 0, len)?.set_len(len).map_err(|error| storage_error(&error, file, 0, len))
    }

    fn allocate(&self, file: FileId, len: u64) -> Result<(), StorageError> {
        self.writable(file, 0, len)?.allocate(len).map_err(|error| storage_error(&error, file, 0, len))
    }

    fn sync(&self, file: FileId) -> Result<Sync, StorageError> {
        let Some(open) = self.file(file).filter(|_| !self.read_only) else {
            return Ok(Sync::Done);
        };
        open.sync().and_then(|()| self.folder.sync()).map_err(|error| storage_error(&error, file, 0, 0))?;
        Ok(Sync::Done)
    }

    fn prefetch(&self, file: FileId, offset: u64, len: u64) {
        if let Some(open) = self.file(file) {
            open.prefetch(offset, len);
        }
    }

    fn name(&self) -> String {
        self.path.display().to_string()
    }
}

fn storage_error(error: &io::Error, file: FileId, offset: u64, len: u64) -> StorageError {
    StorageError::new(kind(error), file, offset, len, error.to_string())
}

/// Systems that keep files from applications while a device is locked, and say no more than that it is not permitted.
const PROTECTS_DATA: bool =
    cfg!(any(target_os = "ios", target_os = "tvos", target_os = "watchos", target_os = "visionos"));
/// What Linux says of encrypted files whose key is not there: those of an Android user who has not unlocked the device yet.
#[cfg(any(target_os = "linux", target_os = "android"))]
const ENOKEY: i32 = 126;

/// What the platform says of a file, this database's or one beside it.
pub(crate) fn kind(error: &io::Error) -> StorageErrorKind {
    kind_where(PROTECTS_DATA, error)
}

fn kind_where(protects_data: bool, error: &io::Error) -> StorageErrorKind {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    if error.raw_os_error() == Some(ENOKEY) {
        return StorageErrorKind::ProtectedData;
    }
    match error.kind() {
        io::ErrorKind::PermissionDenied if protects_data => StorageErrorKind::ProtectedData,
        // FileTooLarge is the platform's or the quota's limit on one file: no room for these bytes either.
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
            StorageErrorKind::Full
        }
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => StorageErrorKind::PermissionDenied,
        io::ErrorKind::UnexpectedEof => StorageErrorKind::UnexpectedEnd,
        _ => StorageErrorKind::Other,
    }
}
