//! What commands print: text for people, JSON lines for programs.

use std::io::{self, BufWriter, StdoutLock, Write};

use lightning_db::Value;

use crate::documents::{JsonForm, write_json};
use crate::failure::{Failure, Outcome};
use crate::types::{Datum, write_line};

/// Standard output, in the form the user chose.
pub struct Output {
    sink: BufWriter<StdoutLock<'static>>,
    as_json: bool,
    line: String,
}

impl Output {
    pub fn new(as_json: bool) -> Self {
        Self { sink: BufWriter::with_capacity(1 << 16, io::stdout().lock()), as_json, line: String::new() }
    }

    pub fn is_json(&self) -> bool {
        self.as_json
    }

    /// One line as it is.
    pub fn line(&mut self, line: &str) -> Outcome {
        writeln!(self.sink, "{line}").map_err(closed_or_failed)
    }

    /// One line of JSON.
    pub fn json(&mut self, json: &serde_json::Value) -> Outcome {
        writeln!(self.sink, "{json}").map_err(closed_or_failed)
    }

    /// A result: `json` for programs, `text` for people.
    pub fn result(&mut self, text: impl FnOnce() -> String, json: impl FnOnce() -> serde_json::Value) -> Outcome {
        if self.as_json { self.json(&json()) } else { self.line(&text()) }
    }

    /// One entry: `key<TAB>value`, or `{"key":…,"value":…}`; without a value the key alone.
    pub fn entry(&mut self, key: &Datum<'_>, value: Option<&Datum<'_>>) -> Outcome {
        self.line.clear();
        if self.as_json {
            write_entry_json(key, value, &mut self.line);
        } else {
            key.write_text(&mut self.line);
            if let Some(value) = value {
                self.line.push('\t');
                value.write_text(&mut self.line);
            }
        }
        self.line.push('\n');
        self.sink.write_all(self.line.as_bytes()).map_err(closed_or_failed)
    }

    /// A value alone, on a line: text exactly as it is, for it may be what the user is after.
    pub fn datum(&mut self, value: &Datum<'_>) -> Outcome {
        if let Datum::Text(text) = value {
            return self.line(text);
        }
        self.line.clear();
        value.write_text(&mut self.line);
        writeln!(self.sink, "{}", self.line).map_err(closed_or_failed)
    }

    /// A document: `key<TAB>document`, or `{"key":…,"value":…}`; without it the key alone.
    pub fn document(&mut self, key: &Value, document: Option<&Value>) -> Outcome {
        self.line.clear();
        if self.as_json {
            self.line.push_str("{\"key\":");
        }
        match key {
            Value::Text(text) if !self.as_json => write_line(text, &mut self.line),
            key => write_json(key, JsonForm::Plain, &mut self.line),
        }
        if let Some(document) = document {
            self.line.push_str(if self.as_json { ",\"value\":" } else { "\t" });
            write_json(document, JsonForm::Plain, &mut self.line);
        }
        self.line.push_str(if self.as_json { "}\n" } else { "\n" });
        self.sink.write_all(self.line.as_bytes()).map_err(closed_or_failed)
    }

    /// Bytes as they are.
    pub fn raw(&mut self, bytes: &[u8]) -> Outcome {
        self.sink.write_all(bytes).map_err(closed_or_failed)
    }

    /// Everything printed so far is out.
    pub fn flush(&mut self) -> Outcome {
        self.sink.flush().map_err(closed_or_failed)
    }
}

/// Appends `{"key":…,"value":…}`.
pub fn write_entry_json(key: &Datum<'_>, value: Option<&Datum<'_>>, out: &mut String) {
    out.push_str("{\"key\":");
    key.write_json(out);
    if let Some(value) = value {
        out.push_str(",\"value\":");
        value.write_nested_json(out);
    }
    out.push('}');
}

/// A failure of standard output: a reader such as `head` that has seen enough is none.
pub fn closed_or_failed(error: io::Error) -> Failure {
    if error.kind() == io::ErrorKind::BrokenPipe {
        Failure::OutputClosed
    } else {
        Failure::file("standard output")(error)
    }
}
