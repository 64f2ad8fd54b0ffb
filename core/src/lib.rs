//! Lightning DB: one embedded, transactional, ordered database engine and file format for servers, phones and browsers.
//!
//! The crate is `no_std` with `alloc`; the default feature `std` adds files, threads and the operating system's clock.
//! Layers, each using only those above it in this list: [`env`], `codec`, `space`, `cache`, `log`, `tree`, `memtable`,
//! `engine`, `table`, `document`, `db`, `salvage`.
//!
//! **Architecture invariant:** this crate names no platform outside `env`. Whatever differs between platforms comes in
//! through [`env::Storage`], [`env::Clock`] and [`env::Entropy`].
#![cfg_attr(not(feature = "std"), no_std)]
#![cfg_attr(test, allow(clippy::unwrap_used))]

extern crate alloc;

#[cfg(all(feature = "zstd", target_family = "wasm"))]
compile_error!("the feature 'zstd' is a C library, which there is none of for WebAssembly; build without it");

pub mod env;
mod error;
mod hashing;
mod limit;

pub(crate) mod cache;
pub(crate) mod codec;
pub(crate) mod collection;
pub(crate) mod db;
pub(crate) mod document;
pub(crate) mod engine;
pub(crate) mod increment;
pub(crate) mod log;
pub(crate) mod memtable;
pub(crate) mod salvage;
pub(crate) mod space;
pub(crate) mod table;
#[cfg(not(feature = "testing"))]
pub(crate) mod testing;
pub(crate) mod tree;

#[cfg(feature = "testing")]
#[doc(hidden)]
pub mod testing;

pub use collection::{
    AutoKey, ChangedDocument, Collection, CollectionInfo, Difference, Document, Expiry, Explanation, Index, IndexInfo,
    IndexPaths, IndexProgress, MigrationStep, Migrations, Moved, Placed, ReadCollection, Removed, Rows, RowsChange,
    Schema, Subscription, WriteCollection,
};
#[cfg(feature = "std")]
pub use db::Quarantined;
#[cfg(feature = "std")]
pub use db::Trim;
#[cfg(all(feature = "std", any(unix, windows)))]
pub use db::{ArchiveFolder, BackupReport, BackupSource, RestoreProgress, RestoreReport};
#[cfg(feature = "std")]
pub use db::{ArchivePiece, ArchiveSink, ArchiveStatus, Pruned};
pub use db::{
    AutoTable, Backup, BackupProgress, BlobReader, Change, ChangeFeed, ChangedValue, Changes, Commit, Cursor, Database,
    FeedPosition, Found, Increment, IncrementProgress, Isolation, NamedSnapshot, Options, Range, ReadTable, Replay,
    ReplayReport, ReplayUntil, Requests, Savepoint, Scrub, Since, Snapshot, TableInfo, Transaction, WriteTable,
    WriteTransaction,
};
pub use document::query::{self, PageToken, Query, Update, field};
pub use document::{NamedType, Path, Value};
pub use engine::{
    Activity, ArchiveGap, ArchiveOptions, CheckReport, Checksum, CompactionProgress, CompactionStage, Compression,
    Durability, Environment, Latency, Limits, Progress, RecoveryReport, RecoveryStage, Stats, Verify,
};
#[cfg(feature = "encryption")]
pub use engine::{
    Encryption, EncryptionKey, KeyInfo, KeyKind, KeyProvider, PassphraseCost, Reencryption, ReencryptionStage,
};
#[cfg(feature = "std")]
pub use engine::{Finding, Health, Mode, Severity};
#[cfg(feature = "std")]
pub use env::{Entered, Stop};
pub use error::{Corruption, DuplicateKey, Error, InvalidDocument, Result, TableTypeMismatch};
pub use limit::Limit;
pub use salvage::{LogEnd, Loss, LossKind, SalvageBasis, SalvageReport};
pub use table::{Key, KeyBuffer, KeyPart, KeyPrefix, KeyRange, Lend, Stored, Table, Value as StoredValue};
