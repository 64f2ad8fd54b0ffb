//! Values: how they become bytes. No order is kept, so numbers are little-endian.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::Stored;
use crate::error::{Error, Result};

/// A type of values.
///
/// # What an implementation must keep
/// - [`decode`](Value::decode) gives back what was encoded, and an error, never a panic, for bytes that are no such value.
/// - The encoding does not depend on the platform, and a [type name](Stored::type_name) stands for one encoding for ever.
pub trait Value: Stored {
    /// The encoded bytes: borrowed where the value already is bytes, an array where it is a number.
    type Bytes<'a>: AsRef<[u8]>;

    /// The bytes to store.
    fn encode<'a>(value: &'a Self::Borrowed<'_>) -> Self::Bytes<'a>;

    /// Reads a value that takes all of `bytes`.
    fn decode(bytes: &[u8]) -> Result<Self::Borrowed<'_>>;
}

macro_rules! number {
    ($($type:ty)*) => {$(
        impl Value for $type {
            type Bytes<'a> = [u8; size_of::<$type>()];

            #[inline]
            fn encode<'a>(value: &'a Self::Borrowed<'_>) -> Self::Bytes<'a> {
                value.to_le_bytes()
            }

            #[inline]
            fn decode(bytes: &[u8]) -> Result<$type> {
                bytes.try_into().map(<$type>::from_le_bytes).map_err(|_| not_a_value::<Self>(bytes))
            }
        }
    )*};
}

number!(u8 u16 u32 u64 u128 i8 i16 i32 i64 i128 f64);

macro_rules! borrowed {
    ($type:ty, $borrowed:ident, $bytes:expr, $from:expr) => {
        impl Value for $type {
            type Bytes<'a> = &'a [u8];

            #[inline]
            fn encode<'a>(value: &'a Self::Borrowed<'_>) -> &'a [u8] {
                let bytes: fn(&$borrowed) -> &[u8] = $bytes;
                bytes(value)
            }

            #[inline]
            fn decode(bytes: &[u8]) -> Result<&$borrowed> {
                let from: fn(&[u8]) -> Option<&$borrowed> = $from;
                from(bytes).ok_or_else(|| not_a_value::<Self>(bytes))
            }
        }
    };
}

type Slice = [u8];

borrowed!(&[u8], Slice, |bytes| bytes, |bytes| Some(bytes));
borrowed!(Vec<u8>, Slice, |bytes| bytes, |bytes| Some(bytes));
borrowed!(&str, str, str::as_bytes, |bytes| str::from_utf8(bytes).ok());
borrowed!(String, str, str::as_bytes, |bytes| str::from_utf8(bytes).ok());

impl<const N: usize> Value for [u8; N] {
    type Bytes<'a> = [u8; N];

    #[inline]
    fn encode(value: &Self::Borrowed<'_>) -> [u8; N] {
        *value
    }

    #[inline]
    fn decode(bytes: &[u8]) -> Result<[u8; N]> {
        bytes.try_into().map_err(|_| not_a_value::<Self>(bytes))
    }
}

impl Value for bool {
    type Bytes<'a> = [u8; 1];

    #[inline]
    fn encode(value: &Self::Borrowed<'_>) -> [u8; 1] {
        [u8::from(*value)]
    }

    #[inline]
    fn decode(bytes: &[u8]) -> Result<bool> {
        match bytes {
            [0] => Ok(false),
            [1] => Ok(true),
            _ => Err(not_a_value::<Self>(bytes)),
        }
    }
}

/// For tables that are sets.
impl Value for () {
    type Bytes<'a> = [u8; 0];

    #[inline]
    fn encode(_: &Self::Borrowed<'_>) -> [u8; 0] {
        []
    }

    #[inline]
    fn decode(bytes: &[u8]) -> Result<()> {
        if bytes.is_empty() { Ok(()) } else { Err(not_a_value::<Self>(bytes)) }
    }
}

#[cold]
fn not_a_value<V: Stored>(bytes: &[u8]) -> Error {
    Error::invalid(format!(
        "a stored value of {} bytes is not a {}; open the table with the value type it was made with",
        bytes.len(),
        V::type_name()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::Lend;
    use core::fmt::Debug;
    use proptest::prelude::*;

    fn check<V: Value<Owned: Lend<V> + PartialEq + Debug>>(value: V::Owned, noise: &[u8]) {
        let bytes = {
            let lent = value.lend();
            V::encode(&lent).as_ref().to_vec()
        };
        assert_eq!(V::into_owned(V::decode(&bytes).unwrap()), value);
        if let Ok(value) = V::decode(noise) {
            assert_eq!(V::encode(&value).as_ref(), noise);
        }
    }

    proptest! {
        #[test]
        fn values_come_back_and_arbitrary_bytes_are_refused_or_read(
            number in any::<u128>(), float in any::<f64>(), text in any::<String>(), noise in prop::collection::vec(any::<u8>(), 0..20),
        ) {
            check::<u8>(number as u8, &noise);
            check::<u16>(number as u16, &noise);
            check::<u32>(number as u32, &noise);
            check::<u64>(number as u64, &noise);
            check::<u128>(number, &noise);
            check::<i8>(number as i8, &noise);
            check::<i16>(number as i16, &noise);
            check::<i32>(number as i32, &noise);
            check::<i64>(number as i64, &noise);
            check::<i128>(number as i128, &noise);
            check::<f64>(float, &noise);
            check::<bool>(number & 1 == 0, &noise);
            check::<()>((), &noise);
            check::<&str>(text.clone(), &noise);
            check::<String>(text.clone(), &noise);
            check::<&[u8]>(text.clone().into_bytes(), &noise);
            check::<Vec<u8>>(text.into_bytes(), &noise);
            check::<[u8; 5]>([1, 2, 3, 4, number as u8], &noise);
        }
    }

    #[test]
    fn numbers_are_little_endian_and_of_their_own_width() {
        assert_eq!(u32::encode(&0x0102_0304), [4, 3, 2, 1]);
        assert!(f64::decode(&f64::NAN.to_le_bytes()).unwrap().is_nan());
        assert!(u32::decode(&[1, 2, 3]).is_err());
        assert!(bool::decode(&[2]).is_err());
        assert!(<&str>::decode(&[0xff]).is_err());
    }
}
