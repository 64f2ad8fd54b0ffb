//! Compression of leaves, kept only where it pays: LZ4 everywhere, Zstandard with the feature `zstd`.

use alloc::vec::Vec;

/// How the leaves of a database are compressed, chosen when it is made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Compression {
    /// Leaves are stored as they are.
    None,
    /// By LZ4, each leaf for which it pays.
    #[default]
    Lz4,
    /// By Zstandard, each leaf for which it pays: smaller than LZ4 and slower. The file opens only in builds with the feature
    /// `zstd`.
    #[cfg(feature = "zstd")]
    Zstd,
}

/// The numbers of the methods in the flags of a node.
const LZ4: u8 = 1;
#[cfg(feature = "zstd")]
const ZSTD: u8 = 2;

impl Compression {
    /// A name for people.
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Lz4 => "LZ4",
            #[cfg(feature = "zstd")]
            Self::Zstd => "Zstandard",
        }
    }

    /// The method's number and the block of `raw`, or `None` when it would save less than an eighth.
    pub(crate) fn compress(self, raw: &[u8]) -> Option<(u8, Vec<u8>)> {
        let (method, block) = match self {
            Self::None => return None,
            Self::Lz4 => (LZ4, lz4_flex::block::compress(raw)),
            #[cfg(feature = "zstd")]
            Self::Zstd => (ZSTD, zstandard::compress(raw)?),
        };
        (block.len() <= raw.len() - raw.len() / 8).then_some((method, block))
    }
}

/// Whether this build can decompress by `method`; 0 is none at all.
pub(crate) fn is_known(method: u8) -> bool {
    match method {
        0 | LZ4 => true,
        #[cfg(feature = "zstd")]
        ZSTD => true,
        _ => false,
    }
}

/// The `raw_len` bytes that were compressed by `method`, or `None` if the block is not one or decodes to another length.
pub(crate) fn decompress(method: u8, block: &[u8], raw_len: usize) -> Option<Vec<u8>> {
    let raw = match method {
        LZ4 => lz4_flex::block::decompress(block, raw_len).ok(),
        #[cfg(feature = "zstd")]
        ZSTD => zstandard::decompress(block, raw_len),
        _ => None,
    };
    raw.filter(|raw| raw.len() == raw_len)
}

/// Zstandard frames by the C library. Its working memory is kept for each thread: to make it anew for every leaf would cost
/// more than compressing it.
#[cfg(feature = "zstd")]
mod zstandard {
    use alloc::vec::Vec;
    use std::cell::RefCell;

    use zstd::bulk::{Compressor, Decompressor};

    /// The library's default; beyond it leaves of a few KiB hardly shrink.
    const LEVEL: i32 = 3;

    std::thread_local! {
        static COMPRESSOR: RefCell<Option<Compressor<'static>>> = const { RefCell::new(None) };
        static DECOMPRESSOR: RefCell<Option<Decompressor<'static>>> = const { RefCell::new(None) };
    }

    /// `None` where there is no memory for it: then the leaf is stored as it is.
    pub(super) fn compress(raw: &[u8]) -> Option<Vec<u8>> {
        COMPRESSOR.with_borrow_mut(|compressor| {
            if compressor.is_none() {
                *compressor = Compressor::new(LEVEL).ok();
            }
            compressor.as_mut()?.compress(raw).ok()
        })
    }

    pub(super) fn decompress(block: &[u8], raw_len: usize) -> Option<Vec<u8>> {
        DECOMPRESSOR.with_borrow_mut(|decompressor| {
            if decompressor.is_none() {
                *decompressor = Decompressor::new().ok();
            }
            decompressor.as_mut()?.decompress(block, raw_len).ok()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    const ALL: &[Compression] = &[
        Compression::Lz4,
        #[cfg(feature = "zstd")]
        Compression::Zstd,
    ];

    #[test]
    fn what_compresses_comes_back_and_what_does_not_is_left() {
        let repeated = b"the same again, ".repeat(200);
        let mut state = 1u64;
        let noise: Vec<u8> = (0..4000)
            .map(|_| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                (state >> 56) as u8
            })
            .collect();
        for compression in ALL {
            let (method, block) = compression.compress(&repeated).unwrap();
            assert!(block.len() < repeated.len() / 8, "{compression:?}");
            assert!(is_known(method));
            assert_eq!(decompress(method, &block, repeated.len()), Some(repeated.clone()));
            assert!(compression.compress(&noise).is_none(), "{compression:?}");
        }
        assert!(Compression::None.compress(&repeated).is_none());
        assert!(!is_known(3));
    }

    #[test]
    fn a_damaged_block_is_refused_or_has_the_length_promised() {
        let raw = b"one two three one two three four ".repeat(20);
        for compression in ALL {
            let (method, block) = compression.compress(&raw).unwrap();
            for len in [0, raw.len() - 1, raw.len() + 1, 4 << 20] {
                assert_eq!(decompress(method, &block, len), None, "{compression:?}: another length");
            }
            for at in 0..block.len() {
                let mut damaged = block.clone();
                damaged[at] ^= 0x55;
                let decoded = decompress(method, &damaged, raw.len());
                assert!(decoded.is_none_or(|decoded| decoded.len() == raw.len()));
                assert_eq!(decompress(method, &block[..at], raw.len()), None, "{compression:?}: cut");
            }
            assert_eq!(decompress(method, &vec![0xff; 300], raw.len()), None);
        }
    }
}
