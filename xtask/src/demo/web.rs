//! The web app in `web-demo`, on the npm package as it is published: packed, installed beside the app, built by Vite.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use super::cities::Cities;
use crate::package::npm;
use crate::setup::{Consent, browser, node};
use crate::{process, workspace};

/// A port of its own: what a browser keeps belongs to scheme, host and port.
const PORT: &str = "5377";

/// Builds the app and serves it until it is stopped.
pub fn serve() -> Result<()> {
    let app = build(Consent::from_environment())?;
    println!("\nOpen http://localhost:{PORT} in a browser, and in a second tab. Ctrl+C ends it.");
    process::run(vite(&app).args(["preview", "--port", PORT, "--strictPort"]))
}

/// Builds the app; gives what clicks through it in Chromium and writes screenshots.
pub fn check() -> Result<Command> {
    let consent = Consent::from_environment();
    let app = build(consent)?;
    let mut check = browser::pages(consent)?;
    check.arg("check.mjs").arg(workspace::cache("web-demo")?.join("screenshots")).current_dir(app);
    Ok(check)
}

/// Builds in a copy outside of the repository, where a package manager may write what it likes.
fn build(consent: Consent) -> Result<PathBuf> {
    let package = npm::pack(false, consent)?;
    let cities = Cities::prepare(&workspace::cache("demo")?)?;
    let app = workspace::cache("web-demo")?.join("app");
    if app.join("src").is_dir() {
        fs::remove_dir_all(app.join("src"))?;
    }
    copy(&workspace::root().join("web-demo"), &app)?;
    let tarball = package.file_name().context("a package without a name")?;
    fs::copy(&package, app.join(tarball))?;
    // It has the same name and version every time, so npm would take what it has.
    for stale in ["node_modules/lightning-db", "node_modules/.package-lock.json"] {
        let stale = app.join(stale);
        if stale.is_dir() {
            fs::remove_dir_all(stale)?;
        } else if stale.exists() {
            fs::remove_file(stale)?;
        }
    }
    let npm =
        |arguments: &[&str]| process::run(Command::new("npm").args(arguments).args(["--silent"]).current_dir(&app));
    npm(&["install", "--no-package-lock", "--no-audit", "--no-fund"])?;
    process::run(node::program().arg("places.mjs").arg(&cities.path).arg("public/places.jsonl").current_dir(&app))?;
    npm(&["run", "build"])?;
    Ok(app)
}

fn vite(app: &Path) -> Command {
    let name = if cfg!(windows) { "vite.cmd" } else { "vite" };
    let mut vite = Command::new(app.join("node_modules/.bin").join(name));
    vite.current_dir(app);
    vite
}

/// Copies a folder over another, without what was installed or built in it by hand.
fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to).with_context(|| format!("cannot make {}", to.display()))?;
    for entry in fs::read_dir(from).with_context(|| format!("cannot read {}", from.display()))? {
        let entry = entry?;
        let name = entry.file_name();
        if name == "node_modules" || name == "dist" {
            continue;
        }
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &to.join(name))?;
        } else {
            fs::copy(entry.path(), to.join(name))?;
        }
    }
    Ok(())
}
