//! A folder that goes when it is no longer needed.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// A new folder, removed with all that is in it unless [kept](Scratch::keep).
pub struct Scratch {
    path: PathBuf,
    keep: bool,
}

impl Scratch {
    /// A folder under `parent`, or else under the system's for temporary files.
    pub fn new(parent: Option<&Path>, name: &str) -> Result<Self> {
        let parent = parent.map_or_else(std::env::temp_dir, Path::to_owned);
        let path = parent.join(format!("lightning-chaos-{}-{name}", std::process::id()));
        fs::create_dir_all(&path).with_context(|| format!("cannot make {}", path.display()))?;
        Ok(Self { path, keep: false })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Leaves it for whoever wants to look.
    pub fn keep(mut self) -> PathBuf {
        self.keep = true;
        self.path.clone()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if !self.keep {
            // What cannot be removed lies among temporary files.
            let _ = fs::remove_dir_all(&self.path);
        }
    }
}
