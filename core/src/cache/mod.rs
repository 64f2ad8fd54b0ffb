//! Resident nodes within one memory budget. Uses `codec` and `env`; knows nothing of keys.

mod clock;

pub(crate) use clock::{CacheCounters, NodeCache};
