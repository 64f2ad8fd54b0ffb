//! `lightning backup`

use std::time::{SystemTime, UNIX_EPOCH};

use clap::Args;
use clap::builder::{OsStringValueParser, TypedValueParser};
use lightning_db::{BackupProgress, Database, Error, IncrementProgress};
use serde_json::json;

use crate::database::{Access, DatabaseArgs};
use crate::failure::{Failure, Outcome};
use crate::output::Output;
use crate::place::{Place, Sink, Target};
use crate::progress::{Progress, Rate, Unit, bytes, commits, grouped};

/// Copy the database as it is now into a new file, or what was committed since an earlier backup
///
/// The copy is a database itself: what opens the one opens the other. It gets its name when it is whole and on the disk.
/// Everything is verified as it is read; damage is an error, and leaves no copy. With --since it is an increment, which holds
/// the commits after those of that file; 'restore' makes a database of a backup and its increments, or its archive. To '-' the
/// copy goes to standard output.
#[derive(Args, Debug)]
pub struct Backup {
    #[command(flatten)]
    database: DatabaseArgs,
    /// The new file, or s3://BUCKET/PATH, which must not exist yet; - for standard output
    #[arg(value_name = "TO", value_parser = OsStringValueParser::new().try_map(Place::parse))]
    to: Place,
    /// Keep only what was committed after this backup or increment was made
    #[arg(long, value_name = "BACKUP", value_parser = OsStringValueParser::new().try_map(Place::parse))]
    since: Option<Place>,
    /// Copy no more than so many MB a second; what goes to no file is laid out first, and that at this rate, too
    #[arg(long, value_name = "MB", conflicts_with = "since", value_parser = clap::value_parser!(u64).range(1..=1 << 20))]
    limit_rate: Option<u64>,
    /// Keep what the archive has since this backup for so many days, whatever its limits are
    #[arg(long, value_name = "DAYS", conflicts_with = "since", value_parser = clap::value_parser!(u64).range(1..=100_000))]
    retain: Option<u64>,
    /// Tell how far it is, also where standard error is no terminal
    #[arg(long)]
    progress: bool,
}

impl Backup {
    pub fn run(self, output: &mut Output) -> Outcome {
        if let Some(since) = &self.since {
            return self.increment(since, output);
        }
        let rate = Rate::start();
        let progress = Progress::start(None, Unit::Count, self.progress);
        let access = if self.retain.is_some() { Access::Write } else { Access::Read };
        let database = self.database.open_with(access, &mut |stage| progress.stage(stage))?;
        let mut backup = database.backup();
        if let Some(megabytes) = self.limit_rate {
            backup.limit_rate(megabytes << 20);
        }
        if let Some(days) = self.retain {
            // Before the copy is made: what it needs is there when it is done.
            let now_ms = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_millis() as u64);
            let until_ms = now_ms.saturating_add(days * 86_400_000);
            let retained = database.retain_archive(backup.position(), until_ms);
            retained.map_err(Failure::engine(self.database.name()))?;
        }
        let told = |at: &BackupProgress| {
            progress.set_total(at.entries_all);
            progress.at(at.entries, || format!("records read; {} written", bytes(at.bytes)));
        };
        let done = match self.to.begin()? {
            Target::File(to) => backup.write_to(to, &mut { told }).map_err(Failure::engine(self.database.name()))?,
            Target::Stream(sink) => {
                let tells = sink.leaves_standard_output();
                let done = fill(sink, &self.database, || {
                    let piece = backup.next()?;
                    backup.rest()?;
                    told(&backup.progress());
                    Ok((piece, backup.progress().bytes_all))
                });
                done?;
                if !tells {
                    return Ok(());
                }
                backup.progress()
            }
        };
        progress.finish();
        output.result(
            || {
                let (records, size) = (grouped(done.copied), bytes(done.bytes));
                format!("copied {} into {}: {records} records, {size}", self.database.name(), self.to)
            },
            || json!({ "records": done.copied, "bytes": done.bytes, "seconds": rate.seconds() }),
        )
    }

    fn increment(&self, since: &Place, output: &mut Output) -> Outcome {
        let rate = Rate::start();
        let progress = Progress::start(None, Unit::Count, self.progress);
        let options = self.database.key.options()?;
        let position = Database::position_of_backup_from(since.source(), &options);
        let position = position.map_err(Failure::engine(since.to_string()))?;
        // The log is followed as whoever writes it does.
        let database = self.database.open_with(Access::Write, &mut |stage| progress.stage(stage))?;
        let failed = || {
            |error| match error {
                Error::NoLongerKept { oldest, asked } => Failure::usage(format!(
                    "{}: its log begins with commit {oldest}, and an increment of {since} with {asked}: make a whole backup, and keep \
                     more of the log with --keep-log, or an archive",
                    self.database.name()
                )),
                error => Failure::engine(self.database.name())(error),
            }
        };
        let told = |at: &IncrementProgress| {
            progress.set_total(at.commits_all);
            progress.at(at.commits, || format!("commits; {} written", bytes(at.bytes)));
        };
        let done = match self.to.begin()? {
            Target::File(to) => database.increment_to(to, position, &mut { told }).map_err(failed())?,
            Target::Stream(sink) => {
                let tells = sink.leaves_standard_output();
                let mut increment = database.increment(position).map_err(failed())?;
                fill(sink, &self.database, || {
                    let piece = increment.next()?;
                    told(&increment.progress());
                    Ok((piece, None))
                })?;
                if !tells {
                    return Ok(());
                }
                increment.progress()
            }
        };
        progress.finish();
        output.result(
            || {
                let (commits, size) = (commits(done.commits), bytes(done.bytes));
                let from = self.database.name();
                format!("copied the commits of {from} since {since} into {}: {commits}, {size}", self.to)
            },
            || json!({ "commits": done.commits, "bytes": done.bytes, "seconds": rate.seconds() }),
        )
    }
}

/// All pieces go there, each with how many bytes there will be of all, where that is known.
fn fill(
    mut sink: Sink,
    database: &DatabaseArgs,
    mut next: impl FnMut() -> lightning_db::Result<(Option<Vec<u8>>, Option<u64>)>,
) -> Outcome {
    while let (Some(piece), all) = next().map_err(Failure::engine(database.name()))? {
        if let Some(all) = all {
            sink.expect(all);
        }
        sink.write(&piece)?;
    }
    sink.finish()
}
