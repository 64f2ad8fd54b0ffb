//! The machine goes down and comes up again, and what is found must be something that was.

use std::collections::BTreeSet;
use std::sync::Arc;

use lightning_db::env::{Clock, SeededEntropy};
use lightning_db::{Database, Environment, Error, Options, Query, Value};

use super::action::COLLECTIONS;
use super::index::name;
use super::run::{Runner, Wrong, promise};
use super::state::State;
use crate::sim::action::Crash;

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
        self.forget();
        self.site.disk.kill();
        self.come_up(false).map_err(Wrong::Answer)
    }

    /// The machine goes down where it has already, and comes up again.
    pub(super) fn go_down(&mut self) -> Result<(), String> {
        let lost = self.strike();
        self.come_up(lost)
    }

    /// Whether what was not synced may be lost.
    fn strike(&mut self) -> bool {
        self.stats.crashes += 1;
        self.site.disk.crash();
        self.forget();
        if let Some(pager) = &self.site.pager {
            pager.end_operation();
        }
        match self.next_crash {
            Crash::Kill => {
                self.site.disk.kill();
                false
            }
            Crash::Power(seed) => {
                self.site.disk.power_loss(seed);
                true
            }
        }
    }

    fn come_up(&mut self, mut lost: bool) -> Result<(), String> {
        for _ in 0..OPENINGS_MAX {
            let outcome = self.open_and_look(lost);
            if !self.site.disk.is_crashed() {
                self.under_way.clear();
                return outcome.map_err(|wrong| format!("after opening: {}", wrong.into_words()));
            }
            lost |= self.strike();
        }
        Err(format!("{OPENINGS_MAX} openings were not enough"))
    }

    fn open_and_look(&mut self, lost: bool) -> Result<(), Wrong> {
        let database = self.open_database()?;
        self.database = Some(database.clone());
        let mut found: Vec<Vec<Value>> = Vec::new();
        for collection in COLLECTIONS {
            let handle = self.call(|| database.existing_collection::<Value>(collection))?;
            found.push(self.call(|| handle.query(Query::new())?.collect())?);
        }
        let mut may_be: Vec<Arc<State>> = self.under_way.iter().rev().cloned().collect();
        may_be.push(Arc::clone(&self.state));
        if lost {
            may_be.extend(self.older.iter().rev().cloned());
        }
        let is = may_be.iter().find(|state| self.is(state, &found)).cloned();
        let Some(is) = is else { return Err(Wrong::Answer(self.unlike(&found, may_be.len()))) };
        // Indexes that any of them has: those of the state are made, the others dropped.
        let rules: Vec<BTreeSet<usize>> = (0..COLLECTIONS.len())
            .map(|at| {
                let states = may_be.iter().chain(&self.older);
                states.flat_map(|state| state.collections[at].rules.iter().copied()).collect()
            })
            .collect();
        if lost {
            self.older.clear();
        }
        let mut is = State::clone(&is);
        for held in &mut is.collections {
            // Which of them are made shows only when they are asked for.
            held.coming.clone_from(&held.rules);
        }
        self.state = Arc::new(is);
        for (at, rules) in rules.iter().enumerate() {
            self.under_way = vec![Arc::clone(&self.state)];
            let handle = self.call(|| database.existing_collection::<Value>(COLLECTIONS[at]))?;
            for rule in rules.difference(&self.state.collections[at].rules) {
                self.call(|| handle.drop_index(&name(*rule)))?;
            }
            self.bring(at)?;
        }
        self.check()?;
        self.compare()
    }

    fn is(&self, state: &State, found: &[Vec<Value>]) -> bool {
        let now_ms = self.now_ms();
        state
            .collections
            .iter()
            .zip(found)
            .all(|(held, found)| held.there(now_ms).map(|(_, document)| document).eq(found))
    }

    fn unlike(&self, found: &[Vec<Value>], states: usize) -> String {
        let now_ms = self.now_ms();
        for (at, (held, found)) in self.state.collections.iter().zip(found).enumerate() {
            let right: Vec<&Value> = held.there(now_ms).map(|(_, document)| document).collect();
            if let Some(place) =
                (0..found.len().max(right.len())).find(|place| found.get(*place) != right.get(*place).copied())
            {
                let name = |row: Option<&Value>| row.map_or_else(|| String::from("the end"), |row| row.to_string());
                return format!(
                    "none of the {states} states that may be found; against the newest: {} document {place} is {} instead of {}",
                    COLLECTIONS[at],
                    name(found.get(place)),
                    name(right.get(place).copied())
                );
            }
        }
        String::from("the newest state, which may not be found")
    }
}
