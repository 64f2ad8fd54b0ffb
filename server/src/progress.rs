//! Progress on standard error: a bar for people, lines for programs.

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use lightning_db::{CheckReport, RecoveryStage};

/// Tells how far a long command is.
pub enum Progress {
    Bar(ProgressBar),
    Lines,
    Silent,
}

impl Progress {
    /// A bar where standard error is a terminal; elsewhere lines, if they were asked for. `total` is in the unit that
    /// [`at`](Self::at) is told; without it the bar turns in place.
    pub fn start(total: Option<u64>, unit: Unit, lines_asked: bool) -> Self {
        if !std::io::stderr().is_terminal() {
            return if lines_asked { Self::Lines } else { Self::Silent };
        }
        let bar = ProgressBar::with_draw_target(total, ProgressDrawTarget::stderr_with_hz(10));
        bar.set_style(style(total.is_some(), unit));
        bar.enable_steady_tick(Duration::from_millis(200));
        Self::Bar(bar)
    }

    /// How far it is, and in words.
    pub fn at(&self, position: u64, message: impl FnOnce() -> String) {
        if let Self::Bar(bar) = self {
            bar.set_position(position);
            bar.set_message(message());
        }
    }

    /// What a check has read.
    pub fn verified(&self, report: &CheckReport) {
        self.at(report.entries, || format!("records  {} verified", bytes(report.node_bytes + report.value_bytes)));
    }

    /// The total has become known: the bar fills up to it.
    pub fn set_total(&self, total: u64) {
        if let Self::Bar(bar) = self {
            bar.set_style(style(true, Unit::Count));
            bar.set_length(total);
        }
    }

    /// So many rows are safe: a program that reads this may rely on it.
    pub fn acknowledged(&self, rows: u64) {
        if let Self::Lines = self {
            let mut stderr = std::io::stderr().lock();
            // Nobody may be listening; the import goes on all the same.
            _ = writeln!(stderr, "acknowledged {rows}");
            _ = stderr.flush();
        }
    }

    /// A line for those who have no bar and asked for lines.
    pub fn line(&self, line: impl FnOnce() -> String) {
        if let Self::Lines = self {
            // Nobody may be listening.
            _ = writeln!(std::io::stderr(), "{}", line());
        }
    }

    /// Something that must be said, whether or not progress is asked for: a line that stays.
    pub fn stays(&self, line: &str) {
        match self {
            Self::Bar(bar) => bar.println(line),
            // Nobody may be listening.
            Self::Lines | Self::Silent => _ = writeln!(std::io::stderr(), "{line}"),
        }
    }

    /// A step of the work is done: a line that stays.
    pub fn done(&self, line: &str) {
        match self {
            Self::Bar(bar) => bar.println(line),
            // Nobody may be listening.
            Self::Lines => _ = writeln!(std::io::stderr(), "{line}"),
            Self::Silent => {}
        }
    }

    /// A stage of opening the database begins.
    pub fn stage(&self, stage: RecoveryStage) {
        let count = RecoveryStage::ALL.len();
        self.done(&format!("{:>2} of {count}  {}", stage.number(), stage.name()));
    }

    /// Takes the bar away.
    pub fn finish(self) {
        if let Self::Bar(bar) = self {
            bar.finish_and_clear();
        }
    }
}

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    Bytes,
    Count,
}

fn style(bounded: bool, unit: Unit) -> ProgressStyle {
    let template = match (bounded, unit) {
        (true, Unit::Bytes) => "{bar:24} {bytes} of {total_bytes}  {msg}  {eta} left",
        (true, Unit::Count) => "{bar:24} {human_pos} of {human_len}  {msg}  {eta} left",
        (false, Unit::Bytes) => "{spinner} {bytes}  {msg}  {elapsed}",
        (false, Unit::Count) => "{spinner} {human_pos}  {msg}  {elapsed}",
    };
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()).progress_chars("=> ")
}

/// Rows since a start, and how many a second.
pub struct Rate {
    start: Instant,
}

impl Rate {
    pub fn start() -> Self {
        Self { start: Instant::now() }
    }

    pub fn seconds(&self) -> f64 {
        self.start.elapsed().as_secs_f64()
    }

    pub fn per_second(&self, count: u64) -> u64 {
        (count as f64 / self.seconds().max(1e-6)) as u64
    }
}

/// `1234567` as `1,234,567`.
pub fn grouped(number: u64) -> String {
    indicatif::HumanCount(number).to_string()
}

/// `1 row`, `1,234 rows`.
pub fn rows(count: u64) -> String {
    counted(count, "row")
}

/// `1 record`, `1,234 records`.
pub fn records(count: u64) -> String {
    counted(count, "record")
}

/// `1 commit`, `1,234 commits`.
pub fn commits(count: u64) -> String {
    counted(count, "commit")
}

/// `1 piece`, `1,234 pieces`: of words that take an s.
pub fn counted(count: u64, word: &str) -> String {
    format!("{} {word}{}", grouped(count), if count == 1 { "" } else { "s" })
}

/// `1536` as `1.50 KiB`.
pub fn bytes(count: u64) -> String {
    indicatif::HumanBytes(count).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_template_is_valid() {
        for (bounded, unit) in [(true, Unit::Bytes), (true, Unit::Count), (false, Unit::Bytes), (false, Unit::Count)] {
            style(bounded, unit);
        }
        assert!(ProgressStyle::with_template("{bar:24} {bytes} of {total_bytes}  {msg}  {eta} left").is_ok());
        assert_eq!(grouped(1_234_567), "1,234,567");
    }
}
