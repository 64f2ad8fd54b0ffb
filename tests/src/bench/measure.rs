//! What a phase answers: named numbers with units.

use serde::{Deserialize, Serialize};

use super::clock::Stopwatch;

/// One number of one run of a phase.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Metric {
    /// Names the row of the table.
    pub(crate) row: String,
    pub(crate) unit: Unit,
    pub(crate) value: f64,
}

/// Says how a number is printed, and which of two is better.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Unit {
    /// Operations in a second of wall time.
    PerSecond,
    /// Operations in a second of CPU time, all threads of the process together, times the threads that asked.
    PerCpuSecond,
    /// Bytes a record takes beyond the bytes it holds.
    BytesOver,
    /// Bytes written to storage for each byte given.
    Amplification,
    Bytes,
    Milliseconds,
    Mebibytes,
    /// Of the commits acknowledged before a kill, those found after it.
    PercentKept,
    /// What something costs more than without a thing beside it.
    PercentMore,
}

impl Unit {
    pub(crate) fn more_is_better(self) -> bool {
        matches!(self, Self::PerSecond | Self::PerCpuSecond | Self::PercentKept)
    }
}

impl Metric {
    pub(crate) fn new(row: impl Into<String>, unit: Unit, value: f64) -> Self {
        Self { row: row.into(), unit, value }
    }
}

/// The two rates of `operations` that `watch` has timed while `threads` threads asked for them.
pub(crate) fn rates(row: &str, operations: u64, watch: &Stopwatch, threads: u32) -> Vec<Metric> {
    let wall = operations as f64 / watch.wall().as_secs_f64();
    let cpu = operations as f64 * f64::from(threads) / watch.cpu().as_secs_f64();
    vec![Metric::new(row, Unit::PerSecond, wall), Metric::new(row, Unit::PerCpuSecond, cpu)]
}
