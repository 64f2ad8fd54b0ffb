//! What the parent knows of one database: what was acknowledged, and what it therefore must hold.

use std::path::{Path, PathBuf};

use crate::commit::TOTAL;
use crate::ledger::{Entry, Ledger};
use crate::life::Dump;
use crate::model::Model;
use crate::plan::Commit;
use crate::scenario::Scenario;

/// What a kill, or a power loss, may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Promise {
    /// Nothing that was acknowledged.
    Acknowledged,
    /// Nothing that was acknowledged as durable.
    Durable,
}

/// A database's past.
pub struct History {
    scenario: &'static Scenario,
    pub seed: u64,
    ledger: Ledger,
    model: Model,
    /// Commits of each writer that are in the model, and in the database.
    heads: Vec<u64>,
    /// Acknowledged commits found missing.
    pub lost: u64,
}

impl History {
    /// Of a new database, its ledger in `folder`.
    pub fn begin(scenario: &'static Scenario, seed: u64, folder: &Path) -> Result<Self, String> {
        let ledger = Ledger::create(&Self::ledger_path(folder)).map_err(|error| format!("the ledger: {error}"))?;
        let heads = vec![0; scenario.writers as usize];
        Ok(Self { scenario, seed, ledger, model: Model::default(), heads, lost: 0 })
    }

    pub fn ledger_path(folder: &Path) -> PathBuf {
        folder.join("ledger")
    }

    /// Commits so far.
    pub fn commits(&self) -> u64 {
        self.heads.iter().sum()
    }

    /// Holds what was found against what must be there, and goes on from there.
    pub fn verify(&mut self, dump: &Dump, promise: Promise) -> Result<(), String> {
        if let Some(problem) = dump.problems.first() {
            return Err(format!("check found {} problems, the first: {problem}", dump.problems.len()));
        }
        let mut entries = Vec::new();
        for writer in 0..self.scenario.writers {
            entries.push(self.ledger.entry(writer).map_err(|error| format!("the ledger: {error}"))?);
        }
        if self.scenario.has_heads() {
            self.advance_to_heads(dump, promise, &entries)?;
        } else {
            self.advance_to_contents(dump, promise, &entries);
        }
        if let Some(what) = self.model.difference(&dump.records) {
            return Err(format!("{what} (writers' commits {:?}; ledger {entries:?})", self.heads));
        }
        for (writer, &head) in self.heads.iter().enumerate() {
            // What was recovered is as durable as what is acknowledged so: recovery has synced it.
            let entry = Entry { begun: head, acknowledged: head, durable: head };
            self.ledger.set(writer as u32, entry).map_err(|error| format!("the ledger: {error}"))?;
        }
        Ok(())
    }

    /// Each commit also wrote its number; their sum is a row that all writers share.
    fn advance_to_heads(&mut self, dump: &Dump, promise: Promise, entries: &[Entry]) -> Result<(), String> {
        let head_of = |writer: u32| dump.heads.iter().find(|(other, _)| *other == writer).map_or(0, |(_, head)| *head);
        for (writer, entry) in entries.iter().enumerate() {
            let found = head_of(writer as u32);
            let least = self.heads[writer].max(least(promise, entry));
            if found < least {
                self.lost += least - found;
                return Err(format!(
                    "writer {writer}: {} acknowledged commits are lost: found {found}, {entry:?}",
                    least - found
                ));
            }
            if found > entry.begun {
                return Err(format!("writer {writer}: commit {found} is there, but was never begun: {entry:?}"));
            }
            self.advance(writer, found);
        }
        let (sum, total) = (self.commits(), head_of(TOTAL));
        if sum != total {
            return Err(format!("the writers have made {sum} commits, but the row they share says {total}"));
        }
        Ok(())
    }

    /// Commits are single operations: those in doubt are there if the contents say so.
    fn advance_to_contents(&mut self, dump: &Dump, promise: Promise, entries: &[Entry]) {
        for (writer, entry) in entries.iter().enumerate() {
            self.advance(writer, least(promise, entry));
            while self.heads[writer] < entry.begun && self.model.difference(&dump.records).is_some() {
                self.advance(writer, self.heads[writer] + 1);
            }
        }
    }

    /// The database was closed: all that was acknowledged is durable now, however it was committed.
    #[cfg(target_os = "linux")]
    pub fn closed(&self) -> Result<(), String> {
        (0..self.scenario.writers)
            .try_for_each(|writer| {
                let entry = self.ledger.entry(writer)?;
                self.ledger.set(writer, Entry { durable: entry.acknowledged, ..entry })
            })
            .map_err(|error| format!("the ledger: {error}"))
    }

    fn advance(&mut self, writer: usize, head: u64) {
        for number in self.heads[writer] + 1..=head {
            let commit = Commit::of(&self.scenario.mix, self.seed, writer as u32, number);
            self.model.apply(writer as u32, &commit);
        }
        self.heads[writer] = self.heads[writer].max(head);
    }
}

fn least(promise: Promise, entry: &Entry) -> u64 {
    match promise {
        Promise::Acknowledged => entry.acknowledged,
        Promise::Durable => entry.durable,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A history in which writer 0 of `flush` has begun three commits, two of them acknowledged.
    fn history(folder: &str) -> (History, PathBuf) {
        let folder = std::env::temp_dir().join(format!("lightning-crash-{folder}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let scenario = Scenario::named("flush").unwrap();
        let history = History::begin(scenario, 5, &folder).unwrap();
        history.ledger.set(0, Entry { begun: 3, acknowledged: 2, durable: 1 }).unwrap();
        (history, folder)
    }

    fn dump(history: &History, head: u64) -> Dump {
        let mut model = Model::default();
        (1..=head).for_each(|number| model.apply(0, &Commit::of(&history.scenario.mix, history.seed, 0, number)));
        let records = model.records.into_iter().collect();
        Dump { records, heads: vec![(0, head), (TOTAL, head)], ..Dump::default() }
    }

    #[test]
    fn a_commit_in_doubt_may_be_there_and_an_acknowledged_one_must() {
        for (head, promise, fits) in [
            (1, Promise::Acknowledged, false),
            (1, Promise::Durable, true),
            (0, Promise::Durable, false),
            (2, Promise::Acknowledged, true),
            (3, Promise::Acknowledged, true),
            (4, Promise::Acknowledged, false),
        ] {
            let (mut history, folder) = history("doubt");
            let dump = dump(&history, head);
            assert_eq!(history.verify(&dump, promise).is_ok(), fits, "{head} {promise:?}");
            std::fs::remove_dir_all(folder).unwrap();
        }
    }

    #[test]
    fn half_a_commit_a_missing_record_and_a_wrong_sum_are_noticed() {
        type Spoil = fn(&mut Dump);
        let ways: [Spoil; 4] = [
            |dump| _ = dump.records.pop(),
            |dump| dump.records[0].1 ^= 1,
            |dump| dump.heads[1].1 += 1,
            |dump| dump.problems.push(String::from("something")),
        ];
        for (index, spoil) in ways.into_iter().enumerate() {
            let (mut history, folder) = history(&format!("half-{index}"));
            let mut dump = dump(&history, 2);
            spoil(&mut dump);
            assert!(history.verify(&dump, Promise::Acknowledged).is_err(), "{index}");
            std::fs::remove_dir_all(folder).unwrap();
        }
    }
}
