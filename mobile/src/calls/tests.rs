//! The calls on handles, as the languages make them.

use std::sync::Arc;

use lightning_db::Error;

use super::*;
use crate::database::Database;
use crate::limits::Limits;
use crate::options::OpenOptions;
use crate::scope::NOW;
use crate::scratch::Folder;
use crate::transaction::Isolation;

fn cbor(value: impl Into<Value>) -> Vec<u8> {
    value.into().to_cbor().unwrap()
}

fn map(fields: &[(&str, Value)]) -> Vec<u8> {
    cbor(Value::Map(fields.iter().map(|(name, value)| ((*name).into(), value.clone())).collect()))
}

fn person(id: u64, age: u64) -> Vec<u8> {
    map(&[("id", id.into()), ("age", age.into())])
}

fn people(database: &Database) -> Arc<crate::collection::Collection> {
    let indexes = Value::Array(vec![Value::Map(vec![("paths".into(), Value::Array(vec!["age".into()]))])]);
    let schema = map(&[("key", "id".into()), ("indexes", indexes)]);
    database.collection_blocking("people".into(), Some(schema)).unwrap()
}

fn unpack(packed: &[u8]) -> Vec<Option<Vec<u8>>> {
    Unpacked::new(packed).map(|one| one.unwrap().map(<[u8]>::to_vec)).collect()
}

fn write(kind: u64, target: u64, key: &[u8], value: &[u8]) -> Vec<u8> {
    let mut out = [kind.to_le_bytes(), target.to_le_bytes()].concat();
    packed::push(&mut out, key).unwrap();
    packed::push(&mut out, value).unwrap();
    out
}

#[test]
fn documents_are_written_found_and_deleted() {
    let database = Database::in_memory(OpenOptions::default()).unwrap();
    let people = people(&database);
    put(NOW, people.number(), WriteMode::Insert, &[], &person(1, 36)).unwrap();
    assert_eq!(
        put(NOW, people.number(), WriteMode::Insert, &[], &person(1, 37)).unwrap_err().name(),
        "Unexpected",
        "there is one"
    );
    let found = get(NOW, people.number(), &cbor(1), |found| found.map(<[u8]>::to_vec)).unwrap();
    assert_eq!(found, Some(person(1, 36)));
    assert!(delete(NOW, people.number(), &cbor(1)).unwrap());
    assert!(!delete(NOW, people.number(), &cbor(1)).unwrap());
    assert!(get(NOW, people.number(), &cbor(1), |found| found.is_none()).unwrap());
}

#[test]
fn a_document_is_found_by_a_unique_index_and_what_is_not_one_is_refused() {
    let database = Database::in_memory(OpenOptions::default()).unwrap();
    let unique = map(&[("paths", Value::Array(vec!["age".into()])), ("unique", true.into())]);
    let unique = Value::from_cbor(&unique).unwrap();
    let schema = map(&[("key", "id".into()), ("indexes", Value::Array(vec![unique]))]);
    let people = database.collection_blocking("people".into(), Some(schema)).unwrap();
    put(NOW, people.number(), WriteMode::Insert, &[], &person(1, 36)).unwrap();
    let packed = |values: &[Vec<u8>]| {
        let mut out = Vec::new();
        values.iter().for_each(|value| packed::push(&mut out, value).unwrap());
        out
    };
    let find = |index: &[u8], values: &[u8]| {
        get_by(NOW, people.number(), index, values, |found| found.map(<[u8]>::to_vec)).map_err(|error| error.name())
    };
    assert_eq!(find(b"age", &packed(&[cbor(36)])), Ok(Some(person(1, 36))));
    assert_eq!(find(b"age", &packed(&[cbor(37)])), Ok(None));
    assert_eq!(find(b"height", &packed(&[cbor(36)])), Err("Invalid"), "no such index");
    assert_eq!(find(b"age", &packed(&[cbor(36), cbor(1)])), Err("Invalid"), "more values than paths");
    assert_eq!(find(b"\xff", &packed(&[cbor(36)])), Err("Invalid"), "no name");
    let whole = packed(&[cbor(36)]);
    assert_eq!(find(b"age", &whole[..whole.len() - 1]), Err("Invalid"), "cut");
}

#[test]
fn a_batch_is_done_whole_or_not_at_all() {
    let database = Database::in_memory(OpenOptions::default()).unwrap();
    let people = people(&database);
    let table = database.table("notes".into(), "string".into(), "bytes".into()).unwrap();
    let good = [
        write(0, people.number(), &[], &person(1, 1)),
        write(0, table.number(), b"a", b"one"),
        write(1, people.number(), &[], &person(2, 2)),
    ]
    .concat();
    batch(NOW, packed_writes(&good)).unwrap();
    let bad = [write(3, table.number(), b"a", b""), write(1, people.number(), &[], &person(2, 3))].concat();
    assert_eq!(batch(NOW, packed_writes(&bad)).unwrap_err().name(), "Unexpected");
    for cut in 1..good.len() {
        let cut = &good[..cut];
        if packed_writes(cut).all(|write| write.is_ok()) {
            continue;
        }
        assert_eq!(batch(NOW, packed_writes(cut)).unwrap_err().name(), "Invalid");
    }
    let mut keys = Vec::new();
    [&b"a"[..], b"b"].iter().for_each(|key| packed::push(&mut keys, key).unwrap());
    assert_eq!(unpack(&get_many(NOW, table.number(), &keys).unwrap()), [Some(b"one".to_vec()), None]);
}

#[test]
fn a_cursor_gives_what_it_saw_in_chunks_and_is_gone_behind_the_last() {
    let database = Database::in_memory(OpenOptions::default()).unwrap();
    let people = people(&database);
    for id in 0..100 {
        put(NOW, people.number(), WriteMode::Put, &[], &person(id, id % 7)).unwrap();
    }
    let first = query(NOW, people.number(), &[], 64).unwrap();
    put(NOW, people.number(), WriteMode::Put, &[], &person(1000, 1)).unwrap();
    let mut rows = unpack(&first.rows);
    loop {
        let (chunk, is_over) = next(first.cursor, 64).unwrap();
        rows.extend(unpack(&chunk));
        if is_over {
            break;
        }
    }
    assert_eq!(rows, (0..100).map(|id| Some(person(id, id % 7))).collect::<Vec<_>>());
    assert_eq!(next(first.cursor, 64).unwrap_err(), Error::Closed);
    assert_eq!(query(NOW, people.number(), &[], 1 << 20).unwrap().cursor, 0, "nothing is left open");
}

#[test]
fn entries_of_tables_cross_as_their_types_say() {
    let database = Database::in_memory(OpenOptions::default()).unwrap();
    let table = database.table("pairs".into(), "(string, u64)".into(), "i64".into()).unwrap();
    let key = |number: u64| cbor(Value::Array(vec!["ada".into(), number.into()]));
    for number in 0..5 {
        put(NOW, table.number(), WriteMode::Put, &key(number), &cbor(-(number as i64))).unwrap();
    }
    let range = KeyRange { lower: Some(key(1)), includes_lower: false, ..KeyRange::default() };
    let backwards = scan(NOW, table.number(), &range, true, 2, 1 << 20).unwrap();
    assert_eq!(unpack(&backwards.rows), [key(4), cbor(-4), key(3), cbor(-3)].map(Some));
    assert_eq!(put(NOW, table.number(), WriteMode::Put, &cbor("x"), &cbor(1)).unwrap_err().name(), "Invalid");
    assert_eq!(table.increment(NOW, key(4), 10).unwrap(), 6);
}

#[test]
fn a_transaction_is_a_scope_until_it_is_committed() {
    let database = Database::in_memory(OpenOptions::default()).unwrap();
    let people = people(&database);
    let transaction = database.begin(Isolation::Serializable).unwrap();
    let scope = transaction.number();
    put(scope, people.number(), WriteMode::Put, &[], &person(1, 1)).unwrap();
    assert!(put(scope, people.number(), WriteMode::Insert, &[], &person(1, 2)).is_err(), "and it goes on");
    assert!(get(scope, people.number(), &cbor(1), |found| found.is_some()).unwrap());
    assert!(get(NOW, people.number(), &cbor(1), |found| found.is_none()).unwrap());
    transaction.commit_blocking().unwrap();
    assert!(get(NOW, people.number(), &cbor(1), |found| found.is_some()).unwrap());
    assert_eq!(get(scope, people.number(), &cbor(1), |_| ()).unwrap_err(), Error::Closed);
    assert_eq!(transaction.commit_blocking().unwrap_err().number(), Error::Closed.number());

    let (first, second) =
        (database.begin(Isolation::Serializable).unwrap(), database.begin(Isolation::Serializable).unwrap());
    for transaction in [&first, &second] {
        get(transaction.number(), people.number(), &cbor(1), |_| ()).unwrap();
        put(transaction.number(), people.number(), WriteMode::Put, &[], &person(1, 9)).unwrap();
    }
    first.commit_blocking().unwrap();
    let crate::Failure::Engine { name, is_retryable, .. } = second.commit_blocking().unwrap_err();
    assert_eq!((name.as_str(), is_retryable), ("Conflict", true));
}

#[test]
fn handles_of_the_wrong_kind_are_refused_everywhere() {
    let database = Database::in_memory(OpenOptions::default()).unwrap();
    let (handle, key) = (database.number(), cbor(1));
    let errors = [
        get(NOW, handle, &key, |_| ()).unwrap_err(),
        get_many(NOW, handle, &[]).unwrap_err(),
        put(NOW, handle, WriteMode::Put, &[], &key).unwrap_err(),
        delete(NOW, handle, &key).unwrap_err(),
        query(NOW, handle, &[], 1).map(drop).unwrap_err(),
        next(handle, 1).map(drop).unwrap_err(),
    ];
    for error in errors {
        assert_eq!(error.name(), "Invalid");
    }
    let people = people(&database);
    assert_eq!(get(handle, people.number(), &key, |_| ()).unwrap_err().name(), "Invalid", "as a scope");
}

#[test]
fn whoever_opened_it_first_is_not_closed_by_whoever_closes_first() {
    let folder = Folder::new();
    let path = folder.path("shared.ldb");
    let first = Database::open_blocking(path.clone(), OpenOptions::default()).unwrap();
    let second = Database::open_blocking(path.clone(), OpenOptions::default()).unwrap();
    let people = people(&first);
    first.end_blocking().unwrap();
    first.end_blocking().unwrap();
    put(NOW, people.number(), WriteMode::Put, &[], &person(1, 1)).unwrap();
    second.end_blocking().unwrap();
    assert_eq!(put(NOW, people.number(), WriteMode::Put, &[], &person(2, 1)).unwrap_err(), Error::Closed);
    let third = Database::open_blocking(path, OpenOptions::default()).unwrap();
    assert_eq!(third.collections().unwrap()[0].documents, 1);
    third.end_blocking().unwrap();
}

#[test]
fn a_swap_compares_values_and_not_the_bytes_they_came_in() {
    let database = Database::in_memory(OpenOptions::default()).unwrap();
    let table = database.table("any".into(), "string".into(), "value".into()).unwrap();
    let (ab, ba) = (
        map(&[("a", Value::from(1)), ("b", "x".into())]),
        // The same with its fields in the other order, and the number in a longer form.
        [&[0xa2, 0x61, b'b', 0x61, b'x', 0x61, b'a', 0x18][..], &[1]].concat(),
    );
    let swap = |expected: Option<&[u8]>, value: &[u8]| {
        table.compare_and_swap(NOW, b"k".into(), expected.map(<[u8]>::to_vec), value.to_vec()).unwrap()
    };
    assert!(!swap(Some(&ab), &ab), "there is nothing yet");
    assert!(swap(None, &ab));
    assert!(!swap(None, &ab));
    assert!(swap(Some(&ba), &cbor("next")));
    assert!(!swap(Some(&ab), &ba));
    assert!(swap(Some(&cbor("next")), &ba));
    let found = get(NOW, table.number(), b"k", |found| found.map(<[u8]>::to_vec)).unwrap().unwrap();
    assert_eq!(Value::from_cbor(&found).unwrap(), Value::from_cbor(&ab).unwrap());
}

#[test]
fn whoever_opens_it_with_other_options_is_told_which() {
    let folder = Folder::new();
    let path = folder.path("app.ldb");
    let first = Database::open_blocking(path.clone(), OpenOptions::default()).unwrap();
    let same = [
        OpenOptions::default(),
        OpenOptions { create: false, ..OpenOptions::default() },
        OpenOptions { memory_budget_bytes: Some(10_000_000), ..OpenOptions::default() },
        OpenOptions { durability: Some(crate::transaction::Durability::Sync), ..OpenOptions::default() },
    ];
    for options in same {
        Database::open_blocking(path.clone(), options).map(|same| same.end_blocking().unwrap()).unwrap();
    }
    let others = [
        (OpenOptions { read_only: true, ..OpenOptions::default() }, "read only is false there, and true"),
        (OpenOptions { memory_budget_bytes: Some(1 << 22), ..OpenOptions::default() }, "the memory budget"),
        (OpenOptions { feed_retention_bytes: 1, ..OpenOptions::default() }, "what the feed keeps"),
        (
            OpenOptions {
                limits: Some(Limits { backups_max: Some(1), ..Limits::default() }),
                ..OpenOptions::default()
            },
            "what it gives at most",
        ),
        (OpenOptions { scrub_interval_s: Some(1), ..OpenOptions::default() }, "the interval"),
        (
            OpenOptions { durability: Some(crate::transaction::Durability::Relaxed), ..OpenOptions::default() },
            "durability",
        ),
    ];
    for (options, what) in others {
        let text = Database::open_blocking(path.clone(), options).err().unwrap().to_string();
        assert!(text.contains("Invalid") && text.contains(what) && text.contains("app.ldb"), "{text}");
    }
    // By another name of the same file, too.
    let other_name = folder.0.join(".").join("app.ldb").to_str().unwrap().to_owned();
    let shared = Database::open_blocking(other_name, OpenOptions::default()).unwrap();
    first.end_blocking().unwrap();
    assert!(shared.tables().is_ok());
}

/// What an entry catches has come through the engine: locks are given back, what was written is undone. Run for each processor whose
/// functions begin and end in a way of its own (`docs/benchmarks.md`).
#[test]
fn a_panic_in_a_transaction_undoes_it_and_lets_others_write() {
    let database = Database::in_memory(OpenOptions::default()).unwrap();
    let people = people(&database);
    let core = objects::collection(people.number()).unwrap();
    for fault in 1..=3u64 {
        let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            scope::write(NOW, core.database(), |tx| {
                tx.collection(&core)?.add_cbor(&person(fault, 36))?;
                if fault > 0 { std::panic::resume_unwind(Box::new(fault)) } else { Ok(()) }
            })
        }));
        assert_eq!(caught.unwrap_err().downcast_ref(), Some(&fault));
        assert!(get(NOW, people.number(), &cbor(fault), |found| found.is_none()).unwrap());
        put(NOW, people.number(), WriteMode::Insert, &[], &person(10 + fault, 36)).unwrap();
        assert!(get(NOW, people.number(), &cbor(10 + fault), |found| found.is_some()).unwrap());
    }
}
