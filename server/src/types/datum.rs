//! One key or value of any type: read from text or JSON, written as text or JSON.

use std::borrow::Cow;
use std::fmt::Write as _;

use serde_json::Value as Json;

use super::{Type, Width};

/// A key or value.
#[derive(Clone, Debug, PartialEq)]
pub enum Datum<'a> {
    /// The one value of `unit`, and an absent optional component.
    Null,
    Bool(bool),
    Unsigned(u128),
    Signed(i128),
    Float(f64),
    Text(Cow<'a, str>),
    Bytes(Cow<'a, [u8]>),
    Tuple(Vec<Datum<'a>>),
}

impl<'a> Datum<'a> {
    /// Reads what was given on the command line, or in a field of a CSV file. Tuples are given as JSON arrays, bytes as
    /// text or, after `0x`, in hexadecimal.
    pub fn from_text(kind: &Type, text: &'a str) -> Result<Self, String> {
        let wrong = || format!("'{text}' is not {}", kind.with_article());
        Ok(match kind {
            Type::Unit if text.is_empty() || text == "null" => Datum::Null,
            Type::Unit => return Err(format!("{}; the only one is null", wrong())),
            Type::Bool => Datum::Bool(text.parse().map_err(|_| format!("{}; give true or false", wrong()))?),
            Type::Unsigned(width) => {
                let number: u128 = text.parse().map_err(|_| wrong())?;
                fits(number, *width, kind).map(Datum::Unsigned)?
            }
            Type::Signed(width) => {
                let number: i128 = text.parse().map_err(|_| wrong())?;
                fits_signed(number, *width, kind).map(Datum::Signed)?
            }
            Type::F64 => Datum::Float(text.parse().map_err(|_| wrong())?),
            Type::String => Datum::Text(Cow::Borrowed(text)),
            Type::Bytes | Type::Array(_) | Type::Other(_) => {
                let bytes = bytes_from_text(text)?;
                match kind {
                    Type::Array(len) if *len != bytes.len() => {
                        return Err(format!("'{text}' is {} bytes long, and the type is {kind}", bytes.len()));
                    }
                    _ => Datum::Bytes(bytes),
                }
            }
            Type::Optional(_) | Type::Tuple(_) => {
                let json = serde_json::from_str(text)
                    .map_err(|error| format!("{}; give it as JSON, like [\"fi\", 7] ({error})", wrong()))?;
                return Datum::from_json(kind, &json).map(Datum::into_owned);
            }
        })
    }

    /// Reads a JSON value. Numbers are taken from strings too, since JSON has none beyond 64 bits.
    pub fn from_json(kind: &Type, json: &'a Json) -> Result<Self, String> {
        let wrong = || format!("{json} is not {}", kind.with_article());
        Ok(match (kind, json) {
            (Type::Optional(_), Json::Null) | (Type::Unit, Json::Null) => Datum::Null,
            (Type::Optional(inner), json) => Self::from_json(inner, json)?,
            (Type::Tuple(parts), Json::Array(items)) if parts.len() == items.len() => {
                let parts = parts.iter().zip(items).map(|(kind, item)| Self::from_json(kind, item));
                Datum::Tuple(parts.collect::<Result<_, _>>()?)
            }
            (Type::Tuple(_), _) => return Err(wrong()),
            (Type::Bool, Json::Bool(value)) => Datum::Bool(*value),
            (kind, Json::String(text)) => Self::from_text(kind, text)?,
            (Type::Unsigned(_) | Type::Signed(_) | Type::String, Json::Number(number)) => {
                return Datum::from_text(kind, &number.to_string()).map(Datum::into_owned);
            }
            (Type::F64, Json::Number(number)) => Datum::Float(number.as_f64().ok_or_else(wrong)?),
            _ => return Err(wrong()),
        })
    }

    /// Detaches it from what it was read from.
    pub fn into_owned(self) -> Datum<'static> {
        match self {
            Datum::Null => Datum::Null,
            Datum::Bool(value) => Datum::Bool(value),
            Datum::Unsigned(number) => Datum::Unsigned(number),
            Datum::Signed(number) => Datum::Signed(number),
            Datum::Float(number) => Datum::Float(number),
            Datum::Text(text) => Datum::Text(Cow::Owned(text.into_owned())),
            Datum::Bytes(bytes) => Datum::Bytes(Cow::Owned(bytes.into_owned())),
            Datum::Tuple(parts) => Datum::Tuple(parts.into_iter().map(Datum::into_owned).collect()),
        }
    }

    /// As one line of text that [`from_text`](Self::from_text) reads, control characters aside: those are shown escaped.
    pub fn write_text(&self, out: &mut String) {
        match self {
            Datum::Text(text) => write_line(text, out),
            Datum::Bytes(bytes) => match plain_text(bytes) {
                Some(text) => out.push_str(text),
                None => write_hex(bytes, out),
            },
            Datum::Float(number) => _ = write!(out, "{number}"),
            Datum::Unsigned(number) => _ = write!(out, "{number}"),
            Datum::Signed(number) => _ = write!(out, "{number}"),
            other => other.write_json(out),
        }
    }

    /// As JSON that [`from_json`](Self::from_json) reads. 128-bit numbers that other readers would round, and numbers
    /// that JSON does not have, are strings.
    pub fn write_json(&self, out: &mut String) {
        match self {
            Datum::Null => out.push_str("null"),
            Datum::Bool(value) => _ = write!(out, "{value}"),
            Datum::Unsigned(number) if *number > u128::from(u64::MAX) => _ = write!(out, "\"{number}\""),
            Datum::Unsigned(number) => _ = write!(out, "{number}"),
            Datum::Signed(number) if i64::try_from(*number).is_err() => _ = write!(out, "\"{number}\""),
            Datum::Signed(number) => _ = write!(out, "{number}"),
            // Debug keeps the ".0", so that what is read again is a float.
            Datum::Float(number) if number.is_finite() => _ = write!(out, "{number:?}"),
            Datum::Float(number) => _ = write!(out, "\"{number}\""),
            Datum::Text(text) => write_json_string(text, out),
            Datum::Bytes(bytes) => match plain_text(bytes) {
                Some(text) => write_json_string(text, out),
                None => {
                    out.push('"');
                    write_hex(bytes, out);
                    out.push('"');
                }
            },
            Datum::Tuple(parts) => {
                out.push('[');
                for (at, part) in parts.iter().enumerate() {
                    out.push_str(if at > 0 { "," } else { "" });
                    part.write_json(out);
                }
                out.push(']');
            }
        }
    }

    /// As JSON, with text that is itself a JSON object or array, on one line, put in as it stands.
    pub fn write_nested_json(&self, out: &mut String) {
        match self {
            Datum::Text(text) if is_json_document(text) => out.push_str(text),
            other => other.write_json(out),
        }
    }
}

/// Whether this text is a JSON object or array on one line, and nothing else.
pub fn is_json_document(text: &str) -> bool {
    text.starts_with(['{', '[']) && text.ends_with(['}', ']']) && !text.contains(['\n', '\r']) && {
        serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok()
    }
}

fn fits(number: u128, width: Width, kind: &Type) -> Result<u128, String> {
    if number > u128::MAX >> (128 - width.bits()) { Err(too_large(number, kind)) } else { Ok(number) }
}

fn fits_signed(number: i128, width: Width, kind: &Type) -> Result<i128, String> {
    let spare = 128 - width.bits();
    if (number << spare) >> spare == number { Ok(number) } else { Err(too_large(number, kind)) }
}

fn too_large(number: impl std::fmt::Display, kind: &Type) -> String {
    format!("{number} does not fit {kind}")
}

fn bytes_from_text(text: &str) -> Result<Cow<'_, [u8]>, String> {
    let Some(digits) = text.strip_prefix("0x") else { return Ok(Cow::Borrowed(text.as_bytes())) };
    let wrong = || format!("'{text}' is not hexadecimal: after 0x come two of 0-9 and a-f for each byte");
    let nibbles = digits.chars().map(|digit| digit.to_digit(16)).collect::<Option<Vec<_>>>().ok_or_else(wrong)?;
    let (pairs, rest) = nibbles.as_chunks::<2>();
    if !rest.is_empty() {
        return Err(wrong());
    }
    Ok(pairs.iter().map(|[high, low]| (high << 4 | low) as u8).collect())
}

/// Bytes that can be shown as text and read back as the same bytes.
fn plain_text(bytes: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(bytes).ok()?;
    (!text.starts_with("0x") && !text.contains(char::is_control)).then_some(text)
}

fn write_hex(bytes: &[u8], out: &mut String) {
    out.push_str("0x");
    for byte in bytes {
        _ = write!(out, "{byte:02x}");
    }
}

/// Keeps a terminal, and whoever reads lines, from being led astray by control characters.
pub fn write_line(text: &str, out: &mut String) {
    if !text.contains(char::is_control) {
        out.push_str(text);
        return;
    }
    for c in text.chars() {
        if c.is_control() {
            out.extend(c.escape_default());
        } else {
            out.push(c);
        }
    }
}

/// Names come from a file: control characters in them are shown escaped.
pub fn on_one_line(name: &str) -> String {
    let mut line = String::with_capacity(name.len());
    write_line(name, &mut line);
    line
}

fn write_json_string(text: &str, out: &mut String) {
    // Writing a string into memory cannot fail; the result is the same text in any case.
    out.push_str(&serde_json::to_string(text).unwrap_or_default());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(datum: &Datum<'_>) -> (String, String) {
        let (mut text, mut json) = (String::new(), String::new());
        datum.write_text(&mut text);
        datum.write_json(&mut json);
        (text, json)
    }

    #[test]
    fn floats_come_back_from_json_bit_for_bit() {
        for number in [f64::MIN_POSITIVE * 1.0000000000000002, 2.225073858507802e-308, 1e23, 0.1 + 0.2, 5e-324] {
            let mut json = String::new();
            Datum::Float(number).write_json(&mut json);
            let value = serde_json::from_str(&json).unwrap();
            assert_eq!(Datum::from_json(&Type::F64, &value), Ok(Datum::Float(number)), "{json}");
        }
    }

    #[test]
    fn what_is_shown_is_read_back() {
        for (kind, given, as_json) in [
            ("u64", "18446744073709551615", "18446744073709551615"),
            ("u128", "340282366920938463463374607431768211455", "\"340282366920938463463374607431768211455\""),
            ("i8", "-128", "-128"),
            ("f64", "1.5", "1.5"),
            ("f64", "2", "2.0"),
            ("f64", "inf", "\"inf\""),
            ("bool", "true", "true"),
            ("string", "ada \"x\"", r#""ada \"x\"""#),
            ("string", "0x00", "\"0x00\""),
            ("bytes", "ada", "\"ada\""),
            ("bytes", "0x00ff", "\"0x00ff\""),
            ("bytes", "0x3078", "\"0x3078\""),
            ("bytes[2]", "0x0a0a", "\"0x0a0a\""),
            ("unit", "null", "null"),
            ("(string, u8)", r#"["fi",7]"#, r#"["fi",7]"#),
            ("(string?, (bool, bytes))", r#"[null,[true,"0xff"]]"#, r#"[null,[true,"0xff"]]"#),
            ("geo::Point", "0x01", "\"0x01\""),
        ] {
            let kind = Type::parse(kind);
            let datum = Datum::from_text(&kind, given).unwrap();
            assert_eq!(shown(&datum), (given.to_owned(), as_json.to_owned()), "{kind}");
            let json = serde_json::from_str(as_json).unwrap();
            assert_eq!(Datum::from_json(&kind, &json), Ok(datum), "{kind} from {as_json}");
        }
    }

    #[test]
    fn what_does_not_fit_is_refused_in_plain_words() {
        for (kind, given, message) in [
            ("u8", "256", "256 does not fit u8"),
            ("i8", "-129", "-129 does not fit i8"),
            ("i128", "1e3", "'1e3' is not an i128"),
            ("u64", "-1", "'-1' is not a u64"),
            ("bool", "yes", "'yes' is not a bool; give true or false"),
            ("bytes", "0xabc", "'0xabc' is not hexadecimal: after 0x come two of 0-9 and a-f for each byte"),
            ("bytes[2]", "abc", "'abc' is 3 bytes long, and the type is bytes[2]"),
            ("(string, u8)", "[\"fi\"]", "[\"fi\"] is not a (string, u8)"),
        ] {
            assert_eq!(Datum::from_text(&Type::parse(kind), given), Err(message.to_owned()));
        }
    }

    #[test]
    fn control_characters_stay_on_their_line() {
        assert_eq!(shown(&Datum::Text("a\tb\n\u{1b}[2J".into())).0, "a\\tb\\n\\u{1b}[2J");
    }

    #[test]
    fn only_whole_documents_on_one_line_are_nested() {
        for (text, nested) in [
            ("{\"a\": 1}", true),
            ("[1]", true),
            ("5", false),
            ("{\"a\":1", false),
            ("[1\n]", false),
            ("[1][2]", false),
        ] {
            let mut out = String::new();
            Datum::Text(text.into()).write_nested_json(&mut out);
            assert_eq!(out == text, nested && text != "5", "{text}");
        }
    }
}
