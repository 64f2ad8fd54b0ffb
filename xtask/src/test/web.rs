//! The WebAssembly build, its tests run by headless Chromium, and the npm package around it, in Node and in Chromium.

use std::env::consts::EXE_SUFFIX;
use std::path::PathBuf;
use std::process::Command;

use anyhow::Result;

use super::stage::Stage;
use crate::package::npm;
use crate::setup::rust::Toolchain;
use crate::setup::{Consent, browser, node, rust, wasm_bindgen};
use crate::{process, workspace};

const PACKAGE: [&str; 2] = ["-p", "lightning-db-wasm"];
const NODE_KILLS: &str = "60";
const BROWSER_KILLS: &str = "10";

pub fn run(stage: &mut Stage, consent: Consent) -> Result<()> {
    let toolchain = rust::web(consent)?;
    let tools = wasm_bindgen::tools()?;
    browser::chromium(consent)?;
    let driver = browser::chromedriver(consent)?;
    // Debian's toolchain has no linter; the sources are the same.
    if toolchain == Toolchain::Default {
        for features in ["", "encryption"] {
            let mut lint = toolchain.cargo("clippy", rust::WEB)?;
            lint.args(["--quiet", "--no-deps", "--features", features]).args(PACKAGE);
            stage.check("lints for the web", lint.args(["--all-targets", "--", "-D", "warnings"]))?;
        }
    }
    stage.tests(
        "tests in Chromium",
        toolchain
            .cargo("test", rust::WEB)?
            .args(PACKAGE)
            .args(["--tests", "--no-fail-fast"])
            .env("CHROMEDRIVER", driver)
            .env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUNNER", tools.test_runner)
            .env("WASM_BINDGEN_TEST_TIMEOUT", "300"),
    )?;
    npm::build(consent)?;
    if rust::has_small_std(toolchain)? {
        stage.check("what a page fetches is small", &mut npm::sizes())?;
    }
    for mut validate in npm::validate()? {
        stage.check("WebAssembly for the oldest browsers", &mut validate)?;
    }
    let lightning = lightning()?;
    stage.tests("the package in Node", script("node.mjs").env("LIGHTNING_COMMAND", &lightning))?;
    stage.tests("abstract-level", &mut script("level.mjs"))?;
    let mut in_chromium =
        |what: &str, name: &str| stage.tests(what, browser_script(name, consent)?.env("LIGHTNING_COMMAND", &lightning));
    in_chromium("the package in Chromium", "run.mjs")?;
    in_chromium("where a page's databases are", "places.mjs")?;
    in_chromium("what a page keeps", "keeping.mjs")?;
    in_chromium("encrypted databases", "encryption.mjs")?;
    in_chromium("service workers", "service-workers.mjs")?;
    in_chromium("private windows", "private-windows.mjs")?;
    in_chromium("tabs of different versions", "versions.mjs")?;
    in_chromium("which parts of the engine a page fetches", "parts.mjs")
}

/// Many tabs, and many kills: of the browser, and of processes of Node.
pub fn tabs_and_kills(stage: &mut Stage, consent: Consent) -> Result<()> {
    npm::build(consent)?;
    stage.tests("tabs in Chromium", &mut browser_script("tabs.mjs", consent)?)?;
    stage.tests("killed processes of Node lose nothing", script("node.mjs").env("LIGHTNING_KILLS", NODE_KILLS))?;
    stage.tests("killed browsers lose nothing", browser_script("kills.mjs", consent)?.arg(BROWSER_KILLS))
}

/// A test program of the package, run by Node.
fn script(name: &str) -> Command {
    run_by(node::program(), name)
}

/// One that runs pages.
fn browser_script(name: &str, consent: Consent) -> Result<Command> {
    Ok(run_by(browser::pages(consent)?, &format!("browser/{name}")))
}

fn run_by(mut node: Command, name: &str) -> Command {
    node.arg(npm::folder().join("tests").join(name));
    node
}

/// The command `lightning`, which shares files with the package.
fn lightning() -> Result<PathBuf> {
    process::run(process::cargo()?.args(["build", "--quiet", "-p", "lightning-db-server", "--bin", "lightning"]))?;
    Ok(workspace::target()?.join("debug").join(format!("lightning{EXE_SUFFIX}")))
}
