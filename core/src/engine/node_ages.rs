//! The numbers nodes carry, by which whoever finds them without their parents tells newer from older.
//!
//! Nodes of a run carry its newest commit: that is how old its data is, whenever it was written. Nodes of the base carry a
//! number that rises with every new base, and is never below the newest commit that was in the trees when the base before
//! was published. So of two leaves of the base that share a key range the one with the higher number is newer, and runs
//! that have gone into the base are not above what has since been written there.

/// What a recovery without a clean close skips: numbers that a life may have given and told no checkpoint of.
const SKIPPED_AFTER_CRASH: u64 = 1 << 16;

/// Gives bases their numbers.
#[derive(Debug)]
pub(super) struct NodeAges {
    base: u64,
    next: u64,
    merged_sequence: u64,
}

impl NodeAges {
    /// With what the checkpoint record says of the base.
    pub(super) fn opened(base: u64, merged_sequence: u64, is_clean: bool) -> Self {
        let skipped = if is_clean { 1 } else { SKIPPED_AFTER_CRASH };
        Self { base, next: base.saturating_add(skipped).max(merged_sequence), merged_sequence }
    }

    /// Of the newest nodes of the published base.
    pub(super) fn base(&self) -> u64 {
        self.base
    }

    /// Of what is being written for the next base.
    pub(super) fn next_base(&self) -> u64 {
        self.next
    }

    /// Every commit up to this one is in the trees.
    pub(super) fn merged(&mut self, sequence: u64) {
        self.merged_sequence = sequence;
    }

    /// What was being written is the base now.
    pub(super) fn base_published(&mut self) {
        self.base = self.next;
        self.job_abandoned();
    }

    /// What was being written will be no part of anything.
    pub(super) fn job_abandoned(&mut self) {
        self.next = self.next.saturating_add(1).max(self.merged_sequence);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_base_is_above_the_one_before_and_above_the_runs_that_went_into_that() {
        let mut ages = NodeAges::opened(7, 5, true);
        assert_eq!((ages.base(), ages.next_base()), (7, 8));
        ages.merged(100);
        ages.base_published();
        assert_eq!((ages.base(), ages.next_base()), (8, 100));
        ages.job_abandoned();
        ages.base_published();
        assert_eq!((ages.base(), ages.next_base()), (101, 102));
        assert!(NodeAges::opened(101, 100, false).next_base() > 101 + 1000);
    }
}
