//! The command line of wasm-bindgen: the test runner and the generator of JavaScript glue.

use std::env::consts::EXE_SUFFIX;
use std::path::PathBuf;

use anyhow::Result;

use super::rust;
use crate::{process, workspace};

/// Must equal the version of the crate `wasm-bindgen` that `wasm/Cargo.toml` pins.
const VERSION: &str = "0.2.130";

/// The two programs.
pub struct Tools {
    /// `wasm-bindgen`
    pub generator: PathBuf,
    /// `wasm-bindgen-test-runner`
    pub test_runner: PathBuf,
}

/// Builds them once, into a folder that is kept.
pub fn tools() -> Result<Tools> {
    let folder = workspace::tool("wasm-bindgen", VERSION)?;
    let tools = Tools {
        generator: folder.join("bin").join(format!("wasm-bindgen{EXE_SUFFIX}")),
        test_runner: folder.join("bin").join(format!("wasm-bindgen-test-runner{EXE_SUFFIX}")),
    };
    if !tools.generator.is_file() || !tools.test_runner.is_file() {
        println!("setup: building wasm-bindgen-cli {VERSION}, which takes some minutes once");
        // Without --locked: the lock file of this release names a crate that was withdrawn.
        process::run(&mut rust::install("wasm-bindgen-cli", VERSION, &folder)?)?;
    }
    Ok(tools)
}
