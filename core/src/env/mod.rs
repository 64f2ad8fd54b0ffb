//! What a platform provides: storage, time, randomness. The lowest layer; the only one that may name a platform.

mod clock;
mod entropy;
#[cfg(all(feature = "std", any(unix, windows)))]
mod file;
mod memory;
mod storage;
pub(crate) mod sync;

#[cfg(feature = "std")]
pub use clock::SystemClock;
pub use clock::{Clock, FixedClock};
#[cfg(feature = "std")]
pub use entropy::SystemEntropy;
pub use entropy::{Entropy, SeededEntropy};
#[cfg(all(feature = "std", any(unix, windows)))]
pub use file::{FileStorage, OpenMode, canonical_name};
pub use memory::MemoryStorage;
pub use storage::{FileId, Storage, StorageError, StorageErrorKind, Sync, SyncTicket};
pub use sync::MaybeSendSync;
