//! Interactive transactions of several clients beside each other, and whether each was answered, let through and refused
//! rightly.
//!
//! At repeatable read and serializable a transaction sees the state it began with and its own changes, at read committed
//! the newest one whenever it reads. What it may commit is decided from what was committed since it began:
//! - of two that write the same key (or delete a range around it) the second is refused, at repeatable read and above;
//! - at serializable it is let through only if it would have got the same answers at the moment of its commit, and refused
//!   only if something it read or wrote was written by another;
//! - two that make tables at the same time may be refused at any level;
//! - where the engine no longer has what it needs to decide, it may refuse as too old, but only if others have committed.

use std::sync::Arc;

use lightning_db::{Error, Isolation};

use super::action::{Answer, ClientStep, Durability, TABLES, TxOp};
use super::compare::{Wrong, difference};
use super::draft::{Commit, Draft};
use super::engine::{Ack, Engine};
use super::recovery::TRANSACTION_NS_MAX;
use super::run::Runner;

/// Clients at most.
pub const CLIENTS: usize = 4;

/// One client's transaction.
pub(super) struct Client<T> {
    tx: T,
    isolation: Isolation,
    /// Between these it began, by the monotonic clock.
    began_ns: u64,
    begun_ns: u64,
    /// What it may be seeing, the newest first: several as long as commits wait for their syncs.
    views: Vec<View>,
    /// What it did, and was answered.
    steps: Vec<(TxOp, Option<Answer>)>,
    /// Steps that failed; what they would have read counts as read all the same.
    failed: Vec<TxOp>,
    /// Commits since opening that it certainly knows.
    commits_at_begin: usize,
    /// Tables that were certainly there when it began.
    there: [bool; TABLES.len()],
    /// Tables it has tried to open.
    tried: [bool; TABLES.len()],
}

#[derive(Clone)]
struct View {
    /// The number of the state.
    state: u64,
    draft: Draft,
    /// How many commits since opening are certainly in what it began with, and how many may be.
    known: (usize, usize),
}

/// A commit that is applied and not acknowledged yet.
pub(super) struct Waiting<T> {
    /// Asked again; `None` if the call that committed is gone.
    tx: Option<T>,
    durability: Durability,
    applied: super::model::Applied,
}

impl<E: Engine> Runner<E> {
    pub(super) fn client(&mut self, at: usize, step: &ClientStep) -> Result<(), Wrong> {
        let at = at % CLIENTS;
        match step {
            ClientStep::Begin(isolation) => {
                self.clients[at] = None;
                self.clients[at] = Some(self.begin(*isolation)?);
                Ok(())
            }
            ClientStep::Do(op) => {
                let Some(mut client) = self.clients[at].take() else { return Ok(()) };
                self.stats.operations += 1;
                match self.perform(&mut client, op) {
                    // It is over: a walk of what it sees may notice that first.
                    Err(Wrong::Error(Error::TransactionTimeout { .. } | Error::SnapshotExpired { .. })) => {
                        self.out_of_time(client.began_ns)
                    }
                    Err(Wrong::Error(Error::Conflict { what })) => self.refused(&client, &what),
                    outcome => {
                        self.clients[at] = Some(client);
                        outcome
                    }
                }
            }
            ClientStep::Commit(durability) => match self.clients[at].take() {
                Some(client) => self.commit_client(client, *durability),
                None => Ok(()),
            },
            ClientStep::Abort => {
                self.clients[at] = None;
                Ok(())
            }
        }
    }

    fn begin(&mut self, isolation: Isolation) -> Result<Client<E::Transaction>, Wrong> {
        let began_ns = self.site.clock.shown_ns();
        let tx = self.engine()?.begin(isolation)?;
        let begun_ns = self.site.clock.shown_ns();
        self.note_completed_syncs();
        let late = self.site.late_syncs;
        let views = self.model.visible().map(|(number, state)| View {
            state: number,
            draft: Draft::new(Arc::clone(&state.tables)),
            known: (if late { state.commits.0 } else { state.commits.1 }, state.commits.1),
        });
        let views: Vec<View> = views.collect();
        let commits_at_begin = views.iter().map(|view| view.known.0).min().unwrap_or(0);
        let (there, tried) = (self.model.there(commits_at_begin), [false; TABLES.len()]);
        Ok(Client {
            tx,
            isolation,
            began_ns,
            begun_ns,
            views,
            steps: Vec::new(),
            failed: Vec::new(),
            commits_at_begin,
            there,
            tried,
        })
    }

    fn perform(&mut self, client: &mut Client<E::Transaction>, op: &TxOp) -> Result<(), Wrong> {
        if let Some(table) = op.table() {
            client.tried[table] = true;
        }
        let answer = match self.engine()?.perform(&mut client.tx, op) {
            Ok(answer) => answer,
            Err(error) => {
                client.failed.push(op.clone());
                return Err(Wrong::Error(error));
            }
        };
        self.note_completed_syncs();
        let reads = matches!(op, TxOp::Ask(_) | TxOp::Delete(..));
        if client.isolation == Isolation::ReadCommitted && reads {
            self.see_what_is_committed(client);
        }
        let mut expected = None;
        client.views.retain_mut(|view| {
            let right = view.draft.perform(op);
            let same = right == answer;
            expected.get_or_insert(right);
            same
        });
        if client.views.is_empty() {
            let words = match (&answer, expected.flatten()) {
                (Some(found), Some(expected)) => difference(found, &expected),
                (found, expected) => format!("{found:?} instead of {expected:?}"),
            };
            return Err(Wrong::Answer(format!("a client at {:?}: {op:?}: {words}", client.isolation)));
        }
        client.steps.push((op.clone(), answer));
        Ok(())
    }

    /// Some state that is committed, and never an older one than before.
    fn see_what_is_committed(&self, client: &mut Client<E::Transaction>) {
        let oldest = client.views.iter().map(|view| view.state).min().unwrap_or(0);
        // Their changes are the same: they got the same answers.
        let known = client.views.iter().map(|view| view.known).min();
        let Some(view) = client.views.first().cloned() else { return };
        let newer = self.model.visible().filter(|(number, _)| *number >= oldest);
        client.views = newer
            .map(|(number, state)| {
                let mut view = View { state: number, known: known.unwrap_or(view.known), ..view.clone() };
                view.draft.see(&state.tables);
                view
            })
            .collect();
    }

    fn commit_client(&mut self, mut client: Client<E::Transaction>, durability: Durability) -> Result<(), Wrong> {
        self.stats.operations += 1;
        let Some(commit) = client.views.first().map(|view| view.draft.commit()) else { return Ok(()) };
        let hidden_until = (durability == Durability::Sync).then(|| self.site.disk.next_ticket());
        let is_overdue = self.site.clock.shown_ns().saturating_sub(client.begun_ns) >= TRANSACTION_NS_MAX;
        match self.engine()?.commit(&mut client.tx, durability) {
            Ok(_) if is_overdue && E::ENDS_TRANSACTIONS => {
                Err(Wrong::Answer(String::from("a commit was let through after the time of its transaction")))
            }
            Ok(ack) => {
                // One that wrote nothing was as if it had happened when it began.
                if !commit.is_empty()
                    && let Some(why) =
                        client.views.iter().map(|view| self.must_be_refused(&client, view)).min().flatten()
                {
                    return Err(Wrong::Answer(format!("a commit at {:?} was let through: {why}", client.isolation)));
                }
                self.applied(Some(client), commit, durability, hidden_until, ack);
                Ok(())
            }
            Err(Error::Conflict { what }) => self.refused(&client, &what),
            // It was not tried.
            Err(Error::TransactionTimeout { .. }) => self.out_of_time(client.began_ns),
            Err(Error::TransactionTooOld) => {
                self.stats.too_old += 1;
                if self.committed_beside(&client) > 0 {
                    return Ok(());
                }
                Err(Wrong::Answer(String::from("a transaction is too old although nothing was committed beside it")))
            }
            // It was not tried.
            Err(error @ (Error::ReadOnly | Error::Unavailable { .. })) => Err(Wrong::Error(error)),
            Err(error) => {
                if let Some(view) = client.views.first() {
                    self.model.failed(view.draft.after(self.model.now()), &commit);
                }
                Err(Wrong::Error(error))
            }
        }
    }

    /// Nobody who has written commits any more.
    pub(super) fn commit_after_shutdown(&mut self) -> Result<(), Wrong> {
        for at in 0..CLIENTS {
            let Some(mut client) = self.clients[at].take() else { continue };
            let writes = client.views.iter().all(|view| !view.draft.commit().is_empty());
            let answer = self.engine()?.commit(&mut client.tx, Durability::Sync);
            if writes && answer.is_ok() {
                return Err(Wrong::Answer(String::from("after a shutdown a client's commit is let through")));
            }
        }
        Ok(())
    }

    /// A conflict needs somebody to be in conflict with.
    fn refused(&mut self, client: &Client<E::Transaction>, what: &str) -> Result<(), Wrong> {
        self.stats.conflicts += 1;
        if client.views.iter().any(|view| self.may_be_refused(client, view)) {
            return Ok(());
        }
        let others = self.committed_beside(client);
        let what = format!("a client at {:?} was refused for {what}, beside {others} others", client.isolation);
        Err(Wrong::Answer(what))
    }

    fn committed_beside(&self, client: &Client<E::Transaction>) -> usize {
        self.model.since(client.commits_at_begin).len()
    }

    /// Why it cannot have been as if it had happened at its commit alone.
    fn must_be_refused(&self, client: &Client<E::Transaction>, view: &View) -> Option<String> {
        if client.isolation == Isolation::ReadCommitted {
            return None;
        }
        let commit = view.draft.commit();
        if self.model.since(view.known.1).iter().any(|other| other.overlaps(&commit)) {
            return Some(String::from("another has written the same key since it began"));
        }
        if client.isolation == Isolation::Serializable {
            let mut again = Draft::new(Arc::clone(self.model.now()));
            for (op, answer) in &client.steps {
                let now = again.perform(op);
                if now != *answer {
                    return Some(format!("{op:?} would be answered otherwise now"));
                }
            }
        }
        None
    }

    fn may_be_refused(&self, client: &Client<E::Transaction>, view: &View) -> bool {
        let others = self.model.since(view.known.0);
        let makes_tables = client.tried.iter().zip(client.there).any(|(tried, there)| *tried && !there);
        if makes_tables && others.iter().any(|other| other.made.contains(&true)) {
            return true;
        }
        let commit = view.draft.commit();
        let writes = || others.iter().any(|other| other.overlaps(&commit));
        let mut steps = client.steps.iter().map(|(op, _)| op).chain(&client.failed);
        let mut reads = || steps.any(|op| others.iter().any(|other| other.changes_what_is_read_by(op)));
        match client.isolation {
            Isolation::ReadCommitted => false,
            Isolation::Snapshot => writes(),
            Isolation::Serializable => writes() || reads(),
        }
    }

    /// A commit has its place in the order, and is acknowledged now or later.
    pub(super) fn applied(
        &mut self,
        client: Option<Client<E::Transaction>>,
        commit: Commit,
        durability: Durability,
        hidden_until: Option<u64>,
        ack: Ack,
    ) {
        self.made = true;
        let after = commit.after(self.model.now());
        let Some(applied) = self.model.applied(after, commit, hidden_until) else { return };
        if applied.changed && !self.site.late_syncs {
            self.model.overwritten();
        }
        match ack {
            Ack::Done => self.model.acknowledged(applied, durability, self.site.clock.shown_ns()),
            Ack::Later => {
                self.waiting.push(Waiting { tx: client.map(|client| client.tx), durability, applied });
            }
        }
    }

    /// The platform completes some syncs; whoever waits for them is acknowledged.
    pub(super) fn complete_syncs(&mut self, count: u32) -> Result<(), Wrong> {
        for _ in 0..count {
            if !self.engine()?.complete_sync() {
                break;
            }
        }
        self.note_completed_syncs();
        let mut still = Vec::new();
        let mut outcome = Ok(());
        for mut waiting in std::mem::take(&mut self.waiting) {
            let engine = self.engine()?;
            let ack = match &mut waiting.tx {
                Some(tx) => engine.commit(tx, waiting.durability),
                None => engine.sync(),
            };
            match ack {
                Ok(Ack::Done) if waiting.tx.is_none() => self.model.synced(),
                Ok(Ack::Done) => {
                    self.model.acknowledged(waiting.applied, waiting.durability, self.site.clock.shown_ns());
                }
                Ok(Ack::Later) => still.push(waiting),
                // What became of it is not known.
                Err(error) => outcome = Err(Wrong::Error(error)),
            }
        }
        self.waiting = still;
        outcome
    }

    /// Syncs are also completed by calls that wait for them.
    pub(super) fn note_completed_syncs(&mut self) {
        if self.site.late_syncs {
            self.model.completed(self.site.disk.completed_ticket());
        }
    }
}
