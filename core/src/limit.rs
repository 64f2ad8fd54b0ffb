//! What may be reached of a database's own limits.

use core::fmt;

/// A limit of a database as a whole, as [`Limits`](crate::Limits) sets them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Limit {
    /// Interactive transactions that are open at once.
    Transactions,
    /// How long a state that was replaced is kept for those who read it, in milliseconds.
    SnapshotAge,
    /// States that were replaced and are kept for those who read them.
    Snapshots,
    /// Live results that are followed at once.
    Watches,
    /// What all transactions under way hold in memory, in bytes.
    #[cfg(feature = "std")]
    TransactionMemory,
    /// Bytes appended to the log in a second.
    #[cfg(feature = "std")]
    WriteRate,
    /// Bytes read from the data file in a second.
    #[cfg(feature = "std")]
    ReadRate,
    /// Backups that are made at once.
    #[cfg(feature = "std")]
    Backups,
}

impl Limit {
    /// Its field of [`Limits`](crate::Limits).
    pub fn name(self) -> &'static str {
        match self {
            Limit::Transactions => "transactions_max",
            Limit::SnapshotAge => "snapshot_ms_max",
            Limit::Snapshots => "snapshots_max",
            Limit::Watches => "watches_max",
            #[cfg(feature = "std")]
            Limit::TransactionMemory => "transactions_bytes_max",
            #[cfg(feature = "std")]
            Limit::WriteRate => "write_bytes_per_s",
            #[cfg(feature = "std")]
            Limit::ReadRate => "read_bytes_per_s",
            #[cfg(feature = "std")]
            Limit::Backups => "backups_max",
        }
    }

    /// What was reached, and what to do.
    pub(crate) fn tell(self, f: &mut fmt::Formatter<'_>, allowed: u64, used: u64) -> fmt::Result {
        match self {
            Limit::Transactions => write!(
                f,
                "{used} interactive transactions are open, which is the limit; commit or drop some, then begin this one again"
            ),
            Limit::SnapshotAge => write!(
                f,
                "the snapshot has expired: what it sees was replaced {used} ms ago, and is kept for {allowed}; take another, \
                 and hold it no longer than needed"
            ),
            Limit::Snapshots => write!(
                f,
                "the snapshot has expired: {used} states older than the newest were held, more than the limit of {allowed}, \
                 and this was the oldest; take another, and drop those that are not needed"
            ),
            Limit::Watches => {
                write!(f, "{used} live results are followed, which is the limit; end those that nobody looks at")
            }
            #[cfg(feature = "std")]
            Limit::TransactionMemory => write!(
                f,
                "transactions hold {used} bytes of what they have changed and read, of the {allowed} that are allowed, and this \
                 one needs more; run it again when others have ended"
            ),
            #[cfg(feature = "std")]
            Limit::ReadRate => write!(
                f,
                "more is read than the {allowed} bytes a second that are allowed, {used} in all since the database was opened; \
                 read again in a while"
            ),
            #[cfg(feature = "std")]
            Limit::WriteRate => write!(
                f,
                "more is written than the {allowed} bytes a second that are allowed, {used} in all since the database was \
                 opened; write again in a while"
            ),
            #[cfg(feature = "std")]
            Limit::Backups => write!(
                f,
                "{used} backups or increments are being made, which is the limit; begin this one again when another is done"
            ),
        }?;
        write!(f, " ({})", self.name())
    }
}
