//! Reading a file and gathering its records in batches, encoded as they will be stored.

use std::sync::mpsc::SyncSender;

use super::row::RowEncoder;
use crate::database::TableTypes;
use crate::failure::{Failure, Outcome};
use crate::records::{Place, Records, Wrong};

/// What the engine keeps in memory for a record beside its bytes, at most.
const ROW_OVERHEAD_BYTES: usize = 128;

/// Records, their bytes end to end.
#[derive(Default)]
pub struct Batch {
    /// The types of the table, where it is one.
    pub types: Option<TableTypes>,
    bytes: Vec<u8>,
    rows: Vec<Row>,
    /// The place behind the last record.
    pub end: Place,
    /// Nothing comes after it.
    pub is_last: bool,
}

/// One record of a batch.
struct Row {
    /// The place in the file before it.
    before: Place,
    line: u64,
    /// Where its key and its value end in the batch's bytes; a document is a value without a key.
    key_end: usize,
    end: usize,
    /// Why it cannot be stored.
    wrong: Option<Refusal>,
}

/// Why a record is not stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    pub line: u64,
    pub why: String,
    /// What is behind it cannot be read.
    pub is_final: bool,
}

/// What a record holds.
pub enum Content<'a> {
    Row { key: &'a [u8], value: &'a [u8] },
    Wrong(&'a Refusal),
}

impl Batch {
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Appends a record of these bytes.
    pub fn push(&mut self, key: &[u8], value: &[u8], line: u64, before: Place) {
        self.bytes.extend_from_slice(key);
        let key_end = self.bytes.len();
        self.bytes.extend_from_slice(value);
        self.rows.push(Row { before, line, key_end, end: self.bytes.len(), wrong: None });
    }

    fn push_wrong(&mut self, refusal: Refusal, before: Place) {
        let (line, end) = (refusal.line, self.bytes.len());
        self.rows.push(Row { before, line, key_end: end, end, wrong: Some(refusal) });
    }

    fn memory_bytes(&self) -> usize {
        self.bytes.len() + self.rows.len() * ROW_OVERHEAD_BYTES
    }

    /// The line of a record.
    pub fn line(&self, at: usize) -> u64 {
        self.rows.get(at).map_or(self.end.lines, |row| row.line)
    }

    /// The place before a record, or behind the last.
    pub fn place(&self, at: usize) -> Place {
        self.rows.get(at).map_or(self.end, |row| row.before)
    }

    /// A record.
    pub fn content(&self, at: usize) -> Option<Content<'_>> {
        let row = self.rows.get(at)?;
        if let Some(wrong) = &row.wrong {
            return Some(Content::Wrong(wrong));
        }
        let begin = at.checked_sub(1).and_then(|before| self.rows.get(before)).map_or(0, |row| row.end);
        Some(Content::Row { key: self.bytes.get(begin..row.key_end)?, value: self.bytes.get(row.key_end..row.end)? })
    }
}

/// How records become bytes.
pub enum Encoder {
    /// Rows of a table.
    Rows(Box<RowEncoder>),
    Documents,
}

impl Encoder {
    fn encode(&mut self, records: &Records, batch: &mut Batch) -> Result<(), String> {
        match self {
            Self::Rows(encoder) => {
                let (key, value) = encoder.encode(&records.record()?)?;
                batch.push(&key, &value, records.line(), records.before());
            }
            Self::Documents => batch.push(&[], &records.document()?, records.line(), records.before()),
        }
        Ok(())
    }

    fn types(&self) -> Option<TableTypes> {
        if let Self::Rows(encoder) = self { encoder.types.clone() } else { None }
    }
}

/// How large a batch may be.
#[derive(Clone, Copy)]
pub struct BatchLimits {
    pub rows: usize,
    pub bytes: usize,
}

/// Reads and encodes all records. What was read before the file failed is sent.
pub fn read(mut records: Records, mut encoder: Encoder, limits: BatchLimits, batches: SyncSender<Batch>) -> Outcome {
    let mut batch = Batch::default();
    let failed = loop {
        let mut is_final = false;
        let wrong = match records.advance() {
            Ok(true) => encoder.encode(&records, &mut batch).err(),
            Ok(false) => break None,
            Err(Wrong::Input(why)) => Some(why),
            Err(Wrong::Broken(why)) => {
                is_final = true;
                Some(why)
            }
            Err(Wrong::Read(error)) => break Some(Failure::file(format!("cannot read {}", records.name()))(error)),
        };
        if let Some(why) = wrong {
            batch.push_wrong(Refusal { line: records.line(), why, is_final }, records.before());
        }
        if is_final {
            break None;
        }
        if batch.len() >= limits.rows || batch.memory_bytes() >= limits.bytes {
            batch.end = records.place();
            batch.types = encoder.types();
            // The other end is gone only when storing has ended, and why is told there.
            if batches.send(std::mem::take(&mut batch)).is_err() {
                return Ok(());
            }
        }
    };
    batch.end = records.place();
    batch.types = encoder.types();
    batch.is_last = failed.is_none();
    _ = batches.send(batch);
    failed.map_or(Ok(()), Err)
}
