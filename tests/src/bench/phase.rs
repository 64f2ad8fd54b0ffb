//! The list of what is measured.

use serde::{Deserialize, Serialize};

use super::arguments::Subject;
use super::documents::step::{self, Step};

/// One thing that a worker can be asked to do and measure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Phase {
    /// Batches of 1,000 in key order into an empty database.
    LoadSorted,
    /// Batches of 1,000 in random order into an empty database.
    LoadRandom,
    /// Half of the records of [`Phase::LoadRandom`] written again, in random order.
    UpdateHalf,
    /// Makes the result as small as it gets.
    Compact,
    /// Random gets in a held snapshot, from a database of so many records.
    Get {
        records: u64,
    },
    /// 64 random keys in one call.
    GetMany,
    /// Keys that are not there.
    GetMissing,
    /// A snapshot or transaction for each get.
    GetFresh,
    /// Gets from two threads, each in a snapshot of its own.
    GetTwoThreads,
    /// The next so many entries from a random key.
    Seek {
        entries: u64,
    },
    ScanForward,
    ScanBackward,
    /// Transactions of one put, not synced.
    PutRelaxed,
    /// Transactions of one put, each durable when it returns.
    PutSync {
        clients: u32,
    },
    /// Random overwrites in synced batches of 1,000 with memory for a tenth of the data.
    Overwrite,
    /// Random gets with the same memory, afterwards.
    GetOverwritten,
    /// The conductor's: fill, kill, reopen.
    Reopen,
    /// The first half of [`Phase::Reopen`]: writes as much as a full log holds, then waits to be killed.
    FillLog,
    /// One of the benchmark of documents.
    Document(Step),
    /// What the worker has taken since it was started.
    PeakMemory,
}

impl Phase {
    /// The name in the table and for `--phases`.
    pub(crate) fn name(self) -> String {
        match self {
            Self::LoadSorted => "load-sorted".to_owned(),
            Self::LoadRandom => "load-random".to_owned(),
            Self::UpdateHalf => "update-half".to_owned(),
            Self::Compact => "compact".to_owned(),
            Self::Get { records } => format!("get-{records}"),
            Self::GetMany => "get-many-64".to_owned(),
            Self::GetMissing => "get-missing".to_owned(),
            Self::GetFresh => "get-fresh-snapshot".to_owned(),
            Self::GetTwoThreads => "get-2-threads".to_owned(),
            Self::Seek { entries } => format!("seek-{entries}"),
            Self::ScanForward => "scan-forward".to_owned(),
            Self::ScanBackward => "scan-backward".to_owned(),
            Self::PutRelaxed => "put-relaxed".to_owned(),
            Self::PutSync { clients } => format!("put-sync-{clients}"),
            Self::Overwrite => "overwrite-10x".to_owned(),
            Self::GetOverwritten => "get-10x".to_owned(),
            Self::Reopen => "reopen".to_owned(),
            Self::FillLog => "fill-log".to_owned(),
            Self::Document(step) => step.name().to_owned(),
            Self::PeakMemory => "peak-memory".to_owned(),
        }
    }
}

/// Phases that one set of worker processes runs, one after another, in each round.
pub(crate) struct Suite {
    pub(crate) name: &'static str,
    pub(crate) phases: Vec<Phase>,
}

/// Everything there is to measure, less what `wanted` (beginnings of names) leaves out.
pub(crate) fn plan(subject: &Subject, records: u64, wanted: &[String]) -> Vec<Suite> {
    let suites = match subject {
        Subject::Records => of_records(records),
        Subject::Documents(_) => step::plan(),
    };
    let chosen = |phase: &Phase| wanted.is_empty() || wanted.iter().any(|start| phase.name().starts_with(start));
    suites
        .into_iter()
        .map(|Suite { name, phases }| Suite { name, phases: phases.into_iter().filter(chosen).collect() })
        .filter(|suite| !suite.phases.is_empty())
        .collect()
}

fn of_records(records: u64) -> Vec<Suite> {
    let mut gets: Vec<Phase> =
        [10_000, 100_000].into_iter().filter(|&few| few < records).map(|records| Phase::Get { records }).collect();
    gets.extend([
        Phase::Get { records },
        Phase::GetMany,
        Phase::GetMissing,
        Phase::GetFresh,
        Phase::GetTwoThreads,
        Phase::Seek { entries: 10 },
        Phase::Seek { entries: 100 },
        Phase::ScanForward,
        Phase::ScanBackward,
    ]);
    let suites = [
        ("loads", vec![Phase::LoadSorted, Phase::LoadRandom, Phase::UpdateHalf, Phase::Compact]),
        ("reads", gets),
        ("relaxed puts", vec![Phase::PutRelaxed]),
        ("synced puts", vec![Phase::PutSync { clients: 1 }, Phase::PutSync { clients: 8 }]),
        ("small memory", vec![Phase::Overwrite, Phase::GetOverwritten]),
        ("kill", vec![Phase::Reopen]),
    ];
    suites.into_iter().map(|(name, phases)| Suite { name, phases }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phases_are_chosen_by_the_beginning_of_their_names() {
        let names = |wanted: &[&str]| -> Vec<String> {
            let wanted: Vec<String> = wanted.iter().map(|&name| name.to_owned()).collect();
            plan(&Subject::Records, 50_000, &wanted)
                .iter()
                .flat_map(|suite| &suite.phases)
                .map(|phase| phase.name())
                .collect()
        };
        assert_eq!(names(&["put-sync", "reopen"]), ["put-sync-1", "put-sync-8", "reopen"]);
        assert_eq!(names(&["get-1"]), ["get-10000", "get-10x"]);
        assert!(names(&["nothing"]).is_empty());
        assert_eq!(names(&[]).len(), of_records(50_000).iter().map(|suite| suite.phases.len()).sum::<usize>());
    }
}
