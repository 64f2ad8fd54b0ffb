//! Documents beside the records: every commit writes both alike, and indexes over the documents are made and dropped all the
//! while. Whatever is killed, the documents are the records, and an index is not there, or being made, or whole.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use lightning_db::{
    Collection, Database, Error, Index, Query, Result, Schema, Snapshot, Value, WriteTransaction, field,
};

use crate::commit::RECORDS;
use crate::phase;
use crate::plan::{Operation, digest};

const NAME: &str = "documents";
/// A step of making an index takes so many documents: there are many steps to be killed in.
pub const STEP_DOCUMENTS: usize = 16;

/// The documents, made if there are none. An index that was being made when the last process ended is finished.
pub fn open(database: &Database) -> Result<Collection<Value>> {
    phase::indexing();
    database.collection(NAME, Schema::key("key"))
}

/// Does to the documents what a writer's commit does to its records.
pub fn write(
    tx: &mut WriteTransaction,
    documents: &Collection<Value>,
    writer: u32,
    operations: &[Operation],
) -> Result<()> {
    let mut documents = tx.collection(documents)?;
    for operation in operations {
        match operation {
            Operation::Put { slot, value } => documents.put(&document(writer, *slot, &value.bytes()))?,
            Operation::Delete { slot } => drop(documents.delete(key(writer, *slot))?),
            Operation::DeleteRange { from, to } => {
                let slots = field("slot").from(*from).and(field("slot").below(*to));
                documents.delete_where(Query::new().filter(field("writer").equals(writer).and(slots)))?;
            }
        }
    }
    Ok(())
}

/// Makes one index after the other and drops it again.
pub fn make_indexes(database: &Database, over: &AtomicBool) -> Result<()> {
    for round in 0.. {
        if over.load(Ordering::Relaxed) {
            break;
        }
        let index = match round % 4 {
            0 => Index::on("length"),
            1 => Index::on("name").unique(),
            2 => Index::on("marks").multi(),
            _ => Index::on(["writer", "digest"]),
        };
        let name = index.name();
        phase::indexing();
        let documents = database.collection::<Value>(NAME, Schema::key("key").with(index))?;
        phase::working();
        let info = database.snapshot().collection_info(NAME)?;
        if !info.is_some_and(|info| info.indexes.iter().all(|index| index.ready)) {
            return Err(Error::Invalid { what: format!("index '{name}' was made and is not ready") });
        }
        std::thread::sleep(Duration::from_micros(500 * (round % 5)));
        documents.drop_index(&name)?;
    }
    Ok(())
}

/// What is not the same in documents and records.
pub fn problems(database: &Database, snapshot: &Snapshot) -> Result<Vec<String>> {
    let mut problems = Vec::new();
    let documents = match database.existing_collection::<Value>(NAME) {
        Ok(documents) => Some(snapshot.collection(&documents)?),
        Err(Error::NoSuchTable { .. }) => None,
        Err(error) => return Err(error),
    };
    let mut records = 0;
    match snapshot.table(RECORDS) {
        Err(Error::NoSuchTable { .. }) => {}
        table => {
            for record in table?.range(..)? {
                let ((writer, slot), value) = record?;
                records += 1;
                let found = documents.as_ref().map(|documents| documents.get(key(writer, slot))).transpose()?;
                if found.flatten() != Some(document(writer, slot, &value)) {
                    problems.push(format!("record {slot} of writer {writer} has another document, or none"));
                }
            }
        }
    }
    let count = documents.map_or(Ok(0), |documents| documents.count(Query::new()))?;
    if count != records {
        problems.push(format!("there are {count} documents of {records} records"));
    }
    Ok(problems)
}

fn key(writer: u32, slot: u64) -> Value {
    Value::Array(vec![writer.into(), slot.into()])
}

fn document(writer: u32, slot: u64, value: &[u8]) -> Value {
    let marks = [slot % 3, slot % 5, slot % 3].into_iter().map(Value::from).collect();
    [
        ("key", key(writer, slot)),
        ("writer", writer.into()),
        ("slot", slot.into()),
        ("name", format!("{writer} {slot}").into()),
        ("length", (value.len() as u64).into()),
        ("digest", digest(value).into()),
        ("marks", marks),
    ]
    .into_iter()
    .collect()
}
