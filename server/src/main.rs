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

use crate::failure::Failure;

fn main() -> ExitCode {
    let (as_json, ended) = match cli::Cli::try_parse() {
        Ok(cli) => (cli.json, cli.run()),
        // Help and version are no failures, and people are told with colours and hints.
        Err(error) if !error.use_stderr() || !asks_for_json() => error.exit(),
        Err(error) => (true, Err(Failure::arguments(&error))),
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            failure.report(as_json);
            failure.exit_code()
        }
    }
}

/// Whether arguments that could not be understood ask for JSON all the same.
fn asks_for_json() -> bool {
    std::env::args_os().take_while(|argument| argument != "--").any(|argument| argument == "--json")
}
