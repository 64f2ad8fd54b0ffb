//! Files that get their name when they are whole and on the medium.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::string::ToString;

use crate::env::{FileId, StorageError, beside, storage_error_kind};
use crate::error::{Error, Result};

/// A file under way, called as it will be with `-partial` behind it. What is still called so when this is dropped is removed; a
/// crash leaves it.
pub(super) struct Partial {
    partial: PathBuf,
    to: PathBuf,
}

impl Partial {
    /// A new file: nothing may have the name that it is to get, and what has the other already is somebody else's that is under
    /// way, or a file that a crash has left.
    pub(super) fn create(to: &Path) -> Result<(Self, File)> {
        require_absent(to)?;
        let partial = beside(to, "-partial");
        match File::options().read(true).write(true).create_new(true).open(&partial) {
            Ok(file) => Ok((Self { partial, to: to.to_owned() }, file)),
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Err(Error::invalid(std::format!(
                "'{}' exists: another backup or restore is under way, or one was broken off; if there is none, delete it",
                partial.display()
            ))),
            Err(error) => Err(failed(&error, &partial)),
        }
    }

    /// What it is called until then.
    pub(super) fn path(&self) -> &Path {
        &self.partial
    }

    /// Gives it its name, in which nothing is that somebody else made meanwhile. It is synced already.
    pub(super) fn finish(self) -> Result<()> {
        match fs::hard_link(&self.partial, &self.to) {
            Ok(()) => {}
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => return Err(exists(&self.to)),
            // A file system without links.
            Err(_) => {
                require_absent(&self.to)?;
                fs::rename(&self.partial, &self.to).map_err(|error| failed(&error, &self.to))?;
            }
        }
        self.to.parent().map_or(Ok(()), sync_folder)
    }
}

/// Makes names in a folder durable, where the system keeps them in files of their own.
pub(super) fn sync_folder(folder: &Path) -> Result<()> {
    #[cfg(unix)]
    {
        let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
        File::open(folder).and_then(|folder| folder.sync_all()).map_err(|error| failed(&error, folder))?;
    }
    #[cfg(not(unix))]
    let _ = folder;
    Ok(())
}

impl Drop for Partial {
    fn drop(&mut self) {
        // Where it was renamed there is none.
        _ = fs::remove_file(&self.partial);
    }
}

/// Backups and databases are made over nothing.
pub(super) fn require_absent(path: &Path) -> Result<()> {
    match fs::symlink_metadata(path) {
        Ok(_) => Err(exists(path)),
        Err(_) => Ok(()),
    }
}

fn exists(path: &Path) -> Error {
    Error::invalid(std::format!("'{}' exists; name a file that does not", path.display()))
}

/// What the platform says of a file beside the database.
pub(super) fn failed(error: &std::io::Error, path: &Path) -> Error {
    failed_called(error, &path.display().to_string())
}

/// The same, of what is called so.
pub(super) fn failed_called(error: &std::io::Error, name: &str) -> Error {
    if error.kind() == std::io::ErrorKind::NotFound {
        return Error::invalid(std::format!("'{name}' is not there: {error}"));
    }
    let message = std::format!("'{name}': {error}");
    StorageError::new(storage_error_kind(error), FileId::Data, 0, 0, message).into()
}
