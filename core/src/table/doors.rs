//! Doors for tests that feed the decoders of this layer arbitrary bytes: see [`crate::testing`].
#![allow(clippy::unwrap_used)]

use core::fmt::Debug;

use super::catalogue::{TableEntry, entry_key, entry_name};
use super::key::KeyPart;
use super::prefix::{encode_prefix, split};
use super::{Key, KeyBuffer, Value};

/// Decodes the definition of a table, and a key of the key space.
pub fn definition(bytes: &[u8]) {
    if let Ok(entry) = TableEntry::decode("t", bytes) {
        assert_eq!(entry.encode(), bytes, "a definition has one form");
    }
    if let Some((id, rest)) = split(bytes) {
        let mut again = KeyBuffer::new();
        encode_prefix(id, &mut again);
        again.extend(rest);
        assert_eq!(again.as_slice(), bytes, "a number has one form");
    }
    if let Some(name) = entry_name(bytes) {
        assert_eq!(entry_key(name).as_slice(), bytes);
    }
}

/// Decodes two keys of every kind; what the first byte says is the length of the first.
pub fn keys(bytes: &[u8]) {
    let Some((&len, rest)) = bytes.split_first() else { return };
    let (a, b) = rest.split_at_checked(usize::from(len)).unwrap_or((rest, rest));
    // Halves of the same bytes are keys of one type more often than any two.
    ordered::<u8>(a, b);
    ordered::<u64>(a, b);
    ordered::<u128>(a, b);
    ordered::<i16>(a, b);
    ordered::<i64>(a, b);
    ordered::<f64>(a, b);
    ordered::<bool>(a, b);
    ordered::<&str>(a, b);
    ordered::<&[u8]>(a, b);
    ordered::<[u8; 4]>(a, b);
    ordered::<Option<&str>>(a, b);
    ordered::<Option<Option<u16>>>(a, b);
    ordered::<(&str, u64)>(a, b);
    ordered::<(&[u8], &str, i32)>(a, b);
    ordered::<((u8, &str), Option<&[u8]>, f64)>(a, b);
    ordered::<(bool, i8, &str, &[u8], Option<u32>, [u8; 2])>(a, b);
    one_form::<()>(a);
    part_of::<&str>(a);
    part_of::<&[u8]>(a);
    part_of::<Option<(&str, i64)>>(a);
}

fn one_form<K: Key>(bytes: &[u8]) {
    if let Ok(key) = K::decode(bytes) {
        let mut again = KeyBuffer::new();
        K::encode(&key, &mut again).unwrap();
        assert_eq!(again.as_slice(), bytes, "a key of type {} has one form", K::type_name());
        let _ = K::into_owned(key);
    }
}

/// A component tells where it ends.
fn part_of<K: KeyPart>(bytes: &[u8]) {
    if let Ok((part, rest)) = K::decode_part(bytes) {
        let mut again = KeyBuffer::new();
        K::encode_part(&part, &mut again).unwrap();
        again.extend(rest);
        assert_eq!(again.as_slice(), bytes, "a component of type {} has one form", K::type_name());
    }
}

fn ordered<'b, K: Key>(a: &'b [u8], b: &'b [u8])
where
    K::Borrowed<'b>: PartialOrd + Debug,
{
    one_form::<K>(a);
    one_form::<K>(b);
    if let (Ok(key), Ok(other)) = (K::decode(a), K::decode(b)) {
        assert_eq!(key.partial_cmp(&other), Some(a.cmp(b)), "{key:?} and {other:?} as {}", K::type_name());
    }
}

/// Decodes a value of every kind.
pub fn values(bytes: &[u8]) {
    value::<u8>(bytes);
    value::<u16>(bytes);
    value::<u32>(bytes);
    value::<u64>(bytes);
    value::<u128>(bytes);
    value::<i8>(bytes);
    value::<i64>(bytes);
    value::<f64>(bytes);
    value::<bool>(bytes);
    value::<()>(bytes);
    value::<&str>(bytes);
    value::<&[u8]>(bytes);
    value::<[u8; 7]>(bytes);
}

fn value<V: Value>(bytes: &[u8]) {
    if let Ok(value) = V::decode(bytes) {
        assert_eq!(V::encode(&value).as_ref(), bytes, "a value of type {} has one form", V::type_name());
    }
}
