//! `lightning verify`

use std::path::PathBuf;

use clap::Args;
use lightning_db::Database;
use serde_json::json;

use crate::failure::{Failure, Outcome};
use crate::key::KeyArgs;
use crate::moment::moment;
use crate::output::Output;
use crate::progress::{Progress, Rate, Unit, grouped};

/// Verify a backup and its increments: every checksum, and that each goes on where the one before ends
///
/// Nothing is written. Increments are given in the order in which they were made.
#[derive(Args, Debug)]
pub struct Verify {
    /// What 'backup' made
    #[arg(value_name = "BACKUP")]
    backup: PathBuf,
    /// What 'backup --since' made, oldest first, or the folder of an archive
    #[arg(value_name = "INCREMENT")]
    increments: Vec<PathBuf>,
    #[command(flatten)]
    key: KeyArgs,
    /// Tell how far it is, also where standard error is no terminal
    #[arg(long)]
    progress: bool,
}

impl Verify {
    pub fn run(self, output: &mut Output) -> Outcome {
        let rate = Rate::start();
        let progress = Progress::start(None, Unit::Count, self.progress);
        let options = self.key.options()?;
        let report = Database::verify_backup_with(&self.backup, &self.increments, &options, &mut |report| {
            progress.verified(report);
        });
        progress.finish();
        let report = report.map_err(Failure::engine(self.backup.display().to_string()))?;
        output.result(
            || {
                let (name, records) = (self.backup.display(), grouped(report.base.entries));
                let mut text = format!("{name} is whole: {records} records, up to commit {}", grouped(report.from.sequence()));
                if let Some((first, last)) = report.times_ms {
                    let (commits, to) = (grouped(report.commits), grouped(report.to.sequence()));
                    let (first, last) = (moment(first), moment(last));
                    text.push_str(&format!(
                        "\nits increments are whole: {commits} commits, up to {to}\nthe first was made {first}, the last {last}"
                    ));
                }
                text
            },
            || {
                json!({
                    "records": report.base.entries,
                    "from_sequence": report.from.sequence(),
                    "to_sequence": report.to.sequence(),
                    "commits": report.commits,
                    "from_time_ms": report.times_ms.map(|(first, _)| first),
                    "to_time_ms": report.times_ms.map(|(_, last)| last),
                    "seconds": rate.seconds(),
                })
            },
        )
    }
}
