//! What a transaction promises about others that run beside it, and how a commit is validated.

use alloc::collections::BTreeSet;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use crate::engine::{Recent, Version};
use crate::error::{Error, Result};
use crate::memtable::Memtable;
use crate::testing::Mutant;

/// How far transactions are kept apart (Adya's definitions, 1999). Read uncommitted is given as read committed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Isolation {
    /// Each read sees what is committed at that moment. Writes of others may be overwritten unseen.
    ReadCommitted,
    /// All reads see one snapshot; of two transactions that write the same key, the second to commit is refused.
    Snapshot,
    /// As if transactions had run one after the other: a commit is refused when something this transaction read, points
    /// and ranges, was changed meanwhile.
    #[default]
    Serializable,
}

/// What an optimistic transaction has read, for validation at its commit.
#[derive(Debug, Default)]
pub(super) struct ReadSet {
    points: BTreeSet<Vec<u8>>,
    ranges: Vec<(Vec<u8>, Vec<u8>)>,
    /// Whether the transaction's owner was told anything of its snapshot.
    pub(super) observed: bool,
    /// The closure form of a transaction holds the writer lock and never conflicts.
    pub(super) exclusive: bool,
}

impl ReadSet {
    pub(super) fn point(&mut self, isolation: Isolation, key: &[u8]) {
        self.observed = true;
        self.definition(isolation, key);
    }

    /// What is read of the catalogue can conflict like any other key, but a definition binds to no snapshot: it can be
    /// looked up again.
    pub(super) fn definition(&mut self, isolation: Isolation, key: &[u8]) {
        if isolation == Isolation::Serializable && !self.exclusive && !self.points.contains(key) {
            self.points.insert(key.to_vec());
        }
    }

    pub(super) fn range(&mut self, isolation: Isolation, from: &[u8], to: &[u8]) {
        self.observed = true;
        if isolation == Isolation::Serializable && !self.exclusive {
            self.ranges.push((from.to_vec(), to.to_vec()));
        }
    }
}

/// Refuses a commit that others have made impossible since `start`.
///
/// Looks at the sequences in memtables: those of `head`, and those merged since, as far as they are kept. A transaction
/// older than what is kept cannot be validated and is [`Error::TransactionTooOld`].
pub(super) fn validate(
    isolation: Isolation,
    start: &Version,
    reads: &ReadSet,
    writes: &Memtable,
    head: &Version,
    recent: &Recent,
) -> Result<()> {
    if reads.exclusive || isolation == Isolation::ReadCommitted || head.sequence == start.sequence {
        return Ok(());
    }
    let Some(memtables) = recent.since(start.sequence, head) else { return Err(Error::TransactionTooOld) };
    for memtable in memtables {
        let touched = |from: &[u8], to: &[u8]| {
            memtable.touched_since(from, Some(to), start.sequence).map_or(Ok(()), |key| Err(conflict(key)))
        };
        let mut cursor = writes.cursor();
        cursor.seek(&[]);
        while let Some(entry) = cursor.entry().filter(|_| !Mutant::WriteConflictUnseen.is_active()) {
            touched(entry.key, &just_after(entry.key))?;
            cursor.next();
        }
        let mut intervals = writes.intervals();
        intervals.seek(&[]);
        while let Some(interval) = intervals.interval().filter(|_| !Mutant::RangeWriteConflictUnseen.is_active()) {
            if let Some(key) = memtable.touched_since(interval.start, interval.end, start.sequence) {
                return Err(conflict(key));
            }
            intervals.next();
        }
        for key in reads.points.iter().filter(|_| !Mutant::ReadKeyUnvalidated.is_active()) {
            touched(key, &just_after(key))?;
        }
        for (from, to) in reads.ranges.iter().filter(|_| !Mutant::ReadRangeUnvalidated.is_active()) {
            touched(from, to)?;
        }
    }
    Ok(())
}

fn just_after(key: &[u8]) -> Vec<u8> {
    let mut after = Vec::with_capacity(key.len() + 1);
    after.extend_from_slice(key);
    after.push(0);
    after
}

fn conflict(key: &[u8]) -> Error {
    let key = crate::table::prefix::split(key).map_or(key, |(_, key)| key);
    let shown: String = format!("key \"{}\"", key.get(..64).unwrap_or(key).escape_ascii());
    Error::Conflict { what: shown }
}
