//! CBOR to values by another hand, `minicbor`, so that tests can compare.

use alloc::format;
use alloc::vec::Vec;

use minicbor::Decoder;
use minicbor::data::Type;

use super::{MICROS_PER_SECOND, TAG_EXTENDED_TIME, TAG_SECONDS, TAG_UUID, validate_item};
use crate::document::Value;
use crate::error::{Error, Result};

type Failure = minicbor::decode::Error;

/// The value that all of `bytes` are.
pub(in crate::document) fn decode_by_minicbor(bytes: &[u8]) -> Result<Value> {
    // The library goes as deep as the bytes do.
    validate_item(bytes)?;
    read(&mut Decoder::new(bytes))
        .map_err(|failure| Error::invalid(format!("not the CBOR of a document, which its check let pass: {failure}")))
}

fn read(from: &mut Decoder<'_>) -> Result<Value, Failure> {
    Ok(match from.datatype()? {
        Type::Null => {
            from.null()?;
            Value::Null
        }
        Type::Bool => Value::Bool(from.bool()?),
        Type::U8 | Type::U16 | Type::U32 | Type::U64 | Type::I8 | Type::I16 | Type::I32 | Type::I64 | Type::Int => {
            Value::Integer(from.int()?.into())
        }
        Type::F16 => Value::Float(f64::from(from.f16()?)),
        Type::F32 => Value::Float(f64::from(from.f32()?)),
        Type::F64 => Value::Float(from.f64()?),
        Type::String => Value::Text(from.str()?.into()),
        Type::Bytes => Value::Bytes(from.bytes()?.into()),
        Type::Array => {
            let len = from.array()?.unwrap_or_default();
            let mut elements = Vec::with_capacity(room(len, from));
            for _ in 0..len {
                elements.push(read(from)?);
            }
            Value::Array(elements)
        }
        Type::Map => {
            let len = from.map()?.unwrap_or_default();
            let mut fields = Vec::with_capacity(room(len, from));
            for _ in 0..len {
                fields.push((from.str()?.into(), read(from)?));
            }
            Value::Map(fields)
        }
        Type::Tag => read_tagged(from)?,
        other => return Err(Failure::type_mismatch(other).at(from.position())),
    })
}

/// Room to set aside at first: a value takes more memory than its bytes do.
fn room(len: u64, from: &Decoder<'_>) -> usize {
    let left = from.input().len().saturating_sub(from.position());
    usize::try_from(len).unwrap_or(usize::MAX).min(left).min(256)
}

fn read_tagged(from: &mut Decoder<'_>) -> Result<Value, Failure> {
    let tag = from.tag()?;
    let mut micros = 0;
    let seconds = match tag.as_u64() {
        TAG_UUID => {
            let uuid = from.bytes()?.try_into().map_err(|_| Failure::message("a UUID is 16 bytes"))?;
            return Ok(Value::Uuid(uuid));
        }
        TAG_SECONDS => from.i64()?,
        TAG_EXTENDED_TIME => {
            from.map()?;
            from.i64()?;
            let seconds = from.i64()?;
            from.i64()?;
            micros = from.i64()?;
            seconds
        }
        _ => return Err(Failure::tag_mismatch(tag)),
    };
    let timestamp = i128::from(seconds) * i128::from(MICROS_PER_SECOND) + i128::from(micros);
    i64::try_from(timestamp).map(Value::Timestamp).map_err(|_| Failure::message("a timestamp too far from 1970"))
}
