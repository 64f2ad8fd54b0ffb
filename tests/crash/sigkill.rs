//! All scenarios, several at a time.

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use crate::arguments::Kill;
use crate::report;
use crate::scenario::{SCENARIOS, Scenario, Work};
use crate::{campaign, import, queue};

/// Kills as many processes as asked for, and says what was found.
pub fn run(arguments: &Kill) -> ExitCode {
    let start = Instant::now();
    let clock = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64);
    let seed = arguments.seed.unwrap_or(clock % 1_000_000_000);
    let folder = arguments.folder.join(format!("lightning-crash-{}", std::process::id()));
    let lightning = arguments.lightning.clone().or_else(beside_this).filter(|program| program.is_file());
    let scenarios = chosen(arguments, lightning.is_some());
    let kills = arguments.kills.div_ceil(scenarios.len().max(1) as u64);
    println!("seed {seed}, databases in '{}'", folder.display());

    let outcomes = queue::run_all(&scenarios, arguments.jobs, |scenario| {
        let folder = folder.join(scenario.name);
        let outcome = match &lightning {
            Some(lightning) if scenario.work == Work::Import => import::run(scenario, seed, kills, &folder, lightning),
            _ => campaign::run(scenario, seed, kills, &folder, lightning.as_deref()),
        };
        if outcome.failure.is_none() {
            _ = fs::remove_dir_all(&folder);
        }
        outcome
    });
    // Only if nothing was kept in it.
    _ = fs::remove_dir(&folder);
    report::print(&outcomes, "kills", start.elapsed().as_secs_f64());
    let mut code = ExitCode::SUCCESS;
    for outcome in &outcomes {
        if let Some(what) = &outcome.failure {
            code = ExitCode::FAILURE;
            let kept = folder.join(outcome.scenario);
            println!("\nFAILED: {}: {what}", outcome.scenario);
            println!("  the files before the last opening: {}", kept.join("before").display());
            println!("  look at a copy of them: lightning check app.ldb; lightning stats app.ldb");
            println!(
                "  what was acknowledged: {}; what the process said: stderr beside it",
                kept.join("ledger").display()
            );
            println!("  again: crash --scenario {} --seed {seed} --kills {}", outcome.scenario, kills.max(500));
        }
    }
    code
}

fn chosen(arguments: &Kill, has_lightning: bool) -> Vec<&'static Scenario> {
    let mut scenarios = arguments.scenarios.clone();
    if scenarios.is_empty() {
        scenarios.extend(SCENARIOS);
    }
    scenarios.retain(|scenario| {
        let runs = has_lightning || !scenario.needs_command();
        if !runs {
            println!("left out: {}: the command 'lightning' is not beside this program", scenario.name);
        }
        runs
    });
    scenarios
}

fn beside_this() -> Option<PathBuf> {
    Some(std::env::current_exe().ok()?.parent()?.join("lightning"))
}
