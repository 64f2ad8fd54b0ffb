//! Power loss: the database lies on a FUSE file system that keeps apart what was synced and what was not, and at a random
//! moment refuses everything. What is found afterwards is any of the contents that the fault model of `Storage` allows,
//! made by the simulated disk's own rules.
//!
//! What this adds to the simulation: the real program, its threads, the calls it really makes, and the kernel's page cache
//! between it and the disk. That the harness sees a loss is shown each time by a disk that answers syncs without doing them.

mod campaign;
mod disk;
mod file_system;
mod mount;

use std::fs;
use std::path::Path;
use std::process::ExitCode;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use self::campaign::{Campaign, Kind};
use crate::arguments::Cuts;
use crate::report::{self, Outcome};
use crate::scenario::{SCENARIOS, Scenario};

/// The control experiment has found a loss long before.
const CONTROL_CUTS: u64 = 100;

/// Cuts the power as often as asked for, and says what was found.
pub fn run(arguments: &Cuts) -> ExitCode {
    println!("left out: dm-log-writes and dm-flakey, which need a device mapper in the kernel and a disk to give away");
    if let Err(why) = available() {
        println!("left out: power loss on a FUSE file system: {why}");
        return ExitCode::SUCCESS;
    }
    let clock = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64);
    let seed = arguments.seed.unwrap_or(clock % 1_000_000_000);
    let folder = arguments.folder.join(format!("lightning-power-{}", std::process::id()));
    println!("seed {seed}, what is kept of failures in '{}'", folder.display());
    let mut scenarios = arguments.scenarios.clone();
    if scenarios.is_empty() {
        scenarios.extend(SCENARIOS);
    }
    scenarios.retain(|scenario| !scenario.needs_command());

    let start = Instant::now();
    let cuts = arguments.cuts.div_ceil(scenarios.len().max(1) as u64);
    let outcomes: Vec<Outcome> =
        scenarios.iter().map(|scenario| one(scenario, seed, cuts, &folder, Kind::Honest)).collect();
    report::print(&outcomes, "cuts", start.elapsed().as_secs_f64());
    let mut code = ExitCode::SUCCESS;
    for outcome in &outcomes {
        if let Some(what) = &outcome.failure {
            code = ExitCode::FAILURE;
            let kept = folder.join(outcome.scenario);
            println!("\nFAILED: {}: {what}", outcome.scenario);
            println!("  the files after the power came back: {}", kept.join("before").display());
            println!("  look at a copy of them: lightning check app.ldb; lightning stats app.ldb");
            println!("  again: crash --power-loss --scenario {} --seed {seed} --cuts {}", outcome.scenario, cuts.max(200));
        }
    }
    if !control(seed, &folder) {
        code = ExitCode::FAILURE;
    }
    // Only if nothing was kept in it.
    _ = fs::remove_dir(&folder);
    code
}

fn one(scenario: &'static Scenario, seed: u64, cuts: u64, folder: &Path, kind: Kind) -> Outcome {
    let folder = folder.join(scenario.name);
    let outcome = Campaign::run(scenario, seed, cuts, &folder, kind);
    if outcome.failure.is_none() || kind == Kind::Lying {
        campaign::clear(&folder);
    }
    outcome
}

/// On a disk that answers syncs without doing them, acknowledged commits must be found missing.
fn control(seed: u64, folder: &Path) -> bool {
    let Some(scenario) = Scenario::named("batches") else { return false };
    let outcome = one(scenario, seed, CONTROL_CUTS, &folder.join("control"), Kind::Lying);
    _ = fs::remove_dir(folder.join("control"));
    match &outcome.failure {
        Some(what) => println!("\ncontrol: a disk that answers half its syncs without doing them is noticed: {what}"),
        None => println!("\nFAILED: control: a disk that answers syncs without doing them was not noticed"),
    }
    outcome.failure.is_some()
}

/// Whether this machine lets this user do it, and if not, why.
fn available() -> Result<(), String> {
    match fs::OpenOptions::new().read(true).write(true).open("/dev/fuse") {
        Err(error) => return Err(format!("/dev/fuse: {error}")),
        Ok(device) => drop(device),
    }
    mount::leave_shared_mounts().map_err(|error| format!("mounts of its own, for which it must be root: {error}"))
}
