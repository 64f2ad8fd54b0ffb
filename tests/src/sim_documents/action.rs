//! What a plan consists of.

use lightning_db::query::Update;
use lightning_db::{Isolation, Value};

use super::filter::Asked;
use crate::sim::action::{Crash, Durability};
use crate::sim_disk::Fault;

/// The collections of every simulated database.
pub const COLLECTIONS: [&str; 3] = ["alpha", "beta", "gamma"];

/// When a document goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Goes {
    /// As its collection says.
    Default,
    /// Never.
    Never,
    /// So many milliseconds after the plan's wall clock now; 0 is at once.
    In(u64),
}

/// One call of a collection.
#[derive(Clone, Debug, PartialEq)]
pub enum Op {
    /// Writes a document.
    Put(usize, Value, Goes),
    /// Writes a new one.
    Insert(usize, Value),
    /// Writes over one.
    Replace(usize, Value),
    /// Deletes one.
    Delete(usize, Value),
    /// Changes one.
    Update(usize, Value, Update),
    /// Writes the second if the first is there under its key; `None`: nothing is.
    Swap(usize, Option<Value>, Value),
    /// Deletes those that are found.
    DeleteWhere(usize, Asked),
    /// Changes those that are found.
    UpdateWhere(usize, Asked, Update),
    /// Reads one.
    Get(usize, Value),
    /// Reads those that are found.
    Find(usize, Asked),
    /// Counts them.
    Count(usize, Asked),
}

/// What came of an [`Op`].
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// It is done.
    Done,
    /// Whether it was there.
    There(bool),
    /// How many.
    Count(u64),
    /// These.
    Rows(Vec<Value>),
    /// Not done, for one of these reasons.
    Refused(Vec<&'static str>),
}

/// What a client does with its transaction.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::large_enum_variant, reason = "there are a few hundred of them")]
pub enum ClientStep {
    /// Begins one, giving up one that is open.
    Begin(Isolation),
    /// Takes a step of it.
    Do(Op),
    /// Commits it.
    Commit(Durability),
    /// Gives it up.
    Abort,
}

/// One thing that happens.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// A call by the handle: a transaction or a snapshot of its own.
    Call(Op),
    /// A transaction; what is refused in it is left out, and the rest committed, or (`false`) given up.
    Transaction(Durability, Vec<Op>, bool),
    /// One of the clients goes on.
    Client(usize, ClientStep),
    /// Asks a query page by page, of so many documents, with one of these calls after each page.
    Pages(usize, Asked, u64, Vec<Op>),
    /// Asks for the lowest value under a path, or (`true`) for the highest, of what a query finds.
    Extreme(usize, &'static str, bool, Asked),
    /// Begins to follow what a query finds.
    Watch(usize, Asked),
    /// One of those who follow looks (counted around).
    LookAtWatch(usize),
    /// Takes a snapshot.
    TakeSnapshot,
    /// Asks a held snapshot (counted around).
    AskSnapshot(usize, usize, Asked),
    /// Lets a held snapshot go.
    DropSnapshot(usize),
    /// Makes an index, with these calls between its steps.
    AddIndex(usize, usize, Vec<Op>),
    /// Drops an index.
    DropIndex(usize, usize),
    /// Brings a collection to the next version: in steps, or in one transaction.
    Migrate(usize, bool),
    /// So many milliseconds pass.
    Passes(u64),
    /// Removes what is gone, so often.
    RemoveExpired(u32),
    /// Bounded background work, so often.
    Step(u32),
    /// Compares everything.
    Compare,
    /// Checks everything.
    Check,
    /// Closes and opens again.
    Reopen,
    /// Down after this many more I/Os.
    CrashAfter(u64, Crash),
    /// Down here.
    CrashNow(Crash),
    /// A fault after this many more I/Os.
    FaultAfter(u64, Fault),
    /// Lets the disk have this many bytes more than it holds now, or any number again.
    Limit(Option<u64>),
}

impl Action {
    /// Whether it commits at most once: if it fails, the database holds what it held.
    pub(super) fn commits_once(&self) -> bool {
        !matches!(self, Action::AddIndex(..) | Action::Migrate(..) | Action::Reopen)
    }
}
