//! What a change feed gives of collections.

use super::document::Document;
use super::stored::Stored;
use crate::db::ChangedValue;
use crate::error::Result;

/// A document as a commit wrote it.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct ChangedDocument<T> {
    /// The document.
    pub document: T,
    /// When it goes by itself, in milliseconds since 1970.
    pub expires_ms: Option<u64>,
}

impl ChangedValue<'_> {
    /// The document, where the table is a collection; [`Value::decode_key`](crate::Value::decode_key) reads its key. `None` where
    /// [`read`](Self::read) gives none.
    pub fn read_document<T: Document>(&self) -> Result<Option<ChangedDocument<T>>> {
        let Some(bytes) = self.read()? else { return Ok(None) };
        let stored = Stored::read(&bytes)?;
        Ok(Some(ChangedDocument { document: T::from_cbor(stored.document)?, expires_ms: stored.expires_ms }))
    }
}
