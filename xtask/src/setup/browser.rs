//! Chromium and the driver through which tests steer it; Firefox and WebKit, which `cargo xtask test --all` wants, too.

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

/// A browser other than Chromium.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Other {
    /// Steered by WebDriver BiDi.
    Firefox,
    /// Steered by its WebDriver, in windows of `wasm/npm/tests/browser/webkit-window.py` on a screen that nobody sees.
    WebKit,
}

impl Other {
    /// As the tests call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Firefox => "firefox",
            Self::WebKit => "webkit",
        }
    }
}

/// Node, to be given a script that runs pages in another browser than Chromium.
pub fn pages_in(browser: Other, consent: Consent) -> Result<Command> {
    let mut command = node::program();
    command.env("LIGHTNING_BROWSER", browser.name());
    match browser {
        Other::Firefox => {
            command.env("LIGHTNING_FIREFOX", firefox(consent)?).env("LIGHTNING_WS", node::package(&node::WS)?)
        }
        Other::WebKit => command.env("LIGHTNING_WEBKIT", webkit(consent)?),
    };
    Ok(command)
}

/// Firefox's program.
pub fn firefox(consent: Consent) -> Result<PathBuf> {
    found_or_installed("FIREFOX", &["firefox-esr", "firefox"], "firefox-esr", consent)
}

/// The program of WebKit's WebDriver, with what its windows need.
pub fn webkit(consent: Consent) -> Result<PathBuf> {
    let packages = ["webkit2gtk-driver", "gir1.2-webkit2-4.1", "python3-gi", "xvfb"];
    let missing: Vec<&str> = packages.into_iter().filter(|package| !debian::is_installed(package)).collect();
    debian::install("WebKit, its driver, and a screen that nobody sees", &missing, consent)?;
    process::find(&["WebKitWebDriver"])
        .context("webkit2gtk-driver is installed, yet there is no WebKitWebDriver in PATH")
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
