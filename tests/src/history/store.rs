//! What a workload needs of a database, so that the same one runs on the engine and on stores broken on purpose.

use lightning_db::Isolation;

use super::history::Key;
use crate::random::Random;

/// Why an operation gave no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stop {
    /// The transaction was refused, as its level allows; it is over.
    Refused,
    /// Something that must not happen.
    Failed(String),
}

/// An answer, or why there is none.
pub type Answer<T> = Result<T, Stop>;

/// How far a commit has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Acknowledged.
    Done,
    /// It has its place among the commits, and waits for the medium.
    Waiting,
    /// Nothing happened yet; to be tried again.
    NotYet,
}

/// The ways of reading a range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Walk {
    /// From the first key on.
    Forward,
    /// From the last key back.
    Backward,
    /// With a cursor.
    Cursor,
}

/// What is done inside a transaction.
pub trait Operations {
    /// The value of `key`.
    fn get(&mut self, key: Key) -> Answer<Option<Vec<u8>>>;
    /// Writes.
    fn put(&mut self, key: Key, value: &[u8]) -> Answer<()>;
    /// Deletes; tells whether there was something.
    fn delete(&mut self, key: Key) -> Answer<bool>;
    /// Deletes all from `from` up to, not including, `to`.
    fn delete_range(&mut self, from: Key, to: Key) -> Answer<()>;
    /// All from `from` up to, not including, `to`, by key.
    fn scan(&mut self, from: Key, to: Key, walk: Walk) -> Answer<Vec<(Key, Vec<u8>)>>;
    /// How many there are from `from` up to, not including, `to`.
    fn count(&mut self, from: Key, to: Key) -> Answer<u64>;
    /// Remembers this point.
    fn savepoint(&mut self);
    /// Back to the point remembered last.
    fn roll_back(&mut self);
    /// How many commits the last read saw, by what the store says.
    fn sees(&self) -> u64;
}

/// A transaction between calls.
pub trait Interactive: Operations {
    /// Commits; when waiting, asks again. With `relaxed` it need not wait for the medium.
    fn commit(&mut self, relaxed: bool) -> Answer<Progress>;
}

/// A write with no transaction around it.
#[derive(Clone, Copy, Debug)]
pub enum Single<'a> {
    /// Writes a value.
    Put(Key, &'a [u8]),
    /// Deletes all from the first key up to, not including, the second.
    DeleteRange(Key, Key),
}

/// A store driven by one thread.
pub trait Store {
    /// Begins a transaction.
    fn begin(&self, level: Isolation) -> Box<dyn Interactive>;
    /// A frozen view, on which nothing is written.
    fn snapshot(&self) -> Box<dyn Interactive>;
    /// Writes once.
    fn single(&self, write: Single<'_>) -> Answer<Progress>;
    /// Runs a transaction that nobody disturbs; it is undone when `body` gives an error.
    fn exclusive(&self, body: &mut dyn FnMut(&mut dyn Operations) -> Answer<()>) -> Answer<Progress>;
    /// Whether everything so far is durable: what exclusive transactions that wait are waiting for.
    fn settled(&self) -> Answer<bool>;
    /// Does a piece of what goes on in the background.
    fn idle(&self, random: &mut Random) -> Answer<()>;
    /// Goes down and comes up again; gives how many commits are left. After a power loss that may be fewer than when only
    /// the process ends.
    fn crash(&mut self, power_loss: Option<u64>) -> Answer<u64>;
}
