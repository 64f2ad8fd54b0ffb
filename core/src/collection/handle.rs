//! The handle of a collection, of which each call is a transaction or a snapshot of its own.

use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::marker::PhantomData;

use super::build::{self, IndexProgress};
use super::definition::Definition;
use super::document::Document;
use super::migrate::{self, Migrations};
use super::rows::{Explanation, ReadCollection, Rows};
use super::schema::Schema;
use super::schema_change::{drop_collection, drop_index, ensure};
use super::transaction::WriteCollection;
use super::write::Expiry;
use crate::db::{Database, Snapshot, WriteTransaction};
use crate::document::Value;
use crate::document::query::{Query, Update};
use crate::env::sync::Mutex;
use crate::error::{Error, Result};
use crate::table::catalogue::TableEntry;

/// A collection of documents, open in a database. Clones share it.
///
#[cfg_attr(feature = "serde", doc = "```")]
#[cfg_attr(not(feature = "serde"), doc = "```ignore")]
/// # use std::sync::Arc;
/// use lightning_db::{Database, Query, Schema, Update, field};
/// # use lightning_db::{Environment, Options, env::{MemoryStorage, SystemClock, SystemEntropy}};
///
/// #[derive(serde::Serialize, serde::Deserialize)]
/// struct Person {
///     id: u64,
///     name: String,
///     age: u32,
///     email: String,
/// }
///
/// # let environment = Environment { clock: Arc::new(SystemClock::default()), entropy: Arc::new(SystemEntropy) };
/// # let db = Database::open_storage(Arc::new(MemoryStorage::new()), environment, Options::default())?;
/// let people = db.collection::<Person>("people", Schema::key("id").index("age").unique("email"))?;
/// people.put(&Person { id: 1, name: "Ada".into(), age: 36, email: "ada@example.org".into() })?;
/// for person in people.query(Query::new().filter(field("age").between(30, 40)).order_by("age").limit(10))? {
///     println!("{}", person?.name);
/// }
/// people.update(1, &Update::new().increment("age", 1))?;
/// assert_eq!(people.get_by("email", ["ada@example.org"])?.map(|ada| ada.age), Some(37));
/// # Ok::<(), lightning_db::Error>(())
/// ```
pub struct Collection<T> {
    pub(super) database: Database,
    pub(super) known: Arc<Known>,
    types: PhantomData<fn() -> T>,
}

/// What the clones of a handle share.
pub(super) struct Known {
    pub name: String,
    /// The version of documents that the application knows.
    version: u32,
    /// The definition last read, which is right for the catalogue's entry it was read from.
    last: Mutex<Option<(Arc<TableEntry>, Arc<Definition>)>>,
}

impl Known {
    /// The collection as the catalogue's entry has it.
    pub(super) fn definition(&self, entry: Option<Arc<TableEntry>>) -> Result<Arc<Definition>> {
        let Some(entry) = entry else { return Err(Error::NoSuchTable { table: self.name.clone() }) };
        let mut last = self.last.lock();
        if let Some((of, definition)) = &*last
            && Arc::ptr_eq(of, &entry)
        {
            return Ok(Arc::clone(definition));
        }
        let definition = Arc::new(Definition::of(&self.name, &entry)?);
        if definition.newest_version() > self.version {
            return Err(Error::SchemaTooNew {
                collection: self.name.clone(),
                found: definition.newest_version(),
                known: self.version,
            });
        }
        *last = Some((entry, Arc::clone(&definition)));
        Ok(definition)
    }
}

impl Database {
    /// Opens a collection; it is made if there is none. Indexes of the schema that are not there are made now, over the documents
    /// that are there.
    ///
    /// On a storage that completes barriers later or fetches bytes first, call it again: it goes on where it was.
    pub fn collection<T: Document>(&self, name: &str, schema: Schema) -> Result<Collection<T>> {
        self.collection_with(name, schema, Migrations::new(), &mut |_| {})
    }

    /// Like [`collection`](Self::collection). Documents of an older version are migrated first, and `progress` is told of indexes
    /// that are being made.
    pub fn collection_with<T: Document>(
        &self,
        name: &str,
        schema: Schema,
        migrations: Migrations<'_>,
        progress: &mut dyn FnMut(&IndexProgress),
    ) -> Result<Collection<T>> {
        let version = ensure(self, name, &schema)?;
        let collection = Collection::of_version(self, name, schema.version);
        if version < schema.version {
            let migrated = migrate::run(&collection.with_type(), version, schema.version, migrations);
            migrate::leave_what_cannot_be(self, name, migrated)?;
        }
        build::finish(self, name, progress)?;
        #[cfg(feature = "std")]
        {
            let snapshot = self.snapshot();
            let definition = collection.known.definition(snapshot.definition(name)?)?;
            if let Some(at_ms) = super::expiry::first_expiry(&snapshot, &definition)? {
                self.wake_at(super::expiry::with_neighbours(at_ms), super::expiry::sweep);
            }
        }
        Ok(collection)
    }

    /// Opens a collection as it is: its schema is in the database.
    pub fn existing_collection<T: Document>(&self, name: &str) -> Result<Collection<T>> {
        let entry = self.snapshot().definition(name)?;
        let version = match &entry {
            Some(entry) => Definition::of(name, entry)?.newest_version(),
            None => return Err(Error::NoSuchTable { table: name.to_string() }),
        };
        Ok(Collection::of_version(self, name, version))
    }

    /// Deletes a collection with its documents and indexes; false when there is none.
    pub fn drop_collection(&self, name: &str) -> Result<bool> {
        self.transaction(|tx| drop_collection(tx, name))
    }
}

impl Snapshot {
    /// A collection as this snapshot sees it, with the schema that it had then.
    pub fn existing_collection<T: Document>(&self, name: &str) -> Result<ReadCollection<T>> {
        let Some(entry) = self.definition(name)? else {
            return Err(Error::NoSuchTable { table: name.to_string() });
        };
        let version = Definition::of(name, &entry)?.newest_version();
        let known = Known { name: name.to_string(), version, last: Mutex::new(None) };
        let definition = known.definition(Some(entry))?;
        // Known before it is cloned: whatever is read of one snapshot is gone by the same time.
        self.now_ms();
        Ok(ReadCollection::new(self.clone(), definition))
    }

    /// A collection as this snapshot sees it.
    pub fn collection<T: Document>(&self, collection: &Collection<T>) -> Result<ReadCollection<T>> {
        let definition = collection.known.definition(self.definition(&collection.known.name)?)?;
        // Known before it is cloned: whatever is read of one snapshot is gone by the same time.
        self.now_ms();
        Ok(ReadCollection::new(self.clone(), definition))
    }
}

impl WriteTransaction {
    /// A collection inside this transaction: sees its own changes.
    pub fn collection<T: Document>(&mut self, collection: &Collection<T>) -> Result<WriteCollection<'_, T>> {
        let definition = collection.known.definition(self.definition(&collection.known.name)?)?;
        Ok(WriteCollection::new(self, definition))
    }

    /// Deletes a collection with everything in it; false when there is none.
    pub fn drop_collection(&mut self, name: &str) -> Result<bool> {
        drop_collection(self, name)
    }

    /// Deletes an index of a collection; false when there is none.
    pub fn drop_index(&mut self, collection: &str, index: &str) -> Result<bool> {
        drop_index(self, collection, index)
    }
}

impl<T> Collection<T> {
    /// A collection of which the application knows documents up to a version.
    pub(super) fn of_version(database: &Database, name: &str, version: u32) -> Self {
        let known = Known { name: name.to_string(), version, last: Mutex::new(None) };
        Self { database: database.clone(), known: Arc::new(known), types: PhantomData }
    }
}

impl<T: Document> Collection<T> {
    /// Its name.
    pub fn name(&self) -> &str {
        &self.known.name
    }

    /// The database it is in.
    pub fn database(&self) -> &Database {
        &self.database
    }

    /// The collection as it is now, for several reads that belong together.
    pub fn snapshot(&self) -> Result<ReadCollection<T>> {
        self.database.snapshot().collection(self)
    }

    /// Writes a document, whatever was under its key.
    pub fn put(&self, document: &T) -> Result<()> {
        self.write(|documents| documents.put(document))
    }

    /// Writes a document that goes by itself.
    pub fn put_expiring(&self, document: &T, expiry: Expiry) -> Result<()> {
        self.write(|documents| documents.put_expiring(document, expiry))
    }

    /// Writes many documents in one transaction.
    pub fn put_many<'t>(&self, documents: impl IntoIterator<Item = &'t T>) -> Result<()>
    where
        T: 't,
    {
        self.write(|collection| documents.into_iter().try_for_each(|document| collection.put(document)))
    }

    /// Writes a new document; a key that exists is [`Error::Unexpected`].
    pub fn insert(&self, document: &T) -> Result<()> {
        self.write(|documents| documents.insert(document))
    }

    /// Writes a new document, and gives the key, where it was [made](Schema::auto_key).
    pub fn add(&self, document: &T) -> Result<Option<Value>> {
        self.write(|documents| documents.add(document))
    }

    /// Writes over a document; a key that is missing is [`Error::Unexpected`].
    pub fn replace(&self, document: &T) -> Result<()> {
        self.write(|documents| documents.replace(document))
    }

    /// Deletes a document; tells whether it was there.
    pub fn delete(&self, key: impl Into<Value>) -> Result<bool> {
        let key = key.into();
        self.write(|documents| documents.delete(key))
    }

    /// Changes fields of a document; false when there is none.
    pub fn update(&self, key: impl Into<Value>, changes: &Update) -> Result<bool> {
        let key = key.into();
        self.write(|documents| documents.update(key, changes))
    }

    /// Deletes every document that a query finds; gives how many.
    pub fn delete_where(&self, query: Query) -> Result<u64> {
        self.write(|documents| documents.delete_where(query))
    }

    /// Changes fields of every document that a query finds; gives how many.
    pub fn update_where(&self, query: Query, changes: &Update) -> Result<u64> {
        self.write(|documents| documents.update_where(query, changes))
    }

    /// Writes `new` if the document under its key is `expected` (`None`: there is none); tells whether it was.
    pub fn compare_and_swap(&self, expected: Option<&T>, new: &T) -> Result<bool> {
        self.write(|documents| documents.compare_and_swap(expected, new))
    }

    /// The document of a key.
    pub fn get(&self, key: impl Into<Value>) -> Result<Option<T>> {
        self.snapshot()?.get(key)
    }

    /// The document that has these values in a unique index, one for each of its paths.
    pub fn get_by<V: Into<Value>>(&self, index: &str, values: impl IntoIterator<Item = V>) -> Result<Option<T>> {
        self.snapshot()?.get_by(index, values)
    }

    /// The documents of many keys, in their order.
    pub fn get_many<K: Into<Value>>(&self, keys: impl IntoIterator<Item = K>) -> Result<Vec<Option<T>>> {
        self.snapshot()?.get_many(keys)
    }

    /// The documents that a query finds, as they are now: what is committed later does not show.
    pub fn query(&self, query: Query) -> Result<Rows<T>> {
        self.snapshot()?.query(query)
    }

    /// How many documents a query finds.
    pub fn count(&self, query: Query) -> Result<u64> {
        self.snapshot()?.count(query)
    }

    /// How many documents there are.
    pub fn len(&self) -> Result<u64> {
        self.count(Query::new())
    }

    /// Whether there is no document.
    pub fn is_empty(&self) -> Result<bool> {
        Ok(self.query(Query::new().limit(1))?.next().transpose()?.is_none())
    }

    /// Answers a query and tells how: what was chosen, what was estimated, what was read.
    pub fn explain(&self, query: Query) -> Result<Explanation> {
        self.snapshot()?.explain(query)
    }

    /// Deletes an index; false when there is none of this name.
    pub fn drop_index(&self, index: &str) -> Result<bool> {
        self.database.transaction(|tx| drop_index(tx, &self.known.name, index))
    }

    /// Runs `body` on the collection in a transaction of its own.
    pub fn write<R>(&self, body: impl FnOnce(&mut WriteCollection<'_, T>) -> Result<R>) -> Result<R> {
        self.database.transaction(|tx| body(&mut tx.collection(self)?))
    }

    /// The same collection with documents of another type.
    pub fn with_type<U: Document>(&self) -> Collection<U> {
        Collection { database: self.database.clone(), known: Arc::clone(&self.known), types: PhantomData }
    }
}

impl<T> Clone for Collection<T> {
    fn clone(&self) -> Self {
        Self { database: self.database.clone(), known: Arc::clone(&self.known), types: PhantomData }
    }
}

impl<T> fmt::Debug for Collection<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Collection").field("name", &self.known.name).finish_non_exhaustive()
    }
}
