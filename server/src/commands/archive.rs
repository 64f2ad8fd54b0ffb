//! `lightning archive`

use clap::{Args, Subcommand};
use lightning_db::{ArchiveFolder, ArchiveOptions, ArchiveStatus, Database};
use serde_json::json;

use crate::database::{Access, DatabaseArgs};
use crate::failure::{Failure, Outcome};
use crate::moment::moment;
use crate::output::Output;
use crate::progress::{bytes, commits, counted, grouped};

const DAY_MS: u64 = 86_400_000;

/// Keep every commit in a folder, to restore the database to any of them
#[derive(Args, Debug)]
#[command(arg_required_else_help = true, subcommand_required = true)]
pub struct ArchiveCommand {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand, Debug)]
enum Action {
    On(On),
    Off(Off),
    Status(Status),
    Prune(Prune),
}

impl ArchiveCommand {
    pub fn run(self, output: &mut Output) -> Outcome {
        match self.action {
            Action::On(on) => on.run(output),
            Action::Off(off) => off.run(output),
            Action::Status(status) => status.run(output),
            Action::Prune(prune) => prune.run(output),
        }
    }
}

/// Archive every commit from now on, whoever opens the database; or change how
///
/// It is recorded in the database. A backup made afterwards and the archive restore it to any commit since. A gap that
/// 'archive status' told is acknowledged by this.
#[derive(Args, Debug)]
struct On {
    #[command(flatten)]
    database: DatabaseArgs,
    /// The folder, relative to that of the database [default: beside it, with -archive behind its name]
    #[arg(long)]
    folder: Option<String>,
    /// Delete what is older than so many days [default: keep all]
    #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u64).range(1..=100_000))]
    keep: Option<u64>,
    /// Delete the oldest beyond so many MB [default: keep all]
    #[arg(long, value_name = "MB", value_parser = clap::value_parser!(u64).range(1..=1 << 30))]
    keep_size: Option<u64>,
    /// Hold at most so many MB in the database until they are archived; beyond that the archive gets a gap [default: 256]
    #[arg(long, value_name = "MB", value_parser = clap::value_parser!(u64).range(1..=1 << 20))]
    hold: Option<u64>,
    /// Archive at least this often [default: 60]
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=86_400))]
    every: Option<u64>,
}

impl On {
    fn run(self, output: &mut Output) -> Outcome {
        let database = self.database.open(Access::Write)?;
        let mut options = database.archive_status().map_or_else(ArchiveOptions::default, |status| status.options);
        options.folder = self.folder.unwrap_or(options.folder);
        options.keep_ms = self.keep.map(|days| days * DAY_MS).or(options.keep_ms);
        options.keep_bytes = self.keep_size.map(|megabytes| megabytes << 20).or(options.keep_bytes);
        options.hold_bytes = self.hold.map_or(options.hold_bytes, |megabytes| megabytes << 20);
        options.interval_ms = self.every.map_or(options.interval_ms, |seconds| seconds * 1000);
        let begun = database.archive_on(options).and_then(|()| database.close());
        begun.map_err(Failure::engine(self.database.name()))?;
        tell(&self.database, &database, output)
    }
}

/// Archive nothing any more; what is archived stays
#[derive(Args, Debug)]
struct Off {
    #[command(flatten)]
    database: DatabaseArgs,
}

impl Off {
    fn run(self, output: &mut Output) -> Outcome {
        let database = self.database.open(Access::Write)?;
        let ended = database.archive_off().and_then(|()| database.close());
        ended.map_err(Failure::engine(self.database.name()))?;
        tell(&self.database, &database, output)
    }
}

/// Tell what is archived, what waits for it, and what it lacks
#[derive(Args, Debug)]
struct Status {
    #[command(flatten)]
    database: DatabaseArgs,
}

impl Status {
    fn run(self, output: &mut Output) -> Outcome {
        let database = self.database.open(Access::Read)?;
        tell(&self.database, &database, output)
    }
}

/// Delete what is beyond the limits of the archive and that no retained backup needs
#[derive(Args, Debug)]
struct Prune {
    #[command(flatten)]
    database: DatabaseArgs,
}

impl Prune {
    fn run(self, output: &mut Output) -> Outcome {
        let database = self.database.open(Access::Write)?;
        if database.archive_status().is_none() {
            return Err(Failure::usage(format!("{} is not archived; 'archive on' begins that", self.database.name())));
        }
        let pruned = database.archive_prune().and_then(|pruned| database.close().map(|()| pruned));
        let pruned = pruned.map_err(Failure::engine(self.database.name()))?;
        output.result(
            || {
                let mut text = format!("deleted {}, {}", counted(pruned.pieces, "piece"), bytes(pruned.bytes));
                if pruned.protected > 0 {
                    text.push_str(&format!("; {} stay for backups that are retained", grouped(pruned.protected)));
                }
                text
            },
            || json!({ "pieces": pruned.pieces, "bytes": pruned.bytes, "protected": pruned.protected }),
        )
    }
}

fn tell(args: &DatabaseArgs, database: &Database, output: &mut Output) -> Outcome {
    let Some(status) = database.archive_status() else {
        let text = || format!("{} is not archived", args.name());
        return output.result(text, || json!({ "on": false }));
    };
    let pieces = database.archive_pieces().map_err(Failure::engine(args.name()))?;
    let size = pieces.iter().map(|piece| piece.bytes).sum();
    let first = pieces.first().map(|piece| piece.after.sequence() + 1);
    let newest_ms = pieces.last().map(|piece| piece.time_ms);
    let folder = ArchiveFolder::of(&args.path, &status.options.folder).folder().display().to_string();
    output.result(
        || as_text(&status, &folder, (pieces.len() as u64, size, first, newest_ms)),
        || {
            json!({
                "on": true,
                "folder": folder,
                "keep_ms": status.options.keep_ms,
                "keep_bytes": status.options.keep_bytes,
                "interval_ms": status.options.interval_ms,
                "pieces": pieces.len(),
                "bytes": size,
                "first": first,
                "archived": status.archived.sequence(),
                "newest": status.newest,
                "held_bytes": status.held_bytes,
                "hold_bytes": status.options.hold_bytes,
                "gap": status.gap.map(|gap| json!({ "after": gap.after, "until": gap.until, "time_ms": gap.time_ms })),
                "failed": status.failed,
                "retained": status.retained.map(|(sequence, until_ms)| json!({ "after": sequence, "until_ms": until_ms })),
            })
        },
    )
}

fn as_text(
    status: &ArchiveStatus,
    folder: &str,
    (pieces, size, first, newest_ms): (u64, u64, Option<u64>, Option<u64>),
) -> String {
    let row = |name: &str, text: String| format!("{name:<10} {text}");
    let mut rows = vec![match (first, newest_ms) {
        (Some(first), Some(newest_ms)) => {
            let (from, to) = (grouped(first), grouped(status.archived.sequence()));
            row("archived", format!("commits {from} to {to}, made up to {}", moment(newest_ms)))
        }
        _ => row("archived", format!("nothing yet; it begins after commit {}", grouped(status.archived.sequence()))),
    }];
    rows.push(row("", format!("{}, {}", counted(pieces, "piece"), bytes(size))));
    let (days, limit) =
        (status.options.keep_ms.map(|ms| counted(ms / DAY_MS, "day")), status.options.keep_bytes.map(bytes));
    let keeps = match (days, limit) {
        (None, None) => "all".to_owned(),
        (Some(days), None) => days,
        (None, Some(limit)) => format!("at most {limit}"),
        (Some(days), Some(limit)) => format!("{days} and at most {limit}"),
    };
    rows.push(row("folder", format!("{folder}; keeps {keeps}")));
    let waiting = status.newest.saturating_sub(status.archived.sequence());
    let (held, hold) = (bytes(status.held_bytes), bytes(status.options.hold_bytes));
    rows.push(row("waiting", format!("{}; {held} held of at most {hold}", commits(waiting))));
    if let Some((sequence, until_ms)) = status.retained {
        rows.push(row("retained", format!("all after commit {} until {}", grouped(sequence), moment(until_ms))));
    }
    if let Some(gap) = &status.gap {
        let (after, until) = (grouped(gap.after), grouped(gap.until));
        let what = format!(
            "commits after {after} and up to {until} were not archived in time: make a backup now; 'archive on' ends this alarm"
        );
        rows.push(row("alarm", what));
    }
    if let Some(why) = &status.failed {
        rows.push(row("alarm", format!("the last attempt failed: {why}")));
    }
    rows.join("\n")
}
