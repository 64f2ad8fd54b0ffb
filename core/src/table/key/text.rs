//! Strings and byte sequences as keys. Alone they are stored as they are; in a tuple they must tell where they end.
//!
//! In a tuple, the bytes 0x00 and 0x01 become `01 01` and `01 02`, and 0x00 ends the component. So an ending sorts below
//! every continuation, order is kept, and ordinary text costs one byte more than its length.

use alloc::borrow::Cow;
use alloc::string::String;
use alloc::vec::Vec;

use super::{Key, KeyBuffer, KeyPart, at_end, not_a_key};
use crate::error::Result;

const END: u8 = 0;
const ESCAPE: u8 = 1;

/// `$from` reads stored bytes as `$borrowed`, `$owned_from` owned bytes as `$owned`; `None` where they are not such.
macro_rules! text {
    ($type:ty, $borrowed:ident, $owned:ty, $bytes:expr, $from:expr, $owned_from:expr) => {
        impl Key for $type {
            #[inline]
            fn encode(key: &Self::Borrowed<'_>, out: &mut KeyBuffer) -> Result<()> {
                let bytes: fn(&$borrowed) -> &[u8] = $bytes;
                out.extend(bytes(key));
                Ok(())
            }

            #[inline]
            fn decode(bytes: &[u8]) -> Result<&$borrowed> {
                let from: fn(&[u8]) -> Option<&$borrowed> = $from;
                from(bytes).ok_or_else(|| not_a_key::<Self>(bytes))
            }
        }

        impl KeyPart for $type {
            type Part<'a> = Cow<'a, $borrowed>;

            #[inline]
            fn part(key: Self::Borrowed<'_>) -> Self::Part<'_> {
                Cow::Borrowed(key)
            }

            #[inline]
            fn part_into_owned(part: Self::Part<'_>) -> $owned {
                part.into_owned()
            }

            fn encode_part(part: &Self::Part<'_>, out: &mut KeyBuffer) -> Result<()> {
                let bytes: fn(&$borrowed) -> &[u8] = $bytes;
                escape(bytes(part), out);
                Ok(())
            }

            fn decode_part(bytes: &[u8]) -> Result<(Cow<'_, $borrowed>, &[u8])> {
                let from: fn(&[u8]) -> Option<&$borrowed> = $from;
                let owned_from: fn(Vec<u8>) -> Option<$owned> = $owned_from;
                let parts = unescape(bytes).and_then(|(part, rest)| match part {
                    Cow::Borrowed(part) => Some((Cow::Borrowed(from(part)?), rest)),
                    Cow::Owned(part) => Some((Cow::Owned(owned_from(part)?), rest)),
                });
                parts.ok_or_else(|| not_a_key::<Self>(bytes))
            }
        }
    };
}

type Bytes = [u8];

text!(&str, str, String, str::as_bytes, |bytes| str::from_utf8(bytes).ok(), |bytes| String::from_utf8(bytes).ok());
text!(String, str, String, str::as_bytes, |bytes| str::from_utf8(bytes).ok(), |bytes| String::from_utf8(bytes).ok());
text!(&[u8], Bytes, Vec<u8>, |bytes| bytes, |bytes| Some(bytes), Some);
text!(Vec<u8>, Bytes, Vec<u8>, |bytes| bytes, |bytes| Some(bytes), Some);

impl<const N: usize> Key for [u8; N] {
    #[inline]
    fn encode(key: &Self::Borrowed<'_>, out: &mut KeyBuffer) -> Result<()> {
        Self::encode_part(key, out)
    }

    #[inline]
    fn decode(bytes: &[u8]) -> Result<[u8; N]> {
        at_end::<Self, _>(Self::decode_part(bytes)?, bytes)
    }
}

impl<const N: usize> KeyPart for [u8; N] {
    type Part<'a> = [u8; N];

    #[inline]
    fn part(key: Self::Borrowed<'_>) -> Self::Part<'_> {
        key
    }

    #[inline]
    fn part_into_owned(part: Self::Part<'_>) -> [u8; N] {
        part
    }

    #[inline]
    fn encode_part(part: &Self::Part<'_>, out: &mut KeyBuffer) -> Result<()> {
        out.extend(part);
        Ok(())
    }

    #[inline]
    fn decode_part(bytes: &[u8]) -> Result<([u8; N], &[u8])> {
        bytes.split_first_chunk().map(|(part, rest)| (*part, rest)).ok_or_else(|| not_a_key::<Self>(bytes))
    }
}

fn escape(bytes: &[u8], out: &mut KeyBuffer) {
    let mut rest = bytes;
    while let Some(at) = rest.iter().position(|&byte| byte <= ESCAPE)
        && let Some((plain, [byte, after @ ..])) = rest.split_at_checked(at)
    {
        out.extend(plain);
        out.extend(&[ESCAPE, byte + 1]);
        rest = after;
    }
    out.extend(rest);
    out.push(END);
}

/// Splits an escaped component off `bytes`.
fn unescape(bytes: &[u8]) -> Option<(Cow<'_, [u8]>, &[u8])> {
    let mut unescaped = Vec::new();
    let mut rest = bytes;
    loop {
        let at = rest.iter().position(|&byte| byte <= ESCAPE)?;
        match rest.split_at_checked(at)? {
            (plain, [END, after @ ..]) if unescaped.is_empty() => return Some((Cow::Borrowed(plain), after)),
            (plain, [END, after @ ..]) => {
                unescaped.extend_from_slice(plain);
                return Some((Cow::Owned(unescaped), after));
            }
            (plain, [ESCAPE, byte @ 1..=2, after @ ..]) => {
                unescaped.extend_from_slice(plain);
                unescaped.push(byte - 1);
                rest = after;
            }
            _ => return None,
        }
    }
}
