//! All automation of this repository. `cargo xtask --help` lists it.
//!
//! One file per subcommand. Everything a subcommand needs is installed by [`setup`], which every subcommand calls itself,
//! so none of them depends on what was installed by hand.

mod bench;
mod chaos;
mod crash;
mod demo;
mod fuzz;
mod histories;
mod mutants;
mod package;
mod process;
mod setup;
mod sim;
mod soak;
mod test;
mod workspace;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Automation of the Lightning DB repository
#[derive(Parser)]
#[command(bin_name = "cargo xtask", disable_help_subcommand = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Install what is missing for the other subcommands, each step only when needed
    Setup(setup::Arguments),
    /// Show the database at work on real data
    Demo(demo::Arguments),
    /// Run every test that fits into a build
    Test(test::Arguments),
    /// Measure against other databases
    Bench(bench::Arguments),
    /// Run the simulation of storage faults
    Sim(sim::Arguments),
    /// Run concurrent transactions and look for isolation anomalies in their histories
    Histories(histories::Arguments),
    /// Give the engine deliberate bugs and simulate each until it is caught
    Mutants(mutants::Arguments),
    /// Bring trouble to the disk, the memory, the clock, the permissions and the data of a running database
    Chaos(chaos::Arguments),
    /// Kill processes, or cut the power, and verify what is left
    Crash(crash::Arguments),
    /// Search for bytes that break a decoder, or the whole engine
    Fuzz(fuzz::Arguments),
    /// Build what people install
    Package(package::Arguments),
    /// Load a database evenly for a long time, and look whether anything grows
    Soak(soak::Arguments),
}

fn main() -> ExitCode {
    let outcome = match Arguments::parse().command {
        Command::Setup(arguments) => setup::run(&arguments),
        Command::Demo(arguments) => demo::run(&arguments),
        Command::Test(arguments) => test::run(&arguments),
        Command::Bench(arguments) => bench::run(&arguments),
        Command::Sim(arguments) => sim::run(&arguments),
        Command::Histories(arguments) => histories::run(&arguments),
        Command::Mutants(arguments) => mutants::run(&arguments),
        Command::Chaos(arguments) => chaos::run(&arguments),
        Command::Crash(arguments) => crash::run(&arguments),
        Command::Fuzz(arguments) => fuzz::run(&arguments),
        Command::Package(arguments) => package::run(&arguments),
        Command::Soak(arguments) => soak::run(&arguments),
    };
    match outcome {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
