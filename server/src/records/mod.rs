//! Records of a file to import, one after another, in constant memory.

mod csv;
mod field;
mod json_lines;

use std::borrow::Cow;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use clap::ValueEnum;
use serde_json::Value as Json;

use crate::failure::{Failure, Outcome};

pub use field::FieldPath;

/// The format of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// JSON Lines: one JSON object on each line
    Jsonl,
    /// Comma-separated values with a header line
    Csv,
}

impl Format {
    /// What the name of a file says; JSON Lines if nothing.
    pub fn of_name(name: &str) -> Self {
        match Path::new(name).extension() {
            Some(extension) if extension.eq_ignore_ascii_case("csv") => Self::Csv,
            _ => Self::Jsonl,
        }
    }
}

/// One record.
#[derive(Debug, PartialEq)]
pub struct Record<'a> {
    pub key: Json,
    pub value: RecordValue<'a>,
}

/// What a record says the value is.
#[derive(Debug, PartialEq)]
pub enum RecordValue<'a> {
    /// The text of a JSON object or array, kept as it is.
    Document(Cow<'a, str>),
    /// A single value.
    Plain(Json),
}

/// The records of one file.
pub struct Records {
    name: String,
    source: Source,
    bytes_read: BytesRead,
    bytes_total: Option<u64>,
}

enum Source {
    JsonLines(json_lines::JsonLines<Input>),
    Csv(Box<csv::Csv<Input>>),
}

type Input = Counted<Box<dyn Read + Send>>;

/// How far a file has been read; another thread may look.
pub type BytesRead = Arc<AtomicU64>;

impl Records {
    /// Opens a file, or standard input for `-`.
    pub fn open(name: &str, format: Option<Format>, key: Option<FieldPath>) -> Outcome<Self> {
        let (input, bytes_total): (Box<dyn Read + Send>, _) = if name == "-" {
            (Box::new(io::stdin()), None)
        } else {
            let file = File::open(name).map_err(Failure::file(format!("cannot read {name}")))?;
            let metadata = file.metadata().map_err(Failure::file(format!("cannot read {name}")))?;
            if metadata.is_dir() {
                return Err(Failure::usage(format!("{name} is a folder; give a file, or - for standard input")));
            }
            (Box::new(file), metadata.is_file().then_some(metadata.len()))
        };
        let name = if name == "-" { "standard input" } else { name };
        Ok(Self { bytes_total, ..Self::of(input, name, format, key)? })
    }

    /// The records of `input`, which is told of as `name`.
    pub fn of(
        input: Box<dyn Read + Send>,
        name: &str,
        format: Option<Format>,
        key: Option<FieldPath>,
    ) -> Outcome<Self> {
        let bytes_read = BytesRead::default();
        let input = Counted { input, bytes_read: bytes_read.clone() };
        let name = name.to_owned();
        let mut input = BufReader::with_capacity(1 << 18, input);
        skip_byte_order_mark(&mut input).map_err(Failure::file(format!("cannot read {name}")))?;
        let source = match format.unwrap_or_else(|| Format::of_name(&name)) {
            Format::Jsonl => Source::JsonLines(json_lines::JsonLines::new(input, key)),
            Format::Csv => Source::Csv(Box::new(csv::Csv::new(input, key, &name)?)),
        };
        Ok(Self { name, source, bytes_read, bytes_total: None })
    }

    /// The next record, or `None` at the end.
    pub fn next(&mut self) -> Outcome<Option<Record<'_>>> {
        let (found, line) = match &mut self.source {
            Source::JsonLines(source) => source.next(),
            Source::Csv(source) => source.next(),
        };
        found.map_err(|wrong| match wrong {
            Wrong::Input(what) => Failure::Usage(format!("{}, line {line}: {what}", self.name)),
            Wrong::Read(error) => Failure::file(format!("cannot read {}", self.name))(error),
        })
    }

    /// A failure that the record just read has caused.
    pub fn refused(&self, what: &str) -> Failure {
        let line = match &self.source {
            Source::JsonLines(source) => source.line(),
            Source::Csv(source) => source.line(),
        };
        Failure::Usage(format!("{}, line {line}: {what}", self.name))
    }

    /// The size of the file, where it has one.
    pub fn bytes_total(&self) -> Option<u64> {
        self.bytes_total
    }

    /// How far it has been read.
    pub fn bytes_read(&self) -> BytesRead {
        self.bytes_read.clone()
    }
}

/// Why there is no next record.
#[derive(Debug)]
enum Wrong {
    Input(String),
    Read(io::Error),
}

/// Counts the bytes read through it.
struct Counted<R> {
    input: R,
    bytes_read: BytesRead,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let len = self.input.read(buf)?;
        self.bytes_read.fetch_add(len as u64, Ordering::Relaxed);
        Ok(len)
    }
}

/// Some programs begin files with the three bytes of U+FEFF.
fn skip_byte_order_mark(input: &mut impl BufRead) -> io::Result<()> {
    if input.fill_buf()?.starts_with(b"\xef\xbb\xbf") {
        input.consume(3);
    }
    Ok(())
}
