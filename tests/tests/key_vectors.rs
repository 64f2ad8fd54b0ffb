//! `tests/conformance/keys.json`: values and their keys in ascending order, which every binding makes and reads alike. The
//! keys were made by a program that shares nothing with the engine.

use std::collections::BTreeSet;
use std::fs;

use lightning_db::{KeyBuffer, Value};
use lightning_db_tests::conformance::{self, value};
use serde_json::Value as Json;

fn vectors() -> Vec<(Json, Vec<u8>)> {
    let text = fs::read_to_string(conformance::folder().join("keys.json")).expect("it is there");
    let vectors: Vec<Json> = serde_json::from_str(&text).expect("it is JSON");
    let vector = |json: &Json| {
        let key = json["key"].as_str().expect("a key in digits");
        (json["value"].clone(), value::from_hex(key).expect("pairs of digits"))
    };
    vectors.iter().map(vector).collect()
}

#[test]
fn values_have_the_keys_of_the_vectors() {
    for (json, expected) in vectors() {
        let value = value::read(&json).unwrap_or_else(|error| panic!("{json}: {error}"));
        let mut key = KeyBuffer::new();
        value.encode_key(&mut key).unwrap_or_else(|error| panic!("{json}: {error}"));
        assert_eq!(value::hex(&key), value::hex(&expected), "{json}");
    }
}

#[test]
fn keys_of_the_vectors_are_read_as_their_values() {
    for (json, key) in vectors() {
        let found = Value::decode_key(&key).unwrap_or_else(|error| panic!("{json}: {error}"));
        assert_eq!(found, value::read(&json).expect("read before"), "{json}");
    }
}

#[test]
fn the_vectors_are_in_the_order_of_values_and_of_keys() {
    for pair in vectors().windows(2) {
        let [(before, lower), (after, upper)] = pair else { continue };
        let read = |json| value::read(json).expect("read before");
        assert_eq!(read(before).key_order(&read(after)), Some(lower.cmp(upper)), "{before} and {after}");
        assert!(lower <= upper, "{before} and {after}");
        assert!(lower == upper || !upper.starts_with(lower), "{before} and {after}");
    }
}

#[test]
fn the_vectors_have_every_kind() {
    let kinds: BTreeSet<_> = vectors().iter().map(|(json, _)| value::read(json).expect("read before").kind()).collect();
    let expected = ["array", "bool", "bytes", "float", "integer", "null", "text", "timestamp", "uuid"];
    assert_eq!(kinds.into_iter().collect::<Vec<_>>(), expected);
    assert!(vectors().len() >= 120);
}
