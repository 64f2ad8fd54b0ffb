//! `cargo xtask demo`: the database at work on real data, in front of your eyes.

pub mod cities;
pub mod kotlin;
pub mod native;
pub mod swift;
pub mod web;

use std::process::ExitCode;

use anyhow::Result;

use crate::process;

#[derive(clap::Args)]
pub struct Arguments {
    /// The command `lightning` with a real data set, killed half-way (the default)
    #[arg(long)]
    native: bool,
    /// The sample program in Kotlin on a file that the command `lightning` wrote, and the other way round
    #[arg(long, conflicts_with = "native")]
    kotlin: bool,
    /// A web app on the same data: builds it and serves it
    #[arg(long, conflicts_with_all = ["native", "kotlin"])]
    web: bool,
    /// The sample in Swift and the command on the same file, and the sample killed while it writes
    #[arg(long, conflicts_with_all = ["native", "web", "kotlin"])]
    swift: bool,
    /// Do not serve it, but click through it in Chromium and write screenshots
    #[arg(long, requires = "web")]
    check: bool,
}

pub fn run(arguments: &Arguments) -> Result<ExitCode> {
    match arguments {
        Arguments { web: true, check: true, .. } => process::run(&mut web::check()?)?,
        Arguments { web: true, .. } => web::serve()?,
        Arguments { kotlin: true, .. } => kotlin::run()?,
        Arguments { swift: true, .. } => swift::run()?,
        _ => native::run()?,
    }
    Ok(ExitCode::SUCCESS)
}
