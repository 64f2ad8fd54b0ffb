//! Values of documents as JSON, in which no kind is lost.
//!
//! Null, bools, text and arrays are what they are in JSON. A number with neither point nor exponent is an integer, if it
//! is between -(2^53 - 1) and 2^53 - 1, and any other a float. A map is an object, unless it has one field whose name
//! begins with `$`. What is left is an object with one field:
//!
//! | | |
//! |---|---|
//! | `{"$integer": "18446744073709551615"}` | an integer beyond those of JavaScript |
//! | `{"$float": "inf"}` | `inf`, `-inf`, `nan`, or a number as a float: what JSON would lose, `-0.0` and `3.0` |
//! | `{"$bytes": "00ff"}` | bytes |
//! | `{"$timestamp": -1}` | microseconds since the beginning of 1970, written as integers are |
//! | `{"$uuid": "00112233-4455-6677-8899-aabbccddeeff"}` | a UUID |
//! | `{"$map": {"$uuid": 1}}` | a map that would be taken for one of these |
//! | `{"$repeat": ["ab", 1000]}` | a text, so many times; only in what is given to an operation |

use anyhow::{Context, Result, bail, ensure};
use lightning_db::Value;
use serde_json::{Map, Number, Value as Json, json};

/// The greatest integer that JSON holds in every language.
const SAFE: i128 = (1 << 53) - 1;

/// Reads a value.
pub fn read(json: &Json) -> Result<Value> {
    Ok(match json {
        Json::Null => Value::Null,
        Json::Bool(value) => Value::Bool(*value),
        Json::Number(number) => match number.as_i64() {
            Some(integer) => {
                ensure!(i128::from(integer.unsigned_abs()) <= SAFE, "{integer} is to be written as $integer");
                Value::from(integer)
            }
            None => Value::from(number.as_f64().context("a number beyond floats")?),
        },
        Json::String(text) => Value::from(text.as_str()),
        Json::Array(elements) => Value::Array(elements.iter().map(read).collect::<Result<_>>()?),
        Json::Object(fields) => match fields.iter().next() {
            Some((name, json)) if fields.len() == 1 && name.starts_with('$') => read_marked(name, json)?,
            _ => read_map(fields)?,
        },
    })
}

/// Writes a value; [`read`] gives it back.
pub fn write(value: &Value) -> Json {
    match value {
        Value::Null => Json::Null,
        Value::Bool(value) => json!(value),
        Value::Integer(integer) => write_integer(*integer),
        // With a fraction or an exponent, so that it is read as a float again.
        Value::Float(float) if float.is_finite() && float.fract() != 0.0 => json!(float),
        Value::Float(float) if float.is_nan() => json!({"$float": "nan"}),
        Value::Float(float) => json!({"$float": format!("{float:?}")}),
        Value::Text(text) => json!(text),
        Value::Bytes(bytes) => json!({"$bytes": hex(bytes)}),
        Value::Timestamp(micros) => json!({"$timestamp": write_integer(i128::from(*micros))}),
        Value::Uuid(_) => json!({"$uuid": value.to_string()}),
        Value::Array(elements) => elements.iter().map(write).collect(),
        Value::Map(fields) => {
            let map = Json::Object(fields.iter().map(|(name, value)| (name.clone(), write(value))).collect());
            match fields.as_slice() {
                [(name, _)] if name.starts_with('$') => json!({"$map": map}),
                _ => map,
            }
        }
    }
}

/// Bytes as digits, two for each.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Bytes from digits.
pub fn from_hex(digits: &str) -> Result<Vec<u8>> {
    ensure!(digits.len().is_multiple_of(2), "{digits:?} has an odd number of digits");
    let pairs = digits.as_bytes().chunks(2);
    pairs.map(|pair| Ok(u8::from_str_radix(str::from_utf8(pair)?, 16)?)).collect()
}

fn write_integer(integer: i128) -> Json {
    match i64::try_from(integer) {
        Ok(safe) if i128::from(safe.unsigned_abs()) <= SAFE => Json::Number(Number::from(safe)),
        _ => json!({"$integer": integer.to_string()}),
    }
}

fn read_map(fields: &Map<String, Json>) -> Result<Value> {
    let fields = fields.iter().map(|(name, json)| Ok((name.clone(), read(json)?)));
    Ok(Value::Map(fields.collect::<Result<_>>()?))
}

fn read_marked(mark: &str, json: &Json) -> Result<Value> {
    let text = || json.as_str().with_context(|| format!("{mark} of {json} is no text"));
    Ok(match mark {
        "$integer" => Value::Integer(text()?.parse()?),
        "$float" => Value::Float(text()?.parse()?),
        "$bytes" => Value::Bytes(from_hex(text()?)?),
        "$timestamp" => {
            let micros = read(json)?;
            Value::Timestamp(micros.as_i64().with_context(|| format!("{micros} is no timestamp"))?)
        }
        "$uuid" => {
            let uuid = from_hex(&text()?.replace('-', ""))?;
            Value::Uuid(uuid.try_into().ok().with_context(|| format!("{json} is no UUID"))?)
        }
        "$repeat" => match json.as_array().map(Vec::as_slice) {
            Some([Json::String(text), Json::Number(times)]) => {
                let times = times.as_u64().with_context(|| format!("{times} is no number of times"))?;
                Value::Text(text.repeat(usize::try_from(times)?))
            }
            _ => bail!("{json} is no text and how often"),
        },
        "$map" => read_map(json.as_object().with_context(|| format!("{json} is no object"))?)?,
        _ => bail!("{mark} stands for no kind of value"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_comes_back_as_it_was() {
        let check = |value: Value, text: &str| {
            assert_eq!(write(&value).to_string(), text);
            let back = read(&serde_json::from_str(text).unwrap()).unwrap();
            assert_eq!(format!("{back:?}"), format!("{value:?}"));
        };
        check(Value::Null, "null");
        check(true.into(), "true");
        check((-7).into(), "-7");
        check(((1i64 << 53) - 1).into(), "9007199254740991");
        check((1i64 << 53).into(), r#"{"$integer":"9007199254740992"}"#);
        check(u64::MAX.into(), r#"{"$integer":"18446744073709551615"}"#);
        check(Value::Float(1.5), "1.5");
        check(Value::Float(3.0), r#"{"$float":"3.0"}"#);
        check(Value::Float(-0.0), r#"{"$float":"-0.0"}"#);
        check(Value::Float(5e-324), "5e-324");
        check(Value::Float(f64::NEG_INFINITY), r#"{"$float":"-inf"}"#);
        check(Value::Float(f64::NAN), r#"{"$float":"nan"}"#);
        check("é\0".into(), r#""é\u0000""#);
        check(vec![0u8, 255].into(), r#"{"$bytes":"00ff"}"#);
        check(Value::Timestamp(-1), r#"{"$timestamp":-1}"#);
        check(Value::Timestamp(i64::MIN), r#"{"$timestamp":{"$integer":"-9223372036854775808"}}"#);
        check(Value::Uuid([0x1f; 16]), r#"{"$uuid":"1f1f1f1f-1f1f-1f1f-1f1f-1f1f1f1f1f1f"}"#);
        check([("a", Value::Array(vec![1.into()]))].into_iter().collect(), r#"{"a":[1]}"#);
        check([("$uuid", 1)].into_iter().collect(), r#"{"$map":{"$uuid":1}}"#);
        let repeated = read(&json!({"$repeat": ["ab", 3]})).unwrap();
        assert_eq!(repeated, Value::from("ababab"));
        for wrong in
            ["9007199254740992", r#"{"$bytes":"0"}"#, r#"{"$bytes":"é0"}"#, r#"{"$uuid":"00"}"#, r#"{"$date":1}"#]
        {
            assert!(read(&serde_json::from_str(wrong).unwrap()).is_err(), "{wrong}");
        }
    }
}
