//! Values as JSON, in two forms: plain, for other programs, and typed, in which no kind is lost.
//!
//! | kind | plain | typed |
//! |---|---|---|
//! | whole number beyond 2^53 | number; a string below -2^63 | `{"$integer": "9007199254740993"}` |
//! | float that JSON lacks | `"nan"`, `"inf"`, `"-inf"` | `{"$float": "nan"}` |
//! | bytes | hexadecimal: `"00ff"` | `{"$bytes": "00ff"}` |
//! | timestamp | `"2001-09-09T01:46:40Z"` | `{"$timestamp": 1000000000000000}` (microseconds since 1970) |
//! | UUID | `"00112233-…"` | `{"$uuid": "00112233-…"}` |
//! | map that would be taken for one of these | as it is | `{"$map": {…}}` |
//!
//! Both are read: an object with one field of these names is the typed form.

use std::fmt::{self, Write as _};

use lightning_db::Value;
use serde::de::{Deserialize, DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};

/// The greatest whole number that JSON holds in every language.
const SAFE: u128 = (1 << 53) - 1;

/// How kinds that JSON lacks are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum JsonForm {
    /// As strings.
    #[default]
    Plain,
    /// As objects that are read back as what they were.
    Typed,
}

/// Reads one JSON value, of either form.
pub fn read_json(text: &str) -> serde_json::Result<Value> {
    serde_json::from_str::<Json>(text).map(|json| json.0)
}

/// Appends a value as JSON on one line.
pub fn write_json(value: &Value, form: JsonForm, out: &mut String) {
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(value) => _ = write!(out, "{value}"),
        Value::Integer(integer) => write_integer(*integer, form, out),
        // Debug keeps the ".0", so that what is read again is a float.
        Value::Float(float) if float.is_finite() => _ = write!(out, "{float:?}"),
        Value::Float(float) => write_marked("$float", &float.to_string().to_lowercase(), form, out),
        Value::Text(text) => write_json_text(text, out),
        Value::Bytes(bytes) => {
            let mut digits = String::with_capacity(bytes.len() * 2);
            bytes.iter().for_each(|byte| _ = write!(digits, "{byte:02x}"));
            write_marked("$bytes", &digits, form, out);
        }
        Value::Timestamp(micros) if form == JsonForm::Typed => {
            out.push_str("{\"$timestamp\":");
            write_integer(i128::from(*micros), form, out);
            out.push('}');
        }
        Value::Timestamp(_) => write_json_text(&value.to_string(), out),
        Value::Uuid(_) => write_marked("$uuid", &value.to_string(), form, out),
        Value::Array(elements) => {
            out.push('[');
            for (at, element) in elements.iter().enumerate() {
                out.push_str(if at > 0 { "," } else { "" });
                write_json(element, form, out);
            }
            out.push(']');
        }
        Value::Map(fields) => {
            let looks_typed = form == JsonForm::Typed && matches!(fields.as_slice(), [(name, _)] if is_mark(name));
            out.push_str(if looks_typed { "{\"$map\":{" } else { "{" });
            for (at, (name, value)) in fields.iter().enumerate() {
                out.push_str(if at > 0 { "," } else { "" });
                write_json_text(name, out);
                out.push(':');
                write_json(value, form, out);
            }
            out.push_str(if looks_typed { "}}" } else { "}" });
        }
    }
}

/// Appends text as a JSON string. Every control character is escaped, so that none can steer a terminal.
pub fn write_json_text(text: &str, out: &mut String) {
    out.push('"');
    if text.contains(|letter: char| letter.is_control() || matches!(letter, '"' | '\\')) {
        for letter in text.chars() {
            match letter {
                '"' | '\\' => out.extend(['\\', letter]),
                '\n' => out.push_str("\\n"),
                '\r' => out.push_str("\\r"),
                '\t' => out.push_str("\\t"),
                control if control.is_control() => _ = write!(out, "\\u{:04x}", u32::from(control)),
                plain => out.push(plain),
            }
        }
    } else {
        out.push_str(text);
    }
    out.push('"');
}

fn write_integer(integer: i128, form: JsonForm, out: &mut String) {
    let is_number = match form {
        JsonForm::Typed => integer.unsigned_abs() <= SAFE,
        JsonForm::Plain => integer >= i128::from(i64::MIN),
    };
    if is_number {
        _ = write!(out, "{integer}");
    } else {
        write_marked("$integer", &integer.to_string(), form, out);
    }
}

/// `text` needs no escaping.
fn write_marked(mark: &str, text: &str, form: JsonForm, out: &mut String) {
    _ = match form {
        JsonForm::Plain => write!(out, "\"{text}\""),
        JsonForm::Typed => write!(out, "{{\"{mark}\":\"{text}\"}}"),
    };
}

fn is_mark(name: &str) -> bool {
    matches!(name, "$integer" | "$float" | "$bytes" | "$timestamp" | "$uuid" | "$map")
}

/// What stands in an object with one field of these names.
fn read_marked(mark: &str, value: Value) -> Result<Value, String> {
    let wrong = |expected: &str| format!("{{\"{mark}\": {value}}}: expected {expected}");
    let text = value.as_str();
    Ok(match mark {
        "$integer" => {
            let integer = text.and_then(|text| text.parse().ok());
            Value::Integer(integer.ok_or_else(|| wrong("a whole number as a string"))?)
        }
        "$float" => {
            let float = text.and_then(|text| text.parse().ok());
            Value::Float(float.ok_or_else(|| wrong("a number, \"nan\", \"inf\" or \"-inf\" as a string"))?)
        }
        "$bytes" => {
            let bytes = text.and_then(from_hex);
            Value::Bytes(bytes.ok_or_else(|| wrong("a string of two hexadecimal digits for each byte"))?)
        }
        "$timestamp" => {
            let micros = if matches!(value, Value::Integer(_)) { value.as_i64() } else { None };
            Value::Timestamp(micros.ok_or_else(|| wrong("a whole number of microseconds since 1970"))?)
        }
        "$uuid" => {
            let uuid = text.and_then(|text| from_hex(&text.replace('-', ""))?.try_into().ok());
            Value::Uuid(uuid.ok_or_else(|| wrong("32 hexadecimal digits, like 00112233-4455-6677-8899-aabbccddeeff"))?)
        }
        _ if matches!(value, Value::Map(_)) => value,
        _ => return Err(wrong("an object")),
    })
}

fn from_hex(digits: &str) -> Option<Vec<u8>> {
    let (pairs, rest) = digits.as_bytes().as_chunks::<2>();
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let byte = |[high, low]: &[u8; 2]| Some((digit(*high)? << 4 | digit(*low)?) as u8);
    if rest.is_empty() { pairs.iter().map(byte).collect() } else { None }
}

/// A value that is read from JSON of either form.
struct Json(Value);

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Reader { is_marked: false }.deserialize(deserializer).map(Json)
    }
}

/// Reads a value.
#[derive(Clone, Copy)]
struct Reader {
    /// It stands behind `$map`: whatever field it has is a field.
    is_marked: bool,
}

impl<'de> DeserializeSeed<'de> for Reader {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Reader {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, integer: i64) -> Result<Value, E> {
        Ok(Value::from(integer))
    }

    fn visit_u64<E>(self, integer: u64) -> Result<Value, E> {
        Ok(Value::from(integer))
    }

    fn visit_f64<E>(self, float: f64) -> Result<Value, E> {
        Ok(Value::Float(float))
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(Value::from(text))
    }

    fn visit_string<E>(self, text: String) -> Result<Value, E> {
        Ok(Value::Text(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Value, A::Error> {
        let mut array = Vec::new();
        while let Some(Json(element)) = elements.next_element()? {
            array.push(element);
        }
        Ok(Value::Array(array))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Value, A::Error> {
        let mut map = Vec::new();
        while let Some(name) = fields.next_key::<String>()? {
            let is_marked = map.is_empty() && name == "$map" && !self.is_marked;
            let value = fields.next_value_seed(Reader { is_marked })?;
            map.push((name, value));
        }
        match map.as_slice() {
            [_] if !self.is_marked => unmarked(map).map_err(A::Error::custom),
            // It stands beside other fields, so it was no mark.
            [(name, _), _, ..] if name == "$map" && !self.is_marked => {
                let inner = map.first_mut().map(|(_, value)| value);
                if let Some(Value::Map(fields)) = inner {
                    let value = unmarked(std::mem::take(fields)).map_err(A::Error::custom)?;
                    map.first_mut().into_iter().for_each(|(_, inner)| inner.clone_from(&value));
                }
                Ok(Value::Map(map))
            }
            _ => Ok(Value::Map(map)),
        }
    }
}

/// The value that a map with one field stands for, if that is a mark; else the map.
fn unmarked(mut map: Vec<(String, Value)>) -> Result<Value, String> {
    match map.as_slice() {
        [(name, _)] if is_mark(name) => {
            let (mark, value) = map.pop().unwrap_or_default();
            read_marked(&mark, value)
        }
        _ => Ok(Value::Map(map)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(value: &Value, form: JsonForm) -> String {
        let mut out = String::new();
        write_json(value, form, &mut out);
        out
    }

    #[test]
    fn every_kind_comes_back_from_the_typed_form() {
        let check = |value: Value, plain: &str, typed: &str| {
            assert_eq!(written(&value, JsonForm::Plain), plain);
            assert_eq!(written(&value, JsonForm::Typed), typed);
            let back = read_json(typed).unwrap();
            assert_eq!(format!("{back:?}"), format!("{value:?}"));
        };
        check(Value::Null, "null", "null");
        check(true.into(), "true", "true");
        check((-7).into(), "-7", "-7");
        check(9_007_199_254_740_991i64.into(), "9007199254740991", "9007199254740991");
        check(9_007_199_254_740_993i64.into(), "9007199254740993", r#"{"$integer":"9007199254740993"}"#);
        check(u64::MAX.into(), "18446744073709551615", r#"{"$integer":"18446744073709551615"}"#);
        check(Value::Integer(-(1 << 64)), r#""-18446744073709551616""#, r#"{"$integer":"-18446744073709551616"}"#);
        check(3.0.into(), "3.0", "3.0");
        check((-0.0).into(), "-0.0", "-0.0");
        check(5e-324.into(), "5e-324", "5e-324");
        check(f64::NAN.into(), r#""nan""#, r#"{"$float":"nan"}"#);
        check(f64::NEG_INFINITY.into(), r#""-inf""#, r#"{"$float":"-inf"}"#);
        check("é\"\u{9b}\n\0".into(), r#""é\"\u009b\n\u0000""#, r#""é\"\u009b\n\u0000""#);
        check(vec![0u8, 255].into(), r#""00ff""#, r#"{"$bytes":"00ff"}"#);
        check(Value::Timestamp(-1), r#""1969-12-31T23:59:59.999999Z""#, r#"{"$timestamp":-1}"#);
        check(
            Value::Timestamp(i64::MIN),
            r#""-290308-12-21T19:59:05.224192Z""#,
            r#"{"$timestamp":{"$integer":"-9223372036854775808"}}"#,
        );
        let uuid = "1f1f1f1f-1f1f-1f1f-1f1f-1f1f1f1f1f1f";
        check(Value::Uuid([0x1f; 16]), &format!("{uuid:?}"), &format!(r#"{{"$uuid":"{uuid}"}}"#));
        let map = || [("b", Value::Array(vec![1.into()])), ("a", Value::Null)].into_iter().collect();
        check(map(), r#"{"b":[1],"a":null}"#, r#"{"b":[1],"a":null}"#);
        check([("$uuid", 1)].into_iter().collect(), r#"{"$uuid":1}"#, r#"{"$map":{"$uuid":1}}"#);
    }

    #[test]
    fn other_marks_are_fields_and_wrong_ones_are_refused() {
        assert_eq!(read_json(r#"{"$oid":"x"}"#).unwrap(), [("$oid", "x")].into_iter().collect());
        let beside = read_json(r#"{"$map":{"$timestamp":1},"b":{"$map":{"$map":{"$oid":2}}}}"#).unwrap();
        assert_eq!(beside.get("$map"), Some(&Value::Timestamp(1)));
        assert_eq!(beside.get("b").map(ToString::to_string).as_deref(), Some(r#"{"$map":{"$oid":2}}"#));
        assert_eq!(read_json(r#"{"$uuid":1,"b":2}"#).unwrap(), [("$uuid", 1), ("b", 2)].into_iter().collect());
        for wrong in
            [r#"{"$bytes":"0"}"#, r#"{"$uuid":"00"}"#, r#"{"$timestamp":"x"}"#, r#"{"$integer":1}"#, r#"{"$map":[]}"#]
        {
            let told = read_json(wrong).unwrap_err().to_string();
            assert!(told.contains("expected"), "{told}");
        }
    }
}
