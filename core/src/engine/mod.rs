//! The state machine: versions, commit, freeze, merge, checkpoint, recovery, verification. Reaches storage through `nodes`,
//! `log` and `space`; knows keys as bytes and tables not at all.
//!
//! Data moves one way: commit → log (durable) → memtable (visible) → merge → tree (compact) → log space reused.

mod activity;
mod archive;
mod backup;
mod backup_pass;
#[cfg(feature = "std")]
mod beside;
#[cfg(feature = "std")]
mod breaker;
mod changes;
mod check;
mod checkpoint;
mod commit;
mod compaction;
mod compaction_progress;
mod cursor;
#[cfg(feature = "testing")]
pub(crate) mod doors;
mod feed;
mod first_write;
mod flush;
#[cfg(feature = "std")]
mod guard;
#[cfg(feature = "std")]
mod guarded_storage;
#[cfg(feature = "std")]
mod healed;
#[cfg(feature = "std")]
mod health;
mod job;
#[cfg(feature = "encryption")]
mod keys;
mod layer;
mod leaf_run;
mod lease;
mod lending;
mod limits;
mod maintenance;
mod named;
mod node_ages;
mod nodes;
mod open;
mod options;
mod quarantine;
#[cfg(feature = "std")]
mod quarantined;
#[cfg(feature = "std")]
mod rate;
mod read;
mod read_ahead;
mod recent;
mod record;
mod recovery_stage;
#[cfg(feature = "encryption")]
mod reencryption;
#[cfg(feature = "encryption")]
mod renew;
mod requests;
mod scrub;
mod scrubs;
mod short;
mod space_rebuild;
mod state;
mod stats;
#[cfg(feature = "std")]
mod suspend;
#[cfg(feature = "std")]
mod transaction_memory;
mod values;
mod version;
mod watchers;
mod write_again;

pub use activity::Activity;
pub use archive::{ArchiveGap, ArchiveOptions};
pub use check::CheckReport;
pub use compaction_progress::{CompactionProgress, CompactionStage};
#[cfg(feature = "std")]
pub use guard::Mode;
#[cfg(feature = "std")]
pub use health::{Finding, Health, Severity};
pub use limits::Limits;
pub use maintenance::Progress;
pub use open::RecoveryReport;
pub use options::{Checksum, Compression, Durability, Verify};
#[cfg(feature = "encryption")]
pub use options::{Encryption, EncryptionKey, KeyInfo, KeyKind, KeyProvider, PassphraseCost};
pub use recovery_stage::RecoveryStage;
#[cfg(feature = "encryption")]
pub use reencryption::{Reencryption, ReencryptionStage};
pub use state::Environment;
pub use stats::{Latency, Stats};

#[cfg(feature = "std")]
pub(crate) use archive::{ArchiveRecord, RETAINED_MAX, Retained, require_valid};
pub(crate) use backup::BackupWork;
pub(crate) use commit::Appended;
pub(crate) use cursor::MergedCursor;
pub(crate) use feed::{FollowFrom, require_part};
#[cfg(feature = "std")]
pub(crate) use guard::Passed;
pub(crate) use named::Named;
pub(crate) use nodes::{Nodes, PREFETCHED_MAX};
pub(crate) use open::{OpenArguments, RECORD_BYTES_MAX};
#[cfg(feature = "encryption")]
pub(crate) use open::{may_be_of, unlock};
pub(crate) use options::{EngineOptions, KEY_BYTES_MAX};
pub(crate) use read::{FoundValue, count, estimate, get, get_in_memtable, inline, look, prefetch, show};
pub(crate) use recent::{OptimisticPin, Recent};
pub(crate) use record::CheckpointRecord;
pub(crate) use scrub::ScrubWork;
pub(crate) use short::ShortWindow;
pub(crate) use state::Engine;
#[cfg(feature = "std")]
pub(crate) use transaction_memory::OWN_BYTES;
pub(crate) use values::{BLOCK_BYTES, ValueReader, ValueWriter};
pub(crate) use version::Version;
pub(crate) use watchers::Watcher;
