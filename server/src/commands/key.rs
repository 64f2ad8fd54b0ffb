//! `lightning key`

use clap::{Args, Subcommand};
use lightning_db::{Database, KeyInfo, KeyKind, ReencryptionStage};
use serde_json::json;

use crate::database::{Access, DatabaseArgs};
use crate::failure::{Failure, Outcome};
use crate::key::NewKeyArgs;
use crate::moment::moment;
use crate::output::Output;
use crate::progress::{Progress, Rate, Unit, grouped};

/// List, add, remove and replace the keys of an encrypted database, or encrypt everything anew
///
/// Each of up to eight keys opens all of the database. What is stored is not written again, but by 'reencrypt': whoever has a key that was
/// removed, and any copy of the file, can get at it.
#[derive(Args, Debug)]
pub struct KeyCommand {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand, Debug)]
enum Action {
    List(List),
    Add(Add),
    Remove(Remove),
    Rotate(Rotate),
    Reencrypt(Reencrypt),
}

/// List the keys of a database: slot, kind, and when each was added
#[derive(Args, Debug)]
struct List {
    #[command(flatten)]
    database: DatabaseArgs,
}

/// Let one key more open a database
#[derive(Args, Debug)]
struct Add {
    #[command(flatten)]
    database: DatabaseArgs,
    #[command(flatten)]
    new: NewKeyArgs,
}

/// Let a key no longer open a database
#[derive(Args, Debug)]
struct Remove {
    #[command(flatten)]
    database: DatabaseArgs,
    /// Its slot, as 'key list' tells
    #[arg(value_name = "SLOT")]
    slot: u8,
}

/// Put a new key in the place of one: to change a passphrase
#[derive(Args, Debug)]
struct Rotate {
    #[command(flatten)]
    database: DatabaseArgs,
    #[command(flatten)]
    new: NewKeyArgs,
    /// The slot of the key that is replaced; needed where there are several
    #[arg(long, value_name = "SLOT")]
    slot: Option<u8>,
}

/// Encrypt everything in a database anew, under a new key, which alone opens it then
///
/// What was begun and not completed is gone on with: then no new key is given. Copies that were made before stay as they are.
#[derive(Args, Debug)]
struct Reencrypt {
    #[command(flatten)]
    database: DatabaseArgs,
    #[command(flatten)]
    new: NewKeyArgs,
    /// Tell how far it is, also where standard error is no terminal
    #[arg(long)]
    progress: bool,
}

impl KeyCommand {
    pub fn run(self, output: &mut Output) -> Outcome {
        match self.action {
            Action::List(list) => list.run(output),
            Action::Add(add) => add.run(output),
            Action::Remove(remove) => remove.run(output),
            Action::Rotate(rotate) => rotate.run(output),
            Action::Reencrypt(reencrypt) => reencrypt.run(output),
        }
    }
}

impl List {
    fn run(self, output: &mut Output) -> Outcome {
        let keys = keys(&self.database.open(Access::Read)?, &self.database)?;
        for key in keys {
            let (slot, kind) = (key.slot, kind(key.kind));
            output.result(
                || format!("{slot}  {kind:10}  added {}", moment(key.added_ms)),
                || json!({ "slot": slot, "kind": kind, "added_ms": key.added_ms }),
            )?;
        }
        Ok(())
    }
}

impl Add {
    fn run(self, output: &mut Output) -> Outcome {
        let database = self.database.open(Access::Write)?;
        keys(&database, &self.database)?;
        let slot = database.add_key(&self.new.key()?).map_err(Failure::engine(self.database.name()))?;
        database.close().map_err(Failure::engine(self.database.name()))?;
        output.result(|| format!("added a key, in slot {slot}"), || json!({ "added": slot }))
    }
}

impl Remove {
    fn run(self, output: &mut Output) -> Outcome {
        let database = self.database.open(Access::Write)?;
        keys(&database, &self.database)?;
        database.remove_key(self.slot).map_err(Failure::engine(self.database.name()))?;
        database.close().map_err(Failure::engine(self.database.name()))?;
        output.result(|| format!("removed the key in slot {}", self.slot), || json!({ "removed": self.slot }))
    }
}

impl Rotate {
    fn run(self, output: &mut Output) -> Outcome {
        let database = self.database.open(Access::Write)?;
        let keys = keys(&database, &self.database)?;
        let old = match (self.slot, keys.as_slice()) {
            (Some(slot), keys) if keys.iter().any(|key| key.slot == slot) => slot,
            (Some(slot), _) => return Err(Failure::usage(format!("there is no key in slot {slot}"))),
            (None, [only]) => only.slot,
            (None, _) => return Err(Failure::usage("there are several keys; say with --slot which one is replaced")),
        };
        let failed = || Failure::engine(self.database.name());
        let slot = database.add_key(&self.new.key()?).map_err(failed())?;
        database.remove_key(old).map_err(failed())?;
        database.close().map_err(failed())?;
        output.result(
            || format!("replaced the key in slot {old} by a new one, in slot {slot}"),
            || json!({ "added": slot, "removed": old }),
        )
    }
}

impl Reencrypt {
    fn run(self, output: &mut Output) -> Outcome {
        let rate = Rate::start();
        let progress = Progress::start(None, Unit::Count, self.progress);
        let database = self.database.open_with(Access::Write, &mut |stage| progress.stage(stage))?;
        keys(&database, &self.database)?;
        let failed = || Failure::engine(self.database.name());
        match (database.reencryption(), self.new.is_given()) {
            (None, _) => database.reencrypt(&self.new.key()?).map_err(failed())?,
            (Some(_), false) => {}
            (Some(_), true) => {
                return Err(Failure::usage(
                    "everything is being encrypted anew already; leave the new key out to go on with that, and say it again when it is done",
                ));
            }
        }
        let mut stage = None;
        let finished = database.finish_reencryption(&mut |at| {
            if stage.replace(at.stage) != Some(at.stage) {
                progress.done(at.stage.name());
            }
            if at.stage == ReencryptionStage::Rewrite {
                progress.at(at.done, || format!("of about {} written anew", grouped(at.all)));
            }
        });
        let finished = finished.and_then(|()| database.close());
        progress.finish();
        finished.map_err(failed())?;
        let keys = database.keys();
        output.result(
            || format!("encrypted {} anew; {} opens it now", self.database.name(), count_of_keys(keys.len())),
            || json!({ "keys": keys.len(), "seconds": rate.seconds() }),
        )
    }
}

fn count_of_keys(keys: usize) -> String {
    if keys == 1 { String::from("one key") } else { format!("each of {keys} keys") }
}

/// The keys; that there are none is an error.
fn keys(database: &Database, args: &DatabaseArgs) -> Outcome<Vec<KeyInfo>> {
    let keys = database.keys();
    if keys.is_empty() {
        return Err(Failure::usage(format!("{} is not encrypted, so it has no keys", args.name())));
    }
    Ok(keys)
}

fn kind(kind: KeyKind) -> &'static str {
    match kind {
        KeyKind::Raw => "raw",
        KeyKind::Passphrase => "passphrase",
        KeyKind::Provider => "provider",
        _ => "unknown",
    }
}
