//! What a database gives at most to all who share it.

use lightning_db::Limits as CoreLimits;

/// What a database gives at most to all who share it; what is not said is as the engine has it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, uniffi::Record)]
pub struct Limits {
    /// Transactions that are open at once.
    #[uniffi(default)]
    pub transactions_max: Option<u64>,
    /// A transaction that takes longer is ended, in milliseconds.
    #[uniffi(default)]
    pub transaction_ms_max: Option<u64>,
    /// Keys and values that one transaction may change, in bytes; never more than the memory budget allows.
    #[uniffi(default)]
    pub transaction_bytes_max: Option<u64>,
    /// What all transactions under way may hold in memory together, in bytes.
    #[uniffi(default)]
    pub transactions_bytes_max: Option<u64>,
    /// What a snapshot sees is kept for so many milliseconds after it was replaced.
    #[uniffi(default)]
    pub snapshot_ms_max: Option<u64>,
    /// States older than the newest that are kept for those who read them.
    #[uniffi(default)]
    pub snapshots_max: Option<u64>,
    /// Live results that are followed at once.
    #[uniffi(default)]
    pub watches_max: Option<u64>,
    /// Bytes that are appended to the log in a second.
    #[uniffi(default)]
    pub write_bytes_per_s: Option<u64>,
    /// Bytes that are read from the data file in a second.
    #[uniffi(default)]
    pub read_bytes_per_s: Option<u64>,
    /// Backups that are made at once.
    #[uniffi(default)]
    pub backups_max: Option<u64>,
    /// The data file never grows beyond this, in bytes.
    #[uniffi(default)]
    pub file_bytes_max: Option<u64>,
    /// The log never grows beyond this, in bytes, and what the feed keeps.
    #[uniffi(default)]
    pub log_bytes_max: Option<u64>,
}

impl Limits {
    /// From numbers in the order of the fields, as Java gives them; those that are negative, or missing, are not said.
    #[cfg(any(feature = "jvm", test))]
    pub fn from_numbers(numbers: &[i64]) -> Self {
        let mut numbers = numbers.iter().map(|number| u64::try_from(*number).ok());
        let mut next = || numbers.next().flatten();
        Self {
            transactions_max: next(),
            transaction_ms_max: next(),
            transaction_bytes_max: next(),
            transactions_bytes_max: next(),
            snapshot_ms_max: next(),
            snapshots_max: next(),
            watches_max: next(),
            write_bytes_per_s: next(),
            read_bytes_per_s: next(),
            backups_max: next(),
            file_bytes_max: next(),
            log_bytes_max: next(),
        }
    }

    pub fn to_core(self) -> CoreLimits {
        let mut core = CoreLimits::default();
        let count = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
        core.transactions_max = self.transactions_max.map_or(core.transactions_max, count);
        core.transaction_ms_max = self.transaction_ms_max.unwrap_or(core.transaction_ms_max);
        core.transaction_bytes_max = self.transaction_bytes_max.map(count);
        core.transactions_bytes_max = self.transactions_bytes_max.map(count);
        core.snapshot_ms_max = self.snapshot_ms_max.unwrap_or(core.snapshot_ms_max);
        core.snapshots_max = self.snapshots_max.map_or(core.snapshots_max, count);
        core.watches_max = self.watches_max.map_or(core.watches_max, count);
        core.write_bytes_per_s = self.write_bytes_per_s;
        core.read_bytes_per_s = self.read_bytes_per_s;
        core.backups_max = self.backups_max.map_or(core.backups_max, count);
        core.file_bytes_max = self.file_bytes_max.unwrap_or(core.file_bytes_max);
        core.log_bytes_max = self.log_bytes_max;
        core
    }
}

impl From<&CoreLimits> for Limits {
    fn from(core: &CoreLimits) -> Self {
        let count = |number: usize| Some(number as u64);
        Self {
            transactions_max: count(core.transactions_max),
            transaction_ms_max: Some(core.transaction_ms_max),
            transaction_bytes_max: core.transaction_bytes_max.and_then(count),
            transactions_bytes_max: core.transactions_bytes_max.and_then(count),
            snapshot_ms_max: Some(core.snapshot_ms_max),
            snapshots_max: count(core.snapshots_max),
            watches_max: count(core.watches_max),
            write_bytes_per_s: core.write_bytes_per_s,
            read_bytes_per_s: core.read_bytes_per_s,
            backups_max: count(core.backups_max),
            file_bytes_max: Some(core.file_bytes_max),
            log_bytes_max: core.log_bytes_max,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_number_is_the_limit_of_its_place() {
        let limits = Limits::from_numbers(&(1..=12).collect::<Vec<_>>());
        assert_eq!(Limits::from(&limits.to_core()), limits);
        assert_eq!((limits.transactions_max, limits.log_bytes_max), (Some(1), Some(12)));
        assert_eq!(Limits::from_numbers(&[-1; 12]), Limits::default());
        assert_eq!(Limits::from_numbers(&[-1, 5]), Limits { transaction_ms_max: Some(5), ..Limits::default() });
        assert_eq!(Limits::default().to_core(), CoreLimits::default());
    }
}
