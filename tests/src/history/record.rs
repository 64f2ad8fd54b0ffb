//! Recording of transactions while they run: what they write says who wrote it, so that whoever reads it later knows.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use super::history::{Event, History, Key, Outcome, Transaction, Version};
use super::ledger::Ledger;

/// Numbers transactions and moments, for all threads.
#[derive(Debug, Default)]
pub struct Recorder {
    moments: AtomicU64,
    transactions: AtomicU32,
}

impl Recorder {
    /// A transaction of `session` is about to begin.
    pub fn begin(&self, session: u32) -> Recording {
        self.begin_at(session, self.moment())
    }

    /// A transaction of `session` may have begun as early as `began`.
    pub fn begin_at(&self, session: u32, began: u64) -> Recording {
        let id = self.transactions.fetch_add(1, Ordering::SeqCst);
        Recording {
            id,
            transaction: Transaction { session, began, ..Transaction::default() },
            changes: Changes::default(),
            writes: 0,
        }
    }

    /// A moment later than all told before.
    pub fn moment(&self) -> u64 {
        self.moments.fetch_add(1, Ordering::SeqCst)
    }
}

/// What a transaction has changed so far; a clone is a savepoint.
#[derive(Clone, Debug, Default)]
pub struct Changes {
    /// The last version of each key it wrote one by one.
    pub points: BTreeMap<Key, Version>,
    /// Ranges deleted, from a first key up to, not including, another.
    pub ranges: Vec<(Key, Key)>,
}

impl Changes {
    /// Whether the transaction commits anything.
    pub fn is_empty(&self) -> bool {
        self.points.is_empty() && self.ranges.is_empty()
    }

    /// What the transaction has left at `key`, if it changed it: a version, or `None` for nothing.
    pub fn own(&self, key: Key) -> Option<Option<Version>> {
        match self.points.get(&key) {
            Some(version) => Some((!version.dead).then_some(*version)),
            None => self.ranges.iter().any(|(from, to)| (*from..*to).contains(&key)).then_some(None),
        }
    }
}

/// One transaction under way.
#[derive(Debug)]
pub struct Recording {
    /// Its number: the writer of its versions.
    pub id: u32,
    /// What it has changed so far.
    pub changes: Changes,
    transaction: Transaction,
    writes: u32,
}

/// Where the order of commits is known: the ledger of them, and how many of them the transaction's last read saw.
pub type Known<'a> = Option<(&'a Ledger, u64)>;

impl Recording {
    fn version(&mut self, dead: bool) -> Version {
        self.writes += 1;
        Version { writer: self.id, nth: self.writes, dead }
    }

    /// The value to write at `key`, of `len` bytes or a few more.
    pub fn write(&mut self, key: Key, len: usize) -> Vec<u8> {
        let version = self.version(false);
        self.changes.points.insert(key, version);
        self.transaction.events.push(Event::Wrote { key, version });
        encode(version, len)
    }

    /// The key is deleted.
    pub fn delete(&mut self, key: Key) {
        let version = self.version(true);
        self.changes.points.insert(key, version);
        self.transaction.events.push(Event::Wrote { key, version });
    }

    /// The range is deleted, whatever is in it.
    pub fn delete_range(&mut self, from: Key, to: Key) {
        self.changes.points.retain(|key, _| !(from..to).contains(key));
        self.changes.ranges.push((from, to));
    }

    /// What a read of `key` gave.
    pub fn read(&mut self, key: Key, value: Option<&[u8]>, known: Known<'_>) -> Result<(), String> {
        let seen = value.map(decode).transpose().map_err(|error| format!("T{} read k{key}: {error}", self.id))?;
        self.saw(key, seen, known);
        Ok(())
    }

    fn saw(&mut self, key: Key, seen: Option<Version>, known: Known<'_>) {
        self.transaction.events.push(match self.changes.own(key) {
            Some(expected) => Event::ReadOwn { key, seen, expected },
            None => Event::Read { key, seen: seen.or_else(|| known.and_then(|(ledger, at)| ledger.absent(key, at))) },
        });
    }

    /// What a read of the range `from..to` gave.
    pub fn scanned(&mut self, from: Key, to: Key, entries: &[(Key, Vec<u8>)], known: Known<'_>) -> Result<(), String> {
        let mut found = BTreeMap::new();
        for (key, value) in entries {
            let version = decode(value).map_err(|error| format!("T{} read k{key}: {error}", self.id))?;
            if !(from..to).contains(key) || found.insert(*key, version).is_some() {
                return Err(format!("T{} read k{from}..k{to} and got k{key}, outside or twice", self.id));
            }
        }
        if !entries.is_sorted_by_key(|(key, _)| key) {
            return Err(format!("T{} read k{from}..k{to} out of order", self.id));
        }
        self.saw_range(from, to, found, known);
        Ok(())
    }

    /// A range was counted, which tells the keys in it too where it is known what they were.
    pub fn counted(&mut self, from: Key, to: Key, count: u64, (ledger, at): (&Ledger, u64)) -> Result<(), String> {
        let theirs = (from..to).filter_map(|key| Some((key, ledger.at(key, at).filter(|version| !version.dead)?)));
        let mut found: BTreeMap<Key, Version> = theirs.filter(|(key, _)| self.changes.own(*key).is_none()).collect();
        found.extend((from..to).filter_map(|key| Some((key, self.changes.own(key)??))));
        if found.len() as u64 != count {
            let expected = found.len();
            return Err(format!(
                "T{}, which sees commit {at}, counted {count} keys in k{from}..k{to}, not {expected}",
                self.id
            ));
        }
        self.saw_range(from, to, found, Some((ledger, at)));
        Ok(())
    }

    fn saw_range(&mut self, from: Key, to: Key, mut found: BTreeMap<Key, Version>, known: Known<'_>) {
        let mut except: Vec<(Key, Key)> = Vec::new();
        let points = self.changes.points.range(from..to).map(|(key, _)| (*key, key + 1));
        let ranges = self.changes.ranges.iter().filter(|(start, end)| *start < to && from < *end).copied();
        except.extend(points.chain(ranges));
        let own = |key: &Key| except.iter().any(|(from, to)| (*from..*to).contains(key));
        let keys = found.keys().copied().chain(self.changes.points.range(from..to).map(|(key, _)| *key));
        for key in keys.filter(own).collect::<BTreeSet<Key>>() {
            let Some(expected) = self.changes.own(key) else { continue };
            let seen = found.remove(&key);
            self.transaction.events.push(Event::ReadOwn { key, seen, expected });
        }
        let mut found: Vec<(Key, Version)> = found.into_iter().collect();
        if let Some((ledger, at)) = known {
            let absent = |key: &Key| found.binary_search_by_key(key, |(key, _)| *key).is_err();
            let dead: Vec<_> = (from..to)
                .filter(|key| absent(key) && !own(key))
                .filter_map(|key| Some((key, ledger.absent(key, at)?)))
                .collect();
            found.extend(dead);
        }
        self.transaction.events.push(Event::Scanned { from, to, found, except });
    }

    /// Goes back to an earlier state of [`changes`](Recording::changes).
    pub fn roll_back(&mut self, changes: &Changes) {
        self.changes = changes.clone();
    }

    /// It has ended.
    pub fn end(mut self, outcome: Outcome, ended: Option<u64>, installs: Vec<(Key, Version)>) -> (u32, Transaction) {
        self.transaction.outcome = outcome;
        self.transaction.ended = ended;
        self.transaction.installs = installs;
        (self.id, self.transaction)
    }

    /// It has ended where no ledger is kept.
    pub fn end_alone(self, outcome: Outcome, ended: Option<u64>) -> (u32, Transaction) {
        let installs = self.changes.points.iter().map(|(key, version)| (*key, *version)).collect();
        self.end(outcome, ended, installs)
    }
}

/// The history of transactions recorded in any order.
pub fn history(mut recorded: Vec<(u32, Transaction)>, order: BTreeMap<Key, Vec<Version>>) -> History {
    recorded.sort_unstable_by_key(|(id, _)| *id);
    let mut transactions = Vec::with_capacity(recorded.len());
    for (id, transaction) in recorded {
        // A number that was given and never came back is a transaction of which nothing is known.
        transactions.resize(id as usize, Transaction::default());
        transactions.push(transaction);
    }
    History { transactions, order }
}

/// Writer and number, then bytes that follow from them.
fn encode(version: Version, len: usize) -> Vec<u8> {
    let mut value = Vec::with_capacity(len.max(8));
    value.extend_from_slice(&version.writer.to_le_bytes());
    value.extend_from_slice(&version.nth.to_le_bytes());
    value.resize(len.max(8), filling(version));
    value
}

fn filling(version: Version) -> u8 {
    (version.writer.wrapping_mul(31) ^ version.nth) as u8
}

fn decode(value: &[u8]) -> Result<Version, String> {
    let number = |at: usize| -> Option<u32> { Some(u32::from_le_bytes(value.get(at..at + 4)?.try_into().ok()?)) };
    match (number(0), number(4)) {
        (Some(writer), Some(nth)) => {
            let version = Version { writer, nth, dead: false };
            let whole = value[8..].iter().all(|byte| *byte == filling(version));
            whole.then_some(version).ok_or_else(|| format!("the value of {version} with other bytes"))
        }
        _ => Err(format!("a value that nobody wrote: {value:?}")),
    }
}
