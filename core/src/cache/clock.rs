//! A cache of verified nodes by file offset, replaced by CLOCK (Corbató 1968): a hit sets a bit, the hand clears it and
//! evicts what it finds clear.
//!
//! **When an entry is right:** a node at an offset never changes until its extent is reused, and whoever writes to an
//! extent calls [`NodeCache::invalidate`] first; extents are reused only when no live version refers to the old node.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use super::frames::{Block, Pool};
use super::residents::{Pin, Residents, take_used};
use crate::env::sync::Mutex;
use crate::hashing::HashMap;

/// The table of residents is made for nodes of this many bytes. Smaller ones are found under a lock once it is full.
const NODE_BYTES_TYPICAL: usize = 4096;

/// The part of the budget for remembering where keys were found: enough for records of 64 bytes and more.
const POINTS_PART: usize = 16;

/// What a resident node takes beside its memory.
const NODE_OVERHEAD_BYTES: usize = 96;

/// Locks are spread over this many shards.
const SHARDS: usize = 16;

/// Nodes by offset, at most `budget` bytes of them.
#[derive(Debug)]
pub(crate) struct NodeCache<H> {
    shards: Vec<Mutex<Shard<H>>>,
    /// Some of what the shards hold. Changed only under the lock of the node's shard.
    residents: Residents<H>,
    /// What tables and half-used slabs take of the budget.
    table_bytes: usize,
    /// What each shard may hold now.
    shard_budget: AtomicUsize,
    hits: AtomicUsize,
    misses: AtomicUsize,
    evictions: AtomicUsize,
}

#[derive(Debug)]
struct Shard<H> {
    slot_of: HashMap<u64, usize>,
    slots: Vec<Option<Slot<H>>>,
    vacant: Vec<usize>,
    hand: usize,
    bytes: usize,
}

#[derive(Debug)]
struct Slot<H> {
    offset: u64,
    bytes: usize,
    referenced: AtomicBool,
    /// Of `node`: looking there for each would take as long as reading them all.
    #[cfg(feature = "std")]
    chunk: u32,
    node: Block<H>,
}

/// What the cache did since the database was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct CacheCounters {
    pub hits: usize,
    pub misses: usize,
    pub evictions: usize,
    pub resident_bytes: usize,
    pub resident_nodes: usize,
}

impl<H> NodeCache<H> {
    /// A cache of `budget_bytes`, and at times of as much as `bytes_max` (see [`set_budget`](Self::set_budget)), for which the tables
    /// are made. It begins with that.
    pub(crate) fn new(budget_bytes: usize, bytes_max: usize) -> Self {
        let nodes = bytes_max / NODE_BYTES_TYPICAL;
        let residents = Residents::new(nodes, bytes_max / POINTS_PART, Pool::new(budget_bytes, bytes_max));
        let table_bytes = residents.bytes() + residents.pool().slack_bytes();
        Self {
            residents,
            table_bytes,
            shards: (0..SHARDS)
                .map(|_| {
                    Mutex::new(Shard {
                        slot_of: HashMap::default(),
                        slots: Vec::new(),
                        vacant: Vec::new(),
                        hand: 0,
                        bytes: 0,
                    })
                })
                .collect(),
            shard_budget: AtomicUsize::new(bytes_max.saturating_sub(table_bytes) / SHARDS),
            hits: AtomicUsize::new(0),
            misses: AtomicUsize::new(0),
            evictions: AtomicUsize::new(0),
        }
    }

    fn shard(&self, offset: u64) -> &Mutex<Shard<H>> {
        let mixed = (offset >> 6).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 60;
        &self.shards[mixed as usize % SHARDS]
    }

    /// Says that this thread reads nodes without locks for the time of one descent. `None` when it has to use
    /// [`get`](Self::get); so too for a node that the pin does not find.
    #[inline]
    pub(crate) fn pin(&self) -> Option<Pin<'_, H>> {
        self.residents.pin()
    }

    /// Child `index` of `parent` will be read soon.
    #[inline]
    pub(crate) fn expect_child(&self, parent: &Block<H>, index: usize) {
        self.residents.expect_child(parent, index);
    }

    /// The node at `offset`, if resident.
    pub(crate) fn get(&self, offset: u64) -> Option<Block<H>> {
        let shard = self.shard(offset).lock();
        let found = shard.slot_of.get(&offset).and_then(|&slot| shard.slots.get(slot)?.as_ref()).map(|slot| {
            if !slot.referenced.load(Ordering::Relaxed) {
                slot.referenced.store(true, Ordering::Relaxed);
            }
            slot.node.clone()
        });
        drop(shard);
        let counter = if found.is_some() { &self.hits } else { &self.misses };
        counter.fetch_add(1, Ordering::Relaxed);
        found
    }

    /// Where nodes to be inserted are made.
    pub(crate) fn pool(&self) -> &Arc<Pool<H>> {
        self.residents.pool()
    }

    /// Makes a node resident, evicting others as the budget demands.
    pub(crate) fn insert(&self, offset: u64, node: Block<H>) {
        let budget = self.shard_budget.load(Ordering::Relaxed);
        let bytes = node.footprint_bytes() + NODE_OVERHEAD_BYTES;
        if bytes > budget {
            return;
        }
        let mut shard = self.shard(offset).lock();
        shard.remove(offset, &self.residents);
        let evicted = shard.make_room(budget - bytes, &self.residents);
        self.residents.insert(offset, &node);
        shard.bytes += bytes;
        let entry = Some(Slot {
            offset,
            bytes,
            referenced: AtomicBool::new(false),
            #[cfg(feature = "std")]
            chunk: node.chunk().map_or(0, |chunk| u32::try_from(chunk).unwrap_or(u32::MAX)),
            node,
        });
        let slot = match shard.vacant.pop() {
            Some(slot) => {
                shard.slots[slot] = entry;
                slot
            }
            None => {
                shard.slots.push(entry);
                shard.slots.len() - 1
            }
        };
        shard.slot_of.insert(offset, slot);
        drop(shard);
        self.evictions.fetch_add(evicted, Ordering::Relaxed);
    }

    /// The extent at `offset` is about to hold something else.
    pub(crate) fn invalidate(&self, offset: u64) {
        self.shard(offset).lock().remove(offset, &self.residents);
    }

    /// Bytes that nodes and tables may take together.
    pub(crate) fn budget_bytes(&self) -> usize {
        self.table_bytes + self.shard_budget.load(Ordering::Relaxed) * SHARDS
    }

    #[cfg(feature = "std")]
    /// Changes the budget, within what it was made for. Where it shrinks, nodes of the newest chunks are dropped whether they are used or
    /// not, for only whole pages can be given back to the system.
    pub(crate) fn set_budget(&self, bytes: usize) {
        let budget = bytes.saturating_sub(self.table_bytes) / SHARDS;
        let before = self.shard_budget.swap(budget, Ordering::Relaxed);
        let pool = self.residents.pool();
        // The slack is two of them.
        let (chunks, are_more) = pool.chunks_within(budget * SHARDS + pool.slack_bytes());
        if budget >= before || !are_more {
            return;
        }
        for shard in &self.shards {
            let mut shard = shard.lock();
            let evicted = shard.drop_beyond(chunks, &self.residents) + shard.make_room(budget, &self.residents);
            drop(shard);
            self.evictions.fetch_add(evicted, Ordering::Relaxed);
        }
        self.residents.collect_all();
        pool.give_pages_back(chunks);
    }

    #[cfg(feature = "std")]
    /// Drops what was not read since this was last called, or all of it, and gives its memory back to the system.
    pub(crate) fn trim(&self, all: bool) {
        for shard in &self.shards {
            let mut shard = shard.lock();
            let evicted = if all { shard.make_room(0, &self.residents) } else { shard.drop_unused(&self.residents) };
            drop(shard);
            self.evictions.fetch_add(evicted, Ordering::Relaxed);
        }
        self.residents.collect_all();
        self.residents.pool().give_pages_back(0);
    }

    pub(crate) fn counters(&self) -> CacheCounters {
        let mut counters = CacheCounters {
            hits: self.hits.load(Ordering::Relaxed).wrapping_add(self.residents.hits()),
            misses: self.misses.load(Ordering::Relaxed),
            evictions: self.evictions.load(Ordering::Relaxed),
            resident_bytes: self.table_bytes,
            ..CacheCounters::default()
        };
        for shard in &self.shards {
            let shard = shard.lock();
            counters.resident_bytes += shard.bytes;
            counters.resident_nodes += shard.slot_of.len();
        }
        counters
    }
}

impl<H> Shard<H> {
    fn remove(&mut self, offset: u64, residents: &Residents<H>) {
        if let Some(slot) = self.slot_of.remove(&offset)
            && let Some(entry) = self.slots[slot].take()
        {
            residents.remove(offset, &entry.node);
            self.bytes -= entry.bytes;
            self.vacant.push(slot);
        }
    }

    #[cfg(feature = "std")]
    /// One turn of the hand.
    fn drop_unused(&mut self, residents: &Residents<H>) -> usize {
        self.drop_if(residents, |slot| !(take_used(&slot.node) | slot.referenced.swap(false, Ordering::Relaxed)))
    }

    #[cfg(feature = "std")]
    /// Nodes in chunks from `chunk` on, which is not 0: that also stands for those in none.
    fn drop_beyond(&mut self, chunk: usize, residents: &Residents<H>) -> usize {
        self.drop_if(residents, |slot| slot.chunk as usize >= chunk)
    }

    #[cfg(feature = "std")]
    fn drop_if(&mut self, residents: &Residents<H>, is_dropped: impl Fn(&Slot<H>) -> bool) -> usize {
        let dropped = self.slots.iter().flatten().filter(|slot| is_dropped(slot));
        let offsets: Vec<u64> = dropped.map(|slot| slot.offset).collect();
        offsets.iter().for_each(|offset| self.remove(*offset, residents));
        offsets.len()
    }

    fn make_room(&mut self, target_bytes: usize, residents: &Residents<H>) -> usize {
        let mut evicted = 0;
        while self.bytes > target_bytes {
            self.hand = if self.hand + 1 >= self.slots.len() { 0 } else { self.hand + 1 };
            match self.slots.get(self.hand) {
                Some(Some(slot)) if take_used(&slot.node) | slot.referenced.swap(false, Ordering::Relaxed) => {}
                Some(Some(slot)) => {
                    let offset = slot.offset;
                    self.remove(offset, residents);
                    evicted += 1;
                }
                _ => {}
            }
        }
        evicted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stays_within_its_budget_and_keeps_what_is_used() {
        let budget = 2 << 20;
        let cache = NodeCache::<u64>::new(budget, budget);
        for offset in 0..if cfg!(miri) { 500 } else { 8000 } {
            cache.insert(offset * 64, Block::pooled(cache.pool(), offset, &[0; 4000], 0));
            cache.get(0);
            assert!(cfg!(miri) && offset % 50 != 0 || cache.counters().resident_bytes <= budget);
        }
        assert!(cache.get(0).is_some(), "read all the time");
        assert!(cache.counters().evictions > 0);
        cache.invalidate(0);
        assert!(cache.get(0).is_none());
    }

    #[cfg(feature = "std")]
    #[test]
    fn a_budget_that_shrinks_leaves_whole_chunks_and_may_grow_again() {
        let (less, most) = (1 << 20, 2 << 20);
        let cache = NodeCache::<u64>::new(less, most);
        let fill = || {
            (0..500).for_each(|at| cache.insert(at * 64, Block::pooled(cache.pool(), at, &[7; 4000], 0)));
        };
        let chunks = || {
            let shards = cache.shards.iter().map(|shard| {
                let shard = shard.lock();
                shard.slots.iter().flatten().filter_map(|slot| slot.node.chunk()).max()
            });
            shards.max().flatten().map_or(0, |last| last + 1)
        };
        assert!(cache.budget_bytes() > most - SHARDS && cache.budget_bytes() <= most);
        fill();
        let (resident, all) = (cache.counters().resident_bytes, chunks());
        assert!(resident > less && resident <= most, "{resident}");
        cache.set_budget(less);
        let (kept, beyond) = cache.residents.pool().chunks_within(less);
        assert!(beyond && kept < all, "{kept} {all}");
        for _ in 0..3 {
            assert!(cache.counters().resident_bytes <= less);
            assert!(chunks() <= kept, "nodes in chunks that were to be left: {} of {kept}", chunks());
            fill();
        }
        cache.set_budget(most);
        fill();
        assert!(cache.counters().resident_bytes > less && cache.counters().resident_bytes <= most);
        assert!((0..500).all(|at| cache.get(at * 64).is_none_or(|node| node.bytes() == [7; 4000])));
    }

    #[cfg(feature = "std")]
    #[test]
    fn what_was_not_read_lately_is_given_back_first_and_then_all() {
        let cache = NodeCache::<u64>::new(2 << 20, 2 << 20);
        let fill = |cache: &NodeCache<u64>| {
            (0..300).for_each(|offset| cache.insert(offset * 64, Block::pooled(cache.pool(), offset, &[7; 4000], 0)));
        };
        fill(&cache);
        let tables = NodeCache::<u64>::new(2 << 20, 2 << 20).counters().resident_bytes;
        cache.trim(false);
        (0..50).for_each(|offset| assert!(cache.get(offset * 64).is_none(), "nobody has read it"));
        fill(&cache);
        (0..50).for_each(|offset| assert!(cache.get(offset * 64).is_some()));
        cache.trim(false);
        assert_eq!(cache.counters().resident_nodes, 50);
        let held = cache.get(64).unwrap();
        cache.trim(true);
        assert_eq!(cache.counters().resident_nodes, 0);
        assert_eq!(cache.counters().resident_bytes, tables);
        assert_eq!(held.bytes(), [7; 4000], "what somebody reads stays");
        // The frames are used again.
        fill(&cache);
        assert!((0..300).all(|offset| cache.get(offset * 64).is_some_and(|node| node.bytes() == [7; 4000])));
    }
}
