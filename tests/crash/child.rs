//! The process that is killed: opens the database, tells all it holds, and commits until its end.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use lightning_db::{Activity, Collection, Database, Durability, Error, Result, Table, Value};
#[cfg(target_os = "linux")]
use nix::fcntl::{PosixFadviseAdvice, posix_fadvise};

use crate::commit::{Beside, HEADS, RECORDS, commit};
use crate::documents;
use crate::ledger::{Entry, Ledger};
use crate::message::{Message, RECORDS_MAX, Sender};
use crate::phase::{self, Phase};
use crate::plan::{Commit, digest};
use crate::scenario::{Scenario, Work};

/// What `lightning import` fills.
pub const ROWS: Table<u64, &str> = Table::new("rows");

/// How a child is called.
#[derive(Debug)]
pub struct Arguments {
    pub scenario: &'static Scenario,
    pub seed: u64,
    pub database: PathBuf,
    pub ledger: PathBuf,
    /// Commits of each writer, after which the database is closed.
    pub commits: Option<u64>,
    /// All commits relaxed: it is only to become full.
    pub prefill: bool,
    /// Only tell what there is, and end without closing.
    pub verify: bool,
    /// The stage of opening, from 1, to tell of.
    pub stage: Option<usize>,
    /// Let the system write back what is dirty now and then, so that a power loss finds some of it written.
    pub write_back: bool,
}

static DATABASE: OnceLock<Database> = OnceLock::new();

/// Ends only when told to, or when all commits are made.
pub fn run(arguments: &Arguments) {
    let sender = Arc::new(Sender::new());
    let go = listen(Arc::clone(&sender));
    if let Err(error) = live(arguments, &sender, &go) {
        fail(&sender, &error.to_string());
    }
}

fn fail(sender: &Sender, what: &str) -> ! {
    sender.send(&Message::Failed(String::from(what)));
    // Without dropping the database, which would close it.
    std::process::exit(1)
}

/// Answers the parent's question, and passes on its permission to begin. Ends the process when the parent is gone.
fn listen(sender: Arc<Sender>) -> Receiver<()> {
    let (begin, go) = channel();
    std::thread::spawn(move || {
        for byte in std::io::stdin().lock().bytes() {
            match byte {
                Ok(b'g') => _ = begin.send(()),
                Ok(b'?') => {
                    let activity = DATABASE.get().map_or(Activity::default(), Database::activity);
                    sender.send(&Message::Phase(Phase::now(activity)));
                }
                _ => break,
            }
        }
        std::process::exit(0)
    });
    go
}

fn live(arguments: &Arguments, sender: &Arc<Sender>, go: &Receiver<()>) -> Result<()> {
    let scenario = arguments.scenario;
    let start = Instant::now();
    let opened = Database::open_with(&arguments.database, scenario.options(), &mut |stage| {
        phase::opening(stage);
        if arguments.stage == Some(stage.number()) {
            sender.send(&Message::Stage);
        }
    })?;
    sender.send(&Message::Opened { micros: start.elapsed().as_micros() as u64 });
    phase::dumping();
    let database = DATABASE.get_or_init(|| opened);
    tell(database, scenario.work, sender)?;
    if go.recv().is_err() || arguments.verify {
        std::process::exit(0);
    }
    let documents = match scenario.work {
        Work::Indexes => Some(documents::open(database)?),
        _ => None,
    };
    phase::working();
    let (over, documents) = (AtomicBool::new(false), documents.as_ref());
    std::thread::scope(|scope| {
        let writers: Vec<_> = (0..scenario.writers)
            .map(|writer| scope.spawn(move || write(arguments, database, documents, writer)))
            .collect();
        scope.spawn(|| ended(sender, beside(scenario.work, database, &over)));
        if arguments.write_back {
            scope.spawn(|| ended(sender, write_back(&arguments.database, &over)));
        }
        for writer in writers {
            ended(sender, writer.join().unwrap_or_else(|_| std::process::exit(101)));
        }
        over.store(true, Ordering::Relaxed);
    });
    phase::closing();
    sender.send(&Message::Closing);
    database.close()?;
    sender.send(&Message::Closed);
    Ok(())
}

fn ended(sender: &Sender, result: Result<()>) {
    if let Err(error) = result {
        fail(sender, &error.to_string());
    }
}

/// Checks the database and tells everything it holds.
fn tell(database: &Database, work: Work, sender: &Sender) -> Result<()> {
    for problem in database.check()?.problems {
        sender.send(&Message::Problem(problem));
    }
    let snapshot = database.snapshot();
    if work == Work::Indexes {
        for problem in documents::problems(database, &snapshot)? {
            sender.send(&Message::Problem(problem));
        }
    }
    let mut told = Vec::new();
    let mut push = |key, value: &[u8]| {
        told.push((key, digest(value)));
        if told.len() == RECORDS_MAX {
            sender.send(&Message::Records(std::mem::take(&mut told)));
        }
    };
    match snapshot.table(RECORDS) {
        Err(Error::NoSuchTable { .. }) => {}
        table => {
            let mut cursor = table?.cursor(..)?;
            let mut entry = cursor.first()?;
            while let Some((key, value)) = entry {
                push(key, value);
                entry = cursor.next()?;
            }
        }
    }
    match snapshot.table(ROWS) {
        Err(Error::NoSuchTable { .. }) => {}
        table => {
            for row in table?.range(..)? {
                let (key, value) = row?;
                push((0, key), value.as_bytes());
            }
        }
    }
    sender.send(&Message::Records(told));
    let heads = match snapshot.table(HEADS) {
        Err(Error::NoSuchTable { .. }) => Vec::new(),
        table => table?.range(..)?.map(|row| row.map(|(writer, head)| (writer, head as u64))).collect::<Result<_>>()?,
    };
    sender.send(&Message::Heads(heads));
    sender.send(&Message::Dumped);
    Ok(())
}

fn write(arguments: &Arguments, database: &Database, documents: Option<&Collection<Value>>, writer: u32) -> Result<()> {
    let scenario = arguments.scenario;
    let failed = |error: std::io::Error| Error::Invalid { what: format!("the ledger: {error}") };
    let ledger = Ledger::open(&arguments.ledger).map_err(failed)?;
    let mut entry = ledger.entry(writer).map_err(failed)?;
    let last = arguments.commits.map_or(u64::MAX, |commits| entry.acknowledged + commits);
    while entry.acknowledged < last {
        let number = entry.acknowledged + 1;
        let planned = Commit::of(&scenario.mix, arguments.seed, writer, number);
        let durability = if arguments.prefill { Durability::Relaxed } else { planned.durability };
        entry = Entry { begun: number, ..entry };
        ledger.set(writer, entry).map_err(failed)?;
        let beside = Beside { heads: scenario.has_heads(), documents };
        commit(database, writer, number, &planned, durability, beside)?;
        entry.acknowledged = number;
        // What the database's own durability was used for is as durable as that.
        if durability == Durability::Sync {
            entry.durable = number;
        }
        ledger.set(writer, entry).map_err(failed)?;
        if durability != Durability::Sync && number.is_multiple_of(64) {
            database.sync()?;
            entry.durable = number;
            ledger.set(writer, entry).map_err(failed)?;
        }
    }
    Ok(())
}

fn beside(work: Work, database: &Database, over: &AtomicBool) -> Result<()> {
    if work == Work::Indexes {
        return documents::make_indexes(database, over);
    }
    let mut round = 0_u64;
    while !over.load(Ordering::Relaxed) && matches!(work, Work::Checkpoint | Work::Compact) {
        round += 1;
        match work {
            Work::Checkpoint => {
                phase::checkpointing();
                database.checkpoint()?;
            }
            _ if round.is_multiple_of(8) => {
                phase::compacting(None);
                database.compact()?;
            }
            _ => {
                phase::compacting(None);
                database.compact_with(&mut |progress| phase::compacting(Some(progress.stage)))?;
            }
        }
        phase::working();
        // A rest, in which commits are made without.
        let rest_us = if work == Work::Compact { 4000 } else { 500 };
        std::thread::sleep(Duration::from_micros(rest_us * (round % 8)));
    }
    Ok(())
}

#[cfg(target_os = "linux")]
fn write_back(database: &Path, over: &AtomicBool) -> Result<()> {
    let failed = |error: std::io::Error| Error::Invalid { what: format!("cannot write back: {error}") };
    let mut log = database.as_os_str().to_owned();
    log.push("-log");
    let files = [database.as_os_str(), &log].map(std::fs::File::open);
    let files = files.into_iter().collect::<std::io::Result<Vec<_>>>().map_err(failed)?;
    while !over.load(Ordering::Relaxed) {
        for file in &files {
            // The system begins to write what is dirty, waits for nothing and syncs nothing.
            posix_fadvise(file, 0, 0, PosixFadviseAdvice::POSIX_FADV_DONTNEED).map_err(|error| failed(error.into()))?;
        }
        std::thread::sleep(Duration::from_micros(700));
    }
    Ok(())
}

#[cfg(not(target_os = "linux"))]
fn write_back(_: &Path, _: &AtomicBool) -> Result<()> {
    Ok(())
}
