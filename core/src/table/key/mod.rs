//! Keys: encodings whose byte order is the order of the keys.

mod buffer;
mod number;
pub(crate) mod range;
#[cfg(test)]
mod tests;
mod text;
mod tuple;

use alloc::format;

use super::Stored;
use crate::error::{Error, Result};

pub use buffer::KeyBuffer;
pub use range::{KeyPrefix, KeyRange};

/// A type of keys.
///
/// # What an implementation must keep
/// - `a < b` exactly when the encoding of `a` is less than that of `b`, byte by byte; equal keys have equal encodings.
/// - [`decode`](Key::decode) gives back what was encoded, and for every other sequence of bytes an error. It never panics.
/// - The encoding does not depend on the platform, and a [type name](Stored::type_name) stands for one encoding for ever.
pub trait Key: Stored {
    /// Appends the encoding of `key`. Fails for values that have no place in the order (NaN).
    fn encode(key: &Self::Borrowed<'_>, out: &mut KeyBuffer) -> Result<()>;

    /// Reads a key that takes all of `bytes`.
    fn decode(bytes: &[u8]) -> Result<Self::Borrowed<'_>>;
}

/// A key that can be a component of a tuple: its encoding tells where it ends.
///
/// Beside what [`Key`] asks, no encoding of a part is the beginning of another.
pub trait KeyPart: Key {
    /// The component as read out of a tuple; it can borrow only what needed no escaping.
    type Part<'a>;

    /// A key as a component.
    fn part(key: Self::Borrowed<'_>) -> Self::Part<'_>;

    /// Detaches a component from the bytes it was read from.
    fn part_into_owned(part: Self::Part<'_>) -> Self::Owned;

    /// Appends the self-delimiting encoding.
    fn encode_part(part: &Self::Part<'_>, out: &mut KeyBuffer) -> Result<()>;

    /// Reads a component from the front of `bytes`, and gives the rest.
    fn decode_part(bytes: &[u8]) -> Result<(Self::Part<'_>, &[u8])>;
}

/// The error for bytes that are no key of this type.
#[cold]
fn not_a_key<K: Stored>(bytes: &[u8]) -> Error {
    let shown = bytes.get(..32).unwrap_or(bytes).escape_ascii();
    let more = if bytes.len() > 32 { "..." } else { "" };
    Error::invalid(format!(
        "the {} bytes \"{shown}{more}\" are not a key of type {}; open the table with the key type it was made with",
        bytes.len(),
        K::type_name()
    ))
}

/// Refuses what is left behind a key.
fn at_end<K: Stored, P>((part, rest): (P, &[u8]), bytes: &[u8]) -> Result<P> {
    if rest.is_empty() { Ok(part) } else { Err(not_a_key::<K>(bytes)) }
}
