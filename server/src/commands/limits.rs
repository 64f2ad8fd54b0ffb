//! `lightning limits`

use clap::Args;
use lightning_db::{Limits as Allowed, Stats};
use serde_json::{Value as Json, json};

use crate::database::{Access, DatabaseArgs};
use crate::failure::Outcome;
use crate::output::Output;
use crate::progress::{bytes, grouped};

/// Show what the database gives at most, and what is in use
///
/// These are the limits that the shell itself works within: an application chooses its own when it opens the database. What
/// is in use is that of the file as it lies there.
#[derive(Args, Debug)]
pub struct Limits {
    #[command(flatten)]
    database: DatabaseArgs,
}

impl Limits {
    pub fn run(self, output: &mut Output) -> Outcome {
        let database = self.database.open(Access::Read)?;
        let (allowed, used) = (database.limits(), database.stats());
        output.result(|| as_text(allowed, &used), || as_json(allowed, &used))
    }
}

fn as_text(allowed: &Allowed, used: &Stats) -> String {
    let of = |used: String, allowed: String| format!("{used} of {allowed}");
    let asked = |limit: Option<u64>| limit.map_or("no limit".to_owned(), |limit| format!("{} a second", bytes(limit)));
    let rows = [
        ("file_bytes_max", of(bytes(used.used_bytes), bytes(allowed.file_bytes_max))),
        ("log_bytes_max", of(bytes(used.log_bytes), allowed.log_bytes_max.map_or("the memory's".to_owned(), bytes))),
        ("transactions_max", of(grouped(used.transactions), grouped(allowed.transactions_max as u64))),
        ("transaction_ms_max", format!("{} ms", grouped(allowed.transaction_ms_max))),
        ("transaction_bytes_max", allowed.transaction_bytes_max.map_or(String::new(), |limit| bytes(limit as u64))),
        ("transactions_bytes_max", allowed.transactions_bytes_max.map_or(String::new(), |limit| bytes(limit as u64))),
        ("snapshots_max", of(grouped(used.snapshots), grouped(allowed.snapshots_max as u64))),
        ("snapshot_ms_max", format!("{} ms", grouped(allowed.snapshot_ms_max))),
        ("watches_max", grouped(allowed.watches_max as u64)),
        ("backups_max", grouped(allowed.backups_max as u64)),
        ("write_bytes_per_s", asked(allowed.write_bytes_per_s)),
        ("read_bytes_per_s", asked(allowed.read_bytes_per_s)),
    ];
    let lines: Vec<_> = rows.into_iter().map(|(name, text)| format!("{name:<22} {text}")).collect();
    lines.join("\n")
}

fn as_json(allowed: &Allowed, used: &Stats) -> Json {
    json!({
        "file_bytes_max": allowed.file_bytes_max,
        "file_bytes_used": used.used_bytes,
        "log_bytes_max": allowed.log_bytes_max,
        "log_bytes_used": used.log_bytes,
        "transactions_max": allowed.transactions_max,
        "transaction_ms_max": allowed.transaction_ms_max,
        "transaction_bytes_max": allowed.transaction_bytes_max,
        "transactions_bytes_max": allowed.transactions_bytes_max,
        "snapshots_max": allowed.snapshots_max,
        "snapshot_ms_max": allowed.snapshot_ms_max,
        "watches_max": allowed.watches_max,
        "backups_max": allowed.backups_max,
        "write_bytes_per_s": allowed.write_bytes_per_s,
        "read_bytes_per_s": allowed.read_bytes_per_s,
    })
}
