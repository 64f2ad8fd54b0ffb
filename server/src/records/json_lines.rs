//! JSON Lines: with a key path, each line is a record whose field is its key; without, each line is
//! `{"key": …, "value": …}`, as `export` writes it.

use std::borrow::Cow;
use std::io::{BufRead, BufReader, Read};

use lightning_db::Value;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{FieldPath, Record, RecordValue, Wrong};
use crate::documents::read_json;

pub(super) struct JsonLines<R> {
    input: BufReader<R>,
    key: Option<FieldPath>,
    buffer: Vec<u8>,
    line: u64,
    begin: u64,
    end: u64,
}

#[derive(Deserialize)]
struct Entry<'a> {
    key: serde_json::Value,
    #[serde(borrow)]
    value: &'a RawValue,
}

impl<R: Read> JsonLines<R> {
    /// Reads on behind `line` lines.
    pub fn new(input: BufReader<R>, key: Option<FieldPath>, line: u64) -> Self {
        Self { input, key, buffer: Vec::new(), line, begin: 0, end: 0 }
    }

    /// Lines read so far.
    pub fn line(&self) -> u64 {
        self.line
    }

    /// Where the line just read begins and ends.
    pub fn span(&self) -> (u64, u64) {
        (self.begin, self.end)
    }

    /// Goes to the next line; false at the end. Empty lines are passed over.
    pub fn advance(&mut self) -> Result<bool, Wrong> {
        loop {
            self.buffer.clear();
            self.begin = self.end;
            match self.input.read_until(b'\n', &mut self.buffer) {
                Ok(0) => return Ok(false),
                Ok(len) => {
                    self.line += 1;
                    self.end += len as u64;
                }
                Err(error) => return Err(Wrong::Read(error)),
            }
            if !self.buffer.trim_ascii().is_empty() {
                return Ok(true);
            }
        }
    }

    /// The line as a row of a table.
    pub fn record(&self) -> Result<Record<'_>, String> {
        parse(self.text()?, self.key.as_ref())
    }

    /// The line as a document.
    pub fn document(&self) -> Result<Value, String> {
        let text = self.text()?;
        match read_json(text) {
            Ok(document @ Value::Map(_)) => Ok(document),
            Ok(Value::Array(_)) => Err(AN_ARRAY.to_owned()),
            Ok(other) => Err(format!("a document is a JSON object, not {}: {other}", other.kind())),
            Err(error) => Err(format!("not a JSON object: {error}")),
        }
    }

    fn text(&self) -> Result<&str, String> {
        std::str::from_utf8(self.buffer.trim_ascii()).map_err(|error| format!("not UTF-8 text: {error}"))
    }
}

const AN_ARRAY: &str = "a JSON array; put each record on a line of its own, for example with: jq -c '.[]'";

fn parse<'a>(text: &'a str, key: Option<&FieldPath>) -> Result<Record<'a>, String> {
    let Some(path) = key else {
        let entry: Entry<'a> = serde_json::from_str(text).map_err(|error| {
            format!("{error}; without --key each line is {{\"key\": …, \"value\": …}}; give --key FIELD to import whole records")
        })?;
        let value = match entry.value.get() {
            document if document.starts_with(['{', '[']) => RecordValue::Document(Cow::Borrowed(document)),
            plain => RecordValue::Plain(serde_json::from_str(plain).map_err(|error| error.to_string())?),
        };
        return Ok(Record { key: entry.key, value });
    };
    if text.starts_with('[') {
        return Err(AN_ARRAY.to_owned());
    }
    match path.find(text) {
        Ok(Some(key)) => Ok(Record { key, value: RecordValue::Document(compact(text)) }),
        Ok(None) => Err(format!("there is no field '{path}'; every record needs its key")),
        Err(error) => Err(format!("not a JSON object: {error}")),
    }
}

/// Valid JSON without the white space between its tokens. Numbers, escapes, order and repetition of fields stay as they
/// are.
fn compact(json: &str) -> Cow<'_, str> {
    let mut compacted = String::new();
    let (mut in_string, mut escaped, mut copied) = (false, false, 0);
    for (at, byte) in json.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b' ' | b'\t' | b'\r' | b'\n' if !in_string => {
                compacted.push_str(json.get(copied..at).unwrap_or_default());
                copied = at + 1;
            }
            _ => {}
        }
    }
    if copied == 0 {
        return Cow::Borrowed(json);
    }
    compacted.push_str(json.get(copied..).unwrap_or_default());
    Cow::Owned(compacted)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(text: &str, key: Option<&str>) -> Result<Vec<(serde_json::Value, String)>, String> {
        let key = key.map(|path| FieldPath::parse(path).unwrap());
        let mut lines = JsonLines::new(BufReader::with_capacity(7, text.as_bytes()), key, 0);
        let mut found = Vec::new();
        while lines.advance().unwrap_or_else(|wrong| panic!("{wrong:?}")) {
            match lines.record() {
                Ok(Record { key, value: RecordValue::Document(text) }) => found.push((key, text.into_owned())),
                Ok(Record { key, value: RecordValue::Plain(json) }) => found.push((key, format!("plain {json}"))),
                Err(what) => return Err(format!("{}: {what}", lines.line())),
            }
        }
        Ok(found)
    }

    #[test]
    fn records_are_kept_whole_under_their_key() {
        let text = "{ \"id\": 1, \"a\": \"x \\\" y\" }\r\n\n  {\"id\":\"two\", \"n\": 1.0e2}";
        let found = read(text, Some("id")).unwrap();
        assert_eq!(found[0], (json!(1), r#"{"id":1,"a":"x \" y"}"#.to_owned()));
        assert_eq!(found[1], (json!("two"), r#"{"id":"two","n":1.0e2}"#.to_owned()));
    }

    #[test]
    fn entries_are_a_key_and_a_value() {
        let text = "{\"key\": 1, \"value\": {\"a\": 1}}\n{\"value\": \"x\", \"key\": [\"fi\", 2]}\n";
        let found = read(text, None).unwrap();
        assert_eq!(found[0], (json!(1), r#"{"a": 1}"#.to_owned()));
        assert_eq!(found[1], (json!(["fi", 2]), r#"plain "x""#.to_owned()));
    }

    #[test]
    fn the_line_at_fault_is_named() {
        for (text, key, message) in [
            ("{\"id\":1}\n\n{\"a\":1}\n", Some("id"), "3: there is no field 'id'; every record needs its key"),
            ("[{\"id\":1}]", Some("id"), "1: a JSON array"),
            ("{\"id\":1", Some("id"), "1: not a JSON object: EOF"),
            ("{\"id\":1}", None, "1: missing field `key`"),
        ] {
            let error = read(text, key).unwrap_err();
            assert!(error.starts_with(message), "{error}");
        }
    }

    #[test]
    fn text_that_is_not_utf8_is_refused() {
        let input = BufReader::new(b"{\"id\": \"\xff\"}\n{\"id\":1}".as_slice());
        let mut lines = JsonLines::new(input, FieldPath::parse("id").ok(), 0);
        assert!(lines.advance().is_ok());
        assert!(lines.record().is_err_and(|what| what.starts_with("not UTF-8")));
        assert!(lines.document().is_err_and(|what| what.starts_with("not UTF-8")));
        assert!(lines.advance().is_ok() && lines.document().is_ok());
        assert_eq!((lines.span(), lines.line()), ((12, 20), 2));
    }
}
