//! Documents as values and bytes: what a value is, how it is stored (CBOR), how it is a key, and how parts of it are found
//! and changed. Pure: uses `table` for escaping keys and the error type, knows no transaction and never touches storage.
//!
//! A document is a CBOR map (RFC 8949) whose keys are text. Everything else is built on two forms of a [`Value`]: its
//! CBOR, which keeps what was written, and its key, of which equal values have the same.
//!
//! **Architecture invariant:** every function here that takes bytes takes any bytes, and gives an answer or an error within
//! memory in proportion to them. What a value is equal to, and where it stands in the order, is decided by its key alone;
//! [`Value`]'s own comparisons and the keys made straight from CBOR agree with it.

#![deny(clippy::indexing_slicing)]

pub(crate) mod cbor;
#[cfg(feature = "testing")]
pub(crate) mod doors;
mod fold;
pub(crate) mod key;
mod named_type;
mod patch;
mod path;
pub mod query;
mod table_key;
mod text;
#[cfg(feature = "serde")]
mod typed;
mod update;
mod value;

#[cfg(test)]
mod strategies;

pub(crate) use fold::fold;
pub use named_type::NamedType;
pub(crate) use patch::merge_patch;
pub use path::Path;
pub(crate) use table_key::TYPE_NAME as KEY_TYPE;
#[cfg(feature = "serde")]
pub(crate) use typed::{from_document, to_document};
pub(crate) use update::{put_at, remove_at};
pub use value::Value;
