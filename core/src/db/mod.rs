//! What applications use: databases, snapshots, transactions, cursors. With `std`: threads, files, sharing within a
//! process. The only layer that waits.

#[cfg(feature = "std")]
mod alarm;
#[cfg(feature = "std")]
mod archive;
#[cfg(all(feature = "std", any(unix, windows)))]
mod archive_folder;
#[cfg(all(test, feature = "std"))]
mod archive_tests;
#[cfg(feature = "std")]
mod archive_thread;
#[cfg(feature = "std")]
mod background;
mod backup;
#[cfg(all(feature = "std", any(unix, windows)))]
mod backup_files;
mod backup_permit;
#[cfg(all(feature = "std", any(unix, windows)))]
mod backup_source;
mod catalogue;
mod changes;
mod check;
mod database;
mod definitions;
#[cfg(all(test, feature = "encryption", feature = "std"))]
mod encryption_tests;
mod exclusive;
mod feed;
#[cfg(feature = "std")]
mod feed_signal;
#[cfg(all(test, feature = "std"))]
mod feed_tests;
#[cfg(all(feature = "std", any(unix, windows)))]
mod file_syncs;
#[cfg(feature = "std")]
mod files;
#[cfg(all(feature = "std", any(unix, windows)))]
mod filling;
mod follow;
mod found;
#[cfg(all(test, feature = "std"))]
mod frozen_tests;
#[cfg(feature = "std")]
mod health;
mod increment;
#[cfg(all(test, feature = "std"))]
mod increment_tests;
mod isolation;
mod key_length;
#[cfg(feature = "encryption")]
mod keys;
#[cfg(all(test, feature = "std"))]
mod lending_tests;
#[cfg(all(test, feature = "std"))]
mod limits_tests;
#[cfg(feature = "std")]
mod mode;
mod named;
#[cfg(all(test, feature = "std"))]
mod named_tests;
#[cfg(all(test, feature = "std", target_os = "linux"))]
mod open_files_tests;
mod options;
#[cfg(all(feature = "std", any(unix, windows)))]
mod partial;
mod pieces;
mod range;
mod raw;
#[cfg(all(test, feature = "encryption", feature = "std"))]
mod reencryption_tests;
mod replay;
mod requests;
#[cfg(feature = "std")]
mod row_locks;
mod scrub;
mod snapshot;
#[cfg(all(feature = "std", any(unix, windows)))]
mod stand_aside;
#[cfg(feature = "std")]
mod stoppable_thread;
#[cfg(feature = "std")]
mod suspend;
#[cfg(all(test, feature = "std"))]
mod tests;
mod transaction;
pub(crate) mod watched;
pub(crate) mod watchers;

#[cfg(feature = "std")]
pub use archive::{ArchivePiece, ArchiveSink, ArchiveStatus, Pruned};
#[cfg(all(feature = "std", any(unix, windows)))]
pub use archive_folder::ArchiveFolder;
pub use backup::{Backup, BackupProgress};
#[cfg(all(feature = "std", any(unix, windows)))]
pub use backup_files::{BackupReport, RestoreProgress, RestoreReport};
#[cfg(all(feature = "std", any(unix, windows)))]
pub use backup_source::BackupSource;
pub use changes::{Change, ChangedValue, Changes};
pub use database::{AutoTable, Database, Transaction};
pub(crate) use definitions::{Bytes, note_name};
pub use feed::{ChangeFeed, Commit, FeedPosition, Since};
pub use found::Found;
#[cfg(feature = "std")]
pub use health::Quarantined;
pub use increment::{Increment, IncrementProgress};
pub use isolation::Isolation;
pub(crate) use key_length::OWN_BYTES_MAX as KEY_BYTES_MAX;
pub use named::NamedSnapshot;
pub use options::Options;
pub use range::{Cursor, Range};
pub use replay::{Replay, ReplayReport, ReplayUntil};
pub use requests::Requests;
pub(crate) use requests::is_remembered;
pub use scrub::Scrub;
pub use snapshot::{BlobReader, ReadTable, Snapshot, TableInfo};
#[cfg(feature = "std")]
pub use suspend::Trim;
pub use transaction::{Savepoint, WriteTable, WriteTransaction};
