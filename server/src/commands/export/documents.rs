//! A collection, written document by document.

use std::io::{self, Write};

use lightning_db::{Path, Value};

use crate::destination::Destination;
use crate::documents::{JsonForm, write_cell, write_json};
use crate::records::Format;

/// Writes documents.
pub struct DocumentWriter {
    pub destination: Destination,
    format: Format,
    form: JsonForm,
    columns: Vec<Column>,
    line: String,
}

/// A column of a CSV file.
pub struct Column {
    name: String,
    path: Path,
}

impl Column {
    /// A field of the documents, by its name as it is.
    pub fn of_field(name: &str) -> lightning_db::Result<Self> {
        Ok(Self { name: name.to_owned(), path: Path::of([name])? })
    }

    /// A path, which may lead into a field.
    pub fn of_path(path: &str) -> lightning_db::Result<Self> {
        Ok(Self { name: path.to_owned(), path: Path::parse(path)? })
    }
}

impl DocumentWriter {
    /// The columns are those of a CSV file.
    pub fn new(destination: Destination, format: Format, form: JsonForm, columns: Vec<Column>) -> Self {
        Self { destination, format, form, columns, line: String::new() }
    }

    /// What stands before the first document.
    pub fn begin(&mut self) -> io::Result<()> {
        if self.format != Format::Csv {
            return Ok(());
        }
        for (at, column) in self.columns.iter().enumerate() {
            self.line.push_str(if at > 0 { "," } else { "" });
            write_cell(&Value::from(column.name.as_str()), self.form, &mut self.line);
        }
        self.end_line()
    }

    /// A document that is stored as these bytes.
    pub fn cbor(&mut self, document: &[u8]) -> io::Result<()> {
        self.destination.write_all(document)
    }

    /// A document.
    pub fn document(&mut self, document: &Value) -> io::Result<()> {
        self.line.clear();
        if self.format != Format::Csv {
            write_json(document, self.form, &mut self.line);
            return self.end_line();
        }
        for (at, column) in self.columns.iter().enumerate() {
            self.line.push_str(if at > 0 { "," } else { "" });
            if let Some(value) = document.at(&column.path) {
                write_cell(value, self.form, &mut self.line);
            }
        }
        // A line without anything on it would be none.
        if self.line.is_empty() {
            self.line.push_str("\"\"");
        }
        self.end_line()
    }

    fn end_line(&mut self) -> io::Result<()> {
        self.line.push('\n');
        self.destination.write_all(self.line.as_bytes())
    }
}
