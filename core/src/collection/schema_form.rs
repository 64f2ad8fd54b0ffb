//! Schemas as maps: the form in which other languages hand them over, and scripts hold them.
//!
//! ```text
//! {"key": "id", "version": 1, "expiresAfterMs": 60000, "autoKey": "increment",
//!  "indexes": [{"paths": ["country", "city"], "name": "place", "unique": true, "sparse": true, "multi": true, "folded": true}]}
//! ```
//!
//! All but the key, and an index's paths, may be left out. A member that is not one of these is an error.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::auto_key::AutoKey;
use super::schema::{Index, Schema};
use crate::document::Value;
use crate::error::{Error, Result};

impl Schema {
    /// Reads a schema from a map.
    pub fn from_value(value: &Value) -> Result<Self> {
        let members = members(value, "a schema", &["key", "version", "expiresAfterMs", "autoKey", "indexes"])?;
        let mut schema = Self::key("");
        for (name, value) in members {
            match (name.as_str(), value) {
                ("key", Value::Text(path)) => schema.key.clone_from(path),
                ("version", Value::Integer(version)) => {
                    schema.version = u32::try_from(*version).map_err(|_| wrong("version", value))?;
                }
                ("expiresAfterMs", Value::Integer(after)) => {
                    schema.expires_after_ms = Some(u64::try_from(*after).map_err(|_| wrong("expiresAfterMs", value))?);
                }
                ("autoKey", Value::Text(name)) => {
                    schema.auto_key = Some(AutoKey::of(name).ok_or_else(|| wrong("autoKey", value))?);
                }
                ("indexes", Value::Array(indexes)) => {
                    schema.indexes = indexes.iter().map(Index::from_value).collect::<Result<_>>()?;
                }
                (_, Value::Null) => {}
                (name, value) => return Err(wrong(name, value)),
            }
        }
        if schema.key.is_empty() {
            return Err(Error::invalid("a schema needs 'key', the path of the documents' key"));
        }
        Ok(schema)
    }
}

impl Index {
    fn from_value(value: &Value) -> Result<Self> {
        let members = members(value, "an index", &["paths", "name", "unique", "sparse", "multi", "folded"])?;
        let mut index = Self::on(Vec::new());
        for (name, value) in members {
            match (name.as_str(), value) {
                ("paths", Value::Text(path)) => index.paths = Vec::from([path.clone()]),
                ("paths", Value::Array(paths)) => {
                    let text = |path: &Value| match path {
                        Value::Text(path) => Ok(path.clone()),
                        other => Err(wrong("paths", other)),
                    };
                    index.paths = paths.iter().map(text).collect::<Result<_>>()?;
                }
                ("name", Value::Text(name)) => index.name = Some(name.clone()),
                ("unique", Value::Bool(said)) => index.unique = *said,
                ("sparse", Value::Bool(said)) => index.sparse = *said,
                ("multi", Value::Bool(said)) => index.multi = *said,
                ("folded", Value::Bool(said)) => index.folded = *said,
                (_, Value::Null) => {}
                (name, value) => return Err(wrong(name, value)),
            }
        }
        Ok(index)
    }
}

fn members<'v>(value: &'v Value, what: &str, known: &[&str]) -> Result<&'v [(String, Value)]> {
    let Value::Map(members) = value else { return Err(Error::invalid(format!("{what} is a map, not {value}"))) };
    match members.iter().find(|(name, _)| !known.contains(&name.as_str())) {
        Some((name, _)) => Err(Error::invalid(format!("{what} has no member '{name}', only {}", known.join(", ")))),
        None => Ok(members),
    }
}

fn wrong(name: &str, value: &Value) -> Error {
    Error::invalid(format!("'{name}' of a schema cannot be {value}"))
}
