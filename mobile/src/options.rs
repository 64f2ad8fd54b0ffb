//! How a database is opened.

use std::fmt;

use lightning_db::Durability as CoreDurability;
use lightning_db::Result;
use lightning_db::env::OpenMode;

use crate::encryption::Encryption;
use crate::limits::Limits;
use crate::objects;
use crate::transaction::Durability;

/// What an application chooses. The defaults suit a phone.
#[derive(Clone, Debug, PartialEq, Eq, uniffi::Record)]
pub struct OpenOptions {
    /// Make the database if there is none.
    #[uniffi(default = true)]
    pub create: bool,
    /// Refuse every write, and write nothing to the files.
    #[uniffi(default = false)]
    pub read_only: bool,
    /// When commits are acknowledged.
    #[uniffi(default)]
    pub durability: Option<Durability>,
    /// Memory for everything together, in bytes; at least 2 MiB. Without it 10 MB.
    #[uniffi(default)]
    pub memory_budget_bytes: Option<u64>,
    /// What it gives at most to all who share it.
    #[uniffi(default)]
    pub limits: Option<Limits>,
    /// The log keeps the newest commits up to so many bytes for the change feed, also after a clean close.
    #[uniffi(default = 0)]
    pub feed_retention_bytes: u64,
    /// Verify everything stored in the background, each time this many seconds after the last time ended.
    #[uniffi(default)]
    pub scrub_interval_s: Option<u32>,
    /// The handle of a key: what opens an encrypted database. A new one that is given a key is encrypted, and this is its first.
    #[uniffi(default = 0)]
    pub key: u64,
    /// How a new database is encrypted, if it gets a key; without it by AES-256-GCM.
    #[uniffi(default)]
    pub encryption: Option<Encryption>,
}

/// Memory that a database on a phone takes.
const MEMORY_BUDGET_BYTES: usize = 10_000_000;

/// The longest time between a periodic commit and its sync.
const PERIODIC_MS: u32 = 1000;

impl Default for OpenOptions {
    fn default() -> Self {
        Self {
            create: true,
            read_only: false,
            durability: None,
            memory_budget_bytes: None,
            limits: None,
            feed_retention_bytes: 0,
            scrub_interval_s: None,
            key: 0,
            encryption: None,
        }
    }
}

impl OpenOptions {
    pub(crate) fn mode(&self) -> OpenMode {
        OpenMode { read_only: self.read_only, create: self.create && !self.read_only }
    }

    /// An option that others have chosen otherwise, in words. Whether a database is made, and how it is encrypted then, is over when it
    /// is open; keys are asked of it.
    pub(crate) fn difference(&self, other: &Self) -> Option<String> {
        let (Self { create: _, read_only, durability, memory_budget_bytes, .. }, own) = (other, self);
        let differs = |what: &str, own: &dyn fmt::Debug, theirs: &dyn fmt::Debug| {
            Some(format!("{what} is {own:?} there, and {theirs:?} was asked for"))
        };
        if own.read_only != *read_only {
            return differs("read only", &own.read_only, read_only);
        }
        if own.durability.unwrap_or(Durability::Sync) != durability.unwrap_or(Durability::Sync) {
            return differs("durability", &own.durability, durability);
        }
        if own.memory_budget() != other.memory_budget() {
            return differs("the memory budget", &own.memory_budget_bytes, memory_budget_bytes);
        }
        let (limits, others) = (own.limits.unwrap_or_default(), other.limits.unwrap_or_default());
        if limits != others {
            return differs("what it gives at most", &limits, &others);
        }
        if own.feed_retention_bytes != other.feed_retention_bytes {
            return differs("what the feed keeps", &own.feed_retention_bytes, &other.feed_retention_bytes);
        }
        if own.scrub_interval_s != other.scrub_interval_s {
            return differs("the interval of scrubs", &own.scrub_interval_s, &other.scrub_interval_s);
        }
        None
    }

    fn memory_budget(&self) -> usize {
        match self.memory_budget_bytes {
            Some(bytes) => usize::try_from(bytes).unwrap_or(usize::MAX),
            None => MEMORY_BUDGET_BYTES,
        }
    }

    pub(crate) fn to_core(&self) -> Result<lightning_db::Options> {
        let mut options = lightning_db::Options::default();
        options.create = self.create;
        options.read_only = self.read_only;
        options.memory_budget_bytes = self.memory_budget();
        options.durability = match self.durability {
            None | Some(Durability::Sync) => CoreDurability::Sync,
            Some(Durability::Periodic) => CoreDurability::Periodic { interval_ms: PERIODIC_MS },
            Some(Durability::Relaxed) => CoreDurability::Relaxed,
        };
        options.limits = self.limits.unwrap_or_default().to_core();
        options.feed_retention_bytes = self.feed_retention_bytes;
        options.scrub_interval_s = self.scrub_interval_s;
        options.key = objects::key(self.key)?;
        options.encryption = self.encryption.unwrap_or_default().into();
        Ok(options)
    }
}
