//! Records of a file to import, one after another, in constant memory.

mod cbor;
mod csv;
mod field;
mod json_lines;

use std::borrow::Cow;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use clap::ValueEnum;
use lightning_db::Document;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use crate::failure::{Failure, Outcome};

pub use field::FieldPath;

/// The format of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// JSON Lines: one JSON object on each line
    Jsonl,
    /// Comma-separated values with a header line
    Csv,
    /// A sequence of CBOR maps, as collections store them
    Cbor,
}

impl Format {
    /// What the name of a file says; JSON Lines if nothing.
    pub fn of_name(name: &str) -> Self {
        let is = |wanted| Path::new(name).extension().is_some_and(|extension| extension.eq_ignore_ascii_case(wanted));
        if is("csv") {
            Self::Csv
        } else if is("cbor") {
            Self::Cbor
        } else {
            Self::Jsonl
        }
    }
}

/// What the records of a file are to be.
#[derive(Clone, Debug)]
pub enum Shape {
    /// Rows of a table. With a key path a row is a whole record, without it an object with `key` and `value`.
    Rows { key: Option<FieldPath> },
    /// Documents with their key at this path. In CSV files, these fields are text whatever they look like.
    Documents { key: lightning_db::Path, text: Vec<String> },
}

/// A place between two records.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// Bytes of the file before it.
    pub bytes: u64,
    /// Lines before it; of CBOR, documents.
    pub lines: u64,
    /// Bytes of the header that every reading begins with.
    pub header_bytes: u64,
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
    /// What is to be added to a place in the input, for the place in the file.
    base: u64,
    header_bytes: u64,
    /// The place before the record just read.
    before: Place,
}

enum Source {
    JsonLines(json_lines::JsonLines<Input>),
    Csv(Box<csv::Csv<Input>>),
    Cbor(cbor::Cbor<Input>),
}

type Input = Counted<Box<dyn Read + Send>>;

/// How far a file has been read; another thread may look.
pub type BytesRead = Arc<AtomicU64>;

impl Records {
    /// Opens a file, or standard input for `-`, from `place` on.
    pub fn open(name: &str, format: Option<Format>, shape: Shape, place: Place) -> Outcome<Self> {
        let failed = |name: &str| Failure::file(format!("cannot read {name}"));
        let format = format.unwrap_or_else(|| Format::of_name(name));
        if name == "-" {
            let name = "standard input";
            let input = behind(io::stdin(), place).map_err(failed(name))?;
            return Self::of(input, name, format, shape, place);
        }
        let mut file = File::open(name).map_err(failed(name))?;
        let metadata = file.metadata().map_err(failed(name))?;
        if metadata.is_dir() {
            return Err(Failure::usage(format!("{name} is a folder; give a file, or - for standard input")));
        }
        let input: Box<dyn Read + Send> = if metadata.is_file() && place.bytes > 0 {
            let header = header(&mut file, place).map_err(failed(name))?;
            file.seek(SeekFrom::Start(place.bytes)).map_err(failed(name))?;
            Box::new(io::Cursor::new(header).chain(file))
        } else {
            behind(file, place).map_err(failed(name))?
        };
        let bytes_total = metadata.is_file().then_some(metadata.len());
        Ok(Self { bytes_total, ..Self::of(input, name, format, shape, place)? })
    }

    /// The records of `input`, which is told of as `name`: its header, and what is behind `place`.
    pub fn of(input: Box<dyn Read + Send>, name: &str, format: Format, shape: Shape, place: Place) -> Outcome<Self> {
        let bytes_read = Arc::new(AtomicU64::new(place.bytes.saturating_sub(place.header_bytes)));
        let input = Counted { input, bytes_read: bytes_read.clone() };
        let name = name.to_owned();
        let mut input = BufReader::with_capacity(1 << 18, input);
        let mark = match format {
            Format::Cbor => 0,
            _ => skip_byte_order_mark(&mut input).map_err(Failure::file(format!("cannot read {name}")))?,
        };
        let base = mark + place.bytes.saturating_sub(place.header_bytes);
        let source = match (format, shape) {
            (Format::Jsonl, shape) => {
                let key = if let Shape::Rows { key } = shape { key } else { None };
                Source::JsonLines(json_lines::JsonLines::new(input, key, place.lines))
            }
            (Format::Csv, Shape::Rows { key }) => {
                Source::Csv(Box::new(csv::Csv::rows(input, key, &name, place.lines)?))
            }
            (Format::Csv, Shape::Documents { key, text }) => {
                let csv = csv::Csv::documents(input, &text, &name, place.lines)?;
                csv.has_key(&key, &name)?;
                Source::Csv(Box::new(csv))
            }
            (Format::Cbor, Shape::Documents { .. }) => Source::Cbor(cbor::Cbor::new(input, place.lines)),
            (Format::Cbor, Shape::Rows { .. }) => {
                return Err(Failure::usage(format!(
                    "{name} has CBOR documents, which a collection holds and a plain table does not; for a new collection \
                     say where their key is, with --key"
                )));
            }
        };
        let header_bytes = if let Source::Csv(csv) = &source { csv.header_bytes() + mark } else { 0 };
        Ok(Self { name, source, bytes_read, bytes_total: None, base, header_bytes, before: place })
    }

    /// Goes to the next record; false at the end.
    pub fn advance(&mut self) -> Result<bool, Wrong> {
        self.before = self.place();
        match &mut self.source {
            Source::JsonLines(source) => source.advance(),
            Source::Csv(source) => source.advance(),
            Source::Cbor(source) => source.advance(),
        }
    }

    /// The record as a row of a table.
    pub fn record(&self) -> Result<Record<'_>, String> {
        match &self.source {
            Source::JsonLines(source) => source.record(),
            Source::Csv(source) => source.record(),
            Source::Cbor(_) => Err("a CBOR document is no row of a table".to_owned()),
        }
    }

    /// The record as a document: its CBOR map.
    pub fn document(&self) -> Result<Cow<'_, [u8]>, String> {
        let document = match &self.source {
            Source::JsonLines(source) => source.document()?,
            Source::Csv(source) => source.document()?,
            Source::Cbor(source) => return Ok(Cow::Borrowed(source.document())),
        };
        document.to_cbor().map(Cow::Owned).map_err(|error| error.to_string())
    }

    /// The place before the record just read.
    pub fn before(&self) -> Place {
        self.before
    }

    /// The place behind the record just read.
    pub fn place(&self) -> Place {
        let (end, lines) = match &self.source {
            Source::JsonLines(source) => (source.span().1, source.line()),
            Source::Csv(source) => (source.span().1, source.lines()),
            Source::Cbor(source) => (source.span().1, source.number()),
        };
        Place { bytes: self.base + end, lines, header_bytes: self.header_bytes }
    }

    /// The line of the record just read; of CBOR, its number.
    pub fn line(&self) -> u64 {
        match &self.source {
            Source::JsonLines(source) => source.line(),
            Source::Csv(source) => source.line(),
            Source::Cbor(source) => source.number(),
        }
    }

    /// What the records are counted by.
    pub fn unit(&self) -> &'static str {
        if matches!(self.source, Source::Cbor(_)) { "document" } else { "line" }
    }

    /// How the file is told of.
    pub fn name(&self) -> &str {
        &self.name
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

/// Why there is no record.
#[derive(Debug)]
pub enum Wrong {
    /// This record cannot be read; those behind it can.
    Input(String),
    /// Nothing behind this place can be read.
    Broken(String),
    Read(io::Error),
}

/// The header, and what is behind the place; what is between them is passed over.
fn behind(mut input: impl Read + Send + 'static, place: Place) -> io::Result<Box<dyn Read + Send>> {
    if place.bytes == 0 {
        return Ok(Box::new(input));
    }
    let header = header(&mut input, place)?;
    let between = place.bytes.saturating_sub(header.len() as u64);
    if io::copy(&mut input.by_ref().take(between), &mut io::sink())? < between {
        return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "it ends before the place where the import stopped"));
    }
    Ok(Box::new(io::Cursor::new(header).chain(input)))
}

fn header(input: &mut impl Read, place: Place) -> io::Result<Vec<u8>> {
    let mut header = Vec::new();
    input.take(place.header_bytes.min(place.bytes)).read_to_end(&mut header)?;
    Ok(header)
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

/// Some programs begin files with the three bytes of U+FEFF. Gives how many were passed over.
fn skip_byte_order_mark(input: &mut impl BufRead) -> io::Result<u64> {
    if input.fill_buf()?.starts_with(b"\xef\xbb\xbf") {
        input.consume(3);
        return Ok(3);
    }
    Ok(0)
}
