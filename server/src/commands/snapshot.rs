//! `lightning snapshot`

use clap::{Args, Subcommand};
use serde_json::json;

use crate::database::{Access, DatabaseArgs};
use crate::failure::{Failure, Outcome};
use crate::moment::moment;
use crate::output::Output;
use crate::progress::{bytes, grouped};

/// Keep the database as it is now under a name, to read it later as it was
///
/// Reading commands show it with --snapshot NAME. It holds the space of what is overwritten since, until it is dropped.
#[derive(Args, Debug)]
#[command(arg_required_else_help = true, subcommand_required = true)]
pub struct SnapshotCommand {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand, Debug)]
enum Action {
    Create(Create),
    List(List),
    Drop(DropSnapshot),
}

impl SnapshotCommand {
    pub fn run(self, output: &mut Output) -> Outcome {
        match self.action {
            Action::Create(create) => create.run(output),
            Action::List(list) => list.run(output),
            Action::Drop(drop) => drop.run(output),
        }
    }
}

/// Give the database as it is now a name
#[derive(Args, Debug)]
struct Create {
    #[command(flatten)]
    database: DatabaseArgs,
    /// The name
    name: String,
}

impl Create {
    fn run(self, output: &mut Output) -> Outcome {
        let database = self.database.open(Access::Write)?;
        let failed = |error| Failure::engine(self.database.name())(error);
        database.create_snapshot(&self.name).map_err(failed)?;
        let made = database.snapshots().into_iter().find(|named| named.name == self.name);
        let sequence = made.map_or(0, |named| named.sequence);
        database.close().map_err(failed)?;
        output.result(
            || format!("made the snapshot '{}' of commit {}", self.name, grouped(sequence)),
            || json!({ "name": self.name, "sequence": sequence }),
        )
    }
}

/// List the snapshots that have a name, and what they cost
#[derive(Args, Debug)]
struct List {
    #[command(flatten)]
    database: DatabaseArgs,
}

impl List {
    fn run(self, output: &mut Output) -> Outcome {
        let database = self.database.open(Access::Read)?;
        for named in database.snapshots() {
            let (name, made, held) = (&named.name, moment(named.time_ms), bytes(named.held_bytes));
            let text = || format!("{name}\tcommit {}, made {made}; holds {held}", grouped(named.sequence));
            let json = || {
                json!({
                    "name": named.name,
                    "sequence": named.sequence,
                    "time_ms": named.time_ms,
                    "held_bytes": named.held_bytes,
                })
            };
            output.result(text, json)?;
        }
        Ok(())
    }
}

/// Give a snapshot up
#[derive(Args, Debug)]
struct DropSnapshot {
    #[command(flatten)]
    database: DatabaseArgs,
    /// Its name
    name: String,
}

impl DropSnapshot {
    fn run(self, output: &mut Output) -> Outcome {
        let database = self.database.open(Access::Write)?;
        let dropped = database.drop_snapshot(&self.name).and_then(|()| database.close());
        dropped.map_err(Failure::engine(self.database.name()))?;
        output.result(|| format!("dropped the snapshot '{}'", self.name), || json!({ "dropped": self.name }))
    }
}
