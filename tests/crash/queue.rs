//! Several scenarios at a time.

use std::sync::{Mutex, PoisonError};

use crate::report::Outcome;
use crate::scenario::Scenario;

/// Runs each scenario, `jobs` at a time, and gives the outcomes in the order of the scenarios.
pub fn run_all(
    scenarios: &[&'static Scenario],
    jobs: usize,
    one: impl Fn(&'static Scenario) -> Outcome + Sync,
) -> Vec<Outcome> {
    let waiting = Mutex::new(scenarios.iter().enumerate().rev().collect::<Vec<_>>());
    let done = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..jobs.max(1) {
            scope.spawn(|| {
                loop {
                    let next = waiting.lock().unwrap_or_else(PoisonError::into_inner).pop();
                    let Some((index, scenario)) = next else { return };
                    let outcome = one(scenario);
                    done.lock().unwrap_or_else(PoisonError::into_inner).push((index, outcome));
                }
            });
        }
    });
    let mut done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    done.sort_by_key(|(index, _)| *index);
    done.into_iter().map(|(_, outcome)| outcome).collect()
}
