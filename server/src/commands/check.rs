//! `lightning check`

use std::collections::BTreeMap;

use clap::Args;
use lightning_db::{CheckReport, Quarantined, RecoveryReport, RecoveryStage};
use serde_json::json;

use crate::commands::health::{damaged_as_json, damaged_as_text, types};
use crate::database::{Access, DatabaseArgs};
use crate::failure::{Failure, Outcome};
use crate::output::Output;
use crate::progress::{Progress, Rate, Unit, bytes, grouped};
use crate::types::Type;

/// Verify the whole database: every page and value, the order and number of records, the use of space, documents and indexes
///
/// Nothing is written. Exit code 3 and a list of what is wrong, if anything is.
#[derive(Args, Debug)]
pub struct Check {
    #[command(flatten)]
    database: DatabaseArgs,
    /// Tell how far it is, also where standard error is no terminal
    #[arg(long)]
    progress: bool,
}

impl Check {
    pub fn run(self, output: &mut Output) -> Outcome {
        let rate = Rate::start();
        let progress = Progress::start(None, Unit::Count, self.progress);
        let database = self.database.open_with(Access::Read, &mut |stage| match stage {
            RecoveryStage::Done => progress.done("verify pages, values, order, counts and space"),
            stage => progress.stage(stage),
        })?;
        let found = database.recovery();
        let stats = database.stats();
        progress.set_total(stats.base_entries + stats.run_entries);
        let mut lines = ProgressLines::default();
        let report = database.check_with(&mut |report| {
            progress.verified(report);
            lines.tell(&progress, report);
        });
        let report = report.map_err(Failure::engine(self.database.name()))?;
        progress.finish();
        let quarantined = database.quarantined().map_err(Failure::engine(self.database.name()))?;
        let types = types(&database);
        output.result(
            || as_text(&self.database.name(), found, &report, rate.seconds(), &quarantined, &types),
            || as_json(found, &report, rate.seconds(), &quarantined, &types),
        )?;
        if report.is_clean() {
            return Ok(());
        }
        Err(Failure::Damaged(format!(
            "{} is damaged; keep a copy of it as it is, then restore a backup, or bring back what is whole with 'lightning repair'",
            self.database.name()
        )))
    }
}

/// A line each time the number of verified records has doubled, for those who have no bar.
#[derive(Default)]
struct ProgressLines {
    told: u64,
}

impl ProgressLines {
    fn tell(&mut self, progress: &Progress, report: &CheckReport) {
        if matches!(progress, Progress::Lines) && report.entries >= (self.told * 2).max(1 << 16) {
            self.told = report.entries;
            progress.done(&format!("verified {} records", report.entries));
        }
    }
}

fn as_text(
    name: &str,
    found: &RecoveryReport,
    report: &CheckReport,
    seconds: f64,
    quarantined: &[Quarantined],
    types: &BTreeMap<String, Type>,
) -> String {
    let mut text = String::new();
    for problem in &report.problems {
        text.push_str(&format!("damaged: {problem}\n"));
    }
    for damaged in quarantined {
        text.push_str(&format!("refused: {}\n", damaged_as_text(damaged, types)));
    }
    let log = match (found.clean, found.torn_bytes) {
        (true, _) => "closed properly, nothing to replay".to_owned(),
        (false, 0) => format!("not closed properly; {} commits replayed", grouped(found.replayed_commits)),
        (false, torn) => format!(
            "not closed properly; {} commits replayed, {} cut at the end that were never acknowledged as durable",
            grouped(found.replayed_commits),
            bytes(torn)
        ),
    };
    let documents = if report.collections == 0 {
        String::new()
    } else {
        format!(
            "\n  documents{:>14}  in {} collections, with {} entries of indexes (each held against the other)",
            grouped(report.documents),
            grouped(report.collections),
            grouped(report.index_entries),
        )
    };
    let space = if report.is_clean() { "every sector accounted for" } else { "see above" };
    let verdict = if report.is_clean() { "whole" } else { "damaged" };
    text.push_str(&format!(
        "{name} is {verdict}
  pages    {:>14}  {} (checksum and structure of each)
  records  {:>14}  in tables (order and number)
           {:>14}  in the catalogue of tables
  values   {:>14}  {} in extents of their own (checksum of each block){documents}
  space    {space}
  log      {log}
  time     {seconds:>12.2} s",
        grouped(report.nodes),
        bytes(report.node_bytes),
        grouped(report.entries - report.catalogue_entries),
        grouped(report.catalogue_entries),
        grouped(report.values),
        bytes(report.value_bytes),
    ));
    text
}

fn as_json(
    found: &RecoveryReport,
    report: &CheckReport,
    seconds: f64,
    quarantined: &[Quarantined],
    types: &BTreeMap<String, Type>,
) -> serde_json::Value {
    let quarantined: Vec<_> = quarantined.iter().map(|damaged| damaged_as_json(damaged, types)).collect();
    json!({
        "clean": report.is_clean(),
        "pages": report.nodes,
        "page_bytes": report.node_bytes,
        "records": report.entries - report.catalogue_entries,
        "catalogue_records": report.catalogue_entries,
        "values": report.values,
        "value_bytes": report.value_bytes,
        "collections": report.collections,
        "documents": report.documents,
        "index_entries": report.index_entries,
        "problems": report.problems,
        "quarantined": quarantined,
        "clean_close": found.clean,
        "replayed_commits": found.replayed_commits,
        "torn_bytes": found.torn_bytes,
        "seconds": seconds,
    })
}
