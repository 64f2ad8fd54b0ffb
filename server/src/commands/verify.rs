//! `lightning verify`

use clap::Args;
use clap::builder::{OsStringValueParser, TypedValueParser};
use lightning_db::Database;
use serde_json::json;

use crate::failure::{Failure, Outcome};
use crate::key::KeyArgs;
use crate::moment::moment;
use crate::output::Output;
use crate::place::{Place, sources};
use crate::progress::{Progress, Rate, Unit, commits, grouped};

/// Verify a backup and its increments: every checksum, and that each goes on where the one before ends
///
/// Nothing is written. Increments are given in the order in which they were made.
#[derive(Args, Debug)]
pub struct Verify {
    /// What 'backup' made
    #[arg(value_name = "BACKUP", value_parser = OsStringValueParser::new().try_map(Place::parse))]
    backup: Place,
    /// What 'backup --since' made, oldest first, or the folder of an archive
    #[arg(value_name = "INCREMENT", value_parser = OsStringValueParser::new().try_map(Place::parse))]
    increments: Vec<Place>,
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
        let (backup, increments) = (self.backup.source(), sources(&self.increments));
        let report = Database::verify_backup_from(backup, &increments, &options, &mut |report| {
            progress.verified(report);
        });
        progress.finish();
        let report = report.map_err(Failure::engine(self.backup.to_string()))?;
        output.result(
            || {
                let (name, records) = (&self.backup, grouped(report.base.entries));
                let mut text =
                    format!("{name} is whole: {records} records, up to commit {}", grouped(report.from.sequence()));
                if let Some((first, last)) = report.times_ms {
                    let (commits, to) = (commits(report.commits), grouped(report.to.sequence()));
                    let (first, last) = (moment(first), moment(last));
                    text.push_str(&format!(
                        "\nits increments are whole: {commits}, up to {to}\nthe first was made {first}, the last {last}"
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
