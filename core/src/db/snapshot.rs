//! A frozen view of the whole database.

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::marker::PhantomData;

use super::catalogue::Catalogue;
use super::found::Found;
use super::range::{Cursor, Range, View};
use crate::engine::{self, Engine, FoundValue, MergedCursor, ValueReader, Version};
use crate::env::sync::Mutex;
use crate::error::{Error, Result};
use crate::table::catalogue::{TableEntry, entry_bounds, entry_name};
use crate::table::{Key, KeyBuffer, KeyPrefix, KeyRange, Lend, Table, Value, prefix, prefix_bounds, range_bounds};

/// The database as it was after one commit. Cheap to take and to clone; nobody waits for it, and it waits for nobody. What
/// it sees stays in the file until it is dropped, so hold it no longer than needed: past
/// [`snapshot_ms_max`](crate::Limits::snapshot_ms_max) it expires, and is read no more.
pub struct Snapshot {
    pub(crate) engine: Arc<Engine>,
    pub(super) catalogue: Arc<Catalogue>,
    pub(super) version: Arc<Version>,
    pub(super) now_ms: Mutex<Option<u64>>,
}

impl Clone for Snapshot {
    fn clone(&self) -> Self {
        Self {
            engine: Arc::clone(&self.engine),
            catalogue: Arc::clone(&self.catalogue),
            version: Arc::clone(&self.version),
            now_ms: Mutex::new(*self.now_ms.lock()),
        }
    }
}

/// What `tables` tells of one table.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TableInfo {
    /// Its name.
    pub name: String,
    /// The type of its keys, as recorded.
    pub key_type: String,
    /// The type of its values, as recorded.
    pub value_type: String,
    /// When it was made, in milliseconds since 1970.
    pub created_ms: u64,
}

impl Snapshot {
    /// The newest commit this snapshot sees.
    pub fn sequence(&self) -> u64 {
        self.version.sequence
    }

    /// Opens a table for reading. A table that was never written to is [`Error::NoSuchTable`].
    pub fn table<K: Key, V: Value>(&self, table: Table<'_, K, V>) -> Result<ReadTable<'_, K, V>> {
        self.version.layers.lease.require()?;
        match self.catalogue.id_of(&self.engine, &self.version, &table)? {
            Some(id) => Ok(ReadTable::new(self, id)),
            None => Err(no_such_table(table.name())),
        }
    }

    /// Opens a table as bytes, whatever its types: for tools.
    pub fn untyped_table(&self, name: &str) -> Result<ReadTable<'_, &'static [u8], &'static [u8]>> {
        Ok(ReadTable::new(self, self.entry(name)?.id))
    }

    /// All tables, by name.
    pub fn tables(&self) -> Result<Vec<TableInfo>> {
        let (from, to) = entry_bounds();
        let mut cursor = MergedCursor::new(&self.version, &self.engine.nodes);
        cursor.seek(&from)?;
        let mut tables = Vec::new();
        while let Some((key, slot)) = cursor.entry() {
            if key >= &*to {
                break;
            }
            if let (Some(name), crate::codec::slot::Slot::Inline(bytes)) = (entry_name(key), slot) {
                let entry = TableEntry::decode(name, bytes)?;
                tables.push(TableInfo {
                    name: String::from(name),
                    key_type: entry.key_type,
                    value_type: entry.value_type,
                    created_ms: entry.created_ms,
                });
            }
            cursor.next()?;
        }
        Ok(tables)
    }

    fn entry(&self, name: &str) -> Result<Arc<TableEntry>> {
        self.catalogue.entry(&self.engine, &self.version, name)?.ok_or_else(|| no_such_table(name))
    }
}

fn no_such_table(name: &str) -> Error {
    Error::NoSuchTable { table: String::from(name) }
}

impl fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Snapshot").field("sequence", &self.version.sequence).finish_non_exhaustive()
    }
}

/// A table as one snapshot sees it.
#[derive(Clone)]
pub struct ReadTable<'s, K: Key, V: Value> {
    pub(super) snapshot: &'s Snapshot,
    id: u64,
    types: PhantomData<fn() -> (K, V)>,
}

impl<'s, K: Key, V: Value> ReadTable<'s, K, V> {
    pub(super) fn new(snapshot: &'s Snapshot, id: u64) -> Self {
        Self { snapshot, id, types: PhantomData }
    }

    /// The value of `key`, if there is one.
    #[inline]
    pub fn get(&self, key: impl Lend<K>) -> Result<Option<Found<'s, V>>> {
        let mut bytes = KeyBuffer::new();
        prefix::encode_prefix(self.id, &mut bytes);
        K::encode(&key.lend(), &mut bytes)?;
        Found::look_up(&self.snapshot.version, &self.snapshot.engine.nodes, &bytes)
    }

    /// The values of many keys, in the order of the keys. Quicker than as many single gets where the records lie far apart
    /// in memory, because several are fetched from there at once.
    pub fn get_many<Q: Lend<K>>(&self, keys: &[Q]) -> Result<Vec<Option<Found<'s, V>>>> {
        let Snapshot { version, engine, .. } = self.snapshot;
        let mut found = Vec::with_capacity(keys.len());
        let encode = |key: &Q, bytes: &mut KeyBuffer| K::encode(&key.lend(), bytes);
        self.snapshot.look_ahead(self.id, keys, encode, |key| {
            found.push(Found::look_up(version, &engine.nodes, key)?);
            Ok(())
        })?;
        Ok(found)
    }

    /// Whether there is such a key.
    pub fn contains(&self, key: impl Lend<K>) -> Result<bool> {
        Ok(self.find(key)?.is_some())
    }

    /// Length of the value of `key` in bytes, without reading a long value.
    pub fn value_len(&self, key: impl Lend<K>) -> Result<Option<u64>> {
        Ok(self.find(key)?.map(|found| found.len()))
    }

    fn find(&self, key: impl Lend<K>) -> Result<Option<FoundValue<'s>>> {
        let mut bytes = KeyBuffer::new();
        prefix::encode_prefix(self.id, &mut bytes);
        K::encode(&key.lend(), &mut bytes)?;
        engine::get(&self.snapshot.version, &self.snapshot.engine.nodes, &bytes)
    }

    /// The value of `key` as a stream, for values too long to hold at once.
    pub fn reader(&self, key: impl Lend<K>) -> Result<Option<BlobReader>> {
        Ok(match self.find(key)? {
            None => None,
            Some(FoundValue::Extent(value)) => Some(BlobReader {
                source: BlobSource::Extent(value.reader(&self.snapshot.engine.nodes)),
                position: 0,
                _pins: Arc::clone(&self.snapshot.version),
            }),
            Some(found) => Some(BlobReader {
                source: BlobSource::Bytes(found.to_vec(&self.snapshot.engine.nodes)?),
                position: 0,
                _pins: Arc::clone(&self.snapshot.version),
            }),
        })
    }

    /// The entries of a range in key order, from either end.
    pub fn range(&self, range: impl KeyRange<K>) -> Result<Range<K, V>> {
        let (from, to) = range_bounds::<K>(self.id, &range)?;
        Ok(Range::new(self.view(), self.id, from, to))
    }

    /// The entries whose keys begin with `prefix`.
    pub fn prefix(&self, prefix: impl KeyPrefix<K>) -> Result<Range<K, V>> {
        let (from, to) = prefix_bounds::<K>(self.id, &prefix)?;
        Ok(Range::new(self.view(), self.id, from, to))
    }

    /// A cursor over a range; it stands nowhere until it is moved.
    pub fn cursor(&self, range: impl KeyRange<K>) -> Result<Cursor<K, V>> {
        let (from, to) = range_bounds::<K>(self.id, &range)?;
        Ok(Cursor::new(self.view(), self.id, from, to))
    }

    /// How many keys the range holds: from counts in inner nodes, with one probe for each change not yet merged.
    pub fn count(&self, range: impl KeyRange<K>) -> Result<u64> {
        let (from, to) = range_bounds::<K>(self.id, &range)?;
        if *from >= *to {
            return Ok(0);
        }
        engine::count(&self.snapshot.version, None, &self.snapshot.engine.nodes, &from, Some(&to))
    }

    /// How many keys the table holds.
    pub fn len(&self) -> Result<u64> {
        self.count(..)
    }

    /// Whether the table holds no key.
    pub fn is_empty(&self) -> Result<bool> {
        Ok(self.cursor(..)?.first()?.is_none())
    }

    /// The entry with the lowest key.
    pub fn first(&self) -> Result<Option<(K::Owned, V::Owned)>> {
        self.range(..)?.next().transpose()
    }

    /// The entry with the highest key.
    pub fn last(&self) -> Result<Option<(K::Owned, V::Owned)>> {
        self.range(..)?.next_back().transpose()
    }

    pub(super) fn view(&self) -> View {
        View { engine: Arc::clone(&self.snapshot.engine), version: Arc::clone(&self.snapshot.version), changes: None }
    }
}

impl<K: Key, V: Value> fmt::Debug for ReadTable<'_, K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReadTable").field("id", &self.id).finish_non_exhaustive()
    }
}

/// Reads one value in pieces, each verified. It stays readable while the reader is held, whatever is committed.
pub struct BlobReader {
    source: BlobSource,
    position: u64,
    _pins: Arc<Version>,
}

enum BlobSource {
    Extent(ValueReader),
    Bytes(Vec<u8>),
}

impl BlobReader {
    /// Length of the value in bytes.
    pub fn len(&self) -> u64 {
        match &self.source {
            BlobSource::Extent(reader) => reader.len(),
            BlobSource::Bytes(bytes) => bytes.len() as u64,
        }
    }

    /// Whether the value has no bytes.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Fills `buf` from byte `offset` of the value; gives how many bytes there were.
    pub fn read_at(&mut self, offset: u64, buf: &mut [u8]) -> Result<usize> {
        match &mut self.source {
            BlobSource::Extent(reader) => reader.read_at(offset, buf),
            BlobSource::Bytes(bytes) => {
                let rest = usize::try_from(offset).ok().and_then(|at| bytes.get(at..)).unwrap_or(&[]);
                let len = rest.len().min(buf.len());
                for (to, from) in buf.iter_mut().zip(rest) {
                    *to = *from;
                }
                Ok(len)
            }
        }
    }

    /// Fills `buf` from where the last call ended; 0 at the end.
    pub fn read(&mut self, buf: &mut [u8]) -> Result<usize> {
        let read = self.read_at(self.position, buf)?;
        self.position += read as u64;
        Ok(read)
    }
}

#[cfg(feature = "std")]
impl std::io::Read for BlobReader {
    fn read(&mut self, buf: &mut [u8]) -> std::io::Result<usize> {
        BlobReader::read(self, buf).map_err(std::io::Error::other)
    }
}

impl fmt::Debug for BlobReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BlobReader").field("len", &self.len()).field("position", &self.position).finish()
    }
}
