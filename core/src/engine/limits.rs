//! How much of what callers share one database gives away.

/// What a database gives at most, so that no caller takes it down. Whoever asks for more gets an error that names the limit,
/// what is in use, and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Interactive transactions that are open at once. One that is begun above it answers every call with
    /// [`Error::LimitReached`](crate::Error::LimitReached).
    pub transactions_max: usize,
    /// A transaction that takes longer is ended with [`Error::TransactionTimeout`](crate::Error::TransactionTimeout), in
    /// milliseconds.
    pub transaction_ms_max: u64,
    /// Keys and values that one transaction may change, in bytes; `None` leaves it to the memory budget, which is also the
    /// most that is given.
    pub transaction_bytes_max: Option<usize>,
    /// What all transactions under way may hold in memory together, of what they have changed and read, in bytes; each has 64 KiB
    /// beside it. One that needs more gets [`Error::LimitReached`](crate::Error::LimitReached). `None` leaves it to the memory
    /// budget, and it is never less than two transactions may change.
    #[cfg(feature = "std")]
    pub transactions_bytes_max: Option<usize>,
    /// What a snapshot, cursor or transaction sees is kept for so many milliseconds after it was replaced, unless nobody reads
    /// it any more: as long as it is kept, its space cannot be used again. Then whoever reads it gets
    /// [`Error::SnapshotExpired`](crate::Error::SnapshotExpired). Never less than [`transaction_ms_max`](Self::transaction_ms_max).
    pub snapshot_ms_max: u64,
    /// States older than the newest that are kept for those who read them, at least 16. With one more the oldest expires.
    pub snapshots_max: usize,
    /// Live results that are followed at once. Each costs every commit to its table a look.
    pub watches_max: usize,
    /// Bytes that are appended to the log in a second; what is appended in less than that comes at once. Writers wait, or, where
    /// nothing can wait because there is no background thread, get [`Error::LimitReached`](crate::Error::LimitReached).
    #[cfg(feature = "std")]
    pub write_bytes_per_s: Option<u64>,
    /// Bytes that are read from the data file in a second, likewise, background work included; what is in memory is read as
    /// always.
    #[cfg(feature = "std")]
    pub read_bytes_per_s: Option<u64>,
    /// Backups and increments that are made at once. One that is begun above it answers its first call with
    /// [`Error::LimitReached`](crate::Error::LimitReached).
    #[cfg(feature = "std")]
    pub backups_max: usize,
    /// The data file never grows beyond this, in bytes.
    pub file_bytes_max: u64,
    /// The log file never grows beyond this, in bytes, and what [`feed_retention_bytes`](crate::Options::feed_retention_bytes)
    /// adds; `None` leaves it to the memory budget.
    pub log_bytes_max: Option<u64>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            transactions_max: 1024,
            transaction_ms_max: 30_000,
            transaction_bytes_max: None,
            #[cfg(feature = "std")]
            transactions_bytes_max: None,
            snapshot_ms_max: 24 * 60 * 60 * 1000,
            snapshots_max: 1024,
            watches_max: 10_000,
            #[cfg(feature = "std")]
            write_bytes_per_s: None,
            #[cfg(feature = "std")]
            read_bytes_per_s: None,
            #[cfg(feature = "std")]
            backups_max: 2,
            file_bytes_max: 1 << 46,
            log_bytes_max: None,
        }
    }
}
