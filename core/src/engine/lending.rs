//! Memory of memtables that hold little, lent to the cache of nodes.
//!
//! The part of the budget that is kept for memtables is empty most of the time: who reads and seldom writes would leave two fifths of 10 MB
//! unused. So resident nodes take it, and give it back, some at a time, before memtables grow into it. While much is written nothing is
//! lent again: only an engine that has nothing to do lends, so nodes are not dropped and read again with each memtable.
//! Nothing is lent where memory of nodes cannot be given back to the system.

#[cfg(feature = "std")]
use super::{nodes::Nodes, options::EngineOptions, state::Engine, state::Writer};
use crate::cache::GIVES_PAGES_BACK;
#[cfg(feature = "std")]
use crate::memtable::{CHUNK_MAX_BYTES, ChunkPool};

/// Where memtables have less than this part of the budget, a larger cache is not worth the work.
const PART_MIN: usize = 16;

/// What of the memtables' `bytes` may be lent.
pub(super) fn lendable(budget_bytes: usize, bytes: usize) -> usize {
    if GIVES_PAGES_BACK && bytes >= budget_bytes / PART_MIN { bytes } else { 0 }
}

/// What is lent is given back in so many steps. One of them is never lent, so a small write takes nothing back.
#[cfg(feature = "std")]
const STEPS: usize = 16;

/// Who has the memtables' memory.
#[cfg(feature = "std")]
#[derive(Debug)]
pub(super) struct Lending {
    /// What memtables may hold, of [`EngineOptions::lendable_bytes`]. The cache has the rest.
    kept: usize,
    /// What of that the active memtable may hold.
    room: usize,
}

#[cfg(feature = "std")]
impl Lending {
    /// As it is with a memtable of `active` bytes, and no other.
    pub(super) fn opened(options: &EngineOptions, nodes: &Nodes, chunks: &ChunkPool, active: usize) -> Self {
        let mut lending = Self { kept: 0, room: usize::MAX };
        lending.keep(options, nodes, chunks, 0, active, 0);
        lending
    }

    /// Memtables may hold `frozen` bytes and an active one of `active`, and `least` at least.
    fn keep(
        &mut self,
        options: &EngineOptions,
        nodes: &Nodes,
        chunks: &ChunkPool,
        frozen: usize,
        active: usize,
        least: usize,
    ) {
        let most = options.lendable_bytes;
        let step = (most / STEPS).max(1);
        // An arena holds as much as is in use and as much again, or a chunk more.
        let wanted = frozen.saturating_add(active).saturating_add(active.min(CHUNK_MAX_BYTES)).max(step);
        let kept = wanted.checked_next_multiple_of(step).unwrap_or(most).max(least).min(most);
        let free = kept.saturating_sub(frozen);
        self.room = if kept == most { usize::MAX } else { (free / 2).max(free.saturating_sub(CHUNK_MAX_BYTES)) };
        if kept != self.kept {
            self.kept = kept;
            chunks.keep(if kept == most { options.memtable_bytes } else { 0 });
            nodes.set_budget(options.cache_bytes + most - kept);
        }
    }

    /// What is new is empty, and one more is frozen.
    pub(super) fn memtable_was_frozen(&mut self) {
        if self.room != usize::MAX {
            self.room = 0;
        }
    }
}

#[cfg(feature = "std")]
impl Engine {
    /// Before operations of `bytes` are applied.
    #[inline]
    pub(super) fn take_back_for(&self, writer: &mut Writer, bytes: usize) {
        // An entry takes more than the operation that brings it.
        let active = self.memtable_bytes().saturating_add(bytes.saturating_mul(2));
        if active > writer.lending.room {
            self.take_back(writer, active);
        }
    }

    #[cold]
    fn take_back(&self, writer: &mut Writer, active: usize) {
        let (frozen, least) = (self.frozen_bytes(writer), writer.lending.kept);
        writer.lending.keep(&self.options, &self.nodes, &self.chunks, frozen, active, least);
    }

    /// Lends what memtables do not hold, when there is nothing to do.
    pub(super) fn lend(&self) {
        let mut writer = self.writer.lock();
        let (frozen, active) = (self.frozen_bytes(&writer), self.memtable_bytes());
        // One that has begun to fill goes on to.
        if frozen == 0 && active <= self.options.lendable_bytes / STEPS {
            writer.lending.keep(&self.options, &self.nodes, &self.chunks, frozen, active, 0);
        }
    }

    fn frozen_bytes(&self, writer: &Writer) -> usize {
        self.head_of(writer).layers.frozen.iter().map(|frozen| frozen.memtable.bytes()).sum()
    }
}
