//! Rust types as documents and back.

use alloc::collections::BTreeMap;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;
use core::fmt::Debug;

use proptest::prelude::*;
use serde::{Deserialize, Serialize};

use super::*;
use crate::document::cbor;
use crate::document::{Value, strategies};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Person {
    name: String,
    age: u8,
    height: f64,
    weight: f32,
    initial: char,
    nick: Option<String>,
    nothing: (),
    tags: Vec<String>,
    place: (i32, i32),
    shape: Shape,
    shapes: Vec<Shape>,
    by_number: BTreeMap<u32, bool>,
    by_kind: BTreeMap<Kind, i64>,
    id: Value,
    at: Value,
    #[serde(skip_serializing_if = "Option::is_none")]
    left_out: Option<u64>,
    #[serde(flatten)]
    more: BTreeMap<String, Value>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum Shape {
    Point,
    Circle(f64),
    Segment(i8, i8),
    Box { width: u64, height: u64 },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Old,
    New,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Holder<T> {
    it: T,
}

fn person() -> Person {
    Person {
        name: "Ada".into(),
        age: 36,
        height: 1.65,
        weight: 0.1,
        initial: 'é',
        nick: None,
        nothing: (),
        tags: vec!["a".into(), "b".into()],
        place: (-1, 70_000),
        shape: Shape::Circle(2.0),
        shapes: vec![Shape::Point, Shape::Segment(1, -1), Shape::Box { width: u64::MAX, height: 0 }],
        by_number: [(7, true), (8, false)].into(),
        by_kind: [(Kind::Old, 1), (Kind::New, 2)].into(),
        id: Value::Uuid([9; 16]),
        at: Value::Timestamp(-1),
        left_out: None,
        more: [("bytes".to_string(), Value::from(vec![1u8, 2])), ("moment".to_string(), Value::Timestamp(1))].into(),
    }
}

/// What is read from the document that a value of another type is.
#[track_caller]
fn becomes<T: Serialize, U: DeserializeOwned + PartialEq + Debug>(from: T, to: U) {
    assert_eq!(from_document::<Holder<U>>(&to_document(&Holder { it: from }).unwrap()).unwrap().it, to);
}

#[track_caller]
fn refused<T: Serialize, U: DeserializeOwned + Debug>(from: T, why: &str) {
    let told = from_document::<Holder<U>>(&to_document(&Holder { it: from }).unwrap()).unwrap_err().to_string();
    assert!(told.contains(why), "{told}");
}

#[test]
fn a_struct_comes_back_and_is_a_plain_document() {
    let document = to_document(&person()).unwrap();
    assert_eq!(from_document::<Person>(&document).unwrap(), person());
    let value = cbor::decode(&document).unwrap();
    assert_eq!(value.get("initial"), Some(&"é".into()));
    assert_eq!(value.get("nick"), Some(&Value::Null));
    assert_eq!(value.get("left_out"), None);
    assert_eq!(value.get("shape").unwrap().to_string(), r#"{"Circle":2.0}"#);
    assert_eq!(value.get("by_number").unwrap().to_string(), r#"{"7":true,"8":false}"#);
    assert_eq!(value.get("by_kind").unwrap().to_string(), r#"{"old":1,"new":2}"#);
    assert_eq!(value.get("id"), Some(&Value::Uuid([9; 16])));
    assert_eq!(value.get("at"), Some(&Value::Timestamp(-1)));
    assert_eq!(value.get("moment"), Some(&Value::Timestamp(1)));
    assert_eq!(cbor::encode(&value).unwrap(), document, "in the shortest form");
}

#[test]
fn what_other_languages_write_is_read() {
    becomes(3.0, 3_i32);
    becomes(-3.0, -3_i64);
    becomes(3, 3.0_f64);
    becomes(u64::MAX, u64::MAX);
    becomes(-(1_i128 << 64), -(1_i128 << 64));
    becomes(Value::Timestamp(-5), -5_i64);
    becomes(Value::Bytes(vec![1, 2]), vec![1_u8, 2]);
    becomes(Value::Uuid([3; 16]), [3_u8; 16]);
    becomes(Value::Null, ());
    becomes("é", 'é');
    refused::<_, u8>(256, "256");
    refused::<_, i32>(0.5, "0.5");
    refused::<_, u8>("x", "invalid type");
    refused::<_, (u8, u8)>([1, 2, 3], "1 are left");
    refused::<_, (u8, u8)>([1], "invalid length");
    refused::<_, Shape>("Square", "Square");
    refused::<_, Shape>(5, "a variant is its name");
}

#[test]
fn what_is_no_document_is_refused() {
    let told = |outcome: Result<Vec<u8>>| outcome.unwrap_err().to_string();
    assert!(told(stored(&5)).contains("in CBOR a map"));
    assert!(told(to_document(&Holder { it: u128::MAX })).contains("integer"));
    assert!(told(to_document(&BTreeMap::from([((1, 2), 3)]))).contains("keys of a map"));
    let mut twice = person();
    twice.more.insert("name".into(), Value::Null);
    assert!(told(stored(&twice)).contains(r#"the field "name" twice"#));
    let deep = (0..100).fold(Value::Null, |inner, _| Value::Array(vec![inner]));
    assert_eq!(stored(&Holder { it: deep }).unwrap_err().name(), "LimitExceeded");
    let hostile = [&[0xa1, 0x62, b'i', b't'], [0x81].repeat(100_000).as_slice()].concat();
    assert_eq!(from_document::<Holder<Value>>(&hostile).unwrap_err().name(), "LimitExceeded");
}

proptest! {
    #[test]
    fn any_value_survives_serde(value in strategies::document()) {
        let document = to_document(&value).unwrap();
        prop_assert_eq!(&document, &cbor::encode(&value).unwrap());
        let back: Value = from_document(&document).unwrap();
        prop_assert_eq!(alloc::format!("{:?}", back), alloc::format!("{:?}", value));
    }

    #[test]
    fn any_bytes_are_a_value_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
        if cbor::validate(&bytes).is_ok() {
            prop_assert!(from_document::<Value>(&bytes).is_ok());
        }
        let _ = from_document::<Person>(&bytes);
    }
}

/// What is stored of a value, which is looked at as any bytes are.
fn stored<T: Serialize>(value: &T) -> Result<Vec<u8>> {
    let bytes = to_document(value)?;
    cbor::validate(&bytes).map(|()| bytes)
}
