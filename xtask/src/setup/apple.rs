//! Rust's standard library for Apple's systems. A static library needs nothing else: no linker and nothing of Apple's.

use std::process::Command;

use anyhow::{Result, bail};

use super::rust;
use crate::process;

/// The oldest iOS and macOS that it is built for; `swift/Package.swift` says the same.
const OLDEST: [(&str, &str); 2] = [("IPHONEOS_DEPLOYMENT_TARGET", "15.0"), ("MACOSX_DEPLOYMENT_TARGET", "12.0")];

/// `cargo rustc` for one of Apple's targets. Where rustup has no standard library for it, that is built from its sources.
pub fn cargo_rustc(target: &str) -> Result<Command> {
    let mut command = process::cargo()?;
    command.args(["rustc", "--target", target]).envs(OLDEST);
    if !rust::add_target(target) {
        if !rust::default_sources()? {
            bail!("neither the standard library for {target} nor its sources can be had: rustup target add {target}");
        }
        command.args(["-Zbuild-std=std,panic_unwind"]).env("RUSTC_BOOTSTRAP", "1");
    }
    Ok(command)
}
