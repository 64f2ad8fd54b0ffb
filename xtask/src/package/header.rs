//! The header of the interface for C, made from its Rust.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};

use crate::workspace;

/// `mobile/include/lightning.h`, which is kept in the repository for people to read.
pub fn path() -> PathBuf {
    workspace::root().join("mobile/include/lightning.h")
}

/// Writes the header anew.
pub fn write() -> Result<()> {
    std::fs::write(path(), generate()?).with_context(|| format!("cannot write {}", path().display()))
}

/// Fails where the header is not what its Rust says.
pub fn check() -> Result<()> {
    if std::fs::read_to_string(path()).unwrap_or_default() != generate()? {
        bail!("mobile/include/lightning.h is not what mobile/src/c.rs says; run 'cargo xtask package header'");
    }
    Ok(())
}

fn generate() -> Result<String> {
    let folder = workspace::root().join("mobile");
    let config = cbindgen::Config::from_file(folder.join("cbindgen.toml")).map_err(anyhow::Error::msg)?;
    let bindings = cbindgen::Builder::new().with_src(folder.join("src/c.rs")).with_config(config).generate()?;
    let mut header = Vec::new();
    bindings.write(&mut header);
    // What Rust asks to be said at each function stands once, at the top.
    Ok(String::from_utf8(header)?.replace("//\n// # Safety\n// As the module says.\n", ""))
}
