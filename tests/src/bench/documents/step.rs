//! The list of what is measured.

use serde::{Deserialize, Serialize};

use crate::bench::phase::{Phase, Suite};

/// One thing that a worker can be asked to do and measure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Step {
    /// Batches of 1,000 into an empty database that has its indexes.
    Load { synced: bool },
    /// Single documents by the unique index.
    Lookup,
    /// The first 20 documents from a value of the other index on.
    Range,
    /// How many documents lie between two values of it.
    Count,
    /// Transactions that change the indexed field of one document.
    Update { synced: bool },
    /// The conductor's: one process leaves a closed database that is not in the system's cache, another opens it.
    OpenCold,
    /// The first half of it.
    LeaveCold,
    /// Commits with and without a watched query beside them.
    Watch,
}

impl Step {
    /// The name in the table and for `--phases`.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Load { synced: true } => "load",
            Self::Load { synced: false } => "load, relaxed",
            Self::Lookup => "lookup by unique index",
            Self::Range => "range with limit 20",
            Self::Count => "count by range",
            Self::Update { synced: true } => "update of an indexed field",
            Self::Update { synced: false } => "update of an indexed field, relaxed",
            Self::OpenCold => "open-cold",
            Self::LeaveCold => "leave-cold",
            Self::Watch => "watch",
        }
    }
}

/// Everything there is to measure.
pub(crate) fn plan() -> Vec<Suite> {
    let suites: [(&str, &[Step]); 5] = [
        ("loads", &[Step::Load { synced: true }, Step::Load { synced: false }]),
        ("reads", &[Step::Lookup, Step::Range, Step::Count]),
        ("updates", &[Step::Update { synced: true }, Step::Update { synced: false }]),
        ("opening", &[Step::OpenCold]),
        ("watching", &[Step::Watch]),
    ];
    suites
        .into_iter()
        .map(|(name, steps)| Suite { name, phases: steps.iter().map(|&step| Phase::Document(step)).collect() })
        .collect()
}
