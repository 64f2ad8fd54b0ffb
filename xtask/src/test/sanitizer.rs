//! Tests of a build in which a sanitizer watches every access to memory.

use std::env::consts;

use anyhow::Result;

use super::stage::Stage;
use crate::process;

/// Where Rust brings the sanitizers along: elsewhere there is nothing to run.
pub const TARGET: &str = "x86_64-unknown-linux-gnu";

/// Whether this machine has sanitizers; says so if not.
pub fn is_here(name: &str) -> bool {
    let here = (consts::ARCH, consts::OS) == ("x86_64", "linux");
    if !here {
        println!("left out: {name} is run on {TARGET} only");
    }
    here
}

/// Runs `cargo test` with `arguments` under the sanitizer that rustc calls `sanitizer`.
pub fn tests(stage: &mut Stage, name: &str, sanitizer: &str, arguments: &[&str]) -> Result<()> {
    stage.tests(
        name,
        process::cargo()?
            // With a target of its own the flags reach no build script, and disturb no other build.
            .args(["+nightly", "test", "--no-fail-fast", "--target", TARGET])
            .args(arguments)
            .env_remove("RUSTUP_TOOLCHAIN")
            .env("RUSTFLAGS", format!("-Zsanitizer={sanitizer}")),
    )
}
