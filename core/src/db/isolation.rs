//! What a transaction promises about others that run beside it, and how a commit is validated.

use alloc::collections::BTreeSet;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use crate::engine::{Recent, Version};
use crate::error::{Error, Result};
use crate::memtable::Memtable;
use crate::table::{KeyBuffer, prefix};
use crate::testing::Mutant;

/// How far transactions are kept apart, in Adya's terms ("Weak Consistency", 1999). Read uncommitted is given as read
/// committed.
///
/// At every level, one handle's transactions agree with the order in which they happen: a transaction begun after another
/// was acknowledged sees it. Nobody sees part of a commit, nor anything of a transaction that was undone, and a transaction
/// always sees its own writes. No acknowledged transaction has seen what a crash can take back, but for commits that were
/// made without waiting for the medium; what a transaction that is then undone has seen was promised to nobody, because the
/// closure form and `get_for_update` see commits that are still on their way to the medium.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Isolation {
    /// PL-2. Each read sees what is committed at that moment, and never less than the read before it; a range, a cursor and
    /// a count are one read. Two reads of one transaction may differ, and its commit is refused only if it
    /// made or dropped a table beside others that did, or wrote documents of a collection decided upon what others have
    /// changed since, which the next read says too: else it may overwrite what it has not seen (lost update), unless it
    /// reads with `get_for_update`.
    ReadCommitted,
    /// PL-SI, known as repeatable read too. All reads see one snapshot, which holds everything acknowledged before the
    /// transaction began; of two that write the same key, or delete a range with it, the second to commit is refused. Two
    /// that each read what the other writes are both accepted (write skew).
    Snapshot,
    /// PL-3, strictly: as if transactions had run one after the other, in an order that agrees with time. A commit is
    /// refused when something this transaction read was changed meanwhile: keys, missing ones too, and ranges, of which all
    /// that was asked for counts, whatever part was looked at. A transaction that wrote nothing is never refused.
    #[default]
    Serializable,
}

/// What an optimistic transaction has read, for validation at its commit.
#[derive(Debug, Default)]
pub(super) struct ReadSet {
    points: BTreeSet<Vec<u8>>,
    ranges: Vec<(Vec<u8>, Vec<u8>)>,
    /// Memory in use, approximately.
    #[cfg(feature = "std")]
    bytes: usize,
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
            self.grew(key.len());
        }
    }

    pub(super) fn range(&mut self, isolation: Isolation, from: &[u8], to: &[u8]) {
        self.observed = true;
        if isolation == Isolation::Serializable && !self.exclusive {
            self.ranges.push((from.to_vec(), to.to_vec()));
            self.grew(from.len() + to.len());
        }
    }

    #[inline]
    fn grew(&mut self, key_bytes: usize) {
        // What each remembered key costs beside its bytes.
        #[cfg(feature = "std")]
        {
            self.bytes += key_bytes + 64;
        }
        #[cfg(not(feature = "std"))]
        let _ = key_bytes;
    }

    /// Memory in use, approximately.
    #[cfg(feature = "std")]
    #[inline]
    pub(super) fn bytes(&self) -> usize {
        self.bytes
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

/// Refuses a commit whose changes of the catalogue others have made impossible since `seen`.
pub(super) fn validate_catalogue(seen: &Version, writes: &Memtable, head: &Version, recent: &Recent) -> Result<()> {
    let (mut from, mut reads) = (KeyBuffer::new(), ReadSet::default());
    prefix::encode_prefix(prefix::CATALOGUE, &mut from);
    let end = prefix::end_of(prefix::CATALOGUE);
    let mut cursor = writes.cursor();
    cursor.seek(&from);
    while let Some(entry) = cursor.entry().filter(|entry| *entry.key < *end) {
        reads.definition(Isolation::Serializable, entry.key);
        cursor.next();
    }
    validate(Isolation::Serializable, seen, &reads, &Memtable::new(), head, recent)
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
