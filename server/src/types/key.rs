//! Keys of a type known only at run time, in the engine's encodings.

use std::borrow::Cow;

use lightning_db::{Error, Key, KeyBuffer, KeyPart, Result};

use super::{Datum, Type, Width};

/// Appends the encoding of a key that stands alone.
pub fn encode_key(kind: &Type, key: &Datum<'_>, out: &mut KeyBuffer) -> Result<()> {
    match (kind, key) {
        (Type::String, Datum::Text(text)) => <&str>::encode(&text.as_ref(), out),
        (Type::Bytes | Type::Other(_), Datum::Bytes(bytes)) => <&[u8]>::encode(&bytes.as_ref(), out),
        (Type::Unit, Datum::Null) => <()>::encode(&(), out),
        _ => encode_part(kind, key, out),
    }
}

/// Appends what all keys with this beginning begin with: the first characters of text, the first components of a tuple.
/// An error in words if the type has no such beginnings.
pub fn encode_key_prefix(kind: &Type, text: &str, out: &mut KeyBuffer) -> std::result::Result<(), String> {
    match kind {
        Type::String | Type::Bytes | Type::Other(_) => {
            encode_key(kind, &Datum::from_text(kind, text)?, out).map_err(|error| error.to_string())
        }
        Type::Tuple(parts) => {
            let items: Vec<serde_json::Value> = serde_json::from_str(text).map_err(|error| {
                format!("'{text}' is not the beginning of a {kind}; give it as JSON, like [\"fi\"] ({error})")
            })?;
            if items.len() > parts.len() {
                return Err(format!("'{text}' has more components than {kind}"));
            }
            for (kind, item) in parts.iter().zip(&items) {
                encode_part(kind, &Datum::from_json(kind, item)?, out).map_err(|error| error.to_string())?;
            }
            Ok(())
        }
        _ => Err(format!("keys of type {kind} have no beginnings; use --from and --to")),
    }
}

/// Reads an encoded key.
pub fn decode_key<'a>(kind: &Type, bytes: &'a [u8]) -> Result<Datum<'a>> {
    Ok(match kind {
        Type::String => Datum::Text(Cow::Borrowed(<&str>::decode(bytes)?)),
        Type::Bytes | Type::Other(_) => Datum::Bytes(Cow::Borrowed(bytes)),
        Type::Unit => <()>::decode(bytes).map(|()| Datum::Null)?,
        _ => match decode_part(kind, bytes)? {
            (key, []) => key,
            _ => return Err(longer(kind)),
        },
    })
}

fn encode_part(kind: &Type, key: &Datum<'_>, out: &mut KeyBuffer) -> Result<()> {
    match (kind, key) {
        (Type::Bool, Datum::Bool(value)) => bool::encode_part(value, out),
        (Type::F64, Datum::Float(number)) => f64::encode_part(number, out),
        (Type::Unsigned(width), &Datum::Unsigned(number)) => match width {
            Width::W8 => u8::encode_part(&(number as u8), out),
            Width::W16 => u16::encode_part(&(number as u16), out),
            Width::W32 => u32::encode_part(&(number as u32), out),
            Width::W64 => u64::encode_part(&(number as u64), out),
            Width::W128 => u128::encode_part(&number, out),
        },
        (Type::Signed(width), &Datum::Signed(number)) => match width {
            Width::W8 => i8::encode_part(&(number as i8), out),
            Width::W16 => i16::encode_part(&(number as i16), out),
            Width::W32 => i32::encode_part(&(number as i32), out),
            Width::W64 => i64::encode_part(&(number as i64), out),
            Width::W128 => i128::encode_part(&number, out),
        },
        (Type::String, Datum::Text(text)) => <&str>::encode_part(&Cow::Borrowed(text.as_ref()), out),
        (Type::Bytes, Datum::Bytes(bytes)) => <&[u8]>::encode_part(&Cow::Borrowed(bytes.as_ref()), out),
        (Type::Array(_), Datum::Bytes(bytes)) => {
            out.extend(bytes);
            Ok(())
        }
        (Type::Optional(_), Datum::Null) => {
            out.push(0);
            Ok(())
        }
        (Type::Optional(inner), key) => {
            out.push(1);
            encode_part(inner, key, out)
        }
        (Type::Tuple(kinds), Datum::Tuple(parts)) if kinds.len() == parts.len() => {
            kinds.iter().zip(parts).try_for_each(|(kind, part)| encode_part(kind, part, out))
        }
        _ => Err(Error::Invalid { what: format!("{key:?} is not a key of type {kind}") }),
    }
}

fn decode_part<'a>(kind: &Type, bytes: &'a [u8]) -> Result<(Datum<'a>, &'a [u8])> {
    macro_rules! number {
        ($type:ty => $datum:ident) => {
            <$type>::decode_part(bytes).map(|(number, rest)| (Datum::$datum(number.into()), rest))?
        };
    }
    Ok(match kind {
        Type::Bool => bool::decode_part(bytes).map(|(value, rest)| (Datum::Bool(value), rest))?,
        Type::F64 => number!(f64 => Float),
        Type::Unsigned(Width::W8) => number!(u8 => Unsigned),
        Type::Unsigned(Width::W16) => number!(u16 => Unsigned),
        Type::Unsigned(Width::W32) => number!(u32 => Unsigned),
        Type::Unsigned(Width::W64) => number!(u64 => Unsigned),
        Type::Unsigned(Width::W128) => number!(u128 => Unsigned),
        Type::Signed(Width::W8) => number!(i8 => Signed),
        Type::Signed(Width::W16) => number!(i16 => Signed),
        Type::Signed(Width::W32) => number!(i32 => Signed),
        Type::Signed(Width::W64) => number!(i64 => Signed),
        Type::Signed(Width::W128) => number!(i128 => Signed),
        Type::String => <&str>::decode_part(bytes).map(|(text, rest)| (Datum::Text(text), rest))?,
        Type::Bytes => <&[u8]>::decode_part(bytes).map(|(part, rest)| (Datum::Bytes(part), rest))?,
        Type::Array(len) => match bytes.split_at_checked(*len) {
            Some((part, rest)) => (Datum::Bytes(Cow::Borrowed(part)), rest),
            None => return Err(Error::Invalid { what: format!("a stored key is shorter than {kind}") }),
        },
        Type::Optional(inner) => match bytes.split_first() {
            Some((0, rest)) => (Datum::Null, rest),
            Some((1, rest)) => decode_part(inner, rest)?,
            _ => return Err(Error::Invalid { what: format!("a stored key is not a {kind}") }),
        },
        Type::Tuple(kinds) => {
            let (mut parts, mut rest) = (Vec::with_capacity(kinds.len()), bytes);
            for kind in kinds {
                let (part, after) = decode_part(kind, rest)?;
                parts.push(part);
                rest = after;
            }
            (Datum::Tuple(parts), rest)
        }
        Type::Unit => (Datum::Null, bytes),
        Type::Other(name) => {
            return Err(Error::Invalid {
                what: format!("keys of type {name} are known only to the program that made them"),
            });
        }
    })
}

fn longer(kind: &Type) -> Error {
    Error::Invalid { what: format!("a stored key is longer than {kind}") }
}

/// No fixed key type has more bytes.
const KEY_BYTES_FIXED_MAX: usize = 64;

/// A key, or its beginning, where a page was cut off and no more is known of it. As bytes, if the type is not known.
pub fn key_prefix_as_text(kind: Option<&Type>, key: &[u8]) -> String {
    if let Some(kind) = kind {
        let mut bytes = key.to_vec();
        while bytes.len() <= key.len().max(KEY_BYTES_FIXED_MAX) {
            if let Ok(datum) = decode_key(kind, &bytes) {
                let mut text = String::new();
                datum.write_text(&mut text);
                return text;
            }
            bytes.push(0);
        }
    }
    let digits: String = key.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("0x{digits}")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The shell's key, given as text, is the very bytes of the engine's typed key.
    fn check<K: Key<Owned: lightning_db::Lend<K>>>(text: &str, key: K::Owned) {
        use lightning_db::Lend as _;
        let kind = Type::parse(&K::type_name());
        let (mut dynamic, mut typed) = (KeyBuffer::new(), KeyBuffer::new());
        let datum = Datum::from_text(&kind, text).unwrap();
        encode_key(&kind, &datum, &mut dynamic).unwrap();
        K::encode(&key.lend(), &mut typed).unwrap();
        assert_eq!(dynamic, typed, "{text} as {kind}");
        assert_eq!(decode_key(&kind, &dynamic).unwrap(), datum);
    }

    #[test]
    fn keys_are_encoded_as_the_engine_encodes_them() {
        check::<u8>("7", 7);
        check::<u64>("7", 7);
        check::<i64>("-7", -7);
        check::<i128>("-7", -7);
        check::<f64>("-1.5", -1.5);
        check::<bool>("true", true);
        check::<()>("", ());
        check::<&str>("ada\u{1}", "ada\u{1}".into());
        check::<&[u8]>("0x0001", vec![0, 1]);
        check::<[u8; 3]>("ada", *b"ada");
        check::<Option<u32>>("null", None);
        check::<Option<u32>>("9", Some(9));
        check::<(&str, i32)>(r#"["a\u0000", -1]"#, ("a\0".into(), -1));
        check::<(Option<&str>, (&[u8], bool), [u8; 2])>(
            r#"["x", ["0x01", false], "0xffff"]"#,
            (Some("x".into()), (vec![1], false), [255, 255]),
        );
    }

    #[test]
    fn a_prefix_is_what_the_keys_begin_with() {
        let check = |kind: &str, text: &str| {
            let mut out = KeyBuffer::new();
            encode_key_prefix(&Type::parse(kind), text, &mut out).map(|()| out.as_slice().to_vec())
        };
        assert_eq!(check("string", "ad"), Ok(b"ad".to_vec()));
        assert_eq!(check("(string, u64)", r#"["fi"]"#), Ok(b"fi\0".to_vec()));
        assert!(check("(string, u64)", r#"["fi", 1, 2]"#).is_err());
        assert!(check("(string, u64)", "fi").is_err());
        assert_eq!(check("u64", "7"), Err("keys of type u64 have no beginnings; use --from and --to".to_owned()));
    }

    #[test]
    fn damaged_keys_are_errors() {
        for (kind, bytes) in
            [("u64", [1u8].as_slice()), ("u8", &[1, 2]), ("string", &[0xff]), ("(string, u8)", b"a"), ("u8?", &[2])]
        {
            assert!(decode_key(&Type::parse(kind), bytes).is_err(), "{kind}");
        }
    }
}
