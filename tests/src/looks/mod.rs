//! Short looks at one rule each, for bugs that a random plan comes across too seldom: a seed decides the details.

mod damaged_increments;
mod damaged_map;
mod emergency;
mod full_memory;
mod moved_on;
mod overdue;
mod stuck_archive;
mod too_fast;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use lightning_db::env::{Clock, SeededEntropy};
use lightning_db::{Durability, Environment, Error, Options, Table};

/// The table of those who need only one.
const T: Table<'_, u64, &[u8]> = Table::new("t");

/// Looks at all of them; the first that is wrong says what.
pub fn look(seed: u64) -> Result<(), String> {
    damaged_increments::look(seed)?;
    damaged_map::look(seed)?;
    emergency::look(seed)?;
    full_memory::look(seed)?;
    moved_on::look(seed)?;
    overdue::look(seed)?;
    stuck_archive::look(seed)?;
    too_fast::look(seed)
}

/// A clock that is set by hand, in milliseconds.
#[derive(Default)]
pub(crate) struct HandSet(pub AtomicU64);

impl Clock for HandSet {
    fn wall_ms(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
    fn monotonic_ns(&self) -> u64 {
        self.wall_ms() * 1_000_000
    }
}

fn by_hand(seed: u64) -> (Environment, Arc<HandSet>) {
    let clock = Arc::new(HandSet::default());
    let entropy = Arc::new(SeededEntropy::new(seed));
    (Environment { clock: Arc::clone(&clock) as Arc<dyn Clock>, entropy }, clock)
}

/// A small one, whose background work is done by whoever asks.
fn small() -> Options {
    let mut options = Options::default();
    options.memory_budget_bytes = 2 << 20;
    options.memtable_bytes = Some(8 << 10);
    options.log_segment_bytes = 64 << 10;
    options.inline_bytes_max = 1000;
    options.durability = Durability::Relaxed;
    options.background_thread = false;
    options
}

fn in_words(error: Error) -> String {
    format!("{}: {error}", error.name())
}

/// What is wrong, if it is.
fn require(right: bool, what: impl FnOnce() -> String) -> Result<(), String> {
    if right { Ok(()) } else { Err(what()) }
}

#[cfg(test)]
mod tests {
    #[test]
    fn nothing_is_wrong() {
        (0..4).for_each(|seed| super::look(seed).unwrap());
    }

    /// Without this the test above could not fail.
    #[cfg(feature = "testing")]
    #[test]
    fn each_rule_that_is_looked_at_is_seen_to_be_broken() {
        use lightning_db::testing::mutant::Mutant;
        for mutant in [
            Mutant::IncrementUnverified,
            Mutant::RebuiltWithoutPending,
            Mutant::ShutDownUnsynced,
            Mutant::MovesOnUnvalidated,
            Mutant::OverdueKeepsRows,
            Mutant::OverdueCommits,
            Mutant::ArchiveUnbounded,
            Mutant::ReadRateIgnored,
            Mutant::TransactionMemoryUnbounded,
        ] {
            let _active = mutant.activate();
            let is_right = |seed| matches!(std::panic::catch_unwind(|| super::look(seed)), Ok(Ok(())));
            assert!((0..4).any(|seed| !is_right(seed)), "{}", mutant.name());
        }
    }
}
