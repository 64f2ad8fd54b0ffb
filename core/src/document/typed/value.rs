//! Values as serde sees them.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::ser::{Serialize, SerializeMap, Serializer};

use super::{TIMESTAMP, UUID};
use crate::document::Value;
use crate::document::value::{INTEGER_MAX, INTEGER_MIN};

/// Room set aside for what a format announces.
const ROOM_MAX: usize = 256;

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Value::Null => serializer.serialize_unit(),
            Value::Bool(value) => serializer.serialize_bool(*value),
            Value::Integer(integer) => match (i64::try_from(*integer), u64::try_from(*integer)) {
                (Ok(integer), _) => serializer.serialize_i64(integer),
                (_, Ok(integer)) => serializer.serialize_u64(integer),
                _ => serializer.serialize_i128(*integer),
            },
            Value::Float(float) => serializer.serialize_f64(*float),
            Value::Text(text) => serializer.serialize_str(text),
            Value::Bytes(bytes) => serializer.serialize_bytes(bytes),
            Value::Timestamp(micros) => serializer.serialize_newtype_struct(TIMESTAMP, micros),
            Value::Uuid(uuid) => serializer.serialize_newtype_struct(UUID, &Bytes(uuid)),
            Value::Array(elements) => serializer.collect_seq(elements),
            Value::Map(fields) => {
                let mut map = serializer.serialize_map(Some(fields.len()))?;
                for (name, value) in fields {
                    map.serialize_entry(name, value)?;
                }
                map.end()
            }
        }
    }
}

struct Bytes<'a>(&'a [u8]);

impl Serialize for Bytes<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(self.0)
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyValue)
    }
}

struct AnyValue;

impl<'de> Visitor<'de> for AnyValue {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value of a document")
    }

    fn visit_unit<E: de::Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E: de::Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E: de::Error>(self, integer: i64) -> Result<Value, E> {
        Ok(Value::from(integer))
    }

    fn visit_u64<E: de::Error>(self, integer: u64) -> Result<Value, E> {
        Ok(Value::from(integer))
    }

    fn visit_i128<E: de::Error>(self, integer: i128) -> Result<Value, E> {
        if (INTEGER_MIN..=INTEGER_MAX).contains(&integer) {
            Ok(Value::Integer(integer))
        } else {
            Err(E::custom("integers of documents are from -2^64 to 2^64 - 1"))
        }
    }

    fn visit_f64<E: de::Error>(self, float: f64) -> Result<Value, E> {
        Ok(Value::Float(float))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Value, E> {
        Ok(Value::from(text))
    }

    fn visit_string<E: de::Error>(self, text: String) -> Result<Value, E> {
        Ok(Value::Text(text))
    }

    fn visit_bytes<E: de::Error>(self, bytes: &[u8]) -> Result<Value, E> {
        Ok(Value::from(bytes))
    }

    fn visit_byte_buf<E: de::Error>(self, bytes: Vec<u8>) -> Result<Value, E> {
        Ok(Value::Bytes(bytes))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut elements = Vec::with_capacity(items.size_hint().unwrap_or(0).min(ROOM_MAX));
        while let Some(element) = items.next_element()? {
            elements.push(element);
        }
        Ok(Value::Array(elements))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut fields: Vec<(String, Value)> = Vec::with_capacity(entries.size_hint().unwrap_or(0).min(ROOM_MAX));
        while let Some(entry) = entries.next_entry()? {
            fields.push(entry);
        }
        Ok(match fields.as_slice() {
            [(name, value)] if name == TIMESTAMP => match value.as_i64() {
                Some(micros) => Value::Timestamp(micros),
                None => return Err(de::Error::custom("a timestamp is an integer of microseconds")),
            },
            [(name, value)] if name == UUID => match value.as_str().and_then(uuid) {
                Some(uuid) => Value::Uuid(uuid),
                None => return Err(de::Error::custom("a UUID is 32 digits")),
            },
            _ => Value::Map(fields),
        })
    }
}

fn uuid(text: &str) -> Option<[u8; 16]> {
    let mut number = 0_u128;
    let mut digits = 0;
    for letter in text.chars().filter(|letter| *letter != '-') {
        number = number << 4 | u128::from(letter.to_digit(16)?);
        digits += 1;
    }
    (digits == 32).then_some(number.to_be_bytes())
}
