//! CSV with a header line. As rows of a table: with a key column each line is a record of text fields; without, the columns
//! `key` and `value` are what their names say. As documents: each cell is a field, and a value where it is exactly that.

use std::borrow::Cow;
use std::io::{BufReader, Read};

use lightning_db::{Path, Value};
use serde_json::Value as Json;

use super::{FieldPath, Record, RecordValue, Wrong};
use crate::documents::read_cell;
use crate::failure::{Failure, Outcome};

pub(super) struct Csv<R> {
    reader: ::csv::Reader<BufReader<R>>,
    names: Vec<String>,
    columns: Columns,
    record: ::csv::StringRecord,
    /// Lines of the file that were passed over between the header and the first record.
    passed: u64,
    header: ::csv::Position,
    begin: u64,
    line: u64,
}

/// What the cells of a line are.
pub(super) enum Columns {
    /// One column is the key, and the value is the whole record or another column.
    Row { key_at: usize, value_at: Option<usize> },
    /// Fields of a document; those that are text whatever they look like.
    Document { is_text: Vec<bool> },
}

impl<R: Read> Csv<R> {
    /// Reads the header of the file `name`; its lines are rows of a table. `lines` were read before, if there were any.
    pub fn rows(input: BufReader<R>, key: Option<FieldPath>, name: &str, lines: u64) -> Outcome<Self> {
        let mut csv = Self::new(input, name, lines)?;
        let column = |wanted: &str| csv.column(wanted, name, "name the key's with --key");
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
        csv.columns = Columns::Row { key_at, value_at };
        Ok(csv)
    }

    /// Reads the header of the file `name`; its lines are documents. The cells of `text` stay text.
    pub fn documents(input: BufReader<R>, text: &[String], name: &str, lines: u64) -> Outcome<Self> {
        let mut csv = Self::new(input, name, lines)?;
        for (at, field) in csv.names.iter().enumerate() {
            if csv.names.iter().take(at).any(|other| other == field) {
                return Err(Failure::Usage(format!(
                    "{name}, line 1: two columns are named '{field}'; a document has each field once, so give one another name"
                )));
            }
        }
        for field in text {
            csv.column(field, name, "give the name of one with --text")?;
        }
        csv.columns = Columns::Document { is_text: csv.names.iter().map(|name| text.contains(name)).collect() };
        Ok(csv)
    }

    fn new(input: BufReader<R>, name: &str, lines: u64) -> Outcome<Self> {
        let mut reader = ::csv::ReaderBuilder::new().from_reader(input);
        let header = reader.headers().map_err(|error| Failure::Usage(format!("{name}, line 1: {error}")))?;
        if header.is_empty() {
            return Err(Failure::Usage(format!("{name} is empty; the first line of a CSV file names its columns")));
        }
        let names: Vec<String> = header.iter().map(str::to_owned).collect();
        let header = reader.position().clone();
        let (begin, passed) = (header.byte(), lines.saturating_sub(header.line() - 1));
        let (columns, record) = (Columns::Document { is_text: Vec::new() }, ::csv::StringRecord::new());
        Ok(Self { reader, names, columns, record, passed, header, begin, line: 1 })
    }

    fn column(&self, wanted: &str, name: &str, remedy: &str) -> Outcome<usize> {
        self.names.iter().position(|name| name == wanted).ok_or_else(|| {
            let there_are = self.names.join(", ");
            Failure::Usage(format!("{name}, line 1: there is no column '{wanted}'; there are {there_are}; {remedy}"))
        })
    }

    /// Refuses columns among which the documents' key is not.
    pub fn has_key(&self, key: &Path, name: &str) -> Outcome {
        key.names().take(1).try_for_each(|field| self.column(field, name, "name the key's with --key").map(drop))
    }

    /// Bytes of the header, from the beginning of the input.
    pub fn header_bytes(&self) -> u64 {
        self.header.byte()
    }

    /// The line on which the record just read begins.
    pub fn line(&self) -> u64 {
        self.line
    }

    /// Lines read so far.
    pub fn lines(&self) -> u64 {
        self.reader.position().line() - 1 + self.passed
    }

    /// Where the record just read begins and ends.
    pub fn span(&self) -> (u64, u64) {
        (self.begin, self.reader.position().byte())
    }

    /// Goes to the next record; false at the end.
    pub fn advance(&mut self) -> Result<bool, Wrong> {
        self.begin = self.reader.position().byte();
        let read = self.reader.read_record(&mut self.record);
        let position = match &read {
            Ok(_) => self.record.position(),
            Err(error) => error.position(),
        };
        self.line = position.map_or(self.line, |position| position.line() + self.passed);
        match read {
            Ok(is_there) => Ok(is_there),
            Err(error) => match error.into_kind() {
                ::csv::ErrorKind::Io(error) => Err(Wrong::Read(error)),
                ::csv::ErrorKind::UnequalLengths { expected_len, len, .. } => Err(Wrong::Input(format!(
                    "{len} cells, but the header names {expected_len}; a cell with a comma, a quote or a line break stands \
                     in quotes"
                ))),
                ::csv::ErrorKind::Utf8 { err, .. } => Err(Wrong::Input(format!("not UTF-8 text: {err}"))),
                other => Err(Wrong::Broken(format!("{other:?}"))),
            },
        }
    }

    /// The line as a row of a table.
    pub fn record(&self) -> Result<Record<'_>, String> {
        let Columns::Row { key_at, value_at } = self.columns else { return Err("these are documents".to_owned()) };
        let field = |at: usize| self.record.get(at).unwrap_or_default();
        let value = match value_at {
            Some(at) => RecordValue::Plain(Json::String(field(at).to_owned())),
            None => RecordValue::Document(Cow::Owned(as_object(&self.names, &self.record))),
        };
        Ok(Record { key: Json::String(field(key_at).to_owned()), value })
    }

    /// The line as a document.
    pub fn document(&self) -> Result<Value, String> {
        let Columns::Document { is_text } = &self.columns else { return Err("these are rows".to_owned()) };
        let cells = self.names.iter().zip(&self.record).zip(is_text);
        let fields = cells.filter_map(|((name, cell), is_text)| {
            let value = if *is_text { Some(Value::from(cell)) } else { read_cell(cell) };
            value.map(|value| (name.clone(), value))
        });
        Ok(Value::Map(fields.collect()))
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
        Csv::rows(BufReader::new(text.as_bytes()), key, "a.csv", 0)
    }

    fn advanced(csv: &mut Csv<&[u8]>) -> bool {
        csv.advance().unwrap_or_else(|wrong| panic!("{wrong:?}"))
    }

    #[test]
    fn fields_stay_text_in_the_order_of_the_header() {
        let mut csv = open("zip,name\n00123,\"Ada \"\"the\"\" first\nof all\"\n", Some("zip")).unwrap();
        assert!(advanced(&mut csv));
        let expected = r#"{"zip":"00123","name":"Ada \"the\" first\nof all"}"#;
        let expected = Record { key: json!("00123"), value: RecordValue::Document(expected.into()) };
        assert_eq!((csv.record().unwrap(), csv.line()), (expected, 2));
        assert!(!advanced(&mut csv));
    }

    #[test]
    fn without_a_key_column_there_are_keys_and_values() {
        let mut csv = open("value,key\nx,1\n", None).unwrap();
        assert!(advanced(&mut csv));
        assert_eq!(csv.record().unwrap(), Record { key: json!("1"), value: RecordValue::Plain(json!("x")) });
    }

    #[test]
    fn missing_columns_and_uneven_lines_are_named() {
        let error = open("a,b\n1,2\n", Some("id")).err().unwrap().to_string();
        assert_eq!(error, "a.csv, line 1: there is no column 'id'; there are a, b; name the key's with --key");
        let mut csv = open("id,b\n1,2\n3\n4,5\n", Some("id")).unwrap();
        assert!(advanced(&mut csv));
        assert!(
            matches!(csv.advance(), Err(Wrong::Input(what)) if what.starts_with("1 cells, but the header names 2"))
        );
        assert_eq!(csv.line(), 3);
        assert!(advanced(&mut csv), "the lines behind it are read");
        assert_eq!((csv.line(), csv.lines()), (4, 4));
    }

    #[test]
    fn reading_goes_on_behind_any_record() {
        let text = "id,t\r\n1,\"a\nb\"\r\n2,c\r\n\r\n3,\"d\r\ne\"\r\n4,f";
        let open = |text: &str, lines| {
            let input = BufReader::new(std::io::Cursor::new(text.as_bytes().to_vec()));
            Csv::documents(input, &[], "a.csv", lines).unwrap()
        };
        let mut whole = open(text, 0);
        let header = usize::try_from(whole.header_bytes()).unwrap();
        let mut seen = 0;
        while whole.advance().unwrap_or_else(|wrong| panic!("{wrong:?}")) {
            let end = usize::try_from(whole.span().1).unwrap();
            let mut rest = open(&format!("{}{}", &text[..header], &text[end..]), whole.lines());
            let mut again = open(text, 0);
            (0..=seen).for_each(|_| assert!(again.advance().is_ok_and(|is_there| is_there)));
            while again.advance().is_ok_and(|is_there| is_there) {
                assert!(rest.advance().is_ok_and(|is_there| is_there), "behind {end}");
                assert_eq!(rest.document().unwrap(), again.document().unwrap());
                assert_eq!(rest.line(), again.line(), "behind {end}");
                assert_eq!(rest.span().1 + (end - header) as u64, again.span().1);
            }
            assert!(rest.advance().is_ok_and(|is_there| !is_there));
            seen += 1;
        }
        assert_eq!(seen, 4);
    }

    #[test]
    fn cells_of_documents_are_values() {
        let text = "id,zip,pop,old,note\n7,00100,5.5,true,\n8,20100,,false,\"a,\nb\"\n";
        let mut csv = Csv::documents(BufReader::new(text.as_bytes()), &["pop".into()], "a.csv", 0).unwrap();
        let mut next = || {
            assert!(advanced(&mut csv));
            csv.document().unwrap().to_string()
        };
        assert_eq!(next(), r#"{"id":7,"zip":"00100","pop":"5.5","old":true}"#);
        assert_eq!(next(), r#"{"id":8,"zip":20100,"pop":"","old":false,"note":"a,\nb"}"#);
        assert!(Csv::documents(BufReader::new(b"a,a\n".as_slice()), &[], "a.csv", 0).is_err());
        assert!(Csv::documents(BufReader::new(b"a,b\n".as_slice()), &["c".into()], "a.csv", 0).is_err());
    }
}
