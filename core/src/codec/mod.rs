//! Checksums, compression, encryption, and bounded reading and writing of integers. Uses `env` only for errors, randomness and
//! locks.

pub(crate) mod bytes;
pub(crate) mod checksum;
pub(crate) mod cipher;
pub(crate) mod compress;
#[cfg(any(test, target_family = "wasm"))]
mod crc32;
pub(crate) mod slot;
