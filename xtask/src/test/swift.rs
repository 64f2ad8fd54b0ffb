//! The package for Swift, on this machine, and the interface for C, through which it makes the calls that are made most.

use anyhow::Result;

use super::stage::Stage;
use crate::package::{self, mobile};
use crate::setup::{Consent, swift};

pub fn run(stage: &mut Stage, consent: Consent) -> Result<()> {
    stage.tests("the interface for C", &mut mobile::program_in_c()?)?;
    let swift = swift::find(consent)?;
    let package = package::swift::stage(mobile::Profile::Test)?;
    stage.swift_tests("the package for Swift", &mut swift.command(&package, "test --disable-xctest"))?;
    // It counts what is open in its process.
    let alone = "LIGHTNING_ALONE=1 swift test --disable-xctest --skip-build --filter ProofTests";
    stage.swift_tests("what the package for Swift keeps", &mut swift.shell(&package, alone))
}
