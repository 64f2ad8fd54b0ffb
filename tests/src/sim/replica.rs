//! Somebody who knows the database by its change feed alone: a copy of all tables, made of one commit after the other, and the
//! position it has come to. The copy outlives crashes, as that of another machine would.
//!
//! Whenever it has caught up, the copy is a state that readers may see. It is told of a fork if a crash has taken back what it
//! had seen, and only then; and that it is too far behind only where the log does not keep everything.

use std::collections::BTreeMap;
use std::sync::Arc;

use lightning_db::FeedPosition;

use super::action::TABLES;
use super::compare::Wrong;
use super::engine::{Engine, RETENTION_BYTES_ALL};
use super::model::{Tables, tables_found};
use super::run::Runner;

/// A copy of the tables, and how far it has come.
#[derive(Clone, Debug, Default)]
pub struct Replica {
    /// After this commit; none before it was ever made.
    pub position: Option<FeedPosition>,
    /// The tables' entries; a value is missing where the feed could not give it any more.
    pub tables: [BTreeMap<Vec<u8>, Option<Vec<u8>>>; TABLES.len()],
    /// A crash may have taken back what it has seen.
    pub may_be_ahead: bool,
}

impl Replica {
    /// The entries of a table by its name.
    pub fn table(&mut self, name: &str) -> &mut BTreeMap<Vec<u8>, Option<Vec<u8>>> {
        match TABLES.iter().position(|table| *table == name) {
            Some(at) => &mut self.tables[at],
            None => panic!("a change of the table {name}, which nobody made"),
        }
    }
}

/// How far it came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Followed {
    /// There is no feed.
    Never,
    /// It had nothing, and now has what is visible.
    Seeded,
    /// To the end.
    Reached,
    /// Its position is not part of history.
    Forked,
    /// The log does not hold what comes next.
    TooFarBehind,
}

impl<E: Engine> Runner<E> {
    pub(super) fn follow(&mut self) -> Result<(), Wrong> {
        let mut replica = self.replica.take().unwrap_or_default();
        let outcome = self.engine()?.follow(&mut replica);
        self.note_completed_syncs();
        let retention_bytes = self.site.tuning.retention_bytes;
        // What cannot be followed any more is read anew the next time.
        let next = match outcome {
            Ok(Followed::Never) => None,
            Ok(Followed::Seeded | Followed::Reached) => {
                self.compare_replica(&replica)?;
                replica.may_be_ahead = false;
                Some(replica)
            }
            Ok(Followed::Forked) if !replica.may_be_ahead => {
                return Err(Wrong::Answer(String::from("the feed reports a fork, and nothing it gave was lost")));
            }
            Ok(Followed::TooFarBehind) if retention_bytes == RETENTION_BYTES_ALL => {
                return Err(Wrong::Answer(String::from("the feed lacks commits that the log was to keep")));
            }
            Ok(Followed::Forked | Followed::TooFarBehind) => Some(Replica::default()),
            Err(error) => {
                self.replica = Some(replica);
                return Err(Wrong::Error(error));
            }
        };
        self.replica = next;
        Ok(())
    }

    fn compare_replica(&self, replica: &Replica) -> Result<(), Wrong> {
        let scans = replica
            .tables
            .clone()
            .map(|entries| entries.into_iter().filter_map(|(key, value)| Some((key, value?))).collect::<Vec<_>>());
        let found = tables_found(scans).map_err(Wrong::Answer)?;
        self.require_visible(&found, "what the feed gave makes")
    }

    /// That these are the tables of a state that readers may see now; otherwise `what` begins the sentence that says so.
    pub(super) fn require_visible(&self, found: &Tables, what: &str) -> Result<(), Wrong> {
        let mut states = self.model.visible().map(|(_, state)| Arc::clone(&state.tables));
        let newest = states.next();
        if newest.iter().chain(&states.collect::<Vec<_>>()).any(|state| **state == *found) {
            return Ok(());
        }
        let difference = newest.and_then(|newest| newest.difference(found)).unwrap_or_default();
        Err(Wrong::Answer(format!("{what} no state there was; against the newest: {difference}")))
    }
}
