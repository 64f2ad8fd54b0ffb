//! `lightning repair`

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::Args;
use lightning_db::{Database, EncryptionKey, Loss, LossKind, Options, SalvageBasis, SalvageReport};
use serde_json::json;

use crate::database::DatabaseArgs;
use crate::failure::{Failure, Outcome};
use crate::moment::moment;
use crate::output::Output;
use crate::progress::{Progress, Unit, grouped, rows};
use crate::types::{Type, key_prefix_as_text};

/// Losses that are printed; JSON has all.
const PRINTED_MAX: usize = 100;

/// Bring back everything readable of a damaged database, into a new one
///
/// The damaged database and its log are only read, never written to. Every record whose page is whole comes back, and every
/// whole commit of the log. What is lost is listed by table and keys, and the exit code is then 3. Of
/// a database that was not closed, commits at the very end of the log may be missing without a trace: the last one found is
/// named.
#[derive(Args, Debug)]
pub struct Repair {
    #[command(flatten)]
    database: DatabaseArgs,
    /// The new database; it must not exist yet
    #[arg(long, short, value_name = "NEW")]
    output: PathBuf,
    /// Tell how far it is, also where standard error is no terminal
    #[arg(long)]
    progress: bool,
}

impl Repair {
    pub fn run(self, output: &mut Output) -> Outcome {
        if !self.database.path.exists() {
            return Err(Failure::usage(format!("there is no database {}; check the path", self.database.name())));
        }
        let progress = Progress::start(None, Unit::Count, self.progress);
        let mut options = Options::default();
        options.memory_budget_bytes = self.database.memory_budget_bytes();
        self.database.key.apply(&mut options, false)?;
        let key = options.key.clone();
        let mut told = 0;
        let report = Database::repair(&self.database.path, &self.output, options, &mut |report| {
            progress.at(report.records, || format!("records  {} pages read", grouped(report.nodes)));
            if matches!(progress, Progress::Lines) && report.records >= (told * 2).max(1 << 16) {
                told = report.records;
                progress.done(&format!("brought back {} records", report.records));
            }
        });
        progress.finish();
        let report = report.map_err(Failure::engine(self.database.name()))?;
        let types = self.key_types(key)?;
        output.result(|| self.as_text(&report, &types), || as_json(&report, &types))?;
        if report.is_complete() {
            return Ok(());
        }
        Err(Failure::Damaged(format!(
            "not everything of {} came back; what is lost is listed. Keep the damaged files as they are until you have what you need",
            self.database.name()
        )))
    }

    /// The tables of the new database, with the types of their keys.
    fn key_types(&self, key: Option<EncryptionKey>) -> Outcome<BTreeMap<String, Type>> {
        let mut options = Options::default();
        options.key = key;
        options.read_only = true;
        let failed = || Failure::engine(self.output.display().to_string());
        let database = Database::open(&self.output, options).map_err(failed())?;
        let tables = database.tables().map_err(failed())?;
        Ok(tables.into_iter().map(|table| (table.name, Type::parse(&table.key_type))).collect())
    }

    fn as_text(&self, report: &SalvageReport, types: &BTreeMap<String, Type>) -> String {
        let mut text = format!(
            "{} of {} brought back from {} into {}",
            rows(report.records),
            if report.tables == 1 { "1 table".to_owned() } else { format!("{} tables", grouped(report.tables)) },
            self.database.name(),
            self.output.display()
        );
        let mut line = |what: String| {
            text.push('\n');
            text.push_str(&what);
        };
        match report.basis {
            SalvageBasis::Copy => line("the superblocks are lost; a copy of one led to the tables".to_owned()),
            SalvageBasis::NodesAlone => line(
                "nothing that leads to the tables is left: records were put together by their age; some may be older versions, or had been deleted"
                    .to_owned(),
            ),
            _ => {}
        }
        for (name, id) in &report.renamed {
            line(format!("lost: the name and the types of table {id}; it is '{name}' now, of bytes"));
        }
        for error in &report.lost_indexes {
            line(format!("lost: an index, which cannot be made again over what came back: {error}"));
        }
        for loss in report.losses.iter().take(PRINTED_MAX) {
            line(format!("lost: {}", loss_as_text(loss, types)));
        }
        if report.losses.len() > PRINTED_MAX {
            line(format!("and {} more; --json lists all", grouped((report.losses.len() - PRINTED_MAX) as u64)));
        }
        for commits in &report.lost_commits {
            line(match (commits.start(), commits.end()) {
                (first, &u64::MAX) => format!("lost: the end of the log, from commit {first} on, if there were any"),
                (first, last) if first == last => format!("lost: commit {first} of the log"),
                (first, last) => format!("lost: commits {first} to {last} of the log"),
            });
        }
        if let Some(end) = &report.log_end {
            let last = match (end.commit, end.time_ms) {
                (0, _) => "none was found".to_owned(),
                // The trees have no time before the first merge.
                (commit, 0) => format!("the last one found is commit {commit}"),
                (commit, time) => format!("the last one found is commit {commit}, of {}", moment(time)),
            };
            line(format!("commits at the very end of the log may be missing; {last}"));
        }
        text
    }
}

fn loss_as_text(loss: &Loss, types: &BTreeMap<String, Type>) -> String {
    let of = match (&loss.table, loss.table_id) {
        (Some(name), _) => format!("table '{name}'"),
        (None, 0) => "definitions of tables".to_owned(),
        (None, id) => format!("table {id}, of which nothing came back"),
    };
    let (from, to) = (key_as_text(loss, &loss.from, types), loss.to.as_ref().map(|to| key_as_text(loss, to, types)));
    let keys = match (loss.from.is_empty(), to) {
        (true, None) => "any key".to_owned(),
        (true, Some(to)) => format!("keys before {to}"),
        (false, None) => format!("keys from {from} on"),
        (false, Some(to)) => format!("keys from {from} to before {to}"),
    };
    let what = match (loss.kind, loss.records) {
        (LossKind::Changes, 0) => "changes".to_owned(),
        (LossKind::Changes, count) => format!("about {} newer changes, so that records are older", grouped(count)),
        (_, 1) => "1 record".to_owned(),
        (_, count) => format!("about {} records", grouped(count)),
    };
    format!("{of}, {keys}: {what}")
}

/// A key of a lost range.
fn key_as_text(loss: &Loss, key: &[u8], types: &BTreeMap<String, Type>) -> String {
    if loss.table_id == 0 {
        return key.escape_ascii().to_string();
    }
    key_prefix_as_text(loss.table.as_ref().and_then(|name| types.get(name)), key)
}

fn as_json(report: &SalvageReport, types: &BTreeMap<String, Type>) -> serde_json::Value {
    let losses: Vec<_> = report
        .losses
        .iter()
        .map(|loss| {
            json!({
                "table": loss.table,
                "table_id": loss.table_id,
                "from": key_as_text(loss, &loss.from, types),
                "before": loss.to.as_ref().map(|to| key_as_text(loss, to, types)),
                "records": loss.records,
                "kind": match loss.kind {
                    LossKind::Changes => "changes",
                    _ => "records",
                },
            })
        })
        .collect();
    let commits: Vec<_> = report
        .lost_commits
        .iter()
        .map(|range| json!({ "first": range.start(), "last": Some(range.end()).filter(|&&last| last < u64::MAX) }))
        .collect();
    let renamed: Vec<_> = report.renamed.iter().map(|(name, id)| json!({ "name": name, "table_id": id })).collect();
    json!({
        "complete": report.is_complete(),
        "basis": match report.basis {
            SalvageBasis::Superblock => "superblock",
            SalvageBasis::Copy => "copy",
            _ => "pages alone",
        },
        "checkpoint": report.checkpoint,
        "tables": report.tables,
        "records": report.records,
        "commits": report.commits,
        "pages": report.nodes,
        "damaged_pages": report.damaged_nodes,
        "damaged_values": report.damaged_values,
        "renamed": renamed,
        "lost_indexes": report.lost_indexes.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "lost": losses,
        "lost_commits": commits,
        "log_end": report.log_end.map(|end| json!({ "commit": end.commit, "time_ms": end.time_ms })),
    })
}
