//! `lightning`: the command line of Lightning DB.
//!
//! One file for each command under `commands`; `types` knows keys and values whose types are read from the file,
//! `records` reads what is imported, `output` prints, `failure` holds the exit codes.

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod cli;
mod commands;
mod database;
mod destination;
mod failure;
mod output;
mod progress;
mod range;
mod records;
mod types;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    let cli = cli::Cli::parse();
    let as_json = cli.json;
    match cli.run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            failure.report(as_json);
            failure.exit_code()
        }
    }
}
