//! The package for Swift: its sources, what UniFFI makes of the library's interface, and the library.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::header;
use super::mobile::{self, LIBRARY, Profile, copy_file};
use crate::workspace;

/// The folder of a staged package that has the scripts of `tests/conformance`.
const CONFORMANCE: &str = "conformance";

/// What of a package is not copied from `swift/`.
const MADE: [&str; 6] =
    [".build", "lib", "LightningDBFFI", "LightningDBGenerated", CONFORMANCE, "LightningDBFFI.xcframework"];

/// Puts the package together for this machine. Gives its folder.
pub fn stage(profile: Profile) -> Result<PathBuf> {
    let built = mobile::build(profile, mobile::STATIC)?;
    let package = workspace::target()?.join("swift");
    sources(&built, &package)?;
    headers(&package.join("Sources/LightningDBFFI"))?;
    copy_file(&built.join(format!("lib{LIBRARY}.a")), &package.join(format!("lib/lib{LIBRARY}.a")))?;
    Ok(package)
}

/// Puts what is written in Swift into `package`, by hand and by UniFFI, which looks into the library that is in `built`.
pub fn sources(built: &Path, package: &Path) -> Result<()> {
    copy_changed(&workspace::root().join("swift"), package)?;
    // Its tests see nothing of the machine but the package.
    copy_changed(&workspace::root().join("tests/conformance"), &package.join(CONFORMANCE))?;
    let generated = generated()?;
    mobile::generate(&built.join(format!("lib{LIBRARY}.a")), "swift", &generated)?;
    let name = "LightningDBGenerated.swift";
    copy_file(&generated.join(name), &package.join("Sources/LightningDBGenerated").join(name))
}

/// Puts the headers of the library, and the map that makes them a module of Swift, into `folder`.
pub fn headers(folder: &Path) -> Result<()> {
    copy_file(&generated()?.join("LightningDBFFI.h"), &folder.join("LightningDBFFI.h"))?;
    copy_file(&header::path(), &folder.join("lightning.h"))?;
    copy_file(&workspace::root().join("mobile/module.modulemap"), &folder.join("module.modulemap"))
}

fn generated() -> Result<PathBuf> {
    Ok(workspace::target()?.join("swift-generated"))
}

/// Copies what has changed, so that what was built of the rest stays; what is no longer there is deleted from sources and tests.
fn copy_changed(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(to)?.flatten() {
        let name = entry.file_name();
        if !is_made(&name.to_string_lossy()) && !from.join(&name).exists() {
            let path = entry.path();
            if path.is_dir() { fs::remove_dir_all(path)? } else { fs::remove_file(path)? }
        }
    }
    for entry in fs::read_dir(from).with_context(|| format!("cannot read {}", from.display()))? {
        let entry = entry?;
        let (path, name) = (entry.path(), entry.file_name());
        if is_made(&name.to_string_lossy()) {
            continue;
        }
        if path.is_dir() { copy_changed(&path, &to.join(name))? } else { copy_file(&path, &to.join(name))? }
    }
    Ok(())
}

fn is_made(name: &str) -> bool {
    MADE.contains(&name)
}
