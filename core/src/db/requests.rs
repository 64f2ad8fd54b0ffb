//! Requests that are carried out once, however often they are sent.
//!
//! A client that is served through somebody else (a tab through the tab that has the files open) numbers its requests. When
//! whoever serves it goes away before it answered, the client sends them again, with the numbers they had, and each that was
//! committed is found here with its answer. What is remembered is written in the transaction that carries the request out, so
//! it is there exactly where that is: after a crash, a checkpoint, a restore.
//!
//! **In the catalogue**, under names of the engine's own (the lowest keys that there are): a client's newest run of numbers
//! with one answer, under its id; runs before that, of which the client has not heard, each under id and last number.
//!
//! **Why the newest number tells:** a client sends its requests with rising numbers, and whoever serves it does them in that
//! order. Commits survive as a prefix of their order. So of those up to the newest number found each was carried out, or
//! failed, and its answer is here unless the client has heard it; of those above none was.

use alloc::vec::Vec;

use super::database::Database;
use super::transaction::WriteTransaction;
use crate::codec::bytes::{Reader, Writer};
use crate::codec::slot::Slot;
use crate::engine::{Engine, MergedCursor, Version};
use crate::env::FileId;
use crate::error::{Error, Result};
use crate::log::OperationWriter;
use crate::table::KeyBuffer;
use crate::table::catalogue::entry_key;

/// Clients that are remembered at most: those that committed last.
const CLIENTS_MAX: usize = 1024;
/// A client that has committed nothing for so long may be forgotten when another comes.
const FORGOTTEN_AFTER_S: u64 = 3600;
/// A client holds back no more than this: an answer says what came of a commit, not what is in the database.
const ANSWER_BYTES_MAX: usize = 1024;

/// Requests that follow each other and have one answer.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Run {
    first: u64,
    last: u64,
    answer: Vec<u8>,
}

impl Run {
    fn holds(&self, number: u64) -> bool {
        (self.first..=self.last).contains(&number)
    }
}

/// What is remembered of the requests of one client; see [`Database::requests`].
///
/// Numbers rise from request to request, and may leave some out. Nothing is lost by dropping it: [`Database::requests`] gives
/// what was committed.
#[derive(Debug)]
pub struct Requests {
    client: u64,
    /// Where its newest run is.
    key: KeyBuffer,
    /// When it was heard of last, in seconds since 1970.
    at_s: u64,
    /// The newest, and before it those that no commit has written yet. Requests that failed, or had nothing to change, make none.
    runs: Vec<Run>,
    /// The last numbers of runs that have a key of their own.
    written: Vec<u64>,
    /// The client has heard all answers up to this one.
    heard: u64,
    /// Clients that are forgotten with the first commit of this one.
    forgotten: Vec<Silent>,
}

impl Database {
    /// What was carried out of what `client` has asked. The id is the client's own, random and never used again.
    ///
    /// ```
    /// # use std::sync::Arc;
    /// # use lightning_db::{Database, Environment, Options, Table, env::{MemoryStorage, SystemClock, SystemEntropy}};
    /// # const COUNTERS: Table<&str, i64> = Table::new("counters");
    /// # let environment = Environment { clock: Arc::new(SystemClock::default()), entropy: Arc::new(SystemEntropy) };
    /// # let db = Database::open_storage(Arc::new(MemoryStorage::new()), environment, Options::default())?;
    /// // The same request, twice.
    /// for _ in 0..2 {
    ///     let mut requests = db.requests(0x5eed)?;
    ///     if db.answer(&requests, 1)?.is_none() {
    ///         db.transaction(|tx| {
    ///             tx.table(COUNTERS)?.increment("visits", 1)?;
    ///             tx.remember(&requests, 1, b"done").map(drop)
    ///         })?;
    ///         requests.answered(1, b"done", true);
    ///     }
    /// }
    /// assert_eq!(db.table(COUNTERS)?.get("visits")?, Some(1));
    /// # Ok::<(), lightning_db::Error>(())
    /// ```
    pub fn requests(&self, client: u64) -> Result<Requests> {
        let version = self.shared.engine.version();
        let mut requests = Requests {
            client,
            key: client_key(client),
            at_s: self.shared.engine.env.clock.wall_ms() / 1000,
            runs: Vec::new(),
            written: Vec::new(),
            heard: 0,
            forgotten: Vec::new(),
        };
        let mut rows = self.rows(&version, &requests.key)?;
        while let Some(row) = rows.next()?.filter(|row| row.client == client) {
            match row.last {
                None => requests.runs.push(row.run),
                Some(last) => requests.written.push(last),
            }
        }
        if requests.runs.is_empty() {
            requests.forgotten = self.clients_to_forget(&version, requests.at_s)?;
        }
        Ok(requests)
    }

    /// The client has heard the answers up to this request: they are forgotten with its next commit.
    pub fn heard(&self, requests: &mut Requests, number: u64) {
        requests.at_s = self.shared.engine.env.clock.wall_ms() / 1000;
        requests.heard = requests.heard.max(number);
        while requests.runs.len() > 1 && requests.runs.first().is_some_and(|run| run.last <= requests.heard) {
            requests.runs.remove(0);
        }
    }

    /// The answer to a request that was carried out. `None` if it was not, and is to be. One that the client had the answer of is
    /// an error: nobody asks that again.
    pub fn answer(&self, requests: &Requests, number: u64) -> Result<Option<Vec<u8>>> {
        if number > requests.newest() {
            return Ok(None);
        }
        if let Some(run) = requests.runs.iter().find(|run| run.holds(number)) {
            return Ok(Some(run.answer.clone()));
        }
        let version = self.shared.engine.version();
        let row = self.rows(&version, &run_key(requests.client, number))?.next()?;
        let run = row.filter(|row| row.client == requests.client && row.run.holds(number)).map(|row| row.run);
        run.map(|run| Some(run.answer))
            .ok_or_else(|| Error::invalid("this request was answered, and the client has heard it"))
    }

    /// Clients of which nobody asks any more: silent for long, or before so many others.
    fn clients_to_forget(&self, version: &Version, now_s: u64) -> Result<Vec<Silent>> {
        let mut clients: Vec<Silent> = Vec::new();
        let mut rows = self.rows(version, &entry_key(OWN_NAME))?;
        while let Some(row) = rows.next()? {
            if row.last.is_none() {
                clients.push(Silent { since_s: row.at_s, client: row.client });
            }
        }
        clients.sort_unstable();
        let silent = clients.partition_point(|client| client.since_s.saturating_add(FORGOTTEN_AFTER_S) < now_s);
        // One more is about to come.
        clients.truncate(silent.max((clients.len() + 1).saturating_sub(CLIENTS_MAX)));
        Ok(clients)
    }

    fn rows(&self, version: &Version, from: &[u8]) -> Result<Rows> {
        Rows::new(&self.shared.engine, version, from)
    }
}

impl Requests {
    /// Whose they are.
    pub fn client(&self) -> u64 {
        self.client
    }

    /// The newest request that was carried out, or failed; 0 when there is none.
    pub fn newest(&self) -> u64 {
        self.runs.last().map_or(0, |run| run.last)
    }

    /// Takes note of the answer to a request: `committed` with it by [`WriteTransaction::remember`], or one that made no commit
    /// because it failed or had nothing to change. That one goes into the client's next commit.
    pub fn answered(&mut self, number: u64, answer: &[u8], committed: bool) {
        match self.runs.last_mut() {
            Some(run) if run.answer == answer => run.last = number,
            _ => self.runs.push(Run { first: number, last: number, answer: answer.to_vec() }),
        }
        if committed {
            let heard = self.heard;
            let before = self.runs.drain(..self.runs.len().saturating_sub(1));
            self.written.extend(before.map(|run| run.last));
            self.written.drain(..self.written.partition_point(|last| *last <= heard));
            self.forgotten.clear();
        }
    }

    /// The newest run, if this answer is its own.
    fn run_of(&self, answer: &[u8]) -> Option<&Run> {
        self.runs.last().filter(|run| run.answer == answer)
    }

    /// Runs that get a key of their own when the next answer is this one.
    fn runs_to_write(&self, answer: &[u8]) -> impl Iterator<Item = &Run> {
        let count = self.runs.len() - usize::from(self.run_of(answer).is_some());
        self.runs.iter().take(count).filter(|run| run.last > self.heard)
    }
}

impl WriteTransaction {
    /// This transaction carries out a request with this answer, at most 1 KiB: both are committed, or neither is. To be said last;
    /// gives whether there is anything to commit. [`Requests::answered`] is told when it is committed.
    pub fn remember(&mut self, requests: &Requests, number: u64, answer: &[u8]) -> Result<bool> {
        if number <= requests.newest() {
            return Err(Error::invalid("the numbers of requests rise"));
        }
        if answer.len() > ANSWER_BYTES_MAX {
            let (value, limit) = (answer.len() as u64, ANSWER_BYTES_MAX as u64);
            return Err(Error::LimitExceeded { what: "the size of an answer in bytes", value, limit });
        }
        let client = requests.client;
        let first = requests.run_of(answer).map_or(number, |run| run.first);
        let mut value = Vec::with_capacity(16 + answer.len());
        value.put_varint(requests.at_s);
        value.put_varint(number);
        value.put_varint(number - first);
        value.extend_from_slice(answer);
        let mut remembered = Remembered { newest: (requests.key.clone(), value), ranges: Vec::new(), runs: Vec::new() };
        if !requests.forgotten.is_empty() {
            let head = self.engine.head();
            for silent in &requests.forgotten {
                // One that has committed since they were looked for is not silent any more.
                let key = client_key(silent.client);
                let row = Rows::new(&self.engine, &head, &key)?.next()?;
                if row.is_some_and(|row| (row.client, row.at_s) == (silent.client, silent.since_s)) {
                    remembered.ranges.push((key, end_of_client(silent.client)));
                }
            }
        }
        if requests.written.first().is_some_and(|last| *last <= requests.heard) {
            remembered.ranges.push((run_key(client, 0), run_key(client, requests.heard.saturating_add(1))));
        }
        for run in requests.runs_to_write(answer) {
            let mut value = Vec::with_capacity(4 + run.answer.len());
            value.put_varint(run.last - run.first);
            value.extend_from_slice(&run.answer);
            remembered.runs.push((run_key(client, run.last), value));
        }
        self.remembered = Some(remembered);
        Ok(!self.changes.memtable.is_empty())
    }
}

/// A client that has committed nothing since then; those that are silent for longest come first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Silent {
    since_s: u64,
    client: u64,
}

/// What a commit writes of requests. It is no part of the transaction's changes: neither does it conflict with what the same
/// client has committed meanwhile, nor does a savepoint undo it.
#[derive(Debug)]
pub(super) struct Remembered {
    ranges: Vec<(KeyBuffer, KeyBuffer)>,
    newest: (KeyBuffer, Vec<u8>),
    runs: Vec<(KeyBuffer, Vec<u8>)>,
}

impl Remembered {
    pub(super) fn write_ranges(&self, writer: &mut OperationWriter<'_>) {
        self.ranges.iter().for_each(|(from, to)| writer.delete_range(from, Some(to)));
    }

    /// Before all others, for no key is lower.
    pub(super) fn write_points(&self, writer: &mut OperationWriter<'_>) {
        core::iter::once(&self.newest).chain(&self.runs).for_each(|(key, value)| writer.put(key, value));
    }
}

/// Lower than the names of the engine's other keys.
const OWN_NAME: &str = "\0\0\0";

fn client_key(client: u64) -> KeyBuffer {
    let mut key = entry_key(OWN_NAME);
    key.extend(&client.to_be_bytes());
    key
}

fn run_key(client: u64, last: u64) -> KeyBuffer {
    let mut key = client_key(client);
    key.extend(&last.to_be_bytes());
    key
}

fn end_of_client(client: u64) -> KeyBuffer {
    let mut end = run_key(client, u64::MAX);
    end.push(0);
    end
}

/// Whether a record of the catalogue is one of these.
pub(crate) fn is_remembered(key: &[u8], value: &[u8]) -> bool {
    Row::read(key, value).is_some()
}

/// One key of what is remembered.
struct Row {
    client: u64,
    /// Of a run with a key of its own.
    last: Option<u64>,
    /// When the client has committed last, in seconds since 1970; 0 where that is not told.
    at_s: u64,
    run: Run,
}

impl Row {
    fn read(key: &[u8], value: &[u8]) -> Option<Self> {
        let (client, last) = key.strip_prefix(&*entry_key(OWN_NAME))?.split_first_chunk()?;
        let last = if last.is_empty() { None } else { Some(u64::from_be_bytes(last.try_into().ok()?)) };
        let mut value = Reader::new(value);
        let at_s = if last.is_none() { value.varint()? } else { 0 };
        let newest = match last {
            Some(last) => last,
            None => value.varint()?,
        };
        let first = newest.checked_sub(value.varint()?)?;
        let answer = value.take(value.remaining())?.to_vec();
        Some(Self { client: u64::from_be_bytes(*client), last, at_s, run: Run { first, last: newest, answer } })
    }
}

struct Rows {
    cursor: MergedCursor,
}

impl Rows {
    fn new(engine: &Engine, version: &Version, from: &[u8]) -> Result<Self> {
        let mut cursor = MergedCursor::new(version, &engine.nodes);
        cursor.seek(from)?;
        Ok(Self { cursor })
    }

    /// The next one; `None` after the last of all clients.
    fn next(&mut self) -> Result<Option<Row>> {
        let Some((key, slot)) = self.cursor.entry().filter(|(key, _)| key.starts_with(&entry_key(OWN_NAME))) else {
            return Ok(None);
        };
        let row = match slot {
            Slot::Inline(value) => Row::read(key, value),
            _ => None,
        };
        let malformed = "what is remembered of a client's requests is malformed";
        let row = row.ok_or_else(|| Error::corrupt(FileId::Data, 0, malformed))?;
        self.cursor.next()?;
        Ok(Some(row))
    }
}

#[cfg(all(test, feature = "std"))]
mod tests;
