//! Which commits concern a live result, and which pass it by. What is never missed, however late commits are seen, is shown
//! against fresh queries in `tests/src/live_results.rs`.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicUsize, Ordering};

use super::feed::{Dirty, Feed};
use super::found::Found;
use super::held::Held;
use super::*;
use crate::collection::row::Row;
use crate::collection::stored::Stored;
use crate::collection::{Collection, Expiry, Schema};
use crate::db::watched::{TableWatcher, Touched, Written};
use crate::db::{Database, Options};
use crate::document::query::{Query, Update, field};
use crate::document::{Value, cbor};
use crate::engine::{Durability, Environment};
use crate::env::{FixedClock, MemoryStorage, SeededEntropy};
use crate::table::KeyBuffer;

fn row(id: i64, age: i64) -> Value {
    [("id", Value::from(id)), ("age", age.into())].into_iter().collect()
}

fn people(durability: Durability) -> Collection<Value> {
    let env = Environment { clock: Arc::new(FixedClock(1000)), entropy: Arc::new(SeededEntropy::new(7)) };
    let options = Options { background_thread: false, durability, ..Options::default() };
    let database = Database::open_storage(Arc::new(MemoryStorage::default()), env, options).unwrap();
    let people = database.collection("people", Schema::key("id").index("age")).unwrap();
    people.put_many(&(0..100).map(|id| row(id, id)).collect::<Vec<_>>()).unwrap();
    people
}

/// A live result, and how often it was told that there may be something new.
struct Counted {
    watch: Subscription<Value>,
    told: Arc<AtomicUsize>,
}

impl Counted {
    fn new(people: &Collection<Value>, query: Query) -> Self {
        let (mut watch, told) = (people.watch(query).unwrap(), Arc::new(AtomicUsize::new(0)));
        watch.try_next().unwrap().unwrap();
        let counter = Arc::clone(&told);
        watch.on_ready(move || {
            counter.fetch_add(1, Ordering::Relaxed);
        });
        Self { watch, told }
    }

    fn told(&self) -> usize {
        self.told.load(Ordering::Relaxed)
    }
}

#[test]
fn a_commit_that_concerns_no_row_wakes_nobody() {
    for durability in [Durability::Sync, Durability::Relaxed] {
        let people = people(durability);
        let others = people.database().collection::<Value>("others", Schema::key("id")).unwrap();
        let mut watches = [
            Query::new().filter(field("age").between(10, 40)),
            Query::new().filter(field("age").between(10, 40)).order_by("age").descending().limit(5),
            Query::new().order_by("age").offset(2).limit(20),
            Query::new().filter(field("age").from(10)).order_by("age").limit(3),
        ]
        .map(|query| Counted::new(&people, query));
        for round in 0..40 {
            // There already, new, in both orders of age, gone again.
            people.put(&row(70, 60 + round)).unwrap();
            people.update(80, &Update::new().set("age", 300 - round)).unwrap();
            people.put(&row(200 + round, 90)).unwrap();
            people.put_expiring(&row(500, 50), Expiry::At(2000)).unwrap();
            people.delete(200 + round).unwrap();
            people.delete(10_000).unwrap();
            people.put_many(&(60..90).map(|id| row(id, id + round)).collect::<Vec<_>>()).unwrap();
            others.put(&row(1, 20)).unwrap();
        }
        for Counted { watch, told } in &mut watches {
            assert_eq!(told.load(Ordering::Relaxed), 0);
            assert_eq!(watch.try_next().unwrap(), None);
            assert_eq!(told.load(Ordering::Relaxed), 0);
        }
    }
}

#[test]
fn each_commit_that_may_concern_a_row_wakes_once() {
    let people = people(Durability::Sync);
    let mut watch = Counted::new(&people, Query::new().filter(field("age").between(10, 40)).order_by("age"));
    let mut window = Counted::new(&people, Query::new().order_by("age").offset(2).limit(3));
    // What is done, and whether it concerns each of the two.
    type Act<'a> = (&'a str, &'a dyn Fn(), bool, bool);
    let long = |id: i64, age: i64, len: usize| {
        let document = [("id", Value::from(id)), ("name", "x".repeat(len).into()), ("age", age.into())];
        people.put(&document.into_iter().collect()).unwrap();
    };
    let acts: [Act<'_>; 11] = [
        ("another row", &|| people.put(&row(200, 20)).unwrap(), true, false),
        ("a row that changes", &|| people.put(&row(200, 21)).unwrap(), true, false),
        ("a row no longer", &|| people.put(&row(200, 90)).unwrap(), true, false),
        ("a row that is deleted", &|| assert!(people.delete(30).unwrap()), true, false),
        ("one before the window", &|| people.put(&row(300, -1)).unwrap(), false, true),
        ("one before it is gone", &|| assert!(people.delete(300).unwrap()), false, true),
        ("a row held behind the window", &|| assert!(people.delete(7).unwrap()), false, true),
        ("among many others", &|| people.put_many(&[row(90, 91), row(15, 1), row(91, 92)]).unwrap(), true, true),
        // In doubt.
        ("a value that lies elsewhere", &|| long(400, 99, 100_000), true, true),
        ("it again, gone", &|| assert!(people.delete(400).unwrap()), false, false),
        ("much, in many commits", &|| (0..20).for_each(|_| long(401, 99, 1500)), false, false),
    ];
    for (what, act, concerns_all, concerns_window) in acts {
        for counted in [&mut watch, &mut window] {
            while counted.watch.try_next().unwrap().is_some() {}
            counted.told.store(0, Ordering::Relaxed);
        }
        act();
        assert_eq!((watch.told(), window.told()), (usize::from(concerns_all), usize::from(concerns_window)), "{what}");
    }
    // One commit alone is more than is gone through.
    let many: Vec<Value> = (0..10_000).map(|id| row(1000 + id, 1000 + id)).collect();
    people.put_many(&many).unwrap();
    assert_eq!((watch.told(), window.told()), (1, 1));
    while watch.watch.try_next().unwrap().is_some() || window.watch.try_next().unwrap().is_some() {}
    people.delete_where(Query::new()).unwrap();
    assert_eq!((watch.told(), window.told()), (2, 2));
}

fn found() -> Found {
    Found::new(Query::new().filter(field("age").from(10)).order_by("age").normalised().unwrap()).unwrap()
}

/// No row, of those up to the document of this id and age.
fn held(end: Option<i64>) -> Held {
    let position = |age: i64| {
        let row = Row { key: key(age), document: cbor::encode(&row(age, age)).unwrap() };
        found().row(row, None).unwrap().position
    };
    Held { keys: crate::hashing::HashSet::default(), end: end.map(position) }
}

/// A feed of the documents with an age of at least 10, in the order of their age.
fn feed(end: Option<i64>) -> Feed {
    let feed = Feed::new(Arc::new(found()));
    feed.settle(held(end), Dirty::default());
    feed
}

fn key(id: i64) -> Vec<u8> {
    let mut key = KeyBuffer::new();
    crate::document::key::encode(&Value::from(id), &mut key).unwrap();
    key.to_vec()
}

/// Commit `sequence` writes a document of this age; whether it is noted.
fn writes(feed: &Feed, sequence: u64, id: i64, age: i64) -> bool {
    let (document, mut stored) = (cbor::encode(&row(id, age)).unwrap(), Vec::new());
    Stored { expires_ms: None, document: &document }.write(&mut stored);
    feed.touched(sequence, Touched::Key(&key(id), Written::Value(&stored)));
    is_noted(feed, id, sequence)
}

fn deletes(feed: &Feed, sequence: u64, id: i64) -> bool {
    feed.touched(sequence, Touched::Key(&key(id), Written::Nothing));
    is_noted(feed, id, sequence)
}

fn is_noted(feed: &Feed, id: i64, sequence: u64) -> bool {
    feed.noted(|dirty| dirty.keys.get(&key(id)) == Some(&sequence))
}

#[test]
fn what_was_noted_is_noted_again_whatever_becomes_of_it() {
    let feed = feed(None);
    assert!(!writes(&feed, 1, 1, 5) && !deletes(&feed, 2, 1), "it was never a row");
    assert!(writes(&feed, 3, 1, 10));
    assert!(writes(&feed, 4, 1, 5) && deletes(&feed, 5, 1), "it is a row in the state after 3");
    assert!(!deletes(&feed, 6, 2));
    // Not read as long as it does not show.
    feed.look();
    let mut rest = feed.take(0, 3);
    rest.looked_at(3);
    assert!(writes(&feed, 7, 2, 5), "while somebody looks every document matters");
    feed.settle(held(None), rest);
    assert!(is_noted(&feed, 1, 5) && is_noted(&feed, 2, 7));
}

#[test]
fn when_all_documents_are_noted_each_is_noted_anew() {
    let feed = feed(None);
    for id in 0..=10_000 {
        writes(&feed, 1, id, 20);
    }
    assert!(feed.noted(|dirty| dirty.keys.is_empty() && dirty.is_whole_by(1)), "too many");
    assert!(deletes(&feed, 2, 7), "nobody knows any more that it is a row in the state after 1");
}

#[test]
fn what_was_passed_over_is_noted_before_rows_behind_the_end_are_read() {
    let feed = feed(Some(50));
    assert!(writes(&feed, 1, 1, 49) && !writes(&feed, 2, 2, 51) && !deletes(&feed, 3, 3));
    feed.look();
    assert!(!feed.recall(3), "all of it shows");
    feed.settle(held(Some(50)), Dirty::default());
    assert!(!writes(&feed, 4, 2, 52) && !deletes(&feed, 5, 3) && !writes(&feed, 6, 3, 60));
    feed.look();
    assert!(feed.recall(4));
    assert!(!is_noted(&feed, 2, 4), "it shows");
    assert!(is_noted(&feed, 3, 6));
    assert!(feed.begin().is_unpublished);
    assert!(!feed.recall(4), "they are noted now");
    // More than are remembered.
    feed.settle(held(Some(50)), Dirty::default());
    feed.take(0, 6);
    for id in 0..1000 {
        assert!(!writes(&feed, 7, id, 70));
    }
    feed.look();
    assert!(feed.recall(6) && feed.noted(|dirty| dirty.is_whole_by(7) && !dirty.is_whole_by(6)));
}
