//! Cursors, whose rows cross in chunks.

use std::vec;

use lightning_db::{Cursor as Entry, Result, Rows as CoreRows, Stop};

use crate::packed;
use crate::raw::Raw;
use crate::table::Crossing;

/// Rows that are asked for some at a time.
pub enum Rows {
    /// Documents that a query finds, in a snapshot.
    Documents(Box<CoreRows<Raw>>),
    /// Documents that a query found in a transaction.
    Gathered(vec::IntoIter<Raw>),
    /// Entries of a table.
    Entries(Box<Entries>),
}

/// Entries of a table, from one end of a range to the other.
pub struct Entries {
    pub cursor: Entry<&'static [u8], &'static [u8]>,
    pub key: Crossing,
    pub value: Crossing,
    pub backwards: bool,
    pub begun: bool,
    pub left: u64,
}

/// A cursor: rows, and who may give up the asking for them.
pub struct Cursor {
    pub rows: Rows,
    pub stop: Option<Stop>,
}

impl Cursor {
    /// As [`Rows::next`].
    pub fn next(&mut self, bytes: usize, out: &mut Vec<u8>) -> Result<bool> {
        let _entered = self.stop.as_ref().map(Stop::enter);
        self.rows.next(bytes, out)
    }
}

impl Rows {
    /// Appends rows, packed, until there are at least so many bytes; whether they were the last. Of a table, each row is the key,
    /// then the value.
    pub fn next(&mut self, bytes: usize, out: &mut Vec<u8>) -> Result<bool> {
        while out.len() < bytes {
            Stop::check()?;
            let is_there = match self {
                Self::Documents(rows) => match rows.next_cbor_with(|row| packed::push(out, row))? {
                    Some(pushed) => pushed.map(|()| true)?,
                    None => false,
                },
                Self::Gathered(rows) => match rows.next() {
                    Some(row) => packed::push(out, &row.0).map(|()| true)?,
                    None => false,
                },
                Self::Entries(entries) => entries.next(out)?,
            };
            if !is_there {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Where the rows given so far end, for a query with a limit.
    pub fn page_token(&self) -> Option<Vec<u8>> {
        match self {
            Self::Documents(rows) => rows.page_token().map(|token| token.as_bytes().to_vec()),
            _ => None,
        }
    }
}

impl Entries {
    fn next(&mut self, out: &mut Vec<u8>) -> Result<bool> {
        if self.left == 0 {
            return Ok(false);
        }
        let entry = match (self.begun, self.backwards) {
            (false, false) => self.cursor.first(),
            (false, true) => self.cursor.last(),
            (true, false) => self.cursor.next(),
            (true, true) => self.cursor.prev(),
        }?;
        self.begun = true;
        let Some((key, value)) = entry else { return Ok(false) };
        packed::push(out, &self.key.key_out(key)?)?;
        packed::push(out, &self.value.value_out(value)?)?;
        self.left -= 1;
        Ok(true)
    }
}
