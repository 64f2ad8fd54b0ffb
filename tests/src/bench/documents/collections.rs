//! The databases of one worker: made when a step first needs them, kept open while steps agree on which.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use super::city::City;
use super::engine::{DocumentEngine, DocumentView};
use crate::bench::Result;
use crate::bench::arguments::Job;
use crate::bench::clock::Stopwatch;
use crate::bench::data::Random;
use crate::bench::engine::{Durability, Settings};
use crate::bench::process;

/// Documents of one transaction in a load.
const BATCH: usize = 1_000;
/// Documents compared whole.
const SAMPLE: u64 = 10_000;

pub(crate) struct Collections<E: DocumentEngine> {
    home: PathBuf,
    open: Option<(&'static str, Settings, E)>,
}

impl<E: DocumentEngine> Collections<E> {
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

    /// The database of this name, closed and on the disk, holding `cities` when it is made now.
    pub(crate) fn closed(&mut self, name: &str, cities: &[City]) -> Result<PathBuf> {
        self.close()?;
        let directory = self.home.join(name);
        if !directory.exists() {
            // A load that fails must not pass for a database in the next suite.
            let unfinished = self.empty(&format!("{name}-unfinished"))?;
            let engine = E::open(&unfinished, settings(false))?;
            load(&engine, cities, &mut Stopwatch::default())?;
            engine.close()?;
            fs::rename(&unfinished, &directory)?;
            process::sync_disk(&directory)?;
        }
        Ok(directory)
    }

    /// The database of this name at rest, all of it read since it was opened, and holding `cities` when it is made now.
    pub(crate) fn open(&mut self, name: &'static str, cities: &[City], settings: Settings) -> Result<&E> {
        let reusable = self.open.take_if(|(open, with, _)| *open == name && *with == settings);
        let opened = match reusable {
            Some(opened) => opened,
            None => {
                let directory = self.closed(name, cities)?;
                let engine = E::open(&directory, settings)?;
                engine.settle()?;
                warm(&engine, cities)?;
                (name, settings, engine)
            }
        };
        Ok(&self.open.insert(opened).2)
    }

    /// Closes whatever is open.
    pub(crate) fn close(&mut self) -> Result<()> {
        self.open.take().map_or(Ok(()), |(_, _, engine)| engine.close())
    }
}

/// How every database is opened: memory in which all of this data fits.
pub(crate) fn settings(synced: bool) -> Settings {
    let durability = if synced { Durability::Sync } else { Durability::Relaxed };
    Settings { durability, memory_bytes: 1 << 30 }
}

/// Inserts `cities` in batches; the making of the batches is not timed, the encoding of their documents is.
pub(crate) fn load<E: DocumentEngine>(engine: &E, cities: &[City], watch: &mut Stopwatch) -> Result<()> {
    for batch in cities.chunks(BATCH) {
        let batch = batch.to_vec();
        watch.time(|| engine.insert_batch(batch))?;
    }
    Ok(())
}

/// Compares a sample of documents whole, and the number of all.
pub(crate) fn verify<E: DocumentEngine>(engine: &E, cities: &[City], purpose: &str) -> Result<()> {
    let mut random = Random::new(purpose, 0);
    let count = cities.len() as u64;
    engine.read(|view| {
        for _ in 0..SAMPLE.min(count) {
            let city = &cities[random.below(count) as usize];
            let found = view.lookup(&city.code)?;
            if found.as_ref() != Some(city) {
                return Err(format!("{}: found {found:?} instead of {city:?}", city.code).into());
            }
        }
        if view.lookup("nowhere")?.is_some() {
            return Err("a document was found that was never written".into());
        }
        let counted = view.count(0, i64::MAX as u64)?;
        if counted != count {
            return Err(format!("{counted} documents of {count} are in the index").into());
        }
        Ok(())
    })
}

/// Takes the files below `directory` out of the system's cache, which has written them.
pub(crate) fn forget_cached(directory: &Path) -> Result<()> {
    process::sync_disk(directory)?;
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        if path.is_dir() {
            forget_cached(&path)?;
        } else {
            rustix::fs::fadvise(File::open(&path)?, 0, None, rustix::fs::Advice::DontNeed)?;
        }
    }
    Ok(())
}

fn warm<E: DocumentEngine>(engine: &E, cities: &[City]) -> Result<()> {
    let mut found = 0;
    engine.read(|view| {
        for city in cities {
            found += usize::from(view.lookup(&city.code)?.is_some());
        }
        view.count(0, i64::MAX as u64)
    })?;
    if found == cities.len() { Ok(()) } else { Err(format!("{found} documents of {} are there", cities.len()).into()) }
}
