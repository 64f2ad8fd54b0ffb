//! Trouble with the machine's real resources, one kind a scenario: the database must keep its integrity meanwhile, say
//! honestly what is wrong, and serve again when the trouble is over.
//!
//! Each scenario runs in a process of its own, in a folder of its own, because some of them end the process.

mod clock_skew;
mod corrupted_data;
mod disk_full;
mod flaky;
mod memory_pressure;
mod permissions;
mod random_failures;
mod scratch;
mod stress;
mod witness;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use clap::Parser;

use self::scratch::Scratch;

/// Brings trouble to the resources of a running database, and looks whether it copes
#[derive(Parser)]
struct Arguments {
    /// Only this scenario
    #[arg(long, value_parser = clap::builder::PossibleValuesParser::new(SCENARIOS.iter().map(|scenario| scenario.name)))]
    scenario: Option<String>,
    /// About how long each scenario goes on, in seconds
    #[arg(long, default_value_t = 5)]
    seconds: u64,
    /// Decides everything that is left to chance; a new one each time unless given
    #[arg(long)]
    seed: Option<u64>,
    /// Where the databases are put while it runs
    #[arg(long)]
    folder: Option<PathBuf>,
    /// What runs inside the process of a scenario
    #[arg(long, hide = true)]
    inside: bool,
}

/// What a scenario is given.
struct Site {
    folder: PathBuf,
    seconds: Duration,
    seed: u64,
}

impl Site {
    fn path(&self) -> PathBuf {
        self.folder.join("chaos.ldb")
    }
}

struct Scenario {
    name: &'static str,
    /// The command that brings the trouble along, to which the program itself and its arguments are added.
    around: fn(&Path) -> Vec<String>,
    /// What happened, in a few words.
    run: fn(&Site) -> Result<String>,
}

const SCENARIOS: [Scenario; 7] = [
    Scenario { name: "disk-full", around: disk_full::around, run: disk_full::run },
    Scenario { name: "memory-pressure", around: |_| Vec::new(), run: memory_pressure::run },
    Scenario { name: "corrupted-data", around: |_| Vec::new(), run: corrupted_data::run },
    Scenario { name: "clock-skew", around: |_| Vec::new(), run: clock_skew::run },
    Scenario { name: "permissions-removed", around: permissions::around, run: permissions::run },
    Scenario { name: "concurrent-stress", around: |_| Vec::new(), run: stress::run },
    Scenario { name: "random-failures", around: |_| Vec::new(), run: random_failures::run },
];

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let outcome = if arguments.inside { inside(&arguments) } else { all(&arguments) };
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Runs the scenarios one after another, and tells whether all passed.
fn all(arguments: &Arguments) -> Result<bool> {
    let seed = arguments.seed.unwrap_or_else(|| u64::from(std::process::id()));
    let chosen =
        SCENARIOS.iter().filter(|scenario| arguments.scenario.as_deref().is_none_or(|name| name == scenario.name));
    let (mut passed, mut failed) = (0, 0);
    for scenario in chosen {
        let scratch = Scratch::new(arguments.folder.as_deref(), scenario.name)?;
        let start = Instant::now();
        let outcome = outside(scenario, arguments, seed, scratch.path());
        let seconds = start.elapsed().as_secs_f64();
        match outcome {
            Ok(facts) => {
                passed += 1;
                println!("{:<20} passed in {seconds:4.1} s: {facts}", scenario.name);
            }
            Err(error) => {
                failed += 1;
                println!("{:<20} FAILED in {seconds:4.1} s: {error:#}", scenario.name);
                println!("  again with: chaos --scenario {} --seed {seed}", scenario.name);
                println!("  what is left of it: {}", scratch.keep().display());
            }
        }
    }
    println!("{passed} of {} passed", passed + failed);
    Ok(failed == 0)
}

/// Starts the scenario's process; gives the facts it printed.
fn outside(scenario: &Scenario, arguments: &Arguments, seed: u64, folder: &Path) -> Result<String> {
    let mut words = (scenario.around)(folder);
    let program = std::env::current_exe().context("where is this program?")?;
    words.push(program.to_str().context("the program's path is not Unicode")?.to_owned());
    let (first, rest) = words.split_first().context("no command")?;
    let output = Command::new(first)
        .args(rest)
        .args(["--inside", "--scenario", scenario.name, "--seed", &seed.to_string()])
        .args(["--seconds", &arguments.seconds.to_string(), "--folder"])
        .arg(folder)
        .output()
        .with_context(|| format!("cannot run {first}"))?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    if !output.status.success() {
        bail!("{}{}", said, String::from_utf8_lossy(&output.stderr));
    }
    Ok(said.trim().to_owned())
}

fn inside(arguments: &Arguments) -> Result<bool> {
    let name = arguments.scenario.as_deref().context("which scenario?")?;
    let scenario = SCENARIOS.iter().find(|scenario| scenario.name == name).context("no such scenario")?;
    let site = Site {
        folder: arguments.folder.clone().context("which folder?")?,
        seconds: Duration::from_secs(arguments.seconds),
        seed: arguments.seed.context("which seed?")?,
    };
    println!("{}", (scenario.run)(&site)?);
    Ok(true)
}
