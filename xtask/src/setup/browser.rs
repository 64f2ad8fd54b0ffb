//! Chromium, and the driver through which tests steer it.

use std::env;
use std::path::PathBuf;

use anyhow::{Context, Result};

use super::{Consent, debian};
use crate::process;

/// The browser's program.
pub fn chromium(consent: Consent) -> Result<PathBuf> {
    let names = ["chromium", "chromium-browser", "google-chrome", "chrome"];
    found_or_installed("CHROME", &names, "chromium", consent)
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
