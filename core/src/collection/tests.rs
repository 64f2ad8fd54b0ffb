//! Collections from the outside, on memory.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use core::sync::atomic::Ordering;

use super::*;
use crate::db::{Database, Isolation, Options};
use crate::document::Value;
use crate::document::query::{Query, Update, field};
use crate::engine::{Environment, Progress};
use crate::env::{Clock, HandSet, MemoryStorage, SeededEntropy, Storage};
use crate::error::{DuplicateKey, Error, Result};

pub(super) fn open(storage: &Arc<MemoryStorage>, clock: &Arc<HandSet>) -> Database {
    let env = Environment { clock: Arc::clone(clock) as Arc<dyn Clock>, entropy: Arc::new(SeededEntropy::new(7)) };
    let options = Options { background_thread: false, memtable_bytes: Some(64 << 10), ..Options::default() };
    Database::open_storage(Arc::clone(storage) as Arc<dyn Storage>, env, options).unwrap()
}

pub(super) fn database() -> Database {
    open(&Arc::default(), &Arc::default())
}

fn person(id: i64, name: &str, age: i64) -> Value {
    [("id", Value::from(id)), ("name", name.into()), ("age", age.into())].into_iter().collect()
}

fn people(database: &Database) -> Collection<Value> {
    database.collection("people", Schema::key("id").index("age").unique("name")).unwrap()
}

fn ids(rows: Rows<Value>) -> Vec<i64> {
    rows.map(|row| id(&row.unwrap())).collect()
}

fn id(row: &Value) -> i64 {
    let Value::Map(fields) = row else { panic!("{row} is no map") };
    match fields.iter().find(|(name, _)| name == "id") {
        Some((_, Value::Integer(id))) => i64::try_from(*id).unwrap(),
        other => panic!("{other:?} is no id"),
    }
}

/// More than are fetched from memory at once, in and out of a transaction; what is missing or gone has its place.
#[test]
fn many_documents_come_back_in_the_order_of_their_keys() {
    let clock = Arc::new(HandSet::default());
    let database = open(&Arc::default(), &clock);
    let people = people(&database);
    for id in 0..100 {
        people.put(&person(id, &format!("{id}"), id)).unwrap();
    }
    let gone = person(50, "50", 50);
    people.put_expiring(&gone, Expiry::At(10)).unwrap();
    database.checkpoint().unwrap();
    people.put(&person(7, "seven", 7)).unwrap();
    clock.0.store(20, Ordering::Relaxed);
    let keys: Vec<i64> = (0..120).rev().chain([7, 7, 50]).collect();
    let expected: Vec<Option<Value>> = (keys.iter())
        .map(|&id| match id {
            7 => Some(person(7, "seven", 7)),
            50 | 100.. => None,
            _ => Some(person(id, &format!("{id}"), id)),
        })
        .collect();
    assert_eq!(people.get_many(keys.clone()).unwrap(), expected);
    let seen = database.transaction(|tx| {
        let mut seen = Vec::new();
        tx.collection(&people)?.each_cbor(keys.clone(), |cbor| {
            seen.push(cbor.map(Value::from_cbor).transpose()?);
            Ok(())
        })?;
        Ok(seen)
    });
    assert_eq!(seen.unwrap(), expected);
    let failed = people.snapshot().unwrap().each_cbor(keys, |_| Err(Error::invalid("enough")));
    assert!(failed.is_err(), "what the one who sees says is passed on");
}

#[test]
fn documents_come_back_by_key_and_by_index() {
    let people = people(&database());
    for (id, name, age) in [(1, "Ada", 36), (2, "Grace", 85), (3, "Edsger", 72), (4, "Barbara", 36)] {
        people.put(&person(id, name, age)).unwrap();
    }
    assert_eq!(people.get(2).unwrap(), Some(person(2, "Grace", 85)));
    assert_eq!(people.get(9).unwrap(), None);
    assert_eq!(people.get_by("name", ["Edsger"]).unwrap(), Some(person(3, "Edsger", 72)));
    assert_eq!(people.get_by("name", ["Alan"]).unwrap(), None);
    assert!(people.get_by("age", [36]).is_err(), "it is not unique");
    let asked = |query: Query| ids(people.query(query).unwrap());
    assert_eq!(asked(Query::new()), [1, 2, 3, 4]);
    assert_eq!(asked(Query::new().filter(field("age").equals(36))), [1, 4]);
    assert_eq!(asked(Query::new().filter(field("age").above(36)).order_by("age")), [3, 2]);
    assert_eq!(asked(Query::new().filter(field("name").starts_with("B"))), [4]);
    assert_eq!(asked(Query::new().order_by("age").descending().limit(2)), [2, 3]);
    assert_eq!(asked(Query::new().order_by("age").offset(1).limit(2)), [4, 3]);
    assert_eq!(asked(Query::new().filter(field("age").equals(36).or(field("name").equals("Grace")))), [1, 2, 4]);
    assert_eq!(people.count(Query::new().filter(field("age").between(36, 72))).unwrap(), 3);
    let now = people.snapshot().unwrap();
    assert_eq!(now.min("age", Query::new()).unwrap(), Some(Value::from(36)));
    assert_eq!(now.max("name", Query::new()).unwrap(), Some(Value::from("Grace")));
}

#[test]
fn an_index_follows_its_documents() {
    let database = database();
    let people = people(&database);
    people.put(&person(1, "Ada", 36)).unwrap();
    people.put(&person(1, "Ada", 37)).unwrap();
    assert_eq!(people.count(Query::new().filter(field("age").equals(36))).unwrap(), 0);
    assert!(people.update(1, &Update::new().increment("age", 1)).unwrap());
    assert_eq!(ids(people.query(Query::new().filter(field("age").equals(38))).unwrap()), [1]);
    assert!(people.delete(1).unwrap() && !people.delete(1).unwrap());
    assert_eq!(people.count(Query::new().filter(field("age").above(0))).unwrap(), 0);
    people.put(&person(2, "Ada", 1)).unwrap();
    assert!(database.check().unwrap().is_clean());
}

#[test]
fn a_unique_value_belongs_to_one_document() {
    let people = people(&database());
    people.put(&person(1, "Ada", 36)).unwrap();
    let error = people.put(&person(2, "Ada", 20)).unwrap_err();
    let Error::DuplicateKey(duplicate) = &error else { panic!("{error}") };
    let DuplicateKey { collection, index, value, key } = &**duplicate;
    assert_eq!((collection.as_str(), index.as_str(), value.as_str(), key.as_str()), ("people", "name", "\"Ada\"", "1"));
    assert_eq!(people.get(2).unwrap(), None, "nothing of the transaction is kept");
    people.put(&person(1, "Ada", 37)).unwrap();
    // What is missing is like nothing else.
    for id in [3, 4] {
        people.put(&[("id", Value::from(id)), ("age", 5.into())].into_iter().collect()).unwrap();
    }
    assert_eq!(ids(people.query(Query::new().filter(field("name").is_null())).unwrap()), [3, 4]);
}

#[test]
fn indexes_over_documents_that_are_there_are_made_when_the_collection_is_opened() {
    let database = database();
    let plain = database.collection::<Value>("people", Schema::key("id")).unwrap();
    for id in 0..2500 {
        plain.put(&person(id, &format!("name {id}"), id % 50)).unwrap();
    }
    let mut seen = 0;
    let schema = Schema::key("id").index("age").unique("name");
    let people = database
        .collection_with::<Value>("people", schema.clone(), Migrations::new(), &mut |progress| {
            assert_eq!(progress.total, 2500);
            seen += 1;
        })
        .unwrap();
    assert!(seen >= 6, "{seen} steps");
    let explained = people.explain(Query::new().filter(field("age").equals(7))).unwrap();
    assert_eq!((explained.rows, explained.entries_read, explained.documents_read), (50, 50, 50), "{}", explained.plan);
    assert_eq!(people.count(Query::new().filter(field("age").between(10, 19))).unwrap(), 500);
    // The handle that was open before keeps the new index too.
    plain.put(&person(9000, "later", 7)).unwrap();
    assert_eq!(people.count(Query::new().filter(field("age").equals(7))).unwrap(), 51);
    // One that cannot be made is not there.
    let error = database
        .collection::<Value>("people", schema.unique("age").with(Index::on("age").unique().named("only")))
        .unwrap_err();
    assert!(matches!(error, Error::SchemaMismatch { .. } | Error::Invalid { .. }), "{error}");
    let only = Schema::key("id").with(Index::on("age").unique().named("only"));
    assert!(matches!(database.collection::<Value>("people", only), Err(Error::DuplicateKey { .. })));
    assert!(people.drop_index("age").unwrap() && !people.drop_index("age").unwrap());
    assert_eq!(people.count(Query::new().filter(field("age").equals(7))).unwrap(), 51, "without the index too");
    assert!(database.check().unwrap().is_clean());
}

#[test]
fn arrays_are_found_by_their_elements_and_folded_text_without_accents() {
    let database = database();
    let schema = Schema::key("id").with(Index::on("tags").multi()).with(Index::on("name").folded());
    let things = database.collection::<Value>("things", schema).unwrap();
    let thing = |id: i64, name: &str, tags: &[&str]| -> Value {
        let tags: Vec<Value> = tags.iter().map(|tag| Value::from(*tag)).collect();
        [("id", Value::from(id)), ("name", name.into()), ("tags", Value::Array(tags))].into_iter().collect()
    };
    things.put(&thing(1, "Öl", &["a", "b", "a"])).unwrap();
    things.put(&thing(2, "Ol", &["b", "c"])).unwrap();
    things.put(&thing(3, "öL", &[])).unwrap();
    let asked = |query: Query| ids(things.query(query).unwrap());
    assert_eq!(asked(Query::new().filter(field("tags").equals("b"))), [1, 2]);
    assert_eq!(asked(Query::new().filter(field("tags").between("a", "c"))), [1, 2], "each once");
    assert_eq!(asked(Query::new().filter(field("tags").equals("a").and(field("tags").equals("b")))), [1]);
    assert_eq!(asked(Query::new().filter(field("name").equals("ol").fold())), [1, 2, 3]);
    assert_eq!(asked(Query::new().filter(field("name").equals("Ol"))), [2]);
    things.put(&thing(1, "x", &["c"])).unwrap();
    assert_eq!(asked(Query::new().filter(field("tags").equals("a"))), []);
    assert!(database.check().unwrap().is_clean());
}

#[test]
fn pages_go_on_where_the_last_ended_whatever_is_read() {
    let people = people(&database());
    for id in 0..100_i64 {
        people.put(&person(id, &format!("n{:03}", id * 7 % 100), id % 9)).unwrap();
    }
    let orders: [fn(Query) -> Query; 6] = [
        |query| query,
        |query| query.reverse(),
        |query| query.order_by("age"),
        |query| query.order_by("age").descending(),
        |query| query.order_by("name").descending(),
        |query| query.order_by("age").order_by("name").descending(),
    ];
    for order in orders {
        for filter in [None, Some(field("age").between(2, 6)), Some(field("name").starts_with("n0"))] {
            let query = || match &filter {
                Some(filter) => order(Query::new()).filter(filter.clone()),
                None => order(Query::new()),
            };
            let whole = ids(people.query(query()).unwrap());
            let (mut paged, mut token) = (Vec::new(), None);
            loop {
                let page = query().limit(7);
                let mut rows = people
                    .query(match token.take() {
                        Some(token) => page.after(token),
                        None => page,
                    })
                    .unwrap();
                let page: Vec<i64> = rows.by_ref().map(|row| id(&row.unwrap())).collect();
                token = rows.page_token();
                if page.is_empty() {
                    break;
                }
                paged.extend(page);
            }
            assert_eq!(paged, whole);
        }
    }
}

#[test]
fn a_page_whose_keys_are_sorted_begins_where_the_last_ended() {
    let people = people(&database());
    people.write(|people| (0..900).try_for_each(|id| people.put(&person(id, &format!("n{id}"), id % 90)))).unwrap();
    // Of single values the entries before the page are not read, of a range their documents are not.
    for (filter, entries) in [(field("age").is_in([1, 2]), 10), (field("age").between(1, 2), 20)] {
        for query in [Query::new(), Query::new().reverse()] {
            let query = query.filter(filter.clone()).limit(10);
            let mut rows = people.query(query.clone()).unwrap();
            let mut found: Vec<i64> = rows.by_ref().map(|row| id(&row.unwrap())).collect();
            let page = query.clone().after(rows.page_token().unwrap());
            let explained = people.explain(page.clone()).unwrap();
            assert!(explained.plan.contains("keys are sorted"), "{}", explained.plan);
            assert_eq!((explained.rows, explained.entries_read, explained.documents_read), (10, entries, 10));
            found.extend(ids(people.query(page).unwrap()));
            let mut expected: Vec<i64> = (0..900).filter(|id| [1, 2].contains(&(id % 90))).collect();
            if query.is_reverse() {
                expected.reverse();
            }
            assert_eq!(found, expected);
        }
    }
}

#[test]
fn documents_go_when_their_time_comes() {
    let (storage, clock) = (Arc::default(), Arc::new(HandSet::default()));
    let database = open(&storage, &clock);
    let people = people(&database);
    clock.0.store(1000, Ordering::Relaxed);
    people.put(&person(1, "stays", 1)).unwrap();
    people.put_expiring(&person(2, "goes", 1), Expiry::At(2000)).unwrap();
    people.put_expiring(&person(3, "stays after all", 1), Expiry::At(2000)).unwrap();
    people.put(&person(3, "stays after all", 2)).unwrap();
    let held = people.snapshot().unwrap();
    let query = || Query::new().filter(field("age").equals(1));
    assert_eq!(held.count(query()).unwrap(), 2);
    clock.0.store(2000, Ordering::Relaxed);
    assert_eq!(ids(people.query(query()).unwrap()), [1]);
    assert_eq!((people.count(query()).unwrap(), people.len().unwrap()), (1, 2));
    assert_eq!(people.get(2).unwrap(), None);
    assert_eq!(held.count(query()).unwrap(), 2, "a snapshot's time stands still");
    people.insert(&person(5, "goes", 1)).unwrap();
    people.insert(&person(2, "back", 1)).unwrap();
    while database.remove_expired().unwrap() == Progress::More {}
    assert_eq!(ids(people.query(Query::new()).unwrap()), [1, 2, 3, 5]);
    assert!(database.check().unwrap().is_clean());
}

#[test]
fn documents_are_migrated_once_and_older_code_is_refused() {
    let (storage, clock) = (Arc::default(), Arc::default());
    let database = open(&storage, &clock);
    let old = database.collection::<Value>("people", Schema::key("id").index("age")).unwrap();
    for id in 0..2100 {
        old.put(&person(id, "n", id)).unwrap();
    }
    let mut changed = 0;
    let missing = database.collection::<Value>("people", Schema::key("id").version(3));
    assert!(matches!(missing, Err(Error::SchemaMismatch { .. })));
    let migrations = Migrations::new()
        .documents(1, |document| {
            changed += 1;
            if changed == 1500 {
                return Err(Error::Closed);
            }
            Update::new().increment("age", 1).apply(document)
        })
        .transaction(2, |people| people.delete_where(Query::new().filter(field("age").above(100))).map(drop));
    let failed = database.collection_with::<Value>("people", Schema::key("id").version(3), migrations, &mut |_| {});
    assert!(matches!(failed, Err(Error::Closed)));
    assert!(matches!(old.get(1), Err(Error::SchemaTooNew { found: 2, known: 1, .. })));
    let migrations = Migrations::new()
        .documents(1, |document| Update::new().increment("age", 1).apply(document))
        .transaction(2, |people| people.delete_where(Query::new().filter(field("age").above(100))).map(drop));
    let people =
        database.collection_with::<Value>("people", Schema::key("id").version(3), migrations, &mut |_| {}).unwrap();
    assert_eq!(people.len().unwrap(), 100);
    for id in 0..100 {
        assert_eq!(people.get(id).unwrap(), Some(person(id, "n", id + 1)), "each was changed once");
    }
    assert!(database.check().unwrap().is_clean());
}

#[test]
fn what_cannot_be_stored_is_named() {
    let database = database();
    let people = people(&database);
    let no_key: Value = [("name", Value::from("x"))].into_iter().collect();
    let with_array: Value = [("id", Value::from(1)), ("age", Value::Array(vec![1.into()]))].into_iter().collect();
    let with_map: Value = [("id", Value::from(1)), ("age", person(1, "a", 1))].into_iter().collect();
    for (document, field_named) in [(no_key, "id"), (with_array, "age"), (with_map, "age")] {
        match people.put(&document) {
            Err(Error::InvalidDocument(invalid)) => {
                assert_eq!((invalid.collection.as_str(), invalid.field.as_str()), ("people", field_named));
            }
            other => panic!("{other:?}"),
        }
    }
    assert!(people.write(|people| people.put_cbor(&[0xa1, 0x62, b'i'])).is_err());
    assert!(people.write(|people| people.put_cbor(&[0x01])).is_err(), "a number is no document");
    let error = database.collection::<Value>("people", Schema::key("name")).unwrap_err();
    assert!(matches!(error, Error::SchemaMismatch { .. }), "{error}");
    assert!(matches!(
        people.insert(&person(1, "a", 1)).and(people.insert(&person(1, "b", 1))),
        Err(Error::Unexpected { .. })
    ));
    assert!(matches!(people.replace(&person(7, "c", 1)), Err(Error::Unexpected { .. })));
    assert!(people.compare_and_swap(Some(&person(1, "a", 1)), &person(1, "z", 1)).unwrap());
    assert!(!people.compare_and_swap(Some(&person(1, "a", 1)), &person(1, "q", 1)).unwrap());
    assert!(!people.compare_and_swap(None, &person(1, "q", 1)).unwrap());
    assert_eq!(people.get(1).unwrap().unwrap().to_string(), person(1, "z", 1).to_string());
    let _: String = format!("{people:?}");
}

/// Unique values and indexes stay right at every isolation level.
#[test]
fn transactions_beside_each_other_keep_indexes_right() {
    for isolation in [Isolation::ReadCommitted, Isolation::Snapshot, Isolation::Serializable] {
        let database = database();
        let people = people(&database);
        people.put(&person(1, "Ada", 36)).unwrap();
        let put =
            |tx: &mut crate::db::Transaction, person: Value| -> Result<()> { tx.collection(&people)?.put(&person) };
        let (mut one, mut other) = (database.begin(isolation), database.begin(isolation));
        put(&mut one, person(2, "Grace", 1)).unwrap();
        put(&mut other, person(3, "Grace", 1)).unwrap();
        one.commit().unwrap();
        assert!(matches!(other.commit(), Err(Error::Conflict { .. })), "both have the name");
        let (mut one, mut other) = (database.begin(isolation), database.begin(isolation));
        put(&mut one, person(1, "Ada", 40)).unwrap();
        put(&mut other, person(1, "Ada", 50)).unwrap();
        one.commit().unwrap();
        assert!(matches!(other.commit(), Err(Error::Conflict { .. })), "its entries were decided upon an older one");
        let mut other = database.begin(isolation);
        put(&mut other, person(4, "Edsger", 9)).unwrap();
        let more = database.collection::<Value>("people", Schema::key("id").index(["name", "age"])).unwrap();
        assert!(matches!(other.commit(), Err(Error::Conflict { .. })), "it does not know the new index");
        assert_eq!(more.len().unwrap(), 2);
        assert!(database.check().unwrap().is_clean());
    }
}

#[test]
fn a_write_that_is_refused_leaves_no_trace_in_a_transaction_that_goes_on() {
    let database = database();
    let people = people(&database);
    people.put(&person(1, "Ada", 36)).unwrap();
    people.put(&person(2, "Grace", 85)).unwrap();
    people
        .write(|people| {
            assert!(matches!(people.put(&person(2, "Ada", 20)), Err(Error::DuplicateKey { .. })));
            assert!(matches!(people.put(&person(3, "Ada", 20)), Err(Error::DuplicateKey { .. })));
            Ok(())
        })
        .unwrap();
    let by_age = |age: i64| ids(people.query(Query::new().filter(field("age").equals(age))).unwrap());
    assert_eq!((by_age(85), by_age(20)), (vec![2], vec![]));
}

#[test]
fn a_transaction_that_is_full_in_the_middle_of_a_document_is_not_committed() {
    let people = people(&database());
    let committed = people.write(|people| {
        for at in 0.. {
            // Its entries have room, itself it has not.
            let document = person(at, &format!("{at} {}", "x".repeat(20)), 1);
            let Value::Map(mut fields) = document else { panic!("no map") };
            fields.push((String::from("long"), "x".repeat(1500).into()));
            if let Err(error) = people.put(&Value::Map(fields)) {
                assert!(error.to_string().contains("transaction"), "{error}");
                break;
            }
        }
        Ok(())
    });
    assert!(committed.is_err());
    assert_eq!(people.count(Query::new().filter(field("age").equals(1))).unwrap(), 0);
}

/// While an index is made, a document that the builder has not come to may go whose unique value another one has taken.
#[test]
fn a_document_that_goes_while_an_index_is_made_takes_no_entry_of_another_with_it() {
    let database = database();
    let plain = database.collection::<Value>("people", Schema::key("id")).unwrap();
    for id in 0..1500 {
        plain.put(&person(id, &format!("name {id}"), 1)).unwrap();
    }
    let mut is_done = false;
    let people = database
        .collection_with::<Value>("people", Schema::key("id").unique("name"), Migrations::new(), &mut |progress| {
            if progress.done > 0 && !is_done {
                plain.put(&person(-1, "name 1400", 2)).unwrap();
                plain.delete(1400).unwrap();
                plain.put(&person(-2, "name 1401", 2)).unwrap();
                plain.put(&person(1401, "another", 2)).unwrap();
                is_done = true;
            }
        })
        .unwrap();
    assert!(is_done);
    assert_eq!(people.get_by("name", ["name 1400"]).unwrap().map(|found| id(&found)), Some(-1));
    assert_eq!(people.get_by("name", ["name 1401"]).unwrap().map(|found| id(&found)), Some(-2));
    assert!(matches!(people.put(&person(9000, "name 1400", 1)), Err(Error::DuplicateKey { .. })));
}

#[test]
fn what_is_gone_but_not_removed_is_in_the_way_of_no_index_and_no_migration() {
    let (storage, clock) = (Arc::default(), Arc::new(HandSet::default()));
    let database = open(&storage, &clock);
    let plain = database.collection::<Value>("people", Schema::key("id")).unwrap();
    plain.put(&person(1, "Ada", 1)).unwrap();
    plain.put_expiring(&person(2, "Ada", 1), Expiry::At(10)).unwrap();
    clock.0.store(10, Ordering::Relaxed);
    let people = database.collection::<Value>("people", Schema::key("id").unique("name")).unwrap();
    assert_eq!(people.get_by("name", ["Ada"]).unwrap(), Some(person(1, "Ada", 1)));
    people.put_expiring(&person(3, "Grace", 1), Expiry::At(20)).unwrap();
    clock.0.store(20, Ordering::Relaxed);
    let rename = Migrations::new().documents(1, |document| Update::new().set("name", "Ada").apply(document));
    let people =
        database.collection_with::<Value>("people", Schema::key("id").version(2), rename, &mut |_| {}).unwrap();
    assert_eq!(ids(people.query(Query::new()).unwrap()), [1]);
}

#[test]
fn a_collection_without_documents_has_nothing_to_migrate() {
    let database = database();
    database.collection::<Value>("people", Schema::key("id")).unwrap();
    let people = database.collection::<Value>("people", Schema::key("id").version(3)).unwrap();
    people.put(&person(1, "Ada", 36)).unwrap();
    assert_eq!(people.len().unwrap(), 1);
}

#[test]
fn read_committed_neither_asks_an_index_that_is_no_more_nor_swaps_what_it_has_not_seen() {
    let database = database();
    let plain = database.collection::<Value>("people", Schema::key("id").index("age")).unwrap();
    plain.put(&person(1, "Ada", 36)).unwrap();
    let query = || Query::new().filter(field("age").equals(36));
    let mut tx = database.begin(Isolation::ReadCommitted);
    assert_eq!(tx.collection(&plain).unwrap().query(query()).unwrap().len(), 1);
    plain.drop_index("age").unwrap();
    let asked = tx.collection(&plain).unwrap().query(query());
    assert!(!matches!(&asked, Ok(found) if found.is_empty()), "{asked:?}");
    drop(tx);
    let mut tx = database.begin(Isolation::ReadCommitted);
    let swapped = tx.collection(&plain).unwrap().compare_and_swap(Some(&person(1, "Ada", 36)), &person(1, "Ada", 37));
    assert!(swapped.unwrap());
    plain.put(&person(1, "Ada", 50)).unwrap();
    assert!(matches!(tx.commit(), Err(Error::Conflict { .. })));
}

#[test]
fn counting_conflicts_with_nothing_that_goes_later() {
    let database = database();
    let people = people(&database);
    people.put(&person(1, "Ada", 36)).unwrap();
    let mut tx = database.begin(Isolation::Serializable);
    let counted = tx.collection(&people).unwrap().count(Query::new().filter(field("age").equals(36))).unwrap();
    tx.collection(&people).unwrap().put(&person(2, "Grace", counted as i64)).unwrap();
    people.put_expiring(&person(3, "Edsger", 72), Expiry::At(u64::MAX)).unwrap();
    tx.commit().unwrap();
    let mut tx = database.begin(Isolation::Serializable);
    let counted = tx.collection(&people).unwrap().count(Query::new().filter(field("age").equals(36))).unwrap();
    tx.collection(&people).unwrap().put(&person(4, "Barbara", counted as i64)).unwrap();
    people.put(&person(5, "Tony", 36)).unwrap();
    assert!(matches!(tx.commit(), Err(Error::Conflict { .. })), "a phantom");
}

#[test]
fn the_lowest_and_the_highest_are_values_that_compare() {
    let things = database().collection::<Value>("things", Schema::key("id")).unwrap();
    let thing = |id: i64, a: Value| -> Value { [("id", Value::from(id)), ("a", a)].into_iter().collect() };
    let x = |value: i64| -> Value { [("x", Value::from(value))].into_iter().collect() };
    things.put(&thing(1, Value::Float(f64::NAN))).unwrap();
    things.put(&thing(2, x(1))).unwrap();
    let read = things.snapshot().unwrap();
    assert_eq!((read.max("a", Query::new()).unwrap(), read.min("a", Query::new()).unwrap()), (None, None));
    things.put(&thing(3, 7.into())).unwrap();
    things.put(&thing(4, 3.into())).unwrap();
    things.put(&thing(5, Value::Array(vec![x(9), x(0)]))).unwrap();
    let read = things.snapshot().unwrap();
    let whole = || Query::new().filter(field("id").below(5));
    assert_eq!(read.max("a", whole()).unwrap(), Some(Value::from(7)));
    assert_eq!(read.min("a", whole()).unwrap(), Some(Value::from(3)));
    assert_eq!(read.min("a.x", Query::new()).unwrap(), Some(Value::from(0)));
}

#[test]
fn documents_are_migrated_elsewhere_step_by_step_unless_others_write_them() {
    let db = database();
    let people = db.collection::<Value>("people", Schema::key("id")).unwrap();
    let person = |id: u64, age: u64| -> Value { [("id", id), ("age", age)].into_iter().collect() };
    people.put_many(&(0..5000).map(|id| person(id, 1)).collect::<Vec<_>>()).unwrap();
    let newer = Schema::key("id").version(2);
    let older = |document: Result<&[u8], Error>| {
        let mut document = Value::from_cbor(document.unwrap()).unwrap();
        Update::new().increment("age", 1).apply(&mut document).unwrap();
        document
    };
    let mut steps = 0;
    while let Some(step) = db.next_migration("people", &newer).unwrap() {
        assert_eq!(step.version(), 1);
        let changed: Vec<Value> = step.documents().map(older).collect();
        if steps == 1 {
            // Somebody who knows the newer version has written one of them meanwhile.
            let first = changed[0].get("id").cloned().unwrap();
            let known = Collection::<Value>::of_version(&db, "people", 2);
            known.put(&[("id", first), ("age", 7.into())].into_iter().collect()).unwrap();
            assert!(matches!(db.migrate_documents(&step, &changed), Err(Error::Conflict { .. })));
            steps += 1;
            continue;
        }
        assert!(matches!(db.migrate_documents(&step, &[]), Err(Error::Invalid { .. })));
        db.migrate_documents(&step, &changed).unwrap();
        steps += 1;
    }
    assert!(steps > 3, "{steps} steps");
    let people = db.collection::<Value>("people", newer).unwrap();
    assert_eq!(people.count(Query::new().filter(field("age").equals(2))).unwrap(), 4999);
    assert_eq!(people.count(Query::new().filter(field("age").equals(8))).unwrap(), 1);
}

#[test]
fn documents_are_migrated_in_one_transaction_of_the_application() {
    let db = database();
    let people = db.collection::<Value>("people", Schema::key("id")).unwrap();
    let person = |id: u64, age: u64| -> Value { [("id", id), ("age", age)].into_iter().collect() };
    people.put_many(&[person(1, 1), person(2, 2), person(3, 3)]).unwrap();
    let newer = Schema::key("id").version(2);
    assert_eq!(db.next_migration("people", &newer).unwrap().unwrap().version(), 1);
    let older = db.older_collection::<Value>("people", &newer).unwrap();
    let change = |fails: bool| {
        let mut transaction = db.begin(Isolation::Serializable);
        let mut documents = transaction.collection(&older).unwrap();
        assert_eq!(documents.delete_where(Query::new().filter(field("age").above(1))).unwrap(), 2);
        documents.finish_migration(1).unwrap();
        if !fails {
            transaction.commit().unwrap();
        }
    };
    change(true);
    assert_eq!(people.len().unwrap(), 3, "what is not committed is not migrated");
    change(false);
    assert!(db.next_migration("people", &newer).unwrap().is_none());
    assert_eq!(db.collection::<Value>("people", newer.clone()).unwrap().len().unwrap(), 1);
    let again = older.write(|documents| documents.finish_migration(1));
    assert!(matches!(again, Err(Error::Conflict { .. })), "{again:?}");
}

#[test]
fn a_migration_that_an_index_refuses_is_not_in_the_way_of_the_next_opening() {
    let db = database();
    let people = db.collection::<Value>("people", Schema::key("id")).unwrap();
    let person = |id: u64| -> Value { [("id", id), ("name", 7)].into_iter().collect() };
    people.put_many(&[person(1), person(2)]).unwrap();
    let newer = Schema::key("id").unique("name").version(2);
    let step = db.next_migration("people", &newer).unwrap().unwrap();
    let alike: Vec<Value> = [1, 2].map(|id| [("id", id), ("name", 8)].into_iter().collect()).into();
    assert!(matches!(db.migrate_documents(&step, &alike), Err(Error::DuplicateKey { .. })));
    let as_it_was = db.collection::<Value>("people", Schema::key("id")).unwrap();
    as_it_was.put(&person(3)).unwrap();
    assert_eq!(as_it_was.len().unwrap(), 3);
    assert!(db.snapshot().collection_info("people").unwrap().unwrap().indexes.is_empty());
}

#[test]
fn a_transaction_looks_up_what_it_has_written_itself() {
    let db = database();
    let people = db.collection::<Value>("people", Schema::key("id").unique("name").index("age")).unwrap();
    let person = |id: u64, age: u64| -> Value { [("id", id), ("age", age), ("name", id + 10)].into_iter().collect() };
    people.put(&person(1, 5)).unwrap();
    people
        .write(|documents| {
            documents.put(&person(2, 9))?;
            documents.delete(1)?;
            assert_eq!(documents.get_by("name", [12])?, Some(person(2, 9)));
            assert_eq!(documents.get_by("name", [11])?, None);
            assert!(matches!(documents.get_by("age", [9]), Err(Error::Invalid { .. })));
            assert_eq!(documents.min("age", Query::new())?, Some(Value::from(9)));
            documents.put(&person(3, 1))?;
            let found = (documents.min("age", Query::new())?, documents.max("age", Query::new())?);
            assert_eq!(found, (Some(Value::from(1)), Some(Value::from(9))));
            Ok(())
        })
        .unwrap();
}

/// Puts in no order touch every leaf, so the merge of a close writes the trees anew beside the old ones.
#[test]
fn what_the_last_merge_left_free_is_cut_off_by_the_same_close() {
    let storage: Arc<MemoryStorage> = Arc::default();
    let options = || Options { background_thread: false, memory_budget_bytes: 32 << 20, ..Options::default() };
    let env = || Environment { clock: Arc::<HandSet>::default(), entropy: Arc::new(SeededEntropy::new(7)) };
    let open = || Database::open_storage(Arc::clone(&storage) as Arc<dyn Storage>, env(), options()).unwrap();
    let database: Database = open();
    let places = database.collection::<Value>("places", Schema::key("id").index("n")).unwrap();
    let mixed = |i: u64| i.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let place = |i: u64| -> Value {
        let bytes: Vec<u8> = (0..12).flat_map(|at| mixed(mixed(i + (at << 32))).to_be_bytes()).collect();
        let fields = [
            ("id", Value::from(format!("{:016x}", mixed(i)))),
            ("n", Value::from((mixed(i) >> 40) as i64)),
            ("v", Value::from(bytes)),
        ];
        fields.into_iter().collect()
    };
    for part in 0..10 {
        let batch: Vec<Value> = (part * 10_000..(part + 1) * 10_000).map(place).collect();
        places.put_many(&batch).unwrap();
    }
    for i in 200_000..210_000 {
        places.put(&place(i)).unwrap();
    }
    database.close().unwrap();
    drop((places, database));
    let stats = open().stats();
    assert!(stats.free_bytes < stats.file_bytes / 12, "{} of {} bytes are free", stats.free_bytes, stats.file_bytes);
}
