//! The tree against a map ([`model`]), the bytes of nodes ([`format`]), what merges cost ([`cost`]).

#[cfg(feature = "std")]
mod bench;
mod cost;
mod format;
mod model;
mod store;
