//! Interactive transactions beside each other, and whether each was answered, let through and refused rightly.
//!
//! What must hold of a commit that is let through: at every level no rule of an index is broken by it; at snapshot
//! isolation nobody else has written a document that it writes; at serializable it would have got the same answers now. It is
//! refused only if others have committed meanwhile.

use std::collections::BTreeMap;
use std::sync::Arc;

use lightning_db::{Error, Isolation, Transaction};

use super::action::{COLLECTIONS, ClientStep, Op, Outcome};
use super::calls::{agree, differ, perform, told_plainly};
use super::index::{RULES, name};
use super::run::{Runner, promise};
use super::state::{State, Stored, encoded, key_of};
use crate::sim::action::Durability;
use crate::sim::compare::Wrong;

/// Clients at most.
pub const CLIENTS: usize = 3;

/// One client's transaction.
pub(super) struct Client {
    tx: Transaction,
    isolation: Isolation,
    /// What it began with, and what it sees.
    began: Arc<State>,
    view: State,
    /// Documents written, by collection and key; `None` is deleted.
    writes: BTreeMap<(usize, Vec<u8>), Option<Stored>>,
    /// What was committed under the keys of these when they were written first.
    found: BTreeMap<(usize, Vec<u8>), Option<Stored>>,
    /// Of collections written, how often their indexes had been changed when they were written first.
    schema_changes: BTreeMap<usize, u64>,
    steps: Vec<(Op, Outcome)>,
    commits: u64,
}

impl Runner {
    pub(super) fn client(&mut self, at: usize, step: &ClientStep) -> Result<(), Wrong> {
        let at = at % CLIENTS;
        match step {
            ClientStep::Begin(isolation) => {
                self.clients[at] = None;
                self.site.clock.call();
                let tx = self.database()?.begin(*isolation);
                self.clients[at] = Some(Client {
                    tx,
                    isolation: *isolation,
                    began: Arc::clone(&self.state),
                    view: State::clone(&self.state),
                    writes: BTreeMap::new(),
                    found: BTreeMap::new(),
                    schema_changes: BTreeMap::new(),
                    steps: Vec::new(),
                    commits: self.commits,
                });
                Ok(())
            }
            ClientStep::Do(op) => {
                let Some(mut client) = self.clients[at].take() else { return Ok(()) };
                self.stats.operations += 1;
                match self.take_step(&mut client, op) {
                    Err(Wrong::Error(Error::Conflict { what })) => self.refused(&client, &what),
                    Err(Wrong::Error(Error::TransactionTooOld)) => {
                        self.stats.too_old += 1;
                        self.refused(&client, "too old")
                    }
                    // Where an I/O failed, nobody knows how far the step came.
                    Err(Wrong::Error(error)) => Err(Wrong::Error(error)),
                    outcome => {
                        self.clients[at] = Some(client);
                        outcome
                    }
                }
            }
            ClientStep::Commit(durability) => match self.clients[at].take() {
                Some(client) => self.commit(client, *durability),
                None => Ok(()),
            },
            ClientStep::Abort => {
                self.clients[at] = None;
                Ok(())
            }
        }
    }

    fn take_step(&mut self, client: &mut Client, op: &Op) -> Result<(), Wrong> {
        let op = self.fitted(op);
        let (at, now_ms) = (op.collection(), self.now_ms());
        if client.isolation == Isolation::ReadCommitted {
            client.view = with_writes(&self.state, &client.writes);
        }
        let handle = self.handle(at)?;
        let tx = &mut client.tx;
        let found = told_plainly(self.call(|| perform(&mut tx.collection(&handle)?, &op, now_ms)))?;
        let before = client.view.collections[at].documents.clone();
        let right = client.view.collections[at].perform(&op, now_ms);
        if !agree(&found, &right) {
            // Of what others have written over meanwhile it has taken entries away that they have taken away too, and perhaps
            // given to others; an index made since has entries that it would have taken away; and others may have the entries
            // that it has given to its own. It may be told anything, as it cannot commit.
            if client.isolation == Isolation::ReadCommitted && self.is_overtaken(client) {
                return match self.call(|| client.tx.commit_with(promise(Durability::Relaxed))) {
                    Ok(()) => Err(Wrong::Answer(String::from(
                        "a client was let through with documents that others had changed",
                    ))),
                    Err(error) => Err(Wrong::Error(error)),
                };
            }
            return Err(Wrong::Answer(format!("a client at {:?}: {}", client.isolation, differ(&op, &found, &right))));
        }
        let after = &client.view.collections[at].documents;
        let is_gone = |stored: &Stored| stored.goes_ms.is_some_and(|goes_ms| goes_ms <= now_ms);
        for key in before.keys().chain(after.keys()) {
            // A document that is gone may have been removed: then it is not written.
            let removes_gone = !after.contains_key(key) && before.get(key).is_some_and(is_gone);
            if removes_gone && !client.writes.contains_key(&(at, key.clone())) {
                // If it was not, it is written: then nobody else may write it.
                client.found.entry((at, key.clone())).or_insert_with(|| before.get(key).cloned());
                continue;
            }
            if before.get(key) != after.get(key) {
                let committed = || self.state.collections[at].documents.get(key).cloned();
                client.found.entry((at, key.clone())).or_insert_with(committed);
                client.writes.insert((at, key.clone()), after.get(key).cloned());
            }
        }
        // What is written as it was is written.
        let written = match (&op, &found) {
            (Op::Put(_, document, _) | Op::Insert(_, document) | Op::Replace(_, document), Outcome::Done)
            | (Op::Swap(_, _, document), Outcome::There(true)) => vec![key_of(document)],
            (Op::Update(_, key, _), Outcome::There(true)) => vec![encoded(key)],
            (Op::UpdateWhere(_, asked, _), Outcome::Count(_)) => {
                let there = before.iter().filter(|(_, stored)| !is_gone(stored));
                let found = asked.answer(there.map(|(key, stored)| (key, &stored.document)));
                found.into_iter().map(|(key, _)| key.clone()).collect()
            }
            _ => Vec::new(),
        };
        for key in written {
            let committed = || self.state.collections[at].documents.get(&key).cloned();
            client.found.entry((at, key.clone())).or_insert_with(committed);
            let written = after.get(&key).cloned();
            client.writes.insert((at, key), written);
        }
        if client.writes.keys().any(|(written, _)| *written == at) {
            client.schema_changes.entry(at).or_insert(self.schema_changes[at]);
        }
        client.steps.push((op, found));
        Ok(())
    }

    /// Whether others have committed something else under a key that the client has written, or what no index lets stand beside
    /// what it has written, or changed the indexes since.
    fn is_overtaken(&self, client: &Client) -> bool {
        if client.schema_changes.iter().any(|(at, changes)| self.schema_changes[*at] > *changes) {
            return true;
        }
        let now_ms = self.now_ms();
        let both = with_writes(&self.state, &client.writes);
        both.collections.iter().any(|held| held.rules.iter().any(|rule| !held.allows(*rule, now_ms)))
            || client
                .found
                .iter()
                .any(|((at, key), found)| self.state.collections[*at].documents.get(key) != found.as_ref())
    }

    fn refused(&mut self, client: &Client, what: &str) -> Result<(), Wrong> {
        self.stats.conflicts += 1;
        if self.commits > client.commits {
            return Ok(());
        }
        Err(Wrong::Answer(format!("a client at {:?} is refused though nobody has committed: {what}", client.isolation)))
    }

    fn commit(&mut self, mut client: Client, durability: Durability) -> Result<(), Wrong> {
        let next = with_writes(&self.state, &client.writes);
        self.under_way = vec![Arc::new(next.clone())];
        match self.call(|| client.tx.commit_with(promise(durability))) {
            Ok(()) => {}
            Err(Error::Conflict { what }) => {
                self.under_way.clear();
                return self.refused(&client, &what);
            }
            Err(Error::TransactionTooOld) => {
                self.under_way.clear();
                self.stats.too_old += 1;
                return self.refused(&client, "too old");
            }
            Err(error) => return Err(Wrong::Error(error)),
        }
        // Perhaps only what is gone was written.
        self.commits += 1;
        if client.writes.is_empty() {
            self.under_way.clear();
            return Ok(());
        }
        let right = self.examine(&client, &next);
        self.committed(next, durability);
        right.map_err(|what| Wrong::Answer(format!("a client at {:?} was let through: {what}", client.isolation)))
    }

    fn examine(&self, client: &Client, next: &State) -> Result<(), String> {
        let now_ms = self.now_ms();
        for (collection, held) in next.collections.iter().enumerate() {
            for rule in &held.rules {
                if client.writes.keys().any(|(at, _)| *at == collection) && !held.allows(*rule, now_ms) {
                    return Err(format!(
                        "{} breaks the rule of index {}: {:?}",
                        COLLECTIONS[collection],
                        name(*rule),
                        RULES[*rule]
                    ));
                }
            }
        }
        if client.isolation != Isolation::ReadCommitted {
            for (at, key) in client.writes.keys() {
                // One that is gone may have been removed.
                let is_there = |stored: &Stored| stored.goes_ms.is_none_or(|goes_ms| goes_ms > now_ms);
                let of = |state: &State| state.collections[*at].documents.get(key).cloned().filter(is_there);
                if of(&client.began) != of(&self.state) {
                    return Err(format!("{}: another has written key {}", COLLECTIONS[*at], key.escape_ascii()));
                }
            }
        }
        if client.isolation == Isolation::Serializable {
            let mut again = State::clone(&self.state);
            for (op, found) in &client.steps {
                let right = again.collections[op.collection()].perform(op, now_ms);
                if !agree(found, &right) {
                    return Err(format!("now it would be answered otherwise: {}", differ(op, found, &right)));
                }
            }
        }
        Ok(())
    }
}

fn with_writes(state: &State, writes: &BTreeMap<(usize, Vec<u8>), Option<Stored>>) -> State {
    let mut state = state.clone();
    for ((at, key), written) in writes {
        let documents = &mut state.collections[*at].documents;
        match written {
            Some(stored) => drop(documents.insert(key.clone(), stored.clone())),
            None => drop(documents.remove(key)),
        }
    }
    state
}
