//! The process that drives one database of documents.

use super::city::City;
use super::collections::{Collections, settings};
use super::engine::DocumentEngine;
use super::reads::Reading;
use super::step::Step;
use super::{loads, opening, updates, watching};
use crate::bench::Result;
use crate::bench::arguments::{Job, Subject};
use crate::bench::measure::Metric;
use crate::bench::phase::Phase;
use crate::bench::worker::{Request, serve};

/// The database that only reads share.
const LOADED: &str = "loaded";
/// The one that updates change.
const UPDATED: &str = "updated";

pub(crate) fn work<E: DocumentEngine>(job: &Job) -> Result<()> {
    let mut worker = Worker::<E>::new(job)?;
    serve(|request| worker.run(request))?;
    worker.collections.close()
}

struct Worker<'j, E: DocumentEngine> {
    job: &'j Job,
    cities: Vec<City>,
    /// The same as they are in the database that is updated, once it is there.
    updated: Option<Vec<City>>,
    collections: Collections<E>,
}

impl<'j, E: DocumentEngine> Worker<'j, E> {
    fn new(job: &'j Job) -> Result<Self> {
        let Subject::Documents(places) = &job.subject else {
            return Err("only documents are kept here".into());
        };
        let cities = City::read(places, job.records)?;
        Ok(Self { job, cities, updated: None, collections: Collections::new(job)? })
    }

    fn run(&mut self, request: &Request) -> Result<Option<Vec<Metric>>> {
        let Request { phase: Phase::Document(step), round } = *request else { return Ok(None) };
        let row = step.name();
        let seconds = self.job.seconds;
        let reading = Reading { row, cities: &self.cities, seconds, round };
        let collections = &mut self.collections;
        let cities = &self.cities;
        let metrics = match step {
            Step::Load { synced } => return loads::run(collections, cities, row, synced),
            Step::Lookup => reading.lookup(collections.open(LOADED, cities, settings(true))?)?,
            Step::Range => reading.range(collections.open(LOADED, cities, settings(true))?)?,
            Step::Count => reading.count(collections.open(LOADED, cities, settings(true))?)?,
            Step::Update { synced } => {
                if !synced && !E::RELAXED {
                    return Ok(None);
                }
                let (engine, cities) = self.changing(synced)?;
                updates::run(engine, cities, row, seconds, round)?
            }
            Step::LeaveCold => opening::leave_cold(collections, cities)?,
            Step::OpenCold => opening::open_cold(collections, cities, round)?,
            Step::Watch => {
                let (engine, cities) = self.changing(!E::RELAXED)?;
                return watching::run(engine, cities, round);
            }
        };
        Ok(Some(metrics))
    }

    /// The database that may be changed, and what it holds. Another process may have left one in an unknown state.
    fn changing(&mut self, synced: bool) -> Result<(&E, &mut Vec<City>)> {
        if self.updated.is_none() {
            std::fs::remove_dir(self.collections.empty(UPDATED)?)?;
        }
        let cities = self.updated.get_or_insert_with(|| self.cities.clone());
        Ok((self.collections.open(UPDATED, cities, settings(synced))?, cities))
    }
}
