//! The key space as it is, tables' prefixes included: for salvage, which brings back keys whose tables it may not know, and for
//! queries, which read many documents of one table.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::database::Database;
use super::definitions::Bytes;
use super::found::Found;
use super::snapshot::Snapshot;
use super::transaction::WriteTransaction;
use crate::codec::slot::Slot;
use crate::engine::{self, MergedCursor, PREFETCHED_MAX};
use crate::error::Result;
use crate::table::catalogue::{TableEntry, entry_bounds, entry_name};
use crate::table::{KeyBuffer, prefix};

impl WriteTransaction {
    /// Writes a key of the key space.
    pub(crate) fn put_raw(&mut self, key: &[u8], value: &[u8]) -> Result<()> {
        self.note_catalogue(key);
        self.write_value(key, value)
    }

    /// Writes a key of the key space, its value in pieces.
    pub(crate) fn put_raw_stream(
        &mut self,
        key: &[u8],
        len: u64,
        fill: impl FnOnce(&mut dyn FnMut(&[u8]) -> Result<()>) -> Result<()>,
    ) -> Result<()> {
        self.note_catalogue(key);
        self.write_stream(key, len, fill)
    }

    /// Deletes a key of the key space, whether or not it is there.
    pub(crate) fn delete_raw(&mut self, key: &[u8]) -> Result<()> {
        self.note_catalogue(key);
        self.write(key, Slot::Tombstone)
    }

    /// Deletes what lies from `from` up to, not including, `to`.
    pub(crate) fn delete_raw_range(&mut self, from: &[u8], to: &[u8]) -> Result<()> {
        self.note_catalogue(from);
        self.delete_span(from, to)
    }

    /// Shows the value of a key of the key space to `see`.
    pub(crate) fn with_raw<R>(&mut self, key: &[u8], see: impl FnOnce(&[u8]) -> Result<R>) -> Result<Option<R>> {
        let nodes = Arc::clone(&self.engine.nodes);
        let found = self.get_raw(key)?.map(|found| Found::<Bytes>::new(found, &nodes)).transpose()?;
        found.map(|found| see(found.bytes())).transpose()
    }

    fn note_catalogue(&mut self, key: &[u8]) {
        self.changes_catalogue |= prefix::split(key).is_none_or(|(id, _)| id == prefix::CATALOGUE);
    }
}

impl Snapshot {
    /// The tables' names, by number.
    pub(crate) fn names_by_id(&self) -> Result<BTreeMap<u64, Arc<str>>> {
        let (from, to) = entry_bounds();
        let mut names = BTreeMap::new();
        let mut cursor = MergedCursor::new(&self.version, &self.engine.nodes);
        cursor.seek(&from)?;
        while let Some((key, slot)) = cursor.entry().filter(|(key, _)| *key < &*to) {
            if let (Some(name), Slot::Inline(bytes)) = (entry_name(key), slot) {
                names.entry(TableEntry::decode(name, bytes)?.id).or_insert_with(|| Arc::from(name));
            }
            cursor.next()?;
        }
        Ok(names)
    }

    /// Names whose number another name before them has too, as no program writes them.
    pub(crate) fn names_again(&self) -> Result<Vec<String>> {
        let first = self.names_by_id()?;
        let all = self.tables()?.into_iter().map(|table| table.name);
        Ok(all.filter(|name| !first.values().any(|other| **other == **name)).collect())
    }

    /// The number of the first table at or after `id` that has any key.
    pub(crate) fn next_table_with_keys(&self, id: u64) -> Result<Option<u64>> {
        let mut from = KeyBuffer::new();
        prefix::encode_prefix(id, &mut from);
        let mut cursor = MergedCursor::new(&self.version, &self.engine.nodes);
        cursor.seek(&from)?;
        Ok(cursor.entry().and_then(|(key, _)| prefix::split(key)).map(|(id, _)| id))
    }

    /// How many keys table `id` has.
    pub(crate) fn count_of(&self, id: u64) -> Result<u64> {
        let mut from = KeyBuffer::new();
        prefix::encode_prefix(id, &mut from);
        engine::count(&self.version, None, &self.engine.nodes, &from, Some(&prefix::end_of(id)))
    }

    /// Shows the value of a key of the key space to `see`, which must read nothing from the database.
    #[inline]
    pub(crate) fn with_raw<R>(&self, key: &[u8], see: impl FnOnce(&[u8]) -> Result<R>) -> Result<Option<R>> {
        engine::show(&self.version, &self.engine.nodes, key, see)?.transpose()
    }

    /// Says that keys of the key space will be looked up soon: as many as are fetched from memory at once.
    pub(crate) fn expect_raw<'k>(&self, keys: impl Iterator<Item = &'k [u8]>) {
        engine::prefetch(&self.version, &self.engine.nodes, keys);
    }

    /// Gives `look` the keys of a table, with its prefix before them: some are encoded at a time, so that they are fetched from memory at
    /// once.
    #[inline]
    pub(crate) fn look_ahead<K>(
        &self,
        table: u64,
        keys: impl IntoIterator<Item = K>,
        encode: impl Fn(K, &mut KeyBuffer) -> Result<()>,
        mut look: impl FnMut(&[u8]) -> Result<()>,
    ) -> Result<()> {
        let mut keys = keys.into_iter();
        let mut encoded: [KeyBuffer; PREFETCHED_MAX] = core::array::from_fn(|_| KeyBuffer::new());
        loop {
            let mut count = 0;
            for (bytes, key) in encoded.iter_mut().zip(keys.by_ref()) {
                bytes.truncate(0);
                prefix::encode_prefix(table, bytes);
                encode(key, bytes)?;
                count += 1;
            }
            if count == 0 {
                return Ok(());
            }
            let encoded = encoded.iter().take(count).map(KeyBuffer::as_slice);
            self.expect_raw(encoded.clone());
            encoded.into_iter().try_for_each(&mut look)?;
        }
    }

    /// The value of a key of the key space.
    pub(crate) fn get_raw(&self, key: &[u8]) -> Result<Option<Vec<u8>>> {
        engine::get(&self.version, &self.engine.nodes, key)?.map(|found| found.to_vec(&self.engine.nodes)).transpose()
    }
}

impl Database {
    /// What this database is made with.
    pub(crate) fn milliseconds_now(&self) -> u64 {
        self.shared.engine.env.clock.wall_ms()
    }
}
