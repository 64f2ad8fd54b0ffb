//! The storage of an open database behind a breaker, and at no more than a rate: reads that keep failing are answered at once
//! for a while, and those that are too many wait, or are refused where nobody may wait.
//!
//! Only reads of the data file. The log is read while opening and by feeds; what is written and synced has to be known to
//! have failed, or not.

use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use core::time::Duration;

use super::breaker::Breaker;
use super::options::EngineOptions;
use super::rate::Rate;
use crate::env::sync::Mutex;
use crate::env::sync::atomic::{AtomicBool, Ordering};
use crate::env::sync::thread;
use crate::env::{Clock, FileId, Storage, StorageError, StorageErrorKind, Sync};
use crate::testing::Mutant;

/// What lies so near to each other is one place: a few bad sectors in a row are damage, and no failing medium.
const PLACE_BYTES: u64 = 64 << 10;
/// Whoever waits looks this often whether the database is being shut down.
const REST_NS_MAX: u64 = 50_000_000;

pub(super) struct GuardedStorage {
    storage: Arc<dyn Storage>,
    clock: Arc<dyn Clock>,
    reads: Breaker,
    rate: Option<ReadRate>,
}

struct ReadRate {
    per_s: u64,
    /// With what was read so far.
    read: Mutex<(Rate, u64)>,
    may_wait: bool,
    /// Nobody waits any more: the database is being shut down.
    is_over: AtomicBool,
}

impl GuardedStorage {
    pub(super) fn new(storage: Arc<dyn Storage>, clock: Arc<dyn Clock>, options: &EngineOptions) -> Self {
        let rate = options.limits.read_bytes_per_s.map(|per_s| ReadRate {
            per_s,
            read: Mutex::new((Rate::new(per_s), 0)),
            may_wait: options.may_wait,
            is_over: AtomicBool::new(false),
        });
        Self { storage, clock, reads: Breaker::default(), rate }
    }

    /// For how many milliseconds reads are still refused.
    pub(super) fn refused_ms(&self) -> Option<u64> {
        self.reads.open_for_ms(self.clock.monotonic_ns())
    }

    /// Whoever waits for its turn does so no more.
    pub(super) fn end_waiting(&self) {
        if let Some(rate) = &self.rate {
            rate.is_over.store(true, Ordering::Relaxed);
        }
    }

    fn take_turn(&self, offset: u64, bytes: u64) -> Result<(), StorageError> {
        let Some(rate) = &self.rate else { return Ok(()) };
        let mut wait_ns = {
            let (tokens, read) = &mut *rate.read.lock();
            let wait_ns = tokens.wait_ns(*read, self.clock.monotonic_ns());
            if wait_ns > 0 && !rate.may_wait && !Mutant::ReadRateIgnored.is_active() {
                let kind = StorageErrorKind::TooFast { allowed: rate.per_s, used: *read };
                return Err(StorageError::new(kind, FileId::Data, offset, bytes, "more is read than is allowed"));
            }
            *read += bytes;
            wait_ns
        };
        while rate.may_wait && wait_ns > 0 && !rate.is_over.load(Ordering::Relaxed) {
            let rest_ns = wait_ns.min(REST_NS_MAX);
            thread::sleep(Duration::from_nanos(rest_ns));
            wait_ns -= rest_ns;
        }
        Ok(())
    }
}

impl core::fmt::Debug for GuardedStorage {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("GuardedStorage").field("reads", &self.reads).finish_non_exhaustive()
    }
}

impl Storage for GuardedStorage {
    fn read_at(&self, file: FileId, offset: u64, buf: &mut [u8]) -> Result<(), StorageError> {
        if file != FileId::Data {
            return self.storage.read_at(file, offset, buf);
        }
        self.take_turn(offset, buf.len() as u64)?;
        if self.reads.is_troubled()
            && let Err(retry_ms) = self.reads.admit(self.clock.monotonic_ns())
        {
            let why = format!("reading keeps failing, and is not tried for a while; try again in {retry_ms} ms");
            return Err(StorageError::new(StorageErrorKind::Unavailable, file, offset, buf.len() as u64, why));
        }
        let read = self.storage.read_at(file, offset, buf);
        match &read {
            Err(error) if matches!(error.kind, StorageErrorKind::Other | StorageErrorKind::PermissionDenied) => {
                self.reads.failed(offset / PLACE_BYTES, self.clock.monotonic_ns());
            }
            _ if self.reads.is_troubled() => self.reads.succeeded(),
            _ => {}
        }
        read
    }

    fn write_at(&self, file: FileId, offset: u64, buf: &[u8]) -> Result<(), StorageError> {
        self.storage.write_at(file, offset, buf)
    }

    fn len(&self, file: FileId) -> Result<u64, StorageError> {
        self.storage.len(file)
    }

    fn set_len(&self, file: FileId, len: u64) -> Result<(), StorageError> {
        self.storage.set_len(file, len)
    }

    fn allocate(&self, file: FileId, len: u64) -> Result<(), StorageError> {
        self.storage.allocate(file, len)
    }

    fn sync(&self, file: FileId) -> Result<Sync, StorageError> {
        self.storage.sync(file)
    }

    fn prefetch(&self, file: FileId, offset: u64, len: u64) {
        self.storage.prefetch(file, offset, len);
    }

    fn name(&self) -> String {
        self.storage.name()
    }
}
