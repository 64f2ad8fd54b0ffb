//! Doors to the decoders of everything that a file may hold, for tests that feed them arbitrary bytes.
//!
//! Each takes any bytes at all. Where they decode, what was decoded must be usable (every accessor gives an answer), and
//! encode again to what it was decoded from: a door panics where that is not so. A door whose name ends in `resealed` first
//! makes the checksum right that would keep arbitrary bytes out.

#[cfg(feature = "encryption")]
pub use crate::codec::cipher::key_area;
pub use crate::document::doors::{document, document_key, path};
pub use crate::document::query::doors::{query_cbor, query_text};
pub use crate::engine::doors::{checkpoint_record, record_head, reseal, value_reference};
pub use crate::increment::doors::{archive_piece, increment, increment_resealed, reseal_increment};
pub use crate::log::doors::{frame, frame_resealed, log, log_resealed, operations};
pub use crate::space::doors::{space, superblock, superblock_resealed};
pub use crate::table::doors::{definition, keys, values};
pub use crate::tree::doors::{node, node_compressed};

/// Seeds: what these doors find in the data file of a real database, and in a log, by the name of the door.
pub fn seeds(data: &[u8]) -> alloc::vec::Vec<(&'static str, alloc::vec::Vec<u8>)> {
    let mut seeds = crate::engine::doors::seeds(data);
    seeds.extend(crate::log::doors::seeds());
    seeds.extend(crate::increment::doors::seeds());
    #[cfg(feature = "encryption")]
    seeds.push(("key_area", crate::codec::cipher::key_area_seed()));
    seeds
}
