//! Nodes from storage through the cache, verified once per residence.

use alloc::format;
use alloc::sync::Arc;
use alloc::vec;

use super::short::ShortValue;
use crate::cache::{CacheCounters, Hashed, NodeCache, Pin, Pinned, Pool};
use crate::codec::checksum::crc32;
use crate::codec::slot::{Slot, ValueRef};
use crate::env::{FileId, Storage, StorageErrorKind};
use crate::error::{Error, Result};
use crate::tree::node::{Layout, Node, NodeView};
use crate::tree::{self, Found, NodeRef, NodeSource, Root};

/// No node is longer: a key and a value at their limits, and room.
const NODE_BYTES_MAX: u32 = 1 << 20;

/// The resident nodes and the storage behind them.
pub(crate) struct Nodes {
    storage: Arc<dyn Storage>,
    cache: NodeCache<Layout>,
}

impl core::fmt::Debug for Nodes {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Nodes").field("cache", &self.cache.counters()).finish_non_exhaustive()
    }
}

impl Nodes {
    pub(crate) fn new(storage: Arc<dyn Storage>, budget_bytes: usize) -> Self {
        Self { storage, cache: NodeCache::new(budget_bytes) }
    }

    pub(crate) fn storage(&self) -> &dyn Storage {
        &*self.storage
    }

    pub(crate) fn counters(&self) -> CacheCounters {
        self.cache.counters()
    }

    /// Whoever is about to write at `offset` says so first: the node that was there is no longer what a reference to this
    /// offset means.
    pub(super) fn invalidate(&self, offset: u64) {
        self.cache.invalidate(offset);
    }

    /// Looks `key` up in a tree.
    #[inline]
    pub(super) fn find(&self, root: &Root, key: &[u8]) -> Result<Option<Entry>> {
        let resident = self.cache.pin().and_then(|pin| find_resident(&pin, root, key));
        match resident {
            Some(found) => Ok(found),
            None => self.find_anywhere(root, key),
        }
    }

    /// Looks `key` up in the base that was brought by publication `since`.
    #[inline]
    pub(super) fn find_in_base(&self, root: &Root, since: u64, key: &[u8]) -> Result<Option<Entry>> {
        let resident = self.cache.pin().and_then(|pin| {
            let tree = tree_number(since)?;
            let hashed = Hashed::new(key);
            find_by_point(&pin, tree, &hashed, key)
                .map(Some)
                .or_else(|| find_and_remember(&pin, root, tree, &hashed, key))
        });
        match resident {
            Some(found) => Ok(found),
            None => self.find_anywhere(root, key),
        }
    }

    #[cold]
    fn find_anywhere(&self, root: &Root, key: &[u8]) -> Result<Option<Entry>> {
        let Some(found) = tree::get(self, Some(*root), key)? else { return Ok(None) };
        Ok(Some(Entry::new(found.slot(), || found.clone())))
    }

    /// Reads, proves and parses a node without keeping it: for checks that must see what storage really holds.
    pub(super) fn read_uncached(&self, reference: &NodeRef) -> Result<Node> {
        self.read(reference, None)
    }

    fn read(&self, reference: &NodeRef, pool: Option<&Arc<Pool<Layout>>>) -> Result<Node> {
        if reference.len > NODE_BYTES_MAX || reference.len == 0 {
            let what = format!("a reference claims a node of {} bytes", reference.len);
            return Err(Error::corrupt(FileId::Data, reference.offset, what));
        }
        let mut stored = vec![0; reference.len as usize];
        read_exact(&*self.storage, reference.offset, &mut stored, "a node")?;
        let checksum = crc32(&[&stored]);
        if checksum != reference.checksum {
            let what = format!(
                "node of {} bytes: checksum {checksum:#010x}, expected {:#010x}",
                reference.len, reference.checksum
            );
            return Err(Error::corrupt(FileId::Data, reference.offset, what));
        }
        Node::from_stored(stored, pool).map_err(|what| Error::corrupt(FileId::Data, reference.offset, what))
    }
}

/// What a tree has for a key, independent of what stays resident.
#[derive(Debug)]
pub(crate) enum Entry {
    Tombstone,
    Short(ShortValue),
    Long(Found),
    Extent(ValueRef),
}

impl Entry {
    /// What `slot` says; `found` is where it is, for a value that is too long to be copied.
    #[inline]
    fn new(slot: Slot<'_>, found: impl FnOnce() -> Found) -> Self {
        match slot {
            Slot::Inline(value) => match ShortValue::new(value) {
                Some(value) => Entry::Short(value),
                None => Entry::Long(found()),
            },
            Slot::Extent(value) => Entry::Extent(value),
            Slot::Tombstone => Entry::Tombstone,
        }
    }
}

/// Bases as the cache numbers trees: from 1 on. `None` when the number is too large for a word.
#[inline]
fn tree_number(since: u64) -> Option<usize> {
    usize::try_from(since).ok()?.checked_add(1)
}

/// Straight to the entry where `key` was found before.
///
/// **Why it is the right one:** the leaf was reached from the root of this very base, and bases are never given the same
/// number twice; that it is still the same leaf, the frame says; and it has the key. A tree has each key at most once.
#[inline]
fn find_by_point(pin: &Pin<'_, Layout>, tree: usize, hashed: &Hashed, key: &[u8]) -> Option<Entry> {
    let (leaf, index) = pin.point(tree, hashed)?;
    let view = NodeView::of_block(&leaf);
    if !view.is_key(index, key) {
        return None;
    }
    Some(Entry::new(view.slot(index)?, || Found::new(Node::of_block(leaf.to_block()), index)))
}

fn find_and_remember(
    pin: &Pin<'_, Layout>,
    root: &Root,
    tree: usize,
    hashed: &Hashed,
    key: &[u8],
) -> Option<Option<Entry>> {
    let leaf = descend(pin, root, key)?;
    let view = NodeView::of_block(&leaf);
    let Ok(index) = view.search(key) else { return Some(None) };
    leaf.remember_point(tree, hashed, index, view.data_at(index));
    Some(Some(Entry::new(view.slot(index)?, || Found::new(Node::of_block(leaf.to_block()), index))))
}

/// Descends without locks, reading nothing from storage: `None` when some node on the way is not at hand, or not what it
/// should be.
fn find_resident(pin: &Pin<'_, Layout>, root: &Root, key: &[u8]) -> Option<Option<Entry>> {
    let leaf = descend(pin, root, key)?;
    let view = NodeView::of_block(&leaf);
    let Ok(index) = view.search(key) else { return Some(None) };
    Some(Some(Entry::new(view.slot(index)?, || Found::new(Node::of_block(leaf.to_block()), index))))
}

/// The leaf that `key` belongs to.
#[inline]
fn descend<'p>(pin: &'p Pin<'_, Layout>, root: &Root, key: &[u8]) -> Option<Pinned<'p, Layout>> {
    let mut node = pin.root(root.node.offset)?;
    let mut level = root.height;
    loop {
        let view = NodeView::of_block(&node);
        if view.level() != level {
            return None;
        }
        if level == 0 {
            return Some(node);
        }
        let index = view.child_index(key);
        node = node.child(index, view.child(index)?.offset)?;
        level -= 1;
    }
}

impl NodeSource for Nodes {
    fn node(&self, reference: &NodeRef) -> Result<Node> {
        if let Some(block) = self.cache.pin().and_then(|pin| pin.get(reference.offset).map(|node| node.to_block())) {
            return Ok(Node::of_block(block));
        }
        if let Some(block) = self.cache.get(reference.offset) {
            return Ok(Node::of_block(block));
        }
        let node = self.read(reference, Some(self.cache.pool()))?;
        self.cache.insert(reference.offset, node.clone().into_block());
        Ok(node)
    }
}

/// Reads from the data file; an end before the range is damage, because only what was written is referred to.
pub(super) fn read_exact(storage: &dyn Storage, offset: u64, buf: &mut [u8], what: &str) -> Result<()> {
    storage.read_at(FileId::Data, offset, buf).map_err(|error| match error.kind {
        StorageErrorKind::UnexpectedEnd => {
            Error::corrupt(FileId::Data, offset, format!("the file ends before {what} of {} bytes", buf.len()))
        }
        _ => error.into(),
    })
}

/// Reads every node from storage, whatever is resident: what a check must do.
pub(super) struct Uncached<'a>(pub &'a Nodes);

impl NodeSource for Uncached<'_> {
    fn node(&self, reference: &NodeRef) -> Result<Node> {
        self.0.read_uncached(reference)
    }
}

#[cfg(all(test, feature = "std"))]
mod tests {
    use alloc::format;
    use alloc::sync::Arc;

    use crate::db::{Database, Options};
    use crate::engine::Environment;
    use crate::env::{FixedClock, MemoryStorage, SeededEntropy};
    use crate::table::Table;

    const T: Table<&[u8], &[u8]> = Table::new("t");

    #[test]
    fn what_was_found_in_one_base_is_never_served_for_another() {
        let env = Environment { clock: Arc::new(FixedClock(1000)), entropy: Arc::new(SeededEntropy::new(7)) };
        let options = Options { background_thread: false, ..Options::default() };
        let db = Database::open_storage(Arc::new(MemoryStorage::new()), env, options).unwrap();
        let mut snapshots = alloc::vec::Vec::new();
        for round in 0..8 {
            db.transaction(|tx| {
                let mut table = tx.table(T)?;
                for key in 0..2000 {
                    // In each round one key in eight is gone.
                    match key % 8 == round {
                        true => table.delete(format!("key{key:05}").as_bytes()).map(drop)?,
                        false => table.put(format!("key{key:05}").as_bytes(), format!("round {round}").as_bytes())?,
                    }
                }
                Ok(())
            })
            .unwrap();
            db.compact().unwrap();
            snapshots.push(db.snapshot());
            // Twice: the second time from what is resident, with readers of every other base in between.
            for _ in 0..2 {
                for (round, snapshot) in snapshots.iter().enumerate() {
                    let table = snapshot.table(T).unwrap();
                    for key in (0..2000).step_by(3) {
                        let found = table.get(format!("key{key:05}").as_bytes()).unwrap();
                        let expected = (key % 8 != round).then(|| format!("round {round}").into_bytes());
                        assert_eq!(found.map(|found| found.bytes().to_vec()), expected, "key {key} in round {round}");
                    }
                }
            }
        }
    }
}
