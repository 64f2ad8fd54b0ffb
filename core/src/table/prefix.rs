//! The table's number in front of every key. Order is kept, so a table's keys are one range of the key space.
//!
//! A number below 0xF0 is one byte. Any other is 0xEF + n followed by its n significant bytes, highest first (n is 1 to
//! 8). The first bytes 0xF8 to 0xFF are not used, so every table's range has an end.

use super::KeyBuffer;

/// Numbers below this are one byte.
const SINGLE_MAX: u64 = 0xf0;

/// No prefix is longer.
pub(crate) const LEN_MAX: usize = 9;

/// Table 0 holds the definitions of the others.
pub(crate) const CATALOGUE: u64 = 0;

/// Appends the prefix of table `id`.
#[inline]
pub(crate) fn encode_prefix(id: u64, out: &mut KeyBuffer) {
    if id < SINGLE_MAX {
        out.push(id as u8);
    } else {
        encode_long(id, out);
    }
}

/// Splits a key of the key space into its table and the rest. `None` if it begins with no prefix.
pub(crate) fn split(key: &[u8]) -> Option<(u64, &[u8])> {
    let (&first, rest) = key.split_first()?;
    if u64::from(first) < SINGLE_MAX {
        return Some((u64::from(first), rest));
    }
    let (bytes, rest) = rest.split_at_checked(usize::from(first) - (SINGLE_MAX as usize - 1))?;
    let mut whole = [0; 8];
    // Fails for lengths above 8.
    whole.get_mut(8usize.checked_sub(bytes.len())?..)?.copy_from_slice(bytes);
    let id = u64::from_be_bytes(whole);
    let has_one_form = id >= SINGLE_MAX && bytes.first() != Some(&0);
    has_one_form.then_some((id, rest))
}

/// The lowest bytes above all keys of table `id`.
pub(crate) fn end_of(id: u64) -> KeyBuffer {
    let mut end = KeyBuffer::new();
    match id.checked_add(1) {
        Some(next) => encode_prefix(next, &mut end),
        None => end.push(0xf8),
    }
    end
}

#[cold]
fn encode_long(id: u64, out: &mut KeyBuffer) {
    let skipped = id.leading_zeros() / 8;
    out.push((SINGLE_MAX + 7 - u64::from(skipped)) as u8);
    out.extend(id.to_be_bytes().get(skipped as usize..).unwrap_or_default());
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn prefix(id: u64) -> KeyBuffer {
        let mut out = KeyBuffer::new();
        encode_prefix(id, &mut out);
        out
    }

    fn id() -> impl Strategy<Value = u64> {
        (any::<u64>(), 0..64u32).prop_map(|(id, shift)| id >> shift)
    }

    #[test]
    fn prefixes_are_these_bytes() {
        assert_eq!(*prefix(0), [0]);
        assert_eq!(*prefix(0xef), [0xef]);
        assert_eq!(*prefix(0xf0), [0xf0, 0xf0]);
        assert_eq!(*prefix(0x100), [0xf1, 1, 0]);
        assert_eq!(*prefix(u64::MAX), [[0xf7].as_slice(), &[0xff; 8]].concat());
        assert_eq!(*end_of(0xef), [0xf0, 0xf0]);
        assert_eq!(*end_of(u64::MAX), [0xf8]);
    }

    #[test]
    fn only_the_shortest_form_is_a_prefix() {
        for wrong in [[].as_slice(), &[0xf0], &[0xf0, 0xef], &[0xf1, 0, 0xff], &[0xf8; 12], &[0xff; 30]] {
            assert_eq!(split(wrong), None, "{wrong:x?}");
        }
    }

    proptest! {
        #[test]
        fn keys_of_a_table_lie_between_its_prefix_and_its_end(
            a in id(), b in id(), key in prop::collection::vec(any::<u8>(), 0..12),
        ) {
            let mut whole = prefix(a);
            whole.extend(&key);
            prop_assert_eq!(split(&whole), Some((a, key.as_slice())));
            prop_assert!(*prefix(a) <= *whole && *whole < *end_of(a));
            prop_assert_eq!(prefix(a).cmp(&prefix(b)), a.cmp(&b));
            prop_assert!(a >= b || *whole < *prefix(b));
        }

        #[test]
        fn arbitrary_bytes_are_refused_or_split(bytes in prop::collection::vec(prop_oneof![0xeeu8..=0xff, any::<u8>()], 0..14)) {
            if let Some((id, rest)) = split(&bytes) {
                prop_assert_eq!([&*prefix(id), rest].concat(), bytes);
            }
        }
    }
}
