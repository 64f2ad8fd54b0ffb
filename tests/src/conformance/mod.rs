//! What `tests/conformance` holds every binding to, as read by the tests of this one. Its `README.md` says how.

mod document;
mod live;
pub mod script;
mod table;
pub mod value;

use std::path::{Path, PathBuf};

/// Where the scripts and vectors lie in the repository.
pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("conformance")
}

/// What an operation gives: the inner result is the database's, the outer one the script's.
type Outcome<T = serde_json::Value> = anyhow::Result<lightning_db::Result<T>>;

/// What an operation without a result gives.
fn done(outcome: lightning_db::Result<()>) -> lightning_db::Result<serde_json::Value> {
    outcome.map(|()| serde_json::Value::Null)
}
