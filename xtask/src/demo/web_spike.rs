//! The engine in Chromium: a page puts rows, reopens and reads them back, on each storage a browser has.

use std::env::consts::EXE_SUFFIX;
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use crate::setup::{Consent, browser, node, rust, wasm_bindgen};
use crate::{process, workspace};

pub fn run(consent: Consent) -> Result<()> {
    let toolchain = rust::web(consent)?;
    let tools = wasm_bindgen::tools()?;
    let chromium = browser::chromium(consent)?;
    let playwright = node::package(&node::PLAYWRIGHT)?;

    process::run(toolchain.cargo("build", rust::WEB)?.args(["--release", "-p", "lightning-db-wasm", "--lib"]))?;
    let site = workspace::cache("web-spike")?;
    let wasm = workspace::target()?.join(rust::WEB).join("release/lightning_db_wasm.wasm");
    process::run(Command::new(tools.generator).args(["--target", "web", "--out-dir"]).arg(&site).arg(&wasm))?;
    let sources = workspace::root().join("wasm/spike");
    for name in ["index.html", "page.js", "worker.js"] {
        copy(&sources.join(name), &site.join(name))?;
    }
    let profile = site.join("profile");
    if profile.exists() {
        fs::remove_dir_all(&profile).with_context(|| format!("cannot remove {}", profile.display()))?;
    }
    process::run(
        Command::new(format!("node{EXE_SUFFIX}"))
            .arg(sources.join("drive.cjs"))
            .args([&chromium, &site, &profile])
            .env("NODE_PATH", playwright.join("node_modules")),
    )
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::copy(from, to).with_context(|| format!("cannot copy {} to {}", from.display(), to.display()))?;
    Ok(())
}
