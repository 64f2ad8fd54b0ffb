//! The records: random keys of 16 bytes, values of 100 that can be recognized by their key.

use super::Result;
use super::engine::Direction;

pub(crate) const KEY_BYTES: usize = 16;
pub(crate) const VALUE_BYTES: usize = 100;
/// What one record holds, and what sizes and write volumes are compared with.
pub(crate) const RECORD_BYTES: usize = KEY_BYTES + VALUE_BYTES;

pub(crate) type Key = [u8; KEY_BYTES];
pub(crate) type Value = [u8; VALUE_BYTES];
pub(crate) type Entry = (Key, Value);

/// Keys of indices from here on are never written: they are for looking up what is not there.
pub(crate) const MISSING: u64 = 1 << 60;

/// The key of a record. Increasing indices give keys in random order, so loading by index is a random load.
pub(crate) fn key(index: u64) -> Key {
    let mut key = [0; KEY_BYTES];
    key[..8].copy_from_slice(&mix(index.wrapping_mul(2)).to_be_bytes());
    key[8..].copy_from_slice(&mix(index.wrapping_mul(2).wrapping_add(1)).to_be_bytes());
    key
}

/// A value for `key`: its tag, the version, then bytes that no compressor shrinks.
pub(crate) fn value(key: &Key, version: u64) -> Value {
    let mut value = [0; VALUE_BYTES];
    value[..8].copy_from_slice(&tag(key).to_le_bytes());
    value[8..16].copy_from_slice(&version.to_le_bytes());
    let mut state = tag(key) ^ version.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    for chunk in value[16..].chunks_mut(8) {
        state = mix(state);
        chunk.copy_from_slice(&state.to_le_bytes()[..chunk.len()]);
    }
    value
}

/// The entry of `index` at `version`.
pub(crate) fn entry(index: u64, version: u64) -> Entry {
    let key = key(index);
    (key, value(&key, version))
}

/// A generator that gives the same sequence to every peer.
pub(crate) struct Random(u64);

impl Random {
    /// `purpose` keeps the sequences of different phases apart, `round` those of different rounds.
    pub(crate) fn new(purpose: &str, round: u64) -> Self {
        let purpose = purpose.bytes().fold(0, |hash, byte| mix(hash ^ u64::from(byte)));
        Self(mix(purpose ^ mix(round)))
    }

    /// A number below `limit`, which is not zero.
    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0) % limit
    }
}

/// Counts what was read and what of it was wrong: the same small work for every peer.
#[derive(Default)]
pub(crate) struct Check {
    seen: u64,
    wrong: u64,
}

impl Check {
    /// Looks at one value that was read for `key`.
    #[inline]
    pub(crate) fn value(&mut self, key: &[u8], value: &[u8]) {
        self.seen += 1;
        let right = value.len() == VALUE_BYTES
            && match (key.first_chunk(), value.first_chunk()) {
                (Some(key), Some(head)) => *head == tag(key).to_le_bytes(),
                _ => false,
            };
        self.wrong += u64::from(!right);
    }

    /// How many values were looked at.
    pub(crate) fn seen(&self) -> u64 {
        self.seen
    }

    /// Adds the counts of another thread.
    pub(crate) fn add(&mut self, other: &Check) {
        self.seen += other.seen;
        self.wrong += other.wrong;
    }

    /// An error unless `expected` values were seen and all of them were right.
    pub(crate) fn finish(&self, expected: u64) -> Result<()> {
        if self.seen != expected || self.wrong != 0 {
            return Err(format!("read {} values of {expected}, {} of them wrong", self.seen, self.wrong).into());
        }
        Ok(())
    }
}

/// Checks the order and the values of a scan.
pub(crate) struct ScanCheck {
    pub(crate) check: Check,
    direction: Direction,
    previous: Option<u128>,
}

impl ScanCheck {
    pub(crate) fn new(direction: Direction) -> Self {
        Self { check: Check::default(), direction, previous: None }
    }

    /// Starts anew: the next entry may have any key.
    pub(crate) fn restart(&mut self) {
        self.previous = None;
    }

    #[inline]
    pub(crate) fn entry(&mut self, key: &[u8], value: &[u8]) {
        self.check.value(key, value);
        let Some(number) = key.first_chunk().map(|key| u128::from_be_bytes(*key)) else { return };
        if let Some(previous) = self.previous {
            let ordered = match self.direction {
                Direction::Forward => previous < number,
                Direction::Backward => previous > number,
            };
            self.check.wrong += u64::from(!ordered);
        }
        self.previous = Some(number);
    }
}

/// What a value of `key` begins with.
#[inline]
fn tag(key: &Key) -> u64 {
    let number = u128::from_le_bytes(*key);
    let folded = (number as u64) ^ ((number >> 64) as u64).rotate_left(32);
    folded.wrapping_mul(0xd6e8_feb8_6659_fd93)
}

/// splitmix64's finalizer: a bijection whose outputs look random.
fn mix(number: u64) -> u64 {
    let mut z = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_recognized_only_by_its_own_key_at_any_version() {
        for (version, stranger) in [(0, 7), (9, 8)] {
            let (own, bytes) = entry(3, version);
            let mut check = Check::default();
            check.value(&own, &bytes);
            assert!(check.finish(1).is_ok());
            check.value(&key(stranger), &bytes);
            assert!(check.finish(2).is_err());
        }
    }

    #[test]
    fn a_scan_out_of_order_is_noticed() {
        let (mut low, mut high) = (entry(1, 0), entry(2, 0));
        if low.0 > high.0 {
            std::mem::swap(&mut low, &mut high);
        }
        for (direction, right) in [(Direction::Forward, true), (Direction::Backward, false)] {
            let mut scan = ScanCheck::new(direction);
            scan.entry(&low.0, &low.1);
            scan.entry(&high.0, &high.1);
            assert_eq!(scan.check.finish(2).is_ok(), right);
        }
    }

    #[test]
    fn a_short_count_is_an_error() {
        assert!(Check::default().finish(1).is_err());
    }
}
