//! The engine's tests, the tests crate, simulation included, and the library for Swift, Kotlin and C with what calls it, with every
//! access to memory checked by AddressSanitizer.

use anyhow::Result;

use super::sanitizer;
use super::stage::Stage;
use crate::package::mobile;
use crate::setup::rust;

const NAME: &str = "AddressSanitizer";

pub fn run(stage: &mut Stage) -> Result<()> {
    if !sanitizer::is_here(NAME) {
        return Ok(());
    }
    rust::nightly()?;
    for tests in [
        ["-p", "lightning-db", "--lib", "--features", "encryption"].as_slice(),
        &["-p", "lightning-db-tests", "--features", "testing", "--test", "*"],
        // Its own tests, and threads that use what others close.
        &["-p", "lightning-db-mobile"],
    ] {
        sanitizer::tests(stage, NAME, "address", tests)?;
    }
    stage.tests("the interface for C under AddressSanitizer", &mut mobile::watched_program_in_c()?)
}
