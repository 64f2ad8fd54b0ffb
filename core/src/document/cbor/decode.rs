//! CBOR to values.

use alloc::string::String;
use alloc::vec::Vec;

use super::head::{Head, Reader};
use super::validate_item;
use crate::document::Value;
use crate::error::Result;

/// The value that all of `bytes` are.
pub(crate) fn decode(bytes: &[u8]) -> Result<Value> {
    // After this, depth and lengths are what the bytes themselves bear out.
    validate_item(bytes)?;
    read(&mut Reader::new(bytes), bytes.len())
}

fn read(from: &mut Reader<'_>, end: usize) -> Result<Value> {
    Ok(match from.head()? {
        Head::Null => Value::Null,
        Head::Bool(value) => Value::Bool(value),
        Head::Unsigned(number) => Value::Integer(number.into()),
        Head::Negative(number) => Value::Integer(-1 - i128::from(number)),
        Head::Float(number) => Value::Float(number),
        Head::Text(bytes) => Value::Text(text(from, bytes)?),
        Head::Bytes(bytes) => Value::Bytes(bytes.into()),
        Head::Timestamp(micros) => Value::Timestamp(micros),
        Head::Uuid(uuid) => Value::Uuid(*uuid),
        Head::Array(len) => {
            let mut elements = Vec::with_capacity(room(len, from, end));
            for _ in 0..len {
                elements.push(read(from, end)?);
            }
            Value::Array(elements)
        }
        Head::Map(len) => {
            let mut fields = Vec::with_capacity(room(len, from, end));
            for _ in 0..len {
                let name = from.name()?;
                fields.push((text(from, name)?, read(from, end)?));
            }
            Value::Map(fields)
        }
    })
}

fn text(from: &Reader<'_>, bytes: &[u8]) -> Result<String> {
    core::str::from_utf8(bytes).map(String::from).map_err(|_| from.refuse("text that is not UTF-8"))
}

/// Room to set aside at first: a value takes more memory than its bytes do.
fn room(len: u64, from: &Reader<'_>, end: usize) -> usize {
    let left = end.saturating_sub(from.at());
    usize::try_from(len).unwrap_or(usize::MAX).min(left).min(256)
}
