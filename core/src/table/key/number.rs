//! Numbers as keys: big-endian, shifted so that negative ones sort first.

use super::{Key, KeyBuffer, KeyPart, at_end, not_a_key};
use crate::error::{Error, Result};

/// `$bits` is the unsigned type of the same width; `$encode` maps a key to it in order, `$decode` back (`None` for bit
/// patterns that no key has).
macro_rules! fixed_width {
    ($type:ty, $bits:ty, $encode:expr, $decode:expr) => {
        impl Key for $type {
            #[inline]
            fn encode(key: &Self::Borrowed<'_>, out: &mut KeyBuffer) -> Result<()> {
                Self::encode_part(key, out)
            }

            #[inline]
            fn decode(bytes: &[u8]) -> Result<$type> {
                at_end::<Self, _>(Self::decode_part(bytes)?, bytes)
            }
        }

        impl KeyPart for $type {
            type Part<'a> = $type;

            #[inline]
            fn part(key: Self::Borrowed<'_>) -> Self::Part<'_> {
                key
            }

            #[inline]
            fn part_into_owned(part: Self::Part<'_>) -> $type {
                part
            }

            #[inline]
            fn encode_part(part: &Self::Part<'_>, out: &mut KeyBuffer) -> Result<()> {
                let encode: fn($type) -> Result<$bits> = $encode;
                out.extend(&encode(*part)?.to_be_bytes());
                Ok(())
            }

            #[inline]
            fn decode_part(bytes: &[u8]) -> Result<($type, &[u8])> {
                let decode: fn($bits) -> Option<$type> = $decode;
                bytes
                    .split_first_chunk()
                    .and_then(|(chunk, rest)| Some((decode(<$bits>::from_be_bytes(*chunk))?, rest)))
                    .ok_or_else(|| not_a_key::<Self>(bytes))
            }
        }
    };
}

macro_rules! unsigned {
    ($($type:ty)*) => {$(fixed_width!($type, $type, Ok, Some);)*};
}

macro_rules! signed {
    ($($type:ty: $bits:ty,)*) => {$(
        fixed_width!($type, $bits, |key| Ok(key as $bits ^ (1 << (<$bits>::BITS - 1))), |bits| {
            Some((bits ^ (1 << (<$bits>::BITS - 1))) as $type)
        });
    )*};
}

unsigned!(u8 u16 u32 u64 u128);
signed!(i8: u8, i16: u16, i32: u32, i64: u64, i128: u128,);
fixed_width!(bool, u8, |key| Ok(u8::from(key)), |bits| match bits {
    0 => Some(false),
    1 => Some(true),
    _ => None,
});
fixed_width!(f64, u64, encode_f64, decode_f64);

const SIGN: u64 = 1 << 63;

/// The order of numbers, in which -0.0 and 0.0 are one key. NaN has no place in it.
fn encode_f64(key: f64) -> Result<u64> {
    if key.is_nan() {
        return Err(Error::invalid("NaN cannot be a key: it has no place in the order of numbers"));
    }
    let bits = if key == 0.0 { 0 } else { key.to_bits() };
    Ok(if bits & SIGN == 0 { bits | SIGN } else { !bits })
}

fn decode_f64(bits: u64) -> Option<f64> {
    let key = f64::from_bits(if bits & SIGN == 0 { !bits } else { bits ^ SIGN });
    let has_one_form = !key.is_nan() && (key != 0.0 || key.is_sign_positive());
    has_one_form.then_some(key)
}
