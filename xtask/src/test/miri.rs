//! The engine's own tests under Miri.

use anyhow::Result;

use super::stage::Stage;
use crate::process;
use crate::setup::rust;

/// Cases a property is tried on: Miri is some hundred times slower than the machine.
const PROPERTY_CASES: &str = "4";

pub fn run(stage: &mut Stage) -> Result<()> {
    rust::miri()?;
    stage.tests(
        "Miri",
        process::cargo()?
            .args(["+nightly", "miri", "test", "-p", "lightning-db", "--lib", "--no-fail-fast"])
            .env_remove("RUSTUP_TOOLCHAIN")
            .env("MIRIFLAGS", "-Zmiri-disable-isolation")
            .env("PROPTEST_CASES", PROPERTY_CASES),
    )
}
