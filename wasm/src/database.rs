//! The engine on a browser's storage, driven: what the engine cannot do at once is fetched or completed, and asked again.

use std::sync::Arc;

use lightning_db::env::{MemoryStorage, Storage};
use lightning_db::{Database, Durability, Environment, Error, Options, Progress, Result, WriteTransaction};

use crate::environment::{JsClock, JsEntropy};
use crate::indexed_db::IndexedDb;
use crate::opfs::OpfsStorage;

/// Where in a browser a database lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Two files of the origin private file system. In dedicated workers only.
    Opfs,
    /// IndexedDB.
    IndexedDb,
    /// Memory: nothing survives the database.
    Memory,
}

/// An open database. Operations must not overlap: the worker that owns it runs one after the other.
#[derive(Debug)]
pub struct BrowserDatabase {
    database: Database,
    indexed_db: Option<IndexedDb>,
}

impl BrowserDatabase {
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
            Place::Opfs => Arc::new(OpfsStorage::open(name).await?),
            _ => Arc::new(MemoryStorage::new()),
        };
        Ok(Self { database: Database::open_storage(storage, environment(), options)?, indexed_db: None })
    }

    /// Deletes the database `name`, which nobody may have open.
    pub async fn delete(place: Place, name: &str) -> Result<()> {
        match place {
            Place::Opfs => OpfsStorage::delete(name).await?,
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
