//! From CBOR straight to keys, for indexes.

use alloc::format;

use super::head::{Head, Reader};
use crate::document::{fold, key};
use crate::error::{Error, Result};
use crate::table::KeyBuffer;

/// Appends the key of the item that all of `item` is: the same that its value has, without making the value.
pub(crate) fn encode_key_of(item: &[u8], out: &mut KeyBuffer) -> Result<()> {
    encode_item(&mut Reader::new(item), 0, false, out)
}

/// As [`encode_key_of`], with every text folded.
pub(crate) fn encode_folded_key_of(item: &[u8], out: &mut KeyBuffer) -> Result<()> {
    encode_item(&mut Reader::new(item), 0, true, out)
}

fn encode_item(reader: &mut Reader<'_>, depth: usize, is_folded: bool, out: &mut KeyBuffer) -> Result<()> {
    let start = reader.at();
    match reader.head()? {
        Head::Null => key::encode_null(out),
        Head::Bool(value) => key::encode_bool(value, out),
        Head::Unsigned(value) => key::encode_integer(i128::from(value), out)?,
        Head::Negative(value) => key::encode_integer(-1 - i128::from(value), out)?,
        Head::Float(float) => key::encode_float(float, out)?,
        Head::Timestamp(micros) => key::encode_timestamp(micros, out),
        Head::Uuid(uuid) => key::encode_uuid(uuid, out),
        Head::Bytes(bytes) => key::encode_bytes(bytes, out)?,
        Head::Text(text) => {
            let text = core::str::from_utf8(text).map_err(|_| {
                Error::invalid(format!("not the CBOR of a document, at byte {start}: text that is not UTF-8"))
            })?;
            if is_folded {
                key::encode_text(&fold(text), out)?;
            } else {
                key::encode_text(text, out)?;
            }
        }
        Head::Array(len) => {
            key::begin_tuple(depth, out)?;
            for _ in 0..len {
                encode_item(reader, depth + 1, is_folded, out)?;
            }
            key::end_tuple(out);
        }
        Head::Map(_) => return Err(key::map_is_no_key()),
    }
    Ok(())
}
