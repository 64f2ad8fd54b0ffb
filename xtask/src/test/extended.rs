//! A long simulation, thousands of histories, of killed processes and of power losses, a quick benchmark that keeps the
//! benchmark program alive, and the demonstrations.

use anyhow::Result;

use super::stage::Stage;
use super::{jvm, swift, web};
use crate::package::npm;
use crate::setup::Consent;
use crate::{bench, chaos, crash, demo, histories, sim};

const SIMULATION_SECONDS: u64 = 600;
const HISTORIES_SECONDS: u64 = 120;
const CHAOS_SECONDS: u64 = 20;
const KILLS: u64 = 5000;
const CUTS: u64 = 2000;

pub fn run(stage: &mut Stage, consent: Consent) -> Result<()> {
    stage.check("a long simulation", &mut sim::command(SIMULATION_SECONDS)?)?;
    stage.check("isolation in histories", &mut histories::command(HISTORIES_SECONDS)?)?;
    stage.check("trouble with the machine's resources", &mut chaos::command(CHAOS_SECONDS)?)?;
    stage.check("building what is killed", &mut crash::build("release")?)?;
    stage.check("killed processes lose nothing", &mut crash::kills(KILLS)?)?;
    stage.check("power losses lose nothing durable", &mut crash::cuts(CUTS)?)?;
    web::tabs_and_kills(stage, consent)?;
    stage.step("bench --quick --peers redb", bench::quick());
    stage.step("demo --native", demo::native::run());
    stage.step("demo --swift", demo::swift::run());
    swift::many_opens(stage, consent)?;
    stage.tests("demo --web", &mut demo::web::check()?)?;
    jvm::long(stage, consent)?;
    stage.tests("the package in bundlers", &mut npm::bundlers(consent)?)?;
    Ok(())
}
