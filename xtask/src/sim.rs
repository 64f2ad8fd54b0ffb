//! `cargo xtask sim`: the simulation of storage faults, for as long as asked.

use std::process::{Command, ExitCode};

use anyhow::Result;

use crate::process;

#[derive(clap::Args)]
pub struct Arguments {
    /// How long to go on
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// Further arguments of the simulation; --help lists them
    #[arg(last = true)]
    rest: Vec<String>,
}

pub fn run(arguments: &Arguments) -> Result<ExitCode> {
    process::run(command(arguments.seconds)?.args(&arguments.rest))?;
    Ok(ExitCode::SUCCESS)
}

/// The simulation for `seconds`.
pub fn command(seconds: u64) -> Result<Command> {
    let mut command = process::tests_program("sim", &[])?;
    command.args(["--seconds", &seconds.to_string()]);
    Ok(command)
}
