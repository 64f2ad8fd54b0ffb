//! Live results over a storage that completes barriers late, so that commits are told long before they are visible.
//!
//! A receiver asks only now and then. When it does, its rows are what a fresh query finds; and until it is called, they are, too: nobody
//! is left with rows of the past.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use lightning_db::env::{FileId, FixedClock, MemoryStorage, SeededEntropy, Storage, StorageError, Sync, SyncTicket};
use lightning_db::{Collection, Database, Durability, Environment, Error, Options, Query, Schema, Subscription, Value};
use lightning_db::{Result, WriteCollection, field};

use crate::random::Random;

/// Of one run.
pub const STEPS: usize = 120;
const IDS: u64 = 40;
const AGES: u64 = 12;

/// Follows random commits; fails with what was wrong.
pub fn look(seed: u64) -> std::result::Result<(), String> {
    run(seed).unwrap_or_else(|error| Err(format!("{}: {error}", error.name())))
}

/// Memory that says when it has completed a barrier, and completes it when it is told to.
#[derive(Debug, Default)]
struct Late {
    memory: MemoryStorage,
    barriers: Mutex<Barriers>,
}

#[derive(Debug, Default)]
struct Barriers {
    is_late: bool,
    last: u64,
    waiting: VecDeque<SyncTicket>,
}

impl Late {
    fn barriers<R>(&self, with: impl FnOnce(&mut Barriers) -> R) -> R {
        with(&mut self.barriers.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Storage for Late {
    fn name(&self) -> String {
        self.memory.name()
    }
    fn len(&self, file: FileId) -> std::result::Result<u64, StorageError> {
        self.memory.len(file)
    }
    fn set_len(&self, file: FileId, len: u64) -> std::result::Result<(), StorageError> {
        self.memory.set_len(file, len)
    }
    fn read_at(&self, file: FileId, offset: u64, buffer: &mut [u8]) -> std::result::Result<(), StorageError> {
        self.memory.read_at(file, offset, buffer)
    }
    fn write_at(&self, file: FileId, offset: u64, bytes: &[u8]) -> std::result::Result<(), StorageError> {
        self.memory.write_at(file, offset, bytes)
    }
    fn sync(&self, file: FileId) -> std::result::Result<Sync, StorageError> {
        self.barriers(|barriers| {
            if !barriers.is_late {
                return self.memory.sync(file);
            }
            barriers.last += 1;
            barriers.waiting.push_back(SyncTicket(barriers.last));
            Ok(Sync::Pending(SyncTicket(barriers.last)))
        })
    }
}

/// One who follows a query and waits to be called.
struct Receiver {
    query: Query,
    watch: Subscription<Value>,
    is_called: Arc<AtomicBool>,
    rows: Vec<Vec<u8>>,
}

impl Receiver {
    fn new(people: &Collection<Value>, query: Query) -> Result<Self> {
        let (watch, is_called) = (people.watch(query.clone())?, Arc::new(AtomicBool::new(false)));
        let call = Arc::clone(&is_called);
        watch.on_ready(move || call.store(true, Ordering::Relaxed));
        Ok(Self { query, watch, is_called, rows: Vec::new() })
    }

    fn ask(&mut self) -> Result<()> {
        self.is_called.store(false, Ordering::Relaxed);
        if self.watch.try_next_cbor()?.is_some() {
            self.rows = self.watch.rows_cbor().map(<[u8]>::to_vec).collect();
        }
        Ok(())
    }

    /// What is wrong with its rows.
    fn fault(&self, people: &Collection<Value>, when: &str) -> Result<Option<String>> {
        let mut fresh = people.query(self.query.clone())?;
        let mut expected = Vec::new();
        while let Some(row) = fresh.next_cbor()? {
            expected.push(row);
        }
        let (held, there) = (self.rows.len(), expected.len());
        let at = self.rows.iter().zip(&expected).take_while(|(held, there)| held == there).count();
        let wrong =
            format!("{when} a live result is not what a query finds: {held} rows for {there}, alike up to {at}");
        Ok((self.rows != expected).then_some(wrong))
    }
}

fn run(seed: u64) -> Result<std::result::Result<(), String>> {
    let mut random = Random::new(seed);
    let storage = Arc::new(Late::default());
    let environment =
        Environment { clock: Arc::new(FixedClock(1000)), entropy: Arc::new(SeededEntropy::new(random.bits())) };
    let mut options = Options::default();
    options.background_thread = false;
    let database = Database::open_storage(Arc::clone(&storage) as Arc<dyn Storage>, environment, options)?;
    let schema = if random.chance(1, 2) { Schema::key("id").index("age") } else { Schema::key("id") };
    let people = database.collection::<Value>("people", schema)?;
    people.write(|people| (0..IDS).try_for_each(|id| people.put(&document(id, random.below(AGES)))))?;
    let mut receivers = queries().into_iter().map(|query| Receiver::new(&people, query)).collect::<Result<Vec<_>>>()?;

    storage.barriers(|barriers| barriers.is_late = true);
    for _ in 0..STEPS {
        match random.below(8) {
            0..=3 => commit(&database, &people, &mut random)?,
            4..=5 => complete(&database, &storage)?,
            _ => {
                for receiver in &mut receivers {
                    if random.chance(1, 3) {
                        receiver.ask()?;
                        if let Some(fault) = receiver.fault(&people, "asked,")? {
                            return Ok(Err(fault));
                        }
                    }
                }
            }
        }
        for receiver in receivers.iter().filter(|receiver| !receiver.is_called.load(Ordering::Relaxed)) {
            if let Some(fault) = receiver.fault(&people, "not called,")? {
                return Ok(Err(fault));
            }
        }
    }
    storage.barriers(|barriers| barriers.is_late = false);
    while storage.barriers(|barriers| !barriers.waiting.is_empty()) {
        complete(&database, &storage)?;
    }
    for receiver in &mut receivers {
        receiver.ask()?;
        if let Some(fault) = receiver.fault(&people, "at the end")? {
            return Ok(Err(fault));
        }
    }
    database.close()?;
    Ok(Ok(()))
}

fn queries() -> Vec<Query> {
    let some = || field("age").between(3, 8);
    vec![
        Query::new(),
        Query::new().filter(some()),
        Query::new().filter(some()).order_by("age").limit(1),
        Query::new().order_by("age").limit(2),
        Query::new().order_by("age").descending().limit(2),
        Query::new().order_by("age").offset(1).limit(1),
        Query::new().reverse().limit(3),
        Query::new().filter(field("age").from(6)).order_by("id").offset(2),
    ]
}

fn document(id: u64, age: u64) -> Value {
    [("id", Value::from(id)), ("age", age.into())].into_iter().collect()
}

fn commit(database: &Database, people: &Collection<Value>, random: &mut Random) -> Result<()> {
    let durability = if random.chance(2, 3) { Durability::Sync } else { Durability::Relaxed };
    let changes = random.between(1, 3);
    let committed = database.transaction_with(durability, |tx| {
        let mut people = tx.collection(people)?;
        (0..changes).try_for_each(|_| change(&mut people, random))
    });
    match committed {
        // It is applied, and visible some time.
        Err(Error::Pending(_)) => Ok(()),
        committed => committed,
    }
}

fn change(people: &mut WriteCollection<'_, Value>, random: &mut Random) -> Result<()> {
    let lowest = |random: &mut Random| {
        let order = Query::new().order_by("age").limit(random.between(1, 12));
        if random.chance(1, 2) { order.descending() } else { order }
    };
    match random.below(12) {
        0..=6 => people.put(&document(random.below(IDS), random.below(AGES))),
        7..=9 => people.delete(random.below(IDS)).map(drop),
        10 => people.delete_where(lowest(random)).map(drop),
        // More than a result remembers of those that it passes over.
        _ => (0..2 * IDS).try_for_each(|id| people.put(&document(IDS / 2 + id, random.below(AGES)))),
    }
}

/// The oldest barrier is complete; whoever waits for the next asks for it.
fn complete(database: &Database, storage: &Late) -> Result<()> {
    if let Some(ticket) = storage.barriers(|barriers| barriers.waiting.pop_front()) {
        database.complete_sync(ticket, Ok(()));
    }
    match database.sync() {
        Err(Error::Pending(_)) => Ok(()),
        synced => synced,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_live_result_is_what_a_query_finds_however_late_commits_are_seen() {
        for seed in 0..300 {
            assert_eq!(look(seed), Ok(()), "seed {seed}");
        }
    }
}
