//! A plain table, written row by row.

use std::io::Write;

use crate::destination::Destination;
use crate::output::write_entry_json;
use crate::records::Format;
use crate::types::Datum;

/// Writes rows.
pub struct RowWriter {
    pub destination: Destination,
    format: Format,
    records: bool,
    line: String,
}

impl RowWriter {
    pub fn new(destination: Destination, format: Format, records: bool) -> Self {
        Self { destination, format, records, line: String::new() }
    }

    /// What stands before the first row.
    pub fn begin(&mut self) -> std::io::Result<()> {
        if self.format == Format::Csv { self.destination.write_all(b"key,value\n") } else { Ok(()) }
    }

    /// A row.
    pub fn row(&mut self, key: &Datum<'_>, value: &Datum<'_>) -> std::io::Result<()> {
        self.line.clear();
        match (self.format, self.records) {
            (Format::Csv, _) => {
                write_csv_field(key, &mut self.line);
                self.line.push(',');
                write_csv_field(value, &mut self.line);
            }
            (Format::Jsonl | Format::Cbor, false) => write_entry_json(key, Some(value), &mut self.line),
            (Format::Jsonl | Format::Cbor, true) => value.write_nested_json(&mut self.line),
        }
        self.line.push('\n');
        self.destination.write_all(self.line.as_bytes())
    }
}

/// The text of a key or value, quoted where CSV asks for it.
fn write_csv_field(datum: &Datum<'_>, out: &mut String) {
    let mut text = String::new();
    match datum {
        Datum::Text(exact) => text.push_str(exact),
        other => other.write_text(&mut text),
    }
    if text.contains([',', '"', '\n', '\r']) || text.is_empty() {
        out.push('"');
        out.push_str(&text.replace('"', "\"\""));
        out.push('"');
    } else {
        out.push_str(&text);
    }
}
