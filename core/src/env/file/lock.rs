//! Who owns the database: one writer, or readers while there is no writer.
//!
//! Two guards, because neither serves everyone. The operating system's lock on the data file ends with its process,
//! whatever happens, but Node has no such locks. The lock file `app.ldb-lock`, made exclusively, is honoured by all, but
//! survives a crash, so it must be told apart from a living holder's.
//!
//! Invariants:
//! - A process of this crate makes the lock file only while it holds the system's lock (where there is one), and removes
//!   it before letting that go. So whoever holds the system's lock knows that a lock file naming that lock, or one not
//!   completely written, is a dead process's.
//! - Processes without system locks make the lock file complete in one step (by link or rename of a finished file).
//! - Nobody but its holder removes a lock file without holding `…-takeover` (itself such a file) and having read it again
//!   since. So two processes that find the same stale file cannot remove each other's fresh one.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::string::String;
use std::{format, vec::Vec};

use super::open::{beside, failed};
use super::process::{Holder, LockedFile};
use crate::env::storage::FileId;
use crate::error::Error;

/// How often losing a race is worth another try; each round some other process has made progress.
const ATTEMPTS: usize = 16;
/// How many takeovers, each interrupted by a crash, can stand on top of each other before a person is asked.
const TAKEOVER_DEPTH: usize = 3;
/// Longer than any lock file: what is longer is not one.
const LOCK_FILE_BYTES_MAX: u64 = 4096;

/// Ownership of a database until dropped. The system's lock itself belongs to the data file's handle.
#[derive(Debug)]
pub(super) struct Ownership {
    /// `None` for a reader.
    _lock_file: Option<LockFile>,
}

impl Ownership {
    /// Takes the database whose open data file is `data`, for this process alone or, if `read_only`, among readers.
    pub(super) fn take(path: &Path, data: &File, read_only: bool) -> Result<Self, Error> {
        let lock_path = beside(path, "-lock");
        let tried = if read_only { data.try_lock_shared() } else { data.try_lock() };
        let lock = match tried {
            Ok(()) => LockedFile::held(data),
            Err(TryLockError::WouldBlock) => return Err(busy(&lock_path)),
            // A file system without locks: the lock file alone guards.
            Err(TryLockError::Error(_)) => LockedFile::none(),
        };
        let me = Holder::this_process(&lock);
        if !read_only {
            return Ok(Self { _lock_file: Some(LockFile::acquire(lock_path, &me, &lock, TAKEOVER_DEPTH)?) });
        }
        match read(&lock_path)? {
            Some(text) if !is_stale(&text, &me, &lock) => Err(locked(&text, &lock_path)),
            _ => Ok(Self { _lock_file: None }),
        }
    }
}

/// A lock file of this process, removed when dropped.
#[derive(Debug)]
struct LockFile {
    path: PathBuf,
    text: String,
}

impl LockFile {
    fn acquire(path: PathBuf, me: &Holder, lock: &LockedFile, depth: usize) -> Result<Self, Error> {
        let text = me.to_text();
        for _ in 0..ATTEMPTS {
            match create(&path, &text) {
                Ok(()) => return Ok(Self { path, text }),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(failed("make the lock file", &path, FileId::Data, &error)),
            }
            let Some(found) = read(&path)? else { continue };
            if depth == 0 || !is_stale(&found, me, lock) {
                return Err(locked(&found, &path));
            }
            let takeover = Self::acquire(beside(&path, "-takeover"), me, lock, depth - 1)?;
            if read(&path)?.as_ref() == Some(&found) {
                remove(&path)?;
            }
            drop(takeover);
        }
        Err(Error::Locked { holder: format!("processes that open and close it all the time ('{}')", path.display()) })
    }
}

impl Drop for LockFile {
    fn drop(&mut self) {
        // Somebody who deleted the lock file by hand may have let another process in: its file is not ours to remove.
        if matches!(read(&self.path), Ok(Some(text)) if text == self.text) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn create(path: &Path, text: &str) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).open(path)?;
    // Not synced: after a power loss an unfinished file is recognised by the system's lock, and nobody else is alive.
    file.write_all(text.as_bytes()).inspect_err(|_| {
        let _ = fs::remove_file(path);
    })
}

/// The lock file's text, `None` if there is none. Bytes that are no text come back as something no holder parses from.
fn read(path: &Path) -> Result<Option<String>, Error> {
    let mut bytes = Vec::new();
    match File::open(path).and_then(|file| file.take(LOCK_FILE_BYTES_MAX).read_to_end(&mut bytes)) {
        Ok(_) => Ok(Some(String::from_utf8_lossy(&bytes).into_owned())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(failed("read the lock file", path, FileId::Data, &error)),
    }
}

fn remove(path: &Path) -> Result<(), Error> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(failed("remove the stale lock file", path, FileId::Data, &error))
        }
        _ => Ok(()),
    }
}

fn is_stale(text: &str, me: &Holder, lock: &LockedFile) -> bool {
    match Holder::parse(text) {
        Some(holder) => holder.is_proven_dead(me, lock),
        None => lock.is_held(),
    }
}

/// The system's lock is taken; the lock file says by whom, unless it is a reader or just being made.
fn busy(lock_path: &Path) -> Error {
    let holder = match read(lock_path) {
        Ok(Some(text)) => Holder::parse(&text).map(|holder| format!("{holder}")),
        _ => None,
    };
    Error::Locked { holder: holder.unwrap_or_else(|| String::from("another process, for reading")) }
}

fn locked(text: &str, lock_path: &Path) -> Error {
    let holder = match Holder::parse(text) {
        Some(holder) => format!("{holder} (if that is long gone, delete '{}')", lock_path.display()),
        None => format!("an unknown process (if there is none, delete '{}')", lock_path.display()),
    };
    Error::Locked { holder }
}
