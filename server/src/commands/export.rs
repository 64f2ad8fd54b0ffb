//! `lightning export`

use std::io::Write;
use std::ops::ControlFlow;

use clap::Args;

use crate::database::{Access, DatabaseArgs, TableView};
use crate::destination::Destination;
use crate::failure::{Failure, Outcome};
use crate::output::{Output, closed_or_failed, write_entry_json};
use crate::progress::{self, Progress, Rate, Unit, grouped};
use crate::range::KeyRangeArgs;
use crate::records::Format;
use crate::types::{Datum, decode_key, decode_value};

/// Write a table, or a range of it, as JSON Lines or CSV, as it was at one moment
///
/// Each line is {"key": …, "value": …}, or the two as CSV columns: what 'import' reads without --key. With --records
/// each line is the value alone: what 'import --key' has read. A file gets its name only once it is whole.
#[derive(Args, Debug)]
pub struct Export {
    #[command(flatten)]
    database: DatabaseArgs,
    /// The table
    table: String,
    /// The file; - writes to standard output
    #[arg(default_value = "-")]
    file: String,
    #[command(flatten)]
    range: KeyRangeArgs,
    /// Write the values alone, each a line
    #[arg(long)]
    records: bool,
    /// The format [default: by the file's name, else jsonl]
    #[arg(long, value_enum)]
    format: Option<Format>,
    /// Tell how far it is, also where standard error is no terminal
    #[arg(long)]
    progress: bool,
}

impl Export {
    pub fn run(self, output: &mut Output) -> Outcome {
        let format = self.format.unwrap_or_else(|| Format::of_name(&self.file));
        if self.records && format == Format::Csv {
            return Err(Failure::usage("--records writes JSON Lines; leave out --records or choose --format jsonl"));
        }
        let database = self.database.open(Access::Read)?;
        let view = TableView::open(&database, &self.database, &self.table)?;
        let bounds = self.range.bounds(&view.types.key)?;
        let mut writer = RowWriter::new(Destination::create(&self.file)?, format, self.records);
        writer.begin().map_err(|error| self.write_failed(error))?;
        let (rate, mut rows) = (Rate::start(), 0u64);
        let progress = Progress::start(None, Unit::Count, self.progress);
        view.scan(&bounds, false, |key, value| {
            let key = decode_key(&view.types.key, key).map_err(|error| view.failed(error))?;
            let value = decode_value(&view.types.value, value).map_err(|error| view.failed(error))?;
            writer.row(&key, &value).map_err(|error| self.write_failed(error))?;
            rows += 1;
            if rows.is_multiple_of(10_000) {
                progress.at(rows, || format!("rows  {} rows/s", grouped(rate.per_second(rows))));
            }
            Ok(ControlFlow::Continue(()))
        })?;
        progress.finish();
        writer.destination.finish()?;
        if self.file == "-" {
            return Ok(());
        }
        output.result(
            || format!("exported {} of '{}' to {}", progress::rows(rows), self.table, self.file),
            || serde_json::json!({ "table": self.table, "rows": rows, "file": self.file }),
        )
    }

    fn write_failed(&self, error: std::io::Error) -> Failure {
        if self.file == "-" {
            closed_or_failed(error)
        } else {
            Failure::file(format!("cannot write {}", self.file))(error)
        }
    }
}

struct RowWriter {
    destination: Destination,
    format: Format,
    records: bool,
    line: String,
}

impl RowWriter {
    fn new(destination: Destination, format: Format, records: bool) -> Self {
        Self { destination, format, records, line: String::new() }
    }

    fn begin(&mut self) -> std::io::Result<()> {
        if self.format == Format::Csv { self.destination.write_all(b"key,value\n") } else { Ok(()) }
    }

    fn row(&mut self, key: &Datum<'_>, value: &Datum<'_>) -> std::io::Result<()> {
        self.line.clear();
        match (self.format, self.records) {
            (Format::Csv, _) => {
                write_csv_field(key, &mut self.line);
                self.line.push(',');
                write_csv_field(value, &mut self.line);
            }
            (Format::Jsonl, false) => write_entry_json(key, Some(value), &mut self.line),
            (Format::Jsonl, true) => value.write_nested_json(&mut self.line),
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
