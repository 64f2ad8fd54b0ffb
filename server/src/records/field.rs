//! Taking one field out of a JSON object without building the rest of it.

use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, Visitor};
use serde_json::Value as Json;
use std::fmt;

/// Where a field is: `id`, or `address.city` for one inside another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldPath {
    names: Vec<String>,
}

impl FieldPath {
    /// Reads a path. A name that contains a dot is written with a slash in front: `/a.b/c`.
    pub fn parse(path: &str) -> Result<Self, String> {
        let names: Vec<String> = match path.strip_prefix('/') {
            Some(path) => path.split('/').map(str::to_owned).collect(),
            None => path.split('.').map(str::to_owned).collect(),
        };
        if names.iter().any(String::is_empty) {
            return Err("a path is field names with dots between them, like id or address.city".to_owned());
        }
        Ok(Self { names })
    }

    /// The field in the JSON object `text`; `None` if it has no such field. Reads all of `text`, so that what is not
    /// JSON is noticed.
    pub fn find(&self, text: &str) -> serde_json::Result<Option<Json>> {
        let mut deserializer = serde_json::Deserializer::from_str(text);
        let found = Seek { names: &self.names }.deserialize(&mut deserializer)?;
        deserializer.end()?;
        Ok(found)
    }

    /// The name, where it is a single one.
    pub fn single(&self) -> Option<&str> {
        match self.names.as_slice() {
            [name] => Some(name),
            _ => None,
        }
    }
}

impl fmt::Display for FieldPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.names.join("."))
    }
}

/// Descends along `names`; the last one's value is what is found.
struct Seek<'p> {
    names: &'p [String],
}

impl<'de> DeserializeSeed<'de> for Seek<'_> {
    type Value = Option<Json>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Seek<'_> {
    type Value = Option<Json>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.names {
            [name, ..] => write!(f, "a JSON object with the field '{name}'"),
            [] => f.write_str("a JSON object"),
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let Some((name, inner)) = self.names.split_first() else { return Err(A::Error::custom("the path is empty")) };
        let mut found = None;
        while let Some(matches) = map.next_key_seed(NameIs(name))? {
            if !matches {
                map.next_value::<IgnoredAny>()?;
            } else if inner.is_empty() {
                found = Some(map.next_value()?);
            } else {
                found = map.next_value_seed(Seek { names: inner })?;
            }
        }
        Ok(found)
    }
}

/// Compares a field's name without keeping it.
struct NameIs<'p>(&'p str);

impl<'de> DeserializeSeed<'de> for NameIs<'_> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for NameIs<'_> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a field name")
    }

    fn visit_str<E>(self, name: &str) -> Result<bool, E> {
        Ok(name == self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn fields_are_found_at_any_depth() {
        let text = r#"{"a": {"b": [1, {"c": 2}], "c": {"d": "x"}}, "id": 7, "n.m": true, "\u0069\u0064x": 1}"#;
        let find = |path: &str| FieldPath::parse(path).unwrap().find(text).unwrap();
        assert_eq!(find("id"), Some(json!(7)));
        assert_eq!(find("idx"), Some(json!(1)));
        assert_eq!(find("a.c.d"), Some(json!("x")));
        assert_eq!(find("/n.m"), Some(json!(true)));
        assert_eq!(find("n.m"), None);
        assert_eq!(find("a.x"), None);
        assert!(FieldPath::parse("a..b").is_err());
    }

    #[test]
    fn what_is_not_json_is_noticed_behind_the_field_too() {
        let path = FieldPath::parse("id").unwrap();
        for text in [r#"{"id": 7, "#, r#"{"id": 7} x"#, "7", r#"{"id": 7, "a": nul}"#] {
            assert!(path.find(text).is_err(), "{text}");
        }
    }
}
