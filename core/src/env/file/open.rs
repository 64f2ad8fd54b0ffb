//! Opening the two files, with an error for each reason why that cannot work.

use std::ffi::OsString;
use std::format;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

use crate::env::storage::{FileId, StorageError};
use crate::error::Error;

/// How often a file that is neither there nor can be made is tried, in case another process makes or removes it meanwhile.
const CREATE_ATTEMPTS: usize = 4;

/// How a database is opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OpenMode {
    /// Nothing is written, not even beside the files, so a read-only medium will do.
    pub read_only: bool,
    /// Makes an empty database where there is none. Ignored when `read_only`.
    pub create: bool,
}

impl OpenMode {
    /// An existing database, for reading and writing.
    pub const EXISTING: OpenMode = OpenMode { read_only: false, create: false };
    /// A database for reading and writing, made if missing.
    pub const CREATE: OpenMode = OpenMode { read_only: false, create: true };
    /// An existing database, for reading.
    pub const READ_ONLY: OpenMode = OpenMode { read_only: true, create: false };
}

/// The one name of the database at `path`: absolute, symbolic links resolved. Two paths to one database have one name, also
/// before it exists. (Hard links are two names; the operating system's lock on the file still tells them apart.)
pub fn canonical_name(path: impl AsRef<Path>) -> Result<PathBuf, Error> {
    let path = path.as_ref();
    match fs::metadata(path) {
        Ok(found) if found.is_dir() => {
            return Err(Error::invalid(format!(
                "'{}' is a folder; a database is a file, for example '{}'",
                path.display(),
                path.join("app.ldb").display()
            )));
        }
        // Opening a pipe would wait for its other end, a device cannot be cut to a length.
        Ok(found) if !found.is_file() => {
            return Err(Error::invalid(format!("'{}' is not a regular file", path.display())));
        }
        Ok(_) => return fs::canonicalize(path).map_err(|error| failed("resolve", path, FileId::Data, &error)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => {
            return Err(Error::invalid(format!("a part of the path '{}' is a file, not a folder", path.display())));
        }
        Err(error) => return Err(failed("look up", path, FileId::Data, &error)),
    }
    if fs::symlink_metadata(path).is_ok() {
        return Err(Error::invalid(format!("'{}' is a symbolic link to nothing", path.display())));
    }
    let Some(name) = path.file_name() else {
        return Err(Error::invalid(format!("'{}' does not name a file", path.display())));
    };
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    match fs::canonicalize(folder) {
        Ok(folder) => Ok(folder.join(name)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(Error::invalid(format!(
            "the folder '{}' does not exist; make it before the database '{}'",
            folder.display(),
            path.display()
        ))),
        Err(error) => Err(failed("resolve the folder of", path, FileId::Data, &error)),
    }
}

/// `path` with `suffix` after its whole name: `app.ldb` and `-log` give `app.ldb-log`.
pub(crate) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    PathBuf::from(name)
}

/// A file and whether this open made it.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) file: File,
    pub(super) created: bool,
}

/// Opens the data file.
pub(super) fn open_data(path: &Path, mode: OpenMode) -> Result<Opened, Error> {
    let opened = if mode.read_only {
        OpenOptions::new().read(true).open(path).map(|file| Opened { file, created: false })
    } else {
        open_or_create(path, mode.create)
    };
    opened.map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => {
            Error::invalid(format!("there is no database '{}'; check the path, or create it", path.display()))
        }
        io::ErrorKind::ReadOnlyFilesystem => failed(
            "open for writing (the medium is mounted read-only: open the database for reading)",
            path,
            FileId::Data,
            &error,
        ),
        _ => failed("open", path, FileId::Data, &error),
    })
}

/// Opens the log. It is made when missing, since a cleanly closed database may travel without it; a reader does without.
pub(super) fn open_log(path: &Path, mode: OpenMode) -> Result<Option<Opened>, Error> {
    let path = beside(path, "-log");
    let opened = if mode.read_only {
        match OpenOptions::new().read(true).open(&path) {
            Ok(file) => Ok(Some(Opened { file, created: false })),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    } else {
        open_or_create(&path, true).map(Some)
    };
    opened.map_err(|error| failed("open", &path, FileId::Log, &error))
}

/// Tells creation apart from opening without a moment between the two in which another process could create.
fn open_or_create(path: &Path, create: bool) -> io::Result<Opened> {
    let mut options = OpenOptions::new();
    options.read(true).write(true);
    for _ in 0..CREATE_ATTEMPTS {
        match options.open(path) {
            Ok(file) => return Ok(Opened { file, created: false }),
            Err(error) if error.kind() == io::ErrorKind::NotFound && create => {}
            Err(error) => return Err(error),
        }
        match options.clone().create_new(true).open(path) {
            Ok(file) => return Ok(Opened { file, created: true }),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
    Err(io::Error::other("it neither exists nor can be made (a symbolic link to nothing?)"))
}

/// The error for a system call that failed on `path`.
pub(super) fn failed(what: &str, path: &Path, file: FileId, error: &io::Error) -> Error {
    let message = format!("cannot {what} '{}': {error}", path.display());
    Error::from(StorageError::new(super::kind(error), file, 0, 0, message))
}
