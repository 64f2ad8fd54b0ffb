//! Typed keys and values, table definitions and the catalogue of tables. Everything below this layer knows only bytes
//! in one key space; this layer says which bytes. Uses `codec` and the error type; never touches storage.
//!
//! A key in the key space is the [table's prefix](prefix) followed by the key's own encoding.
//!
//! **Architecture invariant:** for any two keys of one type, comparing their encodings as bytes gives the same answer as
//! comparing the keys, and no other comparison exists anywhere in the engine.

#![deny(clippy::indexing_slicing)]

pub(crate) mod catalogue;
mod definition;
#[cfg(feature = "testing")]
pub(crate) mod doors;
mod key;
pub(crate) mod prefix;
mod stored;
mod value;

pub use definition::Table;
pub(crate) use definition::validate_name;
pub(crate) use key::range::{prefix_bounds, range_bounds};
pub use key::{Key, KeyBuffer, KeyPart, KeyPrefix, KeyRange};
pub use stored::{Lend, Stored};
pub use value::Value;
