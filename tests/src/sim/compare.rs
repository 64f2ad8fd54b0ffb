//! Comparing what an engine answers with what the model says.

use std::ops::Bound;

use lightning_db::Error;

use super::action::{Answer, Key, Query, TABLES};
use super::engine::Engine;
use super::model::{Tables, tables_found};

/// Either the engine said something untrue, or it returned an error whose reason must be found.
pub(crate) enum Wrong {
    Answer(String),
    Error(Error),
}

impl Wrong {
    pub(crate) fn into_words(self) -> String {
        match self {
            Wrong::Answer(what) => what,
            Wrong::Error(error) => format!("error without a reason: {}: {error}", error.name()),
        }
    }
}

impl From<Error> for Wrong {
    fn from(error: Error) -> Self {
        Wrong::Error(error)
    }
}

/// Says where an answer is wrong.
pub(super) fn same(found: &Answer, expected: &Answer, what: impl Fn() -> String) -> Result<(), Wrong> {
    if found == expected {
        return Ok(());
    }
    Err(Wrong::Answer(format!("{}: {}", what(), difference(found, expected))))
}

pub(super) fn difference(found: &Answer, expected: &Answer) -> String {
    match (found, expected) {
        (Answer::Entries(found), Answer::Entries(expected)) => {
            let at = found.iter().zip(expected).take_while(|(found, expected)| found == expected).count();
            let name = |entry: Option<&(Vec<u8>, Vec<u8>)>| match entry {
                Some((key, value)) => format!("b\"{}\" = {}", key.escape_ascii(), brief(value)),
                None => String::from("the end"),
            };
            let (found, expected) = (name(found.get(at)), name(expected.get(at)));
            format!("entry {at} is {found} instead of {expected}")
        }
        (Answer::Value(found), Answer::Value(expected)) => {
            let name = |value: &Option<Vec<u8>>| value.as_ref().map_or(String::from("nothing"), |value| brief(value));
            format!("{} instead of {}", name(found), name(expected))
        }
        (Answer::Stops(found), Answer::Stops(expected)) => {
            let at = found.iter().zip(expected).take_while(|(found, expected)| found == expected).count();
            let name = |stop: Option<&Option<(Vec<u8>, Vec<u8>)>>| match stop {
                Some(Some((key, value))) => format!("b\"{}\" = {}", key.escape_ascii(), brief(value)),
                Some(None) => String::from("outside"),
                None => String::from("missing"),
            };
            format!("stop {at} is {} instead of {}", name(found.get(at)), name(expected.get(at)))
        }
        _ => format!("{found:?} instead of {expected:?}"),
    }
}

fn brief(value: &[u8]) -> String {
    format!("b\"{}\" ({} bytes)", value[..value.len().min(12)].escape_ascii(), value.len())
}

/// All keys.
const ALL: (Bound<Key>, Bound<Key>) = (Bound::Unbounded, Bound::Unbounded);

/// Reads all tables.
pub(super) fn everything<E: Engine>(engine: &E) -> Result<Tables, Wrong> {
    everything_in(engine, &engine.snapshot()?)
}

/// Reads all tables as a snapshot sees them.
pub(super) fn everything_in<E: Engine>(engine: &E, snapshot: &E::Snapshot) -> Result<Tables, Wrong> {
    let mut scans: [_; TABLES.len()] = Default::default();
    for (table, scan) in scans.iter_mut().enumerate() {
        match engine.ask(snapshot, &Query::Walk(table, ALL, vec![false], usize::MAX))? {
            Answer::Entries(entries) => *scan = entries,
            other => return Err(Wrong::Answer(format!("a walk was answered by {other:?}"))),
        }
    }
    tables_found(scans).map_err(Wrong::Answer)
}

/// Compares all of a snapshot with what it should be, in both directions and by count.
pub(super) fn compare<E: Engine>(engine: &E, snapshot: &E::Snapshot, state: &Tables) -> Result<(), Wrong> {
    for table in 0..TABLES.len() {
        for query in [
            Query::Walk(table, ALL, vec![false], usize::MAX),
            Query::Walk(table, ALL, vec![true], usize::MAX),
            Query::Count(table, ALL),
        ] {
            same(&engine.ask(snapshot, &query)?, &state.ask(&query), || format!("comparing all, {query:?}"))?;
        }
    }
    Ok(())
}
