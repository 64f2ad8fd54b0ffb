//! The tree against a map ([`model`]), the bytes of nodes ([`format`]), what merges cost ([`cost`]), and what is no tree
//! ([`bomb`]).

#[cfg(feature = "std")]
mod bench;
mod bomb;
mod cost;
mod format;
mod model;
mod store;
