//! Where nobody may wait, who reads more than is allowed is told so, and gets it all in time.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use lightning_db::env::MemoryStorage;
use lightning_db::{Database, Error, Trim};

use super::{T, by_hand, in_words, require, small};
use crate::random::Random;

const ROWS: u64 = 1000;

pub(super) fn look(seed: u64) -> Result<(), String> {
    let mut random = Random::new(seed);
    let per_s = random.between(10_000, 30_000);
    let storage = Arc::new(MemoryStorage::new());
    let (environment, clock) = by_hand(seed);
    let values: Vec<Vec<u8>> = (0..ROWS).map(|_| random.bytes(100)).collect();
    let make = || -> Result<(), Error> {
        let db = Database::open_storage(storage.clone(), environment.clone(), small())?;
        (0u64..).zip(&values).try_for_each(|(key, value)| db.table(T)?.put(key, value.as_slice()))?;
        db.close()
    };
    make().map_err(in_words)?;
    let mut options = small();
    options.limits.read_bytes_per_s = Some(per_s);
    clock.0.store(1, Ordering::Relaxed);
    let db = Database::open_storage(storage, environment, options).map_err(in_words)?;
    db.trim_memory(Trim::All);
    let mut refused = 0;
    for (key, value) in (0u64..).zip(&values) {
        loop {
            match db.table(T).and_then(|table| table.get(key)) {
                Ok(Some(found)) if found == *value => break,
                Err(Error::LimitReached { .. }) if refused < ROWS => {
                    refused += 1;
                    clock.0.fetch_add(100, Ordering::Relaxed);
                }
                other => return Err(format!("key {key} after {refused} refusals: {other:?}")),
            }
        }
    }
    require(refused > 0, || format!("{} bytes were read at once, of {per_s} a second", ROWS * 100))
}
