//! Medians and ratios, as tables and as JSON.

use std::collections::BTreeMap;
use std::fmt::Write;

use serde::Serialize;

use super::Result;
use super::arguments::Options;
use super::machine::Machine;
use super::measure::{Metric, Unit};
use super::peers;

/// Collects the samples of a run.
#[derive(Serialize)]
pub(crate) struct Report {
    machine: Machine,
    subject: &'static str,
    records: u64,
    rounds: u64,
    seconds: f64,
    /// Version and settings by name.
    peers: BTreeMap<&'static str, String>,
    #[serde(skip)]
    order: Vec<&'static str>,
    rows: Vec<Row>,
}

/// One line of a table.
#[derive(Serialize)]
struct Row {
    name: String,
    unit: Unit,
    samples: BTreeMap<String, Vec<f64>>,
    medians: BTreeMap<String, f64>,
    /// The best of the other databases, and our median as a multiple of its.
    best_peer: Option<String>,
    ratio_to_best_peer: Option<f64>,
}

impl Report {
    pub(crate) fn new(options: &Options, machine: Machine, peers: BTreeMap<&'static str, String>) -> Self {
        let Options { records, rounds, seconds, .. } = *options;
        let subject = options.subject.name();
        Self { machine, subject, records, rounds, seconds, peers, order: options.peers.clone(), rows: Vec::new() }
    }

    pub(crate) fn add(&mut self, peer: &str, metrics: Vec<Metric>) {
        for Metric { row: name, unit, value } in metrics {
            let known = self.rows.iter().position(|row| row.name == name && row.unit == unit);
            let index = known.unwrap_or_else(|| {
                self.rows.push(Row::new(name, unit));
                self.rows.len() - 1
            });
            self.rows[index].add(peer, value);
        }
    }

    pub(crate) fn to_json(&self) -> Result<String> {
        Ok(serde_json::to_string_pretty(self)? + "\n")
    }

    /// Tables in Markdown that are also readable in a terminal.
    pub(crate) fn to_markdown(&self) -> String {
        let Machine { cpu, cores, memory_gib, kernel, file_system, commit } = &self.machine;
        let mut text = format!(
            "{} {}, medians of {} rounds. {cpu}, {cores} cores, {memory_gib:.0} GiB, {kernel}, \
             {file_system}; commit {commit}.\n\n",
            self.records, self.subject, self.rounds
        );
        for peer in &self.order {
            if let Some(description) = self.peers.get(peer) {
                text += &format!("- **{peer}**: {description}\n");
            }
        }
        let is_wall = |unit| unit == Unit::PerSecond;
        let is_cpu = |unit| unit == Unit::PerCpuSecond;
        let tables: [(&str, &dyn Fn(Unit) -> bool); 3] = [
            ("Operations in a second (wall time)", &is_wall),
            ("Operations in a second of CPU time", &is_cpu),
            ("Size, volume, memory, recovery", &|unit| !is_wall(unit) && !is_cpu(unit)),
        ];
        for (title, belongs) in tables {
            let rows: Vec<&Row> = self.rows.iter().filter(|row| belongs(row.unit)).collect();
            if !rows.is_empty() {
                text += &format!("\n### {title}\n\n{}", self.table(&rows));
            }
        }
        text
    }

    fn table(&self, rows: &[&Row]) -> String {
        let ours = self.order.contains(&peers::OURS);
        let mut header = vec![String::new()];
        header.extend(self.order.iter().map(|peer| (*peer).to_owned()));
        header.push("best peer".to_owned());
        if ours {
            header.push("ours / best".to_owned());
        }
        let mut lines = vec![header];
        for row in rows {
            let mut line = vec![row.name.clone()];
            line.extend(self.order.iter().map(|peer| match row.medians.get(*peer) {
                Some(&median) => format(row.unit, median),
                None => "–".to_owned(),
            }));
            line.push(row.best_peer.clone().unwrap_or_default());
            if ours {
                line.push(row.ratio_to_best_peer.map_or_else(String::new, |ratio| format!("{ratio:.2}")));
            }
            lines.push(line);
        }
        layout(&lines)
    }
}

impl Row {
    fn new(name: String, unit: Unit) -> Self {
        let (samples, medians) = (BTreeMap::new(), BTreeMap::new());
        Self { name, unit, samples, medians, best_peer: None, ratio_to_best_peer: None }
    }

    fn add(&mut self, peer: &str, value: f64) {
        let samples = self.samples.entry(peer.to_owned()).or_default();
        samples.push(value);
        let median = median(samples);
        self.medians.insert(peer.to_owned(), median);

        let others = self.medians.iter().filter(|(peer, _)| *peer != peers::OURS && *peer != peers::FLOOR);
        let best = if self.unit.more_is_better() {
            others.max_by(|a, b| a.1.total_cmp(b.1))
        } else {
            others.min_by(|a, b| a.1.total_cmp(b.1))
        };
        self.best_peer = best.map(|(peer, _)| peer.clone());
        self.ratio_to_best_peer = match (self.medians.get(peers::OURS), best) {
            (Some(ours), Some((_, best))) => Some(ours / best),
            _ => None,
        };
    }
}

/// A number with its unit, three digits long or so.
pub(crate) fn format(unit: Unit, value: f64) -> String {
    match unit {
        Unit::PerSecond | Unit::PerCpuSecond if value >= 999_500.0 => format!("{:.2} M/s", value / 1e6),
        Unit::PerSecond | Unit::PerCpuSecond if value >= 99_950.0 => format!("{:.0} k/s", value / 1e3),
        Unit::PerSecond | Unit::PerCpuSecond if value >= 999.5 => format!("{:.1} k/s", value / 1e3),
        Unit::PerSecond | Unit::PerCpuSecond => format!("{value:.0} /s"),
        Unit::BytesOver | Unit::Bytes => format!("{value:.0} B"),
        Unit::Amplification => format!("{value:.2} x"),
        Unit::Milliseconds if value < 0.1 => format!("{value:.4} ms"),
        Unit::Milliseconds if value < 10.0 => format!("{value:.2} ms"),
        Unit::Milliseconds => format!("{value:.0} ms"),
        Unit::Mebibytes => format!("{value:.0} MiB"),
        Unit::PercentKept => format!("{value:.0} %"),
        Unit::PercentMore => format!("{value:.1} %"),
    }
}

fn median(samples: &[f64]) -> f64 {
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    if sorted.len() % 2 == 1 { sorted[middle] } else { (sorted[middle - 1] + sorted[middle]) / 2.0 }
}

/// A Markdown table with its columns aligned.
fn layout(lines: &[Vec<String>]) -> String {
    let columns = lines.first().map_or(0, Vec::len);
    let width = |column: usize| lines.iter().map(|line| line[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut text = String::new();
    for (number, line) in lines.iter().enumerate() {
        for (index, (cell, width)) in line.iter().zip(&widths).enumerate() {
            // Writing to a String does not fail.
            let _ = if index == 0 { write!(text, "| {cell:<width$} ") } else { write!(text, "| {cell:>width$} ") };
        }
        text += "|\n";
        if number == 0 {
            for (index, width) in widths.iter().enumerate() {
                text += &format!("|{}{}", "-".repeat(width + 1), if index == 0 { "-" } else { ":" });
            }
            text += "|\n";
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_of_odd_and_even_counts() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), 2.5);
    }

    #[test]
    fn our_ratio_is_to_the_best_of_the_others() {
        let ratio = |unit| {
            let mut row = Row::new("row".to_owned(), unit);
            for (peer, value) in [(peers::OURS, 6.0), ("lmdb", 3.0), ("redb", 2.0), (peers::FLOOR, 100.0)] {
                row.add(peer, value);
            }
            (row.best_peer, row.ratio_to_best_peer)
        };
        assert_eq!(ratio(Unit::PerSecond), (Some("lmdb".to_owned()), Some(2.0)));
        assert_eq!(ratio(Unit::Milliseconds), (Some("redb".to_owned()), Some(3.0)));
    }

    #[test]
    fn numbers_keep_three_digits() {
        for (value, text) in
            [(999_499.0, "999 k/s"), (12_345_678.0, "12.35 M/s"), (1_234.0, "1.2 k/s"), (12.3, "12 /s")]
        {
            assert_eq!(format(Unit::PerSecond, value), text);
        }
    }
}
