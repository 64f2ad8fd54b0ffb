//! Where things lie: the repository, and the folder that keeps what is built and downloaded between runs.

use std::env;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use anyhow::{Context, Result};

/// The root of the repository that cargo runs this program from. Not the one it was built in: checkouts that share a
/// target folder share this program too.
pub fn root() -> &'static Path {
    static ROOT: OnceLock<PathBuf> = OnceLock::new();
    ROOT.get_or_init(|| {
        let package =
            env::var_os("CARGO_MANIFEST_DIR").map_or_else(|| env!("CARGO_MANIFEST_DIR").into(), PathBuf::from);
        package.parent().map_or_else(|| PathBuf::from("."), Path::to_owned)
    })
}

/// A folder of ours under the user's cache folder.
pub fn cache(name: &str) -> Result<PathBuf> {
    let caches = match env::var_os("XDG_CACHE_HOME") {
        Some(folder) if !folder.is_empty() => PathBuf::from(folder),
        _ => env::home_dir().context("there is no home folder: set HOME")?.join(".cache"),
    };
    let folder = caches.join("lightning-db").join(name);
    std::fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    Ok(folder)
}

/// Cargo's target folder for everything that xtask builds: `CARGO_TARGET_DIR` where that is set, else one that outlives
/// the checkout.
pub fn target() -> Result<PathBuf> {
    match env::var_os("CARGO_TARGET_DIR") {
        Some(folder) if !folder.is_empty() => Ok(root().join(folder)),
        _ => cache("target"),
    }
}

/// The folder of a tool of one version, which need not exist yet.
pub fn tool(name: &str, version: &str) -> Result<PathBuf> {
    Ok(cache("tools")?.join(format!("{name}-{version}")))
}
