//! The threads of the database in thousands of orders, and the lock-free registration of readers in all of them.

use anyhow::Result;

use super::stage::Stage;
use crate::process::cargo;
use crate::workspace;

pub fn run(stage: &mut Stage) -> Result<()> {
    stage.tests(
        "schedules",
        scheduled("shuttle")?.args(["-p", "lightning-db-tests", "--test", "schedules", "--", "--nocapture"]),
    )?;
    stage.tests("memory orders", scheduled("loom")?.args(["-p", "lightning-db", "--lib", "--release", "--", "cache::pins"]))
}

/// `cargo test` of a build that takes its threads from `scheduler`. It has a target folder of its own: with other flags
/// everything is built anew.
fn scheduled(scheduler: &str) -> Result<std::process::Command> {
    let mut cargo = cargo()?;
    cargo.arg("test").env("RUSTFLAGS", format!("--cfg {scheduler}"));
    cargo.env("CARGO_TARGET_DIR", workspace::target()?.join(scheduler));
    Ok(cargo)
}
