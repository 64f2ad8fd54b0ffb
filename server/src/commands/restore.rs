//! `lightning restore`

use std::path::PathBuf;

use clap::Args;
use clap::builder::{OsStringValueParser, TypedValueParser};
use lightning_db::{Database, ReplayUntil, RestoreProgress};
use serde_json::json;

use crate::failure::{Failure, Outcome};
use crate::key::KeyArgs;
use crate::moment::{moment, time_ms};
use crate::output::Output;
use crate::place::{Place, sources};
use crate::progress::{Progress, Rate, Unit, commits, grouped};

/// Make a database of a backup and its increments or its archive, as it was after their last commit or an earlier one
///
/// It is verified before it gets its name, and overwrites nothing. Increments are given in the order in which they were made; of
/// an archive's folder those pieces are read that follow the backup.
#[derive(Args, Debug)]
pub struct Restore {
    /// The new database file; it must not exist yet
    #[arg(value_name = "TO")]
    to: PathBuf,
    /// What 'backup' made: a file, - for standard input, or s3://BUCKET/PATH
    #[arg(value_name = "BACKUP", value_parser = OsStringValueParser::new().try_map(Place::parse))]
    backup: Place,
    /// What 'backup --since' made, oldest first, or the folder of an archive
    #[arg(value_name = "INCREMENT", value_parser = OsStringValueParser::new().try_map(Place::parse))]
    increments: Vec<Place>,
    /// Exactly the commits up to this one
    #[arg(long, value_name = "NUMBER", conflicts_with = "to_time")]
    to_sequence: Option<u64>,
    /// The commits made at this time or before, as in '2026-11-22 03:00:00 UTC' or milliseconds since 1970
    #[arg(long, value_name = "TIME", value_parser = time_ms)]
    to_time: Option<u64>,
    #[command(flatten)]
    key: KeyArgs,
    /// Tell how far it is, also where standard error is no terminal
    #[arg(long)]
    progress: bool,
}

impl Restore {
    pub fn run(self, output: &mut Output) -> Outcome {
        let rate = Rate::start();
        let progress = Progress::start(None, Unit::Count, self.progress);
        let until = match (self.to_sequence, self.to_time) {
            (Some(sequence), _) => ReplayUntil::Sequence(sequence),
            (None, Some(time_ms)) => ReplayUntil::Time(time_ms),
            (None, None) => ReplayUntil::End,
        };
        let options = self.key.options()?;
        let mut told = |at: RestoreProgress<'_>| match at {
            RestoreProgress::Copying(done) => progress.at(done, || "bytes copied".to_owned()),
            RestoreProgress::Replaying(report) => progress.at(report.commits, || "commits taken in".to_owned()),
            RestoreProgress::Verifying(report) => {
                progress.verified(report);
            }
            _ => {}
        };
        let (backup, increments) = (self.backup.source(), sources(&self.increments));
        let report = Database::restore_from(&self.to, backup, &increments, until, &options, &mut told);
        progress.finish();
        let report = report.map_err(Failure::engine(self.to.display().to_string()))?.replayed;
        output.result(
            || {
                let mut text = format!("restored {} to commit {}", self.to.display(), grouped(report.sequence));
                if report.commits > 0 {
                    text.push_str(&format!(", made {}", moment(report.time_ms)));
                }
                if !self.increments.is_empty() {
                    let verb = if report.commits == 1 { "is" } else { "are" };
                    text.push_str(&format!("; {} {verb} from increments", commits(report.commits)));
                }
                if report.left_out {
                    text.push_str("; they have later ones, which were left out");
                }
                text
            },
            || {
                json!({
                    "sequence": report.sequence,
                    "time_ms": (report.commits > 0).then_some(report.time_ms),
                    "commits": report.commits,
                    "left_out": report.left_out,
                    "seconds": rate.seconds(),
                })
            },
        )
    }
}
