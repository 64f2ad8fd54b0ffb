//! Live results from the outside: against fresh queries, through failures, with threads.

use alloc::format;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use proptest::prelude::*;

use super::feed::{Dirty, Feed};
use super::*;
use crate::collection::{Collection, Expiry, Migrations, Schema};
use crate::db::watched::{TableWatcher, Touched};
use crate::db::{Database, Isolation, Options};
use crate::document::query::{Query, Update, field};
use crate::document::{Value, cbor};
use crate::engine::{Durability, Environment};
use crate::env::{Clock, Failing, HandSet, MemoryStorage, SeededEntropy, Storage, SystemClock};
use crate::error::{Error, Result};

fn open(storage: Arc<dyn Storage>, clock: Arc<dyn Clock>, durability: Durability) -> Database {
    let env = Environment { clock, entropy: Arc::new(SeededEntropy::new(7)) };
    let options =
        Options { background_thread: false, memtable_bytes: Some(64 << 10), durability, ..Options::default() };
    Database::open_storage(storage, env, options).unwrap()
}

fn database() -> Database {
    open(Arc::new(MemoryStorage::default()), Arc::new(HandSet::default()), Durability::Sync)
}

fn row(id: i64, age: impl Into<Value>) -> Value {
    [("id", Value::from(id)), ("age", age.into())].into_iter().collect()
}

fn people(database: &Database) -> Collection<Value> {
    database.collection("people", Schema::key("id").index("age")).unwrap()
}

/// Ids of documents.
fn ids<'v>(rows: impl IntoIterator<Item = &'v Value>) -> Vec<i64> {
    rows.into_iter().map(|row| row.get("id").and_then(Value::as_i64).unwrap()).collect()
}

fn some(change: Result<Option<RowsChange<Value>>>) -> RowsChange<Value> {
    change.unwrap().expect("something has changed")
}

#[test]
fn a_watch_gives_the_rows_and_then_what_commits_change() {
    let database = database();
    let people = people(&database);
    for (id, age) in [(1, 30), (2, 20), (3, 40)] {
        people.put(&row(id, age)).unwrap();
    }
    let mut watch = people.watch(Query::new().filter(field("age").above(25)).order_by("age")).unwrap();
    let first = some(watch.try_next());
    assert_eq!((ids(&first.rows), ids(&first.added)), (vec![1, 3], vec![1, 3]));
    assert!(first.changed.is_empty() && first.removed.is_empty());
    assert_eq!(watch.try_next().unwrap(), None);

    // Outside of the query, in another collection, the same again.
    people.put(&row(4, 10)).unwrap();
    people.put(&row(1, 30)).unwrap();
    let others = database.collection::<Value>("others", Schema::key("id")).unwrap();
    others.put(&row(1, 99)).unwrap();
    assert_eq!(watch.try_next().unwrap(), None);

    people.put(&row(4, 35)).unwrap();
    people.put(&row(1, 50)).unwrap();
    people.delete(3).unwrap();
    let change = some(watch.try_next());
    assert_eq!(ids(&change.rows), [4, 1]);
    assert_eq!((ids(&change.added), ids(&change.changed), change.removed), (vec![4], vec![1], vec![Value::from(3)]));
    assert_eq!(change.sequence, database.snapshot().sequence());

    // There and back again is nothing.
    people.put(&row(4, 5)).unwrap();
    people.put(&row(4, 35)).unwrap();
    assert_eq!(watch.try_next().unwrap(), None);
}

#[test]
fn a_window_is_kept_full_by_the_rows_behind_it() {
    let database = database();
    let people = people(&database);
    people.put_many(&(0..100).map(|id| row(id, id)).collect::<Vec<_>>()).unwrap();
    let mut watch = people.watch(Query::new().order_by("age").offset(2).limit(3)).unwrap();
    assert_eq!(ids(&some(watch.try_next()).rows), [2, 3, 4]);
    for gone in 0..90 {
        people.delete(gone).unwrap();
        let change = some(watch.try_next());
        assert_eq!(ids(&change.rows), [gone + 3, gone + 4, gone + 5]);
        assert_eq!((change.removed, ids(&change.added)), (vec![Value::from(gone + 2)], vec![gone + 5]));
    }
    // Before the window, in it, behind it.
    people.put(&row(200, -1)).unwrap();
    assert_eq!(ids(&some(watch.try_next()).rows), [91, 92, 93]);
    people.put(&row(92, 1000)).unwrap();
    assert_eq!(ids(&some(watch.try_next()).rows), [91, 93, 94]);
    people.put(&row(300, 500)).unwrap();
    assert_eq!(watch.try_next().unwrap(), None);
    people.delete_where(Query::new()).unwrap();
    assert_eq!(ids(&some(watch.try_next()).rows), Vec::<i64>::new());
}

#[test]
fn a_row_that_is_sorted_by_what_is_not_asked_for_is_told_only_when_it_moves() {
    let database = database();
    let people = people(&database);
    people.put_many(&[row(1, 10), row(2, 20), row(3, 30)]).unwrap();
    let query = Query::new().order_by("age").select(["id"]);
    for query in [query.clone(), query.limit(2)] {
        let mut watch = people.watch(query).unwrap();
        some(watch.try_next());
        people.put(&row(2, 21)).unwrap();
        assert_eq!(watch.try_next().unwrap(), None);
        people.put(&row(2, 5)).unwrap();
        let change = some(watch.try_next());
        assert_eq!((ids(&change.rows)[0], ids(&change.changed)[0]), (2, 2));
        people.put(&row(2, 20)).unwrap();
    }
}

#[test]
fn rows_leave_when_their_time_has_come() {
    let clock = Arc::new(HandSet::default());
    let database = open(Arc::new(MemoryStorage::default()), Arc::clone(&clock) as Arc<dyn Clock>, Durability::Sync);
    let people = people(&database);
    for id in 0..4 {
        people.put_expiring(&row(id, id), Expiry::At(100 * (id as u64 + 1))).unwrap();
    }
    let mut all = people.watch(Query::new()).unwrap();
    let mut window = people.watch(Query::new().offset(1).limit(1)).unwrap();
    assert_eq!(all.wake_at_ms(), None);
    some(all.try_next());
    assert_eq!(ids(&some(window.try_next()).rows), [1]);
    assert_eq!(all.wake_at_ms(), Some(100));
    clock.0.store(99, Ordering::Relaxed);
    assert_eq!(all.try_next().unwrap(), None);
    // One stays longer: nothing is told of that.
    people.put_expiring(&row(1, 1), Expiry::At(1000)).unwrap();
    assert_eq!(all.try_next().unwrap(), None);
    clock.0.store(300, Ordering::Relaxed);
    let change = some(all.try_next());
    assert_eq!((ids(&change.rows), change.removed), (vec![1, 3], vec![Value::from(0), Value::from(2)]));
    assert_eq!(all.wake_at_ms(), Some(400));
    assert_eq!(ids(&some(window.try_next()).rows), [3]);
    // Their removal changes nothing.
    database.remove_expired().unwrap();
    assert_eq!(all.try_next().unwrap(), None);
    // A wait ends for them, though nobody commits.
    clock.0.store(400, Ordering::Relaxed);
    assert_eq!(ids(&all.next().unwrap().unwrap().rows), [1]);
}

#[test]
fn dropping_the_collection_or_making_another_of_its_name_is_an_error_that_stays() {
    let database = database();
    let watch = |people: &Collection<Value>| {
        let mut watch = people.watch(Query::new()).unwrap();
        some(watch.try_next());
        watch
    };
    let mut dropped = watch(&people(&database));
    database.drop_collection("people").unwrap();
    for _ in 0..2 {
        assert!(matches!(dropped.try_next(), Err(Error::NoSuchTable { table }) if table == "people"));
    }
    assert!(matches!(dropped.next(), Some(Err(Error::NoSuchTable { .. }))));
    assert!(dropped.next().is_none());

    let mut remade = watch(&people(&database));
    database.drop_collection("people").unwrap();
    people(&database).put(&row(1, 1)).unwrap();
    assert!(matches!(remade.try_next(), Err(Error::SchemaMismatch { .. })));

    // An index more or less is none of its business.
    let mut watch = watch(&people(&database));
    people(&database).drop_index("age").unwrap();
    assert_eq!(watch.try_next().unwrap(), None);
    let migrations = Migrations::new().documents(1, |document| {
        *document = row(document.get("id").and_then(Value::as_i64).unwrap(), "old");
        Ok(())
    });
    database.collection_with::<Value>("people", Schema::key("id").version(2), migrations, &mut |_| {}).unwrap();
    assert!(matches!(watch.try_next(), Err(Error::SchemaTooNew { found: 2, known: 1, .. })));
}

#[test]
fn closing_is_told_and_no_subscription_keeps_a_database_open() {
    let database = database();
    let mut closed = people(&database).watch(Query::new()).unwrap();
    some(closed.try_next());
    people(&database).put(&row(1, 1)).unwrap();
    database.close().unwrap();
    assert!(matches!(closed.try_next(), Err(Error::Closed)));
    assert!(matches!(closed.next(), Some(Err(Error::Closed))));
    assert!(closed.next().is_none());

    let database = self::database();
    let mut left = people(&database).watch(Query::new()).unwrap();
    some(left.try_next());
    drop(database);
    assert!(matches!(left.next(), Some(Err(Error::Closed))));
}

#[test]
fn a_failed_sync_is_told_after_what_was_published_before_it() {
    let storage = Arc::new(Failing::default());
    let database = open(Arc::clone(&storage) as Arc<dyn Storage>, Arc::new(HandSet::default()), Durability::Sync);
    let people = people(&database);
    let mut watch = people.watch(Query::new()).unwrap();
    some(watch.try_next());
    people.put(&row(1, 1)).unwrap();
    *storage.syncs.lock().unwrap() = true;
    assert!(matches!(people.put(&row(2, 2)), Err(Error::OutcomeUnknown { .. })));
    assert_eq!(ids(&some(watch.try_next()).rows), [1]);
    assert!(matches!(watch.try_next(), Err(Error::Poisoned { .. })));
}

#[test]
fn bytes_that_are_not_there_are_fetched_and_the_subscription_goes_on() {
    let storage = Arc::new(Failing::default());
    let clock = Arc::new(HandSet::default());
    let database =
        open(Arc::clone(&storage) as Arc<dyn Storage>, Arc::clone(&clock) as Arc<dyn Clock>, Durability::Sync);
    let long = "x".repeat(2000);
    people(&database)
        .put_many(&(0..400).map(|id| row(id, format!("{:03}{long}", id * 7 % 400))).collect::<Vec<_>>())
        .unwrap();
    database.close().unwrap();
    drop(database);

    let database = open(Arc::clone(&storage) as Arc<dyn Storage>, clock, Durability::Sync);
    let people = people(&database);
    let mut watch = people.watch(Query::new().order_by("age").offset(3).limit(40)).unwrap();
    let mut fetches = 0;
    let mut next = |people: &Collection<Value>| {
        *storage.fetched.lock().unwrap() = Some(Vec::new());
        let change = loop {
            match watch.try_next() {
                Err(error) => {
                    let (_, offset, len) = error.not_resident().expect("only what can be fetched fails");
                    fetches += 1;
                    storage.fetched.lock().unwrap().as_mut().unwrap().push((offset, len));
                }
                given => break given.unwrap(),
            }
        };
        *storage.fetched.lock().unwrap() = None;
        let fresh: Vec<Value> =
            people.query(Query::new().order_by("age").offset(3).limit(40)).unwrap().map(Result::unwrap).collect();
        assert_eq!(change.unwrap().rows, fresh);
    };
    next(&people);
    for _ in 0..3 {
        // More go than are held beyond the window.
        people.delete_where(Query::new().order_by("age").limit(30)).unwrap();
        next(&people);
    }
    assert!(fetches > 10, "{fetches}");
}

#[test]
fn readiness_is_told_once_until_somebody_asks() {
    let database = database();
    let people = people(&database);
    let mut watch = people.watch(Query::new()).unwrap();
    let told = Arc::new(AtomicUsize::new(0));
    let count = || told.load(Ordering::Relaxed);
    let counter = Arc::clone(&told);
    watch.on_ready(move || {
        counter.fetch_add(1, Ordering::Relaxed);
    });
    assert_eq!(count(), 1, "there are the first rows");
    some(watch.try_next());
    people.put(&row(1, 1)).unwrap();
    people.put(&row(2, 2)).unwrap();
    assert_eq!(count(), 2);
    assert_eq!(ids(&some(watch.try_next()).rows), [1, 2]);
    let others = database.collection::<Value>("others", Schema::key("id")).unwrap();
    others.put(&row(1, 99)).unwrap();
    assert_eq!(count(), 2, "another collection is none of its business");
    drop(watch);
    people.put(&row(3, 3)).unwrap();
    assert_eq!(count(), 2);
}

#[test]
fn a_commit_that_nobody_sees_yet_is_no_change_and_not_lost() {
    let database = database();
    let feed = Arc::new(Feed::new());
    let id = database.transaction(|tx| tx.take_table_id()).unwrap();
    let _watch = database.watch_table(id, "t", Arc::clone(&feed) as Arc<dyn TableWatcher>);
    feed.begin();
    let dirty = feed.take(0, 1);
    assert!(dirty.whole.is_some());
    feed.touched(5, Touched::Key(b"a"));
    feed.touched(7, Touched::Key(b"a"));
    feed.touched(7, Touched::Key(b"b"));
    let is_ready = || feed.wait(Some(core::time::Duration::ZERO));
    assert!(!is_ready());
    assert!(feed.published(5) && is_ready(), "some of it is not published");
    feed.begin();
    let mut dirty = feed.take(0, 5);
    assert_eq!(dirty.keys.len(), 2);
    dirty.looked_at(5);
    assert_eq!(dirty.keys.len(), 2, "what was written since is looked at again");
    assert!(!feed.published(7) && is_ready());
    dirty.looked_at(7);
    assert!(dirty.is_empty());
}

#[test]
fn too_many_noted_documents_are_noted_as_all() {
    let mut dirty = Dirty::default();
    for sequence in 1..=3_u64 {
        let keys = (0..4).map(|key| (vec![sequence as u8, key], sequence)).collect();
        dirty.add(Dirty { keys, ..Dirty::default() }, 10);
    }
    assert_eq!((dirty.keys.len(), dirty.whole), (0, Some((0, 3))));
    dirty.looked_at(2);
    assert_eq!(dirty.whole, Some((3, 3)));
    dirty.looked_at(3);
    assert!(dirty.is_empty());
}

#[test]
fn more_documents_than_are_noted_are_followed() {
    let database = database();
    let people = people(&database);
    let mut watch = people.watch(Query::new().filter(field("age").below(100))).unwrap();
    some(watch.try_next());
    people.put_many(&(0..12_000).map(|id| row(id, id)).collect::<Vec<_>>()).unwrap();
    let change = some(watch.try_next());
    assert_eq!((change.rows.len(), change.added.len()), (100, 100));
    assert_eq!(watch.try_next().unwrap(), None);
}

#[test]
fn writers_on_threads_are_followed_to_the_last_commit() {
    const EACH: i64 = 60;
    let clock = Arc::new(SystemClock::default());
    for durability in [Durability::Sync, Durability::Relaxed] {
        let database = open(Arc::new(MemoryStorage::default()), Arc::clone(&clock) as Arc<dyn Clock>, durability);
        let people = people(&database);
        let follow = |query: Query| {
            let mut watch = people.watch(query).unwrap();
            std::thread::spawn(move || {
                let (mut rows, mut sequence, mut changes) = (Vec::new(), 0, 0);
                loop {
                    match watch.next() {
                        Some(Ok(change)) => {
                            assert!(change.sequence > sequence && (changes == 0 || change.rows != rows));
                            (rows, sequence, changes) = (change.rows, change.sequence, changes + 1);
                            // Of each writer's documents the first so many are there, whichever they are.
                            for writer in 0..3 {
                                let of_writer = ids(&rows).into_iter().filter(|id| id % 3 == writer);
                                assert!(of_writer.enumerate().all(|(at, id)| id / 3 == at as i64), "{rows:?}");
                            }
                            if rows.len() as i64 == 3 * EACH {
                                return (watch, rows);
                            }
                        }
                        other => panic!("{other:?}"),
                    }
                }
            })
        };
        let followers = [Query::new(), Query::new().order_by("id").limit(1000)].map(follow);
        let writers = [0, 1, 2].map(|writer| {
            let people = people.clone();
            std::thread::spawn(move || {
                for at in 0..EACH {
                    people.put(&row(at * 3 + writer, at)).unwrap();
                }
            })
        });
        writers.into_iter().for_each(|writer| writer.join().unwrap());
        let watches = followers.map(|follower| follower.join().unwrap());
        // Whoever waits hears of the end.
        let waiting = watches.map(|(mut watch, rows)| {
            assert_eq!(rows.len() as i64, 3 * EACH);
            std::thread::spawn(move || [watch.next(), watch.next()])
        });
        database.close().unwrap();
        for waiting in waiting {
            assert!(matches!(waiting.join().unwrap(), [Some(Err(Error::Closed)), None]));
        }
    }
}

/// What random commits are made of.
#[derive(Clone, Debug)]
enum Step {
    Put(i64, Value, Value),
    PutExpiring(i64, Value, u64),
    Delete(i64),
    UpdateWhere(i64, i64),
    DeleteWhere(i64),
    Clear,
}

#[derive(Clone, Debug)]
enum Event {
    Commit(Vec<Step>, bool),
    Wait(u64),
    RemoveExpired,
    Merge,
    /// These watches are asked.
    Ask(u16),
}

fn age() -> impl Strategy<Value = Value> {
    prop_oneof![
        6 => (0..12_i64).prop_map(Value::from),
        1 => Just(Value::Null),
        1 => (0..24_i64).prop_map(|half| Value::Float(half as f64 / 2.0)),
        1 => "[a-c]{0,2}".prop_map(Value::from),
    ]
}

fn tags() -> impl Strategy<Value = Value> {
    prop::collection::vec((0..5_i64).prop_map(Value::from), 0..3).prop_map(Value::Array)
}

fn step() -> impl Strategy<Value = Step> {
    let id = || 0..40_i64;
    prop_oneof![
        10 => (id(), age(), tags()).prop_map(|(id, age, tags)| Step::Put(id, age, tags)),
        3 => (id(), age(), 1..60_u64).prop_map(|(id, age, after)| Step::PutExpiring(id, age, after)),
        5 => id().prop_map(Step::Delete),
        1 => (0..12_i64, 0..12_i64).prop_map(|(from, to)| Step::UpdateWhere(from, to)),
        1 => (0..12_i64).prop_map(Step::DeleteWhere),
        1 => Just(Step::Clear),
    ]
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        8 => (prop::collection::vec(step(), 1..5), any::<bool>()).prop_map(|(steps, optimistic)| Event::Commit(steps, optimistic)),
        1 => (1..30_u64).prop_map(Event::Wait),
        1 => Just(Event::RemoveExpired),
        1 => Just(Event::Merge),
        6 => any::<u16>().prop_map(Event::Ask),
    ]
}

fn queries() -> Vec<Query> {
    let adults = || field("age").between(3, 9);
    vec![
        Query::new(),
        Query::new().filter(adults()),
        Query::new().reverse().limit(4),
        Query::new().order_by("age"),
        Query::new().filter(adults()).order_by("age").descending().limit(5),
        Query::new().order_by("age").offset(3).limit(4),
        Query::new().filter(field("tags").equals(2)).order_by("tags").offset(2),
        Query::new().filter(field("tags").equals(1).or(field("age").above(7))).order_by("age").limit(1),
        Query::new().order_by("age").select(["id", "tags"]),
        Query::new().order_by("age").descending().select(["id"]).offset(1).limit(3),
        Query::new().filter(field("age").equals(Value::Null)).limit(2),
        Query::new().limit(0),
    ]
}

/// A receiver, which keeps the rows by itself.
struct Receiver {
    watch: Subscription<Value>,
    query: Query,
    rows: Option<Vec<Vec<u8>>>,
}

impl Receiver {
    fn ask(&mut self, people: &Collection<Value>, by_places: bool) {
        let mut fresh = people.query(self.query.clone()).unwrap();
        let mut expected = Vec::new();
        while let Some(row) = fresh.next_cbor().unwrap() {
            expected.push(row);
        }
        let before = self.rows.take();
        if by_places {
            if let Some(difference) = self.watch.try_next_cbor().unwrap() {
                let mut rows = before.clone().unwrap_or_default();
                let mut gone: Vec<usize> = difference.removed.iter().map(|row| row.at).collect();
                gone.extend(difference.changed.iter().map(|row| row.from));
                gone.sort_unstable();
                for at in gone.into_iter().rev() {
                    rows.remove(at);
                }
                let mut come: Vec<(usize, Vec<u8>)> =
                    difference.added.into_iter().map(|row| (row.at, row.row)).collect();
                come.extend(difference.changed.into_iter().map(|row| (row.at, row.row)));
                come.sort();
                for (at, row) in come {
                    rows.insert(at, row);
                }
                assert_eq!(difference.len, rows.len());
                assert_ne!(before.as_ref(), Some(&rows), "nothing has changed: {:?}", self.query);
                assert!(self.watch.rows_cbor().eq(rows.iter()));
                self.rows = Some(rows);
            }
        } else if let Some(change) = self.watch.try_next().unwrap() {
            assert_eq!(change.sequence, people.database().snapshot().sequence());
            let of =
                |rows: &[Vec<u8>]| rows.iter().map(|row| ids([&cbor::decode(row).unwrap()])[0]).collect::<Vec<i64>>();
            let rows: Vec<Vec<u8>> = change.rows.iter().map(|row| cbor::encode(row).unwrap()).collect();
            assert_ne!(before.as_ref(), Some(&rows), "nothing has changed: {:?}", self.query);
            let (old, new) = (of(&before.clone().unwrap_or_default()), of(&rows));
            let removed: Vec<i64> = change.removed.iter().map(|key| key.as_i64().unwrap()).collect();
            let gone: Vec<i64> = old.iter().copied().filter(|id| !new.contains(id)).collect();
            assert_eq!(removed, gone);
            let come: Vec<i64> = new.iter().copied().filter(|id| !old.contains(id)).collect();
            assert_eq!(ids(&change.added), come);
            for (id, row) in new.iter().zip(&rows).filter(|(id, _)| old.contains(id)) {
                let was = before.iter().flatten().any(|before| before == row);
                assert!(was || ids(&change.changed).contains(id));
            }
            self.rows = Some(rows);
        }
        if self.rows.is_none() {
            self.rows = before;
        }
        assert_eq!(self.rows.as_ref(), Some(&expected), "{:?}", self.query);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]
    #[test]
    fn what_is_accumulated_is_what_a_fresh_query_finds(
        indexed in any::<bool>(),
        durability in prop_oneof![Just(Durability::Sync), Just(Durability::Relaxed)],
        events in prop::collection::vec(event(), 1..60),
    ) {
        let clock = Arc::new(HandSet(AtomicU64::new(1000)));
        let database = open(Arc::new(MemoryStorage::default()), Arc::clone(&clock) as Arc<dyn Clock>, durability);
        let mut schema = Schema::key("id");
        if indexed {
            schema = schema.index("age").with(crate::collection::Index::on("tags").multi());
        }
        let people = database.collection::<Value>("people", schema).unwrap();
        people.put_many(&(0..20).map(|id| row(id, id % 7)).collect::<Vec<_>>()).unwrap();
        let after = {
            let mut rows = people.query(Query::new().order_by("age").limit(6)).unwrap();
            (0..6).for_each(|_| drop(rows.next().unwrap().unwrap()));
            rows.page_token().unwrap()
        };
        let mut queries = queries();
        queries.push(Query::new().order_by("age").after(after.clone()));
        queries.push(Query::new().order_by("age").after(after).offset(1).limit(3));
        let mut receivers: Vec<Receiver> = queries
            .into_iter()
            .map(|query| Receiver { watch: people.watch(query.clone()).unwrap(), query, rows: None })
            .collect();
        for event in events {
            match event {
                Event::Commit(steps, optimistic) => {
                    let now_ms = clock.wall_ms();
                    let write = |tx: &mut crate::db::WriteTransaction| {
                        let mut people = tx.collection(&people)?;
                        for step in &steps {
                            match step {
                                Step::Put(id, age, tags) => {
                                    let document: Value = [("id", Value::from(*id)), ("age", age.clone()), ("tags", tags.clone())]
                                        .into_iter()
                                        .collect();
                                    people.put(&document)?;
                                }
                                Step::PutExpiring(id, age, after) => {
                                    people.put_expiring(&row(*id, age.clone()), Expiry::At(now_ms + after))?;
                                }
                                Step::Delete(id) => drop(people.delete(*id)?),
                                Step::UpdateWhere(from, to) => {
                                    let update = Update::new().set("age", *to);
                                    people.update_where(Query::new().filter(field("age").equals(*from)), &update)?;
                                }
                                Step::DeleteWhere(age) => {
                                    people.delete_where(Query::new().filter(field("age").equals(*age)).limit(3))?;
                                }
                                Step::Clear => {
                                    let definition = people.definition();
                                    let mut tables = vec![definition.id, definition.expiry_id];
                                    tables.extend(definition.indexes.iter().map(|index| index.id));
                                    for table in tables {
                                        people.transaction().clear_table(table)?;
                                    }
                                }
                            }
                        }
                        Ok(())
                    };
                    match optimistic {
                        true => database.optimistic(Isolation::Serializable, write).unwrap(),
                        false => database.transaction(write).unwrap(),
                    }
                }
                Event::Wait(ms) => drop(clock.0.fetch_add(ms, Ordering::Relaxed)),
                Event::RemoveExpired => drop(database.remove_expired().unwrap()),
                Event::Merge => database.checkpoint().unwrap(),
                Event::Ask(which) => {
                    for (at, receiver) in receivers.iter_mut().enumerate() {
                        if which >> (at % 16) & 1 == 1 {
                            receiver.ask(&people, which & 0x8000 == 0);
                        }
                    }
                }
            }
        }
        for (at, receiver) in receivers.iter_mut().enumerate() {
            receiver.ask(&people, at % 2 == 0);
        }
    }
}
