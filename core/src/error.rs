//! The one error type of the engine. Bindings map it one to one.

use alloc::boxed::Box;
use alloc::string::String;
use core::fmt;

use crate::env::{FileId, StorageError, StorageErrorKind, SyncTicket};
use crate::limit::Limit;

/// The result of every fallible operation of this crate.
pub type Result<T, E = Error> = core::result::Result<T, E>;

/// What went wrong, where, and what to do about it.
///
/// Every variant has a stable [name](Error::name) and says whether the same call may succeed
/// [when tried again](Error::is_retryable).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// The storage failed: an I/O error, a full disk, a missing permission.
    Storage(Box<StorageError>),
    /// The platform has not yet completed this barrier; complete it and call again. Only asynchronous storages see this.
    Pending(SyncTicket),
    /// A file does not hold what its checksums and structure promise. Nothing damaged is ever returned as data.
    Corrupt(Box<Corruption>),
    /// A backup, or an increment of one, does not hold what its checksums promise. Nothing of it was restored.
    DamagedBackup {
        /// Byte offset of the damaged part in its file.
        offset: u64,
        /// What is wrong there.
        what: String,
    },
    /// The file is not a Lightning DB database.
    NotADatabase {
        /// What was found instead.
        found: String,
    },
    /// The file was written by a newer version, or uses a feature this build does not have.
    Unsupported {
        /// The feature or version.
        what: String,
        /// What to do.
        remedy: &'static str,
    },
    /// The database is encrypted, and no key, or not one of its keys, was given; or it is not, and one was. Nothing was changed.
    #[cfg(feature = "encryption")]
    WrongKey {
        /// What was given, and what the database has.
        what: String,
    },
    /// Another process (or handle) has the database open for writing.
    Locked {
        /// Who holds it.
        holder: String,
    },
    /// A sync failed earlier, so what is durable is unknown; only reopening writes again.
    Poisoned {
        /// The failure that caused it.
        cause: String,
    },
    /// Whether this commit is durable cannot be known; reopen the database to learn.
    OutcomeUnknown {
        /// The failure that caused it.
        cause: String,
    },
    /// The database was closed.
    Closed,
    /// The database was opened, or the medium mounted, for reading only.
    ReadOnly,
    /// The transaction conflicts with one that committed meanwhile. Run it again.
    Conflict {
        /// What both touched.
        what: String,
    },
    /// The transaction outlived the changes kept for its validation. Run it again.
    TransactionTooOld,
    /// A change feed was asked for, or has come to, commits that the log no longer holds. Read the tables anew, then follow
    /// the changes since that snapshot.
    NoLongerKept {
        /// The oldest commit that is still there, or will be the next.
        oldest: u64,
        /// The commit asked for.
        asked: u64,
    },
    /// A change feed was asked to go on after a commit that is not part of this database's history: a power loss took it
    /// back, or the files were put back. Read the tables anew, then follow the changes since that snapshot.
    HistoryForked {
        /// The commit that was asked to go on after.
        sequence: u64,
        /// The last commit that both histories have, where that is known.
        common: Option<u64>,
    },
    /// The transaction ran longer than its time limit and was ended.
    TransactionTimeout {
        /// The limit, in milliseconds.
        limit_ms: u64,
    },
    /// Waiting for a row lock would have closed a circle of waiting transactions. Run it again.
    Deadlock {
        /// The key that was waited for, escaped.
        key: String,
    },
    /// A size or count exceeds its limit.
    LimitExceeded {
        /// What is limited.
        what: &'static str,
        /// The value asked for.
        value: u64,
        /// The limit.
        limit: u64,
    },
    /// What the snapshot, cursor or transaction sees is no longer kept for it. Take another.
    SnapshotExpired {
        /// Why: it was kept too long, or too many were.
        limit: Limit,
        /// What that limit allows.
        allowed: u64,
        /// What was in use, in the same unit.
        used: u64,
    },
    /// One of the database's own [limits](crate::Limits) is reached: others have to give something back first.
    LimitReached {
        /// Which.
        limit: Limit,
        /// What it allows.
        allowed: u64,
        /// What is in use, in the same unit.
        used: u64,
    },
    /// The database refuses this for now: it is under maintenance, or spares a storage that keeps failing.
    #[cfg(feature = "std")]
    Unavailable {
        /// Why.
        why: &'static str,
        /// When it is worth trying again, in milliseconds from now, where that is known.
        retry_ms: Option<u64>,
    },
    /// A table was opened with other key or value types than it was made with.
    TableTypeMismatch(Box<TableTypeMismatch>),
    /// There is no table of this name.
    NoSuchTable {
        /// The name.
        table: String,
    },
    /// What an application says of a collection contradicts what the database holds.
    SchemaMismatch {
        /// The collection.
        collection: String,
        /// What differs, and what to do.
        what: String,
    },
    /// The documents of a collection were migrated by a newer version of the application.
    SchemaTooNew {
        /// The collection.
        collection: String,
        /// The version of its documents.
        found: u32,
        /// The newest version that the application knows.
        known: u32,
    },
    /// Two documents would have the same entry in a unique index.
    DuplicateKey(Box<DuplicateKey>),
    /// A document cannot be stored: a field is missing or has the wrong type, or it is no document at all.
    InvalidDocument(Box<InvalidDocument>),
    /// `insert` found the key, or `replace` did not, or a compare-and-swap found another value.
    Unexpected {
        /// What was expected and what was found.
        what: &'static str,
        /// The key, escaped.
        key: String,
    },
    /// Stored bytes cannot be read as the type asked for, or an argument is not valid.
    Invalid {
        /// What is wrong.
        what: String,
    },
    /// The call was given up by whoever made it. Nothing of it was kept.
    #[cfg(feature = "std")]
    Cancelled,
}

/// Where damage was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Corruption {
    /// The damaged file.
    pub file: FileId,
    /// Byte offset of the damaged part.
    pub offset: u64,
    /// What is wrong there.
    pub what: String,
}

/// Of which types a table is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableTypeMismatch {
    /// The table.
    pub table: String,
    /// The types recorded in the file.
    pub recorded: String,
    /// The types asked for.
    pub requested: String,
}

/// What two documents would both have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DuplicateKey {
    /// The collection.
    pub collection: String,
    /// The index.
    pub index: String,
    /// The value both have.
    pub value: String,
    /// The key of the document that has it.
    pub key: String,
}

/// What is wrong with a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidDocument {
    /// The collection.
    pub collection: String,
    /// The field; empty when the whole document is meant.
    pub field: String,
    /// The document's key, if it is known.
    pub key: String,
    /// What is wrong.
    pub what: String,
}

impl Error {
    /// An error, if the call of this thread that is under way was given up: see `Stop`.
    #[inline]
    pub(crate) fn if_cancelled() -> Result<()> {
        #[cfg(feature = "std")]
        return crate::env::Stop::check();
        #[cfg(not(feature = "std"))]
        Ok(())
    }

    /// Damage in `file` at `offset`.
    pub(crate) fn corrupt(file: FileId, offset: u64, what: impl Into<String>) -> Self {
        Error::Corrupt(Box::new(Corruption { file, offset, what: what.into() }))
    }

    pub(crate) fn invalid(what: impl Into<String>) -> Self {
        Error::Invalid { what: what.into() }
    }

    /// The range that must be fetched before this operation is run again; `None` for every real error.
    pub fn not_resident(&self) -> Option<(FileId, u64, u64)> {
        match self {
            Error::Storage(error) if error.kind == StorageErrorKind::NotResident => {
                Some((error.file, error.offset, error.len))
            }
            _ => None,
        }
    }

    /// Whether this is a full disk or quota.
    pub fn is_full(&self) -> bool {
        matches!(self, Error::Storage(error) if error.kind == StorageErrorKind::Full)
    }

    /// Whether the same call may succeed when tried again without anyone's help.
    pub fn is_retryable(&self) -> bool {
        match self {
            Error::Conflict { .. }
            | Error::TransactionTooOld
            | Error::Deadlock { .. }
            | Error::Locked { .. }
            | Error::LimitReached { .. } => true,
            #[cfg(feature = "std")]
            Error::Unavailable { .. } => true,
            _ => self.is_refused_for_now(),
        }
    }

    /// Whether the storage refuses for now, and goes on where it was when it is asked again later.
    #[inline]
    pub(crate) fn is_refused_for_now(&self) -> bool {
        #[cfg(feature = "std")]
        return self.is_too_fast()
            || matches!(self, Error::Storage(error)
            if matches!(error.kind,
                StorageErrorKind::Suspended | StorageErrorKind::ProtectedData | StorageErrorKind::Unavailable));
        #[cfg(not(feature = "std"))]
        false
    }

    /// Whether more is read than is allowed where nobody may wait.
    #[inline]
    pub(crate) fn is_too_fast(&self) -> bool {
        #[cfg(feature = "std")]
        return matches!(self, Error::LimitReached { limit: Limit::ReadRate, .. });
        #[cfg(not(feature = "std"))]
        false
    }

    /// Whether the database is [suspended](crate::Database::suspend).
    #[inline]
    pub fn is_suspended(&self) -> bool {
        #[cfg(feature = "std")]
        return matches!(self, Error::Storage(error) if error.kind == StorageErrorKind::Suspended);
        #[cfg(not(feature = "std"))]
        false
    }

    /// Whether the call was given up.
    #[inline]
    pub(crate) fn is_cancelled(&self) -> bool {
        #[cfg(feature = "std")]
        return matches!(self, Error::Cancelled);
        #[cfg(not(feature = "std"))]
        false
    }

    /// Whether what failed goes on where it was, once bytes were fetched or the storage serves again.
    pub(crate) fn passes(&self) -> bool {
        self.not_resident().is_some() || self.is_refused_for_now()
    }

    /// The database is [suspended](crate::Database::suspend).
    #[cfg(feature = "std")]
    pub(crate) fn suspended() -> Self {
        StorageError::new(StorageErrorKind::Suspended, FileId::Data, 0, 0, "the database is suspended").into()
    }

    /// A stable number, the same in every binding. Numbers are not used again.
    pub fn number(&self) -> u16 {
        match self {
            Error::Storage(error) => match error.kind {
                StorageErrorKind::Full => 1,
                StorageErrorKind::PermissionDenied => 2,
                StorageErrorKind::UnexpectedEnd | StorageErrorKind::Other => 3,
                StorageErrorKind::NotResident => 4,
                #[cfg(feature = "std")]
                StorageErrorKind::Suspended => 29,
                #[cfg(feature = "std")]
                StorageErrorKind::ProtectedData => 30,
                #[cfg(feature = "std")]
                StorageErrorKind::Unavailable => 36,
                #[cfg(feature = "std")]
                StorageErrorKind::TooFast { .. } => 35,
            },
            Error::Pending(_) => 5,
            Error::Corrupt(_) => 6,
            Error::NotADatabase { .. } => 7,
            Error::Unsupported { .. } => 8,
            Error::Locked { .. } => 9,
            Error::Poisoned { .. } => 10,
            Error::OutcomeUnknown { .. } => 11,
            Error::Closed => 12,
            Error::ReadOnly => 13,
            Error::Conflict { .. } => 14,
            Error::TransactionTooOld => 15,
            Error::NoLongerKept { .. } => 16,
            Error::HistoryForked { .. } => 17,
            Error::TransactionTimeout { .. } => 18,
            Error::Deadlock { .. } => 19,
            Error::LimitExceeded { .. } => 20,
            Error::TableTypeMismatch { .. } => 21,
            Error::NoSuchTable { .. } => 22,
            Error::SchemaMismatch { .. } => 23,
            Error::SchemaTooNew { .. } => 24,
            Error::DuplicateKey { .. } => 25,
            Error::InvalidDocument { .. } => 26,
            Error::Unexpected { .. } => 27,
            Error::Invalid { .. } => 28,
            #[cfg(feature = "std")]
            Error::Cancelled => 31,
            Error::DamagedBackup { .. } => 32,
            Error::SnapshotExpired { .. } => 34,
            Error::LimitReached { .. } => 35,
            #[cfg(feature = "std")]
            Error::Unavailable { .. } => 36,
            #[cfg(feature = "encryption")]
            Error::WrongKey { .. } => 33,
        }
    }

    /// A stable name, the same in every binding.
    pub fn name(&self) -> &'static str {
        match self {
            Error::Storage(error) => match error.kind {
                StorageErrorKind::NotResident => "NotResident",
                StorageErrorKind::Full => "StorageFull",
                StorageErrorKind::PermissionDenied => "PermissionDenied",
                #[cfg(feature = "std")]
                StorageErrorKind::Suspended => "Suspended",
                #[cfg(feature = "std")]
                StorageErrorKind::ProtectedData => "ProtectedDataUnavailable",
                #[cfg(feature = "std")]
                StorageErrorKind::Unavailable => "Unavailable",
                #[cfg(feature = "std")]
                StorageErrorKind::TooFast { .. } => "LimitReached",
                StorageErrorKind::UnexpectedEnd | StorageErrorKind::Other => "StorageFailed",
            },
            Error::Pending(_) => "Pending",
            Error::Corrupt(_) => "Corrupt",
            Error::DamagedBackup { .. } => "DamagedBackup",
            Error::NotADatabase { .. } => "NotADatabase",
            Error::Unsupported { .. } => "Unsupported",
            #[cfg(feature = "encryption")]
            Error::WrongKey { .. } => "WrongKey",
            Error::Locked { .. } => "Locked",
            Error::Poisoned { .. } => "Poisoned",
            Error::OutcomeUnknown { .. } => "OutcomeUnknown",
            Error::Closed => "Closed",
            Error::ReadOnly => "ReadOnly",
            Error::Conflict { .. } => "Conflict",
            Error::TransactionTooOld => "TransactionTooOld",
            Error::NoLongerKept { .. } => "NoLongerKept",
            Error::HistoryForked { .. } => "HistoryForked",
            Error::TransactionTimeout { .. } => "TransactionTimeout",
            Error::Deadlock { .. } => "Deadlock",
            Error::LimitExceeded { .. } => "LimitExceeded",
            Error::SnapshotExpired { .. } => "SnapshotExpired",
            Error::LimitReached { .. } => "LimitReached",
            #[cfg(feature = "std")]
            Error::Unavailable { .. } => "Unavailable",
            Error::TableTypeMismatch { .. } => "TableTypeMismatch",
            Error::NoSuchTable { .. } => "NoSuchTable",
            Error::SchemaMismatch { .. } => "SchemaMismatch",
            Error::SchemaTooNew { .. } => "SchemaTooNew",
            Error::DuplicateKey { .. } => "DuplicateKey",
            Error::InvalidDocument { .. } => "InvalidDocument",
            Error::Unexpected { .. } => "Unexpected",
            Error::Invalid { .. } => "Invalid",
            #[cfg(feature = "std")]
            Error::Cancelled => "Cancelled",
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Storage(error) => match error.kind {
                StorageErrorKind::Full => {
                    write!(f, "{error}; free some space, then write again: nothing acknowledged was lost")
                }
                StorageErrorKind::PermissionDenied => write!(f, "{error}; check the permissions of the file and folder"),
                #[cfg(feature = "std")]
                StorageErrorKind::Suspended => write!(f, "{error}; resume the database, then try again: nothing was lost"),
                #[cfg(feature = "std")]
                StorageErrorKind::ProtectedData => {
                    write!(f, "{error}; the device keeps its files locked: try again when its owner has unlocked it")
                }
                _ => write!(f, "{error}"),
            },
            Error::Pending(ticket) => write!(f, "the platform has not completed barrier {} yet", ticket.0),
            Error::Corrupt(c) => {
                write!(f, "{} is damaged at {}: {}; run 'lightning check' for the extent of the damage", c.file, c.offset, c.what)
            }
            Error::DamagedBackup { offset, what } => {
                write!(f, "the backup is damaged at byte {offset}: {what}; use another copy of it, or an earlier backup")
            }
            Error::NotADatabase { found } => write!(f, "not a Lightning DB database: {found}"),
            Error::Unsupported { what, remedy } => write!(f, "{what} is not supported by this build; {remedy}"),
            #[cfg(feature = "encryption")]
            Error::WrongKey { what } => write!(f, "{what}; nothing was changed"),
            Error::Locked { holder } => write!(f, "the database is open in {holder}; close it there first"),
            Error::Poisoned { cause } => {
                write!(f, "writing has stopped ({cause}); reopen the database to go on")
            }
            Error::OutcomeUnknown { cause } => {
                write!(f, "it is not known whether this commit is durable ({cause}); reopen the database to learn")
            }
            Error::Closed => f.write_str("the database is closed"),
            Error::ReadOnly => f.write_str("the database is read-only"),
            Error::Conflict { what } => {
                write!(f, "another transaction changed {what} meanwhile; run this transaction again")
            }
            Error::TransactionTooOld => f.write_str(
                "the transaction is older than the changes kept to validate it; run it again, and keep transactions short",
            ),
            Error::NoLongerKept { oldest, asked } => write!(
                f,
                "commit {asked} is no longer in the log, which begins with commit {oldest}; read the tables anew, then follow \
                 the changes since that snapshot, and keep more of the log (feed_retention_bytes)"
            ),
            Error::HistoryForked { sequence, common } => {
                write!(f, "commit {sequence} is not part of this database's history")?;
                if let Some(common) = common {
                    write!(f, ", which left that one after commit {common}")?;
                }
                f.write_str("; read the tables anew, then follow the changes since that snapshot")
            }
            Error::TransactionTimeout { limit_ms } => {
                write!(f, "the transaction ran longer than its limit of {limit_ms} ms and was ended; nothing was written")
            }
            Error::Deadlock { key } => {
                write!(f, "waiting for the lock on {key} would never end (deadlock); run this transaction again")
            }
            Error::LimitExceeded { what, value, limit } => write!(f, "{what} is {value}, more than the limit of {limit}"),
            Error::SnapshotExpired { limit, allowed, used } | Error::LimitReached { limit, allowed, used } => {
                limit.tell(f, *allowed, *used)
            }
            #[cfg(feature = "std")]
            Error::Unavailable { why, retry_ms: None } => write!(f, "{why}; try again later"),
            #[cfg(feature = "std")]
            Error::Unavailable { why, retry_ms: Some(ms) } => write!(f, "{why}; try again in {ms} ms"),
            Error::TableTypeMismatch(mismatch) => {
                let TableTypeMismatch { table, recorded, requested } = &**mismatch;
                write!(f, "table '{table}' holds {recorded}, not {requested}; open it with the types it was made with")
            }
            Error::NoSuchTable { table } => write!(f, "there is no table '{table}'"),
            Error::SchemaMismatch { collection, what } => write!(f, "collection '{collection}': {what}"),
            Error::SchemaTooNew { collection, found, known } => write!(
                f,
                "the documents of collection '{collection}' have version {found}, this application knows versions up to \
                 {known}; use a newer version of it"
            ),
            Error::DuplicateKey(duplicate) => {
                let DuplicateKey { collection, index, value, key } = &**duplicate;
                write!(
                    f,
                    "collection '{collection}', unique index '{index}': {value} is the value of document {key} already"
                )
            }
            Error::InvalidDocument(invalid) => {
                let InvalidDocument { collection, field, key, what } = &**invalid;
                write!(f, "collection '{collection}'")?;
                if !key.is_empty() {
                    write!(f, ", document {key}")?;
                }
                if !field.is_empty() {
                    write!(f, ", field '{field}'")?;
                }
                write!(f, ": {what}")
            }
            #[cfg(feature = "std")]
            Error::Cancelled => f.write_str("the call was given up; nothing of it was kept"),
            Error::Unexpected { what, key } => write!(f, "{what}: {key}"),
            Error::Invalid { what } => f.write_str(what),
        }
    }
}

impl core::error::Error for Error {}

impl From<StorageError> for Error {
    fn from(error: StorageError) -> Self {
        #[cfg(feature = "std")]
        if let StorageErrorKind::TooFast { allowed, used } = error.kind {
            return Error::LimitReached { limit: Limit::ReadRate, allowed, used };
        }
        Error::Storage(Box::new(error))
    }
}

#[cfg(all(test, feature = "std"))]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_are_those_that_are_documented_without_a_gap() {
        let text = include_str!("../../docs/errors.md");
        let line = text.lines().find(|line| line.starts_with("`1 ")).unwrap();
        let documented = line.split('`').filter_map(|part| part.split_once(' ')).filter_map(|(number, name)| {
            let number: u16 = number.parse().ok()?;
            (number < 100).then_some((number, name))
        });
        let documented: alloc::vec::Vec<(u16, &str)> = documented.collect();
        assert!(documented.iter().map(|(number, _)| *number).eq(1..=36), "{documented:?}");
        let storage = |kind| Error::Storage(Box::new(StorageError::new(kind, FileId::Data, 0, 0, "")));
        let limit = Limit::Snapshots;
        let some = [
            storage(StorageErrorKind::Full),
            storage(StorageErrorKind::Other),
            storage(StorageErrorKind::Suspended),
            storage(StorageErrorKind::Unavailable),
            StorageError::new(StorageErrorKind::TooFast { allowed: 1, used: 2 }, FileId::Data, 0, 0, "").into(),
            Error::corrupt(FileId::Data, 0, ""),
            Error::Closed,
            Error::ReadOnly,
            Error::TransactionTimeout { limit_ms: 1 },
            Error::DamagedBackup { offset: 0, what: String::new() },
            Error::SnapshotExpired { limit, allowed: 1, used: 2 },
            Error::LimitReached { limit, allowed: 1, used: 2 },
            Error::Unavailable { why: "", retry_ms: None },
            Error::Cancelled,
        ];
        for error in some {
            assert!(documented.contains(&(error.number(), error.name())), "{} {}", error.number(), error.name());
        }
    }
}
