//! The engine's tests and the tests crate, simulation included, with every access to memory checked by AddressSanitizer.

use anyhow::Result;

use super::sanitizer;
use super::stage::Stage;
use crate::setup::rust;

const NAME: &str = "AddressSanitizer";

pub fn run(stage: &mut Stage) -> Result<()> {
    if !sanitizer::is_here(NAME) {
        return Ok(());
    }
    rust::nightly()?;
    for tests in [
        ["-p", "lightning-db", "--lib"].as_slice(),
        &["-p", "lightning-db-tests", "--features", "testing", "--test", "*"],
    ] {
        sanitizer::tests(stage, NAME, "address", tests)?;
    }
    Ok(())
}
