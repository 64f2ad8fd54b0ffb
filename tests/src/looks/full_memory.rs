//! Many transactions at once, each as large as it may be: together they take no more memory than is allowed.

use std::sync::Arc;

use lightning_db::env::MemoryStorage;
use lightning_db::{Database, Error, Isolation};

use super::{T, by_hand, in_words, require, small};
use crate::random::Random;

const TRANSACTIONS: u64 = 8;
const ROWS: u64 = 200;

pub(super) fn look(seed: u64) -> Result<(), String> {
    let mut random = Random::new(seed);
    let db = Database::open_storage(Arc::new(MemoryStorage::new()), by_hand(seed).0, small()).map_err(in_words)?;
    let table = db.table(T).map_err(in_words)?;
    let allowed = db.limits().transactions_bytes_max.ok_or("there is no limit")? as u64;
    let value = random.bytes(900);
    let mut open: Vec<_> = (0..TRANSACTIONS).map(|_| db.begin(Isolation::Snapshot)).collect();
    let (mut taken, mut refused) = (0, 0);
    for round in 0..allowed * 2 / (TRANSACTIONS * ROWS * 900) + 1 {
        for (at, tx) in open.iter_mut().enumerate() {
            let first = (round * TRANSACTIONS + at as u64) * ROWS;
            let fill = tx
                .table(T)
                .and_then(|mut rows| (first..first + ROWS).try_for_each(|key| rows.put(key, value.as_slice())));
            match fill {
                Ok(()) => taken += ROWS * 900,
                Err(Error::LimitReached { .. } | Error::LimitExceeded { .. }) => refused += 1,
                Err(error) => return Err(format!("a large transaction beside others: {}", in_words(error))),
            }
        }
    }
    // Each has some beside it.
    let at_most = allowed + TRANSACTIONS * (64 << 10);
    require(taken <= at_most && refused > 0, || {
        format!("{taken} bytes of changes are held at once, of {allowed}; {refused} were refused")
    })?;
    drop(open);
    table.put(1, value.as_slice()).map_err(in_words)
}
