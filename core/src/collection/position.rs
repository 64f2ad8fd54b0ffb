//! Where a row stands in the order of a query: the encoded values of the order's paths, those of descending ones turned round
//! bit by bit, and then the document's key. Positions compare as bytes, in whatever way the rows were found.

use alloc::vec::Vec;

use super::definition::Definition;
use super::plan::{Access, Plan, Sorting};
use super::run::Row;
use crate::document::key;
use crate::document::query::{PageToken, Query, sort_key};
use crate::error::{Error, Result};

/// Where a row stands.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Position {
    /// The parts of the order, and then the document's key.
    bytes: Vec<u8>,
    /// Bytes of the parts.
    parts: usize,
    turned: bool,
    /// The document's key as it is.
    record: Vec<u8>,
}

impl Position {
    pub(super) fn of_row(row: &Row, query: &Query) -> Result<Self> {
        let mut bytes = Vec::new();
        sort_key(&row.document, query.order(), &mut bytes)?;
        Ok(Self::new(bytes, &row.key, query))
    }

    fn new(mut bytes: Vec<u8>, record: &[u8], query: &Query) -> Self {
        let (parts, turned) = (bytes.len(), query.keys_descend());
        bytes.extend(record.iter().map(|byte| if turned { !byte } else { *byte }));
        Self { bytes, parts, turned, record: record.to_vec() }
    }

    pub(super) fn len(&self) -> usize {
        self.bytes.len() + self.record.len()
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
        let (parts, record) = read.ok_or_else(|| Error::invalid("the page token is malformed; begin with the first page"))?;
        Ok(Self::new(parts.to_vec(), record, query))
    }

    /// Cuts off what a plan would read before this position. What stays is looked at row by row.
    pub(super) fn clip(&self, plan: &mut Plan, definition: &Definition, query: &Query) -> Result<()> {
        let Sorting::AsRead { backwards } = plan.sorting else { return Ok(()) };
        let (spans, at) = match &mut plan.access {
            Access::Documents(spans) => (spans, self.record.clone()),
            Access::Index(source) => {
                let Some(first) = source.spans.first() else { return Ok(()) };
                // An entry's parts: those of the order, and before them those that all entries of the span have.
                let mut parts: &[u8] = self.bytes.get(..self.parts).unwrap_or_default();
                let turned: Vec<u8>;
                if backwards {
                    turned = parts.iter().map(|byte| !byte).collect();
                    parts = &turned;
                }
                let (mut entry, mut fixed, mut has_null) = (Vec::new(), first.from.as_slice(), false);
                let order = query.order();
                for path in &source.index.paths {
                    let part = if order.iter().any(|order| order.path == *path) {
                        let mut rest = parts;
                        for _ in order.iter().take_while(|order| order.path != *path) {
                            rest = key::skip(rest)?;
                        }
                        let behind = key::skip(rest)?;
                        rest.get(..rest.len() - behind.len()).unwrap_or_default()
                    } else {
                        let Ok(behind) = key::skip(fixed) else { return Ok(()) };
                        fixed.get(..fixed.len() - behind.len()).unwrap_or_default()
                    };
                    if let Ok(behind) = key::skip(fixed) {
                        fixed = behind;
                    }
                    has_null |= part == super::entries::NULL;
                    entry.extend_from_slice(part);
                }
                if !source.index.unique || has_null {
                    entry.extend_from_slice(&self.record);
                }
                (&mut source.spans, entry)
            }
            _ => return Ok(()),
        };
        let _ = definition;
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
        Ok(())
    }
}
