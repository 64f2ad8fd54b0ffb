//! libFuzzer against every decoder, for a short while each.

use anyhow::Result;

use super::stage::Stage;
use crate::fuzz;

const SECONDS: u64 = 30;

pub fn run(stage: &mut Stage) -> Result<()> {
    stage.step("fuzz", fuzz::search_all(SECONDS));
    Ok(())
}
