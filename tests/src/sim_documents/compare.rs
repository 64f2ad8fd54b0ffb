//! Comparing everything with what it should be.

use lightning_db::Value;

use super::action::{COLLECTIONS, Op, Outcome};
use super::calls::{agree, differ};
use super::filter::{Asked, condition};
use super::index::RULES;
use super::run::Runner;
use crate::sim::compare::Wrong;

impl Runner {
    /// Compares all documents, and what each index says of them.
    pub(super) fn compare(&mut self) -> Result<(), Wrong> {
        let now_ms = self.now_ms();
        for (at, name) in COLLECTIONS.iter().enumerate() {
            let held = self.state.collections[at].clone();
            let handle = self.handle(at)?;
            let mut asked = vec![Asked::default(), Asked { reverse: true, ..Asked::default() }];
            for rule in held.rules.iter().map(|rule| &RULES[*rule]) {
                let order = rule.paths.iter().map(|path| (*path, false)).collect();
                let exists = condition(rule.paths[0], lightning_db::query::Test::Exists(true), false);
                asked.push(Asked { order, filter: Some(exists), ..Asked::default() });
            }
            for asked in asked {
                let found = self.call(|| handle.query(asked.query())?.collect::<Result<Vec<Value>, _>>())?;
                let right = Outcome::Rows(held.rows(&asked, now_ms));
                let found = Outcome::Rows(found);
                if !agree(&found, &right) {
                    let what = differ(&Op::Find(at, asked), &found, &right);
                    return Err(Wrong::Answer(format!("comparing all: {what}")));
                }
            }
            let len = self.call(|| handle.len())?;
            if len != held.there(now_ms).count() as u64 {
                return Err(Wrong::Answer(format!("{} has {len} documents", name)));
            }
        }
        self.look_at_all_watches()
    }

    pub(super) fn check(&mut self) -> Result<(), Wrong> {
        let database = self.database()?;
        let faults_before = self.site.disk.faults_met();
        let problems = self.call(|| database.check())?.problems;
        // A wrong read may look like damage to it.
        let excused = self.site.disk.faults_met() > faults_before;
        if problems.is_empty() || excused {
            Ok(())
        } else {
            Err(Wrong::Answer(format!("check found: {}", problems.join("; "))))
        }
    }
}
