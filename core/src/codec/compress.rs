//! LZ4 block compression of leaves, kept only when it pays.

use alloc::vec::Vec;

/// How the leaves of a tree are compressed when they are written. Any leaf can be read whatever this says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Compression {
    /// Leaves are stored as they are.
    None,
    /// By LZ4, each leaf for which it pays.
    #[default]
    Lz4,
}

/// The LZ4 block of `raw`, or `None` when it would save less than an eighth.
pub(crate) fn lz4(raw: &[u8]) -> Option<Vec<u8>> {
    let compressed = lz4_flex::block::compress(raw);
    (compressed.len() <= raw.len() - raw.len() / 8).then_some(compressed)
}

/// The `raw_len` bytes that were compressed, or `None` if the block is not one or decodes to another length.
pub(crate) fn lz4_decompress(block: &[u8], raw_len: usize) -> Option<Vec<u8>> {
    lz4_flex::block::decompress(block, raw_len).ok().filter(|raw| raw.len() == raw_len)
}
