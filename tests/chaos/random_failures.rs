//! Reads, writes, changes of length and syncs of real files fail at random, with threads at work.

use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
use lightning_db::env::{FileStorage, OpenMode, Storage, SystemClock, SystemEntropy};
use lightning_db::{Database, Durability, Environment, Error, Options};
use lightning_db_tests::random::Random;

use super::Site;
use super::flaky::Flaky;
use super::witness::Witness;

/// Transactions of one life at most.
const COMMITS_MAX: u64 = 3000;

pub fn run(site: &Site) -> Result<String> {
    let mut random = Random::new(site.seed);
    let mut witness = Witness::new(site.seed, 3000, 1200);
    let (start, mut lives, mut failures, mut stopped) = (Instant::now(), 0, 0, 0);
    while start.elapsed() < site.seconds || lives < 10 {
        lives += 1;
        let files = FileStorage::open(site.path(), OpenMode::CREATE)?;
        let one_in = 1 << random.between(5, 12);
        let flaky = Arc::new(Flaky::new(files, random.bits(), one_in));
        let ended = life(&flaky, &mut witness, &mut random)
            .with_context(|| format!("life {lives}, one operation in {one_in} failing"))?;
        stopped += u32::from(ended);
        failures += flaky.failures();
    }
    let database = Database::open(site.path(), Options::default())?;
    witness.verify_reopened(&database)?;
    database.close()?;
    ensure!(failures > 0, "nothing failed");
    Ok(format!(
        "{failures} failures in {lives} openings, {stopped} of them ended by a failed sync; {} transactions refused, {} \
         acknowledged, none lost",
        witness.refused(),
        witness.acknowledged()
    ))
}

/// From opening to the failure after which only opening again helps, if it comes; whether it did.
fn life(flaky: &Arc<Flaky>, witness: &mut Witness, random: &mut Random) -> Result<bool> {
    let environment = Environment { clock: Arc::new(SystemClock::default()), entropy: Arc::new(SystemEntropy) };
    let mut options = Options::default();
    options.memory_budget_bytes = 4 << 20;
    options.memtable_bytes = Some(64 << 10);
    options.log_segment_bytes = 64 << 10;
    let database = Database::open_storage(Arc::clone(flaky) as Arc<dyn Storage>, environment, options)?;
    witness.verify_reopened(&database).context("after opening")?;
    flaky.fail(true);
    let mut poisoned = false;
    for _ in 0..random.skewed(COMMITS_MAX) {
        let durability = if random.chance(1, 2) { Durability::Sync } else { Durability::Relaxed };
        match witness.commit(&database, durability) {
            Ok(()) => {}
            Err(Error::Storage(_)) if !poisoned => {}
            Err(Error::OutcomeUnknown { .. } | Error::Poisoned { .. }) => {
                poisoned = true;
                break;
            }
            Err(error) => bail!("a failure on purpose is reported as {}: {error}", error.name()),
        }
    }
    flaky.fail(false);
    if !poisoned {
        // When it fails no longer, everything is as before.
        match witness.commit(&database, Durability::Sync) {
            Ok(()) => witness.verify(&database)?,
            // A sync of the background failed meanwhile.
            Err(Error::Poisoned { .. } | Error::OutcomeUnknown { .. }) => poisoned = true,
            Err(error) => bail!("failures are over, and yet: {}: {error}", error.name()),
        }
    }
    if poisoned {
        ensure!(database.close().is_err(), "a handle that does not know what is durable closed as if it did");
    } else {
        database.close()?;
    }
    Ok(poisoned)
}
