//! Files that get their name when they are whole and on the medium.

use std::fs::{self, File};
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::string::ToString;
use std::vec::Vec;

use super::pieces::Pieces;
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

/// A file that is being written piece by piece. After an error it goes on with what was not written.
pub(super) struct Filling {
    partial: Option<Partial>,
    file: File,
    /// Bytes of it that are right.
    written: u64,
    /// What comes next.
    piece: Vec<u8>,
    /// There are more pieces than that.
    more: bool,
}

impl Filling {
    /// A new file, as [`Partial::create`].
    pub(super) fn create(to: &Path) -> Result<Self> {
        let (partial, file) = Partial::create(to)?;
        Ok(Self { partial: Some(partial), file, written: 0, piece: Vec::new(), more: true })
    }

    /// Writes all of it, telling how far it is after each step, and gives the file its name.
    pub(super) fn fill<P: Pieces>(&mut self, pieces: &mut P, mut told: impl FnMut(&mut P) -> Result<()>) -> Result<()> {
        let Some(partial) = &self.partial else { return Ok(()) };
        while self.more || !self.piece.is_empty() {
            Error::if_cancelled()?;
            if self.piece.is_empty() {
                self.more = pieces.go_on()?;
                self.piece = pieces.take_made();
            }
            // Of one that failed nobody knows how much is there.
            let written = self.file.seek(SeekFrom::Start(self.written)).and_then(|_| self.file.write_all(&self.piece));
            written.map_err(|error| failed(&error, partial.path()))?;
            self.written += self.piece.len() as u64;
            self.piece.clear();
            told(pieces)?;
        }
        if let Some(head) = pieces.head() {
            let written = self.file.rewind().and_then(|()| self.file.write_all(head));
            written.map_err(|error| failed(&error, partial.path()))?;
        }
        self.file.sync_all().map_err(|error| failed(&error, partial.path()))?;
        self.partial.take().map_or(Ok(()), Partial::finish)
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Ten pieces, of which the fourth cannot be made at first.
    struct Numbers {
        next: u8,
        fails: bool,
        made: Vec<u8>,
    }

    impl Pieces for Numbers {
        fn go_on(&mut self) -> Result<bool> {
            if self.next == 3 && core::mem::take(&mut self.fails) {
                return Err(Error::invalid("not now"));
            }
            self.made.extend([self.next; 1000]);
            self.next += 1;
            Ok(self.next < 10)
        }

        fn take_made(&mut self) -> Vec<u8> {
            core::mem::take(&mut self.made)
        }
    }

    #[test]
    fn what_could_not_be_made_or_written_is_gone_on_with() {
        let folder = std::env::temp_dir().join(std::format!("lightning-partial-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let to = folder.join("whole");
        let mut pieces = Numbers { next: 0, fails: true, made: Vec::new() };
        let mut filling = Filling::create(&to).unwrap();
        assert!(filling.fill(&mut pieces, |_| Ok(())).is_err());
        // A file that takes nothing, as on a full disk.
        let partial = beside(&to, "-partial");
        filling.file = File::open(&partial).unwrap();
        for _ in 0..2 {
            assert!(filling.fill(&mut pieces, |_| Ok(())).is_err());
            assert!(partial.exists() && !to.exists());
        }
        filling.file = File::options().write(true).open(&partial).unwrap();
        filling.fill(&mut pieces, |_| Ok(())).unwrap();
        let expected: Vec<u8> = (0..10).flat_map(|number| [number; 1000]).collect();
        assert_eq!(fs::read(&to).unwrap(), expected);
        assert!(!partial.exists());
        // Done is done.
        filling.fill(&mut pieces, |_| Ok(())).unwrap();

        let other = folder.join("other");
        drop(Filling::create(&other).unwrap());
        assert!(!beside(&other, "-partial").exists() && !other.exists());
        fs::remove_dir_all(&folder).unwrap();
    }
}
