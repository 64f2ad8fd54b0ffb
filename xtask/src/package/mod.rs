//! `cargo xtask package`: what people install, built from the sources.

pub mod npm;

use std::process::ExitCode;

use anyhow::Result;

use crate::setup::Consent;

#[derive(clap::Args)]
pub struct Arguments {
    /// What to build
    #[arg(value_enum, default_value = "npm")]
    package: Package,
}

#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Package {
    /// The npm package `lightning-db`, for browsers, Node, Deno and Bun
    Npm,
}

pub fn run(arguments: &Arguments) -> Result<ExitCode> {
    match arguments.package {
        Package::Npm => {
            npm::pack(Consent::from_environment())?;
        }
    }
    Ok(ExitCode::SUCCESS)
}
