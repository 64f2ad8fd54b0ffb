//! An object is read in blocks, the next ones while the one before is used.

use std::collections::VecDeque;
use std::fmt;
use std::io::{self, Read};
use std::sync::{Mutex, PoisonError};

use lightning_db::env::{FileId, Storage, StorageError, StorageErrorKind, Sync};
use object_store::{GetOptions, GetRange, ObjectStore};
use tokio::task::JoinHandle;

use super::{Location, storage_error};

/// One request.
const BLOCK_BYTES: u64 = 4 << 20;
/// Held at once, those under way among them.
const BLOCKS_MAX: usize = 8;
/// Under way while the one before is used.
const AHEAD: u64 = 3;

/// An object that stays the same while it is read: what somebody puts in its place is an error.
pub struct ObjectFile {
    location: Location,
    len: u64,
    /// Which of the objects that this place may have had.
    tag: Option<String>,
    blocks: Mutex<Blocks>,
}

#[derive(Default)]
struct Blocks {
    /// The one that was used last stands at the end.
    held: VecDeque<(u64, Block)>,
    last: Option<u64>,
}

enum Block {
    Here(Vec<u8>),
    UnderWay(JoinHandle<object_store::Result<Vec<u8>>>),
}

impl ObjectFile {
    pub fn open(location: &Location) -> io::Result<Self> {
        let connected = location.bucket.connected()?;
        let options = GetOptions { range: Some(GetRange::Bounded(0..BLOCK_BYTES)), ..GetOptions::default() };
        let first = connected.wait(async {
            let found = connected.store.get_opts(&location.path, options).await?;
            let (len, tag) = (found.meta.size, found.meta.e_tag.clone());
            Ok((found.bytes().await?.to_vec(), len, tag))
        });
        let (first, len, tag) = first.map_err(|error| location.bucket.explained(&error))?;
        let blocks = Blocks { held: VecDeque::from([(0, Block::Here(first))]), last: None };
        Ok(Self { location: location.clone(), len, tag, blocks: Mutex::new(blocks) })
    }

    /// Fills `buf` with what is at `offset`, as much as is there and in one block; gives how much.
    fn read_some(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        if offset >= self.len || buf.is_empty() {
            return Ok(0);
        }
        let mut blocks = self.blocks.lock().unwrap_or_else(PoisonError::into_inner);
        let number = offset / BLOCK_BYTES;
        let goes_on = number > 0 && blocks.last == Some(number - 1);
        blocks.last = Some(number);
        let ahead = if goes_on || number == 0 { AHEAD } else { 0 };
        let end = self.len.div_ceil(BLOCK_BYTES).min(number + 1 + ahead);
        for wanted in (number..end).filter(|wanted| *wanted == number || ahead > 0) {
            if !blocks.held.iter().any(|(held, _)| *held == wanted) {
                blocks.held.push_back((wanted, Block::UnderWay(self.begin(wanted)?)));
            }
        }
        let at = blocks.held.iter().position(|(held, _)| *held == number);
        let block = at.and_then(|at| blocks.held.remove(at)).map(|(_, block)| block);
        let bytes = match block {
            Some(Block::Here(bytes)) => bytes,
            Some(Block::UnderWay(fetch)) => self.wait_for(fetch)?,
            None => Vec::new(),
        };
        let from = bytes.get((offset % BLOCK_BYTES) as usize..).unwrap_or_default();
        let len = from.len().min(buf.len());
        buf[..len].copy_from_slice(&from[..len]);
        blocks.held.push_back((number, Block::Here(bytes)));
        while blocks.held.len() > BLOCKS_MAX {
            blocks.held.pop_front();
        }
        if len == 0 { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(len) }
    }

    fn begin(&self, number: u64) -> io::Result<JoinHandle<object_store::Result<Vec<u8>>>> {
        let connected = self.location.bucket.connected()?;
        let (store, path) = (connected.store.clone(), self.location.path.clone());
        let range = number * BLOCK_BYTES..self.len.min((number + 1) * BLOCK_BYTES);
        let (range, if_match) = (Some(GetRange::Bounded(range)), self.tag.clone());
        let options = GetOptions { range, if_match, ..GetOptions::default() };
        Ok(connected.spawn(async move { Ok(store.get_opts(&path, options).await?.bytes().await?.to_vec()) }))
    }

    fn wait_for(&self, fetch: JoinHandle<object_store::Result<Vec<u8>>>) -> io::Result<Vec<u8>> {
        let fetched = self.location.bucket.connected()?.wait(fetch).map_err(io::Error::other)?;
        fetched.map_err(|error| self.location.bucket.explained(&error))
    }

    fn refused(&self, file: FileId) -> StorageError {
        let message = format!("'{}' is only read", self.location);
        StorageError::new(StorageErrorKind::PermissionDenied, file, 0, 0, message)
    }
}

impl Storage for ObjectFile {
    fn read_at(&self, file: FileId, offset: u64, buf: &mut [u8]) -> Result<(), StorageError> {
        let (mut done, len) = (0, buf.len());
        while done < len {
            let at = offset + done as u64;
            let read = if file == FileId::Data { self.read_some(at, &mut buf[done..]) } else { Ok(0) };
            let read =
                read.and_then(|read| if read == 0 { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(read) });
            done += read.map_err(|error| {
                let message = format!("'{}': {error}", self.location);
                StorageError { file, ..storage_error(&error, at, (len - done) as u64, message) }
            })?;
        }
        Ok(())
    }

    fn write_at(&self, file: FileId, _offset: u64, _buf: &[u8]) -> Result<(), StorageError> {
        Err(self.refused(file))
    }

    fn len(&self, file: FileId) -> Result<u64, StorageError> {
        Ok(if file == FileId::Data { self.len } else { 0 })
    }

    fn set_len(&self, file: FileId, _len: u64) -> Result<(), StorageError> {
        Err(self.refused(file))
    }

    fn sync(&self, file: FileId) -> Result<Sync, StorageError> {
        Err(self.refused(file))
    }

    fn name(&self) -> String {
        self.location.to_string()
    }
}

impl fmt::Debug for ObjectFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ObjectFile").field("location", &self.location).field("len", &self.len).finish_non_exhaustive()
    }
}

/// From the first byte to the last.
pub struct Reader {
    file: ObjectFile,
    at: u64,
}

impl Reader {
    pub fn new(file: ObjectFile) -> Self {
        Self { file, at: 0 }
    }
}

impl Read for Reader {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read_some(self.at, buf)?;
        self.at += read as u64;
        Ok(read)
    }
}
