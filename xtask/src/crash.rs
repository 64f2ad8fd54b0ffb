//! `cargo xtask crash`: real processes killed, real power losses simulated below a real file system.

use std::process::{Command, ExitCode};

use anyhow::Result;

use crate::process::{self, cargo};

#[derive(clap::Args)]
pub struct Arguments {
    /// How many processes to kill, over all scenarios
    #[arg(long, value_name = "N", default_value_t = 3000, conflicts_with_all = ["power_loss", "cuts"])]
    kills: u64,
    /// Only this scenario; may be repeated
    #[arg(long, value_name = "S")]
    scenario: Vec<String>,
    /// What is written and when it strikes; another one each time if not given
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Cut the power of a disk instead of killing: on a FUSE file system, which takes Linux and root
    #[arg(long)]
    power_loss: bool,
    /// How often to cut it, over all scenarios
    #[arg(long, value_name = "N", default_value_t = 1000, requires = "power_loss")]
    cuts: u64,
    /// Further arguments of the program; --help lists them
    #[arg(last = true)]
    rest: Vec<String>,
}

pub fn run(arguments: &Arguments) -> Result<ExitCode> {
    process::run(&mut build("release")?)?;
    let mut command = if arguments.power_loss { cuts(arguments.cuts)? } else { kills(arguments.kills)? };
    command.args(arguments.scenario.iter().flat_map(|name| ["--scenario", name]));
    command.args(arguments.seed.iter().flat_map(|seed| [String::from("--seed"), seed.to_string()]));
    process::run(command.args(&arguments.rest))?;
    Ok(ExitCode::SUCCESS)
}

/// Builds the program, and beside it the command `lightning`, which it kills too.
pub fn build(profile: &str) -> Result<Command> {
    let mut command = cargo()?;
    command.args(["build", "--profile", profile, "-p", "lightning-db-tests", "--bin", "crash"]);
    command.args(["-p", "lightning-db-server", "--bin", "lightning"]);
    Ok(command)
}

/// Kills processes, once it is built in release.
pub fn kills(kills: u64) -> Result<Command> {
    let mut command = program("release")?;
    command.args(["--kills", &kills.to_string()]);
    Ok(command)
}

/// Cuts the power, once it is built in release.
pub fn cuts(cuts: u64) -> Result<Command> {
    let mut command = program("release")?;
    command.args(["--power-loss", "--cuts", &cuts.to_string()]);
    Ok(command)
}

/// A few kills in every scenario, once it is built as tests are.
pub fn smoke(kills: u64) -> Result<Command> {
    let mut command = program("test")?;
    command.args(["--kills", &kills.to_string()]);
    Ok(command)
}

fn program(profile: &str) -> Result<Command> {
    let mut command = cargo()?;
    command.args(["run", "--quiet", "--profile", profile, "-p", "lightning-db-tests", "--bin", "crash", "--"]);
    Ok(command)
}
