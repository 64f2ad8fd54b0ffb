//! The contract of `Storage`, kept by every storage there is.

use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};

use lightning_db::Error;
use lightning_db::env::{FileId, FileStorage, MemoryStorage, OpenMode, Storage, StorageError, Sync};
use lightning_db_tests::contract_tests;
use lightning_db_tests::paging::PagingStorage;
use lightning_db_tests::sim_disk::SimDisk;
use lightning_db_tests::storage_suite::Subject;

contract_tests!(memory, Memory(MemoryStorage::new()));
contract_tests!(file, Files::new());
contract_tests!(sim_disk_after_power_loss, Sim { disk: SimDisk::new(1), reopens: 0 });
contract_tests!(sim_disk_after_kill, Killed(SimDisk::new(1)));
contract_tests!(paging, Paged(PagingStorage::new(MemoryStorage::new(), 3, (2, 3)).with_pending_syncs()));

struct Memory(MemoryStorage);

impl Subject for Memory {
    fn storage(&self) -> &dyn Storage {
        &self.0
    }
    fn reopen(&mut self) {
        self.0 = MemoryStorage::with_contents(self.0.contents(FileId::Data), self.0.contents(FileId::Log));
    }
}

struct Files {
    folder: PathBuf,
    storage: Option<FileStorage>,
}

impl Files {
    fn new() -> Self {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let name = format!("lightning-db-contract-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let folder = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&folder).unwrap();
        let storage = FileStorage::open(folder.join("app.ldb"), OpenMode::CREATE).unwrap();
        Self { folder, storage: Some(storage) }
    }
}

impl Subject for Files {
    fn storage(&self) -> &dyn Storage {
        self.storage.as_ref().unwrap()
    }
    fn reopen(&mut self) {
        self.storage = None;
        self.storage = Some(FileStorage::open(self.folder.join("app.ldb"), OpenMode::EXISTING).unwrap());
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        self.storage = None;
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

struct Sim {
    disk: SimDisk,
    reopens: u64,
}

impl Subject for Sim {
    fn storage(&self) -> &dyn Storage {
        &self.disk
    }
    fn reopen(&mut self) {
        self.reopens += 1;
        self.disk.power_loss(self.reopens);
    }
}

struct Killed(SimDisk);

impl Subject for Killed {
    fn storage(&self) -> &dyn Storage {
        &self.0
    }
    fn reopen(&mut self) {
        self.0.kill();
    }
}

/// Fetches and completes by itself, so that it looks like any other storage.
#[derive(Debug)]
struct Paged(PagingStorage<MemoryStorage>);

impl Subject for Paged {
    fn storage(&self) -> &dyn Storage {
        self
    }
    fn reopen(&mut self) {
        self.0.end_operation();
    }
}

impl Storage for Paged {
    fn read_at(&self, file: FileId, offset: u64, buf: &mut [u8]) -> Result<(), StorageError> {
        self.0.drive(|| Ok(self.0.read_at(file, offset, buf)?)).map_err(|error| match error {
            Error::Storage(error) => *error,
            other => panic!("a storage error came out as {other}"),
        })
    }
    fn write_at(&self, file: FileId, offset: u64, buf: &[u8]) -> Result<(), StorageError> {
        self.0.write_at(file, offset, buf)
    }
    fn len(&self, file: FileId) -> Result<u64, StorageError> {
        self.0.len(file)
    }
    fn set_len(&self, file: FileId, len: u64) -> Result<(), StorageError> {
        self.0.set_len(file, len)
    }
    fn sync(&self, file: FileId) -> Result<Sync, StorageError> {
        let Sync::Pending(asked) = self.0.sync(file)? else { panic!("this storage answers later") };
        let (ticket, result) = self.0.complete_sync().unwrap();
        assert_eq!(ticket, asked);
        result.map(|()| Sync::Done)
    }
    fn name(&self) -> String {
        self.0.name()
    }
}
