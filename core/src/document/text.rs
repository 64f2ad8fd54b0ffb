//! Values in messages: JSON with a few words more, never long.

use core::fmt::{self, Display, Write};

use super::Value;
use crate::env::calendar::date;

/// Bytes of a value in a message, after which it is cut.
const SHOWN_BYTES_MAX: usize = 160;

/// Much as JSON; bytes are `h'00ff'`, timestamps and UUIDs stand without quotes. Cut with `...` after 160 bytes, so it is
/// for people to read, not to be read back.
impl Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shortened = Shortened { out: f, left: SHOWN_BYTES_MAX, is_full: false };
        match write(self, &mut shortened) {
            Err(_) if shortened.is_full => f.write_str("..."),
            outcome => outcome,
        }
    }
}

/// Fails when it is full, which also ends the descent into a deep value.
struct Shortened<'f, 'o> {
    out: &'f mut fmt::Formatter<'o>,
    left: usize,
    is_full: bool,
}

impl Write for Shortened<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let mut end = self.left.min(text.len());
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        let fitting = text.get(..end).unwrap_or_default();
        self.out.write_str(fitting)?;
        self.left -= fitting.len();
        self.is_full = fitting.len() < text.len();
        if self.is_full { Err(fmt::Error) } else { Ok(()) }
    }
}

fn write(value: &Value, out: &mut Shortened<'_, '_>) -> fmt::Result {
    match value {
        Value::Null => out.write_str("null"),
        Value::Bool(value) => write!(out, "{value}"),
        Value::Integer(integer) => write!(out, "{integer}"),
        Value::Float(float) => write!(out, "{float:?}"),
        Value::Text(text) => write_text(text, out),
        Value::Bytes(bytes) => {
            out.write_str("h'")?;
            write_hex(bytes, out)?;
            out.write_char('\'')
        }
        Value::Timestamp(micros) => write_timestamp(*micros, out),
        Value::Uuid(uuid) => {
            let number = u128::from_be_bytes(*uuid);
            let group = |from: u32, digits: u32| (number >> (4 * (32 - from - digits))) & ((1 << (4 * digits)) - 1);
            write!(
                out,
                "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
                group(0, 8),
                group(8, 4),
                group(12, 4),
                group(16, 4),
                group(20, 12)
            )
        }
        Value::Array(elements) => {
            out.write_char('[')?;
            for (place, element) in elements.iter().enumerate() {
                if place > 0 {
                    out.write_char(',')?;
                }
                write(element, out)?;
            }
            out.write_char(']')
        }
        Value::Map(fields) => {
            out.write_char('{')?;
            for (place, (name, value)) in fields.iter().enumerate() {
                if place > 0 {
                    out.write_char(',')?;
                }
                write_text(name, out)?;
                out.write_char(':')?;
                write(value, out)?;
            }
            out.write_char('}')
        }
    }
}

/// In quotes, with the escapes of JSON.
pub(super) fn write_text(text: &str, out: &mut impl Write) -> fmt::Result {
    out.write_char('"')?;
    for letter in text.chars() {
        match letter {
            '"' | '\\' => write!(out, "\\{letter}")?,
            '\n' => out.write_str("\\n")?,
            '\r' => out.write_str("\\r")?,
            '\t' => out.write_str("\\t")?,
            control if control.is_control() => write!(out, "\\u{:04x}", u32::from(control))?,
            plain => out.write_char(plain)?,
        }
    }
    out.write_char('"')
}

/// Two digits for each byte.
pub(super) fn write_hex(bytes: &[u8], out: &mut impl Write) -> fmt::Result {
    bytes.iter().try_for_each(|byte| write!(out, "{byte:02x}"))
}

/// As RFC 3339 has it, with what there is of fractions; years beyond 9999 with their sign.
fn write_timestamp(micros: i64, out: &mut impl Write) -> fmt::Result {
    let (seconds, fraction) = (micros.div_euclid(1_000_000), micros.rem_euclid(1_000_000));
    let (days, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let (year, month, day) = date(days);
    if (0..=9999).contains(&year) {
        write!(out, "{year:04}")?;
    } else {
        write!(out, "{year:+}")?;
    }
    write!(out, "-{month:02}-{day:02}T{:02}:{:02}:{:02}", second / 3600, second / 60 % 60, second % 60)?;
    if fraction != 0 {
        write!(out, ".{fraction:06}")?;
    }
    out.write_char('Z')
}

#[cfg(test)]
mod tests {
    use alloc::string::{String, ToString};
    use alloc::vec;

    use super::*;

    #[test]
    fn values_read_as_json_with_a_few_words_more() {
        let check = |value: Value, shown: &str| assert_eq!(value.to_string(), shown);
        check(Value::Null, "null");
        check(Value::from(true), "true");
        check(Value::from(-7), "-7");
        check(Value::from(3.0), "3.0");
        check(Value::from(f64::NEG_INFINITY), "-inf");
        check(Value::from("a\"\\\n\u{1}é"), "\"a\\\"\\\\\\n\\u0001é\"");
        check(Value::from(vec![0u8, 255]), "h'00ff'");
        check(Value::Timestamp(0), "1970-01-01T00:00:00Z");
        check(Value::Timestamp(951_782_399_000_001), "2000-02-28T23:59:59.000001Z");
        check(Value::Timestamp(951_782_400_000_000), "2000-02-29T00:00:00Z");
        check(Value::Timestamp(-1), "1969-12-31T23:59:59.999999Z");
        check(Value::Timestamp(i64::MIN), "-290308-12-21T19:59:05.224192Z");
        check(Value::Timestamp(i64::MAX), "+294247-01-10T04:00:54.775807Z");
        check(
            Value::Uuid(*b"\0\x11\x22\x33\x44\x55\x66\x77\x88\x99\xaa\xbb\xcc\xdd\xee\xff"),
            "00112233-4455-6677-8899-aabbccddeeff",
        );
        check([Value::Null, [("b", 1)].into_iter().collect()].into_iter().collect(), r#"[null,{"b":1}]"#);
    }

    #[test]
    fn what_is_long_or_deep_is_cut() {
        let long = Value::from("é".repeat(1000)).to_string();
        assert!(long.len() <= SHOWN_BYTES_MAX + 3 && long.ends_with("..."), "{long}");
        let deep = (0..1000).fold(Value::Null, |inner, _| Value::Array(vec![inner])).to_string();
        assert!(deep.len() <= SHOWN_BYTES_MAX + 3 && deep.ends_with("..."), "{deep}");
        // To the byte what there is room for.
        let fitting = Value::from(String::from_utf8(vec![b'a'; SHOWN_BYTES_MAX - 2]).unwrap()).to_string();
        assert_eq!(fitting.len(), SHOWN_BYTES_MAX);
        assert!(fitting.ends_with('"'));
    }
}
