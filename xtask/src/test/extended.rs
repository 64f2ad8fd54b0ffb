//! A long simulation, a quick benchmark that keeps the benchmark program alive, and the demonstrations.

use anyhow::Result;

use super::stage::Stage;
use crate::setup::Consent;
use crate::{bench, demo, sim};

const SIMULATION_SECONDS: u64 = 600;

pub fn run(stage: &mut Stage, consent: Consent) -> Result<()> {
    stage.check("a long simulation", &mut sim::command(SIMULATION_SECONDS)?)?;
    stage.step("bench --quick --peers redb", bench::quick());
    stage.step("demo --native", demo::native::run());
    stage.step("demo --web-spike", demo::web_spike::run(consent));
    Ok(())
}
