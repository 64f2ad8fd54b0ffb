//! `lightning export`

mod documents;
mod rows;

use std::collections::HashSet;
use std::ops::ControlFlow;

use clap::Args;
use lightning_db::{Document, Query, Snapshot, Value};

use super::query::{QUERY_HELP, parse_query};
use crate::database::{ReadArgs, TableView};
use crate::destination::Destination;
use crate::documents::{CollectionView, JsonForm};
use crate::failure::{Failure, Outcome};
use crate::output::{Output, closed_or_failed};
use crate::progress::{self, Progress, Rate, Unit, grouped};
use crate::range::KeyRangeArgs;
use crate::records::Format;
use crate::types::{decode_key, decode_value};
use documents::{Column, DocumentWriter};
use rows::RowWriter;

/// Write a collection or a table, or a part of it, as JSON Lines, CSV or CBOR, as it was at one moment
///
/// Of a collection each line is a document, in the order of the keys or of the query: what 'import --key' reads. What
/// JSON and CSV have no kind for is written as text: bytes in hexadecimal, timestamps as 2024-01-31T12:00:00Z, UUIDs with
/// their dashes, numbers that are none as nan, inf and -inf. With --typed they are objects, {"$bytes": "00ff"}, which
/// 'import' reads as what they were. CBOR keeps everything as it is.
///
/// Of a plain table each line is {"key": …, "value": …}, or the two as CSV columns: what 'import' reads without --key. With
/// --records each line is the value alone. A file gets its name only once it is whole.
#[derive(Args, Debug)]
#[command(after_help = QUERY_HELP)]
pub struct Export {
    #[command(flatten)]
    source: ReadArgs,
    /// The collection or table
    #[arg(value_name = "COLLECTION")]
    table: String,
    /// The file; - writes to standard output
    #[arg(default_value = "-")]
    file: String,
    /// The file, too
    #[arg(long, value_name = "FILE", conflicts_with = "file")]
    output: Option<String>,
    #[command(flatten)]
    range: KeyRangeArgs,
    /// Of a collection: only the documents that this query finds, in its order
    #[arg(long, value_name = "QUERY", conflicts_with = "KeyRangeArgs")]
    query: Option<String>,
    /// The columns of a CSV file, with commas between them [default: every field of any of the documents]
    #[arg(long, value_name = "PATHS", value_delimiter = ',')]
    fields: Vec<String>,
    /// Write kinds that JSON lacks as objects, like {"$bytes": "00ff"}, which 'import' reads
    #[arg(long)]
    typed: bool,
    /// Of a plain table: write the values alone, each a line
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
        let file = self.output.as_deref().unwrap_or(&self.file);
        let format = self.format.unwrap_or_else(|| Format::of_name(file));
        let query = self.query.as_deref().map(parse_query).transpose()?;
        let snapshot = self.source.open()?;
        let rate = Rate::start();
        let progress = Progress::start(None, Unit::Count, self.progress);
        let mut rows = 0u64;
        let mut counted = || {
            rows += 1;
            if rows.is_multiple_of(10_000) {
                progress.at(rows, || format!("rows  {} rows/s", grouped(rate.per_second(rows))));
            }
        };
        match CollectionView::find(&snapshot, &self.source.database, &self.table)? {
            Some(view) => {
                progress.set_total(view.info.documents);
                self.documents(&view, query, file, format, &mut counted)?;
            }
            None if query.is_some() || !self.fields.is_empty() || self.typed => {
                // It is not a collection, and the error says what it is.
                CollectionView::open(&snapshot, &self.source.database, &self.table)?;
            }
            None => self.table(&snapshot, file, format, &mut counted)?,
        }
        progress.finish();
        if file == "-" {
            return Ok(());
        }
        output.result(
            || format!("exported {} of '{}' to {file}", progress::rows(rows), self.table),
            || serde_json::json!({ "table": self.table, "rows": rows, "file": file }),
        )
    }

    fn table(&self, snapshot: &Snapshot, file: &str, format: Format, counted: &mut impl FnMut()) -> Outcome {
        if self.records && format != Format::Jsonl {
            return Err(Failure::usage("--records writes JSON Lines; leave out --records or choose --format jsonl"));
        }
        if format == Format::Cbor {
            return Err(Failure::usage(format!(
                "'{}' is a plain table, and CBOR is the format of documents; choose --format jsonl or csv",
                self.table
            )));
        }
        let view = TableView::open(snapshot, &self.source.database, &self.table)?;
        let bounds = self.range.bounds(&view.types.key)?;
        let mut writer = RowWriter::new(Destination::create(file)?, format, self.records);
        writer.begin().map_err(|error| write_failed(file, error))?;
        view.scan(&bounds, false, |key, value| {
            let key = decode_key(&view.types.key, key).map_err(|error| view.failed(error))?;
            let value = decode_value(&view.types.value, value).map_err(|error| view.failed(error))?;
            writer.row(&key, &value).map_err(|error| write_failed(file, error))?;
            counted();
            Ok(ControlFlow::Continue(()))
        })?;
        writer.destination.finish()
    }

    fn documents(
        &self,
        view: &CollectionView,
        query: Option<Query>,
        file: &str,
        format: Format,
        counted: &mut impl FnMut(),
    ) -> Outcome {
        if !self.fields.is_empty() && format != Format::Csv {
            return Err(Failure::usage(
                "--fields chooses the columns of a CSV file; in other formats choose them with --query 'select …'",
            ));
        }
        let columns = match format {
            Format::Csv if self.fields.is_empty() => self.every_field(view, query.clone())?,
            Format::Csv => {
                let columns = self.fields.iter().map(|path| Column::of_path(path)).collect::<Result<_, _>>();
                columns.map_err(|error| Failure::usage(format!("--fields: {error}")))?
            }
            _ => Vec::new(),
        };
        let form = if self.typed { JsonForm::Typed } else { JsonForm::Plain };
        let mut writer = DocumentWriter::new(Destination::create(file)?, format, form, columns);
        writer.begin().map_err(|error| write_failed(file, error))?;
        self.each(view, query, |document| {
            let written = if format == Format::Cbor {
                writer.cbor(document)
            } else {
                writer.document(&Value::from_cbor(document).map_err(|error| view.failed(error))?)
            };
            written.map_err(|error| write_failed(file, error))?;
            counted();
            Ok(())
        })?;
        writer.destination.finish()
    }

    /// Every field that any of the documents has, as they come.
    fn every_field(&self, view: &CollectionView, query: Option<Query>) -> Outcome<Vec<Column>> {
        let (mut names, mut known) = (Vec::new(), HashSet::new());
        self.each(view, query, |document| {
            let document = Value::from_cbor(document).map_err(|error| view.failed(error))?;
            for (name, _) in document.as_map().unwrap_or_default() {
                if !known.contains(name) {
                    known.insert(name.clone());
                    names.push(name.clone());
                }
            }
            Ok(())
        })?;
        names.iter().map(|name| Column::of_field(name)).collect::<Result<_, _>>().map_err(|error| {
            Failure::usage(format!("a field's name cannot be that of a column: {error}; choose columns with --fields"))
        })
    }

    fn each(&self, view: &CollectionView, query: Option<Query>, mut see: impl FnMut(&[u8]) -> Outcome) -> Outcome {
        if !self.range.is_all() {
            return view.scan(&self.range.document_bounds()?, false, |_, document| {
                see(document).map(|()| ControlFlow::Continue(()))
            });
        }
        view.query(query.unwrap_or_default(), |document| see(document).map(|()| ControlFlow::Continue(())))
    }
}

fn write_failed(file: &str, error: std::io::Error) -> Failure {
    if file == "-" { closed_or_failed(error) } else { Failure::file(format!("cannot write {file}"))(error) }
}
