//! What was done, as a table.

use std::collections::BTreeMap;

/// What became of one scenario.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    pub scenario: &'static str,
    pub kills: u64,
    /// Processes that ended by themselves, the database closed.
    pub clean_ends: u64,
    /// Kills by what was going on. One kill may fall into several things.
    pub phases: BTreeMap<String, u64>,
    /// Commits acknowledged, and found.
    pub acknowledged: u64,
    /// Commits acknowledged, and not found.
    pub lost: u64,
    /// How long openings took, in microseconds.
    pub openings: Vec<u64>,
    pub seconds: f64,
    pub failure: Option<String>,
}

impl Outcome {
    pub fn of(scenario: &'static str) -> Self {
        Self { scenario, ..Self::default() }
    }

    /// Adds what another run found.
    pub fn add(&mut self, other: &Self) {
        self.kills += other.kills;
        self.clean_ends += other.clean_ends;
        self.acknowledged += other.acknowledged;
        self.lost += other.lost;
        self.openings.extend(&other.openings);
        for (phase, kills) in &other.phases {
            *self.phases.entry(phase.clone()).or_default() += kills;
        }
    }
}

/// Prints all outcomes and their sum. `strike` is what one is called.
pub fn print(outcomes: &[Outcome], strike: &str, seconds: f64) {
    println!(
        "{:<14} {strike:>6} {:>9} {:>10} {:>5} {:>13} {:>13} {:>8}",
        "scenario", "clean end", "commits", "lost", "open, median", "open, longest", "seconds"
    );
    let mut all = Outcome::of("all");
    for outcome in outcomes {
        all.add(outcome);
        line(outcome);
    }
    all.seconds = seconds;
    line(&all);
    println!("\n{strike} by what was going on:");
    for (phase, kills) in &all.phases {
        println!("  {phase:<34} {kills:>6}");
    }
    println!("\n{:.1} {strike} a second", all.kills as f64 / seconds.max(1e-3));
}

fn line(outcome: &Outcome) {
    let mut openings = outcome.openings.clone();
    openings.sort_unstable();
    let milliseconds = |at: Option<&u64>| format!("{:.1} ms", at.map_or(0.0, |micros| *micros as f64 / 1000.0));
    println!(
        "{:<14} {:>6} {:>9} {:>10} {:>5} {:>13} {:>13} {:>8.1}",
        outcome.scenario,
        outcome.kills,
        outcome.clean_ends,
        outcome.acknowledged,
        outcome.lost,
        milliseconds(openings.get(openings.len() / 2)),
        milliseconds(openings.last()),
        outcome.seconds,
    );
}
