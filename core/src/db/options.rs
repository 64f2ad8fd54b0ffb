//! What an application chooses when it opens a database.

use crate::engine::{Checksum, Compression, Durability, EngineOptions, Limits, Verify};
#[cfg(feature = "encryption")]
use crate::engine::{Encryption, EncryptionKey};
use crate::error::{Error, Result};
use crate::log::LogConfig;

/// How a database is opened. The defaults suit an application on a phone or a small server.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Options {
    /// Make the database if there is none.
    pub create: bool,
    /// Refuse every write, and write nothing to the files.
    pub read_only: bool,
    /// Memory for everything together, in bytes: memtables, resident nodes, buffers. At least 2 MiB; 10 MB is enough for
    /// any size of database.
    pub memory_budget_bytes: usize,
    /// When commits are acknowledged, unless a transaction says otherwise.
    pub durability: Durability,
    /// How the leaves of a new database are compressed; one that exists stays as it was made.
    pub compression: Compression,
    /// What proves the nodes and values of a new database; one that exists stays as it was made.
    pub checksum: Checksum,
    /// What is proven how often.
    pub verify: Verify,
    /// How a new database is encrypted, if it gets a [`key`](Self::key); one that exists stays as it was made.
    #[cfg(feature = "encryption")]
    pub encryption: Encryption,
    /// What opens an encrypted database. A new database that is given one is encrypted, and this is its first key; see
    /// [`add_key`](crate::Database::add_key) for others. For a database that is not encrypted it is [`Error::WrongKey`].
    #[cfg(feature = "encryption")]
    pub key: Option<EncryptionKey>,
    /// The log keeps the newest commits up to so many bytes, in whole segments, for [`changes`](crate::Database::changes),
    /// also after a clean close. 0, the default, keeps none for that: a feed then has what the log happens to hold.
    pub feed_retention_bytes: u64,
    /// A memtable is merged at this size; `None` leaves it to the memory budget.
    pub memtable_bytes: Option<usize>,
    /// Bytes of one segment of a new database's log.
    pub log_segment_bytes: u32,
    /// Longer values live in extents of their own.
    pub inline_bytes_max: usize,
    /// What the database gives at most to all who share it.
    pub limits: Limits,
    /// Do background work in a thread (with `std`). Without it, writers do it themselves and [`step`](crate::Database::step)
    /// does it when called.
    pub background_thread: bool,
    /// Verify everything stored in the background (with `std`) once in so many seconds, evenly and gently: see
    /// [`scrub`](crate::Database::scrub). Where it takes longer it goes on without rests, and
    /// [`health`](crate::Database::health) says so. `None`, the default, leaves that to the application.
    pub scrub_interval_s: Option<u32>,
    /// Entries that one [`step`](crate::Database::step) of background work handles at most. With fewer a step is over sooner,
    /// and there are more of them.
    pub step_entries: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            create: true,
            read_only: false,
            memory_budget_bytes: 64 << 20,
            durability: Durability::Sync,
            compression: Compression::Lz4,
            checksum: Checksum::Crc32,
            verify: Verify::Resident,
            #[cfg(feature = "encryption")]
            encryption: Encryption::default(),
            #[cfg(feature = "encryption")]
            key: None,
            feed_retention_bytes: 0,
            memtable_bytes: None,
            log_segment_bytes: LogConfig::SEGMENT_BYTES,
            inline_bytes_max: 8 << 10,
            limits: Limits::default(),
            background_thread: true,
            scrub_interval_s: None,
            step_entries: 4096,
        }
    }
}

impl Options {
    pub(super) fn engine_options(&self) -> Result<EngineOptions> {
        const SEGMENT_BYTES_MIN: u32 = 64 << 10;
        // Fewer would end transactions that have just begun.
        const SNAPSHOTS_MIN: usize = 16;
        if self.log_segment_bytes < SEGMENT_BYTES_MIN || !self.log_segment_bytes.is_multiple_of(4096) {
            return Err(Error::invalid("log_segment_bytes must be a multiple of 4096 and at least 65536"));
        }
        let mut options = EngineOptions::within(self.memory_budget_bytes);
        options.create = self.create && !self.read_only;
        options.read_only = self.read_only;
        options.compression = self.compression;
        options.checksum = self.checksum;
        options.verify = self.verify;
        #[cfg(feature = "encryption")]
        {
            if self.checksum == Checksum::Tag && self.key.is_none() {
                return Err(Error::invalid("only an encrypted database has tags for checksums: give it a key"));
            }
            (options.encryption, options.key) = (self.encryption, self.key.clone());
        }
        options.inline_bytes_max = self.inline_bytes_max.clamp(64, 64 << 10);
        options.segment_bytes = self.log_segment_bytes;
        options.step_entries = self.step_entries.max(1);
        #[cfg(feature = "std")]
        {
            options.may_wait = self.background_thread;
        }
        options.feed_retention_bytes = self.feed_retention_bytes;
        if let Some(bytes) = self.memtable_bytes {
            options.memtable_bytes = bytes.clamp(4 << 10, 1 << 30);
            options.log_bytes_max = options.memtable_bytes as u64 * 4;
        }
        // The active memtable, the one being merged, the one before it, which the older superblock replays, and one
        // transaction; writers wait when there is less room than that.
        let least = u64::from(options.segment_bytes) * 8;
        match self.limits.log_bytes_max {
            Some(bytes) => {
                options.log_bytes_max = bytes.max(least);
                let part = |parts| usize::try_from(options.log_bytes_max / parts).unwrap_or(usize::MAX);
                options.memtable_bytes = options.memtable_bytes.min(part(6));
                options.transaction_bytes_max = options.transaction_bytes_max.min(part(4));
            }
            None => {
                let needed = options.memtable_bytes as u64 * 3 + options.transaction_bytes_max as u64 * 2;
                options.log_bytes_max = options.log_bytes_max.max(needed).max(least);
            }
        }
        if let Some(bytes) = self.limits.transaction_bytes_max {
            options.transaction_bytes_max = options.transaction_bytes_max.min(bytes);
        }
        options.limits = Limits {
            snapshot_ms_max: self.limits.snapshot_ms_max.max(self.limits.transaction_ms_max),
            snapshots_max: self.limits.snapshots_max.max(SNAPSHOTS_MIN),
            transaction_bytes_max: Some(options.transaction_bytes_max),
            #[cfg(feature = "std")]
            transactions_bytes_max: Some(
                self.limits
                    .transactions_bytes_max
                    .unwrap_or(self.memory_budget_bytes)
                    .max(options.transaction_bytes_max.saturating_mul(2)),
            ),
            log_bytes_max: Some(options.log_bytes_max),
            ..self.limits.clone()
        };
        Ok(options)
    }
}
