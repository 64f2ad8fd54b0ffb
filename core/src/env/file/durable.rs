//! One open file and what its next sync must cover: bytes alone, or its length and its name too.

#[cfg(all(target_os = "linux", target_pointer_width = "64"))]
use crate::env::sync::Mutex;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

#[cfg(all(target_os = "linux", target_pointer_width = "64"))]
use super::map::Mapping;
use super::open::Opened;
use super::positional::{read_exact_at, write_all_at};

/// What is longer goes by a system call: it then costs less than the page faults do that a mapping takes for each of its
/// pages after every sync.
#[cfg(all(target_os = "linux", target_pointer_width = "64"))]
const MAPPED_BYTES_MAX: usize = 32 << 10;

/// An open file that knows whether its length changed since the last sync.
#[derive(Debug)]
pub(super) struct DurableFile {
    file: File,
    /// Set by everything that sets a length, taken by the sync that makes it durable. A write past the end needs no mark:
    /// a data-only sync covers the length needed to read back what was written.
    length_changed: AtomicBool,
    /// The beginning of the file in memory, where writes may go that way.
    #[cfg(all(target_os = "linux", target_pointer_width = "64"))]
    mapping: Mutex<Option<Mapping>>,
    /// Whether [`allocate`](Self::allocate) maps what it allocated.
    maps: AtomicBool,
}

impl DurableFile {
    pub(super) fn new(opened: Opened) -> Self {
        Self {
            file: opened.file,
            length_changed: AtomicBool::new(opened.created),
            #[cfg(all(target_os = "linux", target_pointer_width = "64"))]
            mapping: Mutex::default(),
            maps: AtomicBool::new(false),
        }
    }

    /// From now on, what is allocated is mapped, where the system and the file system allow, and written by copying.
    pub(super) fn mapped(self, maps: bool) -> Self {
        self.maps.store(maps, Ordering::Relaxed);
        self
    }

    pub(super) fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        read_exact_at(&self.file, buf, offset)
    }

    pub(super) fn write_at(&self, offset: u64, buf: &[u8]) -> io::Result<()> {
        #[cfg(all(target_os = "linux", target_pointer_width = "64"))]
        if buf.len() < MAPPED_BYTES_MAX
            && self.maps.load(Ordering::Relaxed)
            && self.mapping.lock().as_mut().is_some_and(|mapping| mapping.write(offset, buf))
        {
            return Ok(());
        }
        write_all_at(&self.file, buf, offset)
    }

    pub(super) fn len(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    pub(super) fn set_len(&self, len: u64) -> io::Result<()> {
        self.length_changed.store(true, Ordering::Release);
        #[cfg(all(target_os = "linux", target_pointer_width = "64"))]
        if let Some(mapping) = self.mapping.lock().as_mut() {
            mapping.cut(len);
        }
        self.file.set_len(len)
    }

    pub(super) fn allocate(&self, len: u64) -> io::Result<()> {
        #[cfg(all(target_os = "linux", target_pointer_width = "64"))]
        if self.maps.load(Ordering::Relaxed) {
            return self.allocate_mapped(len);
        }
        self.allocate_more(len)
    }

    /// Allocates the whole file, for what was there may have holes, and maps it.
    #[cfg(all(target_os = "linux", target_pointer_width = "64"))]
    fn allocate_mapped(&self, len: u64) -> io::Result<()> {
        let mut mapping = self.mapping.lock();
        *mapping = None;
        let len = len.max(self.len()?);
        self.length_changed.store(true, Ordering::Release);
        if !reserve(&self.file, 0, len)? {
            self.maps.store(false, Ordering::Relaxed);
            return self.allocate_more(len);
        }
        // Where mapping fails, writes go through the system as elsewhere.
        *mapping = Mapping::of(&self.file, len).ok().flatten();
        Ok(())
    }

    fn allocate_more(&self, len: u64) -> io::Result<()> {
        let now = self.len()?;
        if now >= len {
            return Ok(());
        }
        self.length_changed.store(true, Ordering::Release);
        if reserve(&self.file, now, len - now)? { Ok(()) } else { self.file.set_len(len) }
    }

    /// Bytes written before this call are durable when it returns. After a failure the mark is set again, although the
    /// engine does not sync a second time before reopening.
    pub(super) fn sync(&self) -> io::Result<()> {
        if self.length_changed.swap(false, Ordering::AcqRel) {
            self.file.sync_all().inspect_err(|_| self.length_changed.store(true, Ordering::Release))
        } else {
            self.file.sync_data()
        }
    }

    #[cfg(any(target_os = "linux", target_os = "android"))]
    pub(super) fn prefetch(&self, offset: u64, len: u64) {
        // A hint: where it is refused, reads are merely slower. A length of zero would mean "to the end of the file".
        if let Some(len) = core::num::NonZeroU64::new(len) {
            let _ = rustix::fs::fadvise(&self.file, offset, Some(len), rustix::fs::Advice::WillNeed);
        }
    }

    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    pub(super) fn prefetch(&self, _offset: u64, _len: u64) {}
}

/// Reserves blocks and extends the file; `false` where the file system cannot.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn reserve(file: &File, offset: u64, len: u64) -> io::Result<bool> {
    use rustix::io::Errno;
    loop {
        return match rustix::fs::fallocate(file, rustix::fs::FallocateFlags::empty(), offset, len) {
            Ok(()) => Ok(true),
            Err(Errno::INTR) => continue,
            Err(Errno::OPNOTSUPP | Errno::NOSYS) => Ok(false),
            Err(error) => Err(error.into()),
        };
    }
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn reserve(_file: &File, _offset: u64, _len: u64) -> io::Result<bool> {
    Ok(false)
}

/// The folder that holds the files, whose entries a new database must make durable once.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
    changed: AtomicBool,
}

impl Folder {
    pub(super) fn of(file: &Path, changed: bool) -> Self {
        Self { path: file.parent().unwrap_or(Path::new(".")).to_path_buf(), changed: AtomicBool::new(changed) }
    }

    /// Makes the names of files created at opening durable; afterwards it costs one load.
    pub(super) fn sync(&self) -> io::Result<()> {
        if !self.changed.load(Ordering::Acquire) {
            return Ok(());
        }
        sync_folder(&self.path)?;
        // Only now, so that a second thread syncing at the same time does not return before the names are durable.
        self.changed.store(false, Ordering::Release);
        Ok(())
    }
}

#[cfg(unix)]
fn sync_folder(path: &Path) -> io::Result<()> {
    match File::open(path)?.sync_all() {
        // Some network and FUSE file systems refuse to sync folders; their entries are durable by other means or not at all.
        Err(error) if matches!(error.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported) => Ok(()),
        other => other,
    }
}

/// Windows has no sync of folders: names are journalled with the file's own flush.
#[cfg(not(unix))]
fn sync_folder(_path: &Path) -> io::Result<()> {
    Ok(())
}
