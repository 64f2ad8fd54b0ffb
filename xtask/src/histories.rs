//! `cargo xtask histories`: histories of concurrent transactions, checked for isolation anomalies, for as long as asked.

use std::process::{Command, ExitCode};

use anyhow::Result;

use crate::process;

#[derive(clap::Args)]
pub struct Arguments {
    /// How long to go on
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// Replay this seed alone
    #[arg(long)]
    seed: Option<u64>,
    /// Further arguments; --help lists them
    #[arg(last = true)]
    rest: Vec<String>,
}

pub fn run(arguments: &Arguments) -> Result<ExitCode> {
    let mut command = command(arguments.seconds)?;
    if let Some(seed) = arguments.seed {
        command.args(["--seed", &seed.to_string()]);
    }
    process::run(command.args(&arguments.rest))?;
    Ok(ExitCode::SUCCESS)
}

/// Histories for `seconds`.
pub fn command(seconds: u64) -> Result<Command> {
    let mut command = process::tests_program("histories", &[])?;
    command.args(["--seconds", &seconds.to_string()]);
    Ok(command)
}
