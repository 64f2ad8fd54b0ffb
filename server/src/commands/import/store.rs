//! Committing batches: each wholly or not at all, with the note of how far the import is.

use std::ops::Range;

use lightning_db::{Collection, Database, Durability, Error, Migrations, Result, Schema, WriteTransaction};

use super::batch::{Batch, Content, Refusal};
use super::unfinished::{Unfinished, fingerprint};
use crate::documents::Encoded;
use crate::failure::{Failure, Outcome};
use crate::progress::{Progress, grouped};

/// What the records of a file are stored in.
pub enum Target {
    Table,
    /// Made with the first batch, if there is none.
    Collection {
        schema: Schema,
        opened: Option<Collection<Encoded>>,
    },
}

/// What becomes of a record whose key is there, or is not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    Put,
    Insert,
    Replace,
}

/// The storing side of an import.
pub struct Store<'a> {
    pub database: &'a Database,
    pub name: &'a str,
    /// What errors happened to.
    pub subject: String,
    pub target: Target,
    pub mode: Mode,
    pub durability: Durability,
    pub errors_max: u64,
    /// How far the import is.
    pub at: Unfinished,
    /// Whether the database has a note of it.
    pub is_noted: bool,
}

/// What became of some records of a batch.
#[derive(Default)]
struct Applied {
    stored: u64,
    refused: Vec<Refusal>,
    /// The record at which the import stops.
    stopped: Option<(usize, Refusal)>,
}

/// How the records of a batch were stored.
pub struct Stored {
    /// Those that were left out.
    pub refused: Vec<Refusal>,
    /// Why the import stops here.
    pub stopped: Option<Refusal>,
}

impl Store<'_> {
    /// Commits a batch. If a record stops the import, those before it are committed.
    pub fn commit(&mut self, batch: &Batch, progress: &Progress) -> Outcome<Stored> {
        if batch.len() > 0 {
            self.open(progress)?;
        }
        self.commit_range(batch, 0..batch.len())
    }

    /// The collection with its indexes is there.
    fn open(&mut self, progress: &Progress) -> Outcome {
        if let Target::Collection { schema, opened: opened @ None } = &mut self.target {
            let mut told = String::new();
            let migrations = Migrations::new();
            let collection = self.database.collection_with(self.name, schema.clone(), migrations, &mut |index| {
                if told != index.index {
                    told.clone_from(&index.index);
                    progress.done(&format!("making index '{told}' over {} documents", grouped(index.total)));
                }
            });
            *opened = Some(collection.map_err(Failure::engine(&*self.subject))?);
        }
        Ok(())
    }

    fn commit_range(&mut self, batch: &Batch, range: Range<usize>) -> Outcome<Stored> {
        // What is wrong with a record is seldom found here, and a savepoint before each costs much.
        let mut committed = self.try_commit(batch, range.clone(), false);
        if matches!(&committed, Err(error) if is_of_a_record(error)) {
            committed = self.try_commit(batch, range.clone(), true);
        }
        match committed {
            Ok((applied, at)) => {
                self.at = at;
                let stopped = applied.stopped.map(|(_, refusal)| refusal);
                Ok(Stored { refused: applied.refused, stopped })
            }
            // With its indexes it is more than one transaction may hold.
            Err(error) if is_too_large(&error) && range.len() > 1 => {
                let middle = range.start + range.len() / 2;
                let mut stored = self.commit_range(batch, range.start..middle)?;
                if stored.stopped.is_none() {
                    let more = self.commit_range(batch, middle..range.end)?;
                    stored.refused.extend(more.refused);
                    stored.stopped = more.stopped;
                }
                Ok(stored)
            }
            Err(error) => Err(Failure::engine(&*self.subject)(error)),
        }
    }

    /// Commits records of a batch, and gives how far the import is then. `careful`: an error of one record is undone and
    /// takes no other with it.
    fn try_commit(&mut self, batch: &Batch, range: Range<usize>, careful: bool) -> Result<(Applied, Unfinished)> {
        let mut noted = self.is_noted;
        let committed = self.database.transaction_with(self.durability, |tx| {
            let applied = self.apply(tx, batch, range.clone(), careful)?;
            let end = applied.stopped.as_ref().map_or(range.end, |(at, _)| *at);
            let is_over = batch.is_last && applied.stopped.is_none() && end == batch.len();
            let mut at = self.at.clone();
            at.place = batch.place(end);
            at.stored += applied.stored;
            at.refused += applied.refused.len() as u64;
            at.batches += 1;
            if is_over {
                if self.is_noted {
                    Unfinished::forget(tx, self.name)?;
                }
                noted = false;
            } else if end > range.start {
                // What cannot be read now is not known again later.
                at.fingerprint = fingerprint(&at.file, at.place.bytes).ok().flatten();
                at.note(tx, self.name)?;
                noted = true;
            }
            Ok((applied, at))
        })?;
        self.is_noted = noted;
        Ok(committed)
    }

    fn apply(&self, tx: &mut WriteTransaction, batch: &Batch, range: Range<usize>, careful: bool) -> Result<Applied> {
        let types = batch.types.as_ref().map(|types| (types.key.to_string(), types.value.to_string()));
        let mut applied = Applied::default();
        for at in range {
            let wrong = match batch.content(at) {
                Some(Content::Row { key, value }) => {
                    let savepoint = careful.then(|| tx.savepoint());
                    match (self.write(tx, types.as_ref(), key, value), savepoint) {
                        (Ok(()), _) => None,
                        (Err(error), Some(savepoint)) if is_of_a_record(&error) => {
                            tx.rollback_to(&savepoint);
                            Some(Refusal { line: batch.line(at), why: error.to_string(), is_final: false })
                        }
                        (Err(error), _) => return Err(error),
                    }
                }
                Some(Content::Wrong(refusal)) => Some(refusal.clone()),
                None => None,
            };
            match wrong {
                None => applied.stored += 1,
                Some(refusal) => {
                    let refused = self.at.refused + applied.refused.len() as u64;
                    if refusal.is_final || refused >= self.errors_max {
                        applied.stopped = Some((at, refusal));
                        break;
                    }
                    applied.refused.push(refusal);
                }
            }
        }
        Ok(applied)
    }

    fn write(
        &self,
        tx: &mut WriteTransaction,
        types: Option<&(String, String)>,
        key: &[u8],
        value: &[u8],
    ) -> Result<()> {
        match (&self.target, types) {
            (Target::Collection { opened: Some(collection), .. }, _) => {
                let mut documents = tx.collection(collection)?;
                match self.mode {
                    Mode::Put => documents.put_cbor(value),
                    Mode::Insert => documents.insert(&Encoded(value.to_vec())),
                    Mode::Replace => documents.replace(&Encoded(value.to_vec())),
                }
            }
            (Target::Table, Some((key_type, value_type))) => {
                let mut table = tx.untyped_table(self.name, key_type, value_type)?;
                match self.mode {
                    Mode::Put => table.put(key, value),
                    Mode::Insert => table.insert(key, value),
                    Mode::Replace => table.replace(key, value),
                }
            }
            _ => Err(Error::Invalid { what: "there is nothing to store records in".to_owned() }),
        }
    }
}

/// Errors that another record would not meet.
fn is_of_a_record(error: &Error) -> bool {
    match error {
        Error::InvalidDocument { .. }
        | Error::DuplicateKey { .. }
        | Error::Unexpected { .. }
        | Error::Invalid { .. } => true,
        Error::LimitExceeded { .. } => !is_too_large(error),
        _ => false,
    }
}

fn is_too_large(error: &Error) -> bool {
    matches!(error, Error::LimitExceeded { what, .. } if what.contains("transaction's changes"))
}
