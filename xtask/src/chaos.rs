//! `cargo xtask chaos`: trouble with the machine's real resources.

use std::process::{Command, ExitCode};

use anyhow::Result;

use crate::process;

#[derive(clap::Args)]
pub struct Arguments {
    /// About how long each scenario goes on
    #[arg(long, default_value_t = 5)]
    seconds: u64,
    /// Further arguments of the program; --help lists them
    #[arg(last = true)]
    rest: Vec<String>,
}

pub fn run(arguments: &Arguments) -> Result<ExitCode> {
    process::run(command(arguments.seconds)?.args(&arguments.rest))?;
    Ok(ExitCode::SUCCESS)
}

/// All scenarios, each for `seconds`.
pub fn command(seconds: u64) -> Result<Command> {
    let mut command = process::tests_program("chaos", &[])?;
    command.args(["--seconds", &seconds.to_string()]);
    Ok(command)
}
