//! Java and Maven, which build and test the package for Kotlin.

use std::process::Command;

use anyhow::{Result, bail};

use super::{Consent, debian};
use crate::{process, workspace};

/// Maven, in a folder of the repository; it brings Kotlin and what the package stands on by itself.
pub fn maven(folder: &str, consent: Consent) -> Result<Command> {
    let missing: Vec<&str> = [("javac", "default-jdk-headless"), ("mvn", "maven")]
        .into_iter()
        .filter(|(program, _)| process::find(&[program]).is_none())
        .map(|(_, package)| package)
        .collect();
    debian::install("Java and Maven, which build the package for Kotlin", &missing, consent)?;
    if process::find(&["mvn"]).is_none() {
        bail!("Maven is installed, yet 'mvn' is not in PATH");
    }
    let mut maven = Command::new("mvn");
    maven.current_dir(workspace::root().join(folder)).args(["--batch-mode", "--quiet"]);
    Ok(maven)
}
