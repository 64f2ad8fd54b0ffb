//! The modules with `unsafe` code and those right above them, with every access to memory checked by AddressSanitizer.

use std::env::consts;

use anyhow::Result;

use super::stage::Stage;
use crate::process;
use crate::setup::rust;

/// Where Rust brings the sanitizer along: elsewhere there is nothing to run.
const TARGET: &str = "x86_64-unknown-linux-gnu";
const MODULES: [&str; 3] = ["cache::", "memtable::", "env::file"];

pub fn run(stage: &mut Stage) -> Result<()> {
    if (consts::ARCH, consts::OS) != ("x86_64", "linux") {
        println!("left out: AddressSanitizer is run on {TARGET} only");
        return Ok(());
    }
    rust::nightly()?;
    stage.tests(
        "AddressSanitizer",
        process::cargo()?
            // With a target of its own the flags reach no build script, and disturb no other build.
            .args(["+nightly", "test", "-p", "lightning-db", "--lib", "--no-fail-fast", "--target", TARGET, "--"])
            .args(MODULES)
            .env_remove("RUSTUP_TOOLCHAIN")
            .env("RUSTFLAGS", "-Zsanitizer=address"),
    )
}
