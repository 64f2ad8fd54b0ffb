//! Cursors and ranges over one table.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::marker::PhantomData;

use super::transaction::Changes;
use crate::codec::slot::Slot;
use crate::engine::{Engine, MergedCursor, ValueReader, Version};
use crate::error::Result;
use crate::table::{Key, KeyBuffer, Lend, Value, prefix};

/// What a cursor reads.
#[derive(Clone, Debug)]
pub(super) struct View {
    pub engine: Arc<Engine>,
    pub version: Arc<Version>,
    pub changes: Option<Changes>,
}

impl View {
    fn cursor(&self) -> MergedCursor {
        match &self.changes {
            Some(changes) => MergedCursor::with_changes(&changes.memtable, &self.version, &self.engine.nodes),
            None => MergedCursor::new(&self.version, &self.engine.nodes),
        }
    }
}

/// A position in one table, moved freely in both directions. It owns what it reads: it stays valid after the snapshot or
/// handle it came from is gone, and what is committed later does not show.
///
/// On a storage that answers `NotResident`, the same call is made again.
pub struct Cursor<K: Key, V: Value> {
    inner: MergedCursor,
    view: View,
    table: u64,
    from: KeyBuffer,
    to: KeyBuffer,
    value: Vec<u8>,
    /// Moved, but the entry there not read yet.
    moved: bool,
    /// Of the table's prefix in each key.
    prefix_len: usize,
    /// The landing of the cursor at a leaf of which all values are inline, 0 for none; and the first and the last of those
    /// entries there that are known to be in the range.
    plain_leaf: u64,
    plain: (usize, usize),
    types: PhantomData<fn() -> (K, V)>,
}

impl<K: Key, V: Value> Cursor<K, V> {
    pub(super) fn new(view: View, table: u64, from: KeyBuffer, to: KeyBuffer) -> Self {
        let mut prefix = KeyBuffer::new();
        prefix::encode_prefix(table, &mut prefix);
        Self {
            inner: view.cursor(),
            view,
            table,
            from,
            to,
            value: Vec::new(),
            moved: false,
            prefix_len: prefix.len(),
            plain_leaf: 0,
            plain: (0, 0),
            types: PhantomData,
        }
    }

    /// To the first key at or after `key`, and the entry there.
    pub fn seek(&mut self, key: impl Lend<K>) -> Result<Option<(K::Borrowed<'_>, V::Borrowed<'_>)>> {
        let mut bytes = KeyBuffer::new();
        prefix::encode_prefix(self.table, &mut bytes);
        K::encode(&key.lend(), &mut bytes)?;
        self.inner.seek(if *bytes < *self.from { &self.from } else { &bytes })?;
        self.entry()
    }

    /// To the first key of the range, and the entry there.
    pub fn first(&mut self) -> Result<Option<(K::Borrowed<'_>, V::Borrowed<'_>)>> {
        self.inner.seek(&self.from)?;
        self.entry()
    }

    /// To the last key of the range, and the entry there.
    pub fn last(&mut self) -> Result<Option<(K::Borrowed<'_>, V::Borrowed<'_>)>> {
        self.inner.seek_before(Some(&self.to))?;
        self.entry()
    }

    /// To the next key, and the entry there; `None` past the end of the range.
    #[inline]
    #[allow(clippy::should_implement_trait, reason = "it lends from the cursor, which an iterator cannot")]
    pub fn next(&mut self) -> Result<Option<(K::Borrowed<'_>, V::Borrowed<'_>)>> {
        if !self.moved {
            self.inner.next()?;
            self.moved = true;
        }
        self.entry()
    }

    /// To the key before, and the entry there; `None` before the beginning of the range.
    #[inline]
    pub fn prev(&mut self) -> Result<Option<(K::Borrowed<'_>, V::Borrowed<'_>)>> {
        if !self.moved {
            self.inner.prev()?;
            self.moved = true;
        }
        self.entry()
    }

    /// The entry the cursor stands on; `None` when it stands outside its range.
    #[inline]
    pub fn entry(&mut self) -> Result<Option<(K::Borrowed<'_>, V::Borrowed<'_>)>> {
        let (first, last) = self.plain;
        if self.inner.leaf().is_some_and(|leaf| {
            leaf.landings() == self.plain_leaf && leaf.is_on_entry() && (first..=last).contains(&leaf.index_in_leaf())
        }) {
            self.moved = false;
            let Some((key, Slot::Inline(value))) = self.inner.entry() else { return Ok(None) };
            return Ok(Some((K::decode(key.get(self.prefix_len..).unwrap_or(&[]))?, V::decode(value)?)));
        }
        self.checked_entry()
    }

    fn checked_entry(&mut self) -> Result<Option<(K::Borrowed<'_>, V::Borrowed<'_>)>> {
        if let Some(leaf) = self.inner.leaf()
            && leaf.leaf_is_inline()
            && let Some(plain) = leaf.leaf_part_within(&self.from, &self.to)
        {
            (self.plain_leaf, self.plain) = (leaf.landings(), plain);
        }
        if let Some((_, Slot::Extent(value))) = self.inner.entry() {
            let layers = Some(Arc::clone(&self.view.version.layers));
            self.value = ValueReader::new(&self.view.engine.nodes, value, layers).read_all()?;
        }
        self.moved = false;
        let Some((key, slot)) = self.inner.entry() else { return Ok(None) };
        if key < &*self.from || key >= &*self.to {
            return Ok(None);
        }
        let bytes = match slot {
            Slot::Inline(bytes) => bytes,
            Slot::Extent(_) => &self.value,
            Slot::Tombstone => return Ok(None),
        };
        Ok(Some((K::decode(key.get(self.prefix_len..).unwrap_or(&[]))?, V::decode(bytes)?)))
    }

    fn raw_key(&self) -> Option<&[u8]> {
        self.inner.key().filter(|key| *key >= &*self.from && *key < &*self.to)
    }
}

impl<K: Key, V: Value> fmt::Debug for Cursor<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cursor").field("at", &self.raw_key().map(|key| key.escape_ascii())).finish_non_exhaustive()
    }
}

/// The entries of a range in order, from either end. Each item is a key and a value of their own; for borrowed ones see
/// [`Cursor`].
pub struct Range<K: Key, V: Value> {
    make: (View, u64, KeyBuffer, KeyBuffer),
    front: Option<Cursor<K, V>>,
    back: Option<Cursor<K, V>>,
    /// A move that lacked bytes is repeated, not skipped.
    front_started: bool,
    back_started: bool,
    /// Moved, but its value not read yet.
    front_moved: bool,
    back_moved: bool,
    done: bool,
}

impl<K: Key, V: Value> Range<K, V> {
    pub(super) fn new(view: View, table: u64, from: KeyBuffer, to: KeyBuffer) -> Self {
        Self {
            done: *from >= *to,
            make: (view, table, from, to),
            front: None,
            back: None,
            front_started: false,
            back_started: false,
            front_moved: false,
            back_moved: false,
        }
    }

    fn make_cursor(&self) -> Cursor<K, V> {
        let (view, table, from, to) = self.make.clone();
        Cursor::new(view, table, from, to)
    }

    fn forward(&mut self) -> Result<Option<(K::Owned, V::Owned)>> {
        if self.front.is_none() {
            self.front = Some(self.make_cursor());
        }
        let Some(front) = &mut self.front else { return Ok(None) };
        if !self.front_moved {
            let moved = if self.front_started { front.inner.next() } else { front.inner.seek(&front.from) };
            moved?;
            self.front_started = true;
            self.front_moved = true;
        }
        let met = match (front.raw_key(), self.back.as_ref().filter(|_| self.back_started).map(Cursor::raw_key)) {
            (Some(front), Some(Some(back))) => front >= back,
            (Some(_), Some(None)) => true,
            _ => false,
        };
        if met {
            return Ok(None);
        }
        let entry = front.entry()?.map(|(key, value)| (K::into_owned(key), V::into_owned(value)));
        self.front_moved = false;
        Ok(entry)
    }

    fn backward(&mut self) -> Result<Option<(K::Owned, V::Owned)>> {
        if self.back.is_none() {
            self.back = Some(self.make_cursor());
        }
        let Some(back) = &mut self.back else { return Ok(None) };
        if !self.back_moved {
            let moved = if self.back_started { back.inner.prev() } else { back.inner.seek_before(Some(&back.to)) };
            moved?;
            self.back_started = true;
            self.back_moved = true;
        }
        let met = match (back.raw_key(), self.front.as_ref().filter(|_| self.front_started).map(Cursor::raw_key)) {
            (Some(back), Some(Some(front))) => back <= front,
            (Some(_), Some(None)) => true,
            _ => false,
        };
        if met {
            return Ok(None);
        }
        let entry = back.entry()?.map(|(key, value)| (K::into_owned(key), V::into_owned(value)));
        self.back_moved = false;
        Ok(entry)
    }

    fn item(&mut self, result: Result<Option<(K::Owned, V::Owned)>>) -> Option<Result<(K::Owned, V::Owned)>> {
        match result {
            Ok(Some(entry)) => Some(Ok(entry)),
            Ok(None) => {
                self.done = true;
                None
            }
            Err(error) => {
                // What must be fetched first is asked for again; any other error ends the iteration.
                self.done = !error.passes();
                Some(Err(error))
            }
        }
    }
}

impl<K: Key, V: Value> Iterator for Range<K, V> {
    type Item = Result<(K::Owned, V::Owned)>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.done {
            return None;
        }
        let result = self.forward();
        self.item(result)
    }
}

impl<K: Key, V: Value> DoubleEndedIterator for Range<K, V> {
    fn next_back(&mut self) -> Option<Self::Item> {
        if self.done {
            return None;
        }
        let result = self.backward();
        self.item(result)
    }
}

impl<K: Key, V: Value> fmt::Debug for Range<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Range").field("front", &self.front).field("back", &self.back).finish_non_exhaustive()
    }
}
