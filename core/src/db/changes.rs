//! The changes of a commit as an application sees them: of its tables, by name.

use alloc::borrow::Cow;
use alloc::collections::{BTreeMap, btree_map};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

use super::snapshot::Snapshot;
use crate::codec::slot::ValueRef;
use crate::engine::Engine;
use crate::error::Result;
use crate::log::{Operation, Operations};
use crate::table::catalogue::{TableEntry, entry_name};
use crate::table::{KeyBuffer, prefix};

/// One change of one table. Keys are as the table's key type encodes them.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Change<'c> {
    /// The key has this value now.
    Put {
        /// The name of the table.
        table: &'c str,
        /// The key.
        key: &'c [u8],
        /// The value.
        value: ChangedValue<'c>,
    },
    /// The key is gone, if it was there.
    Delete {
        /// The name of the table.
        table: &'c str,
        /// The key.
        key: &'c [u8],
    },
    /// All keys from `from` on and below `to` are gone. A table that is dropped loses all of them.
    DeleteRange {
        /// The name of the table.
        table: &'c str,
        /// The first key of the range; empty is before every key.
        from: &'c [u8],
        /// The first key after it; none is the end of the table.
        to: Option<&'c [u8]>,
    },
}

/// The value that a commit wrote.
#[derive(Clone)]
pub struct ChangedValue<'c> {
    source: Source<'c>,
    engine: &'c Engine,
}

#[derive(Clone)]
enum Source<'c> {
    Inline(&'c [u8]),
    Extent(ValueRef),
}

impl<'c> ChangedValue<'c> {
    /// Its length in bytes.
    pub fn len(&self) -> u64 {
        match &self.source {
            Source::Inline(bytes) => bytes.len() as u64,
            Source::Extent(value) => value.len,
        }
    }

    /// Whether it has no bytes.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The bytes, where they are in the log itself: always, unless the value is longer than the database's limit for values
    /// beside their keys.
    pub fn inline(&self) -> Option<&'c [u8]> {
        match &self.source {
            Source::Inline(bytes) => Some(bytes),
            Source::Extent(_) => None,
        }
    }

    /// The bytes, as its type encodes the value. `None` for a long value that a later commit has replaced or deleted, and
    /// whose space has been used again, or that was moved to another place since: the table says what the key holds now.
    pub fn read(&self) -> Result<Option<Cow<'c, [u8]>>> {
        match &self.source {
            Source::Inline(bytes) => Ok(Some(Cow::Borrowed(*bytes))),
            Source::Extent(value) => Ok(self.engine.logged_value(value)?.map(Cow::Owned)),
        }
    }
}

impl fmt::Debug for ChangedValue<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChangedValue").field("len", &self.len()).finish_non_exhaustive()
    }
}

/// The tables' names by number, of now and of as long as a feed has been read.
#[derive(Clone, Debug, Default)]
pub(super) struct TableNames(BTreeMap<u64, Arc<str>>);

impl TableNames {
    pub(super) fn newest(snapshot: &Snapshot) -> Result<Self> {
        snapshot.names_by_id().map(Self)
    }

    /// Whether an operation may make a table.
    pub(super) fn is_changed_by(operation: &Operation<'_>) -> bool {
        matches!(operation, Operation::Put { key, .. } | Operation::PutExtent { key, .. } if entry_name(key).is_some())
    }

    /// Takes note of a table that is made. False when the operation alone does not tell.
    pub(super) fn learn(&mut self, operation: &Operation<'_>) -> Result<bool> {
        let Operation::Put { key, value } = operation else { return Ok(false) };
        if let Some(name) = entry_name(key) {
            self.0.insert(TableEntry::decode(name, value)?.id, Arc::from(name));
        }
        Ok(true)
    }

    pub(super) fn extend(&mut self, others: Self) {
        self.0.extend(others.0);
    }

    fn name(&self, id: u64) -> Option<&str> {
        self.0.get(&id).map(|name| &**name)
    }
}

/// Gives the changes of one commit.
#[derive(Clone)]
pub struct Changes<'c> {
    operations: Operations<'c>,
    names: &'c TableNames,
    engine: &'c Engine,
    /// The tables that a deleted range has yet to be looked at in.
    range: Option<DeletedRange<'c>>,
    /// Tables of which was told that all is gone.
    emptied: Vec<&'c str>,
}

#[derive(Clone)]
struct DeletedRange<'c> {
    start: &'c [u8],
    end: Option<&'c [u8]>,
    tables: btree_map::Range<'c, u64, Arc<str>>,
}

impl<'c> Changes<'c> {
    pub(super) fn new(operations: Operations<'c>, names: &'c TableNames, engine: &'c Engine) -> Self {
        Self { operations, names, engine, range: None, emptied: Vec::new() }
    }

    /// The table and key of a point, unless they are not the application's.
    fn place(&self, key: &'c [u8]) -> Option<(&'c str, &'c [u8])> {
        let (id, key) = prefix::split(key)?;
        Some((self.names.name(id)?, key))
    }

    fn put(&self, key: &'c [u8], source: Source<'c>) -> Option<Change<'c>> {
        let (table, key) = self.place(key)?;
        Some(Change::Put { table, key, value: ChangedValue { source, engine: self.engine } })
    }
}

impl<'c> Iterator for Changes<'c> {
    type Item = Change<'c>;

    fn next(&mut self) -> Option<Change<'c>> {
        loop {
            if let Some(range) = &mut self.range {
                if let Some(change) = range.next() {
                    if let Change::DeleteRange { table, from: [], to: None } = change {
                        self.emptied.push(table);
                    }
                    return Some(change);
                }
                self.range = None;
            }
            // They were looked through when the commit was read.
            let change = match self.operations.next()?.ok()? {
                Operation::Put { key, value } => self.put(key, Source::Inline(value)),
                Operation::PutExtent { key, value } => self.put(key, Source::Extent(value)),
                Operation::Delete { key } => match entry_name(key) {
                    // With the range of its keys, unless its number is known to nobody any more.
                    Some(table) if self.emptied.contains(&table) => None,
                    Some(table) => Some(Change::DeleteRange { table, from: &[], to: None }),
                    None => self.place(key).map(|(table, key)| Change::Delete { table, key }),
                },
                Operation::DeleteRange { start, end } => {
                    let first = prefix::split(start).map_or(0, |(id, _)| id);
                    let last = end.and_then(prefix::split).map_or(u64::MAX, |(id, _)| id);
                    let tables = self.names.0.range(first..=last.max(first));
                    self.range = Some(DeletedRange { start, end, tables });
                    None
                }
            };
            if change.is_some() {
                return change;
            }
        }
    }
}

impl<'c> Iterator for DeletedRange<'c> {
    type Item = Change<'c>;

    fn next(&mut self) -> Option<Change<'c>> {
        loop {
            let (&id, table) = self.tables.next()?;
            let mut begin = KeyBuffer::new();
            prefix::encode_prefix(id, &mut begin);
            let table_end = prefix::end_of(id);
            let from = if *self.start <= *begin { Some(&[][..]) } else { self.start.strip_prefix(&*begin) };
            // A range that begins behind all keys of the table.
            let Some(from) = from else { continue };
            let to = match self.end {
                Some(end) if *end <= *begin => continue,
                Some(end) if *end < *table_end => end.strip_prefix(&*begin),
                _ => None,
            };
            if to.is_none_or(|to| from < to) {
                return Some(Change::DeleteRange { table, from, to });
            }
        }
    }
}

impl fmt::Debug for Changes<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.clone()).finish()
    }
}
