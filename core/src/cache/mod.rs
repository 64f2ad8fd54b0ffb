//! Resident nodes within one memory budget. Uses `codec` and `env`; knows nothing of keys.
//!
//! `clock` decides what stays, under locks; `residents` finds it without one; `reader` numbers the threads.

mod clock;
mod reader;
mod residents;

pub(crate) use clock::{CacheCounters, NodeCache};
pub(crate) use residents::Pin;
