//! A document that was found, with its key.

use alloc::vec::Vec;

/// A document that was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Row {
    /// Its encoded key.
    pub key: Vec<u8>,
    /// Its CBOR.
    pub document: Vec<u8>,
}

impl Row {
    /// Becomes another row; its memory is used again.
    pub(super) fn set(&mut self, key: &[u8], document: &[u8]) {
        self.set_key(key);
        self.set_document(document);
    }

    pub(super) fn set_document(&mut self, document: &[u8]) {
        self.document.clear();
        self.document.extend_from_slice(document);
    }

    pub(super) fn set_key(&mut self, key: &[u8]) {
        self.key.clear();
        self.key.extend_from_slice(key);
    }
}
