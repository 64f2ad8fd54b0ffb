//! `cargo xtask mutants`: deliberate bugs of the engine, each simulated until it is caught.

use std::process::{Command, ExitCode};

use anyhow::Result;

use crate::process;
use crate::workspace;

/// The page with the result.
const PAGE: &str = "tests/mutants.md";

#[derive(clap::Args)]
pub struct Arguments {
    /// Write the result to tests/mutants.md
    #[arg(long)]
    write: bool,
    /// Further arguments, among them names of mutants; --help lists them
    #[arg(last = true)]
    rest: Vec<String>,
}

pub fn run(arguments: &Arguments) -> Result<ExitCode> {
    let mut command = command()?;
    if arguments.write {
        command.arg("--write").arg(workspace::root().join(PAGE));
    }
    process::run(command.args(&arguments.rest))?;
    Ok(ExitCode::SUCCESS)
}

/// All of them, always with the same seeds; it fails when one is not caught.
pub fn command() -> Result<Command> {
    process::tests_program("mutants", &["testing"])
}
