//! The engine on a simulated disk, without threads, with barriers that complete later: commits wait between being applied
//! and being visible, as with group commit.

use std::rc::Rc;
use std::sync::Arc;

use lightning_db::env::{FixedClock, SeededEntropy, Storage};
use lightning_db::{
    Cursor, Database, Durability, Environment, Error, Isolation, Options, Range, ReadTable, Savepoint, Snapshot, Table,
    Transaction, WriteTransaction,
};

use super::history::Key;
use super::store::{Answer, Interactive, Operations, Progress, Single, Stop, Store, Walk};
use crate::paging::PagingStorage;
use crate::random::Random;
use crate::sim_disk::SimDisk;

/// The table of all histories.
pub const TABLE: Table<'static, Key, &'static [u8]> = Table::new("histories");

/// A database under simulation.
#[derive(Debug)]
pub struct Lightning {
    disk: Arc<SimDisk>,
    /// Absent only while it is down.
    open: Option<Open>,
    openings: u64,
    pending_syncs: bool,
    options: Options,
    /// The sequence before the first commit of the history.
    base: u64,
}

#[derive(Clone, Debug)]
struct Open {
    database: Database,
    pager: Arc<PagingStorage<SimDisk>>,
}

impl Lightning {
    /// An empty database; the seed decides its sizes and whether barriers complete later.
    pub fn new(seed: u64) -> Answer<Self> {
        let mut random = Random::new(seed ^ 0x6c69_6768_746e);
        let mut options = Options::default();
        options.background_thread = false;
        options.memory_budget_bytes = 2 << 20;
        options.memtable_bytes = Some(random.between(4, 32) as usize * 1024);
        options.log_segment_bytes = 64 << 10;
        let disk = Arc::new(SimDisk::new(random.bits()));
        let pending_syncs = random.chance(3, 4);
        // Where barriers complete later a commit does not wait for that of its values in extents of their own: after a
        // power loss its frame may be there without them.
        options.inline_bytes_max = if pending_syncs { 4096 } else { 256 };
        let mut lightning = Self { disk, open: None, openings: 0, pending_syncs, options, base: 0 };
        lightning.open()?;
        let open = lightning.up()?;
        // Opening has a barrier of its own, without which nothing is committed.
        while open.database.stats().commits == 0 {
            finish(open.database.transaction(|tx| tx.table(TABLE).map(|_| ())))?;
            open.complete();
        }
        open.settle()?;
        lightning.base = open.database.snapshot().sequence();
        Ok(lightning)
    }

    fn open(&mut self) -> Answer<()> {
        self.openings += 1;
        let pager = PagingStorage::new(Arc::clone(&self.disk), self.openings, (0, 1));
        let pager = Arc::new(if self.pending_syncs { pager.with_pending_syncs() } else { pager });
        let env = Environment {
            clock: Arc::new(FixedClock(1_700_000_000_000)),
            entropy: Arc::new(SeededEntropy::new(self.openings)),
        };
        let storage = Arc::clone(&pager) as Arc<dyn Storage>;
        let database = Database::open_storage(storage, env, self.options.clone()).map_err(stop)?;
        self.open = Some(Open { database, pager });
        Ok(())
    }

    fn up(&self) -> Answer<&Open> {
        self.open.as_ref().ok_or_else(|| Stop::Failed("the database is down".into()))
    }

    /// How many commits a sequence stands for.
    fn commits(&self, sequence: u64) -> u64 {
        sequence.saturating_sub(self.base)
    }
}

impl Open {
    /// Completes the oldest barrier, if any is pending.
    fn complete(&self) {
        if let Some((ticket, result)) = self.pager.complete_sync() {
            self.database.complete_sync(ticket, result.map_err(|error| error.to_string()));
        }
    }

    /// Completes what is pending until everything is durable.
    fn settle(&self) -> Answer<()> {
        while !done(self.database.sync())? {
            self.complete();
        }
        Ok(())
    }
}

/// A result that may be pending: whether it is there.
fn done(result: Result<(), Error>) -> Answer<bool> {
    match result {
        Ok(()) => Ok(true),
        Err(Error::Pending(_)) => Ok(false),
        Err(error) => Err(stop(error)),
    }
}

fn finish(result: Result<(), Error>) -> Answer<()> {
    done(result).map(|_| ())
}

/// An error as the workload sees it.
pub fn stop(error: Error) -> Stop {
    match error {
        Error::Conflict { .. } | Error::TransactionTooOld | Error::Deadlock { .. } => Stop::Refused,
        error => Stop::Failed(error.to_string()),
    }
}

impl Store for Lightning {
    fn begin(&self, level: Isolation) -> Box<dyn Interactive> {
        let Some(open) = &self.open else { unreachable!("nothing begins while the database is down") };
        let transaction = open.database.begin(level);
        let body = Body { savepoints: Vec::new(), base: self.base };
        Box::new(Begun { open: Rc::new(open.clone()), transaction, body })
    }

    fn snapshot(&self) -> Box<dyn Interactive> {
        let Some(open) = &self.open else { unreachable!("nothing begins while the database is down") };
        Box::new(Frozen { snapshot: open.database.snapshot(), base: self.base })
    }

    fn single(&self, write: Single<'_>) -> Answer<Progress> {
        let database = &self.up()?.database;
        let before = database.stats().commits;
        let result = database.table(TABLE).and_then(|table| match write {
            Single::Put(key, value) => table.put(key, value),
            Single::DeleteRange(from, to) => table.delete_range(from..to),
        });
        progress(result, database.stats().commits > before)
    }

    fn exclusive(&self, body: &mut dyn FnMut(&mut dyn Operations) -> Answer<()>) -> Answer<Progress> {
        let open = self.up()?;
        let before = open.database.stats().commits;
        let mut stopped = None;
        let result = open.database.transaction(|tx| {
            let mut operations = Inside { tx, body: Body { savepoints: Vec::new(), base: self.base } };
            body(&mut operations).map_err(|stop| {
                stopped = Some(stop);
                Error::Closed
            })
        });
        match (result, stopped) {
            (_, Some(stop)) => Err(stop),
            (result, None) => progress(result, open.database.stats().commits > before),
        }
    }

    fn settled(&self) -> Answer<bool> {
        done(self.up()?.database.sync())
    }

    fn idle(&self, random: &mut Random) -> Answer<()> {
        let open = self.up()?;
        match random.below(64) {
            0 => finish(open.database.compact()),
            1..=3 => finish(open.database.checkpoint()),
            4..=35 => {
                open.complete();
                Ok(())
            }
            _ => finish(open.database.step().map(|_| ())),
        }
    }

    fn crash(&mut self, power_loss: Option<u64>) -> Answer<u64> {
        self.disk.crash();
        self.open = None;
        match power_loss {
            Some(seed) => self.disk.power_loss(seed),
            None => self.disk.kill(),
        }
        self.open()?;
        Ok(self.commits(self.up()?.database.snapshot().sequence()))
    }
}

fn progress(result: Result<(), Error>, applied: bool) -> Answer<Progress> {
    match result {
        Ok(()) => Ok(Progress::Done),
        Err(Error::Pending(_)) if applied => Ok(Progress::Waiting),
        Err(Error::Pending(_)) => Ok(Progress::NotYet),
        Err(error) => Err(stop(error)),
    }
}

struct Begun {
    open: Rc<Open>,
    transaction: Transaction,
    body: Body,
}

/// A transaction given to a closure.
pub struct Inside<'a> {
    tx: &'a mut WriteTransaction,
    body: Body,
}

impl<'a> Inside<'a> {
    /// The operations on a transaction.
    pub fn new(tx: &'a mut WriteTransaction) -> Self {
        Self { tx, body: Body { savepoints: Vec::new(), base: 0 } }
    }
}

struct Body {
    savepoints: Vec<Savepoint>,
    base: u64,
}

impl Begun {
    fn inside(&mut self) -> (&mut WriteTransaction, &mut Body) {
        (&mut self.transaction, &mut self.body)
    }
}

impl Inside<'_> {
    fn inside(&mut self) -> (&mut WriteTransaction, &mut Body) {
        (self.tx, &mut self.body)
    }
}

/// A snapshot.
struct Frozen {
    snapshot: Snapshot,
    base: u64,
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
        if key % 2 == 0 {
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

/// The operations, the same for both.
macro_rules! operations {
    ($type:ty) => {
        impl Operations for $type {
            fn get(&mut self, key: Key) -> Answer<Option<Vec<u8>>> {
                let (tx, _) = self.inside();
                let mut table = tx.table(TABLE).map_err(stop)?;
                Ok(table.get(key).map_err(stop)?.map(|found| found.to_vec()))
            }
            fn put(&mut self, key: Key, value: &[u8]) -> Answer<()> {
                let (tx, _) = self.inside();
                tx.table(TABLE).and_then(|mut table| table.put(key, value)).map_err(stop)
            }
            fn delete(&mut self, key: Key) -> Answer<bool> {
                let (tx, _) = self.inside();
                tx.table(TABLE).and_then(|mut table| table.delete(key)).map_err(stop)
            }
            fn delete_range(&mut self, from: Key, to: Key) -> Answer<()> {
                let (tx, _) = self.inside();
                tx.table(TABLE).and_then(|mut table| table.delete_range(from..to)).map_err(stop)
            }
            fn scan(&mut self, from: Key, to: Key, walk: Walk) -> Answer<Vec<(Key, Vec<u8>)>> {
                let (tx, _) = self.inside();
                let mut table = tx.table(TABLE).map_err(stop)?;
                let entries = match walk {
                    Walk::Cursor => table.cursor(from..to).and_then(roam),
                    _ => table.range(from..to).and_then(|range| entries(range, walk)),
                };
                entries.map_err(stop)
            }
            fn count(&mut self, from: Key, to: Key) -> Answer<u64> {
                let (tx, _) = self.inside();
                tx.table(TABLE).and_then(|mut table| table.count(from..to)).map_err(stop)
            }
            fn savepoint(&mut self) {
                let (tx, body) = self.inside();
                body.savepoints.push(tx.savepoint());
            }
            fn roll_back(&mut self) {
                let (tx, body) = self.inside();
                if let Some(savepoint) = body.savepoints.pop() {
                    tx.rollback_to(&savepoint);
                }
            }
            fn sees(&self) -> u64 {
                self.sequence().saturating_sub(self.body.base)
            }
        }
    };
}

operations!(Begun);
operations!(Inside<'_>);

impl Begun {
    fn sequence(&self) -> u64 {
        self.transaction.sequence()
    }
}

impl Inside<'_> {
    fn sequence(&self) -> u64 {
        self.tx.sequence()
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

impl Interactive for Begun {
    fn commit(&mut self, relaxed: bool) -> Answer<Progress> {
        let durability = if relaxed { Durability::Relaxed } else { Durability::Sync };
        let before = self.open.database.stats().commits;
        let result = self.transaction.commit_with(durability);
        progress(result, self.open.database.stats().commits > before)
    }
}
