//! Nodes from storage through the cache, verified once per residence.

use alloc::format;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;

use super::lease::{Lease, Leased};
use super::options::Verify;
use super::quarantine::Quarantine;
use super::short::ShortWindow;
use super::version::Layers;
use crate::cache::{Block, CacheCounters, Hashed, NodeCache, Pin, Pinned, Pool};
use crate::codec::slot::Slot;
use crate::env::{FileId, Storage, StorageErrorKind};
use crate::error::{Error, Result};
use crate::space::Extent;
use crate::testing::Mutant;
use crate::tree::node::{Layout, Node, NodeView};
use crate::tree::{self, Found, NodeRef, NodeSource, Root, STORED_LEN_MAX, Seal, TreeKind};

/// No node is longer: a key and a value at their limits, and room.
const NODE_BYTES_MAX: u32 = STORED_LEN_MAX as u32;

/// Keys that are looked up together.
pub(crate) const PREFETCHED_MAX: usize = 32;

/// The resident nodes and the storage behind them.
pub(crate) struct Nodes {
    storage: Arc<dyn Storage>,
    seal: Seal,
    cache: NodeCache<Layout>,
    verify: Verify,
    quarantine: Quarantine,
}

impl core::fmt::Debug for Nodes {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Nodes").field("cache", &self.cache.counters()).finish_non_exhaustive()
    }
}

impl Nodes {
    /// Of nodes as many bytes as `cache_bytes` are resident, and at times as many as `cache_bytes_max`, with which it begins.
    pub(crate) fn new(
        storage: Arc<dyn Storage>,
        seal: Seal,
        (cache_bytes, cache_bytes_max): (usize, usize),
        verify: Verify,
    ) -> Self {
        let cache = NodeCache::new(cache_bytes, cache_bytes_max);
        Self { storage, seal, cache, verify, quarantine: Quarantine::default() }
    }

    pub(crate) fn storage(&self) -> &dyn Storage {
        &*self.storage
    }

    /// How nodes and values are proven.
    pub(crate) fn seal(&self) -> &Seal {
        &self.seal
    }

    #[cfg(feature = "std")]
    /// Gives memory of nodes back: what was not read lately, or all.
    pub(super) fn trim(&self, all: bool) {
        self.cache.trim(all);
    }

    pub(crate) fn counters(&self) -> CacheCounters {
        self.cache.counters()
    }

    /// Bytes that resident nodes may take.
    pub(crate) fn budget_bytes(&self) -> usize {
        self.cache.budget_bytes()
    }

    #[cfg(feature = "std")]
    /// Resident nodes may take so much from now on.
    pub(super) fn set_budget(&self, bytes: usize) {
        self.cache.set_budget(bytes);
    }

    /// Whoever is about to write at `offset` says so first: the node that was there is no longer what a reference to this
    /// offset means.
    pub(super) fn invalidate(&self, offset: u64) {
        if !Mutant::StaleNodeServed.is_active() {
            self.cache.invalidate(offset);
        }
        self.quarantine.remove(offset);
    }

    /// Looks `key` up in a run of a state that is kept by `lease`.
    pub(super) fn find(&self, lease: &Lease, root: &Root, key: &[u8]) -> Result<Option<Found>> {
        let resident = self.cache.pin().and_then(|pin| {
            let leaf = descend(&pin, root, key)?;
            let index = NodeView::of_block(&leaf).search(key).ok();
            Some(index.map(|index| Place { leaf: &leaf, index }.to_found()))
        });
        match resident {
            Some(found) => lease.require().map(|()| found),
            None => tree::get(&Leased { nodes: self, lease }, Some(*root), key),
        }
    }

    /// Looks in the base that publication `since` brought where `key` was found before, and lets `short` have the value if it
    /// is there and short; else `other` has to look, in any way it likes.
    #[inline(always)]
    pub(super) fn look_at_point<R>(
        &self,
        since: u64,
        key: &[u8],
        short: impl FnOnce(ShortWindow<'_>) -> R,
        other: impl FnOnce(Hashed) -> R,
    ) -> R {
        let hashed = Hashed::new(key);
        if let Some(pin) = self.cache.pin()
            && let Some((leaf, index)) = pin.point(tree_number(since), &hashed, NodeView::likely_head_at)
            && let Some((window, len)) = NodeView::of_block(&leaf).inline_value(index, key)
            && let Some(value) = ShortWindow::new(window, len)
        {
            return short(value);
        }
        other(hashed)
    }

    /// As [`look_at_point`](Self::look_at_point), for inline values of any length; `see` comes back where the value is not
    /// there.
    #[inline]
    pub(super) fn show_at_point<R, S: FnOnce(&[u8]) -> R>(
        &self,
        since: u64,
        key: &[u8],
        see: S,
    ) -> core::result::Result<R, (S, Hashed)> {
        let hashed = Hashed::new(key);
        if let Some(pin) = self.cache.pin()
            && let Some((leaf, index)) = pin.point(tree_number(since), &hashed, NodeView::likely_head_at)
            && let view = NodeView::of_block(&leaf)
            && view.is_key(index, key)
            && let Some(Slot::Inline(value)) = view.slot(index)
        {
            return Ok(see(value));
        }
        Err((see, hashed))
    }

    /// Looks `key` up in the base of `layers`, whose root is `root`, and lets `take` have what is there, which must not
    /// read from storage.
    pub(super) fn look_in_base<R>(
        &self,
        root: &Root,
        layers: &Layers,
        key: &[u8],
        hashed: Hashed,
        take: impl FnOnce(Result<Option<Place<'_>>>) -> R,
    ) -> R {
        let leased = Leased { nodes: self, lease: &layers.lease };
        let Some(pin) = self.cache.pin() else { return leased.look_anywhere(root, key, take) };
        let tree = tree_number(layers.base_since);
        let at = match find_by_point(&pin, tree, &hashed, key) {
            Some((leaf, index)) => Ok(Some((leaf, Some(index)))),
            None => find_from_root(&pin, root, &layers.lease, tree, &hashed, key),
        };
        match at {
            Ok(Some((leaf, Some(index)))) => take(Ok(Some(Place { leaf: &leaf, index }))),
            Ok(Some((_, None))) => take(Ok(None)),
            Ok(None) => {
                drop(pin);
                leased.look_anywhere(root, key, take)
            }
            Err(error) => take(Err(error)),
        }
    }

    /// The node, if it is resident.
    #[inline]
    pub(super) fn resident(&self, reference: &NodeRef) -> Option<Node> {
        let pin = self.cache.pin()?;
        let found = pin.root(reference.offset)?;
        Some(Node::of_block(found.to_block()))
    }

    /// Child `index` of `parent`, if it is resident.
    #[inline]
    pub(super) fn resident_child(&self, parent: &Node, index: usize, reference: &NodeRef) -> Option<Node> {
        let pin = self.cache.pin()?;
        let found = pin.child_of(parent.block(), index, reference.offset)?;
        Some(Node::of_block(found.to_block()))
    }

    /// Says that keys of a base will be looked up soon: as many as are on their way from memory at once.
    pub(super) fn prefetch<'k>(&self, keys: impl Iterator<Item = &'k [u8]>) {
        let Some(pin) = self.cache.pin() else { return };
        let mut hashed = [Hashed::default(); PREFETCHED_MAX];
        let mut count = 0;
        for (to, key) in hashed.iter_mut().zip(keys) {
            *to = Hashed::new(key);
            pin.prefetch_point(to);
            count += 1;
        }
        hashed.iter().take(count).for_each(|key| pin.prefetch_node(key, NodeView::likely_head_at));
    }

    /// Reads, proves and parses a node without keeping it: for checks that must see what storage really holds.
    pub(crate) fn read_uncached(&self, reference: &NodeRef) -> Result<Node> {
        self.read(reference, None)
    }

    /// What was found damaged.
    pub(super) fn quarantine(&self) -> &Quarantine {
        &self.quarantine
    }

    /// Reads twice before it judges: a wrong bit may be one that only the reading made.
    fn read(&self, reference: &NodeRef, pool: Option<&Arc<Pool<Layout>>>) -> Result<Node> {
        match self.read_once(reference, pool) {
            Err(error) if !error.passes() => self.read_once(reference, pool).inspect_err(|error| {
                if !error.passes() {
                    self.quarantine.add(Extent { offset: reference.offset, len: u64::from(reference.len) });
                }
            }),
            read => read.inspect(|_| self.quarantine.remove(reference.offset)),
        }
    }

    fn read_once(&self, reference: &NodeRef, pool: Option<&Arc<Pool<Layout>>>) -> Result<Node> {
        if reference.len > NODE_BYTES_MAX || reference.len == 0 {
            let what = format!("a reference claims a node of {} bytes", reference.len);
            return Err(Error::corrupt(FileId::Data, reference.offset, what));
        }
        let mut stored = vec![0; reference.len as usize];
        read_exact(&*self.storage, reference.offset, &mut stored, "a node")?;
        let opened = self.seal.open(stored, reference);
        let node = opened.and_then(|stored| Node::from_stored(stored, pool)).and_then(|node| {
            if node.is_proven_by(self.seal.checksum) {
                Ok(node)
            } else {
                Err("it names others by another checksum".into())
            }
        });
        node.map_err(|what| Error::corrupt(FileId::Data, reference.offset, what))
    }
}

impl Leased<'_> {
    #[cold]
    fn look_anywhere<R>(&self, root: &Root, key: &[u8], take: impl FnOnce(Result<Option<Place<'_>>>) -> R) -> R {
        match tree::get(self, Some(*root), key) {
            Ok(Some(found)) => take(Ok(Some(Place { leaf: found.leaf().block(), index: found.index() }))),
            Ok(None) => take(Ok(None)),
            Err(error) => take(Err(error)),
        }
    }
}

/// An entry of a leaf, for as long as somebody keeps the leaf.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place<'p> {
    leaf: &'p Block<Layout>,
    index: usize,
}

impl<'p> Place<'p> {
    #[inline]
    pub(crate) fn slot(&self) -> Slot<'p> {
        // The index is one that a search gave, so there is a slot.
        NodeView::of_block(self.leaf).slot(self.index).unwrap_or(Slot::Tombstone)
    }

    /// The entry for longer.
    #[cold]
    pub(crate) fn to_found(self) -> Found {
        Found::new(Node::of_block(self.leaf.clone()), self.index)
    }
}

/// Bases as the cache numbers trees: from 1 on, and 0, of which no node is a member, when the number is too large for a
/// word.
#[inline]
fn tree_number(since: u64) -> usize {
    usize::try_from(since).ok().and_then(|since| since.checked_add(1)).unwrap_or(0)
}

/// Straight to the entry where `key` was found before, as in [`Nodes::look_at_point`].
///
/// **Why it is the right one:** the leaf was reached from the root of this very base, and bases are never given the same
/// number twice; that it is still the same leaf, the frame says; and it has the key. A tree has each key at most once.
fn find_by_point<'p>(
    pin: &'p Pin<'_, Layout>,
    tree: usize,
    hashed: &Hashed,
    key: &[u8],
) -> Option<(Pinned<'p, Layout>, usize)> {
    let (leaf, index) = pin.point(tree, hashed, NodeView::likely_head_at)?;
    let is_key = NodeView::of_block(&leaf).is_key(index, key) || Mutant::PointKeyUncompared.is_active();
    is_key.then_some((leaf, index))
}

/// Descends without locks, reading nothing from storage, to the leaf of `key` and the entry, if it is there: `None` when
/// some node on the way is not at hand, or not what it should be. What is remembered is right: the lease had not expired when
/// the leaf was reached.
#[inline(never)]
fn find_from_root<'p>(
    pin: &'p Pin<'_, Layout>,
    root: &Root,
    lease: &Lease,
    tree: usize,
    hashed: &Hashed,
    key: &[u8],
) -> Result<Option<(Pinned<'p, Layout>, Option<usize>)>> {
    let Some(leaf) = descend(pin, root, key) else { return Ok(None) };
    lease.require()?;
    let view = NodeView::of_block(&leaf);
    let index = view.search(key).ok();
    if let Some(index) = index
        && tree != 0
    {
        let is_known = leaf.is_known_member(tree);
        leaf.remember_point(hashed, index, view.data_at(index));
        // Whoever comes twice will come for the others too.
        if is_known && leaf.should_tell_all() {
            remember_all(pin, &leaf);
        }
    }
    Ok(Some((leaf, index)))
}

/// Remembers where all keys of a leaf are: for less than a descent for each.
#[cold]
fn remember_all(pin: &Pin<'_, Layout>, leaf: &Pinned<'_, Layout>) {
    let view = NodeView::of_block(leaf);
    let mut key = Vec::new();
    let mut hashed = [Hashed::default(); PREFETCHED_MAX];
    for first in (0..view.keys()).step_by(PREFETCHED_MAX) {
        let part = first..view.keys().min(first + PREFETCHED_MAX);
        for (to, index) in hashed.iter_mut().zip(part.clone()) {
            view.key_into(index, &mut key);
            *to = Hashed::new(&key);
            pin.prefetch_point(to);
        }
        for (hashed, index) in hashed.iter().zip(part) {
            leaf.remember_point(hashed, index, view.data_at(index));
        }
    }
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
        match self.resident(reference) {
            Some(node) => Ok(node),
            None => self.fetch(reference),
        }
    }

    fn child(&self, parent: &Node, index: usize, reference: &NodeRef) -> Result<Node> {
        match self.resident_child(parent, index, reference) {
            Some(node) => Ok(node),
            None => self.node(reference),
        }
    }

    fn expect_child(&self, parent: &Node, index: usize) {
        self.cache.expect_child(parent.block(), index);
    }

    #[cfg(feature = "encryption")]
    fn is_outdated(&self, reference: &NodeRef) -> Result<bool> {
        self.is_outdated_node(reference)
    }
}

impl Nodes {
    /// A node that no pin finds.
    pub(super) fn fetch(&self, reference: &NodeRef) -> Result<Node> {
        if let Some(block) = self.cache.get(reference.offset) {
            return Ok(Node::of_block(block));
        }
        let node = self.read(reference, Some(self.cache.pool()))?;
        // What is not resident is found by no other way either, so each read comes here.
        if self.verify == Verify::Resident {
            self.cache.insert(reference.offset, node.clone().into_block());
        }
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

/// Reads every node of one tree from storage, whatever is resident: what a check must do.
pub(super) struct Uncached<'a>(pub &'a Nodes, pub TreeKind);

impl NodeSource for Uncached<'_> {
    fn node(&self, reference: &NodeRef) -> Result<Node> {
        let node = self.0.read_uncached(reference)?;
        if node.tree() != self.1 {
            let what = format!("a node of another tree ({:?}) is referred to by one of {:?}", node.tree(), self.1);
            return Err(Error::corrupt(FileId::Data, reference.offset, what));
        }
        Ok(node)
    }
}

#[cfg(all(test, feature = "std"))]
mod tests {
    use alloc::format;
    use alloc::sync::Arc;
    use alloc::vec::Vec;

    use crate::db::{Database, Options};
    use crate::engine::{Environment, Verify};
    use crate::env::{FileId, FixedClock, MemoryStorage, SeededEntropy, Storage};
    use crate::error::{Error, Result};
    use crate::table::Table;

    const T: Table<&[u8], &[u8]> = Table::new("t");

    /// What a get says after every leaf's bytes have changed on storage under a database that has just read it.
    fn get_after_rot(verify: Verify) -> Result<Vec<u8>> {
        let env = Environment { clock: Arc::new(FixedClock(1000)), entropy: Arc::new(SeededEntropy::new(7)) };
        let options = Options { background_thread: false, verify, ..Options::default() };
        let storage = Arc::new(MemoryStorage::new());
        let db = Database::open_storage(storage.clone(), env, options)?;
        db.transaction(|tx| (0..500u32).try_for_each(|key| tx.table(T)?.put(key.to_be_bytes(), [7; 100])))?;
        db.compact()?;
        let get = || db.table(T)?.get(9u32.to_be_bytes()).map(|found| found.unwrap().to_vec());
        assert_eq!(get()?, [7; 100]);
        let len = storage.len(FileId::Data)?;
        // In each grain, behind the superblocks.
        for at in (2 * 4096 + 40..len).step_by(64) {
            let mut byte = [0];
            storage.read_at(FileId::Data, at, &mut byte)?;
            storage.write_at(FileId::Data, at, &[!byte[0]])?;
        }
        get()
    }

    #[test]
    fn who_verifies_always_is_told_of_rot_that_memory_hides() {
        assert_eq!(get_after_rot(Verify::Resident).unwrap(), [7; 100]);
        assert!(matches!(get_after_rot(Verify::Always), Err(Error::Corrupt(_))));
    }

    #[test]
    fn the_point_index_is_made_again_by_whoever_reads() {
        let env = Environment { clock: Arc::new(FixedClock(1000)), entropy: Arc::new(SeededEntropy::new(7)) };
        let options = Options { background_thread: false, ..Options::default() };
        let db = Database::open_storage(Arc::new(MemoryStorage::new()), env, options).unwrap();
        let key = |number: u32| format!("key {number}").into_bytes();
        let write = |tx: &mut crate::WriteTransaction| {
            (0..500).try_for_each(|number| tx.table(T)?.put(key(number).as_slice(), key(number).as_slice()))
        };
        db.transaction(write).unwrap();
        db.compact().unwrap();
        let engine = Arc::clone(&db.snapshot().engine);
        let since = engine.version().layers.base_since;
        let mut prefix = crate::table::KeyBuffer::new();
        crate::table::prefix::encode_prefix(1, &mut prefix);
        let known = || {
            let is_known = |number: &u32| {
                let whole = [&prefix[..], &key(*number)].concat();
                engine.nodes.show_at_point(since, &whole, |value| assert_eq!(value, key(*number))).is_ok()
            };
            (0..500).filter(is_known).count()
        };
        for _ in 0..3 {
            assert_eq!(known(), 0);
            for number in (0..500).chain(0..500) {
                assert_eq!(db.table(T).unwrap().get(key(number).as_slice()).unwrap().unwrap(), key(number));
            }
            assert!(known() > 450, "{} of 500", known());
            db.trim_memory(crate::Trim::All);
        }
    }

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
