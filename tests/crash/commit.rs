//! Carrying out planned commits.

use lightning_db::{Collection, Database, Durability, Error, Isolation, Result, Table, Value, WriteTransaction};

use crate::documents;
use crate::plan::{Commit, Form, Operation};

/// The writers' keys.
pub const RECORDS: Table<(u32, u64), &[u8]> = Table::new("records");
/// How far each writer is, and under [`TOTAL`] how many commits there are of all together.
pub const HEADS: Table<u32, i64> = Table::new("heads");
/// The row that all writers meet in.
pub const TOTAL: u32 = u32::MAX;

const CONFLICTS_MAX: usize = 8;

/// What a commit writes beside its writer's records.
#[derive(Clone, Copy)]
pub struct Beside<'a> {
    /// The writer's row.
    pub heads: bool,
    /// The same as documents.
    pub documents: Option<&'a Collection<Value>>,
}

/// Commits number `number` of `writer`.
pub fn commit(
    database: &Database,
    writer: u32,
    number: u64,
    commit: &Commit,
    durability: Durability,
    beside: Beside<'_>,
) -> Result<()> {
    let write = |tx: &mut WriteTransaction| -> Result<()> {
        if beside.heads {
            tx.table(HEADS)?.put(writer, number as i64)?;
            tx.table(HEADS)?.increment(TOTAL, 1)?;
        }
        commit.operations.iter().try_for_each(|operation| write_one(tx, writer, operation))?;
        match beside.documents {
            Some(documents) => documents::write(tx, documents, writer, &commit.operations),
            None => Ok(()),
        }
    };
    match commit.form {
        Form::Single => single(database, writer, &commit.operations),
        Form::Closure => database.transaction_with(durability, write),
        Form::Savepoint => database.transaction_with(durability, |tx| {
            let before = tx.savepoint();
            let doomed = Operation::DeleteRange { from: 0, to: u64::MAX };
            write_one(tx, writer, &doomed)?;
            tx.table(RECORDS)?.put((writer, number), b"never committed")?;
            tx.rollback_to(&before);
            write(tx)
        }),
        Form::Optimistic | Form::Interactive | Form::Locking => {
            for _ in 0..CONFLICTS_MAX {
                match attempt(database, commit.form, durability, write) {
                    Err(error) if error.is_retryable() => {}
                    done => return done,
                }
            }
            database.transaction_with(durability, write)
        }
    }
}

/// One attempt, which others may make impossible.
fn attempt(
    database: &Database,
    form: Form,
    durability: Durability,
    write: impl Fn(&mut WriteTransaction) -> Result<()>,
) -> Result<()> {
    if form == Form::Optimistic {
        return database.optimistic(Isolation::Serializable, write);
    }
    let mut tx = database.begin(Isolation::Serializable);
    if form == Form::Locking {
        tx.table(HEADS)?.get_for_update(TOTAL)?;
    }
    write(&mut tx)?;
    tx.commit_with(durability)
}

fn single(database: &Database, writer: u32, operations: &[Operation]) -> Result<()> {
    let table = database.table(RECORDS)?;
    match operations {
        [Operation::Put { slot, value }] => table.put((writer, *slot), value.bytes()),
        [Operation::Delete { slot }] => table.delete((writer, *slot)).map(drop),
        [Operation::DeleteRange { from, to }] => table.delete_range((writer, *from)..(writer, *to)),
        _ => Err(Error::Invalid { what: String::from("a single operation was planned") }),
    }
}

fn write_one(tx: &mut WriteTransaction, writer: u32, operation: &Operation) -> Result<()> {
    let mut table = tx.table(RECORDS)?;
    match operation {
        Operation::Put { slot, value } => table.put((writer, *slot), value.bytes()),
        Operation::Delete { slot } => table.delete((writer, *slot)).map(drop),
        Operation::DeleteRange { from, to } => table.delete_range((writer, *from)..(writer, *to)),
    }
}
