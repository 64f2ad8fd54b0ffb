//! The machine goes down and comes up again, and what is found must be something that was.

use std::collections::BTreeSet;
use std::sync::Arc;

use lightning_db::env::{Clock, SeededEntropy};
use lightning_db::{Database, Environment, Error, IndexInfo, Options, Query, Value};

use super::action::COLLECTIONS;
use super::index::{RULES, Rule};
use super::run::{Runner, promise};
use super::state::{Held, State};
use crate::sim::action::Crash;
use crate::sim::clock::Time;
use crate::sim::compare::Wrong;

/// More openings in a row than the plan has accidents for.
const OPENINGS_MAX: u32 = 100;

impl Runner {
    pub(super) fn open_database(&mut self) -> Result<Database, Error> {
        let tuning = self.site.tuning;
        let mut options = Options::default();
        options.background_thread = false;
        options.durability = promise(self.plan.durability);
        options.memory_budget_bytes = tuning.budget_bytes as usize;
        options.compression = tuning.compression;
        options.checksum = tuning.checksum;
        tuning.lock(&mut options);
        options.memtable_bytes = Some(tuning.memtable_bytes as usize);
        options.log_segment_bytes = tuning.segment_bytes;
        options.inline_bytes_max = tuning.large_value_bytes as usize;
        options.step_entries = tuning.step_entries as usize;
        self.site.entropy_seed = self.site.entropy_seed.wrapping_add(1);
        let environment = Environment {
            clock: Arc::clone(&self.clock) as Arc<dyn Clock>,
            entropy: Arc::new(SeededEntropy::new(self.site.entropy_seed)),
        };
        self.call(|| Database::open_storage(self.site.storage(), environment.clone(), options.clone()))
    }

    pub(super) fn reopen(&mut self) -> Result<(), Wrong> {
        let database = self.database()?;
        self.clients = Default::default();
        self.call(|| database.close())?;
        drop(database);
        self.older.clear();
        self.failed.clear();
        self.forget();
        self.site.disk.kill();
        self.come_up(Loss::NONE).map_err(Wrong::Answer)
    }

    /// An error is right only if the disk gave a reason for it, and then it must be an honest one.
    pub(super) fn excuse(&mut self, error: &Error, faults_before: u64, commits_once: bool) -> Result<(), String> {
        let met_now = self.site.disk.faults_met() > faults_before;
        let met_since_open = self.site.disk.faults_met() > self.faults_at_open;
        let only_reopening_helps = match error {
            Error::Poisoned { .. } | Error::OutcomeUnknown { .. } if met_since_open => true,
            // The engine spares a disk that kept failing, for a minute at most.
            error if error.name() == "Unavailable" && met_since_open => {
                self.site.clock.happen(Time::GoesOn);
                self.site.clock.happen(Time::Passes(60_000));
                false
            }
            Error::Storage(_) if met_now || self.limited && error.is_full() => false,
            // A wrong bit or an early end read from the disk looks like damage.
            Error::Corrupt(_) if met_now => false,
            _ => return Err(format!("error without a reason: {}: {error}", error.name())),
        };
        if only_reopening_helps || !commits_once {
            return self.restart_process();
        }
        // It is not there, but may have reached the disk.
        self.commits += 1;
        let upon = &self.state;
        self.failed.extend(self.under_way.drain(..).map(|state| (Arc::clone(upon), state)));
        Ok(())
    }

    /// Only reopening helps.
    fn restart_process(&mut self) -> Result<(), String> {
        let loss = self.loss();
        self.leave();
        self.site.disk.kill();
        self.come_up(loss)
    }

    /// The machine goes down where it has already, and comes up again.
    pub(super) fn go_down(&mut self) -> Result<(), String> {
        let mut loss = self.loss();
        self.strike(&mut loss);
        self.come_up(loss)
    }

    fn loss(&self) -> Loss {
        Loss { unsynced: self.site.disk.failed_syncs() > self.failed_syncs_at_open, cache: false }
    }

    fn strike(&mut self, loss: &mut Loss) {
        self.stats.crashes += 1;
        self.leave();
        match self.next_crash {
            Crash::Kill => self.site.disk.kill(),
            Crash::Power(seed) => {
                self.site.disk.power_loss(seed);
                *loss = Loss { unsynced: true, cache: true };
            }
        }
    }

    /// Forgets the database without letting it say goodbye.
    fn leave(&mut self) {
        self.site.disk.crash();
        self.forget();
        if let Some(pager) = &self.site.pager {
            pager.end_operation();
        }
    }

    fn come_up(&mut self, mut loss: Loss) -> Result<(), String> {
        for _ in 0..OPENINGS_MAX {
            let faults_before = self.site.disk.faults_met();
            self.faults_at_open = faults_before;
            self.failed_syncs_at_open = self.site.disk.failed_syncs();
            let outcome = self.open_and_look(&mut loss);
            loss.unsynced |= self.loss().unsynced;
            if self.site.disk.is_crashed() {
                self.strike(&mut loss);
                continue;
            }
            match outcome {
                Ok(()) => {
                    self.under_way.clear();
                    return Ok(());
                }
                Err(Wrong::Error(error)) if self.has_reason(&error, faults_before) => {
                    // A person would make room, or try again.
                    self.site.disk.limit(None);
                    self.limited = false;
                    self.leave();
                    self.site.disk.kill();
                }
                Err(wrong) => return Err(format!("after opening: {}", wrong.into_words())),
            }
        }
        Err(format!("{OPENINGS_MAX} openings were not enough"))
    }

    fn has_reason(&self, error: &Error, faults_before: u64) -> bool {
        self.site.disk.faults_met() > faults_before || self.limited && error.is_full()
    }

    fn open_and_look(&mut self, loss: &mut Loss) -> Result<(), Wrong> {
        let database = self.open_database()?;
        self.database = Some(database.clone());
        let mut found = Vec::new();
        for name in COLLECTIONS {
            found.push(self.call(|| Found::of(&database, name))?);
        }
        loss.unsynced |= self.loss().unsynced;
        // The oldest first.
        let mut may_be: Vec<Arc<State>> = Vec::new();
        let certain = if loss.unsynced { 0 } else { self.older.len() };
        may_be.extend(self.older.iter().cloned());
        may_be.push(Arc::clone(&self.state));
        let upon = |upon: &Arc<State>| loss.unsynced || Arc::ptr_eq(upon, &self.state);
        may_be.extend(self.failed.iter().filter(|failed| upon(&failed.0)).map(|(_, state)| Arc::clone(state)));
        may_be.extend(self.under_way.iter().cloned());
        let now_ms = self.now_ms();
        let is_found =
            |state: &&Arc<State>| state.collections.iter().zip(&found).all(|(held, found)| found.is(held, now_ms));
        let place = may_be.iter().skip(certain).rposition(|state| is_found(&state)).map(|place| place + certain);
        let Some(place) = place else { return Err(Wrong::Answer(self.unlike(&found, may_be.len() - certain))) };
        let mut is = State::clone(&may_be[place]);
        for (held, found) in is.collections.iter_mut().zip(found) {
            (held.rules, held.coming) = (found.rules, found.coming);
        }
        // What was found after the power went is on the disk; else it may still be what was before.
        may_be.truncate(place);
        self.older = if loss.cache { Vec::new() } else { may_be };
        self.failed.clear();
        self.under_way.clear();
        self.state = Arc::new(is);
        *loss = Loss::NONE;
        for at in 0..COLLECTIONS.len() {
            self.bring(at)?;
        }
        self.check()?;
        self.compare()
    }

    fn unlike(&self, found: &[Found], states: usize) -> String {
        let now_ms = self.now_ms();
        for (at, (held, found)) in self.state.collections.iter().zip(found).enumerate() {
            let right: Vec<&Value> = held.there(now_ms).map(|(_, document)| document).collect();
            let documents = &found.documents;
            let len = documents.len().max(right.len());
            if let Some(place) = (0..len).find(|place| documents.get(*place) != right.get(*place).copied()) {
                let name = |row: Option<&Value>| row.map_or_else(|| String::from("the end"), |row| row.to_string());
                return format!(
                    "none of the {states} states that may be found; against the newest: {} document {place} is {} instead of {}",
                    COLLECTIONS[at],
                    name(documents.get(place)),
                    name(right.get(place).copied())
                );
            }
            if !found.is(held, now_ms) {
                let (name, rules, right, coming) = (COLLECTIONS[at], &found.rules, &held.rules, &held.coming);
                return format!(
                    "none of the {states} states that may be found; against the newest: {name} has the indexes {rules:?} instead of \
                     {right:?}, of which {coming:?} need not be there"
                );
            }
        }
        String::from("the newest state, which may not be found")
    }
}

/// What may be gone since the last opening.
#[derive(Clone, Copy)]
struct Loss {
    /// Acknowledged but not synced writes: the power went, or a sync failed.
    unsynced: bool,
    /// All that was only in memory: the power went, so what is found now is on the disk.
    cache: bool,
}

impl Loss {
    const NONE: Loss = Loss { unsynced: false, cache: false };
}

/// A collection as it is found.
struct Found {
    documents: Vec<Value>,
    /// Its indexes, and those among them that are not made yet.
    rules: BTreeSet<usize>,
    coming: BTreeSet<usize>,
}

impl Found {
    fn of(database: &Database, collection: &str) -> Result<Self, Error> {
        let documents =
            database.existing_collection::<Value>(collection)?.query(Query::new())?.collect::<Result<_, _>>()?;
        let info = database.snapshot().collection_info(collection)?;
        let indexes = info.map(|info| info.indexes).unwrap_or_default();
        let places = |is_found: fn(&IndexInfo) -> bool| {
            let is_found = |rule: &usize| {
                let index = Rule::index(*rule);
                indexes.iter().any(|there| there.index == index && is_found(there))
            };
            (0..RULES.len()).filter(is_found).collect()
        };
        Ok(Self { documents, rules: places(|_| true), coming: places(|index| !index.ready) })
    }

    fn is(&self, held: &Held, now_ms: u64) -> bool {
        let may_lack = |rule: &usize| self.rules.contains(rule) || held.coming.contains(rule);
        self.rules.is_subset(&held.rules)
            && held.rules.iter().all(may_lack)
            && held.there(now_ms).map(|(_, document)| document).eq(&self.documents)
    }
}
