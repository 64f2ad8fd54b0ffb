//! The package for Kotlin, on this machine's Java.

use anyhow::Result;

use super::stage::Stage;
use crate::package::mobile::{self, Profile};
use crate::setup::{Consent, jvm};
use crate::workspace;

pub fn run(stage: &mut Stage, consent: Consent) -> Result<()> {
    let mut maven = jvm::maven("kotlin", consent)?;
    let build = mobile::stage_kotlin(Profile::Test)?;
    let define = |name: &str, path: &std::path::Path| format!("-Dlightning.{name}={}", path.display());
    let reports = build.join("lightning-db/surefire-reports");
    // Those of another time are not of this one.
    if reports.exists() {
        std::fs::remove_dir_all(&reports)?;
    }
    maven.arg("test").arg(define("build", &build));
    maven.arg(define("conformance", &workspace::root().join("tests/conformance")));
    stage.junit("the package on Java", &mut maven, &reports)
}
