//! `cargo xtask test`: every test that fits into a build, in stages; `--all` adds what does not fit.
//!
//! The output ends with the test runners' own result lines, one line a stage, and the totals on a line of their own:
//! `N passed, N failed`. A check that is not a test (formatting, lints, a build for another target) counts as one failure
//! when it fails and as nothing when it passes.

mod address;
mod browsers;
mod core;
mod extended;
mod fuzz;
mod jvm;
mod miri;
pub mod sanitizer;
mod schedules;
mod stage;
mod swift;
mod thread;
mod valgrind;
mod web;

use std::process::ExitCode;

use anyhow::Result;

use self::stage::Stage;
use crate::setup::Consent;

#[derive(clap::Args)]
pub struct Arguments {
    /// Only these stages
    #[arg(value_enum)]
    stages: Vec<Name>,
    /// Add what takes too long for a build: Firefox and WebKit, schedules, Miri, sanitizers, valgrind, fuzzing, a long
    /// simulation, killed processes and power losses, a quick benchmark, the demonstrations
    #[arg(long)]
    all: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Name {
    /// The engine, the command and their tests on this machine
    Core,
    /// The WebAssembly build in Chromium
    Web,
    /// The npm package in Firefox and WebKit (part of --all)
    Browsers,
    /// The package for Kotlin on Java
    Jvm,
    /// The interface for C, and the package for Swift
    Swift,
    /// The modules with unsafe code in an interpreter that notices undefined behaviour (part of --all)
    Miri,
    /// The engine and its simulation with every access to memory checked (part of --all)
    Address,
    /// The engine and its threads, looking for accesses that race (part of --all)
    Thread,
    /// The modules with unsafe code and a short simulation, every instruction checked (part of --all)
    Valgrind,
    /// The database's threads in thousands of orders (part of --all)
    Schedules,
    /// A search for bytes that break a decoder (part of --all)
    Fuzz,
    /// A long simulation, killed processes and power losses, a quick benchmark and the demonstrations (part of --all)
    Extended,
}

impl Name {
    fn run(self, consent: Consent) -> Stage {
        match self {
            Name::Core => Stage::run("core", |stage| core::run(stage, consent)),
            Name::Web => Stage::run("web", |stage| web::run(stage, consent)),
            Name::Browsers => Stage::run("browsers", |stage| browsers::run(stage, consent)),
            Name::Jvm => Stage::run("jvm", |stage| jvm::run(stage, consent)),
            Name::Swift => Stage::run("swift", |stage| swift::run(stage, consent)),
            Name::Miri => Stage::run("miri", miri::run),
            Name::Address => Stage::run("address", address::run),
            Name::Thread => Stage::run("thread", thread::run),
            Name::Valgrind => Stage::run("valgrind", |stage| valgrind::run(stage, consent)),
            Name::Schedules => Stage::run("schedules", schedules::run),
            Name::Fuzz => Stage::run("fuzz", fuzz::run),
            Name::Extended => Stage::run("extended", |stage| extended::run(stage, consent)),
        }
    }
}

pub fn run(arguments: &Arguments) -> Result<ExitCode> {
    let mut names = arguments.stages.clone();
    if names.is_empty() {
        names = vec![Name::Core, Name::Web, Name::Jvm, Name::Swift];
    }
    if arguments.all {
        use Name::{Address, Browsers, Extended, Fuzz, Miri, Schedules, Thread, Valgrind};
        names.extend([Browsers, Schedules, Miri, Address, Thread, Valgrind, Fuzz, Extended]);
    }
    let consent = Consent::from_environment();
    let stages: Vec<Stage> = names.into_iter().map(|name| name.run(consent)).collect();

    println!();
    stages.iter().for_each(Stage::print_results);
    println!();
    stages.iter().for_each(|stage| println!("{}", stage.summary()));
    let passed: u64 = stages.iter().map(|stage| stage.passed).sum();
    let failed: u64 = stages.iter().map(|stage| stage.failed).sum();
    println!("{passed} passed, {failed} failed");
    Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
