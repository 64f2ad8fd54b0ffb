//! What happened, as plain data: who read and wrote which versions, when each began and was acknowledged.

use std::collections::BTreeMap;
use std::fmt;

/// A key of the workload.
pub type Key = u32;

/// One version of one key: the `nth` that `writer` wrote. Adya's x[i.m]; before the first version a key is *unborn*, after
/// a deletion its newest version is *dead*.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version {
    /// The transaction, by its place in [`History::transactions`].
    pub writer: u32,
    /// Counts the writer's own writes, over all keys, so that no two versions are equal.
    pub nth: u32,
    /// The writer deleted the key.
    pub dead: bool,
}

/// A recorded history.
#[derive(Clone, Debug, Default)]
pub struct History {
    /// All transactions; a [`Version::writer`] is an index of this.
    pub transactions: Vec<Transaction>,
    /// The order of the committed versions of each key, where whoever recorded it knows. Empty: it is recovered from what
    /// transactions had read of a key before they wrote it.
    pub order: BTreeMap<Key, Vec<Version>>,
}

/// One transaction.
#[derive(Clone, Debug, Default)]
pub struct Transaction {
    /// Whose it was; a session has one transaction at a time.
    pub session: u32,
    /// How it ended.
    pub outcome: Outcome,
    /// A moment before its first operation.
    pub began: u64,
    /// A moment after the acknowledgement of its commit, if it was acknowledged.
    pub ended: Option<u64>,
    /// What it read and wrote, in order.
    pub events: Vec<Event>,
    /// The last version of each key it wrote: what its commit installs. The others are intermediate.
    pub installs: Vec<(Key, Version)>,
}

/// How a transaction ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Outcome {
    /// Nothing of it may be seen.
    #[default]
    Aborted,
    /// It was acknowledged, or is otherwise known to have been committed.
    Committed,
    /// Nobody was told: it counts as committed once something of it is seen.
    Unknown,
}

/// One operation with its answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A version was written; whether it stayed is told by [`Transaction::installs`].
    Wrote {
        /// Where.
        key: Key,
        /// What.
        version: Version,
    },
    /// A key that the transaction had not changed itself was read.
    Read {
        /// Where.
        key: Key,
        /// What was there; `None` for nothing. A dead version says which deletion was seen, where that is known.
        seen: Option<Version>,
    },
    /// A key that the transaction had changed itself was read.
    ReadOwn {
        /// Where.
        key: Key,
        /// What was there.
        seen: Option<Version>,
        /// What it had left there itself, `None` if it had deleted it.
        expected: Option<Version>,
    },
    /// A range was read: a predicate over keys.
    Scanned {
        /// The first key of the range.
        from: Key,
        /// The first key after the range.
        to: Key,
        /// What was there; dead versions as in [`Event::Read`].
        found: Vec<(Key, Version)>,
        /// Ranges that the transaction had changed itself, of which it saw nothing of others.
        except: Vec<(Key, Key)>,
    },
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "T{}.{}{}", self.writer, self.nth, if self.dead { " (deleted)" } else { "" })
    }
}

/// A version that was seen, or that there was nothing.
pub(super) struct Shown(pub Option<Version>);

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(version) => version.fmt(f),
            None => f.write_str("nothing"),
        }
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Event::Wrote { key, version } if version.dead => write!(f, "delete k{key}"),
            Event::Wrote { key, version } => write!(f, "write k{key} = {version}"),
            Event::Read { key, seen } => write!(f, "read k{key} = {}", Shown(*seen)),
            Event::ReadOwn { key, seen, .. } => write!(f, "read own k{key} = {}", Shown(*seen)),
            Event::Scanned { from, to, found, .. } => {
                write!(f, "scan k{from}..k{to} =")?;
                let alive: Vec<_> = found.iter().filter(|(_, version)| !version.dead).collect();
                if alive.is_empty() {
                    write!(f, " nothing")?;
                }
                alive.iter().try_for_each(|(key, version)| write!(f, " k{key} {version}"))
            }
        }
    }
}

impl fmt::Display for Transaction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "session {}, {:?}, from {}", self.session, self.outcome, self.began)?;
        match self.ended {
            Some(ended) => write!(f, " to {ended}:")?,
            None => write!(f, ":")?,
        }
        for (index, event) in self.events.iter().enumerate() {
            write!(f, "{} {event}", if index == 0 { "" } else { ";" })?;
        }
        Ok(())
    }
}

impl Transaction {
    /// What it had read of `key` before it first wrote it, if it did both.
    pub(super) fn read_before_writing(&self, key: Key) -> Option<Option<Version>> {
        let mut read = None;
        for event in &self.events {
            match event {
                Event::Read { key: at, seen } if *at == key => read = Some(*seen),
                Event::Scanned { from, to, found, except }
                    if (*from..*to).contains(&key) && !except.iter().any(|(from, to)| (*from..*to).contains(&key)) =>
                {
                    read = Some(found.iter().find(|(at, _)| *at == key).map(|(_, version)| *version));
                }
                Event::Wrote { key: at, .. } if *at == key => return read,
                _ => {}
            }
        }
        None
    }
}
