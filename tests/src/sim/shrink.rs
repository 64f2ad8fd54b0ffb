//! Makes a failing plan small: leaves out actions, then parts of transactions, as long as it still fails.

use super::action::{Action, ClientStep, TxOp, Value};
use super::clients::CLIENTS;
use super::engine::{Engine, Tuning};
use super::plan::Plan;
use super::run::{Failure, Stats, run};

/// A smaller plan that fails too, with its failure, after at most `runs_max` attempts.
pub fn shrink<E: Engine>(plan: &Plan, failure: &Failure, runs_max: usize) -> (Plan, Failure) {
    let mut best = Best { plan: plan.clone(), failure: failure.clone(), runs: runs_max, run: run::<E> };
    best.plan.actions.truncate(failure.action + 1);
    if (best.run)(&best.plan).is_ok() {
        // It shows only in the last comparison.
        best.plan = plan.clone();
    }
    loop {
        let before = best.plan.clone();
        best.without_actions();
        best.without_transaction_ops();
        best.simpler();
        if best.plan == before || best.runs == 0 {
            return (best.plan, best.failure);
        }
    }
}

/// The smallest plan that was found to fail.
pub(crate) struct Best<P> {
    pub(crate) plan: P,
    pub(crate) failure: Failure,
    /// Attempts that are left.
    pub(crate) runs: usize,
    pub(crate) run: fn(&P) -> Result<Stats, Failure>,
}

impl<P: PartialEq> Best<P> {
    /// Takes the plan if it fails.
    pub(crate) fn offer(&mut self, plan: P) -> bool {
        if self.runs == 0 || plan == self.plan {
            return false;
        }
        self.runs -= 1;
        match (self.run)(&plan) {
            Ok(_) => false,
            Err(failure) => {
                (self.plan, self.failure) = (plan, failure);
                true
            }
        }
    }
}

impl Best<Plan> {
    fn without_actions(&mut self) {
        let actions = self.plan.actions.clone();
        leave_out(actions, |actions| self.offer(Plan { actions: actions.to_vec(), ..self.plan.clone() }));
    }

    fn without_transaction_ops(&mut self) {
        for index in 0..self.plan.actions.len() {
            let Some(all) = ops(&self.plan.actions[index]).cloned() else { continue };
            leave_out(all, |fewer| {
                let mut plan = self.plan.clone();
                if let Some(ops) = ops_mut(&mut plan.actions[index]) {
                    *ops = fewer.to_vec();
                }
                self.offer(plan)
            });
        }
    }

    /// All steps of a client at once: each alone leaves the others without their transaction.
    fn without_clients(&mut self) {
        for client in 0..CLIENTS {
            let mut plan = self.plan.clone();
            plan.actions.retain(|action| !matches!(action, Action::Client(at, _) if at % CLIENTS == client));
            self.offer(plan);
        }
    }

    /// Reads that need not be fetched, accidents that come at once, short values, few steps.
    fn simpler(&mut self) {
        self.offer(Plan { paging: None, ..self.plan.clone() });
        self.offer(Plan { late_syncs: false, ..self.plan.clone() });
        self.offer(Plan { tuning: plain(self.plan.tuning), ..self.plan.clone() });
        self.without_clients();
        for index in 0..self.plan.actions.len() {
            let simpler = match &self.plan.actions[index] {
                Action::Step(times) if *times > 1 => Action::Step(times / 2),
                Action::CrashAfter(_, crash) => Action::CrashNow(*crash),
                Action::FaultAfter(ios, fault) if *ios > 0 => Action::FaultAfter(ios / 2, *fault),
                Action::Commit(durability, ops) => Action::Commit(*durability, shorter_values(ops)),
                Action::Client(at, ClientStep::Do(op)) => match &shorter_values(std::slice::from_ref(op))[..] {
                    [shorter] => Action::Client(*at, ClientStep::Do(shorter.clone())),
                    _ => continue,
                },
                _ => continue,
            };
            let mut plan = self.plan.clone();
            plan.actions[index] = simpler;
            self.offer(plan);
        }
    }
}

/// Leaves out as many items as it can, large parts first; `offer` says whether it does without them.
pub fn leave_out<T: Clone>(mut items: Vec<T>, mut offer: impl FnMut(&[T]) -> bool) {
    let mut size = items.len().div_ceil(2);
    while size > 0 {
        let mut at = 0;
        while at < items.len() {
            let mut fewer = items.clone();
            fewer.drain(at..(at + size).min(items.len()));
            if offer(&fewer) {
                items = fewer;
            } else {
                at += size;
            }
        }
        size /= 2;
    }
}

/// Stored as most databases are.
fn plain(tuning: Tuning) -> Tuning {
    let Tuning { budget_bytes, compression, checksum, verify, encryption, .. } = Tuning::default();
    Tuning { budget_bytes, compression, checksum, verify, encryption, ..tuning }
}

fn ops(action: &Action) -> Option<&Vec<TxOp>> {
    match action {
        Action::Commit(_, ops) | Action::Abort(ops) => Some(ops),
        _ => None,
    }
}

fn ops_mut(action: &mut Action) -> Option<&mut Vec<TxOp>> {
    match action {
        Action::Commit(_, ops) | Action::Abort(ops) => Some(ops),
        _ => None,
    }
}

fn shorter_values(ops: &[TxOp]) -> Vec<TxOp> {
    let shorter = |op: &TxOp| match op {
        // Four bytes hold the tag, so values stay different.
        TxOp::Put(table, key, Value { tag, len }) if *len > 4 => {
            TxOp::Put(*table, key.clone(), Value { tag: *tag, len: (len / 2).max(4) })
        }
        other => other.clone(),
    };
    ops.iter().map(shorter).collect()
}
