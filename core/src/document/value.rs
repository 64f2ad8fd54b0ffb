//! What a document is made of.

use alloc::string::String;
use alloc::vec::Vec;
use core::cmp::Ordering;

use super::{Path, key};
use crate::error::Result;
use crate::table::KeyBuffer;

/// The least whole number that CBOR has: -2^64.
pub(crate) const INTEGER_MIN: i128 = -(1 << 64);
/// The greatest: 2^64 - 1.
pub(crate) const INTEGER_MAX: i128 = (1 << 64) - 1;

/// One value: a field of a document, an element of an array, a whole document.
///
/// Two values are equal if they are the same to an index: numbers by what they are, so `3` and `3.0` are equal and 2^53 + 1
/// is not 2^53 as a float; maps whatever the order of their fields; NaN is equal to itself, so that a value equals its copy.
///
/// ```
/// # use lightning_db::Value;
/// let value: Value = [("name", Value::from("Ada")), ("born", 1815.into())].into_iter().collect();
/// assert_eq!(value.get("born"), Some(&Value::Float(1815.0)));
/// assert_eq!(value.to_string(), r#"{"name":"Ada","born":1815}"#);
/// ```
#[derive(Clone, Debug, Default)]
pub enum Value {
    /// Nothing; what a missing field is to a condition.
    #[default]
    Null,
    /// True or false.
    Bool(bool),
    /// A whole number, from -2^64 to 2^64 - 1; others are refused when the value is stored.
    Integer(i128),
    /// A floating-point number; a key unless it is NaN.
    Float(f64),
    /// Text.
    Text(String),
    /// Bytes.
    Bytes(Vec<u8>),
    /// A moment: microseconds since the beginning of 1970, UTC.
    Timestamp(i64),
    /// A UUID.
    Uuid([u8; 16]),
    /// Values one after another; as a key, a tuple.
    Array(Vec<Value>),
    /// Names and values, in the order of the document, each name once; never a key.
    Map(Vec<(String, Value)>),
}

impl Value {
    /// The kind in one word, for messages.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "bool",
            Self::Integer(_) => "integer",
            Self::Float(_) => "float",
            Self::Text(_) => "text",
            Self::Bytes(_) => "bytes",
            Self::Timestamp(_) => "timestamp",
            Self::Uuid(_) => "uuid",
            Self::Array(_) => "array",
            Self::Map(_) => "map",
        }
    }

    /// Whether it is null.
    pub fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    /// The bool that it is.
    pub fn as_bool(&self) -> Option<bool> {
        if let Self::Bool(value) = self { Some(*value) } else { None }
    }

    /// The whole number that it is, as an integer or as a float.
    pub fn as_integer(&self) -> Option<i128> {
        match self {
            Self::Integer(integer) => Some(*integer),
            Self::Float(float) => whole(*float),
            _ => None,
        }
    }

    /// The whole number that it is, if it fits.
    pub fn as_i64(&self) -> Option<i64> {
        self.as_integer().and_then(|integer| integer.try_into().ok())
    }

    /// The number that it is; of an integer beyond 2^53 the nearest float.
    pub fn as_f64(&self) -> Option<f64> {
        match self {
            Self::Integer(integer) => Some(*integer as f64),
            Self::Float(float) => Some(*float),
            _ => None,
        }
    }

    /// The text that it is.
    pub fn as_str(&self) -> Option<&str> {
        if let Self::Text(text) = self { Some(text) } else { None }
    }

    /// The bytes that it is.
    pub fn as_bytes(&self) -> Option<&[u8]> {
        if let Self::Bytes(bytes) = self { Some(bytes) } else { None }
    }

    /// The moment that it is, in microseconds since the beginning of 1970.
    pub fn as_timestamp(&self) -> Option<i64> {
        if let Self::Timestamp(micros) = self { Some(*micros) } else { None }
    }

    /// The UUID that it is.
    pub fn as_uuid(&self) -> Option<&[u8; 16]> {
        if let Self::Uuid(uuid) = self { Some(uuid) } else { None }
    }

    /// The elements of the array that it is.
    pub fn as_array(&self) -> Option<&[Value]> {
        if let Self::Array(elements) = self { Some(elements) } else { None }
    }

    /// The fields of the map that it is, in the order of the document.
    pub fn as_map(&self) -> Option<&[(String, Value)]> {
        if let Self::Map(fields) = self { Some(fields) } else { None }
    }

    /// The field of this name of the map that it is.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.as_map()?.iter().find_map(|(field, value)| (field == name).then_some(value))
    }

    /// The value at the end of a path, where each array on it is passed by the place of an element. To look into every
    /// element is for queries.
    pub fn at(&self, path: &Path) -> Option<&Value> {
        path.segments().iter().try_fold(self, |value, segment| match value {
            Self::Array(elements) => elements.get(usize::try_from(segment.place?).ok()?),
            value => value.get(&segment.name),
        })
    }

    /// The order of keys: null, bools, numbers, timestamps, text, bytes, UUIDs, arrays. `None` where one is or holds what
    /// is no key: a map or NaN.
    pub fn key_order(&self, other: &Value) -> Option<Ordering> {
        match (self, other) {
            (Self::Bool(a), Self::Bool(b)) => Some(a.cmp(b)),
            (Self::Text(a), Self::Text(b)) => Some(a.cmp(b)),
            (Self::Bytes(a), Self::Bytes(b)) => Some(a.cmp(b)),
            (Self::Timestamp(a), Self::Timestamp(b)) => Some(a.cmp(b)),
            (Self::Uuid(a), Self::Uuid(b)) => Some(a.cmp(b)),
            (Self::Array(a), Self::Array(b)) => {
                // What comes behind the first difference must be keys all the same.
                let mut order = Some(Ordering::Equal);
                for (a, b) in a.iter().zip(b) {
                    let next = a.key_order(b)?;
                    order = order.map(|order| order.then(next));
                }
                let rest = if a.len() > b.len() { a.get(b.len()..) } else { b.get(a.len()..) };
                rest.unwrap_or_default().iter().all(Self::is_key).then_some(())?;
                order.map(|order| order.then(a.len().cmp(&b.len())))
            }
            (a, b) => match (Number::of(a), Number::of(b)) {
                (Some(a), Some(b)) => a.order(b),
                _ => (a.is_key() && b.is_key()).then(|| a.kind_order().cmp(&b.kind_order())),
            },
        }
    }

    /// Appends its key: bytes whose order is the [order of keys](Value::key_order), of which equal values have the same and
    /// none is the beginning of another's. Fails for what cannot be a key and for more than 16 arrays within each other.
    pub fn encode_key(&self, out: &mut KeyBuffer) -> Result<()> {
        key::encode(self, out)
    }

    /// The value of which `bytes` are the key; a whole number comes back as an integer.
    ///
    /// ```
    /// # use lightning_db::{KeyBuffer, Value};
    /// let mut key = KeyBuffer::new();
    /// Value::from(3.0).encode_key(&mut key)?;
    /// assert_eq!(Value::decode_key(&key)?, Value::from(3));
    /// # Ok::<(), lightning_db::Error>(())
    /// ```
    pub fn decode_key(bytes: &[u8]) -> Result<Value> {
        match key::decode(bytes)? {
            (value, []) => Ok(value),
            (_, [..]) => Err(key::not_a_key(bytes)),
        }
    }

    /// Whether it can be a key: no map and no NaN, nor an array that holds one. Its length and depth are not looked at.
    pub fn is_key(&self) -> bool {
        match self {
            Self::Map(_) => false,
            Self::Float(float) => !float.is_nan(),
            Self::Array(elements) => elements.iter().all(Self::is_key),
            _ => true,
        }
    }

    /// Where keys of this kind stand among those of others.
    fn kind_order(&self) -> u8 {
        match self {
            Self::Null => 0,
            Self::Bool(_) => 1,
            Self::Integer(_) | Self::Float(_) => 2,
            Self::Timestamp(_) => 3,
            Self::Text(_) => 4,
            Self::Bytes(_) => 5,
            Self::Uuid(_) => 6,
            Self::Array(_) => 7,
            Self::Map(_) => 8,
        }
    }
}

impl PartialEq for Value {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Array(a), Self::Array(b)) => a == b,
            (Self::Map(a), Self::Map(b)) => a.len() == b.len() && (a == b || sorted(a) == sorted(b)),
            (Self::Float(a), Self::Float(b)) if a.is_nan() && b.is_nan() => true,
            (Self::Map(_), _) | (_, Self::Map(_)) | (Self::Array(_), _) | (_, Self::Array(_)) => false,
            (a, b) => a.key_order(b) == Some(Ordering::Equal),
        }
    }
}

impl Eq for Value {}

fn sorted(fields: &[(String, Value)]) -> Vec<&(String, Value)> {
    let mut fields: Vec<_> = fields.iter().collect();
    fields.sort_by(|a, b| a.0.cmp(&b.0));
    fields
}

/// A number of either kind.
#[derive(Clone, Copy)]
enum Number {
    Integer(i128),
    Float(f64),
}

impl Number {
    fn of(value: &Value) -> Option<Self> {
        match value {
            Value::Integer(integer) => Some(Self::Integer(*integer)),
            Value::Float(float) => Some(Self::Float(*float)),
            _ => None,
        }
    }

    fn order(self, other: Self) -> Option<Ordering> {
        match (self, other) {
            (Self::Integer(a), Self::Integer(b)) => Some(a.cmp(&b)),
            (Self::Float(a), Self::Float(b)) => a.partial_cmp(&b),
            (Self::Integer(a), Self::Float(b)) => against_float(a, b),
            (Self::Float(a), Self::Integer(b)) => against_float(b, a).map(Ordering::reverse),
        }
    }
}

/// Exact: neither number is rounded to the other's kind.
fn against_float(integer: i128, float: f64) -> Option<Ordering> {
    if float.is_nan() {
        return None;
    }
    // Saturates where the float is beyond 128 bits, and then its fraction is nothing.
    let towards_zero = float as i128;
    if towards_zero == i128::MAX || towards_zero == i128::MIN {
        return Some(if float > 0.0 { Ordering::Less } else { Ordering::Greater });
    }
    let fraction = float - towards_zero as f64;
    Some(integer.cmp(&towards_zero).then_with(|| 0.0_f64.partial_cmp(&fraction).unwrap_or(Ordering::Equal)))
}

/// The integer that a float is, among those that a value can be.
pub(crate) fn whole(float: f64) -> Option<i128> {
    let integer = float as i128;
    let is_whole = (INTEGER_MIN..=INTEGER_MAX).contains(&integer) && integer as f64 == float;
    is_whole.then_some(integer)
}

macro_rules! from {
    ($($type:ty, |$from:ident| $value:expr;)*) => {$(
        impl From<$type> for Value {
            fn from($from: $type) -> Self {
                $value
            }
        }
    )*};
}

macro_rules! from_integers {
    ($($type:ty)*) => {from! {$($type, |integer| Value::Integer(integer as i128);)*}};
}

from_integers!(u8 u16 u32 u64 usize i8 i16 i32 i64 isize);
from! {
    (), |_unit| Value::Null;
    bool, |value| Value::Bool(value);
    f32, |float| Value::Float(f64::from(float));
    f64, |float| Value::Float(float);
    &str, |text| Value::Text(text.into());
    String, |text| Value::Text(text);
    &String, |text| Value::Text(text.clone());
    &[u8], |bytes| Value::Bytes(bytes.into());
    Vec<u8>, |bytes| Value::Bytes(bytes);
    Vec<Value>, |elements| Value::Array(elements);
    Vec<(String, Value)>, |fields| Value::Map(fields);
}

impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Value::Null, Into::into)
    }
}

impl<T: Into<Value>> FromIterator<T> for Value {
    /// An array of these elements.
    fn from_iter<I: IntoIterator<Item = T>>(elements: I) -> Self {
        Value::Array(elements.into_iter().map(Into::into).collect())
    }
}

impl<N: Into<String>, T: Into<Value>> FromIterator<(N, T)> for Value {
    /// A map of these fields. Names that come twice are refused when it is stored.
    fn from_iter<I: IntoIterator<Item = (N, T)>>(fields: I) -> Self {
        Value::Map(fields.into_iter().map(|(name, value)| (name.into(), value.into())).collect())
    }
}
