//! Walks over spans of one table, in either direction, that go on where they were after bytes were fetched.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use super::definition::IndexDefinition;
use super::read::{ByteCursor, Reader, Span};
use crate::document::key;
use crate::error::{Error, Result};

/// A walk over the entries of spans.
#[derive(Debug)]
pub(super) struct Walk {
    table: u64,
    spans: VecDeque<Span>,
    backwards: bool,
    cursor: Option<ByteCursor>,
    /// The cursor stands on an entry that was given.
    started: bool,
    /// Entries given.
    pub given: u64,
}

impl Walk {
    pub(super) fn new(table: u64, spans: Vec<Span>, backwards: bool) -> Self {
        Self { table, spans: spans.into(), backwards, cursor: None, started: false, given: 0 }
    }

    /// What `take` makes of the next entry. After an error the same call is made again.
    pub(super) fn next<T>(
        &mut self,
        reader: &mut dyn Reader,
        mut take: impl FnMut(&[u8], &[u8]) -> Result<T>,
    ) -> Result<Option<T>> {
        loop {
            let cursor = match &mut self.cursor {
                Some(cursor) => cursor,
                None => {
                    let span = if self.backwards { self.spans.back() } else { self.spans.front() };
                    let Some(span) = span else { return Ok(None) };
                    let cursor = reader.cursor(self.table, span)?;
                    if self.backwards {
                        self.spans.pop_back()
                    } else {
                        self.spans.pop_front()
                    };
                    self.started = false;
                    self.cursor.insert(cursor)
                }
            };
            let entry = match (self.started, self.backwards) {
                (false, false) => cursor.first()?,
                (false, true) => cursor.last()?,
                (true, false) => cursor.next()?,
                (true, true) => cursor.prev()?,
            };
            let taken = entry.map(|(key, value)| take(key, value)).transpose()?;
            self.started = true;
            if taken.is_some() {
                self.given += 1;
                return Ok(taken);
            }
            self.cursor = None;
        }
    }
}

/// The key of the document that an index's entry is of.
pub(crate) fn record_of<'e>(index: &IndexDefinition, entry: &'e [u8], value: &'e [u8]) -> Result<&'e [u8]> {
    let mut rest = entry;
    for _ in &index.paths {
        rest = key::skip(rest)?;
    }
    let record = if rest.is_empty() { value } else { rest };
    if record.is_empty() {
        return Err(Error::invalid(alloc::format!(
            "an entry of index '{}' names no document; run 'lightning check'",
            index.name
        )));
    }
    Ok(record)
}
