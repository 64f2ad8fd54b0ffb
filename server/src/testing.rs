//! Doors for tests that feed arbitrary bytes to what reads files to import, and keys and values typed by people. Each takes
//! any bytes, and panics where what was read does not come back as it was.

use lightning_db::KeyBuffer;

use crate::commands::import::{encode_all, encode_documents};
use crate::range::parse_key;
use crate::records::{FieldPath, Format, Place, Records, Shape};
use crate::types::{Datum, Type, decode_key, decode_value, encode_key, encode_key_prefix, encode_value};

/// Imports a file of comma-separated values.
pub fn csv(bytes: &[u8]) {
    import(Format::Csv, bytes);
}

/// Imports a file of JSON Lines.
pub fn json_lines(bytes: &[u8]) {
    import(Format::Jsonl, bytes);
}

/// The first byte chooses the key column, the types are those of the first record or these.
fn import(format: Format, bytes: &[u8]) {
    let Some((&how, text)) = bytes.split_first() else { return };
    let key = ["", "id", "a.b", "/a.b/c"].get(usize::from(how % 4)).and_then(|path| FieldPath::parse(path).ok());
    let types = [None, Some("string"), Some("i64"), Some("bytes"), Some("(string, u64)"), Some("f64"), Some("u128?")];
    let typed = |choice: u8| types.get(usize::from(choice) % types.len()).copied().flatten().map(Type::parse);
    let value_type = typed(how / 32).filter(Type::is_for_values);
    let open =
        |shape| Records::of(Box::new(std::io::Cursor::new(text.to_vec())), "records", format, shape, Place::default());
    let lines = text.iter().filter(|byte| matches!(byte, b'\n' | b'\r')).count() + 1;
    if let Ok(records) = open(Shape::Rows { key })
        && let Ok(rows) = encode_all(records, typed(how / 4), value_type)
    {
        assert!(rows <= lines, "{rows} rows out of {lines} lines");
    }
    if let Ok(key) = lightning_db::Path::parse("id")
        && let Ok(records) = open(Shape::Documents { key, text: Vec::new() })
        && let Ok(documents) = encode_documents(records)
    {
        assert!(documents <= lines, "{documents} documents out of {lines} lines");
    }
}

/// The first line is the name of a type, the rest a key or a value of it as people type it.
pub fn typed_text(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let (name, text) = text.split_once('\n').unwrap_or((text, ""));
    let kind = Type::parse(name);
    assert_eq!(Type::parse(&kind.to_string()), kind, "the name of a type comes back");
    let _ = (kind.with_article(), FieldPath::parse(text), parse_key(&kind, text).is_ok());
    let mut prefix = KeyBuffer::new();
    let _ = encode_key_prefix(&kind, text, &mut prefix);
    if let Ok(datum) = Datum::from_text(&kind, text) {
        comes_back(&kind, &datum);
    }
    if let Ok(json) = serde_json::from_str(text)
        && let Ok(datum) = Datum::from_json(&kind, &json)
    {
        comes_back(&kind, &datum);
    }
}

/// The first line is the name of a type, the rest the stored bytes of a key or a value of it.
pub fn stored_as(bytes: &[u8]) {
    let Some(end) = bytes.iter().position(|byte| *byte == b'\n') else { return };
    let (name, stored) = bytes.split_at(end);
    let Ok(name) = std::str::from_utf8(name) else { return };
    let stored = stored.get(1..).unwrap_or_default();
    let kind = Type::parse(name);
    if let Ok(datum) = decode_key(&kind, stored) {
        let mut again = KeyBuffer::new();
        if encode_key(&kind, &datum, &mut again).is_ok() {
            assert_eq!(again.as_slice(), stored, "{datum:?} as {kind}");
        }
        written_and_read(&kind, &datum);
    }
    if kind.is_for_values()
        && let Ok(datum) = decode_value(&kind, stored)
    {
        if let Ok(again) = encode_value(&kind, &datum) {
            assert_eq!(again.as_ref(), stored, "{datum:?} as {kind}");
        }
        written_and_read(&kind, &datum);
    }
}

/// Encoded and decoded, a datum is what it was.
fn comes_back(kind: &Type, datum: &Datum<'_>) {
    let mut key = KeyBuffer::new();
    if encode_key(kind, datum, &mut key).is_ok() {
        let again = decode_key(kind, &key).unwrap_or_else(|error| panic!("{datum:?} as {kind}: {error}"));
        assert!(same(&again, datum), "{datum:?} as {kind} came back as {again:?}");
    }
    if kind.is_for_values()
        && let Ok(bytes) = encode_value(kind, datum)
    {
        let again = decode_value(kind, &bytes).unwrap_or_else(|error| panic!("{datum:?} as {kind}: {error}"));
        assert!(same(&again, datum), "{datum:?} as {kind} came back as {again:?}");
    }
    written_and_read(kind, datum);
}

/// Written as JSON and read again, a datum is what it was.
fn written_and_read(kind: &Type, datum: &Datum<'_>) {
    let mut text = String::new();
    datum.write_text(&mut text);
    let mut json = String::new();
    datum.write_json(&mut json);
    let value = serde_json::from_str(&json).unwrap_or_else(|error| panic!("{json} of {datum:?}: {error}"));
    if let Ok(again) = Datum::from_json(kind, &value) {
        assert!(same(&again, datum), "{datum:?} as {kind} came back from {json} as {again:?}");
    }
    let mut nested = String::new();
    datum.write_nested_json(&mut nested);
    assert!(serde_json::from_str::<serde::de::IgnoredAny>(&nested).is_ok(), "{nested} of {datum:?}");
}

/// Equal, where NaN is what it is; and zero is zero, whichever sign it has in a key.
fn same(a: &Datum<'_>, b: &Datum<'_>) -> bool {
    match (a, b) {
        (Datum::Float(a), Datum::Float(b)) => a == b || (a.is_nan() && b.is_nan()),
        (Datum::Tuple(a), Datum::Tuple(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
        _ => a == b,
    }
}
