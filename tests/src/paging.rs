//! A storage whose bytes must be fetched before they can be read, and whose syncs complete later, as in a browser.

use std::collections::{HashSet, VecDeque};
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use lightning_db::Error;
use lightning_db::env::{FileId, Storage, StorageError, StorageErrorKind, Sync, SyncTicket};

use crate::random::Random;

/// What is fetched at a time.
pub const BLOCK_BYTES: u64 = 4096;
/// More restarts than any operation can need: it reads less than this many blocks.
const RESTARTS_MAX: usize = 100_000;

/// Wraps a storage so that reads answer `NotResident`, as often as asked, for what was neither fetched nor written since the
/// last [`end_operation`](PagingStorage::end_operation).
#[derive(Debug)]
pub struct PagingStorage<S> {
    inner: Arc<S>,
    miss_parts: u64,
    miss_of: u64,
    pending_syncs: bool,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    random: Random,
    resident: HashSet<(FileId, u64)>,
    written: Vec<(FileId, Range<u64>)>,
    syncs: VecDeque<(SyncTicket, FileId)>,
    next_ticket: u64,
    restarts: u64,
}

impl<S: Storage> PagingStorage<S> {
    /// A block that is not resident is missed `miss_parts` times in `miss_of`; otherwise it happens to be at hand.
    pub fn new(inner: impl Into<Arc<S>>, seed: u64, (miss_parts, miss_of): (u64, u64)) -> Self {
        let state = State {
            random: Random::new(seed),
            resident: HashSet::new(),
            written: Vec::new(),
            syncs: VecDeque::new(),
            next_ticket: 1,
            restarts: 0,
        };
        Self { inner: inner.into(), miss_parts, miss_of, pending_syncs: false, state: Mutex::new(state) }
    }

    /// Answers every sync with a ticket, to be completed by [`complete_sync`](PagingStorage::complete_sync).
    pub fn with_pending_syncs(mut self) -> Self {
        self.pending_syncs = true;
        self
    }

    /// The wrapped storage.
    pub fn inner(&self) -> &S {
        &self.inner
    }

    /// Makes these bytes resident until the operation ends.
    pub fn fetch(&self, file: FileId, offset: u64, len: u64) {
        let mut state = self.lock();
        state.restarts += 1;
        state.resident.extend(blocks(offset, len).map(|block| (file, block)));
    }

    /// Nothing is resident any more.
    pub fn end_operation(&self) {
        let mut state = self.lock();
        state.resident.clear();
        state.written.clear();
    }

    /// Runs one operation to its end, fetching what it misses: what the platform's driver does.
    pub fn drive<T>(&self, mut operation: impl FnMut() -> Result<T, Error>) -> Result<T, Error> {
        for _ in 0..RESTARTS_MAX {
            match operation() {
                Err(error) => match error.not_resident() {
                    Some((file, offset, len)) => self.fetch(file, offset, len),
                    None => {
                        self.end_operation();
                        return Err(error);
                    }
                },
                done => {
                    self.end_operation();
                    return done;
                }
            }
        }
        panic!("an operation was restarted {RESTARTS_MAX} times and still asks for more");
    }

    /// How often an operation had to be started again.
    pub fn restarts(&self) -> u64 {
        self.lock().restarts
    }

    /// Syncs asked for and not completed yet.
    pub fn pending(&self) -> usize {
        self.lock().syncs.len()
    }

    /// Completes the oldest pending sync.
    pub fn complete_sync(&self) -> Option<(SyncTicket, Result<(), StorageError>)> {
        let (ticket, file) = self.lock().syncs.pop_front()?;
        Some((ticket, self.inner.sync(file).map(|_| ())))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<S: Storage> Storage for PagingStorage<S> {
    fn read_at(&self, file: FileId, offset: u64, buf: &mut [u8]) -> Result<(), StorageError> {
        let len = buf.len() as u64;
        let mut state = self.lock();
        let in_file = offset.checked_add(len).is_some_and(|end| self.inner.len(file).is_ok_and(|len| end <= len));
        let holds = |range: &Range<u64>| range.start <= offset && offset.saturating_add(len) <= range.end;
        let is_resident = blocks(offset, len).all(|block| state.resident.contains(&(file, block)))
            || state.written.iter().any(|(of, range)| *of == file && holds(range));
        if in_file && !is_resident {
            let State { random, .. } = &mut *state;
            if random.chance(self.miss_parts, self.miss_of) {
                // Not even part of an answer, so nobody can go on with it.
                random.fill(buf);
                return Err(StorageError::new(StorageErrorKind::NotResident, file, offset, len, "not resident"));
            }
        }
        drop(state);
        self.inner.read_at(file, offset, buf)
    }

    fn write_at(&self, file: FileId, offset: u64, buf: &[u8]) -> Result<(), StorageError> {
        self.lock().written.push((file, offset..offset.saturating_add(buf.len() as u64)));
        self.inner.write_at(file, offset, buf)
    }

    fn len(&self, file: FileId) -> Result<u64, StorageError> {
        self.inner.len(file)
    }

    fn set_len(&self, file: FileId, len: u64) -> Result<(), StorageError> {
        self.inner.set_len(file, len)
    }

    fn allocate(&self, file: FileId, len: u64) -> Result<(), StorageError> {
        self.inner.allocate(file, len)
    }

    fn sync(&self, file: FileId) -> Result<Sync, StorageError> {
        if !self.pending_syncs {
            return self.inner.sync(file);
        }
        let mut state = self.lock();
        let ticket = SyncTicket(state.next_ticket);
        state.next_ticket += 1;
        state.syncs.push_back((ticket, file));
        Ok(Sync::Pending(ticket))
    }

    fn prefetch(&self, file: FileId, offset: u64, len: u64) {
        self.inner.prefetch(file, offset, len);
    }

    fn name(&self) -> String {
        self.inner.name()
    }
}

fn blocks(offset: u64, len: u64) -> std::ops::Range<u64> {
    offset / BLOCK_BYTES..offset.saturating_add(len).div_ceil(BLOCK_BYTES)
}
