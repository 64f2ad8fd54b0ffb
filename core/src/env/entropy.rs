//! Randomness comes in from outside, so that a seed replays a run.

use core::sync::atomic::{AtomicUsize, Ordering};

use super::sync::MaybeSendSync;
#[cfg(feature = "std")]
use crate::error::Error;
use crate::error::Result;

/// A source of random bytes for database ids, incarnations and salts.
pub trait Entropy: MaybeSendSync {
    /// Fills `buf` with bytes nobody can predict (in production). An implementation that gives the same bytes twice, over two openings
    /// as well, breaks the encryption of a database that it is given to.
    fn fill(&self, buf: &mut [u8]);

    /// As [`fill`](Self::fill), for keys: an error where what there is will not do for that.
    fn fill_key(&self, buf: &mut [u8]) -> Result<()> {
        self.fill(buf);
        Ok(())
    }
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

/// The operating system's generator.
#[cfg(feature = "std")]
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemEntropy;

#[cfg(feature = "std")]
impl Entropy for SystemEntropy {
    fn fill(&self, buf: &mut [u8]) {
        #[cfg(any(unix, windows))]
        if getrandom::fill(buf).is_ok() {
            return;
        }
        fill_from_hash_seeds(buf);
    }

    fn fill_key(&self, buf: &mut [u8]) -> Result<()> {
        #[cfg(any(unix, windows))]
        if getrandom::fill(buf).is_ok() {
            return Ok(());
        }
        let _ = buf;
        Err(Error::Unsupported {
            what: "making a key: the system gives no random numbers".into(),
            remedy: "let the program have the system's generator, or open the database with an Entropy of your own",
        })
    }
}

/// What is left where the system's generator cannot be had (a sandbox that forbids both the call and the device): the
/// seeds the standard library draws for its hash maps, each keying SipHash over a counter and the time. Different at every
/// call and on every machine, which ids and salts need; not meant for secret keys.
#[cfg(feature = "std")]
fn fill_from_hash_seeds(buf: &mut [u8]) {
    use core::hash::{BuildHasher, Hash, Hasher};
    static CALLS: AtomicUsize = AtomicUsize::new(0);
    for chunk in buf.chunks_mut(8) {
        let mut hasher = std::hash::RandomState::new().build_hasher();
        CALLS.fetch_add(1, Ordering::Relaxed).hash(&mut hasher);
        std::time::SystemTime::now().hash(&mut hasher);
        std::process::id().hash(&mut hasher);
        for (to, from) in chunk.iter_mut().zip(hasher.finish().to_le_bytes()) {
            *to = from;
        }
    }
}

#[cfg(all(test, feature = "std"))]
mod tests {
    use super::*;

    #[test]
    fn system_entropy_fills_all_of_it_differently_each_time() {
        for fill in [|buf: &mut [u8]| SystemEntropy.fill(buf), fill_from_hash_seeds] {
            let (mut first, mut second) = ([0; 61], [0; 61]);
            fill(&mut first);
            fill(&mut second);
            assert_ne!(first, second);
            // 61 bytes without one among them that is not zero: once in 2^256.
            assert!(first[..32].iter().any(|byte| *byte != 0) && first[32..].iter().any(|byte| *byte != 0));
            assert!(first.chunks(8).collect::<std::collections::HashSet<_>>().len() == 8, "{first:?}");
        }
    }
}
