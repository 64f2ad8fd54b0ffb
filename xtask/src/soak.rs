//! `cargo xtask soak`: constant load for a long time.

use std::process::ExitCode;

use anyhow::Result;

use crate::process;
use crate::workspace;

#[derive(clap::Args)]
pub struct Arguments {
    /// How long
    #[arg(long, default_value_t = 10)]
    minutes: u64,
    /// Further arguments of the program; --help lists them
    #[arg(last = true)]
    rest: Vec<String>,
}

pub fn run(arguments: &Arguments) -> Result<ExitCode> {
    let mut command = process::tests_program("soak", &["soak"])?;
    command.args(["--minutes", &arguments.minutes.to_string(), "--folder"]).arg(workspace::cache("soak")?);
    process::run(command.args(&arguments.rest))?;
    Ok(ExitCode::SUCCESS)
}
