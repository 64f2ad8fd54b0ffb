//! Sizes and limits of one engine, derived from the options an application gives.

pub use crate::codec::checksum::Checksum;
#[cfg(feature = "encryption")]
pub use crate::codec::cipher::{Encryption, EncryptionKey, KeyInfo, KeyKind, KeyProvider, PassphraseCost};
pub use crate::codec::compress::Compression;

use super::limits::Limits;

/// When a commit is acknowledged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// When it has reached the medium: it survives a power loss.
    #[default]
    Sync,
    /// At once; a sync follows within the interval, so a power loss may take the commits of up to that long.
    Periodic {
        /// The longest time between a commit and its sync, in milliseconds.
        interval_ms: u32,
    },
    /// At once: it survives a killed process or tab; a power loss may take whatever was not yet merged.
    Relaxed,
}

/// How much is taken on trust between one look at a byte and the next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Verify {
    /// A node or value is proven by its checksum when it is read from storage, and trusted while it is in memory. What is written is
    /// taken to be what storage has until it is read again.
    #[default]
    Resident,
    /// Nothing stays in memory but what is not merged yet: each read takes nodes from storage, and proves them. What is written is read back and
    /// compared before anything refers to it; what reads back is what the system shows, which until a sync may be its memory.
    /// For a machine whose memory or medium is in doubt: a read costs several times as much.
    Always,
}

/// Keys are at most this long, in bytes, with the table's prefix: 64 KiB and room for any prefix.
pub(crate) const KEY_BYTES_MAX: usize = 64 * 1024 + 16;
/// Values are at most this long, in bytes.
pub(crate) const VALUE_BYTES_MAX: u64 = 4 << 30;

/// What the engine is told.
#[derive(Clone, Debug)]
pub(crate) struct EngineOptions {
    pub read_only: bool,
    pub create: bool,
    /// A memtable is frozen at this size.
    pub memtable_bytes: usize,
    /// Resident nodes, however much memtables hold.
    pub cache_bytes: usize,
    /// What of the memtables' part resident nodes may take as long as memtables hold little.
    pub lendable_bytes: usize,
    /// One log segment.
    pub segment_bytes: u32,
    /// The log file never grows beyond this.
    pub log_bytes_max: u64,
    /// The log keeps so much for change feeds, beside that.
    pub feed_retention_bytes: u64,
    /// Longer values live in extents of their own.
    pub inline_bytes_max: usize,
    /// One transaction's changes.
    pub transaction_bytes_max: usize,
    pub compression: Compression,
    pub checksum: Checksum,
    pub verify: Verify,
    /// Of a new database that gets a key.
    #[cfg(feature = "encryption")]
    pub encryption: Encryption,
    #[cfg(feature = "encryption")]
    pub key: Option<EncryptionKey>,
    /// Entries a step of background work handles.
    pub step_entries: usize,
    pub limits: Limits,
    /// Whoever asks may be kept waiting.
    #[cfg(feature = "std")]
    pub may_wait: bool,
}

impl EngineOptions {
    /// Splits one memory budget: two memtables (active and frozen) of a fifth each, at most 8 MiB; the rest for nodes,
    /// less a sixteenth for the space map, buffers and bookkeeping.
    pub(crate) fn within(memory_budget_bytes: usize) -> Self {
        let budget = memory_budget_bytes.max(2 << 20);
        let memtable_bytes = (budget / 5).clamp(256 << 10, 8 << 20);
        Self {
            read_only: false,
            create: true,
            memtable_bytes,
            cache_bytes: budget - 2 * memtable_bytes - budget / 16,
            lendable_bytes: super::lending::lendable(budget, 2 * memtable_bytes),
            segment_bytes: 1 << 20,
            log_bytes_max: (memtable_bytes as u64 * 6).clamp(4 << 20, 64 << 20),
            feed_retention_bytes: 0,
            inline_bytes_max: 8 << 10,
            transaction_bytes_max: (memtable_bytes).max(1 << 20),
            compression: Compression::default(),
            checksum: Checksum::default(),
            verify: Verify::default(),
            #[cfg(feature = "encryption")]
            encryption: Encryption::default(),
            #[cfg(feature = "encryption")]
            key: None,
            step_entries: 4096,
            limits: Limits::default(),
            #[cfg(feature = "std")]
            may_wait: true,
        }
    }
}
