//! Documents as bytes, and what is done to the bytes against the same done to values.
#![allow(clippy::indexing_slicing)]

use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;

use proptest::prelude::*;

use super::head::{Head, Reader};
use super::*;
use crate::document::{Path, Value, fold, key, strategies};
use crate::table::KeyBuffer;

fn bytes_of(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> = hex.bytes().filter(u8::is_ascii_hexdigit).collect();
    digits.chunks(2).map(|pair| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}

fn value_of(hex: &str) -> Value {
    decode(&bytes_of(hex)).unwrap()
}

/// Exact, unlike the equality of values: kinds, the order of fields and the sign of zero count.
fn shown(value: &Value) -> String {
    alloc::format!("{value:?}")
}

fn key_of(value: &Value) -> crate::error::Result<Vec<u8>> {
    let mut out = KeyBuffer::new();
    key::encode(value, &mut out).map(|()| out.to_vec())
}

fn path(text: &str) -> Path {
    Path::parse(text).unwrap()
}

/// The short way over an item is as long as the long one, and refuses what that refuses.
#[test]
fn stepping_over_an_item_is_reading_its_head() {
    for first in 0..=u8::MAX {
        for (second, len) in [(0, 0), (0, 300), (5, 4), (5, 5), (5, 6), (23, 300), (24, 300), (200, 300)] {
            let mut bytes = vec![0; len + 1];
            bytes[0] = first;
            bytes.iter_mut().skip(1).for_each(|byte| *byte = second);
            let (mut over, mut read) = (Reader::new(&bytes), Reader::new(&bytes));
            let (stepped, head) = (over.item().map(<[u8]>::len), read.head());
            if matches!(head, Ok(Head::Array(1..) | Head::Map(1..))) {
                continue;
            }
            assert_eq!(stepped.ok(), head.is_ok().then(|| read.at()), "{first:#x} {second} {len}");
        }
    }
}

#[test]
fn values_are_written_in_the_shortest_form() {
    let check = |value: Value, hex: &str| {
        assert_eq!(encode(&value).unwrap(), bytes_of(hex), "{value}");
        assert_eq!(shown(&value_of(hex)), shown(&value));
    };
    // From appendix A of RFC 8949.
    check(0.into(), "00");
    check(23.into(), "17");
    check(24.into(), "1818");
    check(1000.into(), "1903e8");
    check(1_000_000.into(), "1a000f4240");
    check(u64::MAX.into(), "1bffffffffffffffff");
    check((-1).into(), "20");
    check((-1000).into(), "3903e7");
    check(Value::Integer(-(1 << 64)), "3bffffffffffffffff");
    check(0.0.into(), "f90000");
    check((-0.0).into(), "f98000");
    check(1.5.into(), "f93e00");
    check(65504.0.into(), "f97bff");
    check(65505.0.into(), "fa477fe100");
    check(100000.0.into(), "fa47c35000");
    check(1.1.into(), "fb3ff199999999999a");
    check(1.0e300.into(), "fb7e37e43c8800759c");
    check(5.960464477539063e-8.into(), "f90001");
    check(8.940696716308594e-8.into(), "fa33c00000");
    check(0.00006103515625.into(), "f90400");
    check(f64::from(f32::MAX).into(), "fa7f7fffff");
    check(f64::INFINITY.into(), "f97c00");
    check(f64::NEG_INFINITY.into(), "f9fc00");
    check(f64::NAN.into(), "f97e00");
    check(true.into(), "f5");
    check(Value::Null, "f6");
    check("ü水".into(), "65 c3bc e6b0b4");
    check(vec![1u8, 2].into(), "42 0102");
    check(Value::Timestamp(1_363_896_240_000_000), "c1 1a514b67b0");
    check(Value::Timestamp(-1_000_000), "c1 20");
    check(Value::Timestamp(-1), "d903e9 a2 01 20 25 1a000f423f");
    check(Value::Timestamp(i64::MAX), "d903e9 a2 01 1b00000863 7bd05af6 25 1a000bd67f");
    check(Value::Uuid([7; 16]), "d825 50 07070707070707070707070707070707");
    check([1, 2].into_iter().collect(), "82 01 02");
    check([("b", 1), ("a", 2)].into_iter().collect(), "a2 61 62 01 61 61 02");
}

#[test]
fn numbers_and_lengths_may_be_longer_than_they_need_be() {
    assert_eq!(value_of("bb0000000000000001 7900016 1 1b0000000000000005").to_string(), r#"{"a":5}"#);
    assert_eq!(value_of("9a00000002 fb3ff8000000000000 fa3fc00000").to_string(), "[1.5,1.5]");
    assert_eq!(value_of("da00000001 1a00000001"), Value::Timestamp(1_000_000));
}

#[test]
fn what_is_no_document_is_refused_and_told_why() {
    let check = |hex: &str, why: &str| {
        let bytes = bytes_of(hex);
        let told = validate(&bytes).unwrap_err().to_string();
        assert!(told.contains(why), "{hex}: {told}");
        if !why.contains("in CBOR a map") {
            assert_eq!(decode(&bytes).unwrap_err().to_string(), told);
        }
    };
    check("", "the bytes end");
    check("80", "in CBOR a map");
    check("a0 00", "at byte 1: more follows");
    check("a1 6161", "the bytes end");
    check("a1 6161 1b00", "the bytes end");
    check("a1 6161 7bffffffffffffffff", "the bytes end");
    check("bbffffffffffffffff", "the bytes end");
    check("a1 6161 9bffffffffffffffff 01", "the bytes end");
    check("a1 01 02", "at byte 1: the name of a field is not text");
    check("a1 41 61 02", "not text");
    check("a1 61ff 02", "not UTF-8");
    check("a1 6161 62c328", "at byte 3: text that is not UTF-8");
    check("a2 6161 01 6161 02", r#"the field "a" twice"#);
    check("a2 6161 01 7801 61 02", r#"the field "a" twice"#);
    check("a1 6161 82 01 a3 6162 01 6163 00 6162 01", r#"the field "b" twice"#);
    check("bf ff", "definite length");
    check("a1 6161 9f ff", "definite length");
    check("a1 6161 7f 6161 ff", "definite length");
    check("a1 6161 5f ff", "definite length");
    check("a1 6161 ff", "an end without a beginning");
    check("a1 6161 f7", "undefined is no value");
    check("a1 6161 e0", "no meaning");
    check("a1 6161 f8ff", "no meaning");
    check("a1 6161 1c", "no meaning");
    check("a1 6161 c0 61 61", "tag 0 is none of");
    check("a1 6161 c2 41 01", "tag 2 is none of");
    check("a1 6161 c1 f93e00", "integer of seconds");
    check("a1 6161 c1 c1 00", "integer of seconds");
    check("a1 6161 c1 1b7fffffffffffffff", "further from 1970");
    check("a1 6161 d903e9 a1 01 00", "a timestamp is the map");
    check("a1 6161 d903e9 a2 25 00 01 00", "a timestamp is the map");
    check("a1 6161 d903e9 a2 01 00 25 1a000f4240", "not below a million");
    check("a1 6161 d903e9 a2 01 00 25 20", "not below a million");
    check("a1 6161 d825 4100", "a UUID is 16 bytes");
    check("a1 6161 d825 80", "a UUID is 16 bytes");
}

#[test]
fn a_name_is_found_twice_among_many_and_few() {
    for count in [2, 12, 13, 1000] {
        let mut fields: Vec<_> = (0..count).map(|number| (number.to_string(), Value::from(number))).collect();
        assert!(encode(&Value::Map(fields.clone())).is_ok());
        fields.push(("1".to_string(), Value::Null));
        let told = encode(&Value::Map(fields)).unwrap_err().to_string();
        assert!(told.contains(r#"the field "1" twice"#), "{told}");
    }
    // Only within one map.
    let inner: Value = [("a", 1)].into_iter().collect();
    let outer: Value =
        [("a", inner.clone()), ("b", inner.clone()), ("c", [inner].into_iter().collect())].into_iter().collect();
    assert_eq!(decode(&encode(&outer).unwrap()).unwrap(), outer);
}

#[test]
fn documents_have_a_depth_and_a_size() {
    let nested =
        |depth: usize| (0..depth).fold(None, |inner: Option<Value>, _| Some(Value::Array(inner.into_iter().collect())));
    let deepest = nested(DEPTH_MAX).unwrap();
    let bytes = encode(&deepest).unwrap();
    assert_eq!(decode(&bytes).unwrap(), deepest);
    assert_eq!(encode(&nested(DEPTH_MAX + 1).unwrap()).unwrap_err().name(), "LimitExceeded");
    for hostile in [[&[0x81], bytes.as_slice()].concat(), vec![0x81; 1 << 20], [0xa1, 0x60].repeat(1 << 20)] {
        assert_eq!(validate_item(&hostile).unwrap_err().name(), "LimitExceeded");
        assert_eq!(decode(&hostile).unwrap_err().name(), "LimitExceeded");
    }
    assert_eq!(encode(&vec![0u8; DOCUMENT_BYTES_MAX].into()).unwrap_err().name(), "LimitExceeded");
    assert!(encode(&vec![0u8; DOCUMENT_BYTES_MAX - 5].into()).is_ok());
}

#[test]
fn a_value_is_found_under_its_path() {
    let document: Value = [
        ("name", Value::from("Ada")),
        ("address", [("city", "London"), ("0", "zero")].into_iter().collect()),
        ("tags", ["x", "y"].into_iter().collect()),
        (
            "orders",
            Value::Array(vec![
                [("item", 1)].into_iter().collect(),
                Value::Null,
                [("item", [2, 3].into_iter().collect::<Value>())].into_iter().collect(),
                [("other", 4)].into_iter().collect(),
                Value::Array(vec![[("item", 5)].into_iter().collect()]),
            ]),
        ),
    ]
    .into_iter()
    .collect();
    let bytes = encode(&document).unwrap();
    let check = |text: &str, shown: &[&str], crossed: bool| {
        let found = lookup(&bytes, &path(text)).unwrap();
        let items: Vec<_> = found.items().map(|item| decode(item).unwrap().to_string()).collect();
        assert_eq!((items, found.crossed), (shown.iter().map(|s| s.to_string()).collect(), crossed), "{text}");
        assert_eq!(found.is_empty(), shown.is_empty());
        assert_eq!(found.single().is_some(), !shown.is_empty() && !crossed);
    };
    check("name", &["\"Ada\""], false);
    check("address.city", &["\"London\""], false);
    check("address.0", &["\"zero\""], false);
    check("address", &[r#"{"city":"London","0":"zero"}"#], false);
    check("tags", &[r#"["x","y"]"#], false);
    check("tags.1", &["\"y\""], false);
    check("orders.item", &["1", "[2,3]"], true);
    check("orders.2.item.1", &["3"], false);
    check("orders.item.1", &["3"], true);
    check("orders.4.item", &["5"], true);
    for absent in ["nam", "name.x", "address.street", "tags.2", "tags.4294967295", "name.0"] {
        check(absent, &[], false);
    }
    check("orders.x", &[], true);
    check("tags.x", &[], true);

    let tags = lookup(&bytes, &path("tags")).unwrap();
    let elements = elements(tags.single().unwrap()).unwrap().unwrap();
    assert_eq!(elements.map(|item| decode(item.unwrap()).unwrap().to_string()).collect::<Vec<_>>(), ["\"x\"", "\"y\""]);
    assert!(super::elements(&bytes).unwrap().is_none());
}

#[test]
fn only_what_paths_lead_to_is_kept() {
    let item =
        |name: &str, price: i32| [("name", Value::from(name)), ("price", price.into())].into_iter().collect::<Value>();
    let document: Value = [
        ("id", Value::from(1)),
        ("address", [("city", "London"), ("street", "St James's Square")].into_iter().collect()),
        ("items", Value::Array(vec![item("a", 1), 5.into(), item("b", 2), Value::Array(vec![item("c", 3)])])),
    ]
    .into_iter()
    .collect();
    let bytes = encode(&document).unwrap();
    let check = |paths: &[&str], expected: &str| {
        let paths: Vec<_> = paths.iter().map(|text| path(text)).collect();
        let kept = project(&bytes, &paths).unwrap();
        validate(&kept).unwrap();
        assert_eq!(decode(&kept).unwrap().to_string(), expected);
    };
    check(&[], "{}");
    check(&["absent", "id.x", "address.zip"], "{}");
    check(&["id"], r#"{"id":1}"#);
    check(&["address.city", "id"], r#"{"id":1,"address":{"city":"London"}}"#);
    check(&["address.city", "address"], r#"{"address":{"city":"London","street":"St James's Square"}}"#);
    check(&["items.name"], r#"{"items":[{"name":"a"},{"name":"b"}]}"#);
    check(&["items.0", "items.2.price"], r#"{"items":[{"name":"a","price":1},{"price":2}]}"#);
    check(&["items.2.price", "items.name"], r#"{"items":[{"name":"a"},{"name":"b","price":2}]}"#);
    check(&["items.3.name"], r#"{"items":[[{"name":"c"}]]}"#);
}

/// Every change of a byte that makes another document, or none.
fn mutated() -> impl Strategy<Value = Vec<u8>> {
    let changes = prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4);
    (strategies::document(), changes, any::<prop::sample::Index>()).prop_map(|(document, changes, end)| {
        let mut bytes = encode(&document).unwrap();
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if bytes.len().is_multiple_of(3) {
            bytes.truncate(end.index(bytes.len()));
        }
        bytes
    })
}

/// Paths to what the documents of the strategies may have.
fn paths() -> impl Strategy<Value = Path> {
    prop::collection::vec("[a-c]{1,2}|[0-2]", 1..4).prop_map(|names| path(&names.join(".")))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, ..ProptestConfig::default() })]

    #[test]
    fn values_come_back_as_they_were(value in strategies::value()) {
        let bytes = encode(&value).unwrap();
        let back = decode(&bytes).unwrap();
        prop_assert_eq!(shown(&back), shown(&value));
        prop_assert_eq!(encode(&back).unwrap(), bytes);
        prop_assert_eq!(back, value);
    }

    #[test]
    fn keys_made_from_bytes_are_those_of_the_value(value in strategies::value()) {
        let bytes = encode(&value).unwrap();
        let mut out = KeyBuffer::new();
        match (key_of(&value), encode_key_of(&bytes, &mut out)) {
            (Ok(key), Ok(())) => prop_assert_eq!(key, out.to_vec()),
            (Err(told), Err(other)) => prop_assert_eq!(told, other),
            (one, other) => prop_assert!(false, "{} is a key to one: {:?} {:?}", value, one, other),
        }
        if let Value::Text(text) = &value {
            let mut out = KeyBuffer::new();
            encode_folded_key_of(&bytes, &mut out).unwrap();
            prop_assert_eq!(out.to_vec(), key_of(&fold(text).into_owned().into()).unwrap());
        }
    }

    #[test]
    fn any_bytes_are_a_document_to_all_or_to_none(bytes in mutated(), path in paths()) {
        match validate_item(&bytes) {
            Ok(()) => {
                let value = decode(&bytes).unwrap();
                prop_assert_eq!(shown(&decode_by_minicbor(&bytes).unwrap()), shown(&value));
                prop_assert_eq!(shown(&decode(&encode(&value).unwrap()).unwrap()), shown(&value));
            }
            Err(told) => prop_assert_eq!(decode(&bytes).unwrap_err(), told),
        }
        // Nothing breaks, whatever is found.
        if let Ok(found) = lookup(&bytes, &path) {
            for item in found.items() {
                let _ = encode_key_of(item, &mut KeyBuffer::new());
                let _ = elements(item).map(|elements| elements.map(Iterator::count));
            }
        }
        let _ = project(&bytes, &[path]);
    }

    #[test]
    fn what_is_found_in_bytes_is_what_the_value_has(document in strategies::document(), path in paths()) {
        let bytes = encode(&document).unwrap();
        let found = lookup(&bytes, &path).unwrap();
        if !found.crossed {
            let at = found.single().map(|item| decode(item).unwrap());
            prop_assert_eq!(at.as_ref(), document.at(&path));
        }
        let kept = decode(&project(&bytes, core::slice::from_ref(&path)).unwrap()).unwrap();
        prop_assert_eq!(found.is_empty(), kept == Value::Map(vec![]));
    }
}
