//! Rust types as documents, by way of serde.
//!
//! Fields have the names serde gives them. Lengths are counted before they are written, so `#[serde(flatten)]` and iterators
//! of unknown length are written as all documents are. Keys of maps are text: numbers, chars and variants without content
//! become text, and come back. `None` and `()` are null, an enum is its variant's name or a map of that name to its content.
//!
//! What other languages write is read leniently: whole floats where a type asks for an integer, integers where it asks for a
//! float, bytes and UUIDs where it asks for a sequence of `u8`. A timestamp is an integer of microseconds to a type that asks
//! for one. Writing a timestamp or UUID takes a [`Value`](super::Value) in the type: to serde they are newtype structs of
//! names that only this bridge knows, and maps of one field of such a name to types that take anything.

mod read;
#[cfg(test)]
mod tests;
mod value;
mod write;

use alloc::string::ToString;
use alloc::vec::Vec;
use core::fmt::Display;

use serde::de::DeserializeOwned;
use serde::ser::Serialize;

use crate::error::{Error, Result};

/// What stands for a timestamp, as serde sees it: a newtype struct of this name when written, a map of one field of this
/// name when read.
const TIMESTAMP: &str = "$lightning_db::Timestamp";
/// The same for a UUID, which is text when read.
const UUID: &str = "$lightning_db::Uuid";

/// The CBOR that a value of a Rust type is. Whoever stores it sees whether it is a document, as of any bytes.
pub(crate) fn to_document<T: Serialize + ?Sized>(value: &T) -> Result<Vec<u8>> {
    write::write(value)
}

/// The value of a Rust type that a document is.
pub(crate) fn from_document<T: DeserializeOwned>(document: &[u8]) -> Result<T> {
    let mut reader = read::Documents::new(document);
    let value = T::deserialize(&mut reader)?;
    reader.end()?;
    Ok(value)
}

impl serde::ser::Error for Error {
    fn custom<M: Display>(message: M) -> Self {
        Error::invalid(message.to_string())
    }
}

impl serde::de::Error for Error {
    fn custom<M: Display>(message: M) -> Self {
        Error::invalid(message.to_string())
    }
}
