//! `cargo xtask bench`: the benchmarks against other databases, in one run.

use std::process::ExitCode;

use anyhow::Result;

use crate::process::{self, cargo};
use crate::setup::{self, Consent};

#[derive(clap::Args)]
pub struct Arguments {
    /// Arguments of the benchmark program; --help lists them
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    rest: Vec<String>,
}

pub fn run(arguments: &Arguments) -> Result<ExitCode> {
    setup::peers(Consent::from_environment())?;
    process::run(
        cargo()?
            .args(["run", "--release", "-p", "lightning-db-tests", "--features", "peers", "--bin", "peer-bench", "--"])
            .args(&arguments.rest),
    )?;
    Ok(ExitCode::SUCCESS)
}
