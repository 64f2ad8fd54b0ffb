//! What a platform provides: storage, time, randomness. The lowest layer; the only one that may name a platform.

pub(crate) mod calendar;
mod clock;
mod entropy;
#[cfg(all(test, feature = "std"))]
mod failing;
#[cfg(all(feature = "std", any(unix, windows)))]
mod file;
#[cfg(all(test, feature = "std"))]
mod hand_set;
mod memory;
#[cfg(all(feature = "std", any(unix, windows)))]
mod priority;
mod read_back;
#[cfg(feature = "std")]
mod stop;
mod storage;
pub(crate) mod sync;
mod uuids;

#[cfg(feature = "std")]
pub use clock::SystemClock;
pub use clock::{Clock, FixedClock};
#[cfg(feature = "std")]
pub use entropy::SystemEntropy;
pub use entropy::{Entropy, SeededEntropy};
#[cfg(all(test, feature = "std"))]
pub(crate) use failing::Failing;
#[cfg(all(feature = "std", any(unix, windows)))]
pub use file::{FileStorage, OpenMode, canonical_name};
#[cfg(all(feature = "std", any(unix, windows)))]
pub(crate) use file::{beside, kind as storage_error_kind};
#[cfg(all(test, feature = "std"))]
pub(crate) use hand_set::HandSet;
pub use memory::MemoryStorage;
#[cfg(all(feature = "std", any(unix, windows)))]
pub(crate) use priority::stand_behind;
pub(crate) use read_back::ReadBack;
#[cfg(feature = "std")]
pub use stop::{Entered, Stop};
pub use storage::{FileId, Storage, StorageError, StorageErrorKind, Sync, SyncTicket};
pub use sync::MaybeSendSync;
pub(crate) use uuids::Uuids;
