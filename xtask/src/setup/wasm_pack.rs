//! wasm-pack, which builds the WebAssembly package.

use std::env::consts::EXE_SUFFIX;
use std::path::PathBuf;

use anyhow::Result;

use super::rust;
use crate::{process, workspace};

const VERSION: &str = "0.15.1";

/// Its program, built once into a folder that is kept.
pub fn program() -> Result<PathBuf> {
    let folder = workspace::tool("wasm-pack", VERSION)?;
    let program = folder.join("bin").join(format!("wasm-pack{EXE_SUFFIX}"));
    if !program.is_file() {
        println!("setup: building wasm-pack {VERSION}, which takes some minutes once");
        process::run(rust::install("wasm-pack", VERSION, &folder)?.arg("--locked"))?;
    }
    Ok(program)
}
