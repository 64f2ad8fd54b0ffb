//! Requests that are sent again after a crash, at whatever I/O it came, are carried out once and have the answer they had.

use std::sync::Arc;

use lightning_db::env::{FixedClock, SeededEntropy, Storage};
use lightning_db::{Database, Durability, Environment, Error, Options, Table};
use lightning_db_tests::sim_disk::{Fault, SimDisk};

const SUMS: Table<&str, i64> = Table::new("sums");
const CLIENT: u64 = 0x1234_5678_9abc_def0;
const REQUESTS: u64 = 24;
/// So many are under way before the client hears of the first.
const UNDER_WAY: u64 = 5;

fn open(disk: &Arc<SimDisk>, durability: Durability) -> Result<Database, Error> {
    let env = Environment { clock: Arc::new(FixedClock(1_700_000_000_000)), entropy: Arc::new(SeededEntropy::new(3)) };
    let mut options = Options::default();
    options.background_thread = false;
    options.durability = durability;
    options.memtable_bytes = Some(4096);
    Database::open_storage(Arc::clone(disk) as Arc<dyn Storage>, env, options)
}

/// Adds one, unless that was done. Every third request has its sum as its answer, the others have none to speak of.
fn add(db: &Database, number: u64, heard: u64, looks: bool) -> Result<Vec<u8>, Error> {
    let mut requests = db.requests(CLIENT)?;
    db.heard(&mut requests, heard);
    if looks && let Some(answer) = db.answer(&requests, number)? {
        return Ok(answer);
    }
    db.transaction(|tx| {
        let sum = tx.table(SUMS)?.increment("n", 1)?;
        let answer = if number.is_multiple_of(3) { sum.to_le_bytes().to_vec() } else { Vec::new() };
        if looks {
            tx.remember(&requests, number, &answer)?;
        }
        Ok(answer)
    })
}

/// Sends all requests, in groups that are sent again after a crash, and gives the sum at the end.
fn send_all(disk: &Arc<SimDisk>, durability: Durability, looks: bool, power_loss: bool) -> i64 {
    let mut db = open(disk, durability);
    let mut heard = 0;
    while heard < REQUESTS {
        let group = || -> Result<u64, Error> {
            let db = db.as_ref().map_err(Clone::clone)?;
            let last = (heard + UNDER_WAY).min(REQUESTS);
            for number in heard + 1..=last {
                let answer = add(db, number, heard, looks)?;
                if looks && number.is_multiple_of(3) {
                    assert_eq!(answer, number.to_le_bytes());
                }
            }
            db.sync()?;
            if last.is_multiple_of(10) {
                db.checkpoint()?;
            }
            Ok(last)
        };
        match group() {
            Ok(last) => heard = last,
            Err(error) => {
                assert!(disk.is_crashed(), "{error}");
                drop(db);
                if power_loss {
                    disk.power_loss(heard)
                } else {
                    disk.kill()
                }
                db = open(disk, durability);
            }
        }
    }
    let sum = db.unwrap().table(SUMS).unwrap().get("n").unwrap();
    sum.unwrap()
}

/// The sums that crashes at each I/O come to, other than the one without.
fn wrong_sums(durability: Durability, looks: bool, power_loss: bool) -> usize {
    let whole = Arc::new(SimDisk::new(1));
    assert_eq!(send_all(&whole, durability, looks, power_loss), REQUESTS as i64);
    let ios = whole.io_count();
    assert!(ios > 80, "{ios}");
    (1..ios)
        .filter(|io| {
            let disk = Arc::new(SimDisk::new(*io));
            disk.schedule(*io, Fault::Crash);
            send_all(&disk, durability, looks, power_loss) != REQUESTS as i64
        })
        .count()
}

#[test]
fn a_request_that_is_sent_again_after_a_power_loss_is_carried_out_once() {
    assert_eq!(wrong_sums(Durability::Sync, true, true), 0);
    assert_eq!(wrong_sums(Durability::Relaxed, true, true), 0);
}

#[test]
fn a_request_that_is_sent_again_after_a_kill_is_carried_out_once() {
    assert_eq!(wrong_sums(Durability::Sync, true, false), 0);
    assert_eq!(wrong_sums(Durability::Relaxed, true, false), 0);
}

#[test]
fn without_looking_it_would_be_carried_out_again() {
    assert!(wrong_sums(Durability::Sync, false, true) > 20);
    assert!(wrong_sums(Durability::Relaxed, false, false) > 20);
}
