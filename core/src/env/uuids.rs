//! UUIDs of version 7 (RFC 9562, section 5.7): the time in milliseconds, then random bits.

use super::sync::Mutex;
use super::{Clock, Entropy};

/// Bits behind the time, without those that say version and variant.
const RANDOM_BITS: u32 = 74;

/// Makes UUIDs each of which is above all that it has made before, also within a millisecond and when the clock goes back.
#[derive(Debug, Default)]
pub(crate) struct Uuids {
    /// Time and random bits of the last one, as one number.
    last: Mutex<u128>,
}

impl Uuids {
    /// A new one, in the order of its bytes.
    pub(crate) fn next(&self, clock: &dyn Clock, entropy: &dyn Entropy) -> [u8; 16] {
        let mut random = [0; 16];
        entropy.fill(&mut random);
        // The first bit is left clear, so that many can follow within the millisecond.
        let random = u128::from_le_bytes(random) & ((1 << (RANDOM_BITS - 1)) - 1);
        let fresh = u128::from(clock.wall_ms() & ((1 << 48) - 1)) << RANDOM_BITS | random;
        let mut last = self.last.lock();
        *last = fresh.max(*last + 1);
        spread(*last)
    }
}

/// The bits of time and random numbers around those that say version and variant.
fn spread(bits: u128) -> [u8; 16] {
    let (time, a, b) = (bits >> RANDOM_BITS, bits >> 62 & 0xfff, bits & ((1 << 62) - 1));
    (time << 80 | 0x7 << 76 | a << 64 | 0b10 << 62 | b).to_be_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::env::{FixedClock, SeededEntropy};

    #[test]
    fn each_is_above_those_before_whatever_the_clock_says() {
        let (uuids, entropy) = (Uuids::default(), SeededEntropy::new(1));
        let mut last = [0; 16];
        for ms in [5, 5, 5, 7, 6, 6, 1 << 40, 0] {
            for _ in 0..100 {
                let next = uuids.next(&FixedClock(ms), &entropy);
                assert!(next > last, "{next:x?} after {last:x?}");
                assert_eq!((next[6] >> 4, next[8] >> 6), (7, 2), "version and variant");
                last = next;
            }
        }
        assert_eq!(last[..6], (1_u64 << 40).to_be_bytes()[2..], "the clock went back");
    }

    #[test]
    fn the_example_of_the_standard() {
        // RFC 9562, appendix A.6: 017F22E2-79B0-7CC3-98C4-DC0C0C07398F.
        let (time, a, b) = (0x017f_22e2_79b0_u128, 0xcc3_u128, 0x18c4_dc0c_0c07_398f_u128);
        let uuid = spread(time << RANDOM_BITS | a << 62 | b);
        assert_eq!(u128::from_be_bytes(uuid), 0x017f_22e2_79b0_7cc3_98c4_dc0c_0c07_398f);
    }
}
