//! What the database should hold: the simplest thing that can be right.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::action::{Answer, Durability, Key, Move, Query, Range, TABLES, TxOp, Value};
use super::draft::{Commit, is_empty};

/// The contents of all tables.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tables([BTreeMap<Key, Value>; TABLES.len()]);

impl Tables {
    /// The right answer.
    pub fn ask(&self, query: &Query) -> Answer {
        match query {
            Query::Get(table, key) => Answer::Value(self.0[*table].get(key).map(|value| value.bytes())),
            Query::Count(table, range) => Answer::Count(self.range(*table, range).count() as u64),
            Query::Walk(table, range, turns, limit) => {
                let mut entries = self.range(*table, range);
                let mut taken = Vec::new();
                for back in turns.iter().cycle().take(*limit) {
                    let next = if *back { entries.next_back() } else { entries.next() };
                    let Some((key, value)) = next else { break };
                    taken.push((key.0.to_vec(), value.bytes()));
                }
                Answer::Entries(taken)
            }
            Query::Roam(table, range, moves) => {
                let mut at: Option<&Key> = None;
                let mut stops = Vec::new();
                for step in moves {
                    let mut keys = self.range(*table, range).map(|(key, _)| key);
                    at = match step {
                        Move::Seek(to) => keys.find(|key| *key >= to),
                        Move::First => keys.next(),
                        Move::Last => keys.next_back(),
                        Move::Next | Move::Prev if at.is_none() => continue,
                        Move::Next => keys.find(|key| Some(*key) > at),
                        Move::Prev => keys.rfind(|key| Some(*key) < at),
                    };
                    stops.push(at.and_then(|key| Some((key.0.to_vec(), self.0[*table].get(key)?.bytes()))));
                }
                Answer::Stops(stops)
            }
        }
    }

    /// Changes what one step of a transaction changes.
    pub fn write(&mut self, op: &TxOp) {
        match op {
            TxOp::Put(table, key, value) => _ = self.0[*table].insert(key.clone(), *value),
            TxOp::Delete(table, key) => _ = self.0[*table].remove(key),
            TxOp::DeleteRange(table, range) => {
                let doomed: Vec<Key> = self.range(*table, range).map(|(key, _)| key.clone()).collect();
                for key in doomed {
                    self.0[*table].remove(&key);
                }
            }
            TxOp::Ask(_) | TxOp::Savepoint | TxOp::Rollback => {}
        }
    }

    /// Whether a table holds a key.
    pub fn contains(&self, table: usize, key: &Key) -> bool {
        self.0[table].contains_key(key)
    }

    /// Whether each table holds anything.
    pub fn filled(&self) -> [bool; TABLES.len()] {
        self.0.each_ref().map(|rows| !rows.is_empty())
    }

    /// All keys, with their tables.
    pub fn keys(&self) -> impl Iterator<Item = (usize, &Key)> {
        self.0.iter().enumerate().flat_map(|(table, rows)| rows.keys().map(move |key| (table, key)))
    }

    /// How many keys there are in all.
    pub fn len(&self) -> usize {
        self.0.iter().map(BTreeMap::len).sum()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The first difference from `other`, in words.
    pub fn difference(&self, other: &Tables) -> Option<String> {
        for (table, (ours, theirs)) in self.0.iter().zip(&other.0).enumerate() {
            for key in ours.keys().chain(theirs.keys()) {
                let (expected, found) = (ours.get(key), theirs.get(key));
                if expected != found {
                    return Some(format!("table {}: {key:?}: {found:?} instead of {expected:?}", TABLES[table]));
                }
            }
        }
        None
    }

    fn range(&self, table: usize, range: &Range) -> Box<dyn DoubleEndedIterator<Item = (&Key, &Value)> + '_> {
        if is_empty(range) { Box::new(std::iter::empty()) } else { Box::new(self.0[table].range(range.clone())) }
    }
}

/// What the database holds now, and what may be found after the machine went down.
///
/// Commits form one order. A power loss may cut it anywhere after the last commit acknowledged as durable, the end of the
/// process cuts off nothing acknowledged. A commit that failed, or was under way, may be there as the last one, as long as
/// nothing after it is durable: whoever fails to write cannot always take it back.
///
/// Where syncs complete later, a commit is applied before it is acknowledged. Readers see some state from the newest
/// acknowledged one on, but none that a commit brought which waits for its sync.
#[derive(Clone, Debug)]
pub struct Model {
    /// The state after each commit that may be the last one found; the first is the durable one.
    states: Vec<State>,
    /// The number of the first of them, counting all states.
    first: u64,
    /// The newest that was acknowledged.
    acknowledged: u64,
    /// The states if one that failed is there nevertheless.
    failed: Vec<Failed>,
    /// What was committed since the database was opened.
    history: Vec<Commit>,
    /// Tables that are certainly there; an empty one may be or not.
    there: [bool; TABLES.len()],
}

/// A state of the database.
#[derive(Clone, Debug)]
pub struct State {
    /// What it holds.
    pub tables: Arc<Tables>,
    /// How much of the history is certainly in it, and how much may be.
    pub commits: (usize, usize),
    /// Not to be shown before a sync is complete that has this ticket or a later one.
    hidden_until: Option<u64>,
    /// Durable as soon as the engine has worked at this time or later.
    due_ns: Option<u64>,
    /// Durable when every sync up to this ticket is complete: the engine has worked when it was due.
    durable_at: Option<u64>,
}

/// What may be there nevertheless.
#[derive(Clone, Debug)]
struct Failed {
    /// The number of the state it came upon.
    upon: u64,
    tables: Arc<Tables>,
    /// An opening has not found it, and what that opening wrote may be lost with the power.
    was_not_found: bool,
}

/// A commit that has its place in the order.
#[derive(Clone, Copy, Debug)]
pub struct Applied {
    number: u64,
    pub changed: bool,
}

impl State {
    fn new(tables: Arc<Tables>, commits: usize) -> Self {
        Self { tables, commits: (commits, commits), hidden_until: None, due_ns: None, durable_at: None }
    }
}

impl Default for Model {
    fn default() -> Self {
        let there = [false; TABLES.len()];
        let states = vec![State::new(Arc::default(), 0)];
        Self { states, first: 0, acknowledged: 0, failed: Vec::new(), history: Vec::new(), there }
    }
}

impl Model {
    /// What the next commit comes upon, and every reader sees unless commits wait for their syncs.
    pub fn now(&self) -> &Arc<Tables> {
        &self.newest().tables
    }

    fn newest(&self) -> &State {
        self.states.last().unwrap_or_else(|| unreachable!("there is always a durable state"))
    }

    /// Whether only one state can be found when the process ends.
    pub fn is_certain(&self) -> bool {
        self.failed.is_empty() && self.acknowledged == self.last()
    }

    /// The states that readers may see now, the newest first.
    pub fn visible(&self) -> impl Iterator<Item = (u64, &State)> {
        let acknowledged = (self.acknowledged - self.first) as usize;
        let hidden = self.states.iter().skip(acknowledged + 1).position(|state| state.hidden_until.is_some());
        let end = hidden.map_or(self.states.len(), |hidden| acknowledged + 1 + hidden);
        let numbered = self.states.iter().enumerate().take(end).skip(acknowledged);
        numbered.rev().map(|(at, state)| (self.first + at as u64, state))
    }

    /// What was committed since the database was opened, from the first `known` on.
    pub fn since(&self, known: usize) -> &[Commit] {
        self.history.get(known..).unwrap_or(&[])
    }

    /// Tables that were certainly there when so much of the history was known.
    pub fn there(&self, known: usize) -> [bool; TABLES.len()] {
        let mut there = self.there;
        for commit in self.since(known) {
            for (there, made) in there.iter_mut().zip(commit.made) {
                *there &= !made;
            }
        }
        there
    }

    /// The tables that a transaction makes if they are not there.
    fn may_make(&self, opened: &[bool; TABLES.len()]) -> [bool; TABLES.len()] {
        let mut made = *opened;
        for (made, there) in made.iter_mut().zip(self.there) {
            *made &= !there;
        }
        made
    }

    /// A commit has its place in the order. One that changes nothing need not be written: it neither makes durable what
    /// others left unsynced, nor takes the place of one that failed before it; and where it has nothing to write it waits
    /// for nothing, so its acknowledgement says nothing. `hidden_until`: until a sync with this
    /// ticket or a later one is complete, nobody may see it.
    pub fn applied(&mut self, state: Tables, mut commit: Commit, hidden_until: Option<u64>) -> Option<Applied> {
        commit.made = self.may_make(&commit.opened);
        for (there, opened) in self.there.iter_mut().zip(commit.opened) {
            *there |= opened;
        }
        let empty = commit.is_empty();
        self.history.push(commit);
        let commits = self.history.len();
        let changed = state != **self.now();
        if changed {
            self.states.push(State { hidden_until, ..State::new(Arc::new(state), commits) });
        } else if let Some(newest) = self.states.last_mut() {
            newest.commits.1 = commits;
        }
        (!empty).then(|| Applied { number: self.last(), changed })
    }

    /// A commit was acknowledged.
    pub fn acknowledged(&mut self, applied: Applied, durability: Durability, now_ns: u64) {
        let Some(at) = applied.number.checked_sub(self.first) else { return };
        self.acknowledged = self.acknowledged.max(applied.number);
        for state in self.states.iter_mut().take(at as usize + 1) {
            state.hidden_until = None;
        }
        match durability {
            Durability::Sync if applied.changed => self.durable(applied.number),
            Durability::Periodic(ms) if applied.changed => {
                self.states[at as usize].due_ns = Some(now_ns + u64::from(ms) * 1_000_000);
            }
            _ => {}
        }
    }

    /// Everything committed so far was made durable.
    pub fn synced(&mut self) {
        self.acknowledged = self.last();
        self.durable(self.last());
    }

    /// The engine has worked at this time: what was to be durable by then is.
    pub fn worked(&mut self, now_ns: u64) {
        let due = self.states.iter().rposition(|state| state.due_ns.is_some_and(|due| due <= now_ns));
        if let Some(due) = due {
            self.durable(self.first + due as u64);
        }
    }

    /// The engine has worked at this time while no sync was under way: what was to be durable by then is with this ticket.
    pub fn will_be_durable(&mut self, now_ns: u64, ticket: u64) {
        for state in self.states.iter_mut().filter(|state| state.due_ns.is_some_and(|due| due <= now_ns)) {
            state.durable_at.get_or_insert(ticket);
        }
    }

    /// Syncs up to this ticket are complete.
    pub fn completed(&mut self, ticket: u64) {
        let durable = self.states.iter().rposition(|state| state.durable_at.is_some_and(|at| at <= ticket));
        if let Some(durable) = durable {
            self.durable(self.first + durable as u64);
        }
        for state in &mut self.states {
            state.hidden_until = state.hidden_until.filter(|until| *until > ticket);
        }
    }

    /// A commit failed, but may have reached the disk, and tables may have been made for it before.
    pub fn failed(&mut self, state: Tables, commit: &Commit) {
        let mut tables = Commit::default();
        (tables.opened, tables.made) = (commit.opened, self.may_make(&commit.opened));
        self.history.push(tables);
        self.failed.push(Failed { upon: self.last(), tables: Arc::new(state), was_not_found: false });
    }

    /// What failed cannot come back: something after it has its place in the log, on a medium that had synced what wrote over
    /// it.
    pub fn overwritten(&mut self) {
        self.failed.clear();
    }

    /// The database was closed cleanly: everything is durable, and what failed did not happen.
    pub fn closed(&mut self) {
        self.failed.clear();
        self.synced();
    }

    /// Finds what was recovered among what may be, the newest first, and goes on from there. `lost_unsynced` after a power
    /// loss or a failed sync, `on_disk` if what is found now is durable because nothing else was left. `is_decided` if all syncs
    /// of the opening are complete: else what it has not found may be there again when the power goes.
    pub fn recovered(
        &mut self,
        found: &Tables,
        lost_unsynced: bool,
        on_disk: bool,
        is_decided: bool,
    ) -> Result<(), String> {
        let last = self.last();
        let oldest = if lost_unsynced { self.first } else { self.acknowledged };
        let failed = std::mem::take(&mut self.failed);
        let acknowledged = (oldest..=last).rev().map(|number| (number, None));
        let may_be = failed.iter().filter(|failed| failed.upon >= oldest && (lost_unsynced || !failed.was_not_found));
        let may_be = may_be.map(|failed| (failed.upon, Some(Arc::clone(&failed.tables))));
        let may_be = acknowledged.chain(may_be).find(|(number, failed)| {
            let at = (number - self.first) as usize;
            **failed.as_ref().unwrap_or(&self.states[at].tables) == *found
        });
        let Some((number, is_failed)) = may_be else {
            let difference = self.now().difference(found).unwrap_or_default();
            let states = last - oldest + 1;
            return Err(format!("none of the {states} states that may be found; against the newest: {difference}"));
        };
        let newer = self.states.split_off((number - self.first) as usize + 1);
        self.states.extend(is_failed.map(|tables| State::new(tables, 0)));
        self.opened(found);
        if on_disk {
            self.durable(self.last());
        } else if !is_decided {
            let upon = self.last();
            let not_found =
                failed.into_iter().map(|failed| failed.tables).chain(newer.into_iter().map(|state| state.tables));
            self.failed = not_found.map(|tables| Failed { upon, tables, was_not_found: true }).collect();
        }
        Ok(())
    }

    /// A new life begins with the newest state.
    fn opened(&mut self, found: &Tables) {
        self.acknowledged = self.last();
        self.history.clear();
        self.there = found.filled();
        for state in &mut self.states {
            *state = State::new(Arc::clone(&state.tables), 0);
        }
    }

    fn last(&self) -> u64 {
        self.first + self.states.len() as u64 - 1
    }

    fn durable(&mut self, number: u64) {
        let Some(before) = number.checked_sub(self.first) else { return };
        self.first = number;
        self.states.drain(..before as usize);
        self.acknowledged = self.acknowledged.max(number);
        self.failed.retain(|failed| failed.upon >= self.first);
    }
}

/// Builds the tables a scan found. `Err` if a scan returned something no put ever wrote.
pub fn tables_found(scans: [Vec<(Vec<u8>, Vec<u8>)>; TABLES.len()]) -> Result<Tables, String> {
    let mut tables = Tables::default();
    for (table, entries) in scans.into_iter().enumerate() {
        for (key, bytes) in entries {
            let value = recognise(&bytes).ok_or_else(|| {
                let key = key.escape_ascii();
                format!("table {}: key b\"{key}\" holds {} bytes that nobody wrote", TABLES[table], bytes.len())
            })?;
            if tables.0[table].insert(Key(Arc::from(key.as_slice())), value).is_some() {
                return Err(format!("table {}: key b\"{}\" twice", TABLES[table], key.escape_ascii()));
            }
        }
    }
    Ok(tables)
}

/// The value these bytes are; values shorter than their tag keep only its low bytes, so tags of short values are small.
fn recognise(bytes: &[u8]) -> Option<Value> {
    let mut tag = [0; 4];
    for (to, from) in tag.iter_mut().zip(bytes) {
        *to = *from;
    }
    let value = Value { tag: u32::from_le_bytes(tag), len: u32::try_from(bytes.len()).ok()? };
    (value.bytes() == bytes).then_some(value)
}
