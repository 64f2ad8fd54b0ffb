//! `lightning backup`

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use clap::Args;
use lightning_db::{Backup as Copy, BackupProgress, Database, Error, IncrementProgress};
use serde_json::json;

use crate::database::{Access, DatabaseArgs};
use crate::failure::{Failure, Outcome};
use crate::output::Output;
use crate::progress::{Progress, Rate, Unit, bytes, grouped};

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
    /// The new file, which must not exist yet; - for standard output
    #[arg(value_name = "TO")]
    to: PathBuf,
    /// Keep only what was committed after this backup or increment was made
    #[arg(long, value_name = "BACKUP")]
    since: Option<PathBuf>,
    /// Copy no more than so many MB a second: everything is read twice, so the whole takes twice its size
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
        if self.to == Path::new("-") {
            return stream(&mut backup).map_err(Failure::engine(self.database.name()));
        }
        let mut placed = false;
        let done = backup.write_to(&self.to, &mut |at: &BackupProgress| {
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

    fn increment(&self, since: &Path, output: &mut Output) -> Outcome {
        let rate = Rate::start();
        let progress = Progress::start(None, Unit::Count, self.progress);
        let options = self.database.key.options()?;
        let position =
            Database::position_of_backup_with(since, &options).map_err(Failure::engine(since.display().to_string()))?;
        // The log is followed as whoever writes it does.
        let database = self.database.open_with(Access::Write, &mut |stage| progress.stage(stage))?;
        let done = database.increment_to(&self.to, position, &mut |at: &IncrementProgress| {
            progress.set_total(at.commits_all);
            progress.at(at.commits, || format!("commits; {} written", bytes(at.bytes)));
        });
        progress.finish();
        let done = done.map_err(Failure::engine(self.database.name()))?;
        output.result(
            || {
                let (commits, size) = (grouped(done.commits), bytes(done.bytes));
                let (from, to) = (self.database.name(), self.to.display());
                format!("copied the commits of {from} since {} into {to}: {commits} commits, {size}", since.display())
            },
            || json!({ "commits": done.commits, "bytes": done.bytes, "seconds": rate.seconds() }),
        )
    }
}

/// All of it to standard output, and nothing else.
fn stream(backup: &mut Copy) -> Result<(), Error> {
    let mut out = std::io::stdout().lock();
    while let Some(piece) = backup.next()? {
        out.write_all(&piece).map_err(|error| Error::Invalid { what: format!("standard output: {error}") })?;
        backup.rest()?;
    }
    out.flush().map_err(|error| Error::Invalid { what: format!("standard output: {error}") })
}
