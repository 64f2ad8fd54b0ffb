//! Power loss: the database lies on a FUSE file system that keeps apart what was synced and what was not, and at a random
//! moment refuses everything. What is found afterwards is any of the contents that the fault model of `Storage` allows,
//! made by the simulated disk's own rules.
//!
//! What this adds to the simulation: the real program, its threads, the calls it really makes, and the kernel's page cache
//! between it and the disk. That the harness sees a loss is shown each time by a disk that answers syncs without doing them.

mod campaign;
mod disk;
mod ext4;
mod file_system;
mod mount;

use std::fs;
use std::path::Path;
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use self::campaign::{Campaign, Kind};
use crate::arguments::Cuts;
use crate::queue;
use crate::report::{self, Outcome};
use crate::scenario::{SCENARIOS, Scenario};

/// A control experiment has found a loss long before.
const CONTROL_CUTS: u64 = 100;
/// So many, each with a seed of its own.
const CONTROLS: u64 = 6;
/// One in so many cuts is made under ext4, where each takes longer.
const EXT4_PART: u64 = 4;
/// Whatever happens, nothing takes longer without a cut.
const STALL_MAX: Duration = Duration::from_secs(120);

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

    watch();
    let mut passed = true;
    if let Err(why) = Campaign::trial(&folder, None) {
        println!("left out: power loss on a FUSE file system: {why}");
        return ExitCode::SUCCESS;
    }
    let image = ext4::image(&folder).and_then(|image| Campaign::trial(&folder, Some(&image)).map(|()| image));
    for kind in [Kind::Direct, Kind::Ext4] {
        let cuts = if kind == Kind::Ext4 { arguments.cuts.div_ceil(EXT4_PART) } else { arguments.cuts };
        let (name, image) = match (kind, &image) {
            (Kind::Ext4, Err(why)) => {
                println!("\nleft out: power loss under ext4: {why}");
                continue;
            }
            (Kind::Ext4, Ok(image)) => ("ext4 on a loop device on the disk", Some(&image[..])),
            _ => ("the disk's own file system", None),
        };
        println!("\n{name}:");
        let start = Instant::now();
        let each = cuts.div_ceil(scenarios.len().max(1) as u64);
        let outcomes =
            queue::run_all(&scenarios, arguments.jobs, |scenario| one(scenario, seed, each, &folder, kind, image));
        report::print(&outcomes, "cuts", start.elapsed().as_secs_f64());
        for outcome in &outcomes {
            if let Some(what) = &outcome.failure {
                passed = false;
                tell_failure(outcome.scenario, what, &folder, seed, each);
            }
        }
    }
    passed &= control(seed, &folder);
    // Only if nothing was kept in it.
    _ = fs::remove_dir(&folder);
    if passed { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn tell_failure(scenario: &str, what: &str, folder: &Path, seed: u64, cuts: u64) {
    println!("\nFAILED: {scenario}: {what}");
    println!("  the files after the power came back: {}", folder.join(scenario).join("before").display());
    println!("  look at a copy of them: lightning check app.ldb; lightning stats app.ldb");
    println!("  again: crash --power-loss --scenario {scenario} --seed {seed} --cuts {}", cuts.max(200));
}

fn one(scenario: &'static Scenario, seed: u64, cuts: u64, folder: &Path, kind: Kind, image: Option<&[u8]>) -> Outcome {
    let folder = folder.join(scenario.name);
    let outcome = Campaign::run(scenario, seed, cuts, &folder, kind, image);
    if outcome.failure.is_none() || kind == Kind::Lying {
        campaign::clear(&folder);
    }
    outcome
}

/// On a disk that answers syncs without doing them, acknowledged commits must be found missing.
fn control(seed: u64, folder: &Path) -> bool {
    let Some(scenario) = Scenario::named("batches") else { return false };
    let folder = folder.join("control");
    let controls = (seed..).take(CONTROLS as usize);
    let outcomes: Vec<Outcome> =
        controls.map(|seed| one(scenario, seed, CONTROL_CUTS, &folder, Kind::Lying, None)).collect();
    _ = fs::remove_dir(folder);
    let noticed = outcomes.iter().filter(|outcome| outcome.failure.is_some()).count();
    let lost = outcomes.iter().filter(|outcome| outcome.lost > 0).count();
    println!(
        "\ncontrol: of {CONTROLS} disks that answer half their syncs without doing them {noticed} were noticed, \
         {lost} of them by acknowledged commits that were lost and the others by damage"
    );
    if noticed < CONTROLS as usize {
        println!("FAILED: a disk that lies was not noticed");
    }
    noticed == CONTROLS as usize
}

/// Cuts made, for the watchdog.
static CUTS: AtomicU64 = AtomicU64::new(0);

/// Ends the process when nothing goes on any more. With it go its mounts, and what waits for them.
fn watch() {
    std::thread::spawn(|| {
        let (mut seen, mut since) = (0, Instant::now());
        loop {
            std::thread::sleep(Duration::from_secs(1));
            let now = CUTS.load(Ordering::Relaxed);
            if now != seen {
                (seen, since) = (now, Instant::now());
            } else if since.elapsed() > STALL_MAX {
                println!("FAILED: nothing has happened for {STALL_MAX:?}");
                std::process::exit(3);
            }
        }
    });
}

/// Whether this machine lets this user do it, and if not, why.
fn available() -> Result<(), String> {
    match fs::OpenOptions::new().read(true).write(true).open("/dev/fuse") {
        Err(error) => return Err(format!("/dev/fuse: {error}")),
        Ok(device) => drop(device),
    }
    mount::leave_shared_mounts().map_err(|error| format!("mounts of its own, for which it must be root: {error}"))
}
