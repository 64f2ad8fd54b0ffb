//! Resident nodes within one memory budget. Uses `codec` and `env`; knows nothing of keys.
//!
//! `frames` is the memory nodes are in; `clock` decides what stays, under locks; `residents` finds it without one;
//! `pins` and `barrier` tell who reads; `points` remembers where keys were found; `reader` numbers the threads.

mod barrier;
mod clock;
mod frames;
mod pins;
mod points;
mod reader;
mod residents;

pub(crate) use clock::{CacheCounters, NodeCache};
pub(crate) use frames::{Block, GIVES_PAGES_BACK, Pool};
pub(crate) use residents::{Hashed, Pin, Pinned};
