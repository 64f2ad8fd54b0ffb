//! Maps and sets by hashes, for what is looked up and never walked in order.
//!
//! With the standard library they hash as `hashbrown` does. Without it that has no randomness to begin with, and its seeds and wide
//! multiplications are most of its code: there a multiplication a word does.

#[cfg(feature = "std")]
pub type HashMap<K, V> = hashbrown::HashMap<K, V>;
#[cfg(feature = "std")]
pub type HashSet<T> = hashbrown::HashSet<T>;
#[cfg(not(feature = "std"))]
pub type HashMap<K, V> = hashbrown::HashMap<K, V, core::hash::BuildHasherDefault<Mixed>>;
#[cfg(not(feature = "std"))]
pub type HashSet<T> = hashbrown::HashSet<T, core::hash::BuildHasherDefault<Mixed>>;

/// Multiplies each word by an odd number, and what comes of it once more; the upper half of a product, where the bits are mixed best,
/// goes into the lower, by which places are chosen.
#[cfg(any(test, not(feature = "std")))]
#[derive(Clone, Copy, Default)]
pub struct Mixed(u64);

/// The golden ratio, of which no bits repeat.
#[cfg(any(test, not(feature = "std")))]
const RATIO: u64 = 0x9e37_79b9_7f4a_7c15;

#[cfg(any(test, not(feature = "std")))]
impl core::hash::Hasher for Mixed {
    fn write(&mut self, bytes: &[u8]) {
        for word in bytes.chunks(8) {
            self.write_u64(word.iter().fold(word.len() as u64, |all, byte| (all << 8) ^ u64::from(*byte)));
        }
    }

    fn write_u8(&mut self, number: u8) {
        self.write_u64(u64::from(number));
    }

    fn write_u32(&mut self, number: u32) {
        self.write_u64(u64::from(number));
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = (self.0.rotate_left(23) ^ number).wrapping_mul(RATIO);
    }

    fn write_usize(&mut self, number: usize) {
        self.write_u64(number as u64);
    }

    fn finish(&self) -> u64 {
        let all = (self.0 ^ (self.0 >> 32)).wrapping_mul(RATIO);
        all ^ (all >> 32)
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::String;
    use alloc::vec::Vec;
    use alloc::{format, vec};
    use core::hash::{Hash, Hasher};

    use super::Mixed;

    fn hashed<T: Hash>(value: &T) -> u64 {
        let mut hasher = Mixed::default();
        value.hash(&mut hasher);
        hasher.finish()
    }

    /// Of 4096 hashes, how many share the fullest of 4096 places, and the commonest tag of 128: both of 32 bits, as in browsers.
    fn fullest(hashes: impl Iterator<Item = u64>) -> (usize, usize) {
        let (mut places, mut tags) = (vec![0; 4096], vec![0; 128]);
        for hash in hashes.take(4096) {
            places[hash as usize % 4096] += 1;
            tags[hash as u32 as usize >> 25] += 1;
        }
        (places.into_iter().max().unwrap_or(0), tags.into_iter().max().unwrap_or(0))
    }

    #[test]
    fn what_databases_look_up_is_spread_evenly() {
        let spread = |(place, tag): (usize, usize)| place <= 12 && tag <= 96;
        assert!(spread(fullest((0..4096_u64).map(|number| hashed(&number)))));
        assert!(spread(fullest((0..4096_u64).map(|number| hashed(&(number << 12))))));
        assert!(spread(fullest((0..4096_u64).map(|number| hashed(&(number << 40))))));
        assert!(spread(fullest((0..4096_u64).map(|number| hashed(&(number * 8192, 7_u32))))));
        let names: Vec<String> = (0..4096).map(|number| format!("table {number}")).collect();
        assert!(spread(fullest(names.iter().map(hashed))));
        let keys: Vec<Vec<u8>> = (0..4096_u32).map(|number| number.to_be_bytes().to_vec()).collect();
        assert!(spread(fullest(keys.iter().map(hashed))));
    }

    #[test]
    fn lengths_are_told_apart() {
        assert_ne!(hashed(&vec![0_u8; 3]), hashed(&vec![0_u8; 4]));
        assert_ne!(hashed(&("ab", "c")), hashed(&("a", "bc")));
    }
}
