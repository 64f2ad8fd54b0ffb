//! Ranges of typed keys, and the half-open ranges of bytes they stand for.

use alloc::string::String;
use alloc::vec::Vec;
use core::ops::{Bound, Range, RangeFrom, RangeFull, RangeInclusive, RangeTo, RangeToInclusive};

use super::{Key, KeyBuffer, KeyPart};
use crate::error::Result;
use crate::table::{Lend, prefix};

/// A range of keys: `..`, `"a".."b"`, `3..=7`, or a pair of bounds.
pub trait KeyRange<K: Key> {
    /// The lowest key.
    fn start(&self) -> Bound<K::Borrowed<'_>>;
    /// The highest key.
    fn end(&self) -> Bound<K::Borrowed<'_>>;
}

macro_rules! key_range {
    ($($range:ty, |$self:ident| $start:expr, $end:expr;)*) => {$(
        impl<K: Key, Q: Lend<K>> KeyRange<K> for $range {
            #[inline]
            fn start(&$self) -> Bound<K::Borrowed<'_>> {
                $start
            }

            #[inline]
            fn end(&$self) -> Bound<K::Borrowed<'_>> {
                $end
            }
        }
    )*};
}

key_range! {
    Range<Q>, |self| Bound::Included(self.start.lend()), Bound::Excluded(self.end.lend());
    RangeInclusive<Q>, |self| Bound::Included(self.start().lend()), Bound::Included(self.end().lend());
    RangeFrom<Q>, |self| Bound::Included(self.start.lend()), Bound::Unbounded;
    RangeTo<Q>, |self| Bound::Unbounded, Bound::Excluded(self.end.lend());
    RangeToInclusive<Q>, |self| Bound::Unbounded, Bound::Included(self.end.lend());
    (Bound<Q>, Bound<Q>), |self| lend_bound(&self.0), lend_bound(&self.1);
}

impl<K: Key> KeyRange<K> for RangeFull {
    fn start(&self) -> Bound<K::Borrowed<'_>> {
        Bound::Unbounded
    }

    fn end(&self) -> Bound<K::Borrowed<'_>> {
        Bound::Unbounded
    }
}

/// The beginning of a key: text for text keys, `("fi",)` for keys `("fi", 7)`.
pub trait KeyPrefix<K: Key> {
    /// Appends the bytes that the encodings of all these keys begin with.
    fn encode_prefix(&self, out: &mut KeyBuffer) -> Result<()>;
}

macro_rules! text_prefix {
    ($([$($life:lifetime)?] $type:ty;)*) => {$(
        impl<$($life,)? Q: Lend<$type>> KeyPrefix<$type> for Q {
            fn encode_prefix(&self, out: &mut KeyBuffer) -> Result<()> {
                <$type>::encode(&self.lend(), out)
            }
        }
    )*};
}

text_prefix!(['k] &'k str; [] String; ['k] &'k [u8]; [] Vec<u8>;);

macro_rules! tuple_prefix {
    ($($type:ident $lender:ident $index:tt),*; $($left:ident),*) => {
        impl<$($type: KeyPart, $lender: Lend<$type>,)* $($left: KeyPart),*> KeyPrefix<($($type,)* $($left,)*)>
            for ($($lender,)*)
        {
            fn encode_prefix(&self, out: &mut KeyBuffer) -> Result<()> {
                $($type::encode_part(&$type::part(self.$index.lend()), out)?;)*
                Ok(())
            }
        }
    };
}

tuple_prefix!(A P 0; B);
tuple_prefix!(A P 0; B, C);
tuple_prefix!(A P 0; B, C, D);
tuple_prefix!(A P 0; B, C, D, E);
tuple_prefix!(A P 0; B, C, D, E, F);
tuple_prefix!(A P 0, B Q 1; C);
tuple_prefix!(A P 0, B Q 1; C, D);
tuple_prefix!(A P 0, B Q 1; C, D, E);
tuple_prefix!(A P 0, B Q 1; C, D, E, F);
tuple_prefix!(A P 0, B Q 1, C R 2; D);
tuple_prefix!(A P 0, B Q 1, C R 2; D, E);
tuple_prefix!(A P 0, B Q 1, C R 2; D, E, F);
tuple_prefix!(A P 0, B Q 1, C R 2, D S 3; E);
tuple_prefix!(A P 0, B Q 1, C R 2, D S 3; E, F);
tuple_prefix!(A P 0, B Q 1, C R 2, D S 3, E T 4; F);

/// The bytes from (inclusive) and to (exclusive) which `range` of table `id` reaches in the key space. Where the range
/// is empty or turned round, the first is not less than the second.
pub(crate) fn range_bounds<K: Key>(id: u64, range: &impl KeyRange<K>) -> Result<(KeyBuffer, KeyBuffer)> {
    let (mut from, mut to) = (KeyBuffer::new(), KeyBuffer::new());
    prefix::encode_prefix(id, &mut from);
    match range.start() {
        Bound::Included(key) => K::encode(&key, &mut from)?,
        Bound::Excluded(key) => {
            K::encode(&key, &mut from)?;
            from.push(0);
        }
        Bound::Unbounded => {}
    }
    match range.end() {
        Bound::Unbounded => to = prefix::end_of(id),
        Bound::Excluded(key) => {
            prefix::encode_prefix(id, &mut to);
            K::encode(&key, &mut to)?;
        }
        Bound::Included(key) => {
            prefix::encode_prefix(id, &mut to);
            K::encode(&key, &mut to)?;
            to.push(0);
        }
    }
    Ok((from, to))
}

/// As [`range_bounds`], for the keys of table `id` that begin with `prefix`.
pub(crate) fn prefix_bounds<K: Key>(id: u64, prefix: &impl KeyPrefix<K>) -> Result<(KeyBuffer, KeyBuffer)> {
    let mut from = KeyBuffer::new();
    prefix::encode_prefix(id, &mut from);
    prefix.encode_prefix(&mut from)?;
    let mut to = from.clone();
    // A table's prefix never begins with 0xFF, so there always is an end.
    to.make_prefix_end();
    Ok((from, to))
}

fn lend_bound<K: Key>(bound: &Bound<impl Lend<K>>) -> Bound<K::Borrowed<'_>> {
    bound.as_ref().map(|key| key.lend())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Which of `keys` in table 3, among neighbours in tables 2 and 4, are in `range`.
    fn within<K: Key>(keys: &[K::Borrowed<'_>], bounds: Result<(KeyBuffer, KeyBuffer)>) -> Vec<usize> {
        let (from, to) = bounds.unwrap();
        let mut found = Vec::new();
        for id in [2, 3, 4] {
            for (at, key) in keys.iter().enumerate() {
                let mut bytes = KeyBuffer::new();
                prefix::encode_prefix(id, &mut bytes);
                K::encode(key, &mut bytes).unwrap();
                if *from <= *bytes && *bytes < *to {
                    assert_eq!(id, 3, "a range leaves its table");
                    found.push(at);
                }
            }
        }
        found
    }

    #[test]
    fn ranges_hold_what_they_hold_in_rust() {
        fn check(range: impl KeyRange<u64>, expected: &[usize]) {
            assert_eq!(within::<u64>(&[0, 1, 255, 256, u64::MAX], range_bounds::<u64>(3, &range)), expected);
        }
        check(.., &[0, 1, 2, 3, 4]);
        check(1..256, &[1, 2]);
        check(1..=256, &[1, 2, 3]);
        check(256.., &[3, 4]);
        check(..256, &[0, 1, 2]);
        check(..=256, &[0, 1, 2, 3]);
        check((Bound::Excluded(256), Bound::<u64>::Unbounded), &[4]);
        #[expect(clippy::reversed_empty_ranges)]
        let turned = 256..1;
        check(turned, &[]);
    }

    #[test]
    fn an_excluded_text_leaves_its_continuations() {
        let keys = ["a", "a\0", "ab", "b"];
        assert_eq!(
            within::<&str>(&keys, range_bounds::<&str>(3, &(Bound::Excluded("a"), Bound::Excluded("b")))),
            [1, 2]
        );
        assert_eq!(within::<&str>(&keys, range_bounds::<&str>(3, &("a"..="ab"))), [0, 1, 2]);
    }

    #[test]
    fn prefixes_find_beginnings_of_text_and_leading_components() {
        let keys = ["", "a", "ab", "b", "\u{10ffff}"];
        assert_eq!(within::<&str>(&keys, prefix_bounds::<&str>(3, &"a")), [1, 2]);
        assert_eq!(within::<&str>(&keys, prefix_bounds::<&str>(3, &"")), [0, 1, 2, 3, 4]);
        let keys: [&[u8]; 3] = [b"\xff", b"\xff\xff", b"\xff\xff\xff"];
        assert_eq!(within::<&[u8]>(&keys, prefix_bounds::<&[u8]>(3, b"\xff\xff")), [1, 2]);
        let keys = [("fi", 0), ("fi", u64::MAX), ("fi\0", 1), ("fin", 1)].map(|(text, number)| (text.into(), number));
        assert_eq!(within::<(&str, u64)>(&keys, prefix_bounds::<(&str, u64)>(3, &("fi",))), [0, 1]);
    }
}
