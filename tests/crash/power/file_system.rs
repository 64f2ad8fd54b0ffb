//! The disk as a FUSE file system: one flat folder.

use std::ffi::OsStr;
use std::io;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use fuser::{
    Errno, FileAttr, FileHandle, FileType, Filesystem, FopenFlags, Generation, INodeNo, InitFlags, KernelConfig,
    LockOwner, OpenFlags, ReplyAttr, ReplyCreate, ReplyData, ReplyEmpty, ReplyEntry, ReplyWrite, Request, TimeOrNow,
    WriteFlags,
};

use super::disk::{Disk, Refusal};

/// The kernel may believe what it is told for so long: only this file system changes anything.
const BELIEVED: Duration = Duration::from_secs(60);

/// Serves one disk. What it answers is what the kernel asks for: it never opens a file itself, least of all its own.
#[derive(Debug)]
pub struct PowerFileSystem {
    pub disk: Arc<Disk>,
    /// Let the kernel keep what is written until it is synced, as it does for file systems of its own.
    pub write_back: bool,
}

impl From<Refusal> for Errno {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Off => Errno::EIO,
            Refusal::Missing => Errno::ENOENT,
            Refusal::Exists => Errno::EEXIST,
            Refusal::TooLong => Errno::EFBIG,
        }
    }
}

fn attributes(file: u64, len: u64, kind: FileType) -> FileAttr {
    FileAttr {
        ino: INodeNo(file),
        size: len,
        blocks: len.div_ceil(512),
        atime: UNIX_EPOCH,
        mtime: UNIX_EPOCH,
        ctime: UNIX_EPOCH,
        crtime: UNIX_EPOCH,
        kind,
        perm: if kind == FileType::Directory { 0o700 } else { 0o600 },
        nlink: 1,
        uid: 0,
        gid: 0,
        rdev: 0,
        blksize: 4096,
        flags: 0,
    }
}

impl PowerFileSystem {
    fn attributes(&self, file: INodeNo) -> Result<FileAttr, Refusal> {
        if file == INodeNo::ROOT {
            return Ok(attributes(file.0, 0, FileType::Directory));
        }
        self.disk.len(file.0).map(|len| attributes(file.0, len, FileType::RegularFile))
    }
}

fn answer(result: Result<(), Refusal>, reply: ReplyEmpty) {
    match result {
        Ok(()) => reply.ok(),
        Err(refusal) => reply.error(refusal.into()),
    }
}

impl Filesystem for PowerFileSystem {
    fn init(&mut self, _: &Request, config: &mut KernelConfig) -> io::Result<()> {
        if self.write_back && config.add_capabilities(InitFlags::FUSE_WRITEBACK_CACHE).is_err() {
            return Err(io::Error::other("the kernel has no write-back cache for FUSE"));
        }
        Ok(())
    }

    fn lookup(&self, _: &Request, _: INodeNo, name: &OsStr, reply: ReplyEntry) {
        match self.disk.look_up(name) {
            Ok((file, len)) => reply.entry(&BELIEVED, &attributes(file, len, FileType::RegularFile), Generation(0)),
            Err(refusal) => reply.error(refusal.into()),
        }
    }

    fn getattr(&self, _: &Request, file: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        match self.attributes(file) {
            Ok(found) => reply.attr(&BELIEVED, &found),
            Err(refusal) => reply.error(refusal.into()),
        }
    }

    fn setattr(
        &self,
        _: &Request,
        file: INodeNo,
        _mode: Option<u32>,
        _uid: Option<u32>,
        _gid: Option<u32>,
        size: Option<u64>,
        _atime: Option<TimeOrNow>,
        _mtime: Option<TimeOrNow>,
        _ctime: Option<SystemTime>,
        _handle: Option<FileHandle>,
        _crtime: Option<SystemTime>,
        _chgtime: Option<SystemTime>,
        _bkuptime: Option<SystemTime>,
        _flags: Option<fuser::BsdFileFlags>,
        reply: ReplyAttr,
    ) {
        let set = size.map_or(Ok(()), |len| self.disk.set_len(file.0, len));
        match set.and_then(|()| self.attributes(file)) {
            Ok(found) => reply.attr(&BELIEVED, &found),
            Err(refusal) => reply.error(refusal.into()),
        }
    }

    fn create(&self, _: &Request, _: INodeNo, name: &OsStr, _mode: u32, _umask: u32, _flags: i32, reply: ReplyCreate) {
        match self.disk.create(name) {
            Ok(file) => {
                let made = attributes(file, 0, FileType::RegularFile);
                reply.created(&BELIEVED, &made, Generation(0), FileHandle(0), FopenFlags::empty());
            }
            Err(refusal) => reply.error(refusal.into()),
        }
    }

    fn unlink(&self, _: &Request, _: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        answer(self.disk.unlink(name), reply);
    }

    fn read(
        &self,
        _: &Request,
        file: INodeNo,
        _: FileHandle,
        offset: u64,
        size: u32,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyData,
    ) {
        match self.disk.read(file.0, offset, size as usize) {
            Ok(bytes) => reply.data(&bytes),
            Err(refusal) => reply.error(refusal.into()),
        }
    }

    fn write(
        &self,
        _: &Request,
        file: INodeNo,
        _: FileHandle,
        offset: u64,
        bytes: &[u8],
        _: WriteFlags,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        match self.disk.write(file.0, offset, bytes) {
            Ok(()) => reply.written(bytes.len() as u32),
            Err(refusal) => reply.error(refusal.into()),
        }
    }

    /// Closing a file makes nothing durable.
    fn flush(&self, _: &Request, _: INodeNo, _: FileHandle, _: LockOwner, reply: ReplyEmpty) {
        reply.ok();
    }

    fn fsync(&self, _: &Request, file: INodeNo, _: FileHandle, data_only: bool, reply: ReplyEmpty) {
        answer(self.disk.sync(file.0, data_only), reply);
    }

    fn fsyncdir(&self, _: &Request, _: INodeNo, _: FileHandle, _datasync: bool, reply: ReplyEmpty) {
        answer(self.disk.sync_names(), reply);
    }

    fn fallocate(
        &self,
        _: &Request,
        file: INodeNo,
        _: FileHandle,
        offset: u64,
        len: u64,
        mode: i32,
        reply: ReplyEmpty,
    ) {
        if mode != 0 {
            return reply.error(Errno::EOPNOTSUPP);
        }
        let end = offset.checked_add(len).ok_or(Refusal::TooLong);
        answer(end.and_then(|end| self.disk.set_len(file.0, end.max(self.disk.len(file.0)?))), reply);
    }
}
