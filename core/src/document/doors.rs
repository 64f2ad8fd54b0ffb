//! Doors for tests that feed the decoders of this layer arbitrary bytes: see [`crate::testing`].
#![allow(clippy::unwrap_used)]

use alloc::format;
use alloc::vec::Vec;

use super::{Path, Value, cbor, fold, key, merge_patch};
use crate::table::KeyBuffer;

/// Reads two keys of documents; what the first byte says is the length of the first.
pub fn document_key(bytes: &[u8]) {
    let Some((&len, rest)) = bytes.split_first() else { return };
    let (a, b) = rest.split_at_checked(usize::from(len)).unwrap_or((rest, rest));
    if let (Some(one), Some(other)) = (one_key(a), one_key(b)) {
        let order = one.key_order(&other);
        assert_eq!(order, Some(key_of(&one).cmp(&key_of(&other))), "{one} and {other}");
        assert_eq!(one == other, order == Some(core::cmp::Ordering::Equal), "{one} and {other}");
    }
}

fn one_key(bytes: &[u8]) -> Option<Value> {
    let skipped = key::skip(bytes);
    let (value, rest) = key::decode(bytes).ok()?;
    assert_eq!([key_of(&value).as_slice(), rest].concat(), bytes, "{value} has one key");
    assert_eq!(skipped.unwrap(), rest, "{value}");
    Some(value)
}

fn key_of(value: &Value) -> Vec<u8> {
    let mut out = KeyBuffer::new();
    key::encode(value, &mut out).unwrap();
    out.to_vec()
}

/// Checks a document, finds, cuts and patches what is in it, and makes keys of it, from its bytes and from its value.
pub fn document(bytes: &[u8]) {
    let checked = cbor::validate_item(bytes);
    assert!(checked.is_ok() || cbor::validate(bytes).is_err(), "a document is a value");
    let value = cbor::decode(bytes);
    assert_eq!(checked.clone().err(), value.clone().err(), "the check and the decoder are of one opinion");
    let by_another = cbor::decode_by_minicbor(bytes);
    assert_eq!(format!("{by_another:?}"), format!("{value:?}"), "another reader is of this opinion");
    look_into(bytes);
    let Ok(mut value) = value else { return };

    let again = cbor::encode(&value).unwrap();
    assert!(again.len() <= bytes.len(), "{value} is written in the shortest form");
    assert_eq!(format!("{:?}", cbor::decode(&again).unwrap()), format!("{value:?}"), "a value comes back");
    #[cfg(feature = "serde")]
    assert_eq!(super::typed::from_document::<Value>(bytes).map(|read| read == value), Ok(true), "{value} by serde");

    let (mut of_bytes, mut of_value) = (KeyBuffer::new(), KeyBuffer::new());
    let told = cbor::encode_key_of(bytes, &mut of_bytes);
    assert_eq!(told, key::encode(&value, &mut of_value));
    if told.is_ok() {
        assert_eq!(of_bytes, of_value, "{value} has one key");
        assert_eq!(key::decode(&of_bytes).unwrap(), (value.clone(), [].as_slice()));
    }
    for name in value.as_map().unwrap_or_default().iter().map(|(name, _)| name.clone()).collect::<Vec<_>>() {
        let Ok(path) = Path::of([name.as_str()]) else { continue };
        let found = cbor::lookup(bytes, &path).unwrap();
        let at = found.single().map(|item| cbor::decode(item).unwrap());
        assert_eq!(at.as_ref(), value.at(&path), "{path} of {value}");
        let kept = cbor::project(bytes, core::slice::from_ref(&path)).unwrap();
        assert_eq!(cbor::decode(&kept).unwrap().at(&path), value.at(&path), "{path} of {value}");
    }
    let patch = value.clone();
    merge_patch(&mut value, patch);
}

/// What is done with documents that were checked once, of bytes that were not.
fn look_into(bytes: &[u8]) {
    for path in ["a", "a.b", "0", "a.0.b", "tags"] {
        let path = Path::parse(path).unwrap();
        for item in cbor::lookup(bytes, &path).iter().flat_map(|found| found.items()) {
            let _ = cbor::encode_folded_key_of(item, &mut KeyBuffer::new());
            let _ = cbor::elements(item).map(|elements| elements.map(Iterator::count));
        }
        let _ = cbor::project(bytes, &[path]);
    }
}

/// Reads a path, and folds text.
pub fn path(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else { return };
    if let Ok(path) = Path::parse(text) {
        assert_eq!(format!("{path}"), text, "a path has one form");
        assert_eq!(Path::of(path.names()), Ok(path));
    }
    let folded = fold(text);
    assert_eq!(fold(&folded), folded, "folded text stays as it is");
}
