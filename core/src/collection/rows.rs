//! Reading a collection at one moment.

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::marker::PhantomData;

use super::definition::Definition;
use super::document::Document;
use super::entries::{encode_part, record_key};
use super::plan::Sorting;
use super::read::{Reader, Reads};
use super::run::{self, Run};
use super::stored::Stored;
use crate::db::Snapshot;
use crate::document::query::{PageToken, Query, field};
use crate::document::{Path, Value, cbor, key};
use crate::error::{Error, Result};
use crate::table::KeyBuffer;

/// A collection as one snapshot sees it.
pub struct ReadCollection<T> {
    pub(super) snapshot: Snapshot,
    pub(super) definition: Arc<Definition>,
    types: PhantomData<fn() -> T>,
}

impl<T: Document> ReadCollection<T> {
    pub(super) fn new(snapshot: Snapshot, definition: Arc<Definition>) -> Self {
        Self { snapshot, definition, types: PhantomData }
    }

    /// The document of a key.
    pub fn get(&self, key: impl Into<Value>) -> Result<Option<T>> {
        self.get_cbor(key)?.map(|cbor| T::from_cbor(&cbor)).transpose()
    }

    /// The document of a key, as CBOR.
    pub fn get_cbor(&self, key: impl Into<Value>) -> Result<Option<Vec<u8>>> {
        (&self.snapshot).document(self.definition.id, &record_key(&key.into())?)
    }

    /// The document that has these values in a unique index, one for each of its paths.
    pub fn get_by<V: Into<Value>>(&self, index: &str, values: impl IntoIterator<Item = V>) -> Result<Option<T>> {
        self.get_cbor_by(index, values)?.map(|cbor| T::from_cbor(&cbor)).transpose()
    }

    /// The document that has these values in a unique index, as CBOR.
    pub fn get_cbor_by<V: Into<Value>>(
        &self,
        index: &str,
        values: impl IntoIterator<Item = V>,
    ) -> Result<Option<Vec<u8>>> {
        let values: Vec<Value> = values.into_iter().map(Into::into).collect();
        get_by(&mut &self.snapshot, &self.definition, index, &values)
    }

    /// The documents of many keys, in their order.
    pub fn get_many<K: Into<Value>>(&self, keys: impl IntoIterator<Item = K>) -> Result<Vec<Option<T>>> {
        let mut documents = Vec::new();
        self.each_cbor(keys, |cbor| {
            documents.push(cbor.map(T::from_cbor).transpose()?);
            Ok(())
        })?;
        Ok(documents)
    }

    /// Gives `see` the document of each key in their order, as CBOR where the database holds it; `see` must not read from the database.
    ///
    /// Quicker than as many single gets: several are fetched from memory at once.
    pub fn each_cbor<K: Into<Value>>(
        &self,
        keys: impl IntoIterator<Item = K>,
        mut see: impl FnMut(Option<&[u8]>) -> Result<()>,
    ) -> Result<()> {
        let now_ms = self.snapshot.now_ms();
        let encode = |key: K, bytes: &mut KeyBuffer| key::encode(&key.into(), bytes);
        self.snapshot.look_ahead(self.definition.id, keys, encode, |record| {
            let mut is_there = false;
            self.snapshot.with_raw(record, |bytes| {
                let Some(stored) = Stored::present(bytes, now_ms)? else { return Ok(()) };
                is_there = true;
                see(Some(stored.document))
            })?;
            if is_there { Ok(()) } else { see(None) }
        })
    }

    /// The documents that a query finds.
    pub fn query(&self, query: Query) -> Result<Rows<T>> {
        let run = Run::new(&mut &self.snapshot, Arc::clone(&self.definition), query)?;
        Ok(Rows { snapshot: self.snapshot.clone(), run, is_over: false, types: PhantomData })
    }

    /// How many documents a query finds. Where an index has the answer, it costs a few steps whatever the number.
    pub fn count(&self, query: Query) -> Result<u64> {
        run::count(&mut &self.snapshot, &self.definition, query)
    }

    /// The lowest value under a path among the documents that a query finds; missing and null do not count. Of a document with
    /// several values there it is the lowest, by which it is ordered.
    pub fn min(&self, path: &str, query: Query) -> Result<Option<Value>> {
        extreme(&mut &self.snapshot, &self.definition, path, query, false)
    }

    /// The highest value under a path among the documents that a query finds, as [`min`](Self::min) takes them.
    pub fn max(&self, path: &str, query: Query) -> Result<Option<Value>> {
        extreme(&mut &self.snapshot, &self.definition, path, query, true)
    }

    /// Answers a query and tells how.
    pub fn explain(&self, query: Query) -> Result<Explanation> {
        let mut rows = self.query(query)?;
        while rows.advance()? {}
        rows.explain()
    }
}

/// The document that has these values in a unique index, as CBOR.
pub(super) fn get_by(
    reader: &mut dyn Reader,
    definition: &Definition,
    index: &str,
    values: &[Value],
) -> Result<Option<Vec<u8>>> {
    let Some(unique) = definition.index(index).filter(|index| index.unique && index.ready) else {
        let name = &definition.name;
        return Err(Error::invalid(alloc::format!("collection '{name}' has no unique index '{index}' to look up")));
    };
    if values.len() != unique.paths.len() {
        let (paths, count) = (unique.paths.len(), values.len());
        return Err(Error::invalid(alloc::format!("index '{index}' has {paths} paths, and {count} values were given")));
    }
    let mut entry = KeyBuffer::new();
    values.iter().try_for_each(|value| encode_part(value, unique, &mut entry))?;
    match reader.with(unique.id, &entry, |record| Ok(record.to_vec()))? {
        Some(record) => reader.document(definition.id, &record),
        None => Ok(None),
    }
}

/// The lowest or highest value under a path, as [`ReadCollection::min`] says.
pub(super) fn extreme(
    reader: &mut dyn Reader,
    definition: &Arc<Definition>,
    path: &str,
    query: Query,
    highest: bool,
) -> Result<Option<Value>> {
    let mut query = query.filter(field(path).exists());
    query.order.clear();
    query.reverse = false;
    query.fields.clear();
    let query = if highest { query.order_by(path).descending() } else { query.order_by(path) };
    let path = Path::parse(path)?;
    // What is no key is neither high nor low, and comes first where the highest does; null beside other values in an array
    // comes first where the lowest does: then there is a second look.
    for limit in [Some(1), None] {
        let query = Query { limit, ..query.clone() };
        let mut run = Run::new(reader, Arc::clone(definition), query)?;
        let mut is_any = false;
        while run.advance(reader)? {
            is_any = true;
            if let Some(value) = least(&run.row().document, &path)? {
                return Ok(Some(value));
            }
        }
        if !is_any {
            break;
        }
    }
    Ok(None)
}

/// The value that a document is ordered by; `None` if there is none that is a key.
fn least(document: &[u8], path: &Path) -> Result<Option<Value>> {
    let mut least: Option<(KeyBuffer, &[u8])> = None;
    let found = cbor::lookup(document, path)?;
    for item in found.items() {
        let mut key = KeyBuffer::new();
        let is_key = cbor::encode_key_of(item, &mut key).is_ok();
        if is_key && least.as_ref().is_none_or(|(least, _)| *key < **least) {
            least = Some((key, item));
        }
    }
    let value = least.map(|(_, item)| cbor::decode(item)).transpose()?;
    Ok(value.filter(|value| *value != Value::Null))
}

impl<T> fmt::Debug for ReadCollection<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReadCollection")
            .field("name", &self.definition.name)
            .field("sequence", &self.snapshot.sequence())
            .finish_non_exhaustive()
    }
}

/// What a query finds, one document after the other, each read when it is asked for. Holds a snapshot: drop it when done.
///
/// Where bytes must be fetched first the item is that error, and the next call goes on.
pub struct Rows<T> {
    snapshot: Snapshot,
    run: Run,
    is_over: bool,
    types: PhantomData<fn() -> T>,
}

impl<T: Document> Rows<T> {
    /// The next document, as CBOR.
    pub fn next_cbor(&mut self) -> Result<Option<Vec<u8>>> {
        if self.advance()? { Ok(Some(self.run.document()?.into_owned())) } else { Ok(None) }
    }

    /// Gives `read` the next document, as CBOR, where it lies.
    pub fn next_cbor_with<R>(&mut self, read: impl FnOnce(&[u8]) -> R) -> Result<Option<R>> {
        if self.advance()? { Ok(Some(read(&self.run.document()?))) } else { Ok(None) }
    }

    fn advance(&mut self) -> Result<bool> {
        self.run.advance(&mut &self.snapshot)
    }

    /// Where the documents given so far of a query with a limit end: give it to [`Query::after`] for those that follow. `None`
    /// before the first.
    pub fn page_token(&self) -> Option<PageToken> {
        self.run.token()
    }

    /// How the query is answered, and what was read for the documents given so far.
    pub fn explain(&self) -> Result<Explanation> {
        let (plan, work) = (&self.run.plan, self.run.work);
        Ok(Explanation {
            plan: plan.describe(self.run.definition()),
            index: plan.index(),
            is_sorted: plan.sorting == Sorting::Rows,
            looks_at_documents: plan.filtered,
            estimated_rows: run::estimated_rows(&self.run, &mut &self.snapshot)?,
            rows: work.rows,
            entries_read: work.entries,
            documents_read: work.documents,
        })
    }
}

impl<T: Document> Iterator for Rows<T> {
    type Item = Result<T>;

    fn next(&mut self) -> Option<Result<T>> {
        if self.is_over {
            return None;
        }
        match self.advance() {
            Ok(false) => {
                self.is_over = true;
                None
            }
            Ok(true) => Some(self.run.document().and_then(|document| T::from_cbor(&document))),
            Err(error) => {
                self.is_over = !error.passes();
                Some(Err(error))
            }
        }
    }
}

impl<T> fmt::Debug for Rows<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rows").field("sequence", &self.snapshot.sequence()).finish_non_exhaustive()
    }
}

/// How a query is answered.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Explanation {
    /// In words.
    pub plan: String,
    /// The index that is read, if it is one.
    pub index: Option<String>,
    /// Rows are gathered and sorted, because nothing that is read has their order.
    pub is_sorted: bool,
    /// Each document that is read is asked whether it is found.
    pub looks_at_documents: bool,
    /// About how many documents there would be without a limit.
    pub estimated_rows: u64,
    /// Documents given.
    pub rows: u64,
    /// Entries of indexes read for them.
    pub entries_read: u64,
    /// Documents read for them.
    pub documents_read: u64,
}
