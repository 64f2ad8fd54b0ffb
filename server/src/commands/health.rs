//! `lightning health`

use std::collections::BTreeMap;

use clap::Args;
use lightning_db::{Database, Error, Finding, Quarantined, RecoveryReport, Severity};
use serde_json::{Value as Json, json};

use crate::database::{Access, DatabaseArgs};
use crate::failure::{Failure, Outcome};
use crate::output::Output;
use crate::progress::{Progress, Unit, grouped};
use crate::types::{Type, key_prefix_as_text};

/// Nodes that are verified between two looks at the bar.
const STEP_NODES: usize = 64;

/// Say whether the database is well: what is not as it should be, why, and what to do about it
///
/// Everything stored is verified; nothing is written. Exit code 3 if something does not work. What the findings mean and how to
/// go on is in the guide to operations.
#[derive(Args, Debug)]
pub struct Health {
    #[command(flatten)]
    database: DatabaseArgs,
    /// Do not read everything stored: only what opening the database shows
    #[arg(long)]
    quick: bool,
}

/// What the engine finds, and what the shell finds beside it.
struct Found {
    severity: Severity,
    name: &'static str,
    cause: String,
    remedy: String,
}

impl Health {
    pub fn run(self, output: &mut Output) -> Outcome {
        let database = self.database.open(Access::Read)?;
        if !self.quick {
            self.scrub(&database)?;
        }
        let quarantined = database.quarantined().map_err(Failure::engine(self.database.name()))?;
        let types = types(&database);
        let mut found: Vec<_> = database.health().findings.into_iter().map(Found::from).collect();
        found.extend(of_recovery(database.recovery()));
        found.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
        output.result(
            || as_text(&self.database.name(), &found, &quarantined, &types),
            || as_json(&found, &quarantined, &types),
        )?;
        if found.iter().all(|finding| finding.severity < Severity::Critical) {
            return Ok(());
        }
        Err(Failure::Damaged(format!("{} is not well; what to do is said with each finding", self.database.name())))
    }

    fn scrub(&self, database: &Database) -> Outcome {
        let progress = Progress::start(Some(database.stats().used_bytes), Unit::Bytes, false);
        let mut scrub = database.scrub();
        loop {
            match scrub.step(STEP_NODES) {
                Ok(true) => {
                    let read = scrub.report().node_bytes + scrub.report().value_bytes;
                    progress.at(read, || format!("verified {} pages", grouped(scrub.report().nodes)));
                }
                Ok(false) => break,
                // What cannot be read is found, and told below.
                Err(Error::Storage(_)) => break,
                Err(error) => return Err(Failure::engine(self.database.name())(error)),
            }
        }
        progress.finish();
        Ok(())
    }
}

impl From<Finding> for Found {
    fn from(finding: Finding) -> Self {
        Self { severity: finding.severity, name: finding.name, cause: finding.cause, remedy: finding.remedy.to_owned() }
    }
}

fn of_recovery(recovery: &RecoveryReport) -> Option<Found> {
    (!recovery.clean).then(|| Found {
        severity: Severity::Notice,
        name: "not-closed",
        cause: format!(
            "the database was not closed; {} commits of its log were read, {} bytes at the end never were acknowledged as durable",
            grouped(recovery.replayed_commits),
            grouped(recovery.torn_bytes)
        ),
        remedy: "nothing: whoever opens it for writing goes on from there".to_owned(),
    })
}

/// The types of the keys of tables, as far as they can be read.
pub fn types(database: &Database) -> BTreeMap<String, Type> {
    let tables = database.tables().unwrap_or_default();
    tables.into_iter().map(|table| (table.name, Type::parse(&table.key_type))).collect()
}

/// What is behind a damaged extent, in a line.
pub fn damaged_as_text(damaged: &Quarantined, types: &BTreeMap<String, Type>) -> String {
    let place = format!("{} bytes at {}", grouped(damaged.len), damaged.offset);
    match &damaged.tables[..] {
        [] => format!("{place}: which keys are behind it cannot be told; 'lightning check' reads on"),
        [table] => {
            let text = |key: &[u8]| key_prefix_as_text(types.get(table), key);
            let keys = match (&damaged.from[..], &damaged.to[..]) {
                ([], []) => "all keys".to_owned(),
                ([], to) => format!("keys before {}", text(to)),
                (from, []) => format!("keys from {} on", text(from)),
                (from, to) => format!("keys from {} to before {}", text(from), text(to)),
            };
            format!("{place}: table '{table}', {keys}")
        }
        tables => {
            let names: Vec<_> = tables.iter().map(|name| format!("'{name}'")).collect();
            format!("{place}: tables {}", names.join(", "))
        }
    }
}

/// The same for programs.
pub fn damaged_as_json(damaged: &Quarantined, types: &BTreeMap<String, Type>) -> Json {
    let text = |key: &[u8]| {
        let kind = damaged.tables.first().and_then(|table| types.get(table));
        (!key.is_empty()).then(|| key_prefix_as_text(kind, key))
    };
    json!({
        "offset": damaged.offset,
        "bytes": damaged.len,
        "tables": damaged.tables,
        "from": text(&damaged.from),
        "before": text(&damaged.to),
    })
}

fn as_text(name: &str, found: &[Found], quarantined: &[Quarantined], types: &BTreeMap<String, Type>) -> String {
    let verdict = match found.iter().map(|finding| finding.severity).max() {
        None | Some(Severity::Notice) => "is well",
        Some(Severity::Warning) => "works, but needs a look",
        Some(Severity::Critical) => "is not well",
    };
    let mut lines = vec![format!("{name} {verdict}")];
    for Found { severity, name, cause, remedy } in found {
        lines.push(format!("{severity}: {name}: {cause}"));
        lines.push(format!("  to do: {remedy}"));
    }
    lines.extend(quarantined.iter().map(|damaged| format!("damaged: {}", damaged_as_text(damaged, types))));
    lines.join("\n")
}

fn as_json(found: &[Found], quarantined: &[Quarantined], types: &BTreeMap<String, Type>) -> Json {
    let findings: Vec<_> = found
        .iter()
        .map(|Found { severity, name, cause, remedy }| {
            json!({ "name": name, "severity": severity.to_string(), "cause": cause, "remedy": remedy })
        })
        .collect();
    let quarantined: Vec<_> = quarantined.iter().map(|damaged| damaged_as_json(damaged, types)).collect();
    let is_well = found.iter().all(|finding| finding.severity < Severity::Warning);
    json!({ "well": is_well, "findings": findings, "quarantined": quarantined })
}
