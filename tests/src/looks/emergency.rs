//! An emergency shutdown, and then the power goes.

use std::sync::Arc;

use lightning_db::env::SeededEntropy;
use lightning_db::{Database, Environment, Error};

use super::{T, in_words, require, small};
use crate::random::Random;
use crate::sim::clock::SimClock;
use crate::sim_disk::SimDisk;

pub(super) fn look(seed: u64) -> Result<(), String> {
    let disk = Arc::new(SimDisk::new(seed));
    let mut random = Random::new(seed);
    let open = || {
        let clock = Arc::new(SimClock::new(&disk));
        let environment = Environment { clock, entropy: Arc::new(SeededEntropy::new(seed)) };
        Database::open_storage(disk.clone(), environment, small())
    };
    let db = open().map_err(in_words)?;
    let table = db.table(T).map_err(in_words)?;
    let rows = random.between(1, 30);
    (0..rows).try_for_each(|key| table.put(key, random.bytes(100).as_slice())).map_err(in_words)?;
    db.shut_down_now().map_err(in_words)?;
    let refused = table.put(rows, [].as_slice());
    require(refused == Err(Error::Closed), || format!("after a shutdown a write is answered with {refused:?}"))?;
    disk.power_loss(seed);
    let found = open().and_then(|db| db.table(T)?.len()).map_err(in_words)?;
    require(found == rows, || format!("{found} of {rows} rows are left after a shutdown and a power loss"))
}
