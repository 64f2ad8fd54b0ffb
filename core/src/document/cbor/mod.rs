//! Documents as bytes: CBOR (RFC 8949), of which documents use a simple part.
//!
//! - Lengths come first: items of indefinite length are refused, so that any item is stepped over by counting. Numbers and
//!   lengths may be longer than they need be when they come from elsewhere; [`encode`] writes the shortest.
//! - Names of fields are text, each once in its map. Text is UTF-8. Maps and arrays lie at most 64 deep, and the whole has
//!   at most 16 MiB.
//! - A timestamp is tag 1 with whole seconds, or tag 1001 with a map `{1: seconds, -6: microseconds}` (RFC 9581); a UUID is
//!   tag 37 with 16 bytes (RFC 9562). Other tags, `undefined` and unassigned simple values are refused.
//!
//! All that reads documents steps from [`head`] to head. Values are written with `minicbor`, which reads them in tests, too: they
//! and the fuzzer hold the two to the same opinion of every document.

mod decode;
pub(super) mod encode;
mod head;
mod index_key;
mod lookup;
mod project;
mod validate;
#[cfg(any(test, feature = "testing"))]
mod witness;

#[cfg(test)]
mod tests;

pub(crate) use decode::decode;
pub(crate) use encode::encode;
#[cfg(feature = "serde")]
pub(super) use head::{Head, Reader};
pub(crate) use index_key::{encode_folded_key_of, encode_key_of};
pub(crate) use lookup::{elements, lookup};
pub(crate) use project::project;
#[cfg(feature = "serde")]
pub(super) use validate::too_deep;
pub(crate) use validate::{validate, validate_item};
#[cfg(any(test, feature = "testing"))]
pub(in crate::document) use witness::decode_by_minicbor;

/// Maps and arrays within each other, the document included.
pub(crate) const DEPTH_MAX: usize = 64;
/// Bytes of a document.
pub(crate) const DOCUMENT_BYTES_MAX: usize = 16 << 20;

/// Seconds since the beginning of 1970.
const TAG_SECONDS: u64 = 1;
/// A map of seconds and parts of a second.
const TAG_EXTENDED_TIME: u64 = 1001;
const TAG_UUID: u64 = 37;
/// Names in the map of [`TAG_EXTENDED_TIME`].
const TIME_SECONDS: i64 = 1;
const TIME_MICROS: i64 = -6;

const MICROS_PER_SECOND: i64 = 1_000_000;
