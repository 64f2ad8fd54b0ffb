//! Starts the workers, gives them the phases in turn and collects what they answer.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use super::arguments::Options;
use super::documents::step::Step;
use super::machine::Machine;
use super::measure::Metric;
use super::phase::{Phase, Suite, plan};
use super::report::Report;
use super::worker::{Answer, Request};
use super::{Result, peers, process};

pub(crate) fn conduct(options: &Options) -> Result<()> {
    let suites = plan(&options.subject, options.records, &options.phases);
    if suites.is_empty() || options.peers.is_empty() {
        return Err("nothing to measure: no phase or no peer is left".into());
    }
    // Only a directory of our own is ever emptied, and only by one run at a time.
    fs::create_dir_all(&options.directory)?;
    let lock = File::create(options.directory.join("peer-bench.lock"))?;
    if lock.try_lock().is_err() {
        return Err(format!("another run uses {}", options.directory.display()).into());
    }
    let directory = options.directory.join("peer-bench");
    if directory.exists() {
        fs::remove_dir_all(&directory)?;
    }
    fs::create_dir_all(&directory)?;
    let mut report =
        Report::new(options, Machine::describe(&directory), peers::descriptions(&options.subject, &options.peers));
    let mut failures = Vec::new();
    for suite in &suites {
        run_suite(options, &directory, suite, &mut report, &mut failures)?;
    }
    fs::remove_dir_all(&directory)?;

    print!("{}", report.to_markdown());
    if let Some(path) = &options.json {
        fs::write(path, report.to_json()?)?;
    }
    if failures.is_empty() { Ok(()) } else { Err(failures.join("\n").into()) }
}

/// In each round every peer runs every phase; the one that starts changes with the round. A peer that fails is
/// reported and sits out the rest of the suite.
fn run_suite(
    options: &Options,
    directory: &Path,
    suite: &Suite,
    report: &mut Report,
    failures: &mut Vec<String>,
) -> Result<()> {
    let mut seats: Vec<Seat> = options.peers.iter().map(|peer| Seat { peer, worker: None, failed: false }).collect();
    for round in 0..options.rounds {
        for &phase in &suite.phases {
            for turn in 0..seats.len() {
                let index = (turn + round as usize) % seats.len();
                let seat = &mut seats[index];
                if seat.failed {
                    continue;
                }
                let failure = match seat.run(options, directory, phase, round) {
                    Ok(Answer::Measured(metrics)) => {
                        progress(seat.peer, phase, round, &metrics);
                        report.add(seat.peer, metrics);
                        continue;
                    }
                    Ok(Answer::Skipped) => continue,
                    Ok(Answer::Failed(message)) => message,
                    Err(error) => error.to_string(),
                };
                let failure = format!("{}, {}: {failure}", seat.peer, phase.name());
                eprintln!("round {} {failure}", round + 1);
                failures.push(failure);
                seat.failed = true;
            }
        }
    }
    for Seat { peer, worker, failed } in seats {
        let Some(mut worker) = worker else { continue };
        if failed {
            worker.kill()?;
            continue;
        }
        if let Answer::Measured(mut metrics) = worker.ask(Phase::PeakMemory, 0)? {
            for metric in &mut metrics {
                metric.row = format!("{}: {}", suite.name, metric.row);
            }
            report.add(peer, metrics);
        }
        worker.finish()?;
    }
    Ok(())
}

/// A peer in a suite, with its process once a phase needed one.
struct Seat<'o> {
    peer: &'o str,
    worker: Option<Worker>,
    failed: bool,
}

impl Seat<'_> {
    fn run(&mut self, options: &Options, directory: &Path, phase: Phase, round: u64) -> Result<Answer> {
        if phase == Phase::Reopen {
            return kill_and_reopen(options, directory, self.peer, round);
        }
        if phase == Phase::Document(Step::OpenCold) {
            return leave_and_open(options, directory, self.peer, round);
        }
        let worker = match self.worker.take() {
            Some(worker) => worker,
            None => Worker::start(options, directory, self.peer)?,
        };
        process::sync_disk(directory)?;
        self.worker.insert(worker).ask(phase, round)
    }
}

/// Lets one process fill a log and kills it, and lets another open what it left.
fn kill_and_reopen(options: &Options, directory: &Path, peer: &str, round: u64) -> Result<Answer> {
    let mut filler = Worker::start(options, directory, peer)?;
    let filled = filler.ask(Phase::FillLog, round)?;
    filler.kill()?;
    if !matches!(filled, Answer::Measured(_)) {
        return Ok(filled);
    }
    let mut opener = Worker::start(options, directory, peer)?;
    let answer = opener.ask(Phase::Reopen, round)?;
    opener.finish()?;
    Ok(answer)
}

/// Lets one process leave a closed database, and another open it.
fn leave_and_open(options: &Options, directory: &Path, peer: &str, round: u64) -> Result<Answer> {
    let mut leaver = Worker::start(options, directory, peer)?;
    let left = leaver.ask(Phase::Document(Step::LeaveCold), round)?;
    leaver.finish()?;
    if !matches!(left, Answer::Measured(_)) {
        return Ok(left);
    }
    let mut opener = Worker::start(options, directory, peer)?;
    let answer = opener.ask(Phase::Document(Step::OpenCold), round)?;
    opener.finish()?;
    Ok(answer)
}

fn progress(peer: &str, phase: Phase, round: u64, metrics: &[Metric]) {
    let value = metrics.first().map_or_else(String::new, |metric| super::report::format(metric.unit, metric.value));
    eprintln!("round {} {:<20} {peer:<10} {value}", round + 1, phase.name());
}

/// A process that drives one peer.
struct Worker {
    child: Child,
    requests: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Worker {
    fn start(options: &Options, directory: &Path, peer: &str) -> Result<Self> {
        let mut child = Command::new(std::env::current_exe()?)
            .args(options.subject.arguments())
            .args(["--worker", peer])
            .args(["--records", &options.records.to_string()])
            .args(["--seconds", &options.seconds.to_string()])
            .arg("--dir")
            .arg(directory)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let requests = child.stdin.take().ok_or("a worker has no input")?;
        let answers = BufReader::new(child.stdout.take().ok_or("a worker has no output")?);
        Ok(Self { child, requests, answers })
    }

    fn ask(&mut self, phase: Phase, round: u64) -> Result<Answer> {
        serde_json::to_writer(&mut self.requests, &Request { phase, round })?;
        self.requests.write_all(b"\n")?;
        let mut line = String::new();
        if self.answers.read_line(&mut line)? == 0 {
            return Err(format!("the worker ended: {}", self.child.wait()?).into());
        }
        Ok(serde_json::from_str(&line)?)
    }

    /// Ends the input, and waits until the worker has closed its databases.
    fn finish(self) -> Result<()> {
        let Self { mut child, requests, answers } = self;
        drop(requests);
        drop(answers);
        let status = child.wait()?;
        if status.success() { Ok(()) } else { Err(format!("a worker ended: {status}").into()) }
    }

    fn kill(mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }
}
