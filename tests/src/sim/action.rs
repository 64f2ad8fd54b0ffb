//! What a plan consists of.

use std::fmt;
use std::ops::Bound;
use std::sync::Arc;

use lightning_db::{Isolation, Mode};

use super::clock::Time;
use super::fate::Fate;
use crate::random::Random;
use crate::sim_disk::Fault;

/// The tables of every simulated database.
pub const TABLES: [&str; 3] = ["alpha", "beta", "gamma"];

/// A key, cheap to copy.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(pub Arc<[u8]>);

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "key(b\"{}\")", self.0.escape_ascii())
    }
}

/// A key from bytes, as a printed plan writes it.
pub fn key(bytes: &[u8]) -> Key {
    Key(Arc::from(bytes))
}

/// A value, described rather than held.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Value {
    /// Decides the bytes; even ones compress well.
    pub tag: u32,
    /// Length in bytes.
    pub len: u32,
}

/// A value, as a printed plan writes it.
pub fn value(tag: u32, len: u32) -> Value {
    Value { tag, len }
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "value({}, {})", self.tag, self.len)
    }
}

impl Value {
    /// The bytes: different for every tag, as far as the length allows.
    pub fn bytes(self) -> Vec<u8> {
        let mut bytes = vec![b'a' + (self.tag % 26) as u8; self.len as usize];
        if self.tag % 2 == 1 {
            Random::new(u64::from(self.tag)).fill(&mut bytes);
        }
        for (to, from) in bytes.iter_mut().zip(self.tag.to_le_bytes()) {
            *to = from;
        }
        bytes
    }
}

/// A range of keys; may be empty or upside down, which means empty.
pub type Range = (Bound<Key>, Bound<Key>);

/// A question with one right answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Query {
    /// The value of a key.
    Get(usize, Key),
    /// How many keys a range of a table holds.
    Count(usize, Range),
    /// The entries of a range, taken from its front (`false`) or its back (`true`), in these turns, over and over until
    /// the cursor is at its end or this many are taken.
    Walk(usize, Range, Vec<bool>, usize),
    /// Where a cursor over a range stands after each of these moves.
    Roam(usize, Range, Vec<Move>),
}

/// A move of a cursor. From outside its range `Next` and `Prev` are left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Move {
    /// To the first key of the range at or after this one.
    Seek(Key),
    /// To the first key.
    First,
    /// To the last key.
    Last,
    /// To the next key.
    Next,
    /// To the key before.
    Prev,
}

/// The answer to a [`Query`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// To `Get`.
    Value(Option<Vec<u8>>),
    /// To `Count`.
    Count(u64),
    /// To `Walk`, in the order taken.
    Entries(Vec<(Vec<u8>, Vec<u8>)>),
    /// To `Delete`: whether the key was there.
    There(bool),
    /// To `Roam`: the entry after each move.
    Stops(Vec<Option<(Vec<u8>, Vec<u8>)>>),
}

/// One step of a transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TxOp {
    /// Writes a key of a table.
    Put(usize, Key, Value),
    /// Removes a key, there or not.
    Delete(usize, Key),
    /// Removes all keys of a range.
    DeleteRange(usize, Range),
    /// Asks, own writes included.
    Ask(Query),
    /// Remembers this point.
    Savepoint,
    /// Undoes everything since the last point remembered, and forgets it; nothing if there is none.
    Rollback,
}

/// When a commit is acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// When it survives a power loss.
    Sync,
    /// When it survives the end of the process; a power loss once this many milliseconds have passed and work went on.
    Periodic(u32),
    /// When it survives the end of the process.
    Relaxed,
}

/// How the machine goes down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Crash {
    /// The process is killed.
    Kill,
    /// The power goes; the seed decides what is left of unsynced writes.
    Power(u64),
}

/// What a client does with its transaction. Without one it does nothing but begin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClientStep {
    /// Begins one, giving up one that is still open.
    Begin(Isolation),
    /// Takes a step of it.
    Do(TxOp),
    /// Commits it.
    Commit(Durability),
    /// Gives it up.
    Abort,
}

/// One thing that happens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// A transaction that commits.
    Commit(Durability, Vec<TxOp>),
    /// A transaction that is given up at its end.
    Abort(Vec<TxOp>),
    /// One of the clients (counted around) goes on.
    Client(usize, ClientStep),
    /// Where the platform completes syncs later: it completes so many, the oldest first.
    CompleteSyncs(u32),
    /// A question to the newest state.
    Ask(Query),
    /// Takes a snapshot; the oldest goes if there are too many.
    TakeSnapshot,
    /// Asks a held snapshot (counted around).
    AskSnapshot(usize, Query),
    /// Compares all of a held snapshot.
    CompareSnapshot(usize),
    /// Lets a held snapshot go.
    DropSnapshot(usize),
    /// A reader of the change feed catches up, and its copy of all tables is compared.
    Follow,
    /// A backup is made, or an increment of the one there is, and restored from.
    Keep,
    /// What has a name is compared, and what is there now gets one, or the oldest is given up.
    Name,
    /// The keys of an encrypted database change, or everything in it is encrypted anew; the number says which.
    Rekey(u64),
    /// Bounded background work, this often.
    Step(u32),
    /// Background work until there is none.
    Settle,
    /// Compares everything, forwards, backwards and by count.
    Compare,
    /// Runs the engine's own check.
    Check,
    /// Closes cleanly and opens again.
    Reopen,
    /// An emergency shutdown, and down.
    ShutDown(Crash),
    /// Down after this many more I/Os.
    CrashAfter(u64, Crash),
    /// Down here.
    CrashNow(Crash),
    /// A fault after this many more I/Os.
    FaultAfter(u64, Fault),
    /// Lets the disk have this many bytes more than it holds now, or any number again.
    Limit(Option<u64>),
    /// Somebody decides who may write, until the database is opened again.
    Mode(Mode),
    /// Something happens to the time.
    Time(Time),
    /// Something befalls the files.
    Fate(Fate),
}
