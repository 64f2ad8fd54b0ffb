//! The modules with `unsafe` code, under Miri.

use anyhow::Result;

use super::stage::Stage;
use crate::process;
use crate::setup::rust;

/// Tests of these modules. The other one with `unsafe` code, `env/file/map.rs`, maps files, which Miri cannot: see
/// `address`. The rest of the engine has none, and would take Miri, some hundred times slower than the machine, hours.
const MODULES: [&str; 2] = ["cache::", "memtable::arena"];

pub fn run(stage: &mut Stage) -> Result<()> {
    rust::miri()?;
    stage.tests(
        "Miri",
        process::cargo()?
            .args(["+nightly", "miri", "test", "-p", "lightning-db", "--lib", "--no-fail-fast", "--"])
            .args(MODULES)
            .env_remove("RUSTUP_TOOLCHAIN")
            .env("MIRIFLAGS", "-Zmiri-disable-isolation"),
    )
}
