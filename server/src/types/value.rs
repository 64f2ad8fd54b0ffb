//! Values of a type known only at run time, in the engine's encodings.

use std::borrow::Cow;

use lightning_db::{Error, Result, StoredValue};

use super::{Datum, Type, Width};

/// The bytes to store.
pub fn encode_value<'a>(kind: &Type, value: &'a Datum<'_>) -> Result<Cow<'a, [u8]>> {
    let bytes: Vec<u8> = match (kind, value) {
        (Type::String, Datum::Text(text)) => return Ok(Cow::Borrowed(text.as_bytes())),
        (Type::Bytes | Type::Array(_) | Type::Other(_), Datum::Bytes(bytes)) => return Ok(Cow::Borrowed(bytes)),
        (Type::Unit, Datum::Null) => Vec::new(),
        (Type::Bool, Datum::Bool(value)) => bool::encode(value).into(),
        (Type::F64, Datum::Float(number)) => f64::encode(number).into(),
        // Little-endian, so the low bytes are the narrower number.
        (Type::Unsigned(width), Datum::Unsigned(number)) => low_bytes(u128::encode(number), *width),
        (Type::Signed(width), Datum::Signed(number)) => low_bytes(i128::encode(number), *width),
        _ => return Err(Error::Invalid { what: format!("{value:?} is not a value of type {kind}") }),
    };
    Ok(Cow::Owned(bytes))
}

/// Reads a stored value.
pub fn decode_value<'a>(kind: &Type, bytes: &'a [u8]) -> Result<Datum<'a>> {
    Ok(match kind {
        Type::String => Datum::Text(Cow::Borrowed(<&str>::decode(bytes)?)),
        Type::Unit => <()>::decode(bytes).map(|()| Datum::Null)?,
        Type::Bool => Datum::Bool(bool::decode(bytes)?),
        Type::F64 => Datum::Float(f64::decode(bytes)?),
        Type::Unsigned(Width::W8) => Datum::Unsigned(u8::decode(bytes)?.into()),
        Type::Unsigned(Width::W16) => Datum::Unsigned(u16::decode(bytes)?.into()),
        Type::Unsigned(Width::W32) => Datum::Unsigned(u32::decode(bytes)?.into()),
        Type::Unsigned(Width::W64) => Datum::Unsigned(u64::decode(bytes)?.into()),
        Type::Unsigned(Width::W128) => Datum::Unsigned(u128::decode(bytes)?),
        Type::Signed(Width::W8) => Datum::Signed(i8::decode(bytes)?.into()),
        Type::Signed(Width::W16) => Datum::Signed(i16::decode(bytes)?.into()),
        Type::Signed(Width::W32) => Datum::Signed(i32::decode(bytes)?.into()),
        Type::Signed(Width::W64) => Datum::Signed(i64::decode(bytes)?.into()),
        Type::Signed(Width::W128) => Datum::Signed(i128::decode(bytes)?),
        Type::Bytes | Type::Array(_) | Type::Other(_) | Type::Optional(_) | Type::Tuple(_) => {
            Datum::Bytes(Cow::Borrowed(bytes))
        }
    })
}

fn low_bytes(bytes: [u8; 16], width: Width) -> Vec<u8> {
    bytes.into_iter().take(width.bits() as usize / 8).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check<V: StoredValue<Owned: lightning_db::Lend<V>>>(text: &str, value: V::Owned) {
        use lightning_db::Lend as _;
        let kind = Type::parse(&V::type_name());
        let datum = Datum::from_text(&kind, text).unwrap();
        let bytes = encode_value(&kind, &datum).unwrap();
        assert_eq!(bytes.as_ref(), V::encode(&value.lend()).as_ref(), "{text} as {kind}");
        assert_eq!(decode_value(&kind, &bytes).unwrap(), datum);
    }

    #[test]
    fn values_are_encoded_as_the_engine_encodes_them() {
        check::<u16>("513", 513);
        check::<i32>("-2", -2);
        check::<i128>("-2", -2);
        check::<u128>("7", 7);
        check::<f64>("2.5", 2.5);
        check::<bool>("false", false);
        check::<()>("null", ());
        check::<&str>("ada", "ada".into());
        check::<&[u8]>("0xff", vec![255]);
        check::<[u8; 2]>("ab", *b"ab");
    }

    #[test]
    fn values_of_another_width_are_errors() {
        for (kind, bytes) in [("u32", [1u8].as_slice()), ("bool", &[7]), ("string", &[0xff]), ("unit", &[0])] {
            assert!(decode_value(&Type::parse(kind), bytes).is_err(), "{kind}");
        }
    }
}
