//! The database's threads in thousands of orders (`tests/schedules`), and the lock-free registration of readers in every
//! order that the memory model allows (`core/src/cache/pins.rs`).

use std::env;
use std::process::Command;

use anyhow::Result;

use super::stage::Stage;
use crate::process;
use crate::workspace;

/// The file of one schedule that failed, which is run alone.
const REPLAY_VARIABLE: &str = "SCHEDULE";

pub fn run(stage: &mut Stage) -> Result<()> {
    let schedules = ["-p", "lightning-db-tests", "--test", "schedules", "--", "--nocapture"];
    stage.tests("schedules", scheduled("shuttle")?.args(schedules))?;
    if env::var_os(REPLAY_VARIABLE).is_some() {
        return Ok(());
    }
    stage.tests("memory orders", scheduled("loom")?.args(["-p", "lightning-db", "--lib", "--", "cache::pins"]))
}

/// `cargo test` of a build whose threads and atomics are the scheduler's. It has a target folder of its own, because other
/// flags build everything anew.
fn scheduled(scheduler: &str) -> Result<Command> {
    let mut command = process::cargo()?;
    command.arg("test").env("CARGO_TARGET_DIR", workspace::target()?.join(scheduler));
    command.env("RUSTFLAGS", format!("--cfg {scheduler}"));
    Ok(command)
}
