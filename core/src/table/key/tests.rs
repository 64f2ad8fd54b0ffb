//! What every key type promises, tried on arbitrary keys and arbitrary bytes.

use alloc::string::String;
use alloc::vec::Vec;
use core::cmp::Ordering;
use core::fmt::Debug;

use proptest::prelude::*;

use super::*;
use crate::table::Lend;

fn encoded<K: Key>(key: &impl Lend<K>) -> Vec<u8> {
    let mut out = KeyBuffer::new();
    K::encode(&key.lend(), &mut out).unwrap();
    out.as_slice().to_vec()
}

fn encoded_part<K: KeyPart>(key: &impl Lend<K>) -> Vec<u8> {
    let mut out = KeyBuffer::new();
    K::encode_part(&K::part(key.lend()), &mut out).unwrap();
    out.as_slice().to_vec()
}

/// Order, equality, the way back, and delimiting, of two keys and some bytes.
fn check<K: KeyPart<Owned: Lend<K> + PartialOrd + Debug>>(a: K::Owned, b: K::Owned, noise: &[u8]) {
    let order = a.partial_cmp(&b).unwrap();
    for (left, right) in [(encoded::<K>(&a), encoded::<K>(&b)), (encoded_part::<K>(&a), encoded_part::<K>(&b))] {
        assert_eq!(left.cmp(&right), order, "{a:?} and {b:?} as {left:x?} and {right:x?}");
    }
    assert_eq!(K::into_owned(K::decode(&encoded::<K>(&a)).unwrap()), a);

    let (left, right) = (encoded_part::<K>(&a), encoded_part::<K>(&b));
    assert!(order == Ordering::Equal || !right.starts_with(&left), "{a:?} is the beginning of {b:?}");
    let followed = [left.as_slice(), noise].concat();
    let (part, rest) = K::decode_part(&followed).unwrap();
    assert_eq!((K::part_into_owned(part), rest), (a, noise));

    // Arbitrary bytes either are no key, or are the one encoding of a key.
    for bytes in [noise, left.get(..left.len() / 2).unwrap()] {
        if let Ok(key) = K::decode(bytes) {
            assert_eq!(encoded::<K>(&K::into_owned(key)), bytes);
        }
        if let Ok((part, rest)) = K::decode_part(bytes) {
            assert_eq!([encoded_part::<K>(&K::part_into_owned(part)).as_slice(), rest].concat(), bytes);
        }
    }
}

/// Bytes among which the special ones are common.
fn bytes() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(prop_oneof![0u8..4, 0xfdu8..=0xff, any::<u8>()], 0..12)
}

fn text() -> impl Strategy<Value = String> {
    prop::collection::vec(prop_oneof!["[\0-\x03ab]", Just("é".into()), Just("\u{10ffff}".into())], 0..6)
        .prop_map(|parts: Vec<String>| parts.concat())
}

fn float() -> impl Strategy<Value = f64> {
    prop_oneof![
        any::<u64>().prop_map(f64::from_bits).prop_filter("has a place in the order", |float| !float.is_nan()),
        prop::sample::select(alloc::vec![
            0.0,
            -0.0,
            1.0,
            -1.0,
            f64::MIN_POSITIVE,
            f64::INFINITY,
            f64::NEG_INFINITY,
            5e-324
        ]),
    ]
}

macro_rules! properties {
    ($($name:ident: $type:ty, $strategy:expr;)*) => {
        proptest! {$(
            #[test]
            fn $name(a in $strategy, b in $strategy, noise in bytes()) {
                check::<$type>(a.clone(), b, &noise);
                check::<$type>(a.clone(), a, &noise);
            }
        )*}
    };
}

properties! {
    u8_keys: u8, any::<u8>();
    u16_keys: u16, any::<u16>();
    u32_keys: u32, any::<u32>();
    u64_keys: u64, prop_oneof![any::<u64>(), 0u64..3];
    u128_keys: u128, any::<u128>();
    i8_keys: i8, any::<i8>();
    i16_keys: i16, any::<i16>();
    i32_keys: i32, any::<i32>();
    i64_keys: i64, prop_oneof![any::<i64>(), -2i64..3];
    i128_keys: i128, any::<i128>();
    bool_keys: bool, any::<bool>();
    f64_keys: f64, float();
    string_keys: &str, text();
    owned_string_keys: String, text();
    bytes_keys: &[u8], bytes();
    owned_bytes_keys: Vec<u8>, bytes();
    array_keys: [u8; 3], any::<[u8; 3]>();
    optional_keys: Option<&str>, prop::option::of(text());
    pair_keys: (&str, i32), (text(), -2..3i32);
    pair_keys_number_first: (u16, &[u8]), (0..2u16, bytes());
    triple_keys: (&[u8], bool, &str), (bytes(), any::<bool>(), text());
    quadruple_keys: (Option<u8>, &str, f64, [u8; 2]), (prop::option::of(0..2u8), text(), float(), any::<[u8; 2]>());
    nested_keys: ((&str, &str), Option<(u8, &[u8])>), ((text(), text()), prop::option::of((any::<u8>(), bytes())));
    long_keys: (u8, u8, u8, u8, u8, &str), (0..2u8, 0..2u8, 0..2u8, 0..2u8, 0..2u8, text());
}

/// The encodings are part of the file format: they may never change.
#[test]
fn encodings_are_these_bytes() {
    fn check<K: Key>(key: impl Lend<K>, name: &str, expected: &[u8]) {
        assert_eq!((encoded::<K>(&key).as_slice(), K::type_name().as_str()), (expected, name));
    }
    check::<u8>(7, "u8", &[7]);
    check::<u32>(0x0102_0304, "u32", &[1, 2, 3, 4]);
    check::<i16>(-1, "i16", &[0x7f, 0xff]);
    check::<i64>(1, "i64", &[0x80, 0, 0, 0, 0, 0, 0, 1]);
    check::<bool>(true, "bool", &[1]);
    check::<f64>(1.0, "f64", &[0xbf, 0xf0, 0, 0, 0, 0, 0, 0]);
    check::<f64>(-1.0, "f64", &[0x40, 0x0f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]);
    check::<f64>(-0.0, "f64", &[0x80, 0, 0, 0, 0, 0, 0, 0]);
    check::<&str>("a\0", "string", b"a\0");
    check::<Vec<u8>>([0, 1, 255], "bytes", &[0, 1, 255]);
    check::<[u8; 2]>([0, 1], "bytes[2]", &[0, 1]);
    check::<()>((), "unit", &[]);
    check::<(&str, u16)>(("a\0\x01b", 5), "(string, u16)", b"a\x01\x01\x01\x02b\0\0\x05");
    check::<(Option<u8>, Option<u8>)>((None::<u8>, Some(9)), "(u8?, u8?)", &[0, 1, 9]);
}

#[test]
fn nan_is_refused_as_a_key_and_never_read_as_one() {
    let mut out = KeyBuffer::new();
    assert!(f64::encode(&f64::NAN, &mut out).is_err());
    assert!(<(u8, f64)>::encode(&(1, f64::NAN), &mut out).is_err());
    assert!(f64::decode(&[0xff; 8]).is_err());
    assert!(f64::decode(&[0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]).is_err(), "a second form of zero");
}

#[test]
fn the_error_says_what_was_found_and_what_was_asked() {
    let error = u64::decode(b"ada").unwrap_err();
    assert_eq!(
        alloc::string::ToString::to_string(&error),
        "the 3 bytes \"ada\" are not a key of type u64; open the table with the key type it was made with"
    );
}
