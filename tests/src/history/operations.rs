//! What a workload does in the engine's transactions and snapshots.

use std::ops::DerefMut;

use lightning_db::{
    Cursor, Database, Durability, Error, Isolation, Range, ReadTable, Savepoint, Snapshot, Table, Transaction,
    WriteTable, WriteTransaction,
};

use super::history::Key;
use super::store::{Answer, Interactive, Operations, Progress, Stop, Walk};

/// The table of all histories.
pub const TABLE: Table<'static, Key, &'static [u8]> = Table::new("histories");

type Writable<'a> = WriteTable<'a, Key, &'static [u8]>;

/// A transaction, begun or given to a closure.
#[derive(Debug)]
pub struct Running<T> {
    /// The transaction.
    pub tx: T,
    savepoints: Vec<Savepoint>,
    base: u64,
    /// Where it was begun, for asking whether its commit is under way.
    database: Option<Database>,
}

impl Running<Transaction> {
    /// Begins a transaction.
    pub fn begin(database: &Database, level: Isolation, base: u64) -> Self {
        let database = database.clone();
        Self { tx: database.begin(level), savepoints: Vec::new(), base, database: Some(database) }
    }

    fn commits(&self) -> u64 {
        self.database.as_ref().map_or(0, |database| database.stats().commits)
    }
}

impl Interactive for Running<Transaction> {
    fn commit(&mut self, relaxed: bool) -> Answer<Progress> {
        let durability = if relaxed { Durability::Relaxed } else { Durability::Sync };
        let before = self.commits();
        let result = self.tx.commit_with(durability);
        progress(result, self.commits() > before)
    }
}

impl<T: DerefMut<Target = WriteTransaction>> Running<T> {
    /// The operations on `tx`, for a history that began after commit `base`.
    pub fn new(tx: T, base: u64) -> Self {
        Self { tx, savepoints: Vec::new(), base, database: None }
    }

    fn table(&mut self) -> Answer<Writable<'_>> {
        self.tx.table(TABLE).map_err(stop)
    }
}

impl<T: DerefMut<Target = WriteTransaction>> Operations for Running<T> {
    fn get(&mut self, key: Key) -> Answer<Option<Vec<u8>>> {
        Ok(self.table()?.get(key).map_err(stop)?.map(|found| found.to_vec()))
    }
    fn put(&mut self, key: Key, value: &[u8]) -> Answer<()> {
        self.table()?.put(key, value).map_err(stop)
    }
    fn delete(&mut self, key: Key) -> Answer<bool> {
        self.table()?.delete(key).map_err(stop)
    }
    fn delete_range(&mut self, from: Key, to: Key) -> Answer<()> {
        self.table()?.delete_range(from..to).map_err(stop)
    }
    fn scan(&mut self, from: Key, to: Key, walk: Walk) -> Answer<Vec<(Key, Vec<u8>)>> {
        let mut table = self.table()?;
        let entries = match walk {
            Walk::Cursor => table.cursor(from..to).and_then(roam),
            _ => table.range(from..to).and_then(|range| entries(range, walk)),
        };
        entries.map_err(stop)
    }
    fn count(&mut self, from: Key, to: Key) -> Answer<u64> {
        self.table()?.count(from..to).map_err(stop)
    }
    fn savepoint(&mut self) {
        self.savepoints.push(self.tx.savepoint());
    }
    fn roll_back(&mut self) {
        if let Some(savepoint) = self.savepoints.pop() {
            self.tx.rollback_to(&savepoint);
        }
    }
    fn sees(&self) -> u64 {
        self.tx.sequence().saturating_sub(self.base)
    }
}

/// A snapshot.
#[derive(Debug)]
pub struct Frozen {
    /// The snapshot.
    pub snapshot: Snapshot,
    /// The last commit before the history.
    pub base: u64,
}

impl Frozen {
    fn table(&self) -> Answer<ReadTable<'_, Key, &'static [u8]>> {
        self.snapshot.table(TABLE).map_err(stop)
    }
}

fn frozen<T>() -> Answer<T> {
    Err(Stop::Failed("a snapshot takes no writes".into()))
}

impl Operations for Frozen {
    fn get(&mut self, key: Key) -> Answer<Option<Vec<u8>>> {
        let table = self.table()?;
        if key.is_multiple_of(2) {
            return Ok(table.get(key).map_err(stop)?.map(|found| found.to_vec()));
        }
        let found = table.get_many(&[key - 1, key, key + 1]).map_err(stop)?;
        Ok(found.into_iter().nth(1).flatten().map(|found| found.to_vec()))
    }
    fn put(&mut self, _key: Key, _value: &[u8]) -> Answer<()> {
        frozen()
    }
    fn delete(&mut self, _key: Key) -> Answer<bool> {
        frozen()
    }
    fn delete_range(&mut self, _from: Key, _to: Key) -> Answer<()> {
        frozen()
    }
    fn scan(&mut self, from: Key, to: Key, walk: Walk) -> Answer<Vec<(Key, Vec<u8>)>> {
        let table = self.table()?;
        let entries = match walk {
            Walk::Cursor => table.cursor(from..to).and_then(roam),
            _ => table.range(from..to).and_then(|range| entries(range, walk)),
        };
        entries.map_err(stop)
    }
    fn count(&mut self, from: Key, to: Key) -> Answer<u64> {
        self.table()?.count(from..to).map_err(stop)
    }
    fn savepoint(&mut self) {}
    fn roll_back(&mut self) {}
    fn sees(&self) -> u64 {
        self.snapshot.sequence().saturating_sub(self.base)
    }
}

impl Interactive for Frozen {
    fn commit(&mut self, _relaxed: bool) -> Answer<Progress> {
        Ok(Progress::Done)
    }
}

fn entries(range: Range<Key, &'static [u8]>, walk: Walk) -> Result<Vec<(Key, Vec<u8>)>, Error> {
    if walk == Walk::Forward {
        return range.collect();
    }
    let mut entries = range.rev().collect::<Result<Vec<_>, Error>>()?;
    entries.reverse();
    Ok(entries)
}

fn roam(mut cursor: Cursor<Key, &'static [u8]>) -> Result<Vec<(Key, Vec<u8>)>, Error> {
    let mut entries = Vec::new();
    let mut next = cursor.first()?.map(|(key, value)| (key, value.to_vec()));
    while let Some(entry) = next {
        entries.push(entry);
        next = cursor.next()?.map(|(key, value)| (key, value.to_vec()));
    }
    Ok(entries)
}

/// How far a commit has come, by its result and by whether it is among the commits now.
pub fn progress(result: Result<(), Error>, applied: bool) -> Answer<Progress> {
    match result {
        Ok(()) => Ok(Progress::Done),
        Err(Error::Pending(_)) if applied => Ok(Progress::Waiting),
        Err(Error::Pending(_)) => Ok(Progress::NotYet),
        Err(error) => Err(stop(error)),
    }
}

/// An error as the workload sees it.
pub fn stop(error: Error) -> Stop {
    match error {
        Error::Conflict { .. } | Error::TransactionTooOld | Error::Deadlock { .. } => Stop::Refused,
        error => Stop::Failed(error.to_string()),
    }
}
