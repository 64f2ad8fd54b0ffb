//! What a result stands on while nobody looks at it: enough to say of a commit that it leaves the result as it is.

use alloc::vec::Vec;

use super::rows::ByKey;
use crate::collection::position::Position;
use crate::hashing::HashSet;

/// So many of the documents passed over are known, the newest ones.
const PASSED_MAX: usize = 64;

/// The rows that are held, of the last state that was looked at.
#[derive(Debug)]
pub(super) struct Held {
    pub keys: HashSet<ByKey>,
    /// Rows behind this are not held; without it, all are.
    pub end: Option<Position>,
}

/// The documents that commits passed over, of a result that does not hold all rows: a bounded number of them, in memory that
/// is used again.
///
/// Such a document may be a row behind the end in a state before that commit. Whoever reads rows from there on, in such a state,
/// must look at it again.
#[derive(Debug, Default)]
pub(super) struct Passed {
    /// Each with the commit that wrote it; beyond the first [`PASSED_MAX`] the oldest is replaced.
    documents: Vec<(u64, Vec<u8>)>,
    oldest: usize,
    /// The newest commit of which some are no longer known.
    lost: u64,
}

impl Passed {
    pub(super) fn note(&mut self, sequence: u64, key: &[u8]) {
        if self.documents.len() < PASSED_MAX {
            self.documents.push((sequence, key.to_vec()));
            return;
        }
        if let Some((last, document)) = self.documents.get_mut(self.oldest) {
            self.lost = self.lost.max(*last);
            *last = sequence;
            document.clear();
            document.extend_from_slice(key);
        }
        self.oldest = (self.oldest + 1) % PASSED_MAX;
    }

    /// Those of commits after this one.
    pub(super) fn after(&self, sequence: u64) -> impl Iterator<Item = (u64, &[u8])> {
        let all = self.documents.iter().map(|(last, key)| (*last, key.as_slice()));
        all.filter(move |(last, _)| *last > sequence)
    }

    /// The newest commit after this one of which some are no longer known.
    pub(super) fn lost_after(&self, sequence: u64) -> Option<u64> {
        Some(self.lost).filter(|lost| *lost > sequence)
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::*;

    #[test]
    fn the_newest_are_known_and_up_to_where_others_are_not() {
        let mut passed = Passed::default();
        for sequence in 1..=PASSED_MAX as u64 + 3 {
            passed.note(sequence, &sequence.to_be_bytes());
        }
        assert_eq!((passed.lost_after(2), passed.lost_after(3)), (Some(3), None));
        assert_eq!(passed.after(3).count(), PASSED_MAX);
        let last = PASSED_MAX as u64 + 3;
        assert_eq!(passed.after(last - 1).collect::<Vec<_>>(), vec![(last, last.to_be_bytes().as_slice())]);
    }
}
