//! cargo-fuzz, which builds programs for libFuzzer.

use std::env;
use std::env::consts::EXE_SUFFIX;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use super::rust;
use crate::{process, workspace};

const VERSION: &str = "0.13.1";

/// Builds it once, into a folder that is kept; gives the folder of the program.
pub fn tool() -> Result<PathBuf> {
    let folder = workspace::tool("cargo-fuzz", VERSION)?;
    let programs = folder.join("bin");
    if !programs.join(format!("cargo-fuzz{EXE_SUFFIX}")).is_file() {
        println!("setup: building cargo-fuzz {VERSION}, which takes some minutes once");
        process::run(rust::install("cargo-fuzz", VERSION, &folder)?.arg("--locked"))?;
    }
    Ok(programs)
}

/// `cargo fuzz` in `folder`, by the nightly toolchain.
pub fn command(tool: &Path, folder: &Path) -> Result<Command> {
    let path = env::var_os("PATH").unwrap_or_default();
    let path = env::join_paths(std::iter::once(tool.to_path_buf()).chain(env::split_paths(&path)))
        .context("the folder of the tools cannot be put into PATH")?;
    let mut command = Command::new("cargo");
    command
        .arg("fuzz")
        .current_dir(folder)
        .env("PATH", path)
        .env("RUSTUP_TOOLCHAIN", "nightly")
        .env("CARGO_TARGET_DIR", workspace::target()?.join("fuzz"));
    Ok(command)
}
