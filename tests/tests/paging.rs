//! The paging storage makes every operation restart, and loses nothing by it.

use std::cell::Cell;

use lightning_db::Error;
use lightning_db::env::{FileId, MemoryStorage, Storage, StorageErrorKind, Sync};
use lightning_db_tests::paging::{BLOCK_BYTES, PagingStorage};
use lightning_db_tests::sim_disk::{Fault, SimDisk};

fn paging(miss: (u64, u64)) -> PagingStorage<MemoryStorage> {
    PagingStorage::new(MemoryStorage::with_contents((0..=255).cycle().take(40_000).collect(), Vec::new()), 5, miss)
}

#[test]
fn a_block_is_missed_until_fetched_and_again_after_the_operation() {
    let storage = paging((1, 1));
    for _ in 0..2 {
        let error = storage.read_at(FileId::Data, 4090, &mut [0; 10]).unwrap_err();
        assert_eq!((error.kind, error.offset, error.len), (StorageErrorKind::NotResident, 4090, 10));
        storage.fetch(FileId::Data, error.offset, error.len);
        let mut buf = [0; 10];
        storage.read_at(FileId::Data, 4090, &mut buf).unwrap();
        assert_eq!(buf, [250, 251, 252, 253, 254, 255, 0, 1, 2, 3]);
        storage.read_at(FileId::Data, 2 * BLOCK_BYTES - 1, &mut [0]).unwrap();
        assert!(storage.read_at(FileId::Data, 2 * BLOCK_BYTES, &mut [0]).is_err(), "its neighbour was not fetched");
        storage.end_operation();
    }
}

#[test]
fn what_was_written_is_resident_until_the_operation_ends() {
    let storage = paging((1, 1));
    storage.write_at(FileId::Data, 5000, b"written").unwrap();
    storage.read_at(FileId::Data, 5001, &mut [0; 6]).unwrap();
    assert!(storage.read_at(FileId::Data, 4999, &mut [0; 8]).is_err(), "what is beside it was not");
    storage.end_operation();
    assert!(storage.read_at(FileId::Data, 5001, &mut [0; 6]).is_err());
}

#[test]
fn driving_ends_with_the_same_answer_and_restarts_when_something_is_missed() {
    let storage = paging((1, 2));
    let starts = Cell::new(0);
    let sum = storage.drive(|| {
        starts.set(starts.get() + 1);
        let mut sum = 0;
        for block in 0..9 {
            let mut buf = [0; 2];
            storage.read_at(FileId::Data, block * BLOCK_BYTES + 7, &mut buf)?;
            sum += u64::from(buf[0]);
        }
        Ok(sum)
    });
    assert_eq!(sum, Ok(9 * 7));
    assert!(starts.get() > 1 && starts.get() <= 10);
    assert_eq!(storage.restarts(), starts.get() - 1);
    assert_eq!(storage.drive(|| Err::<(), _>(Error::Closed)), Err(Error::Closed));
}

#[test]
fn a_pending_sync_is_durable_when_completed_and_not_before() {
    let storage = PagingStorage::new(SimDisk::new(1), 1, (0, 1)).with_pending_syncs();
    storage.write_at(FileId::Log, 0, b"commit").unwrap();
    let Ok(Sync::Pending(first)) = storage.sync(FileId::Log) else { panic!("must be pending") };
    let Ok(Sync::Pending(second)) = storage.sync(FileId::Log) else { panic!("must be pending") };
    assert!(first < second && storage.pending() == 2);
    let lost = |storage: &PagingStorage<SimDisk>| {
        (0..100).any(|seed| {
            let disk = storage.inner().clone();
            disk.power_loss(seed);
            disk.contents()[1] != b"commit"
        })
    };
    assert!(lost(&storage));
    assert_eq!(storage.complete_sync(), Some((first, Ok(()))));
    assert!(!lost(&storage));
    storage.inner().schedule(0, Fault::Error);
    assert!(matches!(storage.complete_sync(), Some((ticket, Err(_))) if ticket == second));
    assert_eq!(storage.complete_sync(), None);
}
