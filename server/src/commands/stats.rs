//! `lightning stats`

use clap::Args;
use lightning_db::{Latency, Stats as Figures};
use serde_json::{Value as Json, json};

use crate::database::{Access, DatabaseArgs};
use crate::failure::{Failure, Outcome};
use crate::output::Output;
use crate::progress::{bytes, grouped};

/// Show space, memory, log and operation figures
#[derive(Args, Debug)]
pub struct Stats {
    #[command(flatten)]
    database: DatabaseArgs,
}

impl Stats {
    pub fn run(self, output: &mut Output) -> Outcome {
        let database = self.database.open(Access::Read)?;
        let tables = database.tables().map_err(Failure::engine(self.database.name()))?.len();
        let figures = database.stats();
        output.result(|| as_text(tables, &figures), || as_json(tables, &figures))
    }
}

fn as_text(tables: usize, figures: &Figures) -> String {
    let reads = figures.cache_hits + figures.cache_misses;
    let mut rows = vec![
        ("tables", grouped(tables as u64)),
        ("records", format!("{} in the tree", grouped(figures.base_entries))),
        ("", format!("{} changes in {} runs above it", grouped(figures.run_entries), figures.runs)),
        ("", format!("{} changes in memory, {}", grouped(figures.memtable_entries), bytes(figures.memtable_bytes))),
        ("file", bytes(figures.file_bytes)),
        ("", format!("{} used", bytes(figures.used_bytes))),
        ("", format!("{} free", bytes(figures.free_bytes))),
        ("", format!("{} freed, waiting for a checkpoint or a snapshot", bytes(figures.pending_bytes))),
        ("log", format!("{} not yet merged", bytes(figures.log_bytes))),
        ("memory", format!("{} at most", bytes(figures.memory_budget_bytes))),
        (
            "cache",
            format!(
                "{} of {} in {} pages",
                bytes(figures.cache_bytes),
                bytes(figures.cache_bytes_max),
                grouped(figures.cache_nodes)
            ),
        ),
        (
            "",
            format!(
                "{} of {} reads found their page, {} pages dropped",
                grouped(figures.cache_hits),
                grouped(reads),
                grouped(figures.cache_evictions)
            ),
        ),
        ("commits", format!("{}; the newest is number {}", grouped(figures.commits), grouped(figures.sequence))),
        ("", format!("{} conflicts", grouped(figures.conflicts))),
        (
            "written",
            format!("{} of log, {} of pages", bytes(figures.log_bytes_written), bytes(figures.node_bytes_written)),
        ),
        (
            "merges",
            format!(
                "{} memtables; {} checkpoints, the newest is number {}",
                grouped(figures.flushes),
                grouped(figures.checkpoints),
                grouped(figures.checkpoint)
            ),
        ),
        (
            "snapshots",
            format!("{} held, {} kept for them", grouped(figures.snapshots), bytes(figures.snapshot_pinned_bytes)),
        ),
        ("made with", format!("compression {}, checksums {}", figures.compression.name(), figures.checksum.name())),
    ];
    if figures.quarantined > 0 {
        let what = format!(
            "{} damaged places, {}; run 'lightning check'",
            grouped(figures.quarantined),
            bytes(figures.quarantined_bytes)
        );
        rows.push(("damage", what));
    }
    if figures.archive_held_bytes > 0 {
        rows.push(("archive", format!("{} wait for it", bytes(figures.archive_held_bytes))));
    }
    if figures.archive_gap || figures.archive_failing {
        rows.push(("alarm", "the archive lacks commits or fails; see 'lightning archive status'".to_owned()));
    }
    if let Some(under_way) = &figures.reencryption {
        let how_far = match (&under_way.waiting_for, under_way.all) {
            (Some(what), _) => format!("{}; waits for {what}", under_way.stage.name()),
            (None, 0) => under_way.stage.name().to_owned(),
            (None, all) => format!("{}, {} of about {}", under_way.stage.name(), grouped(under_way.done), grouped(all)),
        };
        rows.push(("encrypted anew", how_far));
    }
    let latencies =
        [("commit", &figures.commit_latency), ("sync", &figures.sync_latency), ("step", &figures.step_latency)];
    rows.extend(
        latencies
            .into_iter()
            .filter(|(_, latency)| latency.count() > 0)
            .map(|(name, latency)| (name, format!("{} in all; {}", grouped(latency.count()), percentiles(latency)))),
    );
    let lines: Vec<_> = rows.into_iter().map(|(name, text)| format!("{name:<10} {text}")).collect();
    lines.join("\n")
}

fn percentiles(latency: &Latency) -> String {
    let shown = |per_cent| format!("{per_cent} % below {} µs", grouped(latency.percentile_us(per_cent)));
    [50, 90, 99].map(shown).join(", ")
}

fn as_json(tables: usize, figures: &Figures) -> Json {
    json!({
        "tables": tables,
        "sequence": figures.sequence,
        "checkpoint": figures.checkpoint,
        "compression": figures.compression.name(),
        "checksum": figures.checksum.name(),
        "base_entries": figures.base_entries,
        "runs": figures.runs,
        "run_entries": figures.run_entries,
        "memtable_entries": figures.memtable_entries,
        "memtable_bytes": figures.memtable_bytes,
        "cache_nodes": figures.cache_nodes,
        "cache_bytes": figures.cache_bytes,
        "cache_bytes_max": figures.cache_bytes_max,
        "memory_budget_bytes": figures.memory_budget_bytes,
        "cache_hits": figures.cache_hits,
        "cache_misses": figures.cache_misses,
        "cache_evictions": figures.cache_evictions,
        "file_bytes": figures.file_bytes,
        "used_bytes": figures.used_bytes,
        "free_bytes": figures.free_bytes,
        "pending_bytes": figures.pending_bytes,
        "log_bytes": figures.log_bytes,
        "commits": figures.commits,
        "conflicts": figures.conflicts,
        "log_bytes_written": figures.log_bytes_written,
        "node_bytes_written": figures.node_bytes_written,
        "flushes": figures.flushes,
        "checkpoints": figures.checkpoints,
        "snapshots": figures.snapshots,
        "snapshot_oldest_ms": figures.snapshot_oldest_ms,
        "snapshot_pinned_bytes": figures.snapshot_pinned_bytes,
        "snapshots_expired": figures.snapshots_expired,
        "transactions": figures.transactions,
        "scrubs": figures.scrubs,
        "scrub_bytes": figures.scrub_bytes,
        "scrub_bytes_all": figures.scrub_bytes_all,
        "archive_held_bytes": figures.archive_held_bytes,
        "archive_failing": figures.archive_failing,
        "archive_gap": figures.archive_gap,
        "reencryption": figures.reencryption.as_ref().map(|under_way| json!({
            "stage": under_way.stage.name(),
            "done": under_way.done,
            "all": under_way.all,
            "waiting_for": under_way.waiting_for,
        })),
        "quarantined": figures.quarantined,
        "quarantined_bytes": figures.quarantined_bytes,
        "commit_latency_us": latency_json(&figures.commit_latency),
        "sync_latency_us": latency_json(&figures.sync_latency),
        "step_latency_us": latency_json(&figures.step_latency),
    })
}

/// `below_powers_of_two[i]` counts what took less than 2^i µs and not less than half of that.
fn latency_json(latency: &Latency) -> Json {
    json!({
        "count": latency.count(),
        "p50": latency.percentile_us(50),
        "p90": latency.percentile_us(90),
        "p99": latency.percentile_us(99),
        "below_powers_of_two": latency.buckets,
    })
}
