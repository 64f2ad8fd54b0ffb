//! The simplest engine that keeps every promise: all tables in memory, each commit one frame in the log. It shows that the
//! simulator accepts what is right; with a [`Flaw`] it shows that the simulator notices what is wrong.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Mutex;

use lightning_db::env::{FileId, Storage, StorageError, StorageErrorKind, Sync};
use lightning_db::{Error, Isolation};

use super::action::{Answer, Durability, Move, Query, Range, TABLES, TxOp};
use super::draft::{Commit, is_empty};
use super::engine::{Ack, Engine, Site};
use crate::sim_disk::SECTOR_BYTES;

type Rows = BTreeMap<Vec<u8>, Vec<u8>>;
type State = [Rows; TABLES.len()];

const HEADER_BYTES: usize = 20;

/// Something that this engine may do wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flaw {
    /// Nothing.
    None,
    /// Acknowledges without a sync.
    NoSync,
    /// Believes every frame whose length is right.
    NoChecksum,
    /// Does not notice that a frame belongs to another history than the one before it.
    NoChain,
    /// Writes each table of a transaction as a commit of its own.
    Split,
    /// Packs frames into shared sectors.
    SharedSectors,
    /// Shows a commit that failed.
    FailedVisible,
    /// Goes on writing after a failed sync.
    TrustsLaterSync,
    /// Deleting a range misses its included end.
    RangeEnd,
    /// Cuts off what one bad read made look torn.
    ReadsOnce,
    /// A savepoint undone leaves one table as it was.
    HalfRollback,
    /// Does not write down where the log ended, so damage looks like an end.
    NoMark,
    /// Lets the second of two transactions that write a key commit.
    LostUpdate,
    /// Does not look whether ranges that were read have changed.
    Phantom,
    /// Refuses every transaction beside which another has committed.
    Refuses,
    /// A transaction that should see one state sees the newest.
    SeesNewest,
}

/// The engine, with flaw number `FLAW` of [`FLAWS`].
#[derive(Debug)]
pub struct Reference<const FLAW: usize = 0> {
    site: Site,
    inner: Mutex<Inner>,
}

/// What `FLAW` counts.
pub const FLAWS: [Flaw; 16] = [
    Flaw::None,
    Flaw::NoSync,
    Flaw::NoChecksum,
    Flaw::NoChain,
    Flaw::Split,
    Flaw::SharedSectors,
    Flaw::FailedVisible,
    Flaw::TrustsLaterSync,
    Flaw::RangeEnd,
    Flaw::ReadsOnce,
    Flaw::HalfRollback,
    Flaw::NoMark,
    Flaw::LostUpdate,
    Flaw::Phantom,
    Flaw::Refuses,
    Flaw::SeesNewest,
];

#[derive(Clone, Debug)]
struct Inner {
    state: State,
    /// What was committed since opening.
    commits: Vec<Commit>,
    end: u64,
    /// Checksum of the last frame, which the next one continues.
    chain: u64,
    poison: Option<String>,
}

/// An interactive transaction: what it changes is laid over a state again for every answer.
#[derive(Clone, Debug)]
pub struct Open {
    isolation: Isolation,
    start: usize,
    base: State,
    writes: Vec<TxOp>,
    savepoints: Vec<usize>,
    reads: Vec<TxOp>,
}

impl Open {
    fn new(isolation: Isolation, inner: &Inner) -> Self {
        let (start, base) = (inner.commits.len(), inner.state.clone());
        Self { isolation, start, base, writes: Vec::new(), savepoints: Vec::new(), reads: Vec::new() }
    }

    fn perform<const FLAW: usize>(&mut self, op: &TxOp) -> Option<Answer> {
        match op {
            TxOp::Put(..) => self.writes.push(op.clone()),
            TxOp::DeleteRange(_, range) if !is_empty(range) => self.writes.push(op.clone()),
            TxOp::Delete(..) | TxOp::Ask(_) => {
                self.reads.push(op.clone());
                let mut state = self.base.clone();
                Reference::<FLAW>::apply(&mut state, &self.writes);
                let answer = Reference::<FLAW>::apply(&mut state, std::slice::from_ref(op)).pop();
                if answer == Some(Answer::There(true)) {
                    self.writes.push(op.clone());
                }
                return answer;
            }
            TxOp::Savepoint => self.savepoints.push(self.writes.len()),
            TxOp::Rollback => {
                let len = self.savepoints.pop().unwrap_or(self.writes.len());
                self.writes.truncate(len);
            }
            TxOp::DeleteRange(..) => {}
        }
        None
    }

    fn commit(&self) -> Commit {
        let mut commit = Commit::default();
        self.writes.iter().for_each(|write| commit.push(write));
        commit
    }
}

impl<const FLAW: usize> Reference<FLAW> {
    const FLAW: Flaw = FLAWS[FLAW];

    /// Waits for a sync where the platform completes it later.
    fn sync(site: &Site, file: FileId) -> Result<(), StorageError> {
        if let Sync::Pending(ticket) = site.storage().sync(file)? {
            while let Some((completed, result)) = site.disk.complete_sync() {
                result?;
                if completed == ticket {
                    break;
                }
            }
        }
        Ok(())
    }

    fn append(&self, inner: &mut Inner, durability: Durability, payload: &[u8]) -> Result<(), Error> {
        if let Some(cause) = &inner.poison {
            return Err(Error::Poisoned { cause: cause.clone() });
        }
        let chain = checksum(inner.chain, payload);
        let mut frame = Vec::new();
        frame.extend_from_slice(&(payload.len() as u32 + 1).to_le_bytes());
        frame.extend_from_slice(&inner.chain.to_le_bytes());
        frame.extend_from_slice(&chain.to_le_bytes());
        frame.extend_from_slice(payload);
        if Self::FLAW != Flaw::SharedSectors {
            frame.resize(frame.len().next_multiple_of(SECTOR_BYTES as usize), 0);
        }
        let storage = self.site.storage();
        storage.write_at(FileId::Log, inner.end, &frame)?;
        if durability != Durability::Relaxed && Self::FLAW != Flaw::NoSync {
            Self::sync(&self.site, FileId::Log).map_err(|error| {
                if Self::FLAW != Flaw::TrustsLaterSync {
                    inner.poison = Some(error.to_string());
                }
                Error::OutcomeUnknown { cause: error.to_string() }
            })?;
        }
        inner.end += frame.len() as u64;
        inner.chain = chain;
        Ok(())
    }

    fn write(&self, inner: &mut Inner, durability: Durability, state: State, commit: Commit) -> Result<(), Error> {
        let before = inner.state.clone();
        if Self::FLAW == Flaw::FailedVisible {
            inner.state = state.clone();
        }
        if Self::FLAW == Flaw::Split {
            let mut so_far = before;
            for table in 0..TABLES.len() {
                let from = so_far.clone();
                so_far[table].clone_from(&state[table]);
                let durability = if table == 2 { durability } else { Durability::Relaxed };
                self.append(inner, durability, &payload(&from, &so_far))?;
            }
        } else {
            self.append(inner, durability, &payload(&before, &state))?;
        }
        inner.commits.push(commit);
        inner.state = state;
        Ok(())
    }

    fn apply(state: &mut State, ops: &[TxOp]) -> Vec<Answer> {
        let mut answers = Vec::new();
        let mut savepoints = Vec::new();
        for op in ops {
            match op {
                TxOp::Put(table, key, value) => drop(state[*table].insert(key.0.to_vec(), value.bytes())),
                TxOp::Delete(table, key) => answers.push(Answer::There(state[*table].remove(&*key.0).is_some())),
                TxOp::DeleteRange(table, range) => {
                    let (start, mut end) = bounds(range);
                    if let (Flaw::RangeEnd, Bound::Included(key)) = (Self::FLAW, &end) {
                        end = Bound::Excluded(key.clone());
                    }
                    state[*table].retain(|key, _| !holds(&(start.clone(), end.clone()), key));
                }
                TxOp::Ask(query) => answers.push(answer(state, query)),
                TxOp::Savepoint => savepoints.push(state.clone()),
                TxOp::Rollback => {
                    if let Some(mut then) = savepoints.pop() {
                        if Self::FLAW == Flaw::HalfRollback {
                            then[1].clone_from(&state[1]);
                        }
                        *state = then;
                    }
                }
            }
        }
        answers
    }

    /// Reads the log up to `len_max`, or as far as there are frames.
    fn replay(site: &Site, len_max: u64) -> Result<Inner, Error> {
        let storage = site.storage();
        let mut inner = Inner { state: State::default(), commits: Vec::new(), end: 0, chain: 0, poison: None };
        let len = storage.len(FileId::Log)?.min(len_max);
        while let Some((chain, payload, end)) = site.drive(|| Self::frame(&*storage, &inner, len))? {
            apply_payload(&mut inner.state, &payload);
            inner.chain = chain;
            inner.end = end;
        }
        Ok(inner)
    }

    /// The log must reach as far as the last clean close wrote down. A mark that is not whole says nothing.
    fn compare_with_mark(site: &Site, inner: &Inner) -> Result<(), Error> {
        let storage = site.storage();
        let mut mark = [0; 24];
        if storage.len(FileId::Data)? < mark.len() as u64 {
            return Ok(());
        }
        site.drive(|| Ok(storage.read_at(FileId::Data, 0, &mut mark)?))?;
        let [end, chain, sum] =
            [0, 8, 16].map(|at| mark[at..].iter().take(8).rev().fold(0, |sum, byte| sum << 8 | u64::from(*byte)));
        if checksum(end, &chain.to_le_bytes()) == sum && inner.end < end {
            let found = format!("a log that was closed at {end} and ends at {}", inner.end);
            return Err(Error::NotADatabase { found });
        }
        Ok(())
    }

    /// The frame at the end of what is read so far, if there is a whole one.
    fn frame(storage: &dyn Storage, inner: &Inner, len: u64) -> Result<Option<(u64, Vec<u8>, u64)>, Error> {
        if inner.end + HEADER_BYTES as u64 > len {
            return Ok(None);
        }
        let mut header = [0; HEADER_BYTES];
        storage.read_at(FileId::Log, inner.end, &mut header)?;
        let number = |at: usize| header[at..].iter().take(8).rev().fold(0, |sum, byte| sum << 8 | u64::from(*byte));
        let (payload_len, previous, chain) = (number(0) & 0xFFFF_FFFF, number(4), number(12));
        let start = inner.end + HEADER_BYTES as u64;
        let payload_end = start + payload_len.saturating_sub(1);
        if payload_len == 0 || payload_end > len {
            return Ok(None);
        }
        let mut payload = vec![0; payload_len as usize - 1];
        storage.read_at(FileId::Log, start, &mut payload)?;
        let chained = previous == inner.chain || Self::FLAW == Flaw::NoChain;
        if (checksum(previous, &payload) != chain && Self::FLAW != Flaw::NoChecksum) || !chained {
            return Ok(None);
        }
        let end =
            if Self::FLAW == Flaw::SharedSectors { payload_end } else { payload_end.next_multiple_of(SECTOR_BYTES) };
        Ok(Some((chain, payload, end)))
    }
}

impl<const FLAW: usize> Engine for Reference<FLAW> {
    type Snapshot = State;
    type Transaction = Open;

    fn open(site: &Site) -> Result<Self, Error> {
        let mut inner = Self::replay(site, u64::MAX)?;
        if Self::FLAW != Flaw::ReadsOnce {
            // What looks like a torn end is believed only when it looks the same again.
            for _ in 0..3 {
                let again = Self::replay(site, u64::MAX)?;
                if again.end > inner.end {
                    inner = again;
                }
            }
        }
        Self::compare_with_mark(site, &inner)?;
        // A commit that failed, and is not to be seen now, must not come back after the next power loss.
        let storage = site.storage();
        storage.set_len(FileId::Log, inner.end)?;
        Self::sync(site, FileId::Log)?;
        Ok(Self { site: site.clone(), inner: Mutex::new(inner) })
    }

    fn transaction(&self, durability: Option<Durability>, ops: &[TxOp]) -> Result<(Vec<Answer>, Ack), Error> {
        let mut inner = self.inner.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let mut state = inner.state.clone();
        let answers = Self::apply(&mut state, ops);
        if let Some(durability) = durability {
            let mut open = Open::new(Isolation::ReadCommitted, &inner);
            ops.iter().for_each(|op| drop(open.perform::<FLAW>(op)));
            self.write(&mut inner, durability, state, open.commit())?;
        }
        Ok((answers, Ack::Done))
    }

    fn begin(&self, isolation: Isolation) -> Result<Open, Error> {
        let inner = self.inner.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        Ok(Open::new(isolation, &inner))
    }

    fn perform(&self, tx: &mut Open, op: &TxOp) -> Result<Option<Answer>, Error> {
        let inner = self.inner.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        if tx.isolation == Isolation::ReadCommitted || Self::FLAW == Flaw::SeesNewest {
            tx.base.clone_from(&inner.state);
        }
        Ok(tx.perform::<FLAW>(op))
    }

    fn commit(&self, tx: &mut Open, durability: Durability) -> Result<Ack, Error> {
        let mut inner = self.inner.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let commit = tx.commit();
        if commit.is_empty() {
            return Ok(Ack::Done);
        }
        let beside = &inner.commits[tx.start..];
        let mut conflict = tx.isolation != Isolation::ReadCommitted
            && (beside.iter().any(|other| other.overlaps(&commit)) && Self::FLAW != Flaw::LostUpdate
                || !beside.is_empty() && Self::FLAW == Flaw::Refuses);
        if tx.isolation == Isolation::Serializable {
            let looks_at = |op: &&TxOp| {
                let point = matches!(op, TxOp::Delete(..) | TxOp::Ask(Query::Get(..)));
                point || Self::FLAW != Flaw::Phantom
            };
            let mut reads = tx.reads.iter().filter(looks_at);
            conflict |= reads.any(|op| beside.iter().any(|other| other.changes_what_is_read_by(op)));
        }
        if conflict {
            return Err(Error::Conflict { what: String::from("a key") });
        }
        let mut state = inner.state.clone();
        Self::apply(&mut state, &tx.writes);
        self.write(&mut inner, durability, state, commit)?;
        Ok(Ack::Done)
    }

    fn sync(&self) -> Result<Ack, Error> {
        Self::sync(&self.site, FileId::Log)?;
        Ok(Ack::Done)
    }

    fn complete_sync(&self) -> bool {
        self.site.disk.complete_sync().is_some()
    }

    fn snapshot(&self) -> Result<State, Error> {
        Ok(self.inner.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).state.clone())
    }

    fn ask(&self, snapshot: &State, query: &Query) -> Result<Answer, Error> {
        Ok(answer(snapshot, query))
    }

    fn step(&self) -> Result<bool, Error> {
        // Nothing to do, but not without a read that can fail.
        match self.site.drive(|| Ok(self.site.storage().read_at(FileId::Log, 0, &mut [0; 16])?)) {
            Err(Error::Storage(error)) if error.kind == StorageErrorKind::UnexpectedEnd => Ok(false),
            done => done.map(|()| false),
        }
    }

    fn check(&self) -> Result<Vec<String>, Error> {
        let inner = self.inner.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let stored = Self::replay(&self.site, inner.end)?;
        let same = stored.state == inner.state;
        Ok(if same { Vec::new() } else { vec![String::from("the log holds something else")] })
    }

    fn close(self) -> Result<(), Error> {
        // A commit that failed may be whole behind the end.
        let inner = self.inner.into_inner().unwrap_or_else(|poisoned| poisoned.into_inner());
        let storage = self.site.storage();
        storage.set_len(FileId::Log, inner.end)?;
        Self::sync(&self.site, FileId::Log)?;
        if Self::FLAW != Flaw::NoMark {
            let mark = checksum(inner.end, &inner.chain.to_le_bytes());
            let mark: Vec<u8> = [inner.end, inner.chain, mark].iter().flat_map(|number| number.to_le_bytes()).collect();
            storage.write_at(FileId::Data, 0, &mark)?;
            Self::sync(&self.site, FileId::Data)?;
        }
        Ok(())
    }
}

fn answer(state: &State, query: &Query) -> Answer {
    let within = |table: usize, range: &Range| {
        let range = bounds(range);
        state[table].iter().filter(move |(key, _)| holds(&range, key)).map(|(key, value)| (key.clone(), value.clone()))
    };
    match query {
        Query::Get(table, key) => Answer::Value(state[*table].get(&*key.0).cloned()),
        Query::Count(table, range) => Answer::Count(within(*table, range).count() as u64),
        Query::Walk(table, range, turns, limit) => {
            let mut entries = within(*table, range).collect::<Vec<_>>().into_iter();
            let turns = turns.iter().cycle().take(*limit);
            Answer::Entries(turns.map_while(|back| if *back { entries.next_back() } else { entries.next() }).collect())
        }
        Query::Roam(table, range, moves) => {
            let entries: Vec<_> = within(*table, range).collect();
            let mut at = None;
            let mut stops = Vec::new();
            for step in moves {
                at = match (step, at) {
                    (Move::Seek(to), _) => Some(entries.partition_point(|(key, _)| key.as_slice() < &*to.0)),
                    (Move::First, _) => Some(0),
                    (Move::Last, _) => entries.len().checked_sub(1),
                    (Move::Next | Move::Prev, None) => continue,
                    (Move::Next, Some(at)) => Some(at + 1),
                    (Move::Prev, Some(at)) => at.checked_sub(1),
                };
                at = at.filter(|at| *at < entries.len());
                stops.push(at.map(|at| entries[at].clone()));
            }
            Answer::Stops(stops)
        }
    }
}

fn bounds((start, end): &Range) -> (Bound<Vec<u8>>, Bound<Vec<u8>>) {
    (start.clone().map(|key| key.0.to_vec()), end.clone().map(|key| key.0.to_vec()))
}

fn holds(range: &(Bound<Vec<u8>>, Bound<Vec<u8>>), key: &Vec<u8>) -> bool {
    std::ops::RangeBounds::contains(range, key)
}

/// What changed between two states: table, key, value or nothing.
fn payload(before: &State, after: &State) -> Vec<u8> {
    let mut payload = Vec::new();
    let mut change = |table: usize, key: &[u8], value: Option<&Vec<u8>>| {
        payload.extend_from_slice(&[table as u8, u8::from(value.is_some())]);
        for part in [key, value.map_or(&[][..], Vec::as_slice)] {
            payload.extend_from_slice(&(part.len() as u32).to_le_bytes());
            payload.extend_from_slice(part);
        }
    };
    for (table, (before, after)) in before.iter().zip(after).enumerate() {
        before.keys().filter(|key| !after.contains_key(*key)).for_each(|key| change(table, key, None));
        after
            .iter()
            .filter(|(key, value)| before.get(*key) != Some(*value))
            .for_each(|(key, value)| change(table, key, Some(value)));
    }
    payload
}

/// Never fails: with the flaws that believe everything, garbage must end somewhere.
fn apply_payload(state: &mut State, mut payload: &[u8]) {
    let mut next = || -> Option<(usize, bool, Vec<u8>, Vec<u8>)> {
        let (head, rest) = payload.split_first_chunk::<2>()?;
        payload = rest;
        let mut part = || {
            let (len, rest) = payload.split_first_chunk::<4>()?;
            let (part, rest) = rest.split_at_checked(u32::from_le_bytes(*len) as usize)?;
            payload = rest;
            Some(part.to_vec())
        };
        Some((head[0] as usize % TABLES.len(), head[1] == 1, part()?, part()?))
    };
    while let Some((table, put, key, value)) = next() {
        if put {
            state[table].insert(key, value);
        } else {
            state[table].remove(&key);
        }
    }
}

/// FNV-1a over the checksum before and the bytes.
fn checksum(previous: u64, bytes: &[u8]) -> u64 {
    let step = |sum: u64, byte: &u8| (sum ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01B3);
    bytes.iter().fold(previous.to_le_bytes().iter().fold(0xCBF2_9CE4_8422_2325, step), step)
}
