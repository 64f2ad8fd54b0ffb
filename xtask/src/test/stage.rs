//! One stage of the tests: runs commands, counts what their test runners report, remembers the runners' own lines.

use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::Result;

use crate::process;

/// What a stage did.
pub struct Stage {
    name: &'static str,
    /// Tests that passed.
    pub passed: u64,
    /// Tests, and checks, that failed.
    pub failed: u64,
    /// The runners' own result lines, each under the program it speaks of.
    results: Vec<String>,
    duration: Duration,
}

impl Stage {
    /// Runs `body`. A stage that cannot be run to its end has failed, and the next one still gets its turn.
    pub fn run(name: &'static str, body: impl FnOnce(&mut Stage) -> Result<()>) -> Self {
        println!("\n== {name}");
        let mut stage = Self { name, passed: 0, failed: 0, results: Vec::new(), duration: Duration::ZERO };
        let start = Instant::now();
        if let Err(error) = body(&mut stage) {
            stage.fail(format!("{error:#}"));
        }
        stage.duration = start.elapsed();
        println!("{}", stage.summary());
        stage
    }

    /// Runs a command whose success is all there is to know.
    pub fn check(&mut self, what: &str, command: &mut Command) -> Result<()> {
        if process::watch(command, |_| {})? {
            self.results.push(format!("check {what}: ok"));
        } else {
            self.fail(format!("check {what}: failed"));
        }
        Ok(())
    }

    /// Notes how a step went that is no single command.
    pub fn step(&mut self, what: &str, outcome: Result<()>) {
        match outcome {
            Ok(()) => self.results.push(format!("{what}: ok")),
            Err(error) => self.fail(format!("{what}: {error:#}")),
        }
    }

    /// Runs tests, and counts what Rust's test runner (or wasm-bindgen's, which speaks the same way) reports. A command
    /// that fails without a failed test to show for it, or runs no test at all, is one failure.
    pub fn tests(&mut self, what: &str, command: &mut Command) -> Result<()> {
        let mut counted = Counts::default();
        let results = &mut self.results;
        let succeeded = process::watch(command, |line| {
            let line = line.trim();
            if let Some(counts) = Counts::parse(line) {
                counted.passed += counts.passed;
                counted.failed += counts.failed;
                results.push(format!("  {line}"));
            } else if names_a_program(line) || is_a_failure(line) {
                results.push(line.to_owned());
            }
        })?;
        self.count(what, command, succeeded, counted);
        Ok(())
    }

    /// Runs tests by Maven, and counts what the reports say that it leaves in these folders.
    pub fn junit(&mut self, what: &str, command: &mut Command, reports: &[PathBuf]) -> Result<()> {
        let succeeded = process::watch(command, |_| {})?;
        let mut counted = Counts::default();
        for file in reports.iter().flat_map(std::fs::read_dir).flatten().flatten() {
            let text = std::fs::read_to_string(file.path()).unwrap_or_default();
            if let Some(counts) = Counts::parse_junit(&text) {
                counted.passed += counts.passed;
                counted.failed += counts.failed;
            }
        }
        self.count(what, command, succeeded, counted);
        Ok(())
    }

    /// Runs tests by Swift Testing, and counts what it says of each.
    pub fn swift_tests(&mut self, what: &str, command: &mut Command) -> Result<()> {
        let mut counted = Counts::default();
        let succeeded = process::watch(command, |line| match Counts::of_swift(line) {
            Some(true) => counted.passed += 1,
            Some(false) => counted.failed += 1,
            None => {}
        })?;
        self.count(what, command, succeeded, counted);
        Ok(())
    }

    fn count(&mut self, what: &str, command: &Command, succeeded: bool, counted: Counts) {
        self.passed += counted.passed;
        self.failed += counted.failed;
        self.results.push(format!("{what}: {} passed; {} failed", counted.passed, counted.failed));
        if !succeeded && counted.failed == 0 {
            self.fail(format!("{what}: '{}' failed outside a test", process::line_of(command)));
        } else if counted == Counts::default() {
            self.fail(format!("{what}: '{}' ran no tests", process::line_of(command)));
        }
    }

    pub fn print_results(&self) {
        println!("== {}", self.name);
        self.results.iter().for_each(|line| println!("{line}"));
    }

    pub fn summary(&self) -> String {
        let minutes = self.duration.as_secs_f64() / 60.0;
        format!("{}: {minutes:.1} minutes, {} passed, {} failed", self.name, self.passed, self.failed)
    }

    fn fail(&mut self, what: String) {
        println!("FAILED: {what}");
        self.failed += 1;
        self.results.push(what);
    }
}

#[derive(Debug, Default, PartialEq, Eq)]
struct Counts {
    passed: u64,
    failed: u64,
}

impl Counts {
    /// Reads `test result: ok. 5 passed; 0 failed; …`.
    fn parse(line: &str) -> Option<Self> {
        let (_, counts) = line.strip_prefix("test result: ")?.split_once(". ")?;
        let of = |word: &str| {
            let part = counts.split(';').find_map(|part| part.trim().strip_suffix(word))?;
            part.trim().parse().ok()
        };
        Some(Self { passed: of("passed")?, failed: of("failed")? })
    }
}

impl Counts {
    /// Reads the first line of a report: `<testsuite … tests="8" errors="1" skipped="0" failures="0">`.
    fn parse_junit(report: &str) -> Option<Self> {
        let suite = report.split_once("<testsuite ")?.1.split_once('>')?.0;
        let of =
            |name: &str| -> Option<u64> { suite.split_once(&format!(" {name}=\""))?.1.split_once('"')?.0.parse().ok() };
        let failed = of("errors")? + of("failures")?;
        Some(Self { passed: of("tests")?.checked_sub(failed + of("skipped")?)?, failed })
    }

    /// Reads `✔ Test name() passed after 0.1 seconds.`; whether it passed.
    fn of_swift(line: &str) -> Option<bool> {
        let rest =
            line.trim().trim_start_matches(|letter: char| !letter.is_ascii_alphabetic()).strip_prefix("Test ")?;
        if rest.starts_with("run ") {
            return None;
        }
        if rest.contains(" passed after ") { Some(true) } else { rest.contains(" failed after ").then_some(false) }
    }
}

fn names_a_program(line: &str) -> bool {
    line.starts_with("Running ") || line.starts_with("Doc-tests ")
}

fn is_a_failure(line: &str) -> bool {
    line.starts_with("test ") && line.ends_with("... FAILED")
}

#[cfg(test)]
mod tests {
    use super::Counts;

    #[test]
    fn reports_of_other_runners_are_counted() {
        let report = "<?xml version=\"1.0\"?>\n<testsuite xsi:x=\"y\" name=\"dev.A\" time=\"1.1\" tests=\"8\" errors=\"1\" skipped=\"1\" failures=\"2\">\n";
        assert_eq!(Counts::parse_junit(report), Some(Counts { passed: 4, failed: 3 }));
        assert_eq!(Counts::parse_junit("tests=\"8\""), None);
        assert_eq!(Counts::of_swift("✔ Test tablesAreOrdered() passed after 0.130 seconds."), Some(true));
        assert_eq!(Counts::of_swift("✘ Test tablesAreOrdered() failed after 0.130 seconds with 1 issue."), Some(false));
        assert_eq!(Counts::of_swift("✔ Test run with 8 tests passed after 0.143 seconds."), None);
        assert_eq!(Counts::of_swift("◇ Test tablesAreOrdered() started."), None);
        assert_eq!(Counts::of_swift("✔ Suite PeopleTests passed after 0.143 seconds."), None);
    }

    #[test]
    fn result_lines_are_counted_and_others_are_not() {
        let line = "test result: FAILED. 12 passed; 3 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.01s";
        assert_eq!(Counts::parse(line), Some(Counts { passed: 12, failed: 3 }));
        let web = "test result: ok. 4 passed; 0 failed; 0 ignored; 0 filtered out; finished in 0.53s";
        assert_eq!(Counts::parse(web), Some(Counts { passed: 4, failed: 0 }));
        assert_eq!(Counts::parse("test db::opens ... ok"), None);
        assert_eq!(Counts::parse("running 3 tests"), None);
    }
}
