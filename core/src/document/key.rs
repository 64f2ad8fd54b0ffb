//! Values as keys of one type that holds every kind. The first byte says the kind, and of a number its size too.
//!
//! | first byte | value | what follows |
//! |---|---|---|
//! | 0x00 | the end of a tuple, below everything | |
//! | 0x08 | null | |
//! | 0x10, 0x11 | false, true | |
//! | 0x1D … 0xA3 | numbers, see [`number`] | |
//! | 0xB0 | timestamp | the microseconds, big-endian, sign bit flipped |
//! | 0xB8 | text | the bytes, 0x00 as `01 01`, 0x01 as `01 02`, and 0x00 at the end |
//! | 0xC0 | bytes | as text |
//! | 0xC8 | UUID | its 16 bytes |
//! | 0xD0 | tuple | the keys of its parts, and 0x00 at the end |
//!
//! **Invariant:** no key is the beginning of another, each value has one key, equal values have the same, and every sequence
//! of bytes that is not the key of a value is an error.

mod number;
#[cfg(test)]
mod tests;

use alloc::borrow::Cow;
use alloc::format;
use alloc::vec::Vec;

use super::Value;
use crate::error::{Error, Result};
use crate::table::{KeyBuffer, KeyPart};

pub(super) use number::{encode_float, encode_integer};

/// Tuples within tuples.
pub(crate) const DEPTH_MAX: usize = 16;

const END: u8 = 0x00;
pub(crate) const NULL: u8 = 0x08;
const FALSE: u8 = 0x10;
const TRUE: u8 = 0x11;
const TIMESTAMP: u8 = 0xb0;
const TEXT: u8 = 0xb8;
const BYTES: u8 = 0xc0;
const UUID: u8 = 0xc8;
pub(crate) const TUPLE: u8 = 0xd0;

/// Appends the key of a value. Fails for what is no key (a map, NaN, an integer beyond CBOR's) and for more than 16 arrays
/// within each other; what was appended by then stays. The length is the engine's to limit.
pub(crate) fn encode(value: &Value, out: &mut KeyBuffer) -> Result<()> {
    encode_within(value, 0, out)
}

fn encode_within(value: &Value, depth: usize, out: &mut KeyBuffer) -> Result<()> {
    match value {
        Value::Null => encode_null(out),
        Value::Bool(value) => encode_bool(*value, out),
        Value::Integer(integer) => return encode_integer(*integer, out),
        Value::Float(float) => return encode_float(*float, out),
        Value::Timestamp(micros) => encode_timestamp(*micros, out),
        Value::Text(text) => return encode_text(text, out),
        Value::Bytes(bytes) => return encode_bytes(bytes, out),
        Value::Uuid(uuid) => encode_uuid(uuid, out),
        Value::Array(parts) => {
            begin_tuple(depth, out)?;
            for part in parts {
                encode_within(part, depth + 1, out)?;
            }
            end_tuple(out);
        }
        Value::Map(_) => return Err(map_is_no_key()),
    }
    Ok(())
}

pub(super) fn encode_null(out: &mut KeyBuffer) {
    out.push(NULL);
}

pub(super) fn encode_bool(value: bool, out: &mut KeyBuffer) {
    out.push(if value { TRUE } else { FALSE });
}

pub(super) fn encode_timestamp(micros: i64, out: &mut KeyBuffer) {
    out.push(TIMESTAMP);
    out.extend(&(micros.cast_unsigned() ^ (1 << 63)).to_be_bytes());
}

pub(super) fn encode_text(text: &str, out: &mut KeyBuffer) -> Result<()> {
    out.push(TEXT);
    <&str>::encode_part(&Cow::Borrowed(text), out)
}

pub(super) fn encode_bytes(bytes: &[u8], out: &mut KeyBuffer) -> Result<()> {
    out.push(BYTES);
    <&[u8]>::encode_part(&Cow::Borrowed(bytes), out)
}

pub(super) fn encode_uuid(uuid: &[u8; 16], out: &mut KeyBuffer) {
    out.push(UUID);
    out.extend(uuid);
}

/// Begins a tuple that lies in `depth` others; its parts and [`end_tuple`] follow.
pub(super) fn begin_tuple(depth: usize, out: &mut KeyBuffer) -> Result<()> {
    if depth >= DEPTH_MAX {
        return Err(Error::LimitExceeded {
            what: "the number of arrays within each other in a key",
            value: depth as u64 + 1,
            limit: DEPTH_MAX as u64,
        });
    }
    out.push(TUPLE);
    Ok(())
}

pub(super) fn end_tuple(out: &mut KeyBuffer) {
    out.push(END);
}

#[cold]
pub(super) fn map_is_no_key() -> Error {
    Error::invalid("a map cannot be a key: maps have no place in the order of keys")
}

/// Reads a key from the front of `bytes`, and gives the rest. A whole number comes back as an integer.
pub(crate) fn decode(bytes: &[u8]) -> Result<(Value, &[u8])> {
    decode_within(bytes, 0).ok_or_else(|| not_a_key(bytes))
}

fn decode_within(bytes: &[u8], depth: usize) -> Option<(Value, &[u8])> {
    let (&first, rest) = bytes.split_first()?;
    match first {
        NULL => Some((Value::Null, rest)),
        FALSE => Some((Value::Bool(false), rest)),
        TRUE => Some((Value::Bool(true), rest)),
        TIMESTAMP => {
            let (micros, rest) = rest.split_first_chunk()?;
            Some((Value::Timestamp((u64::from_be_bytes(*micros) ^ (1 << 63)).cast_signed()), rest))
        }
        TEXT => <&str>::decode_part(rest).ok().map(|(text, rest)| (Value::Text(text.into_owned()), rest)),
        BYTES => <&[u8]>::decode_part(rest).ok().map(|(bytes, rest)| (Value::Bytes(bytes.into_owned()), rest)),
        UUID => rest.split_first_chunk().map(|(uuid, rest)| (Value::Uuid(*uuid), rest)),
        TUPLE if depth < DEPTH_MAX => {
            let (mut parts, mut rest) = (Vec::new(), rest);
            loop {
                if let Some((&END, after)) = rest.split_first() {
                    return Some((Value::Array(parts), after));
                }
                let (part, after) = decode_within(rest, depth + 1)?;
                parts.push(part);
                rest = after;
            }
        }
        _ => number::decode(bytes),
    }
}

/// What follows the key at the front of `bytes`. Finds where it ends and looks no closer, so it is for keys that were
/// written by [`encode`]: of other bytes it may make keys that [`decode`] refuses.
pub(crate) fn skip(bytes: &[u8]) -> Result<&[u8]> {
    let (mut rest, mut depth) = (bytes, 0_usize);
    loop {
        rest = match rest.split_first() {
            Some((&TUPLE, after)) if depth < DEPTH_MAX => {
                depth += 1;
                after
            }
            Some((&END, after)) if depth > 0 => {
                depth -= 1;
                after
            }
            _ => skip_single(rest).ok_or_else(|| not_a_key(bytes))?,
        };
        if depth == 0 {
            return Ok(rest);
        }
    }
}

/// Skips what is neither a tuple nor its end.
fn skip_single(bytes: &[u8]) -> Option<&[u8]> {
    let (&first, rest) = bytes.split_first()?;
    match first {
        NULL | FALSE | TRUE => Some(rest),
        TIMESTAMP => rest.get(8..),
        TEXT | BYTES => rest.get(rest.iter().position(|&byte| byte == END)? + 1..),
        UUID => rest.get(16..),
        _ => number::skip(bytes),
    }
}

#[cold]
pub(super) fn not_a_key(bytes: &[u8]) -> Error {
    let shown = bytes.get(..32).unwrap_or(bytes).escape_ascii();
    let more = if bytes.len() > 32 { "..." } else { "" };
    Error::invalid(format!("the {} bytes \"{shown}{more}\" are not the key of a value", bytes.len()))
}
