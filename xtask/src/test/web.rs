//! The WebAssembly build, its tests run by headless Chromium, and the npm package around it, in Node and in Chromium.

use std::env::consts::EXE_SUFFIX;
use std::process::Command;

use anyhow::Result;

use super::stage::Stage;
use crate::package::npm;
use crate::setup::rust::Toolchain;
use crate::setup::{Consent, browser, node, rust, wasm_bindgen};

const PACKAGE: [&str; 2] = ["-p", "lightning-db-wasm"];

pub fn run(stage: &mut Stage, consent: Consent) -> Result<()> {
    let toolchain = rust::web(consent)?;
    let tools = wasm_bindgen::tools()?;
    let chromium = browser::chromium(consent)?;
    let driver = browser::chromedriver(consent)?;
    // Debian's toolchain has no linter; the sources are the same.
    if toolchain == Toolchain::Default {
        stage.check(
            "lints for the web",
            toolchain.cargo("clippy", rust::WEB)?.args(["--quiet", "--no-deps"]).args(PACKAGE).args([
                "--all-targets",
                "--",
                "-D",
                "warnings",
            ]),
        )?;
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
    stage.check("what a page fetches is small", &mut npm::sizes())?;
    let program = || Command::new(format!("node{EXE_SUFFIX}"));
    let tests = npm::folder().join("tests");
    stage.tests("the package in Node", program().arg(tests.join("node.mjs")))?;
    stage.tests(
        "the package in Chromium",
        program()
            .arg(tests.join("browser/run.mjs"))
            .env("LIGHTNING_CHROMIUM", chromium)
            .env("LIGHTNING_PLAYWRIGHT", node::package(&node::PLAYWRIGHT)?),
    )
}
