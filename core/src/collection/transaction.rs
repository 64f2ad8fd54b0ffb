//! A collection inside a transaction.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::marker::PhantomData;

use super::definition::Definition;
use super::document::Document;
use super::entries::record_key;
use super::row::Row;
use super::rows;
use super::run::{self, Run};
use super::write::{Expiry, Mode, Writer, record_key_of};
use crate::db::WriteTransaction;
use crate::document::query::{Query, Update};
use crate::document::{Value, cbor};
use crate::error::{Error, Result};

/// A collection inside a transaction: sees the transaction's own changes.
pub struct WriteCollection<'t, T> {
    writer: Writer<'t>,
    types: PhantomData<fn() -> T>,
}

impl<'t, T: Document> WriteCollection<'t, T> {
    pub(super) fn new(tx: &'t mut WriteTransaction, definition: Arc<Definition>) -> Self {
        Self { writer: Writer::new(tx, definition), types: PhantomData }
    }

    /// Writes a document, whatever was under its key.
    pub fn put(&mut self, document: &T) -> Result<()> {
        self.put_expiring(document, Expiry::Default)
    }

    /// Writes a document that goes by itself.
    pub fn put_expiring(&mut self, document: &T, expiry: Expiry) -> Result<()> {
        self.writer.put_keyed(&document.to_cbor()?, Mode::Put, expiry).map(drop)
    }

    /// Writes a document that is CBOR already.
    pub fn put_cbor(&mut self, document: &[u8]) -> Result<()> {
        self.put_cbor_expiring(document, Expiry::Default).map(drop)
    }

    /// Writes a document that is CBOR already and goes by itself. Gives the key, where it was [made](crate::Schema::auto_key).
    pub fn put_cbor_expiring(&mut self, document: &[u8], expiry: Expiry) -> Result<Option<Value>> {
        self.writer.put_keyed(document, Mode::Put, expiry)
    }

    /// Writes a new document that is CBOR already. Gives the key, where it was [made](crate::Schema::auto_key).
    pub fn add_cbor(&mut self, document: &[u8]) -> Result<Option<Value>> {
        self.writer.put_keyed(document, Mode::Insert, Expiry::Default)
    }

    /// Writes a new document, and gives the key, where it was [made](crate::Schema::auto_key).
    pub fn add(&mut self, document: &T) -> Result<Option<Value>> {
        self.add_cbor(&document.to_cbor()?)
    }

    /// Writes a new document; a key that exists is [`Error::Unexpected`].
    pub fn insert(&mut self, document: &T) -> Result<()> {
        self.add(document).map(drop)
    }

    /// Writes over a document; a key that is missing is [`Error::Unexpected`].
    pub fn replace(&mut self, document: &T) -> Result<()> {
        self.writer.put_keyed(&document.to_cbor()?, Mode::Replace, Expiry::Default).map(drop)
    }

    /// Deletes a document; tells whether it was there.
    pub fn delete(&mut self, key: impl Into<Value>) -> Result<bool> {
        self.writer.delete(&record_key(&key.into())?)
    }

    /// The document of a key.
    pub fn get(&mut self, key: impl Into<Value>) -> Result<Option<T>> {
        self.get_cbor(key)?.map(|cbor| T::from_cbor(&cbor)).transpose()
    }

    /// The document of a key, as CBOR.
    pub fn get_cbor(&mut self, key: impl Into<Value>) -> Result<Option<Vec<u8>>> {
        self.writer.get(&record_key(&key.into())?)
    }

    /// Gives `see` the document of each key in their order, as CBOR.
    pub fn each_cbor<K: Into<Value>>(
        &mut self,
        keys: impl IntoIterator<Item = K>,
        mut see: impl FnMut(Option<&[u8]>) -> Result<()>,
    ) -> Result<()> {
        keys.into_iter().try_for_each(|key| see(self.get_cbor(key)?.as_deref()))
    }

    /// Changes fields of a document; false when there is none.
    pub fn update(&mut self, key: impl Into<Value>, changes: &Update) -> Result<bool> {
        let record = record_key(&key.into())?;
        let Some(document) = self.writer.get(&record)? else { return Ok(false) };
        self.change(&Row { key: record.to_vec(), document }, changes)?;
        Ok(true)
    }

    /// Writes `new` if the document under its key is `expected` (`None`: there is none); tells whether it was.
    pub fn compare_and_swap(&mut self, expected: Option<&T>, new: &T) -> Result<bool> {
        let new = new.to_cbor()?;
        let record = record_key_of(&self.writer.definition, &new)?;
        // At read committed, too, it must be at the commit what it was seen to be.
        self.writer.tx.constrain_row(self.writer.definition.id, &record)?;
        let found = self.writer.get(&record)?.map(|found| cbor::decode(&found)).transpose()?;
        let expected = expected.map(|expected| cbor::decode(&expected.to_cbor()?)).transpose()?;
        if found != expected {
            return Ok(false);
        }
        self.writer.put_keyed(&new, Mode::Put, Expiry::Default)?;
        Ok(true)
    }

    /// The documents that a query finds.
    pub fn query(&mut self, query: Query) -> Result<Vec<T>> {
        self.rows(query)?.iter().map(|row| T::from_cbor(&row.document)).collect()
    }

    /// How many documents a query finds.
    pub fn count(&mut self, query: Query) -> Result<u64> {
        self.as_one_read(|mut reader, definition| run::count(&mut reader, &definition, query))
    }

    /// The document that has these values in a unique index, one for each of its paths.
    pub fn get_by<V: Into<Value>>(&mut self, index: &str, values: impl IntoIterator<Item = V>) -> Result<Option<T>> {
        self.get_cbor_by(index, values)?.map(|cbor| T::from_cbor(&cbor)).transpose()
    }

    /// The document that has these values in a unique index, as CBOR.
    pub fn get_cbor_by<V: Into<Value>>(
        &mut self,
        index: &str,
        values: impl IntoIterator<Item = V>,
    ) -> Result<Option<Vec<u8>>> {
        let values: Vec<Value> = values.into_iter().map(Into::into).collect();
        self.as_one_read(|mut reader, definition| rows::get_by(&mut reader, &definition, index, &values))
    }

    /// The lowest value under a path, as [`ReadCollection::min`](super::ReadCollection::min) takes it.
    pub fn min(&mut self, path: &str, query: Query) -> Result<Option<Value>> {
        self.as_one_read(|mut reader, definition| rows::extreme(&mut reader, &definition, path, query, false))
    }

    /// The highest value under a path.
    pub fn max(&mut self, path: &str, query: Query) -> Result<Option<Value>> {
        self.as_one_read(|mut reader, definition| rows::extreme(&mut reader, &definition, path, query, true))
    }

    /// Deletes every document that a query finds; gives how many.
    pub fn delete_where(&mut self, query: Query) -> Result<u64> {
        self.all_or_none(|documents| {
            let rows = documents.rows(whole_documents(query))?;
            for row in &rows {
                documents.writer.delete(&row.key)?;
            }
            Ok(rows.len() as u64)
        })
    }

    /// Changes fields of every document that a query finds; gives how many.
    pub fn update_where(&mut self, query: Query, changes: &Update) -> Result<u64> {
        self.all_or_none(|documents| {
            let rows = documents.rows(whole_documents(query))?;
            for row in &rows {
                documents.change(row, changes)?;
            }
            Ok(rows.len() as u64)
        })
    }

    /// What fails is undone, so that it can be tried again, or left.
    fn all_or_none<R>(&mut self, body: impl FnOnce(&mut Self) -> Result<R>) -> Result<R> {
        let before = self.writer.tx.savepoint();
        let result = body(self);
        if result.is_err() {
            self.writer.tx.rollback_to(&before);
        }
        result
    }

    fn rows(&mut self, query: Query) -> Result<Vec<Row>> {
        self.as_one_read(|mut reader, definition| {
            let mut run = Run::new(&mut reader, definition, query)?;
            let mut rows = Vec::new();
            while let Some(row) = run.next(&mut reader)? {
                rows.push(row);
            }
            Ok(rows)
        })
    }

    /// Entries and documents of one state. At read committed that may be one in which the collection has other indexes than it
    /// had when it was opened: then they say nothing.
    fn as_one_read<R>(&mut self, read: impl FnOnce(&mut WriteTransaction, Arc<Definition>) -> Result<R>) -> Result<R> {
        let definition = Arc::clone(&self.writer.definition);
        self.writer.tx.as_one_read(|tx| {
            if tx.moves_on() {
                let name = &definition.name;
                let entry = tx.definition(name)?;
                let now = entry.map(|entry| Definition::of(name, &entry)).transpose()?;
                if now.as_ref() != Some(&*definition) {
                    return Err(Error::Conflict { what: alloc::format!("the schema of collection '{name}'") });
                }
            }
            read(tx, definition)
        })
    }

    fn change(&mut self, row: &Row, changes: &Update) -> Result<()> {
        let mut document = cbor::decode(&row.document)?;
        changes.apply(&mut document).map_err(|error| self.writer.wrong_change(&row.key, &error))?;
        self.rewrite(&row.key, &document)
    }

    /// Writes a changed document over the one it was made of, under the same key.
    pub(super) fn rewrite(&mut self, record: &[u8], document: &Value) -> Result<()> {
        let changed = cbor::encode(document)?;
        if *record_key_of(&self.writer.definition, &changed)? != *record {
            let what = Error::invalid("the change would give the document another key; delete it and put another");
            return Err(self.writer.wrong_change(record, &what));
        }
        self.writer.put_at(record, &changed, Mode::Put, Expiry::Kept)
    }

    pub(super) fn transaction(&mut self) -> &mut WriteTransaction {
        self.writer.tx
    }

    pub(super) fn definition(&self) -> &Definition {
        &self.writer.definition
    }
}

/// What is changed is the whole document, whatever fields were asked for.
fn whole_documents(mut query: Query) -> Query {
    query.fields.clear();
    query
}

impl<T> fmt::Debug for WriteCollection<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WriteCollection").field("name", &self.writer.definition.name).finish_non_exhaustive()
    }
}
