//! What applications use: databases, snapshots, transactions, cursors. With `std`: threads, files, sharing within a
//! process. The only layer that waits.

#[cfg(feature = "std")]
mod alarm;
#[cfg(feature = "std")]
mod background;
mod backup;
mod catalogue;
mod changes;
mod check;
mod database;
mod definitions;
mod exclusive;
mod feed;
#[cfg(feature = "std")]
mod feed_signal;
#[cfg(all(test, feature = "std"))]
mod feed_tests;
#[cfg(feature = "std")]
mod files;
mod found;
mod isolation;
mod key_length;
mod options;
mod range;
mod raw;
mod requests;
#[cfg(feature = "std")]
mod row_locks;
mod scrub;
mod snapshot;
#[cfg(feature = "std")]
mod suspend;
#[cfg(all(test, feature = "std"))]
mod tests;
mod transaction;
pub(crate) mod watched;
pub(crate) mod watchers;

pub use backup::{Backup, BackupProgress};
pub use changes::{Change, ChangedValue, Changes};
pub use database::{AutoTable, Database, Transaction};
pub(crate) use definitions::{Bytes, note_name};
pub use feed::{ChangeFeed, Commit, FeedPosition, Since};
pub use found::Found;
pub use isolation::Isolation;
pub(crate) use key_length::OWN_BYTES_MAX as KEY_BYTES_MAX;
pub use options::Options;
pub use range::{Cursor, Range};
pub use requests::Requests;
pub(crate) use requests::is_remembered;
pub use scrub::Scrub;
pub use snapshot::{BlobReader, ReadTable, Snapshot, TableInfo};
#[cfg(feature = "std")]
pub use suspend::Trim;
pub use transaction::{Savepoint, WriteTable, WriteTransaction};
