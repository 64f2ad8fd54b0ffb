//! Extents that are no longer part of the newest version but may still be read by an older one.
//!
//! **Reuse rule:** what checkpoint *c* frees, extents and log segments alike, is reused only after checkpoint *c* + 1 is
//! durable (so both superblocks stay valid), and only when no live snapshot lies between its birth and its end.

use alloc::vec::Vec;
use core::ops::Range;

use super::map::{Extent, SpaceMap};
use crate::testing::Mutant;

/// One extent waiting to be reused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PendingFree {
    /// Where it lies.
    pub extent: Extent,
    /// The checkpoint that was being built when it was freed.
    pub checkpoint: u64,
    /// The publications of layers that refer to it: from the one that brought it to before the one that dropped it.
    /// Empty after a reopening, because snapshots do not survive one.
    pub readable: Range<u64>,
    /// Of a value: the newest commit when it was freed. An archive of the log needs it until it has that commit. 0 of what no
    /// commit names.
    pub until_archived: u64,
}

/// All extents waiting to be reused, oldest first.
#[derive(Debug, Default)]
pub(crate) struct PendingFrees {
    frees: Vec<PendingFree>,
}

impl PendingFrees {
    pub(crate) fn from_record(frees: Vec<PendingFree>) -> Self {
        Self { frees }
    }

    pub(crate) fn push(&mut self, free: PendingFree) {
        self.frees.push(free);
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &PendingFree> {
        self.frees.iter()
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.frees.len()
    }

    /// Bytes waiting, in whole grains.
    pub(crate) fn bytes(&self) -> u64 {
        self.frees.iter().map(|free| free.extent.len.next_multiple_of(super::GRAIN_BYTES)).sum()
    }

    /// Bytes that wait for those who hold one of these publications, which ascend.
    pub(crate) fn pinned_bytes(&self, publications: &[u64]) -> u64 {
        let is_pinned = |free: &&PendingFree| {
            let next = publications.get(publications.partition_point(|at| *at < free.readable.start));
            next.is_some_and(|at| *at < free.readable.end)
        };
        self.frees.iter().filter(is_pinned).map(|free| free.extent.len.next_multiple_of(super::GRAIN_BYTES)).sum()
    }

    /// Bytes of those that an archive needs which has everything up to this commit.
    pub(crate) fn bytes_until_archived(&self, archived: u64) -> u64 {
        self.frees.iter().filter(|free| free.until_archived > archived).map(|free| free.extent.len).sum()
    }

    /// Gives back to `map` what may be reused now that checkpoint `durable` is durable. `live` holds the
    /// publication numbers of the layers that snapshots still hold; what `is_kept` stays. Returns what was released.
    pub(crate) fn release(
        &mut self,
        map: &mut SpaceMap,
        durable: u64,
        live: &[u64],
        is_kept: &dyn Fn(&PendingFree) -> bool,
    ) -> Vec<Extent> {
        let mut released = Vec::new();
        self.frees.retain(|free| {
            let pinned = live.iter().any(|at| free.readable.contains(at)) && !Mutant::SnapshotNotPinned.is_active();
            let by = if Mutant::ExtentReusedEarly.is_active() { durable + 1 } else { durable };
            let reusable = free.checkpoint < by && !pinned && !is_kept(free);
            if reusable {
                map.release(free.extent);
                released.push(free.extent);
            }
            !reusable
        });
        released
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_extent_is_reused_one_checkpoint_later_and_never_under_a_snapshot() {
        let mut map = SpaceMap::new(1 << 30);
        let extent = map.allocate(100).unwrap();
        map.seal_window();
        let mut pending = PendingFrees::default();
        pending.push(PendingFree { extent, checkpoint: 7, readable: 3..6, until_archived: 0 });
        assert!(pending.release(&mut map, 7, &[], &|_| false).is_empty(), "the superblock of 6 still needs it");
        assert!(pending.release(&mut map, 8, &[5], &|_| false).is_empty(), "a snapshot of publication 5 reads it");
        assert_eq!(
            pending.release(&mut map, 8, &[2, 6], &|_| false),
            [extent],
            "snapshots before its birth and after its end do not"
        );
        assert_eq!(pending.len(), 0);
    }

    #[test]
    fn what_is_kept_back_is_not_reused() {
        let mut map = SpaceMap::new(1 << 30);
        let mut pending = PendingFrees::default();
        for len in [100, 5000] {
            let extent = map.allocate(len).unwrap();
            pending.push(PendingFree { extent, checkpoint: 1, readable: 0..0, until_archived: 0 });
        }
        let released = pending.release(&mut map, 9, &[], &|free| free.extent.len == 100);
        assert_eq!((released.len(), pending.len()), (1, 1));
        assert_eq!(pending.release(&mut map, 9, &[], &|_| false).len(), 1);
    }
}
