//! `cargo xtask demo`: the database at work on real data, in front of your eyes.

pub mod cities;
pub mod native;
pub mod web_spike;

use std::process::ExitCode;

use anyhow::Result;

use crate::setup::Consent;

#[derive(clap::Args)]
#[group(multiple = true)]
pub struct Arguments {
    /// The command `lightning` with a real data set, killed half-way (the default)
    #[arg(long)]
    native: bool,
    /// The engine in Chromium, on OPFS and on IndexedDB
    #[arg(long)]
    web_spike: bool,
}

pub fn run(arguments: &Arguments) -> Result<ExitCode> {
    if arguments.native || !arguments.web_spike {
        native::run()?;
    }
    if arguments.web_spike {
        web_spike::run(Consent::from_environment())?;
    }
    Ok(ExitCode::SUCCESS)
}
