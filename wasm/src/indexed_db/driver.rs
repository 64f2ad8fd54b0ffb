//! Runs the engine's operations on a storage that answers later.

use std::sync::Arc;

use lightning_db::Error;
use lightning_db::env::{FileId, Storage, StorageError, StorageErrorKind, SyncTicket};
use wasm_bindgen::JsValue;

use super::connection::{Connection, Promised, Span};
use super::storage::{IndexedDbStorage, block_bytes};
use crate::failure::{failed, storage_error};

/// Blocks fetched beyond those asked for: the least, and the most after a sequence of misses each where the last fetch
/// ended.
const AHEAD_MIN: u64 = 3;
const AHEAD_MAX: u64 = 255;
/// Kept in memory between operations. The engine has a cache of its own above this one.
const RESIDENT_BYTES_MAX: usize = 4 << 20;

/// A database in IndexedDB and its connection.
///
/// Each operation on an engine that was opened with [`storage`](Self::storage) goes through [`run`](Self::run); after
/// operations that wrote, and before their success is told to anyone, comes a [`flush`](Self::flush).
#[derive(Debug)]
pub struct IndexedDb {
    storage: Arc<IndexedDbStorage>,
    connection: Connection,
}

/// The error of an operation that may have to be run again.
pub trait Restartable: From<StorageError> {
    /// The range to fetch before the operation is run again; `None` for every real error.
    fn not_resident(&self) -> Option<(FileId, u64, u64)>;
}

impl Restartable for Error {
    fn not_resident(&self) -> Option<(FileId, u64, u64)> {
        Error::not_resident(self)
    }
}

impl Restartable for StorageError {
    fn not_resident(&self) -> Option<(FileId, u64, u64)> {
        (self.kind == StorageErrorKind::NotResident).then_some((self.file, self.offset, self.len))
    }
}

/// The outcome of a flush, of which the engine is told for each ticket.
#[derive(Debug)]
#[must_use]
pub struct Flushed {
    /// The syncs it completed.
    pub tickets: Vec<SyncTicket>,
    /// How they went.
    pub result: Result<(), StorageError>,
}

impl IndexedDb {
    /// Opens the database `name`, making it where missing.
    pub async fn open(name: &str) -> Result<Self, StorageError> {
        let opened = async {
            let connection = Connection::open(name).await?;
            let (data_len, log_len) = (connection.len(FileId::Data).await?, connection.len(FileId::Log).await?);
            // The engine shares its storage between threads, where there are any.
            #[allow(clippy::arc_with_non_send_sync)]
            let storage = Arc::new(IndexedDbStorage::new(name.to_owned(), data_len, log_len));
            Ok(Self { storage, connection })
        };
        opened.await.map_err(|thrown: JsValue| failed(&thrown))
    }

    /// Deletes the database `name`. A missing one is no error.
    pub async fn delete(name: &str) -> Result<(), StorageError> {
        Connection::delete(name).await.map_err(|thrown| failed(&thrown))
    }

    /// What the engine is opened with.
    pub fn storage(&self) -> Arc<dyn Storage> {
        self.storage.clone()
    }

    /// Runs `operation`, and again each time it lacks blocks, which are then fetched. An operation that lacked blocks
    /// has had no effect: that is the engine's promise.
    pub async fn run<T, E: Restartable>(&self, mut operation: impl FnMut() -> Result<T, E>) -> Result<T, E> {
        let mut ahead = ReadAhead::default();
        let outcome = loop {
            let lacking = match operation() {
                Err(error) => error.not_resident().ok_or(error),
                Ok(done) => break Ok(done),
            };
            match lacking {
                Ok((file, offset, len)) => self.fetch(file, offset, len, &mut ahead).await?,
                Err(error) => break Err(error),
            }
        };
        self.storage.evict(RESIDENT_BYTES_MAX);
        outcome
    }

    /// Writes what operations have written, in one transaction, and waits for it. Durable against a power loss where
    /// the engine asked for a sync, else against the end of the tab.
    pub async fn flush(&self) -> Flushed {
        if let Err(error) = self.complete_blocks().await {
            return self.flush_failed(Vec::new(), error);
        }
        let Some(flush) = self.storage.take_flush() else { return Flushed { tickets: Vec::new(), result: Ok(()) } };
        let promised = if flush.tickets.is_empty() { Promised::Relaxed } else { Promised::Strict };
        let written = self.connection.write(&flush.changes, promised, |file, changes, put| {
            self.storage.for_each_put(file, changes, put);
        });
        let outcome = match written {
            Ok(written) => written.complete().await,
            Err(thrown) => Err(thrown),
        };
        match outcome {
            Ok(()) => Flushed { tickets: flush.tickets, result: Ok(()) },
            Err(thrown) => self.flush_failed(flush.tickets, failed(&thrown)),
        }
    }

    /// Waits until nothing is under way, before it is dropped. Whether that went well matters to nobody.
    pub async fn rest(&self) {
        let _ = self.connection.rest().await;
    }

    /// Bytes that the next flush will write.
    pub fn dirty_bytes(&self) -> usize {
        self.storage.dirty_bytes()
    }

    fn flush_failed(&self, tickets: Vec<SyncTicket>, error: StorageError) -> Flushed {
        self.storage.fail(&error);
        Flushed { tickets, result: Err(error) }
    }

    /// Fetches what is missing of a range, what the engine announced, and some blocks more.
    async fn fetch(&self, file: FileId, offset: u64, len: u64, ahead: &mut ReadAhead) -> Result<(), StorageError> {
        let more = ahead.after(file, offset, len) * block_bytes(file) as u64;
        let mut spans = spans(file, &self.storage.missing(file, offset, len + more));
        if spans.is_empty() {
            let message = "IndexedDB does not hold these bytes, yet the file should";
            return Err(StorageError::new(StorageErrorKind::Other, file, offset, len, message));
        }
        for (file, offset, len) in self.storage.take_announced() {
            spans.extend(self::spans(file, &self.storage.missing(file, offset, len)));
        }
        self.fetch_spans(&spans).await.map_err(|thrown| storage_error(&thrown, file, offset, len))
    }

    /// Fetches the blocks that were written in part, which can be put only as wholes.
    async fn complete_blocks(&self) -> Result<(), StorageError> {
        loop {
            let spans: Vec<Span> =
                FileId::ALL.into_iter().flat_map(|file| spans(file, &self.storage.incomplete(file))).collect();
            if spans.is_empty() {
                return Ok(());
            }
            self.fetch_spans(&spans).await.map_err(|thrown| failed(&thrown))?;
        }
    }

    async fn fetch_spans(&self, spans: &[Span]) -> Result<(), JsValue> {
        for (file, index, bytes) in self.connection.fetch(spans).await? {
            self.storage.fetched(file, index, Some(&bytes));
        }
        // Blocks that were never written are not there, and are zeros.
        for (file, span) in spans {
            span.clone().for_each(|index| self.storage.fetched(*file, index, None));
        }
        Ok(())
    }
}

/// How far to fetch beyond a miss: the more, the longer an operation has gone on reading in sequence.
#[derive(Default)]
struct ReadAhead {
    /// Where the last fetch for a miss ended.
    end: Option<(FileId, u64)>,
    blocks: u64,
}

impl ReadAhead {
    fn after(&mut self, file: FileId, offset: u64, len: u64) -> u64 {
        let block_bytes = block_bytes(file) as u64;
        let (first, end) = (offset / block_bytes, (offset + len).div_ceil(block_bytes));
        // A range that begins in the last block fetched goes on where that ended.
        let goes_on = self.end.is_some_and(|(last, at)| last == file && (first..=end).contains(&at));
        self.blocks = if goes_on { (self.blocks * 2 + 1).min(AHEAD_MAX) } else { AHEAD_MIN };
        self.end = Some((file, end + self.blocks));
        self.blocks
    }
}

/// Consecutive indices, joined.
fn spans(file: FileId, indices: &[u64]) -> Vec<Span> {
    indices
        .chunk_by(|before, after| before + 1 == *after)
        .filter_map(|run| Some((file, *run.first()?..=*run.last()?)))
        .collect()
}
