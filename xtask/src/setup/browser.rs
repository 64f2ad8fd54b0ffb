//! Chromium, and the driver through which tests steer it.

use std::env;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};

use super::{Consent, debian, node};
use crate::process;

/// The browser's program.
pub fn chromium(consent: Consent) -> Result<PathBuf> {
    let names = ["chromium", "chromium-browser", "google-chrome", "chrome"];
    found_or_installed("CHROME", &names, "chromium", consent)
}

/// Node, to be given a script that runs pages: where it finds the browser and what steers it is in its environment.
pub fn pages(consent: Consent) -> Result<Command> {
    let mut command = node::program();
    command
        .env("LIGHTNING_CHROMIUM", chromium(consent)?)
        .env("LIGHTNING_PLAYWRIGHT", node::package(&node::PLAYWRIGHT)?);
    Ok(command)
}

/// The driver's program, of the browser's version.
pub fn chromedriver(consent: Consent) -> Result<PathBuf> {
    found_or_installed("CHROMEDRIVER", &["chromedriver"], "chromium-driver", consent)
}

/// The program named by the environment variable, found in `PATH`, or installed from Debian's `package`.
fn found_or_installed(variable: &str, names: &[&str], package: &str, consent: Consent) -> Result<PathBuf> {
    if let Some(program) = env::var_os(variable).map(PathBuf::from).filter(|program| program.is_file()) {
        return Ok(program);
    }
    if let Some(program) = process::find(names) {
        return Ok(program);
    }
    debian::install("the browser in which the web tests run", &[package], consent)?;
    process::find(names).with_context(|| format!("{package} is installed, yet none of {names:?} is in PATH"))
}
