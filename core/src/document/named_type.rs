//! The types of tables' keys and values where a program knows only their names, which the file records: how a [`Value`]
//! becomes the bytes of such a key or value, and back. The encodings are those of `table`.

use alloc::borrow::Cow;
use alloc::boxed::Box;
use alloc::format;
use alloc::vec;
use alloc::vec::Vec;

use super::cbor;
use super::table_key::TYPE_NAME as KEY_TYPE;
use super::value::Value;
use crate::error::{Error, Result};
use crate::table::{Key, KeyBuffer, KeyPart};

/// How deep types lie within each other at most: names are read from files.
const DEPTH_MAX: usize = 8;
const SIGN: u64 = 1 << 63;

/// A type of keys or values, known by its name.
///
/// ```
/// use lightning_db::{NamedType, Value};
/// let pairs = NamedType::of_keys("(string, u64)")?;
/// let key = pairs.encode_key(&Value::Array(vec!["ada".into(), 7.into()]))?;
/// assert_eq!(pairs.decode_key(&key)?, Value::Array(vec!["ada".into(), 7.into()]));
/// # Ok::<(), lightning_db::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedType(Kind);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Kind {
    /// A key of every kind; as a value its CBOR.
    Any,
    Text,
    /// Bytes; of this length, if there is one.
    Bytes(Option<usize>),
    Bool,
    Unit,
    /// An integer of so many bytes, and whether it has a sign.
    Integer {
        width: usize,
        signed: bool,
    },
    Float,
    Tuple(Vec<Kind>),
    Optional(Box<Kind>),
}

impl NamedType {
    /// The type of this name as a key; `key` is every kind of key. A name that is not known is [`Error::Unsupported`].
    pub fn of_keys(name: &str) -> Result<Self> {
        if name == KEY_TYPE {
            return Ok(Self(Kind::Any));
        }
        Kind::read(name, DEPTH_MAX).map(Self).ok_or_else(|| unknown(name))
    }

    /// The type of this name as a value; `value` is every value, stored as its CBOR.
    pub fn of_values(name: &str) -> Result<Self> {
        if name == "value" {
            return Ok(Self(Kind::Any));
        }
        let kind = Kind::read(name, DEPTH_MAX).filter(|kind| !matches!(kind, Kind::Tuple(_) | Kind::Optional(_)));
        kind.map(Self).ok_or_else(|| unknown(name))
    }

    /// The bytes of a key.
    pub fn encode_key(&self, value: &Value) -> Result<KeyBuffer> {
        self.0.encode_key(value)
    }

    /// The key that these bytes are.
    pub fn decode_key(&self, key: &[u8]) -> Result<Value> {
        self.0.decode_key(key)
    }

    /// The bytes to store for a value.
    pub fn encode_value(&self, value: &Value) -> Result<Vec<u8>> {
        self.0.encode_value(value)
    }

    /// The value that is stored so.
    pub fn decode_value(&self, stored: &[u8]) -> Result<Value> {
        self.0.decode_value(stored)
    }
}

impl Kind {
    fn read(name: &str, depth: usize) -> Option<Self> {
        let depth = depth.checked_sub(1)?;
        if let Some(inner) = name.strip_suffix('?') {
            return Self::part(inner, depth).map(|kind| Self::Optional(Box::new(kind)));
        }
        if let Some(list) = name.strip_prefix('(').and_then(|rest| rest.strip_suffix(')')) {
            return split(list).map(|part| Self::part(part, depth)).collect::<Option<_>>().map(Self::Tuple);
        }
        if let Some(len) = name.strip_prefix("bytes[").and_then(|rest| rest.strip_suffix(']')) {
            return len.parse().ok().map(|len| Self::Bytes(Some(len)));
        }
        Some(match name {
            "string" => Self::Text,
            "bytes" => Self::Bytes(None),
            "bool" => Self::Bool,
            "unit" => Self::Unit,
            "f64" => Self::Float,
            _ => {
                let signed = name.starts_with('i');
                let width = match name.strip_prefix(['u', 'i'])? {
                    "8" => 1,
                    "16" => 2,
                    "32" => 4,
                    "64" => 8,
                    _ => return None,
                };
                Self::Integer { width, signed }
            }
        })
    }

    fn part(name: &str, depth: usize) -> Option<Self> {
        Self::read(name, depth).filter(|kind| *kind != Self::Unit)
    }

    /// The bytes of a key.
    fn encode_key(&self, value: &Value) -> Result<KeyBuffer> {
        let mut key = KeyBuffer::new();
        match (self, value) {
            (Self::Any, value) => <Value as Key>::encode(value, &mut key)?,
            // Alone they are as they are; in a tuple they must tell where they end.
            (Self::Text, Value::Text(text)) => key.extend(text.as_bytes()),
            (Self::Bytes(None), Value::Bytes(bytes)) => key.extend(bytes),
            (Self::Unit, Value::Null) => {}
            _ => self.encode_part(value, &mut key)?,
        }
        Ok(key)
    }

    fn encode_part(&self, value: &Value, key: &mut KeyBuffer) -> Result<()> {
        match (self, value) {
            (Self::Text, Value::Text(text)) => <&str as KeyPart>::encode_part(&Cow::Borrowed(text), key),
            (Self::Bytes(None), Value::Bytes(bytes)) => <&[u8] as KeyPart>::encode_part(&Cow::Borrowed(bytes), key),
            (Self::Bytes(Some(len)), Value::Bytes(bytes)) if bytes.len() == *len => {
                key.extend(bytes);
                Ok(())
            }
            (Self::Bool, Value::Bool(value)) => {
                key.push(u8::from(*value));
                Ok(())
            }
            (Self::Integer { width, signed }, Value::Integer(number)) => {
                let bits = bits_of(*number, *width, *signed).ok_or_else(|| out_of_range(value))?;
                // The sign's bit is turned over, so that negative ones sort first.
                let bits = if *signed { bits ^ (SIGN >> (64 - width * 8)) } else { bits };
                key.extend(bits.to_be_bytes().get(8 - width..).unwrap_or_default());
                Ok(())
            }
            (Self::Float, Value::Integer(_) | Value::Float(_)) => {
                <f64 as Key>::encode(&value.as_f64().unwrap_or_default(), key)
            }
            (Self::Tuple(kinds), Value::Array(values)) if kinds.len() == values.len() => {
                kinds.iter().zip(values).try_for_each(|(kind, value)| kind.encode_part(value, key))
            }
            (Self::Optional(_), Value::Null) => {
                key.push(0);
                Ok(())
            }
            (Self::Optional(kind), value) => {
                key.push(1);
                kind.encode_part(value, key)
            }
            _ => Err(wrong(value)),
        }
    }

    /// The key that these bytes are.
    fn decode_key(&self, key: &[u8]) -> Result<Value> {
        match self {
            Self::Any => Value::decode_key(key),
            Self::Text => Ok(Value::Text(<&str as Key>::decode(key)?.into())),
            Self::Bytes(None) => Ok(Value::Bytes(key.to_vec())),
            Self::Unit if key.is_empty() => Ok(Value::Null),
            _ => match self.decode_part(key)? {
                (value, []) => Ok(value),
                _ => Err(malformed()),
            },
        }
    }

    /// The key that these bytes begin with, and the rest.
    fn decode_part<'k>(&self, key: &'k [u8]) -> Result<(Value, &'k [u8])> {
        Ok(match self {
            Self::Text => {
                let (text, rest) = <&str as KeyPart>::decode_part(key)?;
                (Value::Text(text.into_owned()), rest)
            }
            Self::Bytes(None) => {
                let (bytes, rest) = <&[u8] as KeyPart>::decode_part(key)?;
                (Value::Bytes(bytes.into_owned()), rest)
            }
            Self::Bytes(Some(len)) => {
                let (bytes, rest) = key.split_at_checked(*len).ok_or_else(malformed)?;
                (Value::Bytes(bytes.to_vec()), rest)
            }
            Self::Bool => {
                let (value, rest) = <bool as KeyPart>::decode_part(key)?;
                (Value::Bool(value), rest)
            }
            Self::Integer { width, signed } => {
                let (bytes, rest) = key.split_at_checked(*width).ok_or_else(malformed)?;
                let bits = bytes.iter().fold(0, |bits, byte| bits << 8 | u64::from(*byte));
                (integer(if *signed { bits ^ (SIGN >> (64 - width * 8)) } else { bits }, *width, *signed), rest)
            }
            Self::Float => {
                let (number, rest) = <f64 as KeyPart>::decode_part(key)?;
                (Value::Float(number), rest)
            }
            Self::Tuple(kinds) => {
                let (mut values, mut rest) = (Vec::with_capacity(kinds.len()), key);
                for kind in kinds {
                    let (value, after) = kind.decode_part(rest)?;
                    values.push(value);
                    rest = after;
                }
                (Value::Array(values), rest)
            }
            Self::Optional(kind) => match key {
                [0, rest @ ..] => (Value::Null, rest),
                [1, rest @ ..] => kind.decode_part(rest)?,
                _ => return Err(malformed()),
            },
            Self::Any | Self::Unit => return Err(malformed()),
        })
    }

    /// The bytes to store for a value.
    fn encode_value(&self, value: &Value) -> Result<Vec<u8>> {
        Ok(match (self, value) {
            (Self::Any, value) => cbor::encode(value)?,
            (Self::Text, Value::Text(text)) => text.as_bytes().to_vec(),
            (Self::Bytes(len), Value::Bytes(bytes)) if len.is_none_or(|len| len == bytes.len()) => bytes.clone(),
            (Self::Bool, Value::Bool(value)) => vec![u8::from(*value)],
            (Self::Unit, Value::Null) => Vec::new(),
            (Self::Integer { width, signed }, Value::Integer(number)) => {
                let bits = bits_of(*number, *width, *signed).ok_or_else(|| out_of_range(value))?;
                bits.to_le_bytes().get(..*width).unwrap_or_default().to_vec()
            }
            (Self::Float, Value::Integer(_) | Value::Float(_)) => {
                value.as_f64().unwrap_or_default().to_le_bytes().to_vec()
            }
            _ => return Err(wrong(value)),
        })
    }

    /// The value that is stored so.
    fn decode_value(&self, stored: &[u8]) -> Result<Value> {
        Ok(match self {
            Self::Any => cbor::decode(stored)?,
            Self::Text => Value::Text(core::str::from_utf8(stored).map_err(|_| malformed())?.into()),
            Self::Bytes(len) if len.is_none_or(|len| len == stored.len()) => Value::Bytes(stored.to_vec()),
            Self::Bool if matches!(stored, [0 | 1]) => Value::Bool(stored == [1]),
            Self::Unit if stored.is_empty() => Value::Null,
            Self::Integer { width, signed } if stored.len() == *width => {
                integer(stored.iter().rev().fold(0, |bits, byte| bits << 8 | u64::from(*byte)), *width, *signed)
            }
            Self::Float => Value::Float(f64::from_le_bytes(stored.try_into().map_err(|_| malformed())?)),
            _ => return Err(malformed()),
        })
    }
}

/// The parts of a tuple's name, cut at the commas that lie in no other tuple.
fn split(list: &str) -> impl Iterator<Item = &str> {
    let mut depth = 0_u32;
    list.split(move |letter| {
        match letter {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            _ => {}
        }
        letter == ',' && depth == 0
    })
    .map(|part| part.strip_prefix(' ').unwrap_or(part))
}

/// An integer as its lowest bytes; `None` where it does not fit.
fn bits_of(number: i128, width: usize, signed: bool) -> Option<u64> {
    let bits = width as u32 * 8;
    let fits = if signed {
        let limit = 1_i128 << (bits - 1);
        (-limit..limit).contains(&number)
    } else {
        (0..1_i128 << bits).contains(&number)
    };
    fits.then_some(number as u64 & (u64::MAX >> (64 - bits)))
}

fn integer(bits: u64, width: usize, signed: bool) -> Value {
    if signed {
        let unused = 64 - width as u32 * 8;
        Value::Integer(i128::from((bits << unused).cast_signed() >> unused))
    } else {
        Value::Integer(i128::from(bits))
    }
}

#[cold]
fn unknown(name: &str) -> Error {
    let what = format!("a table of {name}, which is not known by name");
    Error::Unsupported { what, remedy: "open it in the language that made it" }
}

#[cold]
fn wrong(value: &Value) -> Error {
    Error::invalid(format!("a {} is not of the table's type", value.kind()))
}

#[cold]
fn out_of_range(value: &Value) -> Error {
    Error::invalid(format!("{value} is beyond the numbers of the table's type"))
}

#[cold]
fn malformed() -> Error {
    Error::invalid("stored bytes are not of the table's type")
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    fn key(name: &str, value: Value) -> Vec<u8> {
        let kind = NamedType::of_keys(name).unwrap();
        let key = kind.encode_key(&value).unwrap().to_vec();
        assert_eq!(kind.decode_key(&key).unwrap(), value, "{name}");
        key
    }

    #[test]
    fn keys_are_the_bytes_that_the_types_themselves_write() {
        fn typed<K: Key>(key: K::Borrowed<'_>) -> Vec<u8> {
            let mut bytes = KeyBuffer::new();
            K::encode(&key, &mut bytes).unwrap();
            bytes.to_vec()
        }
        assert_eq!(key("u64", 7.into()), typed::<u64>(7));
        assert_eq!(key("i32", (-7).into()), typed::<i32>(-7));
        assert_eq!(key("f64", 1.5.into()), typed::<f64>(1.5));
        assert_eq!(key("string", "ada".into()), b"ada");
        assert_eq!(
            key("(string, u64)", Value::Array(vec!["a\0b".into(), 7.into()])),
            typed::<(&str, u64)>((Cow::Borrowed("a\0b"), 7))
        );
        assert_eq!(key("u64?", Value::Null), typed::<Option<u64>>(None));
        assert_eq!(key("key", "ada".into()), typed::<Value>("ada".into()));
    }

    #[test]
    fn values_are_given_back_as_they_were() {
        for (name, value) in [
            ("u8", Value::from(255)),
            ("i64", i64::MIN.into()),
            ("u64", Value::Integer(u64::MAX.into())),
            ("string", "ada".into()),
            ("bool", true.into()),
            ("unit", Value::Null),
            ("f64", (-0.5).into()),
            ("bytes[2]", Value::Bytes(vec![1, 2])),
            ("value", Value::Array(vec![1.into(), "two".into()])),
        ] {
            let kind = NamedType::of_values(name).unwrap();
            assert_eq!(kind.decode_value(&kind.encode_value(&value).unwrap()).unwrap(), value, "{name}");
        }
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let refused = |name, value: Value| {
            NamedType::of_keys(name).unwrap().encode_key(&value).unwrap_err();
            NamedType::of_values(name).unwrap().encode_value(&value).unwrap_err();
        };
        refused("u8", 256.into());
        refused("u8", (-1).into());
        refused("i8", 128.into());
        refused("bytes[2]", Value::Bytes(vec![1]));
        refused("string", 1.into());
        for name in ["", "u128", "(u64", "(unit, u64)", "bytes[x]", "((((((((u64))))))))"] {
            assert_eq!(NamedType::of_keys(name).unwrap_err().name(), "Unsupported", "{name}");
        }
        let deep = "(".repeat(100_000) + "u64" + &")".repeat(100_000);
        assert_eq!(NamedType::of_keys(&deep.to_string()).unwrap_err().name(), "Unsupported");
        for stored in [&[1][..], &[0; 9]] {
            assert!(NamedType::of_values("u64").unwrap().decode_value(stored).is_err());
            assert!(NamedType::of_keys("(u64, u64)").unwrap().decode_key(stored).is_err());
        }
    }
}
