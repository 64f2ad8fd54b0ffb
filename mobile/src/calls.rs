//! The calls that are made most, on handles: what the entries of C and of Java's virtual machine have in common.
//!
//! Keys and values cross as their table says (`table.rs`); keys of documents and documents are CBOR. `scope` is [`scope::NOW`], or
//! the handle of a snapshot or transaction.

use std::sync::{Arc, Mutex};

use lightning_db::{Collection, Document, Expiry, Query, Result, Stop, Value, WriteTransaction};

use crate::objects::{self, Object, Target, invalid, locked};
use crate::packed::{self, Unpacked};
use crate::raw::Raw;
use crate::rows::Cursor;
use crate::scope;
use crate::table::{KeyRange, WriteMode};

/// Gives `found` the value or document of a key.
pub fn get<R>(scope: u64, target: u64, key: &[u8], found: impl FnOnce(Option<&[u8]>) -> R) -> Result<R> {
    match objects::target(target)? {
        Target::Collection(collection) => get_document(scope, &collection, Value::from_cbor(key)?, found),
        Target::Table(table) => {
            let (mut found, mut result) = (Some(found), None);
            table.get(scope, [Ok(key)].into_iter(), |value| {
                result = found.take().map(|found| found(value));
                Ok(())
            })?;
            result.ok_or_else(|| invalid("a key was not looked up"))
        }
    }
}

/// Gives `found` the document of a key.
pub fn get_document<R>(
    scope: u64,
    collection: &Collection<Raw>,
    key: Value,
    found: impl FnOnce(Option<&[u8]>) -> R,
) -> Result<R> {
    let document = scope::read(scope, collection, |documents| documents.get(key))?;
    Ok(found(document.as_deref()))
}

/// Gives `found` the document that has these values, CBOR and packed, in a unique index, one for each of its paths.
pub fn get_by<R>(
    scope: u64,
    collection: u64,
    index: &[u8],
    values: &[u8],
    found: impl FnOnce(Option<&[u8]>) -> R,
) -> Result<R> {
    let collection = objects::collection(collection)?;
    let index = std::str::from_utf8(index).map_err(|_| invalid("the name of an index is UTF-8"))?;
    let value =
        |value: Result<Option<&[u8]>>| Value::from_cbor(value?.ok_or_else(|| invalid("one of the values is missing"))?);
    let values = Unpacked::new(values).map(value).collect::<Result<Vec<_>>>()?;
    let document = scope::read(scope, &collection, |documents| documents.get_by(index, values))?;
    Ok(found(document.as_deref()))
}

/// Packs the values or documents of packed keys.
pub fn get_many(scope: u64, target: u64, keys: &[u8]) -> Result<Vec<u8>> {
    let mut out = Vec::new();
    let mut push = |value: Option<&[u8]>| match value {
        Some(value) => packed::push(&mut out, value),
        None => {
            packed::push_missing(&mut out);
            Ok(())
        }
    };
    let keys = Unpacked::new(keys).map(|key| key?.ok_or_else(|| invalid("one of the keys is missing")));
    match objects::target(target)? {
        Target::Collection(collection) => {
            let keys = keys.map(|key| Value::from_cbor(key?)).collect::<Result<Vec<_>>>()?;
            scope::read(scope, &collection, |documents| {
                documents.each(keys, &mut |document| {
                    Stop::check()?;
                    push(document)
                })
            })?;
        }
        Target::Table(table) => table.get(scope, keys, push)?,
    }
    Ok(out)
}

/// Writes a value under a key, or a document, whose `key` is empty; gives the document's key as CBOR where that was made.
pub fn put(scope: u64, target: u64, mode: WriteMode, key: &[u8], value: &[u8]) -> Result<Option<Vec<u8>>> {
    let target = objects::target(target)?;
    scope::write(scope, target.database(), |tx| put_in(&target, tx, mode, key, value))
}

fn put_in(
    target: &Target,
    tx: &mut WriteTransaction,
    mode: WriteMode,
    key: &[u8],
    value: &[u8],
) -> Result<Option<Vec<u8>>> {
    match target {
        Target::Table(table) => table.put(tx, mode, key, value).map(|()| None),
        Target::Collection(collection) => {
            let mut documents = tx.collection(collection)?;
            let made = match mode {
                WriteMode::Put => documents.put_cbor_expiring(value, Expiry::Default)?,
                WriteMode::Insert => documents.add_cbor(value)?,
                WriteMode::Replace => documents.replace(&Raw(value.to_vec())).map(|()| None)?,
            };
            made.map(|key| key.to_cbor()).transpose()
        }
    }
}

/// Deletes what is under a key; tells whether anything was.
pub fn delete(scope: u64, target: u64, key: &[u8]) -> Result<bool> {
    let target = objects::target(target)?;
    scope::write(scope, target.database(), |tx| delete_in(&target, tx, key))
}

fn delete_in(target: &Target, tx: &mut WriteTransaction, key: &[u8]) -> Result<bool> {
    match target {
        Target::Table(table) => table.delete(tx, key),
        Target::Collection(collection) => tx.collection(collection)?.delete(Value::from_cbor(key)?),
    }
}

/// One write of a batch.
#[derive(Clone, Copy, Debug)]
pub struct Write<'b> {
    pub target: u64,
    pub kind: WriteKind,
    pub key: &'b [u8],
    pub value: &'b [u8],
}

/// What a write does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WriteKind {
    Put(WriteMode),
    Delete,
}

impl WriteKind {
    /// As it crosses: 0 puts, 1 inserts, 2 replaces, 3 deletes.
    pub fn from_number(number: u64) -> Result<Self> {
        Ok(match number {
            0 => Self::Put(WriteMode::Put),
            1 => Self::Put(WriteMode::Insert),
            2 => Self::Put(WriteMode::Replace),
            3 => Self::Delete,
            _ => return Err(invalid("a write puts (0), inserts (1), replaces (2) or deletes (3)")),
        })
    }
}

/// Does all writes in one transaction, or none. They are in the database of the first.
pub fn batch<'b>(scope: u64, writes: impl Iterator<Item = Result<Write<'b>>>) -> Result<()> {
    let mut writes = writes.peekable();
    let first = match writes.peek() {
        None => return Ok(()),
        Some(Err(error)) => return Err(error.clone()),
        Some(Ok(write)) => objects::target(write.target)?,
    };
    scope::write(scope, first.database(), |tx| {
        // Most writes are to the target of the one before.
        let mut open: Option<(u64, Target)> = None;
        for write in writes {
            Stop::check()?;
            let write = write?;
            let target = match &open {
                Some((handle, target)) if *handle == write.target => target,
                _ => {
                    let target = objects::target(write.target)?;
                    &open.insert((write.target, target)).1
                }
            };
            match write.kind {
                WriteKind::Put(mode) => put_in(target, tx, mode, write.key, write.value).map(drop)?,
                WriteKind::Delete => delete_in(target, tx, write.key).map(drop)?,
            }
        }
        Ok(())
    })
}

/// The writes that were packed: of each its kind and its target, 8 bytes each, then key and value.
pub fn packed_writes(packed: &[u8]) -> impl Iterator<Item = Result<Write<'_>>> {
    let mut packed = Unpacked::new(packed);
    let mut is_cut = false;
    std::iter::from_fn(move || {
        if is_cut || packed.is_at_end() {
            return None;
        }
        let mut read = || -> Result<_> {
            let kind = WriteKind::from_number(packed.number()?)?;
            Ok(Write { kind, target: packed.number()?, key: packed.bytes()?, value: packed.bytes()? })
        };
        let write = read();
        is_cut = write.is_err();
        Some(write)
    })
}

/// The first rows of a cursor, packed, and its handle, or 0 where they are all there are.
pub struct Opened {
    pub cursor: u64,
    pub rows: Vec<u8>,
}

/// Begins a query, and gives rows until they have so many bytes.
pub fn query(scope: u64, collection: u64, query: &[u8], bytes: usize) -> Result<Opened> {
    let documents = objects::collection(collection)?;
    let stop = scope::stop_of(scope);
    let rows = scope::read(scope, &documents, |documents| documents.rows(read_query(query)?))?;
    begin(collection, Cursor { rows, stop }, bytes)
}

/// Begins a scan of a table, and gives entries until they have so many bytes.
pub fn scan(scope: u64, table: u64, range: &KeyRange, backwards: bool, limit: u64, bytes: usize) -> Result<Opened> {
    let stop = scope::stop_of(scope);
    let rows = objects::table(table)?.scan(scope, range, backwards, limit)?;
    begin(table, Cursor { rows, stop }, bytes)
}

fn begin(target: u64, mut rows: Cursor, bytes: usize) -> Result<Opened> {
    let mut first = Vec::with_capacity(bytes.min(ROW_BYTES));
    let is_over = rows.next(bytes, &mut first)?;
    let cursor = if is_over { 0 } else { objects::insert_beside(target, Object::Rows(Arc::new(Mutex::new(rows))))? };
    Ok(Opened { cursor, rows: first })
}

/// Room is made for so many bytes of rows before there are any.
const RESERVED_MAX: usize = 256 << 10;
/// What most rows have at most, and what a query finds that asks for a few.
const ROW_BYTES: usize = 4 << 10;

/// The rows that follow, until they have so many bytes, packed; whether they were the last, in which case the cursor is closed.
pub fn next(cursor: u64, bytes: usize) -> Result<(Vec<u8>, bool)> {
    let rows = objects::rows(cursor)?;
    // Those before them were as many as were asked for; so will these be, and a row more.
    let mut out = Vec::with_capacity(bytes.min(RESERVED_MAX) + ROW_BYTES);
    let is_over = locked(&rows).next(bytes, &mut out)?;
    if is_over {
        objects::remove(cursor);
    }
    Ok((out, is_over))
}

/// A query as it crosses: CBOR, or nothing for one that finds all.
pub fn read_query(query: &[u8]) -> Result<Query> {
    if query.is_empty() { Ok(Query::new()) } else { Query::from_cbor(query) }
}

#[cfg(test)]
mod tests;
