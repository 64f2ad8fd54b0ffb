//! One process from its start to its end, as its parent sees it.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use crate::message::Message;
use crate::model::RecordKey;
use crate::phase::Phase;
use crate::scenario::Scenario;

/// Opening, checking and telling a small database takes no longer, on the slowest machine.
const DUMP_MAX: Duration = Duration::from_secs(60);
/// An answer takes no longer.
const ANSWER_MAX: Duration = Duration::from_secs(20);

/// A running child.
pub struct Life {
    process: Child,
    stdin: ChildStdin,
    messages: Receiver<Message>,
    pub started: Instant,
}

/// What a child is told.
#[derive(Clone, Copy, Debug, Default)]
pub struct Orders {
    pub commits: Option<u64>,
    pub prefill: bool,
    pub verify: bool,
    pub write_back: bool,
    /// The stage of opening, from 1, to be told of.
    pub stage: Option<usize>,
}

/// Everything a database was found to hold.
#[derive(Debug, Default)]
pub struct Dump {
    pub micros: u64,
    /// From the start of the process.
    pub opened_after: Duration,
    pub problems: Vec<String>,
    pub records: Vec<(RecordKey, u64)>,
    pub heads: Vec<(u32, u64)>,
}

/// What was heard within a time.
pub enum Heard {
    Message(Message),
    /// Nothing.
    Silence,
    /// The child is gone.
    End,
}

impl Life {
    /// Starts a child for the database `app.ldb` in `folder`; its ledger and its complaints are in `beside`.
    pub fn start(scenario: &Scenario, seed: u64, folder: &Path, beside: &Path, orders: Orders) -> Result<Self, String> {
        let failed = |error: std::io::Error| format!("cannot start a child: {error}");
        let program = std::env::current_exe().map_err(failed)?;
        let complaints = OpenOptions::new().append(true).create(true).open(beside.join("stderr")).map_err(failed)?;
        let mut command = Command::new(program);
        command.arg("child").args(["--scenario", scenario.name]).args(["--seed", &seed.to_string()]);
        command.arg("--database").arg(folder.join("app.ldb")).arg("--ledger").arg(beside.join("ledger"));
        if let Some(commits) = orders.commits {
            command.args(["--commits", &commits.to_string()]);
        }
        if let Some(stage) = orders.stage {
            command.args(["--tell-stage", &stage.to_string()]);
        }
        let flags = [(orders.prefill, "--prefill"), (orders.verify, "--verify"), (orders.write_back, "--write-back")];
        command.args(flags.iter().filter(|(on, _)| *on).map(|(_, flag)| flag));
        let started = Instant::now();
        let mut process =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(complaints).spawn().map_err(failed)?;
        let (Some(stdin), Some(mut stdout)) = (process.stdin.take(), process.stdout.take()) else {
            return Err(String::from("cannot start a child: it has no pipes"));
        };
        let (send, messages) = channel();
        std::thread::spawn(move || {
            while let Ok(Some(message)) = Message::read(&mut stdout) {
                if send.send(message).is_err() {
                    return;
                }
            }
        });
        Ok(Self { process, stdin, messages, started })
    }

    /// What comes next, until `deadline`.
    pub fn hear(&self, deadline: Instant) -> Heard {
        match self.messages.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            Ok(message) => Heard::Message(message),
            Err(RecvTimeoutError::Timeout) => Heard::Silence,
            Err(RecvTimeoutError::Disconnected) => Heard::End,
        }
    }

    /// Takes in everything the child tells of its database; `None` if `kill_at`, or the stage it was to tell of, comes
    /// before the end of it.
    pub fn dump(&self, kill_at: Option<Instant>) -> Result<Option<Dump>, String> {
        let deadline = kill_at.unwrap_or_else(|| Instant::now() + DUMP_MAX);
        let mut dump = Dump::default();
        loop {
            match self.hear(deadline) {
                Heard::Message(Message::Opened { micros }) => {
                    (dump.micros, dump.opened_after) = (micros, self.started.elapsed());
                }
                Heard::Message(Message::Stage) => return Ok(None),
                Heard::Message(Message::Problem(problem)) => dump.problems.push(problem),
                Heard::Message(Message::Records(records)) => dump.records.extend(records),
                Heard::Message(Message::Heads(heads)) => dump.heads = heads,
                Heard::Message(Message::Dumped) => return Ok(Some(dump)),
                Heard::Message(Message::Failed(what)) => return Err(format!("opening and reading: {what}")),
                Heard::Message(other) => return Err(format!("{other:?} before the database was told")),
                Heard::Silence if kill_at.is_some() => return Ok(None),
                Heard::Silence => return Err(format!("opening and reading was not done after {DUMP_MAX:?}")),
                Heard::End => return Err(String::from("the process ended while it opened or read the database")),
            }
        }
    }

    /// Lets the child begin its commits.
    pub fn go(&mut self) -> Result<(), String> {
        self.stdin.write_all(b"g").map_err(|error| format!("the child is gone before its commits: {error}"))
    }

    /// Asks what the child is doing. `Err` if it failed before, `None` if it had just closed its database.
    pub fn ask(&mut self) -> Result<Option<Phase>, String> {
        let asked = self.stdin.write_all(b"?");
        let deadline = Instant::now() + ANSWER_MAX;
        loop {
            match self.hear(deadline) {
                Heard::Message(Message::Phase(phase)) => return Ok(Some(phase)),
                Heard::Message(Message::Closed) => return Ok(None),
                Heard::Message(Message::Failed(what)) => return Err(what),
                Heard::Message(_) => {}
                Heard::Silence => return Err(format!("no answer within {ANSWER_MAX:?}")),
                Heard::End if asked.is_err() => return Err(String::from("the process ended by itself")),
                Heard::End => return Err(String::from("the process ended by itself; see its complaints in 'stderr'")),
            }
        }
    }

    /// Kills the child.
    pub fn end(&mut self) {
        _ = self.process.kill();
        _ = self.process.wait();
    }

    /// Waits for a child that ends by itself.
    pub fn finish(&mut self) -> Result<(), String> {
        match self.process.wait() {
            Ok(status) if status.success() => Ok(()),
            Ok(status) => Err(format!("the process ended with {status}")),
            Err(error) => Err(format!("cannot wait for the process: {error}")),
        }
    }
}

impl Drop for Life {
    fn drop(&mut self) {
        self.end();
    }
}
