//! `cargo xtask demo`: the database at work on real data, in front of your eyes.

pub mod cities;
pub mod native;

use std::process::ExitCode;

use anyhow::Result;

#[derive(clap::Args)]
pub struct Arguments {
    /// The command `lightning` with a real data set, killed half-way (the default)
    #[arg(long)]
    native: bool,
}

pub fn run(_: &Arguments) -> Result<ExitCode> {
    native::run()?;
    Ok(ExitCode::SUCCESS)
}
