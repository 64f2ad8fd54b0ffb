//! Makes a failing plan small.

use super::action::{Action, ClientStep, Op};
use super::clients::CLIENTS;
use super::plan::Plan;
use super::run::run;
use crate::sim::run::Failure;
use crate::sim::shrink::{Best, leave_out};

/// A smaller plan that fails too, with its failure, after at most `runs_max` attempts.
pub fn shrink(plan: &Plan, failure: &Failure, runs_max: usize) -> (Plan, Failure) {
    let mut best = Best { plan: plan.clone(), failure: failure.clone(), runs: runs_max, run };
    let mut short = plan.clone();
    short.actions.truncate(failure.action + 1);
    best.offer(short);
    loop {
        let before = best.plan.clone();
        let actions = best.plan.actions.clone();
        leave_out(actions, |actions| best.offer(Plan { actions: actions.to_vec(), ..best.plan.clone() }));
        best.without_ops();
        best.simpler();
        if best.plan == before || best.runs == 0 {
            return (best.plan, best.failure);
        }
    }
}

impl Best<Plan> {
    fn without_ops(&mut self) {
        for index in 0..self.plan.actions.len() {
            let Some(ops) = self.plan.actions.get_mut(index).and_then(ops_of).map(|ops| ops.clone()) else { continue };
            leave_out(ops, |fewer| {
                let mut plan = self.plan.clone();
                if let Some(ops) = plan.actions.get_mut(index).and_then(ops_of) {
                    *ops = fewer.to_vec();
                }
                self.offer(plan)
            });
        }
    }

    fn simpler(&mut self) {
        let mut plan = self.plan.clone();
        plan.base.paging = None;
        self.offer(plan);
        let mut plan = self.plan.clone();
        plan.base.tuning.compression = lightning_db::Compression::Lz4;
        plan.base.tuning.checksum = lightning_db::Checksum::Crc32;
        self.offer(plan);
        for client in 0..CLIENTS {
            let mut plan = self.plan.clone();
            plan.actions.retain(|action| !matches!(action, Action::Client(at, _) if at % CLIENTS == client));
            self.offer(plan);
        }
        for at in 0..self.plan.collections.len() {
            for rule in self.plan.collections[at].0.clone() {
                let mut plan = self.plan.clone();
                plan.collections[at].0.remove(&rule);
                self.offer(plan);
            }
            let mut plan = self.plan.clone();
            plan.collections[at].1 = None;
            self.offer(plan);
        }
        for index in 0..self.plan.actions.len() {
            let simpler = match &self.plan.actions[index] {
                Action::CrashAfter(_, crash) => Action::CrashNow(*crash),
                Action::FaultAfter(ios, fault) if *ios > 0 => Action::FaultAfter(ios / 2, *fault),
                Action::Transaction(_, ops, true) if ops.len() == 1 => Action::Call(ops[0].clone()),
                _ => continue,
            };
            let mut plan = self.plan.clone();
            plan.actions[index] = simpler;
            self.offer(plan);
        }
        self.fewer_fields();
    }

    /// Documents without the fields that do not matter.
    fn fewer_fields(&mut self) {
        for index in 0..self.plan.actions.len() {
            for name in ["a", "b", "c", "u", "tags", "list", "text"] {
                let mut plan = self.plan.clone();
                for document in plan.actions.get_mut(index).into_iter().flat_map(documents) {
                    if let lightning_db::Value::Map(fields) = document {
                        fields.retain(|(field, _)| field != name);
                    }
                }
                self.offer(plan);
            }
        }
    }
}

fn ops_of(action: &mut Action) -> Option<&mut Vec<Op>> {
    match action {
        Action::Transaction(_, ops, _) | Action::AddIndex(_, _, ops) | Action::Pages(.., ops) => Some(ops),
        _ => None,
    }
}

fn documents(action: &mut Action) -> Vec<&mut lightning_db::Value> {
    let ops = match action {
        Action::Call(op) | Action::Client(_, ClientStep::Do(op)) => std::slice::from_mut(op),
        Action::Transaction(_, ops, _) | Action::AddIndex(_, _, ops) | Action::Pages(.., ops) => ops.as_mut_slice(),
        _ => return Vec::new(),
    };
    ops.iter_mut()
        .filter_map(|op| match op {
            Op::Put(_, document, _) | Op::Insert(_, document) | Op::Replace(_, document) | Op::Swap(_, _, document) => {
                Some(document)
            }
            _ => None,
        })
        .collect()
}
