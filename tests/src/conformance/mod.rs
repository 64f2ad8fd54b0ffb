//! What `tests/conformance` holds every binding to, as read by the tests of this one.

pub mod script;
pub mod value;

use std::path::{Path, PathBuf};

/// Where the scripts and vectors lie in the repository.
pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("conformance")
}
