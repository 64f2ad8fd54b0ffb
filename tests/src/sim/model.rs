//! What the database should hold: the simplest thing that can be right.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::Arc;

use super::action::{Answer, Durability, Key, Move, Query, Range, TABLES, TxOp, Value};

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

    /// The state after a transaction, and the right answers within it.
    pub fn after(&self, ops: &[TxOp]) -> (Tables, Vec<Answer>) {
        let mut now = self.clone();
        let mut savepoints = Vec::new();
        let mut answers = Vec::new();
        for op in ops {
            match op {
                TxOp::Put(table, key, value) => _ = now.0[*table].insert(key.clone(), *value),
                TxOp::Delete(table, key) => _ = now.0[*table].remove(key),
                TxOp::DeleteRange(table, range) => {
                    let doomed: BTreeSet<Key> = now.range(*table, range).map(|(key, _)| key.clone()).collect();
                    now.0[*table].retain(|key, _| !doomed.contains(key));
                }
                TxOp::Ask(query) => answers.push(now.ask(query)),
                TxOp::Savepoint => savepoints.push(now.clone()),
                TxOp::Rollback => {
                    if let Some(then) = savepoints.pop() {
                        now = then;
                    }
                }
            }
        }
        (now, answers)
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

/// Ranges that `BTreeMap` refuses: upside down, or nothing between two exclusions.
pub fn is_empty((start, end): &Range) -> bool {
    match (start, end) {
        (Bound::Included(start), Bound::Included(end)) => start > end,
        (Bound::Included(start) | Bound::Excluded(start), Bound::Included(end) | Bound::Excluded(end)) => start >= end,
        _ => false,
    }
}

/// What may be found after the machine went down.
///
/// Commits form one order. A power loss may cut it anywhere after the last commit acknowledged as durable, the end of the
/// process cuts off nothing acknowledged. A commit that failed, or was under way, may be there as the last one, as long as
/// nothing after it is durable: whoever fails to write cannot always take it back.
#[derive(Clone, Debug)]
pub struct Model {
    /// The state after each commit that may be the last one found; the first is the durable one.
    states: Vec<Arc<Tables>>,
    /// The number of the first of them, counting all commits.
    first: u64,
    /// The states if one that failed is there nevertheless, with the number of the state it came upon.
    failed: Vec<(u64, Arc<Tables>)>,
}

impl Default for Model {
    fn default() -> Self {
        Self { states: vec![Arc::default()], first: 0, failed: Vec::new() }
    }
}

impl Model {
    /// What every reader sees now.
    pub fn now(&self) -> &Arc<Tables> {
        self.states.last().unwrap_or_else(|| unreachable!("there is always a durable state"))
    }

    /// A commit was acknowledged.
    pub fn acknowledged(&mut self, durability: Durability, state: Tables) {
        self.states.push(Arc::new(state));
        if durability == Durability::Sync {
            self.durable();
        }
    }

    /// A commit failed, but may have reached the disk.
    pub fn failed(&mut self, state: Tables) {
        self.failed.push((self.last(), Arc::new(state)));
    }

    /// The database was closed cleanly: everything is durable, and what failed did not happen.
    pub fn closed(&mut self) {
        self.failed.clear();
        self.durable();
    }

    /// Finds what was recovered among what may be, the newest first, and goes on from there. `lost_unsynced` after a power
    /// loss or a failed sync, `on_disk` if what is found now is durable because nothing else was left.
    pub fn recovered(&mut self, found: &Tables, lost_unsynced: bool, on_disk: bool) -> Result<(), String> {
        let last = self.last();
        let oldest = if lost_unsynced { self.first } else { last };
        let failed = std::mem::take(&mut self.failed);
        let acknowledged = (oldest..=last).rev().map(|number| (number, None));
        let failed = failed.into_iter().filter(|(upon, _)| *upon >= oldest).map(|(upon, state)| (upon, Some(state)));
        for (number, failed) in acknowledged.chain(failed) {
            let at = (number - self.first) as usize;
            let state = failed.as_ref().unwrap_or(&self.states[at]);
            if **state == *found {
                self.states.truncate(at + 1);
                self.states.extend(failed);
                if on_disk {
                    self.durable();
                }
                return Ok(());
            }
        }
        let difference = self.now().difference(found).unwrap_or_default();
        let states = last - oldest + 1;
        Err(format!("none of the {states} states that may be found; against the newest: {difference}"))
    }

    fn last(&self) -> u64 {
        self.first + self.states.len() as u64 - 1
    }

    fn durable(&mut self) {
        self.first = self.last();
        self.states.drain(..self.states.len() - 1);
        self.failed.retain(|(upon, _)| *upon >= self.first);
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
