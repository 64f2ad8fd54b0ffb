//! Values to CBOR.

use alloc::format;
use alloc::vec::Vec;
use core::convert::Infallible;

use minicbor::Encoder;
use minicbor::data::{Int, Tag};

use super::validate::too_deep;
use super::{
    DEPTH_MAX, MICROS_PER_SECOND, TAG_EXTENDED_TIME, TAG_SECONDS, TAG_UUID, TIME_MICROS, TIME_SECONDS, validate_item,
};
use crate::document::Value;
use crate::error::{Error, Result};

type Failure = minicbor::encode::Error<Infallible>;

/// The CBOR of a value, in its shortest form. Fails for integers beyond CBOR's, fields that are there twice, and what is
/// deeper or larger than a document may be.
pub(crate) fn encode(value: &Value) -> Result<Vec<u8>> {
    let mut out = Encoder::new(Vec::new());
    write(value, 0, &mut out)?;
    let bytes = out.into_writer();
    // One place knows what a document may be.
    validate_item(&bytes)?;
    Ok(bytes)
}

fn write(value: &Value, depth: usize, out: &mut Encoder<Vec<u8>>) -> Result<()> {
    match value {
        Value::Null => out.null().map(drop),
        Value::Bool(value) => out.bool(*value).map(drop),
        Value::Integer(integer) => return write_integer(*integer, out),
        Value::Float(float) => write_float(*float, out),
        Value::Text(text) => out.str(text).map(drop),
        Value::Bytes(bytes) => out.bytes(bytes).map(drop),
        Value::Timestamp(micros) => write_timestamp(*micros, out),
        Value::Uuid(uuid) => write_uuid(uuid, out),
        Value::Array(elements) => {
            deeper(depth)?;
            out.array(elements.len() as u64).map_err(failed)?;
            return elements.iter().try_for_each(|element| write(element, depth + 1, out));
        }
        Value::Map(fields) => {
            deeper(depth)?;
            out.map(fields.len() as u64).map_err(failed)?;
            return fields.iter().try_for_each(|(name, value)| {
                out.str(name).map_err(failed)?;
                write(value, depth + 1, out)
            });
        }
    }
    .map_err(failed)
}

fn deeper(depth: usize) -> Result<()> {
    if depth >= DEPTH_MAX { Err(too_deep()) } else { Ok(()) }
}

/// Writing to memory does not fail.
#[cold]
pub(in crate::document) fn failed(failure: Failure) -> Error {
    Error::invalid(format!("a value cannot be written as CBOR: {failure}"))
}

pub(in crate::document) fn write_integer(integer: i128, out: &mut Encoder<Vec<u8>>) -> Result<()> {
    let integer = Int::try_from(integer).map_err(|_| {
        Error::invalid(format!("the integer {integer} cannot be stored: integers are from -2^64 to 2^64 - 1"))
    })?;
    out.int(integer).map(drop).map_err(failed)
}

/// In the fewest bytes that hold it exactly.
pub(in crate::document) fn write_float(float: f64, out: &mut Encoder<Vec<u8>>) -> Result<(), Failure> {
    let single = float as f32;
    if float.is_nan() || is_half(single) && f64::from(single) == float {
        out.f16(single)?;
    } else if f64::from(single) == float {
        out.f32(single)?;
    } else {
        out.f64(float)?;
    }
    Ok(())
}

/// Whether 16 bits hold it exactly: 11 bits of mantissa, and from 2^-24 on.
fn is_half(single: f32) -> bool {
    let magnitude = single.abs();
    if magnitude < 6.103_515_6e-5 {
        // Below 2^-14 the steps stay the same.
        let steps = magnitude * 16_777_216.0;
        return steps == f32::from(steps as u16);
    }
    magnitude.is_infinite() || magnitude <= 65_504.0 && magnitude.to_bits() & 0x1fff == 0
}

pub(in crate::document) fn write_timestamp(micros: i64, out: &mut Encoder<Vec<u8>>) -> Result<(), Failure> {
    let (seconds, rest) = (micros.div_euclid(MICROS_PER_SECOND), micros.rem_euclid(MICROS_PER_SECOND));
    if rest == 0 {
        out.tag(Tag::new(TAG_SECONDS))?.i64(seconds)?;
    } else {
        out.tag(Tag::new(TAG_EXTENDED_TIME))?.map(2)?.i64(TIME_SECONDS)?.i64(seconds)?.i64(TIME_MICROS)?.i64(rest)?;
    }
    Ok(())
}

pub(in crate::document) fn write_uuid(uuid: &[u8; 16], out: &mut Encoder<Vec<u8>>) -> Result<(), Failure> {
    out.tag(Tag::new(TAG_UUID))?.bytes(uuid)?;
    Ok(())
}
