//! The package for Swift, on this machine, and the interface for C, through which it makes the calls that are made most.

use anyhow::Result;

use super::stage::Stage;
use crate::package::{self, mobile};
use crate::setup::{Consent, swift};

const OPENS: u32 = 100;
const MANY_OPENS: u32 = 5000;

pub fn run(stage: &mut Stage, consent: Consent) -> Result<()> {
    stage.tests("the interface for C", &mut mobile::program_in_c()?)?;
    let swift = swift::find(consent)?;
    let package = package::swift::stage(mobile::Profile::Test)?;
    stage.swift_tests("the package for Swift", &mut swift.command(&package, "test --disable-xctest"))?;
    stage.swift_tests("what the package for Swift keeps", &mut swift.shell(&package, &alone(OPENS)))
}

/// As `run`, with a database opened some thousand times.
pub fn many_opens(stage: &mut Stage, consent: Consent) -> Result<()> {
    let swift = swift::find(consent)?;
    let package = package::swift::stage(mobile::Profile::Test)?;
    let script = format!("swift build --build-tests && {}", alone(MANY_OPENS));
    stage.swift_tests("what the package for Swift keeps of thousands of opens", &mut swift.shell(&package, &script))
}

/// The tests that count what is open in their process, which nothing else may run in.
fn alone(opens: u32) -> String {
    format!("LIGHTNING_ALONE=1 LIGHTNING_OPENS={opens} swift test --disable-xctest --skip-build --filter ProofTests")
}
