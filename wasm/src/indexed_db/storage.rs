//! The engine's view of a database in IndexedDB.

use std::cell::{RefCell, RefMut};

use lightning_db::env::{FileId, Storage, StorageError, StorageErrorKind, Sync, SyncTicket};

use super::blocks::{BlockFile, Changes, Unreadable};

/// Blocks of both files. It never waits: what must be fetched or written, its driver [`IndexedDb`](super::IndexedDb)
/// fetches and writes between operations.
#[derive(Debug)]
pub struct IndexedDbStorage {
    name: String,
    state: RefCell<State>,
}

#[derive(Debug)]
struct State {
    data: BlockFile,
    log: BlockFile,
    /// Asked for by the engine, in the order of the tickets.
    pending: Vec<SyncTicket>,
    tickets: u64,
    /// What the engine announced that it will read soon.
    announced: Vec<(FileId, u64, u64)>,
    /// Why nothing works any more. What the medium holds is then older than what is here, so here must not be read.
    failed: Option<StorageError>,
}

/// One flush: all that was written to both files since the last one, and who waits for it.
pub(super) struct Flush {
    pub changes: [(FileId, Changes); 2],
    pub tickets: Vec<SyncTicket>,
}

/// Ranges announced and not yet fetched; more are forgotten.
const ANNOUNCED_MAX: usize = 64;

/// The data file is read and written by whole nodes and extents.
const DATA_BLOCK_BYTES: usize = 16 * 1024;
/// Each commit writes the log's last block again, so it is small.
const LOG_BLOCK_BYTES: usize = 4 * 1024;

/// The size of a file's blocks. Part of the layout in IndexedDB: a change of it needs a new version of that.
pub(super) fn block_bytes(file: FileId) -> usize {
    match file {
        FileId::Data => DATA_BLOCK_BYTES,
        FileId::Log => LOG_BLOCK_BYTES,
    }
}

impl IndexedDbStorage {
    pub(super) fn new(name: String, data_len: u64, log_len: u64) -> Self {
        let state = State {
            data: BlockFile::new(DATA_BLOCK_BYTES, data_len),
            log: BlockFile::new(LOG_BLOCK_BYTES, log_len),
            pending: Vec::new(),
            tickets: 0,
            announced: Vec::new(),
            failed: None,
        };
        Self { name, state: RefCell::new(state) }
    }

    /// The blocks of a range that must be fetched.
    pub(super) fn missing(&self, file: FileId, offset: u64, len: u64) -> Vec<u64> {
        self.state.borrow_mut().file(file).missing(offset, len)
    }

    /// What the engine announced since this was last asked.
    pub(super) fn take_announced(&self) -> Vec<(FileId, u64, u64)> {
        std::mem::take(&mut self.state.borrow_mut().announced)
    }

    pub(super) fn incomplete(&self, file: FileId) -> Vec<u64> {
        self.state.borrow_mut().file(file).incomplete()
    }

    pub(super) fn fetched(&self, file: FileId, index: u64, bytes: Option<&[u8]>) {
        self.state.borrow_mut().file(file).fetched(index, bytes);
    }

    /// What is to be written now; nothing when the medium is up to date and nobody waits.
    pub(super) fn take_flush(&self) -> Option<Flush> {
        let mut state = self.state.borrow_mut();
        if state.pending.is_empty() && !state.data.is_changed() && !state.log.is_changed() {
            return None;
        }
        let tickets = std::mem::take(&mut state.pending);
        let changes = [(FileId::Data, state.data.take_changes()), (FileId::Log, state.log.take_changes())];
        Some(Flush { changes, tickets })
    }

    /// Calls `put` with each block that `changes` puts.
    pub(super) fn for_each_put(&self, file: FileId, changes: &Changes, mut put: impl FnMut(u64, &[u8])) {
        let mut state = self.state.borrow_mut();
        let blocks = state.file(file);
        changes.puts.iter().for_each(|index| put(*index, blocks.block(*index)));
    }

    /// From here on every call fails with `cause`.
    pub(super) fn fail(&self, cause: &StorageError) {
        self.state.borrow_mut().failed.get_or_insert_with(|| cause.clone());
    }

    pub(super) fn dirty_bytes(&self) -> usize {
        let state = self.state.borrow();
        state.data.dirty_bytes() + state.log.dirty_bytes()
    }

    pub(super) fn evict(&self, bytes_max: usize) {
        let mut state = self.state.borrow_mut();
        state.log.evict(bytes_max / 4);
        state.data.evict(bytes_max - bytes_max / 4);
    }

    fn usable(&self, file: FileId, offset: u64, len: u64) -> Result<RefMut<'_, State>, StorageError> {
        let state = self.state.borrow_mut();
        match &state.failed {
            None => Ok(state),
            Some(cause) => {
                let message = format!("an earlier write to IndexedDB failed ({cause}); reopen the database");
                Err(StorageError::new(StorageErrorKind::Other, file, offset, len, message))
            }
        }
    }
}

impl State {
    fn file(&mut self, file: FileId) -> &mut BlockFile {
        match file {
            FileId::Data => &mut self.data,
            FileId::Log => &mut self.log,
        }
    }
}

impl Storage for IndexedDbStorage {
    fn read_at(&self, file: FileId, offset: u64, buf: &mut [u8]) -> Result<(), StorageError> {
        let len = buf.len() as u64;
        let read = self.usable(file, offset, len)?.file(file).read(offset, buf);
        read.map_err(|unreadable| {
            let (kind, message) = match unreadable {
                Unreadable::Missing => (StorageErrorKind::NotResident, "not yet fetched from IndexedDB"),
                Unreadable::BeyondEnd => (StorageErrorKind::UnexpectedEnd, "the file ends before this range"),
            };
            StorageError::new(kind, file, offset, len, message)
        })
    }

    fn write_at(&self, file: FileId, offset: u64, buf: &[u8]) -> Result<(), StorageError> {
        self.usable(file, offset, buf.len() as u64)?.file(file).write(offset, buf);
        Ok(())
    }

    fn len(&self, file: FileId) -> Result<u64, StorageError> {
        Ok(self.usable(file, 0, 0)?.file(file).len())
    }

    fn set_len(&self, file: FileId, len: u64) -> Result<(), StorageError> {
        self.usable(file, len, 0)?.file(file).set_len(len);
        Ok(())
    }

    fn sync(&self, file: FileId) -> Result<Sync, StorageError> {
        let mut state = self.usable(file, 0, 0)?;
        state.tickets += 1;
        let ticket = SyncTicket(state.tickets);
        state.pending.push(ticket);
        Ok(Sync::Pending(ticket))
    }

    fn prefetch(&self, file: FileId, offset: u64, len: u64) {
        let mut state = self.state.borrow_mut();
        if state.announced.len() < ANNOUNCED_MAX {
            state.announced.push((file, offset, len));
        }
    }

    fn name(&self) -> String {
        self.name.clone()
    }
}
