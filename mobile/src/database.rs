//! Databases: opening, what is in them, closing.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, Weak};

use lightning_db::env::{Clock, FileStorage, MemoryStorage, OpenMode, Storage, SystemClock, SystemEntropy};
use lightning_db::{
    AutoKey, Database as Core, Document, Environment, FeedPosition, MigrationStep, Result, Schema, Since, Update, Value,
};

use crate::backup;
use crate::collection::Collection;
use crate::failure::Failure;
use crate::feed::Feed;
use crate::maintenance::{CheckReport, CompactionListener, Stats};
use crate::objects::{self, Object, Owner, locked};
use crate::options::OpenOptions;
use crate::raw::Raw;
use crate::snapshot::Snapshot;
use crate::table::Table;
use crate::transaction::{Isolation, Transaction};

/// A database, shared by those in this process who opened it.
pub struct Opened {
    pub database: Core,
    owner: Owner,
    /// How many handles of it there are; changed with [`OPEN`] held. Not the number of references: calls have some for a moment.
    handles: AtomicU64,
    /// Where it is; none for one in memory.
    path: Option<PathBuf>,
    clock: Option<Arc<HandClock>>,
}

/// What is open in this process, by path. Held while one is opened or closed, so that nobody is given what is about to be closed.
static OPEN: Mutex<Option<HashMap<PathBuf, Weak<Opened>>>> = Mutex::new(None);

/// A database. Opened more than once in a process it is the same one, and closed when everybody has.
#[derive(uniffi::Object)]
pub struct Database {
    handle: u64,
}

/// The time of a database for tests.
#[derive(Debug)]
struct HandClock {
    /// How long something takes is as everywhere.
    system: SystemClock,
    /// Milliseconds since 1970.
    set_ms: AtomicU64,
}

impl Clock for HandClock {
    fn monotonic_ns(&self) -> u64 {
        self.system.monotonic_ns()
    }

    fn wall_ms(&self) -> u64 {
        self.set_ms.load(Ordering::Relaxed)
    }
}

/// Opens the database at a path, on the calling thread; gives its handle.
pub(crate) fn open(path: &str, options: &OpenOptions) -> Result<u64> {
    let mut open = locked(&OPEN);
    let open = open.get_or_insert_default();
    let database = Core::open(path, options.to_core())?;
    let path = std::fs::canonicalize(path).unwrap_or_else(|_| Path::new(path).to_owned());
    let opened = match open.get(&path).and_then(Weak::upgrade) {
        Some(opened) => opened,
        None => Arc::new(Opened {
            database,
            owner: Owner::new(),
            handles: AtomicU64::new(0),
            path: Some(path.clone()),
            clock: None,
        }),
    };
    let handle = objects::insert(opened.owner, Object::Database(Arc::clone(&opened)))?;
    opened.handles.fetch_add(1, Ordering::Relaxed);
    open.insert(path, Arc::downgrade(&opened));
    Ok(handle)
}

/// Gives a handle up; closes the database with the last one.
pub(crate) fn close(handle: u64) -> Result<()> {
    let mut open = locked(&OPEN);
    let Some(Object::Database(opened)) = objects::remove(handle) else { return Ok(()) };
    if opened.handles.fetch_sub(1, Ordering::Relaxed) > 1 {
        return Ok(());
    }
    if let (Some(open), Some(path)) = (open.as_mut(), &opened.path) {
        open.remove(path);
    }
    let result = opened.database.close();
    // The files are locked for as long as anything holds the database.
    objects::remove_all_of(opened.owner);
    result
}

impl Database {
    /// One that nobody shares.
    fn apart(database: Core, clock: Option<Arc<HandClock>>) -> Result<Arc<Self>, Failure> {
        let opened = Opened { database, owner: Owner::new(), handles: AtomicU64::new(1), path: None, clock };
        Ok(Arc::new(Self { handle: objects::insert(opened.owner, Object::Database(Arc::new(opened)))? }))
    }

    fn finish_step(
        &self,
        step: u64,
        changed: impl FnOnce(&MigrationStep) -> Result<Vec<Value>>,
    ) -> Result<(), Failure> {
        let Object::Migration(migration) = objects::get(step)? else {
            return Err(objects::wrong("a step of a migration").into());
        };
        drop(objects::remove(step));
        let step = locked(&migration).take().ok_or(lightning_db::Error::Closed)?;
        Ok(self.core()?.migrate_documents(&step, &changed(&step)?)?)
    }

    fn core(&self) -> Result<Core, Failure> {
        Ok(objects::database(self.handle)?)
    }
}

/// A table that there is.
#[derive(Clone, Debug, PartialEq, Eq, uniffi::Record)]
pub struct TableInfo {
    /// Its name.
    pub name: String,
    /// The type of its keys, by name.
    pub keys: String,
    /// The type of its values.
    pub values: String,
}

/// A collection that there is.
#[derive(Clone, Debug, PartialEq, Eq, uniffi::Record)]
pub struct CollectionInfo {
    /// Its name.
    pub name: String,
    /// The path of its key.
    pub key: String,
    /// The version of its documents.
    pub version: u32,
    /// Documents go so long after they were written.
    pub expires_after_ms: Option<u64>,
    /// How keys are made, if they are.
    pub auto_key: Option<String>,
    /// How many documents there are, those gone and not yet removed among them.
    pub documents: u64,
    /// Its indexes.
    pub indexes: Vec<IndexInfo>,
}

/// An index of a collection.
#[derive(Clone, Debug, PartialEq, Eq, uniffi::Record)]
pub struct IndexInfo {
    /// Its name.
    pub name: String,
    /// The paths of its fields.
    pub paths: Vec<String>,
    /// Whether no two documents have the same entry.
    pub unique: bool,
    /// Whether documents without the field have no entry.
    pub sparse: bool,
    /// Whether each element of an array has an entry.
    pub multi: bool,
    /// Whether case and accents are left out.
    pub folded: bool,
    /// Whether queries use it: it is not while it is being made.
    pub ready: bool,
    /// How many entries it has.
    pub entries: u64,
}

/// Documents of an older version, which are to become the next.
#[derive(Clone, Debug, PartialEq, Eq, uniffi::Record)]
pub struct Migration {
    /// For `migrate`.
    pub handle: u64,
    /// The version that they are of.
    pub version: u32,
    /// CBOR, packed.
    pub documents: Vec<u8>,
}

/// Where a change feed begins.
#[derive(Clone, Debug, PartialEq, Eq, uniffi::Enum)]
pub enum FeedStart {
    /// With the next commit.
    Now,
    /// With the oldest that is kept.
    Oldest,
    /// After a position that was kept.
    After {
        /// Its bytes.
        position: Vec<u8>,
    },
}

#[uniffi::export]
impl Database {
    /// Opens the database at a path.
    #[uniffi::constructor]
    pub async fn open(path: String, options: OpenOptions) -> Result<Arc<Self>, Failure> {
        let handle = blocking::unblock(move || open(&path, &options)).await?;
        Ok(Arc::new(Self { handle }))
    }

    /// Opens the database at a path, on the calling thread.
    #[uniffi::constructor]
    pub fn open_blocking(path: String, options: OpenOptions) -> Result<Arc<Self>, Failure> {
        Ok(Arc::new(Self { handle: open(&path, &options)? }))
    }

    /// A new database in memory, gone when it is closed.
    #[uniffi::constructor]
    pub fn in_memory(options: OpenOptions) -> Result<Arc<Self>, Failure> {
        let environment = Environment { clock: Arc::new(SystemClock::default()), entropy: Arc::new(SystemEntropy) };
        let database = Core::open_storage(Arc::new(MemoryStorage::new()), environment, options.to_core())?;
        Self::apart(database, None)
    }

    /// A database for tests, in a file or in memory: its time is what `set_clock` says, 1970 at first, and it does nothing by itself.
    #[uniffi::constructor]
    pub fn for_tests(path: Option<String>, options: OpenOptions) -> Result<Arc<Self>, Failure> {
        let clock = Arc::new(HandClock { system: SystemClock::default(), set_ms: AtomicU64::new(0) });
        let environment = Environment { clock: Arc::clone(&clock) as _, entropy: Arc::new(SystemEntropy) };
        let mode = OpenMode { read_only: options.read_only, create: options.create && !options.read_only };
        let storage: Arc<dyn Storage> = match path {
            Some(path) => Arc::new(FileStorage::open(path, mode)?),
            None => Arc::new(MemoryStorage::new()),
        };
        let mut options = options.to_core();
        options.background_thread = false;
        Self::apart(Core::open_storage(storage, environment, options)?, Some(clock))
    }

    /// The number by which the other calls know it.
    pub fn number(&self) -> u64 {
        self.handle
    }

    /// Sets the time of a database for tests, in milliseconds since 1970.
    pub fn set_clock(&self, ms: u64) -> Result<(), Failure> {
        match objects::get(self.handle)? {
            Object::Database(opened) => match &opened.clock {
                Some(clock) => {
                    clock.set_ms.store(ms, Ordering::Relaxed);
                    Ok(())
                }
                None => Err(objects::invalid("only a database for tests has a clock that can be set").into()),
            },
            _ => Err(objects::wrong("a database").into()),
        }
    }

    /// Opens a collection, and makes it and its indexes where they are not there. The schema is CBOR; without one it is opened as it
    /// is.
    pub async fn collection(&self, name: String, schema: Option<Vec<u8>>) -> Result<Arc<Collection>, Failure> {
        let handle = self.handle;
        blocking::unblock(move || Collection::open(handle, &name, schema.as_deref())).await
    }

    /// As `collection`, on the calling thread.
    pub fn collection_blocking(&self, name: String, schema: Option<Vec<u8>>) -> Result<Arc<Collection>, Failure> {
        Collection::open(self.handle, &name, schema.as_deref())
    }

    /// Documents that are to be changed before a collection can be opened with this schema; null when there are none (left).
    pub fn next_migration(&self, name: String, schema: Vec<u8>) -> Result<Option<Migration>, Failure> {
        let schema = Schema::from_value(&Value::from_cbor(&schema)?)?;
        let Some(step) = self.core()?.next_migration(&name, &schema)? else { return Ok(None) };
        let mut documents = Vec::new();
        for document in step.documents() {
            crate::packed::push(&mut documents, document?)?;
        }
        let version = step.version();
        let handle = objects::insert_beside(self.handle, Object::Migration(Arc::new(Mutex::new(Some(step)))))?;
        Ok(Some(Migration { handle, version, documents }))
    }

    /// What became of the documents of a step, packed, in their order.
    pub fn migrate(&self, step: u64, documents: Vec<u8>) -> Result<(), Failure> {
        let documents = crate::packed::Unpacked::new(&documents)
            .map(|document| Value::from_cbor(document?.unwrap_or_default()))
            .collect::<Result<Vec<_>>>();
        self.finish_step(step, |_| documents)
    }

    /// The same changes, CBOR, of each document of a step.
    pub fn migrate_by(&self, step: u64, changes: Vec<u8>) -> Result<(), Failure> {
        self.finish_step(step, |step| {
            let changes = Update::from_cbor(&changes)?;
            let change = |document: Result<&[u8]>| {
                let mut document = Value::from_cbor(document?)?;
                changes.apply(&mut document).map(|()| document)
            };
            step.documents().map(change).collect()
        })
    }

    /// The collection whose documents are of an older version, to be changed in one transaction.
    pub fn older_collection(&self, name: String, schema: Vec<u8>) -> Result<Arc<Collection>, Failure> {
        let schema = Schema::from_value(&Value::from_cbor(&schema)?)?;
        Collection::new(self.handle, self.core()?.older_collection::<Raw>(&name, &schema)?)
    }

    /// Says, in the transaction that changed them, that the documents of a collection are of the next version.
    pub fn finish_migration(&self, transaction: u64, collection: u64, version: u32) -> Result<(), Failure> {
        let collection = objects::collection(collection)?;
        let database = self.core()?;
        Ok(crate::scope::write(transaction, &database, |tx| tx.collection(&collection)?.finish_migration(version))?)
    }

    /// Deletes a collection with everything in it; false when there is none.
    pub fn drop_collection(&self, name: String) -> Result<bool, Failure> {
        Ok(self.core()?.drop_collection(&name)?)
    }

    /// Opens a table, and makes it if there is none. Types are named as the file does: `string`, `bytes`, `u64`, `(string, u64)`.
    pub fn table(&self, name: String, keys: String, values: String) -> Result<Arc<Table>, Failure> {
        Table::open(self.handle, &name, &keys, &values)
    }

    /// Deletes a table with everything in it; false when there is none.
    pub fn drop_table(&self, name: String) -> Result<bool, Failure> {
        Ok(self.core()?.transaction(|tx| tx.drop_table(&name))?)
    }

    /// All tables, by name.
    pub fn tables(&self) -> Result<Vec<TableInfo>, Failure> {
        let tables = self.core()?.tables()?.into_iter();
        Ok(tables.map(|table| TableInfo { name: table.name, keys: table.key_type, values: table.value_type }).collect())
    }

    /// All collections, by name.
    pub fn collections(&self) -> Result<Vec<CollectionInfo>, Failure> {
        let collections = self.core()?.snapshot().collections()?.into_iter();
        Ok(collections
            .map(|info| CollectionInfo {
                name: info.name,
                key: info.key,
                version: info.version,
                expires_after_ms: info.expires_after_ms,
                auto_key: info.auto_key.map(|how| AutoKey::name(how).to_owned()),
                documents: info.documents,
                indexes: (info.indexes.into_iter())
                    .map(|info| IndexInfo {
                        name: info.index.name().to_string(),
                        paths: info.paths.iter().map(ToString::to_string).collect(),
                        unique: info.unique,
                        sparse: info.sparse,
                        multi: info.multi,
                        folded: info.folded,
                        ready: info.ready,
                        entries: info.entries,
                    })
                    .collect(),
            })
            .collect())
    }

    /// Begins a transaction.
    pub fn begin(&self, isolation: Isolation) -> Result<Arc<Transaction>, Failure> {
        Transaction::begin(self.handle, isolation)
    }

    /// The database as it is now.
    pub fn snapshot(&self) -> Result<Arc<Snapshot>, Failure> {
        Snapshot::new(self.handle)
    }

    /// Follows all commits.
    pub fn changes(&self, since: FeedStart) -> Result<Arc<Feed>, Failure> {
        let since = match since {
            FeedStart::Now => Since::Now,
            FeedStart::Oldest => Since::Oldest,
            FeedStart::After { position } => Since::Position(FeedPosition::from_bytes(&position)?),
        };
        Feed::new(self.handle, self.core()?.changes(since)?)
    }

    /// Makes every commit so far durable, whatever durability it was made with.
    pub async fn sync(&self) -> Result<(), Failure> {
        let database = self.core()?;
        Ok(blocking::unblock(move || database.sync()).await?)
    }

    /// Merges what is in memory, so that reopening has nothing to replay.
    pub async fn checkpoint(&self) -> Result<(), Failure> {
        let database = self.core()?;
        Ok(blocking::unblock(move || database.checkpoint()).await?)
    }

    /// Makes the file as small as it can be.
    pub async fn compact(&self, listener: Option<Arc<dyn CompactionListener>>) -> Result<(), Failure> {
        let database = self.core()?;
        Ok(blocking::unblock(move || crate::maintenance::compact(&database, listener.as_deref())).await?)
    }

    /// Reads and verifies everything.
    pub async fn verify(&self) -> Result<CheckReport, Failure> {
        let database = self.core()?;
        Ok(blocking::unblock(move || database.check()).await?.into())
    }

    /// Counters and sizes.
    pub fn stats(&self) -> Result<Stats, Failure> {
        Ok(self.core()?.stats().into())
    }

    /// Removes documents that are gone, until none is left. The database does so by itself, about once a second.
    pub fn remove_expired(&self) -> Result<(), Failure> {
        let database = self.core()?;
        while database.remove_expired()? == lightning_db::Progress::More {}
        Ok(())
    }

    /// Writes a copy of the database as it is now to a new file.
    pub async fn backup(
        &self,
        to: String,
        listener: Option<Arc<dyn backup::BackupListener>>,
    ) -> Result<backup::BackupProgress, Failure> {
        let database = self.core()?;
        Ok(blocking::unblock(move || backup::to_file(&database, &to, listener.as_deref())).await?)
    }

    /// Gives it up. The last one who does so brings everything into the data file and closes it: whatever is called afterwards is
    /// `Closed`.
    pub async fn end(&self) -> Result<(), Failure> {
        let handle = self.handle;
        Ok(blocking::unblock(move || close(handle)).await?)
    }

    /// As `end`, on the calling thread.
    pub fn end_blocking(&self) -> Result<(), Failure> {
        Ok(close(self.handle)?)
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        // Whatever fails here is found again in the log.
        let _ = close(self.handle);
    }
}
