//! The package for Kotlin, on this machine's Java.

use std::path::{Path, PathBuf};

use anyhow::Result;

use super::stage::Stage;
use crate::package::mobile::{self, Profile};
use crate::package::{android, npm};
use crate::setup::{Consent, jvm};
use crate::{demo, process, workspace};

/// Modules that have tests.
const MODULES: [&str; 2] = ["lightning-db", "lightning-db-compose"];

pub fn run(stage: &mut Stage, consent: Consent) -> Result<()> {
    let build = mobile::stage_kotlin(Profile::Test)?;
    tests(stage, "the package on Java", &build, &MODULES, &[], consent)?;
    stage.step("the library is no larger than it may be", mobile::check_size());
    Ok(())
}

/// What takes long: thousands of opens, many kills, files that go to other languages and back, Android's own classes, the AAR, a
/// benchmark that only has to live, the sample.
pub fn long(stage: &mut Stage, consent: Consent) -> Result<()> {
    let build = mobile::stage_kotlin(Profile::Test)?;
    process::run(process::cargo()?.args(["build", "--quiet", "-p", "lightning-db-server", "--bin", "lightning"]))?;
    npm::build(consent)?;
    let shell = workspace::target()?.join("debug").join(format!("lightning{}", std::env::consts::EXE_SUFFIX));
    let node = workspace::root().join("wasm/npm/dist/node.js");
    let more = [
        "-Dlightning.excluded=none".to_owned(),
        format!("-Dlightning.shell={}", shell.display()),
        format!("-Dlightning.node={}", node.display()),
    ];
    tests(stage, "the package on Java, everything", &build, &MODULES[..1], &more, consent)?;
    // What it stands on is not tested again.
    let robolectric = ["-Probolectric", "-Dtest=AndroidLifeTest,AndroidKeystoreTest"].map(str::to_owned);
    tests(stage, "the package on Android's classes", &build, &["lightning-db-android"], &robolectric, consent)?;
    stage.step("the AAR", android::pack(&[], consent).map(drop));
    let mut benchmark = mobile::benchmark_in_kotlin(consent)?;
    stage.step("bench kotlin --quick", process::run(benchmark.args(["--quick", "--peers", "sqlite"])));
    stage.step("demo --kotlin", demo::kotlin::run());
    Ok(())
}

fn tests(
    stage: &mut Stage,
    what: &str,
    build: &Path,
    modules: &[&str],
    more: &[String],
    consent: Consent,
) -> Result<()> {
    let reports: Vec<PathBuf> = modules.iter().map(|module| build.join(module).join("surefire-reports")).collect();
    // Those of another time are not of this one.
    for folder in reports.iter().filter(|folder| folder.exists()) {
        std::fs::remove_dir_all(folder)?;
    }
    let mut maven = jvm::maven("kotlin", consent)?;
    let define = |name: &str, path: &Path| format!("-Dlightning.{name}={}", path.display());
    maven.args(["test", "-am", "-pl", &modules.join(","), "-Dsurefire.failIfNoSpecifiedTests=false"]);
    maven.arg(define("build", build)).arg(define("conformance", &workspace::root().join("tests/conformance")));
    stage.junit(what, maven.args(more), &reports)
}
