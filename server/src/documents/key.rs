//! Keys of documents, as people type them.

use std::ops::Bound;

use lightning_db::query::{Filter, Test};
use lightning_db::{KeyBuffer, Path, Query, Value};

use super::read_json;

/// Reads a key: a number, `true`, `false`, `null`, `"text"` in quotes, `uuid("…")`, `timestamp("…")`, `bytes("…")`, or a JSON
/// array of these; anything else is text as it stands.
pub fn parse_key_value(text: &str) -> Value {
    let trimmed = text.trim();
    if trimmed.starts_with(['[', '"', '{'])
        && let Ok(value) = read_json(trimmed)
        && value.is_key()
    {
        return value;
    }
    literal(trimmed).or_else(|| literal(&with_quotes(trimmed)?)).unwrap_or_else(|| Value::from(text))
}

/// A value as it is written in a query.
fn literal(text: &str) -> Option<Value> {
    // Text without quotes is no value there, and a key is text unless it says otherwise.
    let query = Query::parse(&format!("key = {text}")).ok()?;
    let is_bare = query.order().is_empty() && query.limit_count().is_none() && !query.is_reverse();
    if !is_bare || query.offset_count() != 0 || query.after_token().is_some() {
        return None;
    }
    let Filter::Condition(condition) = query.filter_by()? else { return None };
    match &condition.test {
        Test::In(values) if !condition.folded => match values.as_slice() {
            [value] => Some(value.clone()),
            _ => None,
        },
        _ => None,
    }
}

/// `uuid(…)` as it is typed where quotes are a nuisance.
fn with_quotes(text: &str) -> Option<String> {
    let (name, rest) = text.split_once('(')?;
    let inner = rest.strip_suffix(')')?;
    let is_plain = matches!(name, "uuid" | "timestamp" | "bytes") && !inner.contains(['"', '\\', ')']);
    is_plain.then(|| format!("{name}(\"{inner}\")"))
}

/// The encoded keys between two keys.
pub fn key_bounds(bound: Bound<&str>) -> Result<Bound<Vec<u8>>, String> {
    let encoded = |text: &str| {
        let mut out = KeyBuffer::new();
        parse_key_value(text).encode_key(&mut out).map_err(|error| format!("key '{text}': {error}"))?;
        Ok::<_, String>(out.to_vec())
    };
    Ok(match bound {
        Bound::Included(text) => Bound::Included(encoded(text)?),
        Bound::Excluded(text) => Bound::Excluded(encoded(text)?),
        Bound::Unbounded => Bound::Unbounded,
    })
}

/// What the encodings begin with of texts that begin with `text`, or of arrays that begin with these elements.
pub fn key_beginning(text: &str) -> Result<Vec<u8>, String> {
    let value = if text.trim_start().starts_with('[') { parse_key_value(text) } else { Value::from(text) };
    let mut out = KeyBuffer::new();
    value.encode_key(&mut out).map_err(|error| format!("'{text}': {error}"))?;
    // The last byte says that the text or the array ends.
    let mut prefix = out.to_vec();
    prefix.pop();
    Ok(prefix)
}

/// Puts the key into the document at its path, where there is nothing. Refuses another one that is there.
pub fn set_key(document: &mut Value, path: &Path, key: &Value) -> Result<(), String> {
    if let Some(there) = document.at(path).filter(|there| !there.is_null()) {
        if there == key {
            return Ok(());
        }
        return Err(format!("the document's key is {there} (field '{path}'), not {key}"));
    }
    let mut value = document;
    for name in path.names() {
        let Value::Map(fields) = value else {
            return Err(format!("the document has no place for its key at '{path}'"));
        };
        let at = match fields.iter().position(|(field, _)| field == name) {
            Some(at) => at,
            None => {
                fields.push((name.to_owned(), Value::Map(Vec::new())));
                fields.len() - 1
            }
        };
        let Some((_, field)) = fields.get_mut(at) else { return Err(format!("no field '{name}'")) };
        if field.is_null() {
            *field = Value::Map(Vec::new());
        }
        value = field;
    }
    *value = key.clone();
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_read_as_they_are_typed() {
        let uuid = "00112233-4455-6677-8899-aabbccddeeff";
        let uuid_value = read_json(&format!("{{\"$uuid\":\"{uuid}\"}}")).unwrap();
        for (text, value) in [
            ("7", Value::from(7)),
            ("-2.5", Value::from(-2.5)),
            ("ada", "ada".into()),
            ("Ada Lovelace", "Ada Lovelace".into()),
            ("FI/Oulu", "FI/Oulu".into()),
            ("\"7\"", "7".into()),
            ("true", true.into()),
            ("1 or true", "1 or true".into()),
            ("7 limit 3", "7 limit 3".into()),
            ("", "".into()),
            ("[\"fi\", 7]", Value::Array(vec!["fi".into(), 7.into()])),
            (&format!("uuid(\"{uuid}\")"), uuid_value.clone()),
            (&format!("uuid({uuid})"), uuid_value.clone()),
            (&format!("[{{\"$uuid\":\"{uuid}\"}}]"), Value::Array(vec![uuid_value.clone()])),
            ("timestamp(1970-01-01T00:00:01Z)", Value::Timestamp(1_000_000)),
            ("{\"a\":1}", "{\"a\":1}".into()),
            ("[1", "[1".into()),
        ] {
            assert_eq!(format!("{:?}", parse_key_value(text)), format!("{value:?}"), "{text}");
        }
    }

    #[test]
    fn a_prefix_is_what_the_keys_begin_with() {
        let encoded = |text: &str| match key_bounds(Bound::Included(text)) {
            Ok(Bound::Included(key)) => key,
            other => panic!("{other:?}"),
        };
        assert!(encoded("Oulu").starts_with(&key_beginning("Ou").unwrap()));
        assert!(!encoded("Turku").starts_with(&key_beginning("Ou").unwrap()));
        assert!(encoded("[\"fi\", 7]").starts_with(&key_beginning("[\"fi\"]").unwrap()));
        assert!(!encoded("[\"fin\", 7]").starts_with(&key_beginning("[\"fi\"]").unwrap()));
    }

    #[test]
    fn a_key_is_put_where_there_is_none() {
        let path = |text: &str| Path::parse(text).unwrap();
        let document = |text: &str| read_json(text).unwrap();
        let mut made = document("{\"a\":1}");
        set_key(&mut made, &path("id"), &7.into()).unwrap();
        assert_eq!(made, document("{\"a\":1,\"id\":7}"));
        set_key(&mut made, &path("id"), &7.0.into()).unwrap();
        assert!(set_key(&mut made, &path("id"), &8.into()).is_err());
        let mut nested = document("{\"a\":{\"b\":null}}");
        set_key(&mut nested, &path("a.b"), &"x".into()).unwrap();
        assert_eq!(nested, document("{\"a\":{\"b\":\"x\"}}"));
        assert!(set_key(&mut document("[1]"), &path("id"), &1.into()).is_err());
        assert!(set_key(&mut document("{\"id\":{}}"), &path("id"), &1.into()).is_err());
    }
}
