//! Databases: opening, what is in them, closing.

use std::sync::{Arc, Mutex};

use lightning_db::env::{MemoryStorage, Storage, SystemClock, SystemEntropy};
use lightning_db::{
    AutoKey, Database as Core, Document, Environment, FeedPosition, MigrationStep, Result, Schema, Since, Trim, Update,
    Value,
};

use crate::archive::{self, ArchiveOptions, ArchiveStatus};
use crate::backup;
use crate::collection::Collection;
use crate::encryption::{self, KeyInfo, Reencryption, ReencryptionListener};
use crate::failure::Failure;
use crate::feed::Feed;
use crate::files::Files;
use crate::health::{Finding, Mode, Quarantined};
use crate::limits::Limits;
use crate::maintenance::{CheckReport, CompactionListener, ScrubListener, Stats};
use crate::objects::{self, Object, locked};
use crate::opened::{self, HandClock, Opened};
use crate::options::OpenOptions;
use crate::raw::Raw;
use crate::restore;
use crate::snapshot::{NamedSnapshot, Snapshot};
use crate::stop::{Stop, unblock, unblock_needed};
use crate::table::Table;
use crate::transaction::{Isolation, Transaction};

/// A database. Opened more than once in a process it is the same one, and closed when everybody has.
#[derive(uniffi::Object)]
pub struct Database {
    handle: u64,
}

/// Gives memory back; gives how many bytes are held then.
pub(crate) fn trim_memory(handle: u64, level: TrimLevel) -> Result<u64> {
    let how = match level {
        TrimLevel::Moderate => Trim::Moderate,
        TrimLevel::All => Trim::All,
    };
    Ok(objects::database(handle)?.trim_memory(how))
}

impl Database {
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

/// How much memory is given back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, uniffi::Enum)]
pub enum TrimLevel {
    /// What was not read lately.
    Moderate,
    /// All that can be read again.
    All,
}

/// Restores a backup as the database `to`, where there is nothing yet: no database and no log of one. It is verified before it has its
/// name; until then it is called `to` with `-partial` behind it. Of what follows, folders of archives, commits are taken in up to
/// `until`. What is encrypted needs the handle of a key that opens it.
#[uniffi::export(default(key = 0, stop = None))]
pub async fn restore_backup(
    backup: String,
    to: String,
    following: Vec<String>,
    until: restore::RestoreUntil,
    key: u64,
    stop: Option<Arc<Stop>>,
) -> Result<CheckReport, Failure> {
    let key = objects::key(key)?;
    unblock(stop, move || Ok(restore::restore(&backup, &to, &following, until, key)?.into())).await
}

/// How many objects are open in this process, of all databases: where it grows, something is not given up.
#[uniffi::export]
pub fn open_objects() -> u64 {
    objects::count()
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
    #[uniffi::constructor(default(stop = None))]
    pub async fn open(path: String, options: OpenOptions, stop: Option<Arc<Stop>>) -> Result<Arc<Self>, Failure> {
        // Where nobody waits any more, it is closed by the thread that has opened it.
        unblock(stop, move || Self::open_blocking(path, options)).await
    }

    /// Opens the database at a path, on the calling thread.
    #[uniffi::constructor]
    pub fn open_blocking(path: String, options: OpenOptions) -> Result<Arc<Self>, Failure> {
        Ok(Arc::new(Self { handle: opened::open(&path, &options)? }))
    }

    /// One more of a database that is open, by the number of another.
    #[uniffi::constructor]
    pub fn of(number: u64) -> Result<Arc<Self>, Failure> {
        Ok(Arc::new(Self { handle: opened::another(number)? }))
    }

    /// A new database in memory, gone when it is closed.
    #[uniffi::constructor]
    pub fn in_memory(options: OpenOptions) -> Result<Arc<Self>, Failure> {
        let environment = Environment { clock: Arc::new(SystemClock::default()), entropy: Arc::new(SystemEntropy) };
        let database = Core::open_storage(Arc::new(MemoryStorage::new()), environment, options.to_core()?)?;
        Ok(Arc::new(Self { handle: Opened::new(database, None, &options, None).apart()? }))
    }

    /// A database for tests, in a file or in memory: its time is what `set_clock` says, 1970 at first, and it does nothing by itself.
    #[uniffi::constructor]
    pub fn for_tests(path: Option<String>, options: OpenOptions) -> Result<Arc<Self>, Failure> {
        let clock = Arc::new(HandClock::default());
        let environment = Environment { clock: Arc::clone(&clock) as _, entropy: Arc::new(SystemEntropy) };
        let files = path.map(|path| Files::open(&path, options.mode())).transpose()?.map(Arc::new);
        let storage: Arc<dyn Storage> = match &files {
            Some(files) => Arc::clone(files) as _,
            None => Arc::new(MemoryStorage::new()),
        };
        let mut core = options.to_core()?;
        core.background_thread = false;
        let database = Core::open_storage(storage, environment, core)?;
        Ok(Arc::new(Self { handle: Opened::new(database, files, &options, Some(clock)).apart()? }))
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
                    clock.set(ms);
                    Ok(())
                }
                None => Err(objects::invalid("only a database for tests has a clock that can be set").into()),
            },
            _ => Err(objects::wrong("a database").into()),
        }
    }

    /// Opens a collection, and makes it and its indexes where they are not there. The schema is CBOR; without one it is opened as it
    /// is.
    #[uniffi::method(default(stop = None))]
    pub async fn collection(
        &self,
        name: String,
        schema: Option<Vec<u8>>,
        stop: Option<Arc<Stop>>,
    ) -> Result<Arc<Collection>, Failure> {
        let handle = self.handle;
        unblock(stop, move || Collection::open(handle, &name, schema.as_deref())).await
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
        Collection::new(self.handle, Arc::new(self.core()?.older_collection::<Raw>(&name, &schema)?))
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
        Snapshot::new(self.handle, None)
    }

    /// Keeps the database as it is now under a name, also when it is closed, until it is dropped.
    pub fn create_snapshot(&self, name: String) -> Result<(), Failure> {
        Ok(self.core()?.create_snapshot(&name)?)
    }

    /// The snapshots that have a name, oldest first.
    pub fn snapshots(&self) -> Result<Vec<NamedSnapshot>, Failure> {
        Ok(self.core()?.snapshots().into_iter().map(NamedSnapshot::from).collect())
    }

    /// The database as it was when this one was made.
    pub fn snapshot_named(&self, name: String) -> Result<Arc<Snapshot>, Failure> {
        Snapshot::new(self.handle, Some(&name))
    }

    /// Gives up one that has a name.
    pub fn drop_snapshot(&self, name: String) -> Result<(), Failure> {
        Ok(self.core()?.drop_snapshot(&name)?)
    }

    /// What is not as it should be, the worst first. Nothing is read from storage.
    pub fn health(&self) -> Result<Vec<Finding>, Failure> {
        Ok(self.core()?.health().findings.into_iter().map(Finding::from).collect())
    }

    /// What was found damaged since it was opened. Reading it is `Corrupt`; everything else is read and written as always.
    pub fn quarantined(&self) -> Result<Vec<Quarantined>, Failure> {
        Ok(self.core()?.quarantined()?.into_iter().map(Quarantined::from).collect())
    }

    /// Decides who may use it, for everybody in this process, until it is decided otherwise or closed.
    pub fn set_mode(&self, mode: Mode) -> Result<(), Failure> {
        Ok(self.core()?.set_mode(mode.into())?)
    }

    /// What was last decided so.
    pub fn mode(&self) -> Result<Mode, Failure> {
        Ok(self.core()?.mode().into())
    }

    /// Freezes it, or thaws it: whoever opens a frozen one finds it in read-only mode. Durable when this returns.
    pub fn set_frozen(&self, is_frozen: bool) -> Result<(), Failure> {
        Ok(self.core()?.set_frozen(is_frozen)?)
    }

    /// Whether it is frozen.
    pub fn is_frozen(&self) -> Result<bool, Failure> {
        Ok(self.core()?.is_frozen())
    }

    /// Ends everything now, for everybody in this process, without merging anything. It is still to be closed.
    pub fn shut_down_now(&self) -> Result<(), Failure> {
        Ok(self.core()?.shut_down_now()?)
    }

    /// What it gives at most.
    pub fn limits(&self) -> Result<Limits, Failure> {
        Ok(self.core()?.limits().into())
    }

    /// Archives every commit from now on, in a folder, or changes how.
    pub fn archive_on(&self, options: ArchiveOptions) -> Result<(), Failure> {
        let opened = objects::opened(self.handle)?;
        let path = opened.files.as_ref().ok_or_else(|| objects::invalid("what is in memory has no archive"))?.path();
        Ok(archive::on(&opened.database, path, options)?)
    }

    /// Archives nothing any more. What is in the archive stays.
    pub fn archive_off(&self) -> Result<(), Failure> {
        Ok(self.core()?.archive_off()?)
    }

    /// How the archive does; null where there is none.
    pub fn archive_status(&self) -> Result<Option<ArchiveStatus>, Failure> {
        Ok(self.core()?.archive_status().map(ArchiveStatus::from))
    }

    /// Archives everything that is committed now.
    #[uniffi::method(default(stop = None))]
    pub async fn archive_now(&self, stop: Option<Arc<Stop>>) -> Result<(), Failure> {
        let database = self.core()?;
        unblock(stop, move || Ok(database.archive_now()?)).await
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
    #[uniffi::method(default(stop = None))]
    pub async fn sync(&self, stop: Option<Arc<Stop>>) -> Result<(), Failure> {
        let database = self.core()?;
        unblock(stop, move || Ok(database.sync()?)).await
    }

    /// Merges what is in memory, so that reopening has nothing to replay.
    #[uniffi::method(default(stop = None))]
    pub async fn checkpoint(&self, stop: Option<Arc<Stop>>) -> Result<(), Failure> {
        let database = self.core()?;
        unblock(stop, move || Ok(database.checkpoint()?)).await
    }

    /// Makes the file as small as it can be.
    #[uniffi::method(default(stop = None))]
    pub async fn compact(
        &self,
        listener: Option<Arc<dyn CompactionListener>>,
        stop: Option<Arc<Stop>>,
    ) -> Result<(), Failure> {
        let database = self.core()?;
        unblock(stop, move || Ok(crate::maintenance::compact(&database, listener.as_deref())?)).await
    }

    /// Reads and verifies everything.
    #[uniffi::method(default(stop = None))]
    pub async fn verify(&self, stop: Option<Arc<Stop>>) -> Result<CheckReport, Failure> {
        let database = self.core()?;
        unblock(stop, move || Ok(database.check()?.into())).await
    }

    /// Verifies every node and value that is stored, in steps that hold nobody up.
    #[uniffi::method(default(stop = None))]
    pub async fn scrub(
        &self,
        listener: Option<Arc<dyn ScrubListener>>,
        stop: Option<Arc<Stop>>,
    ) -> Result<CheckReport, Failure> {
        let database = self.core()?;
        unblock(stop, move || Ok(crate::maintenance::scrub(&database, listener.as_deref())?)).await
    }

    /// Lets go of the files, for everybody in this process who has it open: everything committed is brought into them, they are
    /// closed, and the lock on them is given up. Meanwhile what is in memory is read as before; all else is `Suspended`, which
    /// passes. Snapshots, transactions, live results and feeds go on afterwards.
    ///
    /// Whatever it answers, the files are closed. An error says what was not brought into them.
    pub async fn suspend(&self) -> Result<(), Failure> {
        let handle = self.handle;
        unblock_needed(move || Ok(opened::suspend(handle)?)).await
    }

    /// As `suspend`, on the calling thread.
    pub fn suspend_blocking(&self) -> Result<(), Failure> {
        Ok(opened::suspend(self.handle)?)
    }

    /// Takes the files again. As long as another process has them, that is tried for so many milliseconds; then it is `Locked`, and
    /// may be tried again. Where another has written to them, it is `Poisoned`: close the database, and open it again.
    #[uniffi::method(default(wait_ms = 5000, stop = None))]
    pub async fn resume(&self, wait_ms: u64, stop: Option<Arc<Stop>>) -> Result<(), Failure> {
        let handle = self.handle;
        unblock(stop, move || Ok(opened::resume(handle, wait_ms)?)).await
    }

    /// As `resume`, on the calling thread.
    #[uniffi::method(default(wait_ms = 5000))]
    pub fn resume_blocking(&self, wait_ms: u64) -> Result<(), Failure> {
        Ok(opened::resume(self.handle, wait_ms)?)
    }

    /// Gives memory back; gives how many bytes of what was read, and of what is not merged yet, are held then.
    pub fn trim_memory(&self, level: TrimLevel) -> Result<u64, Failure> {
        Ok(trim_memory(self.handle, level)?)
    }

    /// A scope like `scope` whose calls, and those of cursors opened in it, another thread can give up: `stop_scope` with what this
    /// gives. It is released like a cursor.
    pub fn stoppable(&self, scope: u64) -> Result<u64, Failure> {
        Ok(crate::stop::stoppable(self.handle, scope)?)
    }

    /// Gives up the calls of a scope that `stoppable` gave. They are `Cancelled`.
    pub fn stop_scope(&self, stoppable: u64) -> Result<(), Failure> {
        Ok(crate::stop::stop(stoppable)?)
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
    #[uniffi::method(default(stop = None))]
    pub async fn backup(
        &self,
        to: String,
        listener: Option<Arc<dyn backup::BackupListener>>,
        stop: Option<Arc<Stop>>,
    ) -> Result<backup::BackupProgress, Failure> {
        let database = self.core()?;
        unblock(stop, move || Ok(backup::to_file(&database, &to, listener.as_deref())?)).await
    }

    /// The keys that open it, by slot; none if it is not encrypted.
    pub fn keys(&self) -> Result<Vec<KeyInfo>, Failure> {
        Ok(self.core()?.keys().into_iter().map(KeyInfo::from).collect())
    }

    /// Lets the key of a handle open it as well, at most eight; gives its slot.
    pub async fn add_key(&self, key: u64) -> Result<u8, Failure> {
        let (database, key) = (self.core()?, encryption::required(key)?);
        unblock_needed(move || Ok(database.add_key(&key)?)).await
    }

    /// The key in a slot opens it no more. The last one stays.
    pub async fn remove_key(&self, slot: u8) -> Result<(), Failure> {
        let database = self.core()?;
        unblock_needed(move || Ok(database.remove_key(slot)?)).await
    }

    /// Begins to encrypt everything anew, under a new data key that the key of a handle alone opens. The rest is background work.
    pub async fn reencrypt(&self, key: u64) -> Result<(), Failure> {
        let (database, key) = (self.core()?, encryption::required(key)?);
        unblock_needed(move || Ok(database.reencrypt(&key)?)).await
    }

    /// How far that is; null when nothing of it is left to do.
    pub fn reencryption(&self) -> Result<Option<Reencryption>, Failure> {
        Ok(self.core()?.reencryption().map(Reencryption::from))
    }

    /// Goes on with it until it is done.
    #[uniffi::method(default(stop = None))]
    pub async fn finish_reencryption(
        &self,
        listener: Option<Arc<dyn ReencryptionListener>>,
        stop: Option<Arc<Stop>>,
    ) -> Result<(), Failure> {
        let database = self.core()?;
        unblock(stop, move || Ok(encryption::finish(&database, listener.as_deref())?)).await
    }

    /// Gives it up. The last one who does so brings everything into the data file and closes it: whatever is called afterwards is
    /// `Closed`.
    pub async fn end(&self) -> Result<(), Failure> {
        let handle = self.handle;
        unblock_needed(move || Ok(opened::close(handle)?)).await
    }

    /// As `end`, on the calling thread.
    pub fn end_blocking(&self) -> Result<(), Failure> {
        Ok(opened::close(self.handle)?)
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        // Whatever fails here is found again in the log.
        let _ = opened::close(self.handle);
    }
}
