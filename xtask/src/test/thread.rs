//! Everything that runs in several threads, under ThreadSanitizer, with a standard library that it sees into.

use anyhow::Result;

use super::stage::Stage;
use super::{address, stage};
use crate::setup::rust;

pub fn run(stage: &mut Stage) -> Result<()> {
    rust::nightly_with_sources()?;
    stage::sanitized(stage, "ThreadSanitizer", "thread", &["-Zbuild-std"], &["-p", "lightning-db", "--lib"])
}
