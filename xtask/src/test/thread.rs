//! The parts of the engine that threads share and a whole database under many of them, with ThreadSanitizer looking for
//! accesses that race. The standard library is built with it, because it would be blind to what that does.

use anyhow::Result;

use super::sanitizer;
use super::stage::Stage;
use crate::setup::rust;

const NAME: &str = "ThreadSanitizer";
/// The others do their work in whichever thread calls them, and share nothing.
const SHARED: [&str; 5] = ["cache::", "memtable::", "env::", "engine::", "db::"];
/// Work of one thread that takes minutes here.
const LEFT_OUT: [&str; 6] = [
    "--skip",
    "a_checkpoint_that_reaches_into_a_page_of_the_space_map_only_for_a_moment_leaks_nothing",
    "--skip",
    "a_large_map_keeps_its_shape_through_inserts_and_range_deletes",
    "--skip",
    "behaves_as_the_model_and_snapshots_stay_as_they_were",
];

pub fn run(stage: &mut Stage) -> Result<()> {
    if !sanitizer::is_here(NAME) {
        return Ok(());
    }
    rust::nightly_sources()?;
    let engine = [["-Zbuild-std", "-p", "lightning-db", "--lib", "--"].as_slice(), &SHARED, &LEFT_OUT].concat();
    sanitizer::tests(stage, NAME, "thread", &engine)?;
    sanitizer::tests(stage, NAME, "thread", &["-Zbuild-std", "-p", "lightning-db-tests", "--test", "threads"])
}
