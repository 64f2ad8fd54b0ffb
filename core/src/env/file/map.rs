//! The log's bytes in memory, so that an append is a copy and no system call.
//!
//! The only module of this layer with `unsafe` code. What it keeps true, and what that code rests on:
//!
//! 1. `start..start + mapped` is one mapping of the file, shared and writable, made here and undone only by `Drop`.
//! 2. `usable` never exceeds `mapped`, nor the length of the file: whoever cuts the file calls [`Mapping::cut`] first.
//! 3. Below `usable` every block of the file was allocated before it was mapped, on a local file system that writes in
//!    place. So no store can meet a full disk.
//! 4. No reference into the mapping exists: bytes are only copied in, from a slice of the process's own memory, and read
//!    back through the file. So it does not matter that other processes may change the file.
//!
//! What remains: a failing medium, or somebody else cutting the file of an open database, ends the process with SIGBUS
//! where a system call would have returned an error. [`FileStorage::positional`](super::FileStorage::positional) avoids it.
//!
//! On Linux a mapping and system calls share one page cache: a read sees what was stored, a killed process leaves it
//! behind, and `fdatasync` writes it, as with `write`.
#![allow(unsafe_code)]

use core::ptr::NonNull;
use std::fs::File;
use std::io;

use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};

/// The beginning of a file, in memory.
#[derive(Debug)]
pub(super) struct Mapping {
    start: NonNull<u8>,
    mapped: usize,
    usable: usize,
}

// SAFETY: the mapping belongs to the process, not to a thread, and is written only through `&mut self`.
unsafe impl Send for Mapping {}

impl Mapping {
    /// Maps the first `len` bytes of `file`, all of which must be allocated; `None` where that is not to be trusted.
    pub(super) fn of(file: &File, len: u64) -> io::Result<Option<Self>> {
        let Ok(len) = usize::try_from(len) else { return Ok(None) };
        if len == 0 || !writes_in_place(file)? {
            return Ok(None);
        }
        // SAFETY: a new mapping at an address of the system's choice overlaps nothing.
        let start =
            unsafe { mmap(core::ptr::null_mut(), len, ProtFlags::READ | ProtFlags::WRITE, MapFlags::SHARED, file, 0)? };
        Ok(NonNull::new(start.cast()).map(|start| Self { start, mapped: len, usable: len }))
    }

    /// Copies `bytes` to `offset`; false, and nothing is done, when they do not fit.
    pub(super) fn write(&mut self, offset: u64, bytes: &[u8]) -> bool {
        let Ok(offset) = usize::try_from(offset) else { return false };
        if offset.checked_add(bytes.len()).is_none_or(|end| end > self.usable) {
            return false;
        }
        // SAFETY: the range was just found to lie within `usable`, hence within the mapping (1, 2); `bytes` is memory of the
        // process, which a mapping made by the system does not overlap.
        unsafe { self.start.add(offset).copy_from_nonoverlapping(NonNull::from(bytes).cast(), bytes.len()) };
        true
    }

    /// The file is about to be cut to `len` bytes.
    pub(super) fn cut(&mut self, len: u64) {
        self.usable = self.usable.min(usize::try_from(len).unwrap_or(usize::MAX));
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: made by `of` with this address and length (1); nothing refers into it (4). It cannot fail on a valid range.
        let _ = unsafe { munmap(self.start.as_ptr().cast(), self.mapped) };
    }
}

/// Local file systems whose allocated blocks are written where they are. Those that copy on write may meet a full disk at
/// any store, and those of a network may meet anything.
fn writes_in_place(file: &File) -> io::Result<bool> {
    const EXT4: u64 = 0xEF53;
    const XFS: u64 = 0x5846_5342;
    const TMPFS: u64 = 0x0102_1994;
    Ok([EXT4, XFS, TMPFS].contains(&(rustix::fs::fstatfs(file)?.f_type as u64)))
}
