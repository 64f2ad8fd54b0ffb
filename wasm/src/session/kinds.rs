//! The types of tables' keys and values, read from the names that the file records: how a value that JavaScript sees becomes
//! bytes, and back. The encodings are those of `core/src/table`.

use std::borrow::Cow;

use lightning_db::{Document, Error, Key, KeyBuffer, KeyPart, Result, Value};

use crate::wire::{Answer, invalid, put};

/// How deep types lie within each other at most: names are read from files.
const DEPTH_MAX: usize = 8;
const SIGN: u64 = 1 << 63;

/// A type of keys or values.
#[derive(Clone, PartialEq, Eq)]
pub enum Kind {
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

impl Kind {
    /// The type of this name as a key.
    pub fn of_keys(name: &str) -> Result<Self> {
        if name == "key" {
            return Ok(Self::Any);
        }
        Self::read(name, DEPTH_MAX).ok_or_else(|| unknown(name))
    }

    /// The type of this name as a value.
    pub fn of_values(name: &str) -> Result<Self> {
        if name == "value" {
            return Ok(Self::Any);
        }
        let kind = Self::read(name, DEPTH_MAX).filter(|kind| !matches!(kind, Self::Tuple(_) | Self::Optional(_)));
        kind.ok_or_else(|| unknown(name))
    }

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
    pub fn encode_key(&self, value: &Value) -> Result<KeyBuffer> {
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

    /// Writes the key that these bytes are.
    pub fn put_key(&self, answer: &mut Answer<'_>, key: &[u8]) -> Result<()> {
        match self {
            Self::Any => {
                answer.raw(&<Value as Key>::decode(key)?.to_cbor()?);
                Ok(())
            }
            Self::Text => put(answer.str(<&str as Key>::decode(key)?)),
            Self::Bytes(None) => put(answer.bytes(key)),
            Self::Unit if key.is_empty() => put(answer.null()),
            _ => match self.put_part(answer, key)? {
                [] => Ok(()),
                _ => Err(malformed()),
            },
        }
    }

    /// Writes the key that these bytes begin with, and gives the rest.
    fn put_part<'k>(&self, answer: &mut Answer<'_>, key: &'k [u8]) -> Result<&'k [u8]> {
        match self {
            Self::Text => {
                let (text, rest) = <&str as KeyPart>::decode_part(key)?;
                answer.str(&text);
                Ok(rest)
            }
            Self::Bytes(None) => {
                let (bytes, rest) = <&[u8] as KeyPart>::decode_part(key)?;
                answer.bytes(&bytes);
                Ok(rest)
            }
            Self::Bytes(Some(len)) => {
                let (bytes, rest) = key.split_at_checked(*len).ok_or_else(malformed)?;
                answer.bytes(bytes);
                Ok(rest)
            }
            Self::Bool => {
                let (value, rest) = <bool as KeyPart>::decode_part(key)?;
                answer.bool(value);
                Ok(rest)
            }
            Self::Integer { width, signed } => {
                let (bytes, rest) = key.split_at_checked(*width).ok_or_else(malformed)?;
                let bits = bytes.iter().fold(0, |bits, byte| bits << 8 | u64::from(*byte));
                put_bits(answer, if *signed { bits ^ (SIGN >> (64 - width * 8)) } else { bits }, *width, *signed);
                Ok(rest)
            }
            Self::Float => {
                let (number, rest) = <f64 as KeyPart>::decode_part(key)?;
                answer.f64(number);
                Ok(rest)
            }
            Self::Tuple(kinds) => {
                answer.array(kinds.len() as u64);
                kinds.iter().try_fold(key, |rest, kind| kind.put_part(answer, rest))
            }
            Self::Optional(kind) => match key {
                [0, rest @ ..] => {
                    answer.null();
                    Ok(rest)
                }
                [1, rest @ ..] => kind.put_part(answer, rest),
                _ => Err(malformed()),
            },
            Self::Any | Self::Unit => Err(malformed()),
        }
    }

    /// The bytes to store for a value that crossed as one item.
    pub fn encode_value(&self, item: &[u8]) -> Result<Vec<u8>> {
        if *self == Self::Any {
            return Ok(item.to_vec());
        }
        let value = Value::from_cbor(item)?;
        Ok(match (self, &value) {
            (Self::Text, Value::Text(text)) => text.as_bytes().to_vec(),
            (Self::Bytes(len), Value::Bytes(bytes)) if len.is_none_or(|len| len == bytes.len()) => bytes.clone(),
            (Self::Bool, Value::Bool(value)) => vec![u8::from(*value)],
            (Self::Unit, Value::Null) => Vec::new(),
            (Self::Integer { width, signed }, Value::Integer(number)) => {
                let bits = bits_of(*number, *width, *signed).ok_or_else(|| out_of_range(&value))?;
                bits.to_le_bytes().get(..*width).unwrap_or_default().to_vec()
            }
            (Self::Float, Value::Integer(_) | Value::Float(_)) => {
                value.as_f64().unwrap_or_default().to_le_bytes().to_vec()
            }
            _ => return Err(wrong(&value)),
        })
    }

    /// Writes the value that is stored so.
    pub fn put_value(&self, answer: &mut Answer<'_>, stored: &[u8]) -> Result<()> {
        match self {
            Self::Any => put(answer.raw(stored)),
            Self::Text => put(answer.str(str::from_utf8(stored).map_err(|_| malformed())?)),
            Self::Bytes(len) if len.is_none_or(|len| len == stored.len()) => put(answer.bytes(stored)),
            Self::Bool if matches!(stored, [0 | 1]) => put(answer.bool(stored == [1])),
            Self::Unit if stored.is_empty() => put(answer.null()),
            Self::Integer { width, signed } if stored.len() == *width => {
                let bits = stored.iter().rev().fold(0, |bits, byte| bits << 8 | u64::from(*byte));
                put_bits(answer, bits, *width, *signed);
                Ok(())
            }
            Self::Float => {
                let bytes = <[u8; 8]>::try_from(stored).map_err(|_| malformed())?;
                put(answer.f64(f64::from_le_bytes(bytes)))
            }
            _ => Err(malformed()),
        }
    }

    /// Whether stored bytes are the value that crossed as `item`: maps in whatever order.
    pub fn is_stored(&self, item: &[u8], stored: &[u8]) -> Result<bool> {
        if *self == Self::Any && item != stored {
            return Ok(Value::from_cbor(item)? == Value::from_cbor(stored)?);
        }
        Ok(self.encode_value(item)? == stored)
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

fn put_bits(answer: &mut Answer<'_>, bits: u64, width: usize, signed: bool) {
    if signed {
        let unused = 64 - width as u32 * 8;
        answer.i64((bits << unused).cast_signed() >> unused);
    } else {
        answer.u64(bits);
    }
}

#[cold]
fn unknown(name: &str) -> Error {
    let what = format!("a table of {name}, which JavaScript does not read");
    Error::Unsupported { what, remedy: "open it in the language that made it" }
}

#[cold]
fn wrong(value: &Value) -> Error {
    Error::Invalid { what: format!("a {} is not of the table's type", value.kind()) }
}

#[cold]
fn out_of_range(value: &Value) -> Error {
    Error::Invalid { what: format!("{value} is beyond the numbers of the table's type") }
}

#[cold]
fn malformed() -> Error {
    invalid("stored bytes are not of the table's type")
}
