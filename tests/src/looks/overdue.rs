//! A transaction locks a row and idles: from the end of its time on it holds nobody up, and commits nothing.

use std::sync::Arc;

use lightning_db::env::SeededEntropy;
use lightning_db::{Database, Environment, Error, Isolation};

use super::{T, in_words, require, small};
use crate::random::Random;
use crate::sim::clock::{SimClock, Time};
use crate::sim_disk::SimDisk;

/// A look at the clock takes a microsecond: who waits wrongly is soon out of time itself.
const LIMIT_MS: u64 = 10;

pub(super) fn look(seed: u64) -> Result<(), String> {
    let mut random = Random::new(seed);
    let disk = Arc::new(SimDisk::new(seed));
    let clock = Arc::new(SimClock::new(&disk));
    let environment = Environment { clock: clock.clone(), entropy: Arc::new(SeededEntropy::new(seed)) };
    let mut options = small();
    options.limits.transaction_ms_max = LIMIT_MS;
    options.limits.transactions_max = 2;
    let db = Database::open_storage(disk, environment, options).map_err(in_words)?;
    let table = db.table(T).map_err(in_words)?;
    let row = random.below(10);
    (0..10).try_for_each(|key| table.put(key, b"before".as_slice())).map_err(in_words)?;
    // One has locked what it writes, and one is in nobody's way but by being there.
    let mut idle = [(); 2].map(|()| db.begin(Isolation::ReadCommitted));
    let [locks, writes] = &mut idle;
    let lock = locks.table(T).and_then(|mut rows| {
        rows.get_for_update(row)?;
        rows.put(row, b"late".as_slice())
    });
    lock.and_then(|()| writes.table(T)?.put(row + 1, b"late".as_slice())).map_err(in_words)?;
    clock.happen(Time::Passes(LIMIT_MS + random.below(LIMIT_MS)));
    clock.call();
    let wanted = match random.below(3) {
        0 => table.put(row, b"after".as_slice()),
        1 => table.delete_range(row..row + 1),
        _ => {
            let mut tx = db.begin(Isolation::ReadCommitted);
            tx.table(T)
                .and_then(|mut rows| {
                    rows.get_for_update(row)?;
                    rows.put(row, b"after".as_slice())
                })
                .and_then(|()| tx.commit())
        }
    };
    wanted.map_err(|error| format!("a row of a transaction that is overdue: {}", in_words(error)))?;
    for tx in &mut idle {
        let late = tx.commit();
        require(matches!(late, Err(Error::TransactionTimeout { .. })), || {
            format!("the commit of a transaction that is overdue is answered with {late:?}")
        })?;
    }
    for key in [row, row + 1] {
        let found = table.get(key).map_err(in_words)?;
        require(found.as_deref() != Some(b"late".as_slice()), || String::from("what was overdue was committed"))?;
    }
    Ok(())
}
