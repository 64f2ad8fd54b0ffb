//! `lightning backup`

use std::path::PathBuf;

use clap::Args;
use lightning_db::BackupProgress;
use serde_json::json;

use crate::database::{Access, DatabaseArgs};
use crate::failure::{Failure, Outcome};
use crate::output::Output;
use crate::progress::{Progress, Rate, Unit, bytes, grouped};

/// Copy the database as it is now into a new file, compact and whole, without changing it
///
/// The copy is a database itself: what opens the one opens the other. It gets its name when it is whole and on the disk.
/// Everything is verified as it is read; damage is an error, and leaves no copy.
#[derive(Args, Debug)]
pub struct Backup {
    #[command(flatten)]
    database: DatabaseArgs,
    /// The new file; it must not exist yet
    #[arg(value_name = "TO")]
    to: PathBuf,
    /// Tell how far it is, also where standard error is no terminal
    #[arg(long)]
    progress: bool,
}

impl Backup {
    pub fn run(self, output: &mut Output) -> Outcome {
        let rate = Rate::start();
        let progress = Progress::start(None, Unit::Count, self.progress);
        let database = self.database.open_with(Access::Read, &mut |stage| progress.stage(stage))?;
        let mut placed = false;
        let done = database.backup_to(&self.to, &mut |at: &BackupProgress| {
            if let Some(all) = at.bytes_all.filter(|_| !placed) {
                placed = true;
                progress.done(&format!("found a place for everything: {}", bytes(all)));
            }
            progress.set_total(at.entries_all);
            progress.at(at.entries, || format!("records read, each twice; {} written", bytes(at.bytes)));
        });
        progress.finish();
        let done = done.map_err(Failure::engine(self.database.name()))?;
        output.result(
            || {
                let (records, size) = (grouped(done.entries / 2), bytes(done.bytes));
                format!("copied {} into {}: {records} records, {size}", self.database.name(), self.to.display())
            },
            || json!({ "records": done.entries / 2, "bytes": done.bytes, "seconds": rate.seconds() }),
        )
    }
}
