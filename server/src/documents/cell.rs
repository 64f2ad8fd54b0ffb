//! Values in the cells of CSV files.

use lightning_db::Value;

use super::{JsonForm, read_json, write_json};

/// What a cell says: a number, `true`, `false`, `null`, or an array or object as JSON, where it is exactly that; else text.
/// `None` for an empty cell: the document has no such field.
pub fn read_cell(cell: &str) -> Option<Value> {
    Some(match cell {
        "" => return None,
        "true" => Value::Bool(true),
        "false" => Value::Bool(false),
        "null" => Value::Null,
        _ if is_number(cell) => read_json(cell).unwrap_or_else(|_| Value::from(cell)),
        _ if cell.starts_with(['{', '[']) && cell.ends_with(['}', ']']) => {
            read_json(cell).unwrap_or_else(|_| Value::from(cell))
        }
        _ => Value::from(cell),
    })
}

/// Appends what [`read_cell`] reads, quoted where it must be. Text is written as it is, so that text which looks like a number
/// is read as text only where it is asked for.
pub fn write_cell(value: &Value, form: JsonForm, out: &mut String) {
    let mut json = String::new();
    let cell = match value {
        Value::Text(text) => text,
        value => {
            write_json(value, form, &mut json);
            match json.strip_prefix('"').and_then(|json| json.strip_suffix('"')) {
                // Hexadecimal digits, a moment, a UUID: nothing in it is escaped.
                Some(bare) => bare,
                None => &json,
            }
        }
    };
    if cell.contains([',', '"', '\n', '\r']) || cell.starts_with(' ') || cell.ends_with(' ') {
        out.push('"');
        out.push_str(&cell.replace('"', "\"\""));
        out.push('"');
    } else {
        out.push_str(cell);
    }
}

/// A number as JSON has it that keeps its digits: neither a leading zero nor a plus, an exponent only as it is written by an
/// export, and no whole number beyond 64 bits.
fn is_number(cell: &str) -> bool {
    let digits = cell.strip_prefix('-').unwrap_or(cell);
    if digits.is_empty() || !digits.starts_with(|digit: char| digit.is_ascii_digit()) || cell == "-0" {
        return false;
    }
    if digits.bytes().all(|byte| byte.is_ascii_digit()) {
        let has_leading_zero = digits.starts_with('0') && digits.len() > 1;
        return !has_leading_zero && (cell.parse::<i64>().is_ok() || cell.parse::<u64>().is_ok());
    }
    if digits.contains(['e', 'E']) {
        return cell.parse::<f64>().is_ok_and(|float| float.is_finite() && format!("{float:?}") == cell);
    }
    digits.split_once('.').is_some_and(|(whole, fraction)| {
        let all_digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        all_digits(whole) && all_digits(fraction) && (whole == "0" || !whole.starts_with('0'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_what_they_exactly_say() {
        let check = |cell: &str, json: Option<&str>| {
            let read = read_cell(cell).map(|value| {
                let mut out = String::new();
                write_json(&value, JsonForm::Typed, &mut out);
                out
            });
            assert_eq!(read.as_deref(), json, "{cell:?}");
        };
        check("", None);
        for same in ["7", "-7", "0", "0.5", "-1.25", "1e100", "true", "false", "null", "[1,\"a\"]", "{\"a\":1}"] {
            check(same, Some(same));
        }
        for text in [
            "007",
            "+7",
            "-0",
            "1.",
            ".5",
            "1e5",
            "1E5",
            "12e3",
            "True",
            "NULL",
            "nan",
            "inf",
            " 7",
            "7 ",
            "1,5",
            "-",
            "0x10",
            "00.5",
            "1.2.3",
            "99999999999999999999",
            "[1",
            "{a}",
            "[x]",
            "1e999",
            "١",
        ] {
            let mut quoted = String::new();
            super::super::json::write_json_text(text, &mut quoted);
            check(text, Some(&quoted));
        }
        check("1.50", Some("1.5"));
        check("18446744073709551615", Some(r#"{"$integer":"18446744073709551615"}"#));
        check(r#"{"$bytes":"00"}"#, Some(r#"{"$bytes":"00"}"#));
    }

    #[test]
    fn cells_are_quoted_where_they_must_be() {
        let check = |value: Value, cell: &str| {
            let mut out = String::new();
            write_cell(&value, JsonForm::Plain, &mut out);
            assert_eq!(out, cell);
        };
        check("a \"b\", c".into(), r#""a ""b"", c""#);
        check("a\nb".into(), "\"a\nb\"");
        check(vec![0u8, 1].into(), "0001");
        check(Value::Timestamp(0), "1970-01-01T00:00:00Z");
        check([1, 2].into_iter().collect(), "\"[1,2]\"");
        check(Value::Null, "null");
    }
}
