//! Checksums, compression, and bounded reading and writing of integers. Uses `env` only for errors.

pub(crate) mod bytes;
pub(crate) mod checksum;
pub(crate) mod compress;
pub(crate) mod slot;
