//! The engine's tests and a whole database under many threads, with ThreadSanitizer looking for accesses that race. The
//! standard library is built with it, because it would be blind to what that does.

use anyhow::Result;

use super::sanitizer;
use super::stage::Stage;
use crate::setup::rust;

const NAME: &str = "ThreadSanitizer";

pub fn run(stage: &mut Stage) -> Result<()> {
    if !sanitizer::is_here(NAME) {
        return Ok(());
    }
    rust::nightly_sources()?;
    for tests in [["-p", "lightning-db", "--lib"].as_slice(), &["-p", "lightning-db-tests", "--test", "threads"]] {
        sanitizer::tests(stage, NAME, "thread", &[&["-Zbuild-std"], tests].concat())?;
    }
    Ok(())
}
