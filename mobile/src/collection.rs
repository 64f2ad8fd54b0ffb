//! Collections of documents.

use std::sync::{Arc, Mutex};

use lightning_db::{Collection as CoreCollection, Database, Document, Expiry, Schema, Update, Value};

use crate::calls::read_query;
use crate::failure::Failure;
use crate::objects::{self, Object};
use crate::raw::Raw;
use crate::rows::Rows;
use crate::scope;
use crate::subscription::Live;

/// A collection. `scope` is 0, or the handle of a snapshot or transaction; keys, documents, queries and updates are CBOR.
#[derive(uniffi::Object)]
pub struct Collection {
    handle: u64,
}

/// How a query is answered.
#[derive(Clone, Debug, PartialEq, Eq, uniffi::Record)]
pub struct Explanation {
    /// In words.
    pub plan: String,
    /// The index that is read, if one is.
    pub index: Option<String>,
    /// Whether rows are gathered and sorted.
    pub is_sorted: bool,
    /// Whether documents are asked if they are found.
    pub looks_at_documents: bool,
    /// How many rows were expected.
    pub estimated_rows: u64,
    /// How many there are.
    pub rows: u64,
    /// Entries of indexes that were read.
    pub entries_read: u64,
    /// Documents that were read.
    pub documents_read: u64,
}

/// One page of a query with a limit.
#[derive(Clone, Debug, PartialEq, Eq, uniffi::Record)]
pub struct Page {
    /// Its documents, packed.
    pub rows: Vec<u8>,
    /// Where it ends; null where nothing was found.
    pub token: Option<Vec<u8>>,
}

/// When a document goes by itself.
#[derive(Clone, Debug, PartialEq, Eq, uniffi::Enum)]
pub enum Expires {
    /// As the schema says.
    Default,
    /// It does not.
    Never,
    /// As the document that is written over.
    Kept,
    /// At this time.
    At {
        /// In milliseconds since 1970.
        ms: u64,
    },
}

impl Collection {
    /// A collection of the database whose handle this is.
    pub(crate) fn new(database: u64, collection: Arc<CoreCollection<Raw>>) -> Result<Arc<Self>, Failure> {
        Ok(Arc::new(Self { handle: objects::insert_beside(database, Object::Collection(collection))? }))
    }

    pub(crate) fn open(database: u64, name: &str, schema: Option<&[u8]>) -> Result<Arc<Self>, Failure> {
        Self::new(database, Arc::new(Self::open_core(&objects::database(database)?, name, schema)?))
    }

    /// Opens the collection; it is made where there is a schema.
    pub(crate) fn open_core(
        database: &Database,
        name: &str,
        schema: Option<&[u8]>,
    ) -> lightning_db::Result<CoreCollection<Raw>> {
        match schema {
            Some(schema) => database.collection(name, Schema::from_value(&Value::from_cbor(schema)?)?),
            None => database.existing_collection(name),
        }
    }

    fn inner(&self) -> Result<Arc<CoreCollection<Raw>>, Failure> {
        Ok(objects::collection(self.handle)?)
    }
}

#[uniffi::export]
impl Collection {
    /// One more of a collection that is open, by the number of another.
    #[uniffi::constructor]
    pub fn of(number: u64) -> Result<Arc<Self>, Failure> {
        Self::new(number, objects::collection(number)?)
    }

    /// The number by which the other calls know it.
    pub fn number(&self) -> u64 {
        self.handle
    }

    /// Writes a document that goes by itself; gives its key where that was made.
    pub fn put_expiring(&self, scope: u64, document: Vec<u8>, expires: Expires) -> Result<Option<Vec<u8>>, Failure> {
        let collection = self.inner()?;
        let expiry = match expires {
            Expires::Default => Expiry::Default,
            Expires::Never => Expiry::Never,
            Expires::Kept => Expiry::Kept,
            Expires::At { ms } => Expiry::At(ms),
        };
        let made = scope::write(scope, collection.database(), |tx| {
            tx.collection(&collection)?.put_cbor_expiring(&document, expiry)
        })?;
        Ok(made.map(|key| key.to_cbor()).transpose()?)
    }

    /// Changes fields of a document; false when there is none.
    pub fn update(&self, scope: u64, key: Vec<u8>, changes: Vec<u8>) -> Result<bool, Failure> {
        let (key, changes) = (Value::from_cbor(&key)?, Update::from_cbor(&changes)?);
        let collection = self.inner()?;
        Ok(scope::write(scope, collection.database(), |tx| tx.collection(&collection)?.update(key, &changes))?)
    }

    /// Changes fields of every document that a query finds; gives how many.
    pub fn update_where(&self, scope: u64, query: Vec<u8>, changes: Vec<u8>) -> Result<u64, Failure> {
        let (query, changes) = (read_query(&query)?, Update::from_cbor(&changes)?);
        let collection = self.inner()?;
        Ok(scope::write(scope, collection.database(), |tx| tx.collection(&collection)?.update_where(query, &changes))?)
    }

    /// Deletes every document that a query finds; gives how many.
    pub fn delete_where(&self, scope: u64, query: Vec<u8>) -> Result<u64, Failure> {
        let query = read_query(&query)?;
        let collection = self.inner()?;
        Ok(scope::write(scope, collection.database(), |tx| tx.collection(&collection)?.delete_where(query))?)
    }

    /// Writes `document` if the one under its key is `expected`, or there is none where that is null; tells whether it was.
    pub fn compare_and_swap(&self, scope: u64, expected: Option<Vec<u8>>, document: Vec<u8>) -> Result<bool, Failure> {
        let collection = self.inner()?;
        let (expected, document) = (expected.map(Raw), Raw(document));
        Ok(scope::write(scope, collection.database(), |tx| {
            tx.collection(&collection)?.compare_and_swap(expected.as_ref(), &document)
        })?)
    }

    /// How many documents a query finds.
    pub fn count(&self, scope: u64, query: Vec<u8>) -> Result<u64, Failure> {
        let query = read_query(&query)?;
        Ok(scope::read(scope, &*self.inner()?, |documents| documents.count(query))?)
    }

    /// The lowest value under a path, as CBOR.
    pub fn min(&self, scope: u64, path: String, query: Vec<u8>) -> Result<Option<Vec<u8>>, Failure> {
        self.extreme(scope, &path, &query, false)
    }

    /// The highest value under a path, as CBOR.
    pub fn max(&self, scope: u64, path: String, query: Vec<u8>) -> Result<Option<Vec<u8>>, Failure> {
        self.extreme(scope, &path, &query, true)
    }

    /// Answers a query and tells how.
    pub fn explain(&self, scope: u64, query: Vec<u8>) -> Result<Explanation, Failure> {
        let query = read_query(&query)?;
        let collection = self.inner()?;
        let (reading, _entered) = scope::reading(scope, collection.database())?;
        let how = match reading {
            scope::Reading::Rest(snapshot) => snapshot.collection(&collection)?.explain(query)?,
            scope::Reading::Transaction(_) => {
                let what = "how a query is answered is asked of the database or of a snapshot, not of a transaction";
                return Err(objects::invalid(what).into());
            }
        };
        Ok(Explanation {
            plan: how.plan,
            index: how.index,
            is_sorted: how.is_sorted,
            looks_at_documents: how.looks_at_documents,
            estimated_rows: how.estimated_rows,
            rows: how.rows,
            entries_read: how.entries_read,
            documents_read: how.documents_read,
        })
    }

    /// One page of a query with a limit, and the token that goes into the next query's `after`.
    pub fn page(&self, scope: u64, query: Vec<u8>) -> Result<Page, Failure> {
        let mut rows: Rows = scope::read(scope, &*self.inner()?, |documents| documents.rows(read_query(&query)?))?;
        let mut packed = Vec::new();
        rows.next(usize::MAX, &mut packed)?;
        Ok(Page { rows: packed, token: rows.page_token() })
    }

    /// Deletes an index; false when there is none of this name.
    pub fn drop_index(&self, index: String) -> Result<bool, Failure> {
        Ok(self.inner()?.drop_index(&index)?)
    }

    /// Follows what a query finds.
    pub fn watch(&self, query: Vec<u8>) -> Result<Arc<Live>, Failure> {
        let subscription = self.inner()?.watch(read_query(&query)?)?;
        Live::new(objects::insert_beside(self.handle, Object::Live(Arc::new(Mutex::new(subscription))))?)
    }
}

impl Collection {
    fn extreme(&self, scope: u64, path: &str, query: &[u8], highest: bool) -> Result<Option<Vec<u8>>, Failure> {
        let query = read_query(query)?;
        let value = scope::read(scope, &*self.inner()?, |documents| documents.extreme(path, query, highest))?;
        Ok(value.map(|value| value.to_cbor()).transpose()?)
    }
}

impl Drop for Collection {
    fn drop(&mut self) {
        objects::remove(self.handle);
    }
}
