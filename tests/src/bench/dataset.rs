//! The databases of one worker: made when a phase first needs them, kept open while phases agree on the settings.

use std::fs;
use std::path::{Path, PathBuf};

use super::Result;
use super::arguments::Job;
use super::clock::Stopwatch;
use super::data::{Check, Entry, RECORD_BYTES, Random, ScanCheck, entry, key};
use super::engine::{Direction, Durability, Engine, Settings, View};
use super::process;

/// What a batch holds in every phase that writes batches.
const BATCH: usize = 1_000;

/// A peer's databases below one directory.
pub(crate) struct Datasets<E: Engine> {
    home: PathBuf,
    open: Option<Opened<E>>,
}

struct Opened<E> {
    name: String,
    settings: Settings,
    warm: bool,
    engine: E,
}

impl<E: Engine> Datasets<E> {
    pub(crate) fn new(job: &Job) -> Result<Self> {
        let home = job.directory.join(E::NAME);
        fs::create_dir_all(&home)?;
        Ok(Self { home, open: None })
    }

    /// An empty directory of this name; what was in it is removed.
    pub(crate) fn empty(&mut self, name: &str) -> Result<PathBuf> {
        self.close()?;
        let directory = self.home.join(name);
        if directory.exists() {
            fs::remove_dir_all(&directory)?;
        }
        fs::create_dir_all(&directory)?;
        Ok(directory)
    }

    /// The directory of this name, closed, or nothing when there is none.
    pub(crate) fn existing(&mut self, name: &str) -> Result<Option<PathBuf>> {
        self.close()?;
        let directory = self.home.join(name);
        Ok(directory.exists().then_some(directory))
    }

    /// The database of this name, loaded at random with `records` records and then reopened, at rest.
    pub(crate) fn open(&mut self, name: &str, records: u64, settings: Settings) -> Result<&E> {
        Ok(&self.opened(name, records, settings)?.engine)
    }

    /// The same, and everything in it has been read since it was opened.
    pub(crate) fn open_warm(&mut self, name: &str, records: u64, settings: Settings) -> Result<&E> {
        let opened = self.opened(name, records, settings)?;
        if !opened.warm {
            warm(&opened.engine, records)?;
            opened.warm = true;
        }
        Ok(&opened.engine)
    }

    fn opened(&mut self, name: &str, records: u64, settings: Settings) -> Result<&mut Opened<E>> {
        let reusable = self.open.take_if(|open| open.name == name && open.settings == settings);
        self.close()?;
        let opened = match reusable {
            Some(opened) => opened,
            None => {
                let directory = self.home.join(name);
                if !directory.exists() {
                    // A load that fails must not pass for a data set in the next suite.
                    let unfinished = self.empty(&format!("{name}-unfinished"))?;
                    let engine = E::open(&unfinished, Settings { durability: Durability::Relaxed, ..settings })?;
                    load(&engine, records, &mut Stopwatch::default())?;
                    engine.close()?;
                    fs::rename(&unfinished, &directory)?;
                    process::sync_disk(&directory)?;
                }
                let engine = E::open(&directory, settings)?;
                engine.settle()?;
                process::forget_peak_memory();
                Opened { name: name.to_owned(), settings, warm: false, engine }
            }
        };
        Ok(self.open.insert(opened))
    }

    /// Closes whatever is open.
    pub(crate) fn close(&mut self) -> Result<()> {
        self.open.take().map_or(Ok(()), |open| open.engine.close())
    }
}

/// Settings under which everything fits: for all phases but those about little memory.
pub(crate) fn ample(records: u64) -> Settings {
    let memory_bytes = (4 * RECORD_BYTES * records as usize).max(1 << 30);
    Settings { durability: Durability::Relaxed, memory_bytes }
}

/// Writes the records in the order of their indices, which is random for their keys.
pub(crate) fn load<E: Engine>(engine: &E, records: u64, watch: &mut Stopwatch) -> Result<()> {
    put_in_batches(engine, (0..records).map(|index| entry(index, 0)), watch)
}

/// Commits `entries` in batches, and times the commits alone.
pub(crate) fn put_in_batches<E: Engine>(
    engine: &E,
    mut entries: impl Iterator<Item = Entry>,
    watch: &mut Stopwatch,
) -> Result<()> {
    let mut batch = Vec::with_capacity(BATCH);
    loop {
        batch.clear();
        batch.extend(entries.by_ref().take(BATCH));
        if batch.is_empty() {
            return Ok(());
        }
        watch.time(|| engine.put_batch(&batch))?;
    }
}

/// Reads the whole database, and checks that it holds `records` right records.
pub(crate) fn verify<E: Engine>(engine: &E, records: u64) -> Result<()> {
    let mut scan = ScanCheck::new(Direction::Forward);
    engine.read(|view| view.scan(Direction::Forward, |key, value| scan.entry(key, value)))?;
    scan.check.finish(records)
}

/// Reads `entries` back, and compares them whole.
pub(crate) fn verify_entries<E: Engine>(engine: &E, entries: impl Iterator<Item = Entry>) -> Result<()> {
    let mut check = Check::default();
    let mut count = 0;
    engine.read(|view| {
        for (key, value) in entries {
            count += 1;
            view.get(&key, |found| {
                if found == value {
                    check.value(&key, found);
                }
            })?;
        }
        Ok(())
    })?;
    check.finish(count)
}

/// The sum of the space that the files of a closed database take.
pub(crate) fn bytes_over(directory: &Path, records: u64) -> Result<f64> {
    Ok(process::allocated_bytes(directory)? as f64 / records as f64 - RECORD_BYTES as f64)
}

fn warm<E: Engine>(engine: &E, records: u64) -> Result<()> {
    let mut check = Check::default();
    let mut random = Random::new("warm", 0);
    let probes = records.min(1_000_000);
    engine.read(|view| {
        view.scan(Direction::Forward, |_, _| {})?;
        for _ in 0..probes {
            let key = key(random.below(records));
            view.get(&key, |value| check.value(&key, value))?;
        }
        Ok(())
    })?;
    check.finish(probes)
}
