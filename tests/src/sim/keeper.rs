//! Somebody who keeps a backup and its increments elsewhere, and restores from them whenever another was made: to its end, and to
//! the end of an earlier one. What is kept outlives crashes.

use std::sync::Arc;

use lightning_db::env::{FileId, FixedClock, MemoryStorage, SeededEntropy, Storage};
use lightning_db::{Database, Encryption, Environment, Error, FeedPosition, Options, ReplayUntil, Table};

use super::action::TABLES;
use super::compare::Wrong;
use super::engine::{Engine, HOLD_BYTES_ALL, RETENTION_BYTES_ALL, Tuning};
use super::model::{Tables, tables_found};
use super::run::Runner;

/// A backup and its increments.
#[derive(Clone, Debug, Default)]
pub struct Kept {
    /// The backup; empty where there is none.
    pub base: Vec<u8>,
    /// What follows it, oldest first.
    pub increments: Vec<Vec<u8>>,
    /// The last commit in it.
    pub position: Option<FeedPosition>,
    /// What was found when it ended with these commits.
    pub ends: Vec<(u64, Tables)>,
    /// A crash may have taken back what it has.
    pub may_be_ahead: bool,
}

/// What was kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keeping {
    /// There are no backups, or nothing to keep.
    Never,
    /// A backup.
    Whole,
    /// An increment.
    Increment,
    /// Its end is not part of history.
    Forked,
    /// The log does not hold what comes next.
    TooFarBehind,
}

impl<E: Engine> Runner<E> {
    pub(super) fn keep(&mut self) -> Result<(), Wrong> {
        let mut kept = self.kept.take().unwrap_or_default();
        let outcome = self.engine()?.keep(&mut kept);
        self.note_completed_syncs();
        let Tuning { retention_bytes, archive_hold_bytes, .. } = self.site.tuning;
        let kept_all = archive_hold_bytes
            .map_or(retention_bytes == RETENTION_BYTES_ALL, |hold_bytes| hold_bytes == HOLD_BYTES_ALL);
        self.kept = match outcome {
            Ok(Keeping::Never) => None,
            Ok(made @ (Keeping::Whole | Keeping::Increment)) => {
                self.compare_kept(&mut kept)?;
                // An increment has only what its database cannot lose.
                kept.may_be_ahead &= made == Keeping::Whole;
                Some(kept)
            }
            Ok(Keeping::Forked) if !kept.may_be_ahead => {
                return Err(Wrong::Answer(String::from("increments report a fork, and nothing they have was lost")));
            }
            Ok(Keeping::TooFarBehind) if kept_all => {
                return Err(Wrong::Answer(String::from("an increment lacks commits that the log was to keep")));
            }
            Ok(Keeping::Forked | Keeping::TooFarBehind) => Some(Kept::default()),
            Err(error) => {
                self.kept = Some(kept);
                return Err(Wrong::Error(error));
            }
        };
        Ok(())
    }

    fn compare_kept(&self, kept: &mut Kept) -> Result<(), Wrong> {
        let (sequence, found) = restored(kept, ReplayUntil::End)?;
        self.require_visible(&found, "what was restored is")?;
        if let Some((earlier, there)) = kept.ends.get(kept.ends.len() / 2) {
            let (reached, found) = restored(kept, ReplayUntil::Sequence(*earlier))?;
            if reached != *earlier || found != *there {
                let difference = there.difference(&found).unwrap_or_default();
                let what = format!("restored to commit {earlier} it is at {reached}: {difference}");
                return Err(Wrong::Answer(what));
            }
        }
        if self.site.tuning.archive_hold_bytes.is_some() {
            // An archive has every commit, and every value that it put.
            let first = kept.ends.first().map_or(sequence, |(first, _)| *first);
            let between = first + (sequence - first) * (kept.ends.len() as u64 % 5) / 5;
            let (reached, _) = restored(kept, ReplayUntil::Sequence(between))?;
            if reached != between {
                return Err(Wrong::Answer(format!("restored to commit {between} it is at {reached}")));
            }
        }
        kept.ends.push((sequence, found));
        Ok(())
    }
}

/// What is kept up to there, as a database on a machine of its own.
fn restored(kept: &Kept, until: ReplayUntil) -> Result<(u64, Tables), Wrong> {
    let restored = (|| {
        let storage = MemoryStorage::new();
        storage.write_at(FileId::Data, 0, &kept.base)?;
        let env = Environment { clock: Arc::new(FixedClock(1)), entropy: Arc::new(SeededEntropy::new(1)) };
        let mut options = Options::default();
        options.background_thread = false;
        let storage = Arc::new(storage);
        let database = match Database::open_storage(storage.clone(), env.clone(), options.clone()) {
            Err(Error::WrongKey { .. }) => {
                // What kind of cipher it has it says itself.
                Tuning { encryption: Some(Encryption::default()), ..Tuning::default() }.lock(&mut options);
                Database::open_storage(storage, env, options)?
            }
            opened => opened?,
        };
        let mut replay = database.replay(until)?;
        for increment in &kept.increments {
            replay.push(increment)?;
            replay.end_increment()?;
        }
        replay.finish()?;
        Ok((database.check()?.problems, database))
    })();
    let (problems, database) = restored.map_err(|error: Error| Wrong::Answer(format!("restoring: {error}")))?;
    if let Some(problem) = problems.first() {
        return Err(Wrong::Answer(format!("what was restored is not whole: {problem}")));
    }
    let snapshot = database.snapshot();
    let scans = TABLES.map(|name| match snapshot.table(Table::<&[u8], &[u8]>::new(name)) {
        Ok(table) => table.range(..).and_then(Iterator::collect),
        Err(Error::NoSuchTable { .. }) => Ok(Vec::new()),
        Err(error) => Err(error),
    });
    let scans = scans.map(|scan| scan.unwrap_or_else(|error| panic!("what was restored cannot be read: {error}")));
    Ok((snapshot.sequence(), tables_found(scans).map_err(Wrong::Answer)?))
}
