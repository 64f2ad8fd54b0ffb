//! The contract between the engine and the place its bytes live.

use alloc::string::String;
use core::fmt;

use super::sync::MaybeSendSync;

/// One of the two files of a database.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum FileId {
    /// `app.ldb`: superblocks, nodes, values. After a clean close it alone is the whole database.
    Data,
    /// `app.ldb-log`: the ring of log segments.
    Log,
}

impl FileId {
    /// Both files.
    pub const ALL: [FileId; 2] = [FileId::Data, FileId::Log];
}

impl fmt::Display for FileId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            FileId::Data => "data file",
            FileId::Log => "log file",
        })
    }
}

/// Two byte files with positional reads and writes and a barrier. All methods may be called from several threads where
/// there are threads; the engine never issues overlapping writes concurrently, nor a read concurrent with an
/// overlapping write, unless that writes the very bytes that are there.
///
/// # The fault model
///
/// What a storage may do, and what the engine therefore survives:
/// - Until [`sync`](Storage::sync) completes, each write since the previous completed sync may, after a power loss, be
///   found whole, missing, or **torn**: every 512-byte unit of it old or new independently, in any order across writes.
///   Lengths set since then may be old or new; bytes of a grown file that were never written may hold zeros or anything.
/// - A torn write never changes bytes outside the range written, rounded out to 4096-byte sectors of which every byte
///   outside the range may be lost only if that sector was written since the last completed sync. (So the engine never
///   writes to a sector that holds live, synced data.)
/// - After a killed *process* (no power loss), every write that returned is found whole.
/// - When `sync` fails, any write since the previous completed sync may be lost, even if a later sync succeeds: the engine
///   then refuses to write until it is reopened. Until the power goes, reads may show what was lost, also after reopening.
/// - Reads may fail, or return wrong bytes: the engine checks everything it reads.
///
/// # Asynchronous storages
///
/// Where bytes can only be fetched asynchronously (IndexedDB), `read_at` returns [`StorageErrorKind::NotResident`]; the
/// driver fetches the range, keeps it resident until the operation ends, and calls the same operation again. What an
/// operation has written is resident until it ends, too: it may read it, and has written it elsewhere when it is called
/// again. The engine guarantees that an operation that failed so had no effect. `write_at`, `set_len`, `allocate`, `len` and `sync` never
/// return `NotResident`.
pub trait Storage: MaybeSendSync {
    /// Fills `buf` from `offset`. Reading past the end is [`StorageErrorKind::UnexpectedEnd`].
    fn read_at(&self, file: FileId, offset: u64, buf: &mut [u8]) -> Result<(), StorageError>;

    /// Writes all of `buf` at `offset`, growing the file if needed. On error any part may have been written.
    fn write_at(&self, file: FileId, offset: u64, buf: &[u8]) -> Result<(), StorageError>;

    /// Length in bytes. A file that was never written has length 0.
    fn len(&self, file: FileId) -> Result<u64, StorageError>;

    /// Cuts or extends (with zeros) the file to `len` bytes.
    fn set_len(&self, file: FileId, len: u64) -> Result<(), StorageError>;

    /// Extends the file to at least `len` bytes with space really reserved where the platform can, so that later writes
    /// below `len` neither fail for lack of space nor change the file's metadata at sync. The default extends with zeros.
    fn allocate(&self, file: FileId, len: u64) -> Result<(), StorageError> {
        if self.len(file)? < len { self.set_len(file, len) } else { Ok(()) }
    }

    /// Makes every completed write, length and name of `file` durable.
    ///
    /// Barriers complete in the order they were asked for, over both files: when one is complete, so are all before it.
    ///
    /// One that is not complete yet orders nothing: a power loss may keep what was written after it was asked for, and lose
    /// what was written before. When one fails, the engine takes all asked for after it as failed too.
    ///
    /// [`Sync::Pending`] means that the platform reports completion later; the driver then tells the database with
    /// `complete_sync(ticket, result)`.
    fn sync(&self, file: FileId) -> Result<Sync, StorageError>;

    /// Hints that these bytes will be read soon: `(file, offset, length)`.
    fn prefetch(&self, _file: FileId, _offset: u64, _len: u64) {}

    /// A name for messages: a path, a database name.
    fn name(&self) -> String;
}

/// Whether a barrier is already complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Sync {
    /// Everything written before the call is durable.
    Done,
    /// Completion of this ticket is reported later.
    Pending(SyncTicket),
}

/// Identifies a pending barrier of one storage; later tickets are larger.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SyncTicket(pub u64);

/// A failure of the platform, with what was attempted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StorageError {
    /// What kind of failure.
    pub kind: StorageErrorKind,
    /// The file concerned.
    pub file: FileId,
    /// Byte offset concerned, or the length asked for.
    pub offset: u64,
    /// Bytes concerned.
    pub len: u64,
    /// The platform's own words.
    pub message: String,
}

/// What kind of failure a storage reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum StorageErrorKind {
    /// The bytes must first be fetched: not a failure, see [`Storage`].
    NotResident,
    /// No space left, or a quota reached.
    Full,
    /// The file ends before the range asked for.
    UnexpectedEnd,
    /// The platform refuses for lack of permission, or the medium is read-only.
    PermissionDenied,
    /// The platform keeps the file locked away for now, as a phone does whose owner has not unlocked it. What was asked for was not
    /// done; but of a barrier nobody knows.
    #[cfg(feature = "std")]
    ProtectedData,
    /// The files were given back for a while: see [`Database::suspend`](crate::Database::suspend). Nothing was done, and nothing lost.
    #[cfg(feature = "std")]
    Suspended,
    /// Reading has failed so often that it is not tried for a while. Nothing was done.
    #[cfg(feature = "std")]
    Unavailable,
    /// More is read than [`read_bytes_per_s`](crate::Limits::read_bytes_per_s) allows, and nobody may wait. Nothing was done.
    #[cfg(feature = "std")]
    TooFast {
        /// Bytes in a second.
        allowed: u64,
        /// Bytes read since the database was opened.
        used: u64,
    },
    /// Anything else.
    Other,
}

impl StorageError {
    /// A failure of `kind` for `len` bytes at `offset` of `file`.
    pub fn new(kind: StorageErrorKind, file: FileId, offset: u64, len: u64, message: impl Into<String>) -> Self {
        Self { kind, file, offset, len, message: message.into() }
    }
}

impl fmt::Display for StorageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.len {
            // No part of the file: it could not be opened, or its length not be changed.
            0 => write!(f, "{}: {}", self.file, self.message),
            len => write!(f, "{}: {len} bytes at {}: {}", self.file, self.offset, self.message),
        }
    }
}

impl core::error::Error for StorageError {}
