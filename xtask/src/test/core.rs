//! The engine, the command `lightning` and the tests crate, on this machine; the engine without the standard library.

use anyhow::Result;

use super::stage::Stage;
use crate::process::cargo;
use crate::setup::{Consent, rust};
use crate::{chaos, crash, fuzz, mutants, sim};

/// The crate for the browser has its own stage.
const HERE: [&str; 3] = ["--workspace", "--exclude", "lightning-db-wasm"];

/// A few in every scenario: some 15 seconds.
const SMOKE_KILLS: u64 = 400;
/// Of each scenario, of which some take a few more.
const CHAOS_SECONDS: u64 = 1;
/// Of simulation with seeds that were never tried before.
const FRESH_SECONDS: u64 = 60;

pub fn run(stage: &mut Stage, consent: Consent) -> Result<()> {
    rust::formatter_and_linter()?;
    stage.check("formatting", cargo()?.args(["fmt", "--all", "--check"]))?;
    stage.check(
        "lints",
        cargo()?.args(["clippy", "--quiet"]).args(HERE).args(["--all-targets", "--", "-D", "warnings"]),
    )?;
    for (target, toolchain) in [(rust::WEB, rust::web(consent)?), (rust::BARE_METAL, rust::bare_metal(consent)?)] {
        stage.check(
            &format!("the engine without std for {target}"),
            toolchain.cargo("check", target)?.args(["--quiet", "-p", "lightning-db", "--no-default-features", "--lib"]),
        )?;
    }
    stage.tests("tests", cargo()?.arg("test").args(HERE).arg("--no-fail-fast"))?;
    stage.tests("hostile bytes", &mut fuzz::smoke()?)?;
    stage.check("building what is killed", &mut crash::build("test")?)?;
    stage.check("killed processes lose nothing", &mut crash::smoke(SMOKE_KILLS)?)?;
    // Other seeds each time; one that fails is printed with the command that replays it. Those of collections are in the
    // tests and in `test --all`, until ten minutes of fresh ones were clean (`docs/progress.md`).
    stage.check("a minute of simulation with fresh seeds", sim::command(FRESH_SECONDS)?.args(["--only", "tables"]))?;
    stage.check("trouble with the machine's resources", &mut chaos::command(CHAOS_SECONDS)?)?;
    stage.check("deliberate bugs of the engine", &mut mutants::command()?)
}
