//! CSV with a header: with a key column, each line is a record of text fields; without, the columns `key` and `value`
//! are what their names say.

use std::borrow::Cow;
use std::io::{BufReader, Read};

use serde_json::Value as Json;

use super::{FieldPath, Record, RecordValue, Wrong};
use crate::failure::{Failure, Outcome};

pub(super) struct Csv<R> {
    reader: ::csv::Reader<BufReader<R>>,
    names: Vec<String>,
    key_at: usize,
    /// Where the value is, unless the whole record is.
    value_at: Option<usize>,
    record: ::csv::StringRecord,
}

impl<R: Read> Csv<R> {
    /// Reads the header of the file `name`.
    pub fn new(input: BufReader<R>, key: Option<FieldPath>, name: &str) -> Outcome<Self> {
        let mut reader = ::csv::ReaderBuilder::new().from_reader(input);
        let header = reader.headers().map_err(|error| Failure::Usage(format!("{name}, line 1: {error}")))?;
        if header.is_empty() {
            return Err(Failure::Usage(format!("{name} is empty; the first line of a CSV file names its columns")));
        }
        let names: Vec<String> = header.iter().map(str::to_owned).collect();
        let column = |wanted: &str| {
            names.iter().position(|name| name == wanted).ok_or_else(|| {
                let there_are = names.join(", ");
                Failure::Usage(format!(
                    "{name}, line 1: there is no column '{wanted}'; there are {there_are}; name the key's with --key"
                ))
            })
        };
        let (key_at, value_at) = match &key {
            Some(path) => {
                let single = path.single().ok_or_else(|| {
                    Failure::Usage(format!(
                        "--key {path}: a CSV file has columns, not paths; for a name with dots write /{path}"
                    ))
                })?;
                (column(single)?, None)
            }
            None => (column("key")?, Some(column("value")?)),
        };
        Ok(Self { reader, names, key_at, value_at, record: ::csv::StringRecord::new() })
    }

    /// The line of the record just read.
    pub fn line(&self) -> u64 {
        self.record.position().map_or(1, ::csv::Position::line)
    }

    /// The next record and its line.
    pub fn next(&mut self) -> (Result<Option<Record<'_>>, Wrong>, u64) {
        match self.reader.read_record(&mut self.record) {
            Ok(true) => {}
            Ok(false) => return (Ok(None), self.line()),
            Err(error) => {
                let line = error.position().map_or(0, ::csv::Position::line);
                let what = error.to_string();
                return match error.into_kind() {
                    ::csv::ErrorKind::Io(error) => (Err(Wrong::Read(error)), line),
                    _ => (Err(Wrong::Input(what)), line),
                };
            }
        }
        let field = |at: usize| self.record.get(at).unwrap_or_default();
        let value = match self.value_at {
            Some(at) => RecordValue::Plain(Json::String(field(at).to_owned())),
            None => RecordValue::Document(Cow::Owned(as_object(&self.names, &self.record))),
        };
        (Ok(Some(Record { key: Json::String(field(self.key_at).to_owned()), value })), self.line())
    }
}

/// The record as a JSON object with the header's names, in the header's order.
fn as_object(names: &[String], record: &::csv::StringRecord) -> String {
    let mut out = String::from("{");
    for (name, field) in names.iter().zip(record) {
        if out.len() > 1 {
            out.push(',');
        }
        // Writing a string into memory cannot fail.
        out.push_str(&serde_json::to_string(name).unwrap_or_default());
        out.push(':');
        out.push_str(&serde_json::to_string(field).unwrap_or_default());
    }
    out.push('}');
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn open(text: &'static str, key: Option<&str>) -> Outcome<Csv<&'static [u8]>> {
        let key = key.map(|path| FieldPath::parse(path).unwrap());
        Csv::new(BufReader::new(text.as_bytes()), key, "a.csv")
    }

    #[test]
    fn fields_stay_text_in_the_order_of_the_header() {
        let mut csv = open("zip,name\n00123,\"Ada \"\"the\"\" first\nof all\"\n", Some("zip")).unwrap();
        let (record, line) = csv.next();
        let expected = r#"{"zip":"00123","name":"Ada \"the\" first\nof all"}"#;
        let expected = Record { key: json!("00123"), value: RecordValue::Document(expected.into()) };
        assert_eq!((record.unwrap(), line), (Some(expected), 2));
        assert!(matches!(csv.next(), (Ok(None), _)));
    }

    #[test]
    fn without_a_key_column_there_are_keys_and_values() {
        let mut csv = open("value,key\nx,1\n", None).unwrap();
        assert_eq!(csv.next().0.unwrap(), Some(Record { key: json!("1"), value: RecordValue::Plain(json!("x")) }));
    }

    #[test]
    fn missing_columns_and_uneven_lines_are_named() {
        let error = open("a,b\n1,2\n", Some("id")).err().unwrap().to_string();
        assert_eq!(error, "a.csv, line 1: there is no column 'id'; there are a, b; name the key's with --key");
        let mut csv = open("id,b\n1,2\n3\n", Some("id")).unwrap();
        assert!(csv.next().0.is_ok());
        assert!(matches!(csv.next(), (Err(Wrong::Input(_)), 3)));
    }
}
