//! A copy of a database goes on to a later commit, by increments.

use alloc::collections::BTreeMap;
use alloc::format;

use alloc::vec::Vec;
use core::fmt;

use super::database::Database;
use super::feed::FeedPosition;
use super::transaction::WriteTransaction;
use crate::codec::slot::{Slot, ValueRef};
use crate::engine::{Durability, ValueWriter, require_part};

use crate::env::calendar;
use crate::error::{Error, Result};
#[cfg(feature = "encryption")]
use crate::increment::Opener;
use crate::increment::{Decoder, Event, History, Place};
use crate::log::{Operation, Operations, Preamble};
use crate::table::prefix;
use crate::testing::Mutant;

/// Up to where the commits of increments are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ReplayUntil {
    /// All of them.
    End,
    /// Up to this commit, and with it.
    Sequence(u64),
    /// Up to the last one that was made at this time or before, in milliseconds since 1970. Commits carry the time by the clock of
    /// their machine, but never an earlier one than the commit before: where the clock was set back they have the time of
    /// that until it has gone on.
    Time(u64),
}

/// What a replay has come to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReplayReport {
    /// The newest commit.
    pub sequence: u64,
    /// When it was made, in milliseconds since 1970; 0 where none was taken from an increment.
    pub time_ms: u64,
    /// Commits that were taken from increments.
    pub commits: u64,
    /// There were more in them, behind what was wanted.
    pub left_out: bool,
}

impl ReplayReport {
    /// Of a copy as it is.
    pub(super) fn of(database: &Database) -> Self {
        Self { sequence: database.shared.engine.version().sequence, ..Self::default() }
    }
}

/// Brings a copy that a [`Backup`](super::Backup) made, opened as a database, to a later commit: exactly as the database was after
/// it, with the same tables, indexes and numbers of commits. Increments are given one after the other, without a gap between
/// them; commits that the copy has already are passed over.
///
/// Nothing else may be written to the copy meanwhile. It is not to be used before [`finish`](Self::finish) has said that
/// all is there; after an error it is to be thrown away.
///
/// ```
/// # use std::sync::Arc;
/// # use lightning_db::{env::*, Database, Environment, Options, ReplayUntil, Table};
/// # let env = || Environment { clock: Arc::new(FixedClock(0)), entropy: Arc::new(SeededEntropy::new(1)) };
/// # let db = Database::open_storage(Arc::new(MemoryStorage::new()), env(), Options::default())?;
/// # const WORDS: Table<&str, u64> = Table::new("words");
/// # db.table(WORDS)?.put("none", 0)?;
/// # let (copy, mut backup) = (Arc::new(MemoryStorage::new()), db.backup());
/// # let mut at = 0;
/// # while let Some(piece) = backup.next()? {
/// #     copy.write_at(FileId::Data, at, &piece)?;
/// #     at += piece.len() as u64;
/// # }
/// db.table(WORDS)?.put("one", 1)?;
/// let mut increment = db.increment(backup.position())?;
///
/// // `copy` holds the bytes of `backup`.
/// let restored = Database::open_storage(copy, env(), Options::default())?;
/// let mut replay = restored.replay(ReplayUntil::End)?;
/// while let Some(piece) = increment.next()? {
///     replay.push(&piece)?;
/// }
/// replay.end_increment()?;
/// assert_eq!(replay.finish()?.commits, 1);
/// assert_eq!(restored.table(WORDS)?.get("one")?, Some(1));
/// # Ok::<(), lightning_db::Error>(())
/// ```
pub struct Replay {
    database: Database,
    until: ReplayUntil,
    /// The last commit, by the history of the database that was copied.
    at: FeedPosition,
    decoder: Decoder,
    /// The increment under way has said whose it is.
    begun: bool,
    /// The last commit that it has given.
    given: u64,
    /// Of the commit to come.
    values: Vec<Option<ValueRef>>,
    value: Option<ValueWriter>,
    /// Keys whose value was overwritten before it could be kept, and the commit that put it there. They must be overwritten by a
    /// later commit, as they were.
    gone: BTreeMap<Vec<u8>, u64>,
    report: ReplayReport,
}

impl Database {
    /// Begins to bring a copy to a later commit.
    pub fn replay(&self, until: ReplayUntil) -> Result<Replay> {
        let engine = &self.shared.engine;
        let Some((incarnation, sequence)) = engine.copied_from() else {
            return Err(Error::invalid(
                "this is no backup, or it was written to; increments go on where a backup ends: restore it anew",
            ));
        };
        if let ReplayUntil::Sequence(wanted) = until
            && wanted < sequence
        {
            return Err(Error::invalid(format!(
                "the backup has all commits up to {sequence}, more than up to {wanted}; restore an earlier backup"
            )));
        }
        let made_ms = engine.version().time_ms;
        if matches!(until, ReplayUntil::Time(wanted_ms) if wanted_ms < made_ms) {
            let (days, seconds) = (made_ms / 86_400_000, made_ms / 1000 % 86_400);
            let (year, month, day) = calendar::date(i64::try_from(days).unwrap_or(i64::MAX / 1000));
            let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
            return Err(Error::invalid(format!(
                "the backup has all commits up to {sequence}, made {year:04}-{month:02}-{day:02} \
                 {hour:02}:{minute:02}:{second:02} UTC, which is later; restore an earlier backup"
            )));
        }
        Ok(Replay {
            database: self.clone(),
            until,
            at: FeedPosition { incarnation, sequence },
            decoder: decoder(self),
            begun: false,
            given: 0,
            values: Vec::new(),
            value: None,
            gone: BTreeMap::new(),
            report: ReplayReport::of(self),
        })
    }
}

/// Of an increment for this copy.
pub(super) fn decoder(copy: &Database) -> Decoder {
    #[cfg(feature = "encryption")]
    return Decoder::opened_by(Opener::Database(
        copy.shared.engine.nodes.seal().envelope.clone(),
        copy.shared.options.key.clone(),
    ));
    #[cfg(not(feature = "encryption"))]
    {
        let _ = copy;
        Decoder::default()
    }
}

impl Replay {
    /// Takes the next bytes of an increment, whole or in part.
    pub fn push(&mut self, bytes: &[u8]) -> Result<()> {
        self.decoder.push(bytes);
        while let Some(event) = self.decoder.next()? {
            self.take(event)?;
        }
        Ok(())
    }

    /// That the increment ends here; the next one may follow. One that was cut is [`Error::DamagedBackup`].
    pub fn end_increment(&mut self) -> Result<()> {
        self.decoder.finish()?;
        self.decoder = decoder(&self.database);
        self.begun = false;
        Ok(())
    }

    /// How far it is.
    pub fn report(&self) -> ReplayReport {
        self.report
    }

    /// The last commit, for the increment that goes on after it.
    pub fn position(&self) -> FeedPosition {
        self.at
    }

    /// That there are no more increments. Everything is durable, and as it was, or this is an error.
    pub fn finish(self) -> Result<ReplayReport> {
        if self.begun {
            self.decoder.finish()?;
        }
        if let ReplayUntil::Sequence(wanted) = self.until
            && self.report.sequence < wanted
        {
            return Err(Error::invalid(format!(
                "the increments end with commit {}, before {wanted}; give those that follow, too",
                self.report.sequence
            )));
        }
        if let Some((key, sequence)) = self.gone.first_key_value() {
            let key = prefix::split(key).map_or(&key[..], |(_, key)| key);
            return Err(Error::invalid(format!(
                "the value that commit {sequence} put under \"{}\" was overwritten before the increment was made; restore to a \
                 later commit, or an earlier one than {sequence}",
                key.get(..64).unwrap_or(key).escape_ascii()
            )));
        }
        self.database.checkpoint()?;
        Ok(self.report)
    }

    fn take(&mut self, event: Event) -> Result<()> {
        let engine = &self.database.shared.engine;
        match event {
            Event::Begins { database_id, after } => {
                self.begun = true;
                self.given = after.sequence;
                let at = (!self.report.left_out).then_some(self.at);
                require_follows((&database_id, after.into()), (engine.database_id(), at))?;
            }
            Event::History(history) => {
                if !self.report.left_out {
                    require_same_history(&history, self.at)?;
                }
            }
            // What is behind the commit that is wanted, or there already, is read for its checksums alone.
            Event::ValueBegins(_) | Event::ValuePiece(_) | Event::ValueEnds | Event::ValueGone
                if self.report.left_out || self.given < self.at.sequence => {}
            Event::ValueBegins(len) => self.value = Some(ValueWriter::new(engine, len)?),
            Event::ValuePiece(bytes) => {
                if let Some(value) = &mut self.value {
                    value.write(engine, &bytes)?;
                }
            }
            Event::ValueEnds => {
                if let Some(value) = self.value.take() {
                    self.values.push(Some(value.finish(engine)?));
                }
            }
            Event::ValueGone => {
                if let Some(mut value) = self.value.take() {
                    value.abandon(engine);
                }
                self.values.push(None);
            }
            Event::Commit { at, payload } => self.commit(at, &payload)?,
            Event::Ends(end) => {
                if !self.report.left_out && end.at.sequence >= self.at.sequence {
                    self.at = end.at.into();
                }
            }
        }
        Ok(())
    }

    fn commit(&mut self, at: Place, payload: &[u8]) -> Result<()> {
        let sequence = at.sequence;
        self.given = sequence;
        if sequence <= self.at.sequence {
            return Ok(());
        }
        let Some((preamble, operations)) = Preamble::split(payload) else { return Err(malformed(sequence)) };
        self.report.left_out |= match self.until {
            ReplayUntil::End => false,
            ReplayUntil::Sequence(last) => sequence > last,
            ReplayUntil::Time(last_ms) => preamble.time_ms > last_ms,
        } && !Mutant::ReplayGoesOn.is_active();
        if self.report.left_out {
            self.withdraw_values();
            return Ok(());
        }
        let mut values = core::mem::take(&mut self.values).into_iter();
        let gone = &mut self.gone;
        let applied = self.database.transaction_with(Durability::Relaxed, |tx| {
            for operation in Operations::new(operations, sequence, 0) {
                let operation = operation.map_err(|_| malformed(sequence))?;
                match apply(tx, &operation, &mut values)? {
                    Applied::Whole => forget(gone, &operation),
                    Applied::WithoutValue(key) => {
                        gone.insert(key.to_vec(), sequence);
                    }
                }
            }
            if values.next().is_some() { Err(malformed(sequence)) } else { Ok(()) }
        });
        applied?;
        let newest = self.database.shared.engine.head().sequence;
        if newest != sequence {
            return Err(Error::invalid(format!(
                "commit {sequence} of the increment became commit {newest}: something else was written to the copy; restore it anew"
            )));
        }
        self.at = at.into();
        self.report = ReplayReport {
            sequence,
            time_ms: preamble.time_ms,
            commits: self.report.commits + 1,
            left_out: self.report.left_out,
        };
        Ok(())
    }

    fn withdraw_values(&mut self) {
        let engine = &self.database.shared.engine;
        if let Some(mut value) = self.value.take() {
            value.abandon(engine);
        }
        for value in self.values.drain(..).flatten() {
            engine.withdraw_value(&value);
        }
    }
}

/// That an increment, of a database and after one of its commits, leaves nothing out behind where another, or the backup itself, has
/// come to; of the same database alone where that is not asked.
pub(super) fn require_follows(
    (id, after): (&[u8; 16], FeedPosition),
    (expected_id, at): (&[u8; 16], Option<FeedPosition>),
) -> Result<()> {
    if id != expected_id {
        return Err(Error::invalid("the increment is of another database than the backup"));
    }
    match at {
        Some(at) if at.sequence < after.sequence => Err(Error::invalid(format!(
            "commits {} to {} are missing: the increment goes on after commit {after}, this is at commit {at}; restore a newer \
             backup, or to an earlier commit",
            at.sequence + 1,
            after.sequence
        ))),
        _ => Ok(()),
    }
}

/// That what has come to a commit goes on in the history that an increment is of.
pub(super) fn require_same_history(history: &History, at: FeedPosition) -> Result<()> {
    let ancestors = history.ancestors.iter().copied();
    require_part(at.into(), history.incarnation, ancestors, u64::MAX).map_err(|_| {
        Error::invalid(format!(
            "the increment is of another history than commit {at}: the database was restored, or lost commits, between them"
        ))
    })
}

enum Applied<'a> {
    Whole,
    WithoutValue(&'a [u8]),
}

fn apply<'a>(
    tx: &mut WriteTransaction,
    operation: &Operation<'a>,
    values: &mut impl Iterator<Item = Option<ValueRef>>,
) -> Result<Applied<'a>> {
    let first = match *operation {
        Operation::Put { key, .. } | Operation::PutExtent { key, .. } | Operation::Delete { key } => key,
        Operation::DeleteRange { start, .. } => start,
    };
    // The definitions of tables are remembered by those who use them.
    tx.changes_catalogue |= prefix::split(first).is_none_or(|(table, _)| table == prefix::CATALOGUE);
    match *operation {
        Operation::Put { key, value } => tx.write(key, Slot::Inline(value))?,
        Operation::Delete { key } => tx.write(key, Slot::Tombstone)?,
        Operation::DeleteRange { start, end: Some(end) } => tx.delete_span(start, end)?,
        // No table's keys are above this.
        Operation::DeleteRange { start, end: None } => tx.delete_span(start, &prefix::end_of(u64::MAX))?,
        Operation::PutExtent { key, .. } => match values.next() {
            Some(Some(value)) => {
                tx.values.push(value);
                tx.write(key, Slot::Extent(value))?;
            }
            // Whoever reads it before it is overwritten must not find what was there before.
            Some(None) => {
                tx.write(key, Slot::Tombstone)?;
                return Ok(Applied::WithoutValue(key));
            }
            None => return Err(malformed(0)),
        },
    }
    Ok(Applied::Whole)
}

/// Values that are missing, of keys that the operation changes, are not missed any more.
fn forget(gone: &mut BTreeMap<Vec<u8>, u64>, operation: &Operation<'_>) {
    match *operation {
        Operation::Put { key, .. } | Operation::PutExtent { key, .. } | Operation::Delete { key } => {
            gone.remove(key);
        }
        Operation::DeleteRange { start, end } => {
            gone.retain(|key, _| key.as_slice() < start || end.is_some_and(|end| key.as_slice() >= end));
        }
    }
}

#[cold]
fn malformed(sequence: u64) -> Error {
    Error::DamagedBackup { offset: 0, what: format!("commit {sequence} is malformed") }
}

impl Drop for Replay {
    fn drop(&mut self) {
        self.withdraw_values();
    }
}

impl fmt::Debug for Replay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Replay").field("at", &self.position()).field("report", &self.report).finish_non_exhaustive()
    }
}
