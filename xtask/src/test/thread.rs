//! The parts of the engine that threads share and a whole database under many of them, with ThreadSanitizer looking for
//! accesses that race. The standard library is built with it, because it would be blind to what that does.

use anyhow::Result;

use super::sanitizer;
use super::stage::Stage;
use crate::setup::rust;

const NAME: &str = "ThreadSanitizer";
/// The others do their work in whichever thread calls them, and share nothing.
const SHARED: [&str; 5] = ["cache::", "memtable::", "env::", "engine::", "db::"];

pub fn run(stage: &mut Stage) -> Result<()> {
    if !sanitizer::is_here(NAME) {
        return Ok(());
    }
    rust::nightly_sources()?;
    let engine = [["-Zbuild-std", "-p", "lightning-db", "--lib", "--"].as_slice(), &SHARED].concat();
    sanitizer::tests(stage, NAME, "thread", &engine)?;
    sanitizer::tests(stage, NAME, "thread", &["-Zbuild-std", "-p", "lightning-db-tests", "--test", "threads"])
}
