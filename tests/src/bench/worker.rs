//! The process that drives one peer: requests come as lines of JSON on standard input, answers go to standard output.

use std::io::{self, BufRead, Write};

use serde::{Deserialize, Serialize};

use super::arguments::Job;
use super::data::RECORD_BYTES;
use super::dataset::{Datasets, ample};
use super::engine::{Direction, Durability, Engine, Settings};
use super::loads::{self, Stage};
use super::measure::{Metric, Unit};
use super::phase::Phase;
use super::reads::Reading;
use super::{Result, kill, peers, process, writes};

#[derive(Serialize, Deserialize)]
pub(crate) struct Request {
    pub(crate) phase: Phase,
    pub(crate) round: u64,
}

#[derive(Serialize, Deserialize)]
pub(crate) enum Answer {
    Measured(Vec<Metric>),
    /// The peer has nothing to measure here.
    Skipped,
    Failed(String),
}

/// Serves requests until the input ends.
pub(crate) fn work(job: &Job) -> Result<()> {
    // A conductor that is killed must not leave a worker behind in the middle of a long phase.
    #[cfg(target_os = "linux")]
    rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL))?;
    peers::work(job)
}

/// A worker's state for a peer that is a database.
pub(crate) struct Worker<'j, E: Engine> {
    job: &'j Job,
    sets: Datasets<E>,
    stage: Stage,
}

impl<'j, E: Engine> Worker<'j, E> {
    pub(crate) fn new(job: &'j Job) -> Result<Self> {
        Ok(Self { job, sets: Datasets::new(job)?, stage: Stage::Nothing })
    }

    pub(crate) fn run(&mut self, request: &Request) -> Result<Option<Vec<Metric>>> {
        let Request { phase, round } = *request;
        let records = self.job.records;
        let seconds = self.job.seconds;
        let relaxed = ample(records);
        let synced = Settings { durability: Durability::Sync, ..relaxed };
        let scarce = Settings { durability: Durability::Sync, memory_bytes: RECORD_BYTES * records as usize / 10 };
        let row = phase.name();
        let reading = Reading { row: &row, records, seconds, round };
        let sets = &mut self.sets;

        let metrics = match phase {
            Phase::LoadSorted => loads::load_sorted(sets, records)?,
            Phase::LoadRandom => loads::load_random(sets, &mut self.stage, records)?,
            Phase::UpdateHalf => loads::update_half(sets, &mut self.stage, records)?,
            Phase::Compact => loads::compact(sets, &mut self.stage, records)?,
            Phase::Get { records } => {
                let engine = sets.open_warm(&format!("records-{records}"), records, relaxed)?;
                Reading { records, ..reading }.get(engine)?
            }
            Phase::GetMany => reading.get_many(self.loaded(relaxed)?)?,
            Phase::GetMissing => reading.get_missing(self.loaded(relaxed)?)?,
            Phase::GetFresh => reading.get_fresh(self.loaded(relaxed)?)?,
            Phase::GetTwoThreads => reading.get_two_threads(self.loaded(relaxed)?)?,
            Phase::Seek { entries } => reading.seek(self.loaded(relaxed)?, entries)?,
            Phase::ScanForward => reading.scan(self.loaded(relaxed)?, Direction::Forward)?,
            Phase::ScanBackward => reading.scan(self.loaded(relaxed)?, Direction::Backward)?,
            Phase::PutRelaxed => writes::put_relaxed(self.loaded(relaxed)?, &row, records, round)?,
            Phase::PutSync { clients } => writes::put_sync(self.loaded(synced)?, &row, clients, seconds, round)?,
            Phase::Overwrite => {
                let engine = sets.open("scarce", records, scarce)?;
                writes::overwrite(engine, &self.job.directory, &row, records, round)?
            }
            Phase::GetOverwritten => reading.get(sets.open("scarce", records, scarce)?)?,
            Phase::FillLog => kill::fill_log(sets, records, relaxed, round)?,
            Phase::Reopen => kill::reopen(sets, records, relaxed, round)?,
            Phase::Document(_) => return Ok(None),
            Phase::PeakMemory => {
                let memory = process::memory()?;
                let mebibytes = |bytes: u64| bytes as f64 / f64::from(1 << 20);
                vec![
                    Metric::new("peak memory, with mapped files", Unit::Mebibytes, mebibytes(memory.peak_bytes)),
                    Metric::new("memory at the end, without", Unit::Mebibytes, mebibytes(memory.anonymous_bytes)),
                ]
            }
        };
        Ok(Some(metrics))
    }

    pub(crate) fn close(mut self) -> Result<()> {
        self.sets.close()
    }

    /// The database that the phases which read and put share.
    fn loaded(&mut self, settings: Settings) -> Result<&E> {
        let records = self.job.records;
        self.sets.open_warm(&format!("records-{records}"), records, settings)
    }
}

/// Answers every request on standard input with what `run` returns for it.
pub(crate) fn serve(mut run: impl FnMut(&Request) -> Result<Option<Vec<Metric>>>) -> Result<()> {
    for line in io::stdin().lock().lines() {
        let answer = match run(&serde_json::from_str(&line?)?) {
            Ok(Some(metrics)) => Answer::Measured(metrics),
            Ok(None) => Answer::Skipped,
            Err(error) => Answer::Failed(error.to_string()),
        };
        let mut output = io::stdout().lock();
        serde_json::to_writer(&mut output, &answer)?;
        output.write_all(b"\n")?;
        output.flush()?;
    }
    Ok(())
}
