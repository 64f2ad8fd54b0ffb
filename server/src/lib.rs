//! The command line of Lightning DB as a library: the program `lightning` calls [`run`], tests reach inside.
//!
//! One file for each command under `commands`; `types` knows keys and values whose types are read from the file,
//! `documents` is what collections hold, as JSON and on the command line; `records` reads what is imported, `output` prints, `failure` holds the exit codes.

// `stats --json` is one literal.
#![recursion_limit = "256"]
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod cli;
mod commands;
mod database;
mod destination;
mod documents;
mod failure;
mod grid;
mod key;
mod moment;
#[cfg(feature = "object-store")]
mod objects;
mod output;
mod place;
mod progress;
mod range;
mod records;
#[cfg(feature = "testing")]
#[doc(hidden)]
pub mod testing;
mod types;

use std::process::ExitCode;

use clap::Parser;

use crate::failure::Failure;

/// Does what the arguments of this process say.
pub fn run() -> ExitCode {
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
