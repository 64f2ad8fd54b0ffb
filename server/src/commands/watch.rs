//! `lightning watch`

use std::io::{BufRead, Write};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::{Duration, SystemTime};

use clap::Args;
use lightning_db::{Collection, Difference, Subscription, Value};

use super::query::{QUERY_HELP, parse_query};
use crate::database::{Access, DatabaseArgs, DurabilityArg};
use crate::documents::{CollectionView, JsonForm, parse_key_value, read_json, write_json};
use crate::failure::{Failure, Outcome};
use crate::output::Output;

/// Lines that are read ahead of the one being written.
const LINES_AHEAD: usize = 64;

/// Follow what a query finds, while documents are written from standard input
///
/// One process at a time has a database open, so this one writes too: each line of standard input is a document as JSON,
/// which is put, or 'delete KEY'. Each is a transaction. The rows of the query are printed at first, and then each change
/// of them: '+' and a document that is new in the result, '~' and one that has changed or moved, '-' and the key of one
/// that has left it. Writes that do not touch the result print nothing. It ends where standard input ends.
#[derive(Args, Debug)]
#[command(after_help = QUERY_HELP)]
pub struct Watch {
    #[command(flatten)]
    database: DatabaseArgs,
    /// The collection
    collection: String,
    /// The query; all documents without it
    #[arg(default_value = "", hide_default_value = true)]
    query: String,
    /// When a write is acknowledged
    #[arg(long, value_enum, default_value_t)]
    durability: DurabilityArg,
}

/// What a line of standard input asks for.
enum Change {
    Put(Value),
    Delete(Value),
}

impl Watch {
    pub fn run(self, output: &mut Output) -> Outcome {
        let query = parse_query(&self.query)?;
        let database = self.database.open(Access::Write)?;
        drop(CollectionView::open(&database.snapshot(), &self.database, &self.collection)?);
        let failed = |error| Failure::engine(self.database.name())(error);
        let collection = database.existing_collection::<Value>(&self.collection).map_err(failed)?;
        let mut subscription = collection.watch(query).map_err(failed)?;
        let wrong = self.follow(&collection, &mut subscription, &read_lines(), output)?;
        drop((subscription, collection));
        database.close().map_err(failed)?;
        if wrong > 0 {
            let lines = if wrong == 1 { "1 line was".to_owned() } else { format!("{wrong} lines were") };
            return Err(Failure::usage(format!("{lines} refused; the others are written")));
        }
        Ok(())
    }

    /// Writes what the lines ask for and prints what it changes; gives how many lines were refused.
    fn follow(
        &self,
        collection: &Collection<Value>,
        subscription: &mut Subscription<Value>,
        lines: &Receiver<std::io::Result<String>>,
        output: &mut Output,
    ) -> Outcome<u64> {
        let (mut line_number, mut wrong) = (0_u64, 0);
        loop {
            let change = subscription.try_next_difference().map_err(Failure::engine(self.database.name()))?;
            if let Some(change) = change {
                print(&change, output)?;
                output.flush()?;
            }
            // Documents may go by themselves while nobody writes.
            let received = match subscription.wake_at_ms() {
                Some(at_ms) => lines.recv_timeout(until(at_ms)),
                None => lines.recv().map_err(|_| RecvTimeoutError::Disconnected),
            };
            let line = match received {
                Ok(line) => line.map_err(Failure::file("standard input"))?,
                Err(RecvTimeoutError::Timeout) => continue,
                Err(RecvTimeoutError::Disconnected) => return Ok(wrong),
            };
            line_number += 1;
            if line.trim().is_empty() {
                continue;
            }
            let written = parse(line.trim()).and_then(|write| {
                let written = collection.database().transaction_with(self.durability.into(), |tx| {
                    let mut documents = tx.collection(collection)?;
                    match &write {
                        Change::Put(document) => documents.put(document).map(|()| true),
                        Change::Delete(key) => documents.delete(key.clone()),
                    }
                });
                match written {
                    Ok(true) => Ok(()),
                    Ok(false) => Err("there is no such document".to_owned()),
                    Err(error) => Err(error.to_string()),
                }
            });
            if let Err(why) = written {
                wrong += 1;
                // Nobody may be listening.
                _ = writeln!(std::io::stderr(), "standard input, line {line_number}: {why}");
            }
        }
    }
}

/// The lines of standard input, as they come.
fn read_lines() -> Receiver<std::io::Result<String>> {
    let (sender, receiver) = sync_channel(LINES_AHEAD);
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines() {
            if sender.send(line).is_err() {
                break;
            }
        }
    });
    receiver
}

fn parse(line: &str) -> Result<Change, String> {
    if let Some(key) = line.strip_prefix("delete ") {
        return Ok(Change::Delete(parse_key_value(key.trim())));
    }
    let json = line.strip_prefix("put ").unwrap_or(line);
    if !json.trim_start().starts_with('{') {
        return Err("give a document as a JSON object, or 'delete KEY'".to_owned());
    }
    read_json(json).map(Change::Put).map_err(|error| format!("not a JSON object: {error}"))
}

fn print(change: &Difference<Value>, output: &mut Output) -> Outcome {
    let removed = change.removed.iter().map(|row| ('-', "removed", &row.key));
    let changed = change.changed.iter().map(|row| ('~', "changed", &row.row));
    let added = change.added.iter().map(|row| ('+', "added", &row.row));
    for (sign, name, value) in removed.chain(changed).chain(added) {
        let mut json = String::new();
        write_json(value, JsonForm::Plain, &mut json);
        if output.is_json() {
            output.line(&format!("{{\"{name}\":{json},\"sequence\":{}}}", change.sequence))?;
        } else {
            output.line(&format!("{sign} {json}"))?;
        }
    }
    Ok(())
}

/// How long it is to a moment of the wall clock.
fn until(at_ms: u64) -> Duration {
    let at = SystemTime::UNIX_EPOCH + Duration::from_millis(at_ms);
    at.duration_since(SystemTime::now()).unwrap_or_default()
}
