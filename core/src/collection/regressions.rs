//! What the simulator found, or found out, each by itself.

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::Ordering;

use super::*;
use crate::db::{Database, Isolation, Options};
use crate::document::Value;
use crate::document::query::{Query, Update, field};
use crate::engine::Environment;
use crate::env::{Clock, HandSet, MemoryStorage, SeededEntropy};
use crate::error::Error;

/// A database whose steps take one document each.
fn open(clock: &Arc<HandSet>) -> Database {
    let env = Environment { clock: Arc::clone(clock) as Arc<dyn Clock>, entropy: Arc::new(SeededEntropy::new(7)) };
    let options = Options { background_thread: false, step_entries: 1, ..Options::default() };
    Database::open_storage(Arc::new(MemoryStorage::new()), env, options).unwrap()
}

fn document(id: i64, fields: &[(&str, Value)]) -> Value {
    let id = [(String::from("id"), Value::from(id))];
    Value::Map(id.into_iter().chain(fields.iter().map(|(name, value)| (String::from(*name), value.clone()))).collect())
}

fn assert_whole(database: &Database) {
    assert_eq!(database.check().unwrap().problems, Vec::<String>::new());
}

/// Makes an index, with this before its second step.
fn build(documents: &Collection<Value>, schema: Schema, between: impl FnOnce()) -> Result<Collection<Value>, Error> {
    let (mut between, mut calls) = (Some(between), 0);
    documents.database().collection_with("documents", schema, Migrations::new(), &mut |_| {
        calls += 1;
        if calls == 2
            && let Some(between) = between.take()
        {
            between();
        }
    })
}

#[test]
fn a_refused_write_leaves_nothing_behind_in_a_transaction_that_goes_on() {
    let database = open(&Arc::default());
    let schema = Schema::key("id").index("a").unique("u");
    let documents = database.collection::<Value>("documents", schema).unwrap();
    documents.put(&document(1, &[("a", 1.into()), ("u", 1.into())])).unwrap();
    database
        .transaction(|tx| {
            let mut documents = tx.collection(&documents)?;
            let refused = documents.put(&document(2, &[("a", 2.into()), ("u", 1.into())]));
            assert_eq!(refused.unwrap_err().name(), "DuplicateKey");
            documents.put(&document(3, &[("a", 3.into()), ("u", 2.into())]))?;
            // The second of them would be like the first.
            let all = Update::new().set("u", 9).increment("a", 1);
            assert_eq!(documents.update_where(Query::new(), &all).unwrap_err().name(), "DuplicateKey");
            Ok(())
        })
        .unwrap();
    assert_whole(&database);
    let found: Vec<Value> = documents.query(Query::new()).unwrap().map(Result::unwrap).collect();
    assert_eq!(
        found,
        [document(1, &[("a", 1.into()), ("u", 1.into())]), document(3, &[("a", 3.into()), ("u", 2.into())])]
    );
}

#[test]
fn while_a_unique_index_is_made_a_document_takes_only_its_own_entry_away() {
    let database = open(&Arc::default());
    let documents = database.collection::<Value>("documents", Schema::key("id")).unwrap();
    documents.put(&document(1, &[])).unwrap();
    documents.put(&document(2, &[("u", 7.into())])).unwrap();
    let built = build(&documents, Schema::key("id").unique("u"), || {
        // The builder has been here, and has not been at the other.
        documents.put(&document(1, &[("u", 7.into())])).unwrap();
        documents.put(&document(2, &[("u", 8.into())])).unwrap();
    });
    built.unwrap();
    assert_whole(&database);
    let found = documents.query(Query::new().filter(field("u").equals(7))).unwrap().count();
    assert_eq!(found, 1);
}

#[test]
fn what_cannot_be_in_an_index_that_is_made_can_be_taken_away() {
    let database = open(&Arc::default());
    let documents = database.collection::<Value>("documents", Schema::key("id")).unwrap();
    documents.put(&document(1, &[])).unwrap();
    documents.put(&document(2, &[("a", Value::Array(Vec::from([1.into()])))])).unwrap();
    documents.put(&document(3, &[("a", Value::Array(Vec::new()))])).unwrap();
    let built = build(&documents, Schema::key("id").index("a"), || {
        assert!(documents.delete(2).unwrap());
        documents.put(&document(3, &[("a", 3.into())])).unwrap();
    });
    built.unwrap();
    assert_whole(&database);
}

#[test]
fn documents_that_are_gone_are_in_no_index_s_way() {
    let clock = Arc::new(HandSet::default());
    let database = open(&clock);
    let documents = database.collection::<Value>("documents", Schema::key("id")).unwrap();
    documents.put(&document(1, &[("u", 7.into())])).unwrap();
    documents.put_expiring(&document(2, &[("u", 7.into()), ("a", 1.into())]), Expiry::At(10)).unwrap();
    let no_key = Value::Array(Vec::new());
    documents.put_expiring(&document(3, &[("a", no_key)]), Expiry::At(10)).unwrap();
    clock.0.store(10, Ordering::Relaxed);
    database.collection::<Value>("documents", Schema::key("id").unique("u").index("a")).unwrap();
    assert_whole(&database);
}

#[test]
fn at_read_committed_an_index_that_others_have_dropped_is_not_read() {
    let database = open(&Arc::default());
    let documents = database.collection::<Value>("documents", Schema::key("id").index("a")).unwrap();
    documents.put(&document(1, &[("a", 1.into())])).unwrap();
    let asked = || Query::new().filter(field("a").equals(1));
    let mut tx = database.begin(Isolation::ReadCommitted);
    assert_eq!(tx.collection(&documents).unwrap().query(asked()).unwrap().len(), 1);
    let mut before = tx.collection(&documents).unwrap();
    assert!(documents.drop_index("a").unwrap());
    assert_eq!(before.query(asked()).unwrap_err().name(), "Conflict");
    assert_eq!(before.count(asked()).unwrap_err().name(), "Conflict");
    assert_eq!(tx.collection(&documents).unwrap().query(asked()).unwrap().len(), 1);
}

#[test]
fn at_read_committed_reads_that_belong_together_see_one_state() {
    let database = open(&Arc::default());
    let documents = database.collection::<Value>("documents", Schema::key("id")).unwrap();
    documents.put(&document(1, &[])).unwrap();
    let mut tx = database.begin(Isolation::ReadCommitted);
    let id = crate::collection::definition::Definition::of(
        "documents",
        &database.snapshot().definition("documents").unwrap().unwrap(),
    )
    .unwrap()
    .id;
    tx.as_one_read(|tx| {
        assert_eq!(tx.bytes_table(id).len()?, 1);
        documents.put(&document(2, &[]))?;
        assert_eq!(tx.bytes_table(id).len()?, 1);
        Ok(())
    })
    .unwrap();
    assert_eq!(tx.bytes_table(id).len().unwrap(), 2);
}

#[test]
fn at_read_committed_nothing_is_read_beside_writes_that_can_no_longer_be_committed() {
    let database = open(&Arc::default());
    let documents = database.collection::<Value>("documents", Schema::key("id").unique("u")).unwrap();
    documents.put(&document(1, &[])).unwrap();
    let asked = || Query::new().filter(field("u").equals(7));
    let mut tx = database.begin(Isolation::ReadCommitted);
    let before = tx.savepoint();
    // The entry of the index is written and deleted again: hidden, whoever makes it.
    tx.collection(&documents).unwrap().put(&document(2, &[("u", 7.into())])).unwrap();
    assert!(tx.collection(&documents).unwrap().delete(2).unwrap());
    documents.put(&document(3, &[("u", 7.into())])).unwrap();
    let found = tx.collection(&documents).and_then(|mut documents| documents.query(asked()));
    assert_eq!(found.unwrap_err().name(), "Conflict");
    tx.rollback_to(&before);
    assert_eq!(tx.collection(&documents).unwrap().query(asked()).unwrap().len(), 1);
}

#[test]
fn at_read_committed_a_write_is_validated_from_when_it_was_decided_upon() {
    let database = open(&Arc::default());
    let documents = database.collection::<Value>("documents", Schema::key("id").unique("u")).unwrap();
    let mut tx = database.begin(Isolation::ReadCommitted);
    tx.collection(&documents).unwrap().put(&document(1, &[("u", 1.into())])).unwrap();
    documents.put(&document(2, &[("u", 2.into())])).unwrap();
    assert!(tx.collection(&documents).unwrap().delete(2).unwrap(), "it sees what was committed after its first write");
    tx.collection(&documents).unwrap().put(&document(3, &[("u", 2.into())])).unwrap();
    tx.commit().unwrap();
    assert_eq!(documents.query(Query::new().filter(field("u").equals(2))).unwrap().count(), 1);
    assert_whole(&database);
}

#[test]
fn what_is_gone_in_a_snapshot_is_so_by_one_time() {
    let clock = Arc::new(HandSet::default());
    let database = open(&clock);
    let documents = database.collection::<Value>("documents", Schema::key("id")).unwrap();
    documents.put_expiring(&document(1, &[]), Expiry::At(10)).unwrap();
    let snapshot = database.snapshot();
    assert_eq!(snapshot.collection(&documents).unwrap().count(Query::new()).unwrap(), 1);
    clock.0.store(10, Ordering::Relaxed);
    assert_eq!(snapshot.collection(&documents).unwrap().count(Query::new()).unwrap(), 1);
    assert_eq!(documents.count(Query::new()).unwrap(), 0);
}

/// A document with null beside other values is ordered by null, and was found first where the lowest was asked for.
#[test]
fn null_among_several_values_does_not_hide_the_lowest() {
    let clock = Arc::new(HandSet::default());
    let database = open(&clock);
    let documents = database.collection::<Value>("documents", Schema::key("id")).unwrap();
    let list = |values: &[Value]| {
        values.iter().map(|value| [("x", value.clone())].into_iter().collect::<Value>()).collect::<Value>()
    };
    documents.put(&document(1, &[("list", list(&[Value::Null, Value::from(5)]))])).unwrap();
    assert_eq!(documents.snapshot().unwrap().min("list.x", Query::new()).unwrap(), None);
    documents.put(&document(2, &[("list", list(&[Value::from(3)]))])).unwrap();
    let read = documents.snapshot().unwrap();
    assert_eq!(read.min("list.x", Query::new()).unwrap(), Some(Value::from(3)));
    assert_eq!(read.max("list.x", Query::new()).unwrap(), Some(Value::from(3)));
}

/// It was left in the definition, and refused the same migration again at every opening, even of a schema without it.
#[test]
fn an_index_that_cannot_be_made_is_not_in_the_way_of_a_migration() {
    let clock = Arc::new(HandSet::default());
    let database = open(&clock);
    let documents = database.collection::<Value>("documents", Schema::key("id")).unwrap();
    documents.put(&document(1, &[("u", 7.into())])).unwrap();
    documents.put(&document(2, &[("u", 7.into())])).unwrap();
    let next = || Schema::key("id").version(2);
    let open_with = |schema| {
        let migrations = Migrations::new().documents(1, |document| Update::new().set("m", 1).apply(document));
        database.collection_with::<Value>("documents", schema, migrations, &mut |_| {})
    };
    assert!(matches!(open_with(next().unique("u")), Err(Error::DuplicateKey { .. })));
    let documents = open_with(next()).unwrap();
    assert_eq!(documents.count(Query::new().filter(field("m").equals(1))).unwrap(), 2);
    assert_whole(&database);
}
