//! What makes a document a row of a live result.

use alloc::vec::Vec;

use super::rows::LiveRow;
use crate::collection::position::Position;
use crate::collection::read::{Reader, Reads};
use crate::collection::row::Row;
use crate::collection::run;
use crate::collection::stored::Stored;
use crate::db::Snapshot;
use crate::document::query::{CompiledFilter, Filter, Query, SortOrder};
use crate::document::{Path, cbor};
use crate::error::Result;

/// What makes a document a row.
pub(super) struct Found {
    /// For whole documents, all of them.
    pub query: Query,
    order: SortOrder,
    filter: Option<CompiledFilter>,
    fields: Vec<Path>,
    /// Rows are behind this.
    after: Option<Position>,
    /// How often a document is gone through, at most, to say whether it is a row.
    looks: usize,
}

impl Found {
    /// Of a normalised query without a window.
    pub(super) fn new(mut query: Query) -> Result<Self> {
        let filter = query.filter_by().map(Filter::compiled).transpose()?;
        let after = query.after_token().map(|token| Position::of_token(token, &query)).transpose()?;
        let fields = core::mem::take(&mut query.fields);
        let looks = 1 + filter.as_ref().map_or(0, CompiledFilter::looks) + query.order().len();
        Ok(Self { order: SortOrder::of(&query), query, filter, fields, after, looks })
    }

    /// The row of a document, if it is one.
    pub(super) fn read(&self, reader: &mut &Snapshot, table: u64, key: &[u8]) -> Result<Option<LiveRow>> {
        let now_ms = Reader::now_ms(reader);
        let row = reader.with(table, key, |bytes| {
            let Some(stored) = run::found(bytes, now_ms, self.filter.as_ref())? else { return Ok(None) };
            let row = Row { key: key.to_vec(), document: stored.document.to_vec() };
            self.row(row, stored.expires_ms).map(Some)
        })?;
        Ok(row.flatten().filter(|row| self.after.as_ref().is_none_or(|after| row.position > *after)))
    }

    pub(super) fn row(&self, row: Row, expires_ms: Option<u64>) -> Result<LiveRow> {
        let position = Position::of_row(&row, &self.order, &self.query)?;
        let document = match self.fields.as_slice() {
            [] => row.document,
            fields => cbor::project(&row.document, fields)?,
        };
        Ok(LiveRow { position, document, expires_ms })
    }

    /// What it costs at most to ask [`may_be_row`](Self::may_be_row), in bytes gone through.
    pub(super) fn cost(&self, stored: &[u8]) -> usize {
        stored.len().saturating_mul(self.looks)
    }

    /// Whether what is stored under a key may be a row that is not behind `end`; in doubt it may. What the time says is left
    /// out: a document that is gone may be a row.
    pub(super) fn may_be_row(&self, key: &[u8], stored: &[u8], end: Option<&Position>) -> bool {
        self.is_row(key, stored, end).unwrap_or(true)
    }

    fn is_row(&self, key: &[u8], stored: &[u8], end: Option<&Position>) -> Result<bool> {
        let document = Stored::read(stored)?.document;
        if let Some(filter) = &self.filter
            && !filter.matches(document)?
        {
            return Ok(false);
        }
        if self.after.is_none() && end.is_none() {
            return Ok(true);
        }
        let position = Position::of_document(key, document, &self.order, &self.query)?;
        Ok(self.after.as_ref().is_none_or(|after| position > *after) && end.is_none_or(|end| position <= *end))
    }
}
