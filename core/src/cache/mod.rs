//! Resident nodes within one memory budget. Uses `codec` and `env`; knows nothing of keys.
//!
//! `clock` decides what stays, under locks; `residents` finds it without one; `reader` numbers the threads;
//! `points` remembers where keys were found.

mod clock;
mod points;
mod reader;
mod residents;

pub(crate) use clock::{CacheCounters, NodeCache};
pub(crate) use points::{Point, Points};
pub(crate) use residents::Pin;
