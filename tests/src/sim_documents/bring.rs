//! Collections as they should be: opening them with their indexes and migrations, while others write.

use std::collections::BTreeSet;
use std::sync::Arc;

use lightning_db::{Error, IndexProgress, Migrations, Query, Schema, Value};

use super::action::{COLLECTIONS, Op};
use super::index::{RULES, Rule, name};
use super::run::Runner;
use super::state::{Held, KEY, MIGRATED, State};
use crate::sim::compare::Wrong;

impl Runner {
    /// The schema as the state has it.
    fn schema(&self, at: usize) -> Schema {
        let held = &self.state.collections[at];
        let schema = held
            .rules
            .iter()
            .fold(Schema::key(KEY).version(self.versions[at]), |schema, rule| schema.with(Rule::index(*rule)));
        match held.goes_after_ms {
            Some(after_ms) => schema.expires_after(std::time::Duration::from_millis(after_ms)),
            None => schema,
        }
    }

    /// Opens a collection as the state has it, with what calls for between steps.
    fn open_with(
        &mut self,
        at: usize,
        in_steps: bool,
        mut during: impl Iterator<Item = Op>,
    ) -> Result<Option<Error>, Wrong> {
        let (database, schema, versions) = (self.database()?, self.schema(at), self.versions[at]);
        let site = self.site.clone();
        let mut wrong = None;
        self.commits += 1;
        site.clock.call();
        let opened = site.drive(|| {
            let mut migrations = Migrations::new();
            for from in 1..versions {
                migrations = if in_steps {
                    migrations.documents(from, move |document| migrate_one(document, from))
                } else {
                    let update = lightning_db::query::Update::new().increment(MIGRATED, 1);
                    migrations
                        .transaction(from, move |documents| documents.update_where(Query::new(), &update).map(drop))
                };
            }
            let mut progress = |_: &IndexProgress| {
                if wrong.is_none()
                    && let Some(op) = during.next()
                {
                    wrong = self.during(&op).err();
                }
            };
            database.collection_with::<Value>(COLLECTIONS[at], schema.clone(), migrations, &mut progress)
        });
        if let Some(wrong) = wrong {
            return Err(wrong);
        }
        match opened {
            Ok(handle) => {
                self.handles[at] = Some(handle);
                Ok(None)
            }
            Err(error @ (Error::DuplicateKey { .. } | Error::InvalidDocument { .. })) => Ok(Some(error)),
            Err(error) => Err(Wrong::Error(error)),
        }
    }

    /// A call between two steps of the making of an index.
    fn during(&mut self, op: &Op) -> Result<(), Wrong> {
        let (at, site) = (op.collection(), self.site.clone());
        if self.handles[at].is_none() {
            return Ok(());
        }
        // What was under way is under way still: the index.
        let outcome = self.call_op(op);
        if site.disk.is_crashed() {
            return outcome;
        }
        self.look_whether_possible();
        outcome
    }

    fn look_whether_possible(&mut self) {
        let now_ms = self.now_ms();
        self.was_impossible |=
            self.state.collections.iter().any(|held| held.coming.iter().any(|rule| !held.allows(*rule, now_ms)));
    }

    /// Sees to it that a collection is as the state has it; what cannot be made is left out.
    pub(super) fn bring(&mut self, at: usize) -> Result<(), Wrong> {
        self.bring_with(at, true, Vec::new())
    }

    fn bring_with(&mut self, at: usize, in_steps: bool, during: Vec<Op>) -> Result<(), Wrong> {
        self.was_impossible = false;
        self.look_whether_possible();
        loop {
            let partly = self.partly_migrated(at, in_steps);
            self.under_way = vec![Arc::clone(&self.state)];
            self.under_way.extend(partly.iter().cloned());
            let refused = self.open_with(at, in_steps, during.clone().into_iter())?;
            // Each step is a commit of its own.
            self.older.extend(partly);
            let mut next = State::clone(&self.state);
            let (now_ms, version) = (self.now_ms(), self.versions[at]);
            let held = &mut next.collections[at];
            let Some(error) = refused else {
                if held.version < version {
                    held.documents.values_mut().for_each(|stored| Held::migrate(&mut stored.document, version));
                    held.version = version;
                }
                let impossible = held.coming.iter().find(|rule| !held.allows(**rule, now_ms)).copied();
                held.coming.clear();
                self.committed(next, self.plan.durability);
                return match impossible {
                    Some(rule) => {
                        Err(Wrong::Answer(format!("index {} was made, and cannot be: {:?}", name(rule), RULES[rule])))
                    }
                    None => Ok(()),
                };
            };
            // Where documents are to be migrated, some of them may be by now.
            let Some(rule) = named(&error, &held.coming) else {
                return Err(Wrong::Answer(format!("opening: {error}")));
            };
            held.coming.remove(&rule);
            held.rules.remove(&rule);
            self.committed(next, self.plan.durability);
            if !self.was_impossible {
                return Err(Wrong::Answer(format!("index {} is refused without a reason: {error}", name(rule))));
            }
        }
    }

    /// The states of which a migration that was cut short may leave one, the oldest first.
    fn partly_migrated(&self, at: usize, in_steps: bool) -> Vec<Arc<State>> {
        let mut states = Vec::new();
        let mut next = State::clone(&self.state);
        for version in next.collections[at].version..self.versions[at] {
            let keys: Vec<Vec<u8>> = next.collections[at].documents.keys().cloned().collect();
            for key in keys {
                if let Some(stored) = next.collections[at].documents.get_mut(&key) {
                    Held::migrate(&mut stored.document, version + 1);
                }
                if in_steps {
                    states.push(Arc::new(next.clone()));
                }
            }
            next.collections[at].version = version + 1;
            states.push(Arc::new(next.clone()));
        }
        states
    }

    pub(super) fn add_index(&mut self, at: usize, rule: usize, during: &[Op]) -> Result<(), Wrong> {
        let mut next = State::clone(&self.state);
        self.schema_changes[at] += 1;
        let held = &mut next.collections[at];
        if held.rules.insert(rule) {
            held.coming.insert(rule);
        }
        // Whether the index is there does not show in the documents: the newest state they are of is taken for what is found.
        self.older.push(Arc::clone(&self.state));
        self.state = Arc::new(next);
        self.bring_with(at, true, during.to_vec())
    }

    pub(super) fn drop_index(&mut self, at: usize, rule: usize) -> Result<(), Wrong> {
        let mut next = State::clone(&self.state);
        let there = next.collections[at].rules.remove(&rule);
        self.commits += 1;
        self.schema_changes[at] += 1;
        self.under_way = vec![Arc::new(next.clone())];
        let handle = self.handle(at)?;
        let dropped = self.call(|| handle.drop_index(&name(rule)))?;
        self.committed(next, self.plan.durability);
        if dropped == there { Ok(()) } else { Err(Wrong::Answer(format!("an index dropped: {dropped}, not {there}"))) }
    }

    pub(super) fn migrate(&mut self, at: usize, in_steps: bool) -> Result<(), Wrong> {
        let old = self.handle(at)?;
        self.versions[at] += 1;
        self.schema_changes[at] += 1;
        self.bring_with(at, in_steps, Vec::new())?;
        match self.call(|| old.get(Value::from(1))) {
            Err(Error::SchemaTooNew { .. }) => Ok(()),
            Err(error) => Err(Wrong::Error(error)),
            Ok(_) => Err(Wrong::Answer("a handle of an older version reads what was migrated".into())),
        }
    }
}

/// A migration of one document, which must not have been migrated. One that is gone may have been left out before.
fn migrate_one(document: &mut Value, from: u32) -> Result<(), Error> {
    let is = document.get(MIGRATED).and_then(Value::as_i64).unwrap_or(i64::MAX);
    assert!(is < i64::from(from), "migrated from {from}: {document}");
    lightning_db::query::Update::new().increment(MIGRATED, 1).apply(document)
}

/// The index that an error is about.
fn named(error: &Error, rules: &BTreeSet<usize>) -> Option<usize> {
    let words = error.to_string();
    rules.iter().copied().find(|rule| match error {
        Error::DuplicateKey(duplicate) => duplicate.index == name(*rule),
        _ => words.contains(&format!("index '{}'", name(*rule))),
    })
}
