//! Writing documents, and their entries in the indexes with them.

use alloc::boxed::Box;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::definition::{Definition, IndexDefinition};
use super::entries::{Entry, NULL_ITEM, Subject, entries, shown};
use super::stored::Stored;
use crate::db::{KEY_BYTES_MAX, WriteTransaction};
use crate::document::{Path, cbor};
use crate::error::{DuplicateKey, Error, InvalidDocument, Result};
use crate::table::KeyBuffer;
use crate::testing::Mutant;

/// What must be so before a document is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Anything.
    Put,
    /// There is no document of its key.
    Insert,
    /// There is one.
    Replace,
}

/// When a document goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Expiry {
    /// As the collection's schema says.
    #[default]
    Default,
    /// It stays.
    Never,
    /// At this time, in milliseconds since 1970.
    At(u64),
    /// When the document that is written over goes.
    Kept,
}

/// Writes to one collection in a transaction.
pub(crate) struct Writer<'t> {
    pub tx: &'t mut WriteTransaction,
    pub definition: Arc<Definition>,
}

impl<'t> Writer<'t> {
    pub(crate) fn new(tx: &'t mut WriteTransaction, definition: impl Into<Arc<Definition>>) -> Self {
        Self { tx, definition: definition.into() }
    }

    /// Writes a document. Gives its encoded key.
    pub(crate) fn put(&mut self, document: &[u8], mode: Mode, expiry: Expiry) -> Result<KeyBuffer> {
        let record = record_key_of(&self.definition, document)?;
        self.put_at(&record, document, mode, expiry)?;
        Ok(record)
    }

    /// Writes a document that was looked at already and has this key.
    pub(super) fn put_at(&mut self, record: &[u8], document: &[u8], mode: Mode, expiry: Expiry) -> Result<()> {
        let definition = Arc::clone(&self.definition);
        let now_ms = self.tx.now_ms();
        let (is_asked_for, is_indexed) = (mode != Mode::Put, !definition.indexes.is_empty());
        let old = if is_asked_for || is_indexed || expiry == Expiry::Kept { self.read(record)? } else { None };
        let old = old.as_deref().map(Stored::read).transpose()?;
        let expires_ms = match expiry {
            Expiry::Default => definition.expires_after_ms.map(|after| now_ms.saturating_add(after)),
            Expiry::Never => None,
            Expiry::At(at) => Some(at),
            Expiry::Kept => old.and_then(|old| old.expires_ms),
        };
        let there = old.is_some_and(|old| !old.is_expired(now_ms));
        match mode {
            Mode::Insert if there => return Err(unexpected("the document exists already", record)),
            Mode::Replace if !there => return Err(unexpected("there is no such document to replace", record)),
            _ => {}
        }
        if is_indexed {
            self.reindex(record, old.map(|old| old.document), Some(document))?;
        }
        let mut bytes = Vec::with_capacity(document.len() + 9);
        Stored { expires_ms, document }.write(&mut bytes);
        let put = self.put_stored(record, &bytes, expires_ms);
        self.whole_or_broken_off(put)
    }

    fn put_stored(&mut self, record: &[u8], stored: &[u8], expires_ms: Option<u64>) -> Result<()> {
        self.tx.bytes_table(self.definition.id).put(record, stored)?;
        if let Some(at) = expires_ms {
            #[cfg(feature = "std")]
            self.tx.wake_at(super::expiry::with_neighbours(at), super::expiry::sweep);
            self.tx.bytes_table(self.definition.expiry_id).put(&*expiry_key(at, record), b"")?;
        }
        Ok(())
    }

    /// What fails with entries changed already can only be undone, but where bytes have to be fetched and the call is made again.
    fn whole_or_broken_off<R>(&mut self, written: Result<R>) -> Result<R> {
        if let Err(error) = &written
            && error.not_resident().is_none()
        {
            self.tx.break_off(error);
        }
        written
    }

    /// Deletes a document; tells whether it was there.
    pub(crate) fn delete(&mut self, record: &[u8]) -> Result<bool> {
        let now_ms = self.tx.now_ms();
        let Some(old) = self.read(record)? else { return Ok(false) };
        let old = Stored::read(&old)?;
        // The record is the last to go, so that the same call can be made again where bytes had to be fetched.
        if let Some(at) = old.expires_ms {
            self.tx.bytes_table(self.definition.expiry_id).delete(&*expiry_key(at, record))?;
        }
        self.reindex(record, Some(old.document), None)?;
        let deleted = self.tx.bytes_table(self.definition.id).delete(record);
        self.whole_or_broken_off(deleted)?;
        Ok(!old.is_expired(now_ms))
    }

    /// The stored bytes under a key, gone or not. What is written because of them needs them to be so at the commit.
    fn read(&mut self, record: &[u8]) -> Result<Option<Vec<u8>>> {
        self.tx.constrain_row(self.definition.id, record)?;
        Ok(self.tx.bytes_table(self.definition.id).get(record)?.map(|found| found.to_vec()))
    }

    /// The error for a change that a document cannot have.
    pub(super) fn wrong_change(&self, record: &[u8], error: &Error) -> Error {
        Error::InvalidDocument(Box::new(InvalidDocument {
            collection: self.definition.name.clone(),
            field: String::new(),
            key: shown(record),
            what: error.to_string(),
        }))
    }

    /// A document that is not gone.
    pub(crate) fn get(&mut self, record: &[u8]) -> Result<Option<Vec<u8>>> {
        let now_ms = self.tx.now_ms();
        let mut table = self.tx.bytes_table(self.definition.id);
        let Some(found) = table.get(record)? else { return Ok(None) };
        Ok(Stored::present(&found, now_ms)?.map(|stored| stored.document.to_vec()))
    }

    /// Takes the entries of the old document away and brings those of the new, or is refused before anything is changed:
    /// whoever goes on after an error, and commits, has whole indexes.
    fn reindex(&mut self, record: &[u8], old: Option<&[u8]>, new: Option<&[u8]>) -> Result<()> {
        let definition = Arc::clone(&self.definition);
        let (mut changes, mut in_the_way) = (Vec::new(), Vec::new());
        for index in &definition.indexes {
            if let (Some(old), Some(new)) = (old, new)
                && index.ready
                && alike_under(&index.paths, old, new)?
            {
                continue;
            }
            let of = |document: Option<&[u8]>| match document {
                Some(document) => entries(&Subject { collection: &definition.name, key: record, document }, index),
                None => Ok(Vec::new()),
            };
            let old = match of(old) {
                // It was there before the index, and cannot be in it.
                Err(_) if !index.ready => Vec::new(),
                old => old?,
            };
            let is_left_out = Mutant::IndexNotUpdated.is_active() && !old.is_empty() && new.is_some()
                || Mutant::EntryKeptOnDelete.is_active() && new.is_none()
                || Mutant::UnreadyIndexNotKept.is_active() && !index.ready;
            let new = of(new)?;
            if old == new || is_left_out {
                continue;
            }
            for entry in new.iter().filter(|entry| entry.alone && old.binary_search(entry).is_err()) {
                in_the_way.extend(self.in_the_way(index, record, entry)?);
            }
            changes.push((index, old, new));
            if Mutant::RefusedWriteKept.is_active() {
                self.change_entries(record, &changes, &in_the_way)?;
            }
        }
        let changed = self.change_entries(record, &changes, &in_the_way);
        self.whole_or_broken_off(changed)
    }

    fn change_entries(
        &mut self,
        record: &[u8],
        changes: &[(&Arc<IndexDefinition>, Vec<Entry>, Vec<Entry>)],
        in_the_way: &[Vec<u8>],
    ) -> Result<()> {
        for other in in_the_way {
            self.delete(other)?;
        }
        for (index, old, new) in changes {
            for entry in old.iter().filter(|entry| new.binary_search(entry).is_err()) {
                // While the index is made, another document may have come in with what this one has.
                let is_its = index.ready || !entry.alone || {
                    let mut table = self.tx.bytes_table(index.id);
                    let found = table.get(&*entry.key)?;
                    found.is_some_and(|found| *found == *record)
                };
                if is_its {
                    self.tx.bytes_table(index.id).delete(&*entry.key)?;
                }
            }
            for entry in new.iter().filter(|entry| old.binary_search(entry).is_err()) {
                self.put_entry(index, record, entry)?;
            }
        }
        Ok(())
    }

    /// Brings an entry into an index. One that another document has is an error, unless that document is gone.
    pub(super) fn enter(&mut self, index: &IndexDefinition, record: &[u8], entry: &Entry) -> Result<()> {
        if entry.alone
            && let Some(other) = self.in_the_way(index, record, entry)?
        {
            self.delete(&other)?;
        }
        self.put_entry(index, record, entry)
    }

    fn put_entry(&mut self, index: &IndexDefinition, record: &[u8], entry: &Entry) -> Result<()> {
        self.tx.bytes_table(index.id).put(&*entry.key, entry.value(record)).map_err(|error| match error {
            // Not the limit of the transaction.
            Error::LimitExceeded { value, limit, .. } if limit == KEY_BYTES_MAX as u64 => {
                Error::LimitExceeded { what: "the length of an index entry in bytes", value, limit }
            }
            error => error,
        })
    }

    /// The document that has an entry and gives way, because it is gone; one that is not is an error.
    fn in_the_way(&mut self, index: &IndexDefinition, record: &[u8], entry: &Entry) -> Result<Option<Vec<u8>>> {
        self.tx.constrain_row(index.id, &entry.key)?;
        let found = self.tx.bytes_table(index.id).get(&*entry.key)?.map(|found| found.to_vec());
        let Some(other) = found.filter(|other| other != record && !Mutant::UniqueUnchecked.is_active()) else {
            return Ok(None);
        };
        let now_ms = self.tx.now_ms();
        let is_gone = match self.read(&other)? {
            Some(old) => Stored::read(&old)?.is_expired(now_ms),
            None => false,
        };
        if is_gone {
            return Ok(Some(other));
        }
        Err(Error::DuplicateKey(Box::new(DuplicateKey {
            collection: self.definition.name.clone(),
            index: index.name.clone(),
            value: shown(&entry.key),
            key: shown(&other),
        })))
    }
}

/// The encoded key of a document, which is looked at whole first.
pub(super) fn record_key_of(definition: &Definition, document: &[u8]) -> Result<KeyBuffer> {
    let wrong = |field: Option<&Path>, what: String| {
        Error::InvalidDocument(Box::new(InvalidDocument {
            collection: definition.name.clone(),
            field: field.map(Path::to_string).unwrap_or_default(),
            key: String::new(),
            what,
        }))
    };
    cbor::validate(document).map_err(|error| match error {
        error @ Error::LimitExceeded { .. } => error,
        error => wrong(None, error.to_string()),
    })?;
    let found = cbor::lookup(document, &definition.key)?;
    if found.crossed {
        return Err(wrong(Some(&definition.key), String::from("there is an array on the way to the document's key")));
    }
    let mut record = KeyBuffer::new();
    match found.single().filter(|item| *item != NULL_ITEM) {
        Some(item) => {
            cbor::encode_key_of(item, &mut record).map_err(|error| wrong(Some(&definition.key), error.to_string()))?
        }
        None => {
            let what = "it is missing, and it is the key of the documents";
            return Err(wrong(Some(&definition.key), String::from(what)));
        }
    }
    Ok(record)
}

/// Whether two documents have the same under every path, so that an index of these has the same entries of both.
fn alike_under(paths: &[Path], old: &[u8], new: &[u8]) -> Result<bool> {
    for path in paths {
        let (old, new) = (cbor::lookup(old, path)?, cbor::lookup(new, path)?);
        if old.crossed != new.crossed || !old.items().eq(new.items()) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Where it is said when a document goes.
pub(super) fn expiry_key(at_ms: u64, record: &[u8]) -> KeyBuffer {
    let mut key = KeyBuffer::new();
    key.extend(&at_ms.to_be_bytes());
    key.extend(record);
    key
}

fn unexpected(what: &'static str, record: &[u8]) -> Error {
    Error::Unexpected { what, key: shown(record) }
}
