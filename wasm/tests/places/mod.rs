//! The storages of a browser, and the engine on them, driven: what it cannot do at once is fetched or completed, and asked
//! again.
#![allow(dead_code, reason = "each test program uses its part")]

use std::sync::Arc;

use lightning_db::env::{MemoryStorage, Storage};
use lightning_db::{Database, Durability, Environment, Error, Options, Progress, Result, WriteTransaction};
use lightning_db_wasm::{HandleStorage, IndexedDb, JsClock, JsEntropy};
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::{DedicatedWorkerGlobalScope, FileSystemDirectoryHandle, FileSystemFileHandle, FileSystemGetFileOptions};

/// Where in a browser a database lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Two files of the origin private file system.
    Opfs,
    /// IndexedDB.
    IndexedDb,
    /// Memory.
    Memory,
}

/// Opens both files, as the package's worker does.
pub async fn open_files(name: &str) -> Result<HandleStorage, JsValue> {
    let directory = directory().await?;
    let (data, log) = (
        open_file(&directory, &format!("{name}.ldb")).await?,
        open_file(&directory, &format!("{name}.ldb-log")).await?,
    );
    HandleStorage::new(name, data.unchecked_into(), log.unchecked_into())
        .map_err(|error| JsValue::from_str(&error.to_string()))
}

/// Deletes both files.
pub async fn delete_files(name: &str) {
    let directory = directory().await.unwrap();
    for file in [format!("{name}.ldb"), format!("{name}.ldb-log")] {
        // A file that is not there is none to delete.
        let _ = JsFuture::from(directory.remove_entry(&file)).await;
    }
}

async fn directory() -> Result<FileSystemDirectoryHandle, JsValue> {
    let worker: DedicatedWorkerGlobalScope = js_sys::global().unchecked_into();
    Ok(JsFuture::from(worker.navigator().storage().get_directory()).await?.unchecked_into())
}

async fn open_file(directory: &FileSystemDirectoryHandle, name: &str) -> Result<JsValue, JsValue> {
    let create = FileSystemGetFileOptions::new();
    create.set_create(true);
    let file = JsFuture::from(directory.get_file_handle_with_options(name, &create)).await?;
    let file: FileSystemFileHandle = file.unchecked_into();
    JsFuture::from(file.create_sync_access_handle()).await
}

/// An open database. Operations must not overlap: the worker that owns it runs one after the other.
#[derive(Debug)]
pub struct Driven {
    database: Database,
    indexed_db: Option<IndexedDb>,
}

impl Driven {
    /// Opens the database `name`, making it where missing.
    pub async fn open(place: Place, name: &str, options: Options) -> Result<Self> {
        let environment = || Environment { clock: Arc::new(JsClock), entropy: Arc::new(JsEntropy) };
        if place == Place::IndexedDb {
            let driver = IndexedDb::open(name).await?;
            let opened =
                driver.run(|| Database::open_storage(driver.storage(), environment(), options.clone())).await?;
            let database = Self { database: opened, indexed_db: Some(driver) };
            database.flush().await?;
            return Ok(database);
        }
        // The engine shares its storage between threads, where there are any.
        #[allow(clippy::arc_with_non_send_sync)]
        let storage: Arc<dyn Storage> = match place {
            Place::Opfs => Arc::new(open_files(name).await.unwrap()),
            _ => Arc::new(MemoryStorage::new()),
        };
        Ok(Self { database: Database::open_storage(storage, environment(), options)?, indexed_db: None })
    }

    /// Deletes the database `name`, which nobody may have open.
    pub async fn delete(place: Place, name: &str) -> Result<()> {
        match place {
            Place::Opfs => delete_files(name).await,
            Place::IndexedDb => IndexedDb::delete(name).await?,
            Place::Memory => {}
        }
        Ok(())
    }

    /// Runs an operation that may be run again: a read, a step, anything whose outcome is the same the second time.
    pub async fn run<T>(&self, mut operation: impl FnMut(&Database) -> Result<T>) -> Result<T> {
        let Some(driver) = &self.indexed_db else { return operation(&self.database) };
        loop {
            match driver.run(|| operation(&self.database)).await {
                Err(Error::Pending(_)) => self.flush().await?,
                outcome => return outcome,
            }
        }
    }

    /// Runs `body` as a transaction, and returns once what it did is durable. `body` is run again if it reads what must
    /// first be fetched.
    pub async fn transaction<T>(&self, mut body: impl FnMut(&mut WriteTransaction) -> Result<T>) -> Result<T> {
        // Applied first and made durable by a call of its own, because that one can be repeated and this one cannot.
        let result = self.run(|database| database.transaction_with(Durability::Relaxed, &mut body)).await?;
        self.run(Database::sync).await?;
        Ok(result)
    }

    /// Does one bounded piece of background work.
    pub async fn step(&self) -> Result<Progress> {
        let progress = self.run(Database::step).await?;
        self.flush().await?;
        Ok(progress)
    }

    /// Brings everything into the data file and closes it.
    pub async fn close(self) -> Result<()> {
        self.run(Database::close).await?;
        self.flush().await
    }

    /// Writes what the storage has collected, and tells the engine which of its barriers are complete.
    async fn flush(&self) -> Result<()> {
        let Some(driver) = &self.indexed_db else { return Ok(()) };
        let flushed = driver.flush().await;
        for ticket in flushed.tickets {
            let outcome = flushed.result.clone().map_err(|error| error.to_string());
            self.database.complete_sync(ticket, outcome);
        }
        Ok(flushed.result?)
    }
}
