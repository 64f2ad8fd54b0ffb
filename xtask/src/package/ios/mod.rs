//! The package for Swift on Apple's systems: the library as an XCFramework, which Xcode links, and the sources beside it.
//!
//! All of it is made on any system, for static libraries need no linker. What a Mac alone can do is to link an application with it
//! and run that: the workflow `apple.yml` does.

mod check;
mod fat;
mod plist;

use std::path::{Path, PathBuf};
use std::{fs, process::Command};

use anyhow::{Context, Result};

use super::mobile::{self, CRATE, LIBRARY, Profile};
use super::swift;
use crate::setup::apple;
use crate::{process, workspace};

/// Its name is also that of its module, and of the folder that has its headers: Xcode puts the headers of all XCFrameworks into one
/// folder, where two that have a `module.modulemap` at the top would overwrite each other's.
const NAME: &str = "LightningDBFFI";

/// One kind of system, whose processors share a file.
struct Slice {
    /// The folder.
    identifier: &'static str,
    platform: &'static str,
    is_simulator: bool,
    /// Rust's targets, and what Apple calls their processors.
    targets: &'static [(&'static str, &'static str)],
}

const SLICES: [Slice; 3] = [
    Slice { identifier: "ios-arm64", platform: "ios", is_simulator: false, targets: &[("aarch64-apple-ios", "arm64")] },
    Slice {
        identifier: "ios-arm64_x86_64-simulator",
        platform: "ios",
        is_simulator: true,
        targets: &[("aarch64-apple-ios-sim", "arm64"), ("x86_64-apple-ios", "x86_64")],
    },
    Slice {
        identifier: "macos-arm64_x86_64",
        platform: "macos",
        is_simulator: false,
        targets: &[("aarch64-apple-darwin", "arm64"), ("x86_64-apple-darwin", "x86_64")],
    },
];

/// Builds the package; its folder.
pub fn pack() -> Result<PathBuf> {
    let package = workspace::target()?.join("swift-apple");
    // What the interface is, the library for this machine tells as well, however it is built.
    swift::sources(&mobile::build(Profile::Test, mobile::STATIC)?, &package)?;
    let headers = workspace::target()?.join("swift-apple-headers");
    swift::headers(&headers.join(NAME))?;

    let framework = package.join(format!("{NAME}.xcframework"));
    if framework.exists() {
        fs::remove_dir_all(&framework)?;
    }
    let libraries = SLICES.iter().map(library).collect::<Result<Vec<_>>>()?;
    if process::find(&["xcodebuild"]).is_some() {
        let mut command = Command::new("xcodebuild");
        command.arg("-create-xcframework");
        for library in &libraries {
            command.arg("-library").arg(library).arg("-headers").arg(&headers);
        }
        process::run(command.arg("-output").arg(&framework))?;
    } else {
        assemble(&framework, &libraries, &headers)?;
    }
    for slice in &SLICES {
        check::slice(&framework, slice)?;
    }
    Ok(package)
}

/// Builds the library of a slice; its file.
fn library(slice: &Slice) -> Result<PathBuf> {
    let mut thin = Vec::new();
    for (target, _) in slice.targets {
        let mut cargo = apple::cargo_rustc(target)?;
        cargo.args([
            "--quiet",
            "-p",
            CRATE,
            "--lib",
            "--crate-type",
            mobile::STATIC,
            "--profile",
            Profile::Dist.name(),
        ]);
        process::run(&mut cargo)?;
        let file = workspace::target()?.join(target).join(Profile::Dist.folder()).join(format!("lib{LIBRARY}.a"));
        thin.push(fs::read(&file).with_context(|| format!("cannot read {}", file.display()))?);
    }
    let file =
        workspace::target()?.join("swift-apple-libraries").join(slice.identifier).join(format!("lib{LIBRARY}.a"));
    fs::create_dir_all(file.parent().context("a file in no folder")?)?;
    fs::write(&file, fat::join(&thin)?)?;
    Ok(file)
}

/// What `xcodebuild -create-xcframework` does.
fn assemble(framework: &Path, libraries: &[PathBuf], headers: &Path) -> Result<()> {
    for (slice, library) in SLICES.iter().zip(libraries) {
        let folder = framework.join(slice.identifier);
        let to = folder.join("Headers").join(NAME);
        fs::create_dir_all(&to)?;
        fs::copy(library, folder.join(format!("lib{LIBRARY}.a")))?;
        for header in fs::read_dir(headers.join(NAME))?.flatten() {
            fs::copy(header.path(), to.join(header.file_name()))?;
        }
    }
    fs::write(framework.join("Info.plist"), plist::of(&SLICES, &format!("lib{LIBRARY}.a")))?;
    Ok(())
}
