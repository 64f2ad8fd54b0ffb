//! Where a row stands in the order of a query: the encoded values of the order's paths, those of descending ones turned round
//! bit by bit, and then the document's key. Positions compare as bytes, in whatever way the rows were found.

use alloc::sync::Arc;
use alloc::vec::Vec;

use super::entries::NULL;
use super::plan::{Access, Plan, Sorting, Source};
use super::row::Row;
use super::spans::behind;
use crate::document::key;
use crate::document::query::{PageToken, Query, SortOrder};
use crate::error::{Error, Result};

/// Where a row stands.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Position {
    /// The parts of the order, and then the document's key.
    bytes: Vec<u8>,
    /// Bytes of the parts.
    parts: usize,
    /// The document's key as it is.
    record: Vec<u8>,
}

impl Position {
    pub(super) fn of_row(row: &Row, order: &SortOrder, query: &Query) -> Result<Self> {
        Self::of_document(&row.key, &row.document, order, query)
    }

    pub(super) fn of_document(key: &[u8], document: &[u8], order: &SortOrder, query: &Query) -> Result<Self> {
        Ok(Self::new(order.key(document, &[])?, key, query))
    }

    fn new(mut bytes: Vec<u8>, record: &[u8], query: &Query) -> Self {
        let (parts, turned) = (bytes.len(), query.keys_descend());
        bytes.extend(record.iter().map(|byte| if turned { !byte } else { *byte }));
        Self { bytes, parts, record: record.to_vec() }
    }

    /// Bytes of memory.
    pub(super) fn len(&self) -> usize {
        size_of::<Self>() + self.bytes.len() + self.record.len()
    }

    pub(super) fn record(&self) -> &[u8] {
        &self.record
    }

    /// Length of the parts (4 bytes, little-endian), the parts, the key.
    pub(super) fn token(&self, query: &Query) -> PageToken {
        let mut position = Vec::from((self.parts as u32).to_le_bytes());
        position.extend_from_slice(self.bytes.get(..self.parts).unwrap_or_default());
        position.extend_from_slice(&self.record);
        PageToken::new(query.fingerprint(), &position)
    }

    pub(super) fn of_token(token: &PageToken, query: &Query) -> Result<Self> {
        let position = token.position(query.fingerprint())?;
        let read = position.split_first_chunk().and_then(|(len, rest)| {
            let len = usize::try_from(u32::from_le_bytes(*len)).ok()?;
            Some((rest.get(..len)?, rest.get(len..)?))
        });
        let (parts, record) =
            read.ok_or_else(|| Error::invalid("the page token is malformed; begin with the first page"))?;
        Ok(Self::new(parts.to_vec(), record, query))
    }

    /// Cuts off what a plan would read before this position. What stays is looked at row by row.
    pub(super) fn clip(&self, plan: &mut Plan, query: &Query) {
        let (backwards, is_read_in_order) = match plan.sorting {
            Sorting::AsRead { backwards } => (backwards, true),
            Sorting::Keys { backwards } => (backwards, false),
            Sorting::Rows => return,
        };
        let (spans, at) = match &mut plan.access {
            Access::Documents(spans) => (spans, self.record.clone()),
            Access::Index(source) if is_read_in_order => match self.entry(source, query) {
                Some(entry) => (&mut Arc::make_mut(source).spans, entry),
                None => return,
            },
            Access::Index(source) => return self.clip_by_record(Arc::make_mut(source), backwards),
            Access::All(sources) | Access::Any(sources) => {
                sources.iter_mut().for_each(|source| self.clip_by_record(Arc::make_mut(source), backwards));
                return;
            }
            Access::Nothing => return,
        };
        for span in spans.iter_mut() {
            if backwards {
                if span.to.as_ref().is_none_or(|to| *to > at) {
                    span.to = Some(at.clone());
                }
            } else if span.from <= at {
                span.from.clone_from(&at);
                span.from.push(0);
            }
        }
        spans.retain(|span| !span.is_empty());
    }

    /// Where keys are gathered to be sorted: entries alike in all parts are in the order of their documents' keys, so what a span
    /// of such entries has before this position is cut off. What other spans have is looked at key by key.
    fn clip_by_record(&self, source: &mut Source, backwards: bool) {
        // Else the key of a document is not what follows the parts.
        if source.index.unique {
            return;
        }
        for span in &mut source.spans {
            let parts = source.index.paths.iter().try_fold(span.from.as_slice(), |rest, _| key::skip(rest));
            if parts != Ok(&[]) || span.to != Some(behind(&span.from)) {
                continue;
            }
            let at = [span.from.as_slice(), &self.record].concat();
            if backwards {
                span.to = Some(at);
            } else {
                span.from = at;
                span.from.push(0);
            }
        }
    }

    /// The entry of this position in an index that has the order of the query: its parts are those of the order, but for the
    /// first ones, which all entries of the span have.
    fn entry(&self, source: &Source, query: &Query) -> Option<Vec<u8>> {
        let parts = self.parts(query)?;
        let (mut entry, mut has_null) = (Vec::new(), false);
        let mut fixed = source.spans.first()?.from.as_slice();
        for path in &source.index.paths {
            let behind = key::skip(fixed).ok();
            let part = match query.order().iter().position(|order| order.path == *path) {
                Some(at) => parts.get(at)?.as_slice(),
                None => fixed.get(..fixed.len() - behind?.len())?,
            };
            fixed = behind.unwrap_or_default();
            has_null |= part == NULL;
            entry.extend_from_slice(part);
        }
        if !source.index.unique || has_null {
            entry.extend_from_slice(&self.record);
        }
        Some(entry)
    }

    /// The parts as keys; `None` if one is of a value that is no key.
    fn parts(&self, query: &Query) -> Option<Vec<Vec<u8>>> {
        let mut rest = self.bytes.get(..self.parts)?.to_vec();
        let mut parts = Vec::new();
        for order in query.order() {
            let turn = |bytes: &mut Vec<u8>| bytes.iter_mut().for_each(|byte| *byte = !*byte);
            if order.descending {
                turn(&mut rest);
            }
            let len = rest.len() - key::skip(&rest).ok()?.len();
            let mut behind = rest.split_off(len);
            if order.descending {
                turn(&mut behind);
            }
            parts.push(core::mem::replace(&mut rest, behind));
        }
        Some(parts)
    }
}
