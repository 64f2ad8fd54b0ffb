//! What the engine expects of a storage, expected of each storage of a browser, in a dedicated worker of a real one.

mod places;

use std::cell::Cell;
use std::sync::Arc;

use lightning_db::env::{Entropy, FileId, MemoryStorage, SeededEntropy, Storage, StorageError, StorageErrorKind, Sync};
use lightning_db_wasm::{HandleStorage, IndexedDb};
use wasm_bindgen_test::{wasm_bindgen_test, wasm_bindgen_test_configure};

wasm_bindgen_test_configure!(run_in_dedicated_worker);

/// A storage, and what it takes to run an operation on it and to make that durable.
trait Place: Sized {
    async fn open(name: &str) -> Self;
    async fn delete(name: &str);
    fn storage(&self) -> Arc<dyn Storage>;
    async fn run<T>(&self, operation: impl FnMut() -> Result<T, StorageError>) -> Result<T, StorageError>;
    async fn flush(&self);

    async fn sync(&self) {
        for file in FileId::ALL {
            assert!(self.storage().sync(file).is_ok());
        }
        self.flush().await;
    }

    async fn read(&self, file: FileId, offset: u64, len: usize) -> Result<Vec<u8>, StorageError> {
        let mut buf = vec![0xee; len];
        self.run(|| self.storage().read_at(file, offset, &mut buf)).await?;
        Ok(buf)
    }
}

struct Opfs(Arc<HandleStorage>);

impl Place for Opfs {
    #[allow(clippy::arc_with_non_send_sync)]
    async fn open(name: &str) -> Self {
        Self(Arc::new(places::open_files(name).await.unwrap()))
    }

    async fn delete(name: &str) {
        places::delete_files(name).await;
    }

    fn storage(&self) -> Arc<dyn Storage> {
        self.0.clone()
    }

    async fn run<T>(&self, mut operation: impl FnMut() -> Result<T, StorageError>) -> Result<T, StorageError> {
        operation()
    }

    async fn flush(&self) {}
}

impl Place for IndexedDb {
    async fn open(name: &str) -> Self {
        IndexedDb::open(name).await.unwrap()
    }

    async fn delete(name: &str) {
        IndexedDb::delete(name).await.unwrap();
    }

    fn storage(&self) -> Arc<dyn Storage> {
        IndexedDb::storage(self)
    }

    async fn run<T>(&self, operation: impl FnMut() -> Result<T, StorageError>) -> Result<T, StorageError> {
        IndexedDb::run(self, operation).await
    }

    async fn flush(&self) {
        IndexedDb::flush(self).await.result.unwrap();
    }
}

/// Each test on each storage.
macro_rules! on_each_storage {
    ($($test:ident)*) => {
        mod opfs {
            $(#[wasm_bindgen_test::wasm_bindgen_test]
            async fn $test() { super::$test::<super::Opfs>(concat!("opfs-", stringify!($test))).await; })*
        }
        mod indexed_db {
            $(#[wasm_bindgen_test::wasm_bindgen_test]
            async fn $test() { super::$test::<super::IndexedDb>(concat!("idb-", stringify!($test))).await; })*
        }
    };
}

on_each_storage! {
    a_new_database_is_two_empty_files
    synced_bytes_are_there_after_reopening
    reading_past_the_end_says_so
    a_file_cut_and_extended_holds_zeros
    behaves_like_memory
}

async fn a_new_database_is_two_empty_files<P: Place>(name: &str) {
    P::delete(name).await;
    let place = P::open(name).await;
    for file in FileId::ALL {
        assert_eq!(place.storage().len(file), Ok(0));
    }
}

async fn synced_bytes_are_there_after_reopening<P: Place>(name: &str) {
    P::delete(name).await;
    let place = P::open(name).await;
    let data: Vec<u8> = (0..100_000_u32).map(|at| at as u8).collect();
    place.storage().write_at(FileId::Data, 0, &data).unwrap();
    place.storage().write_at(FileId::Log, 5000, b"log").unwrap();
    place.sync().await;
    drop(place);

    let place = P::open(name).await;
    assert_eq!(place.storage().len(FileId::Data), Ok(100_000));
    assert_eq!(place.storage().len(FileId::Log), Ok(5003));
    assert!(place.read(FileId::Data, 0, data.len()).await.unwrap() == data);
    assert_eq!(place.read(FileId::Data, 99_990, 10).await.unwrap(), data[99_990..]);
    assert_eq!(place.read(FileId::Log, 4998, 5).await.unwrap(), b"\0\0log");
}

async fn reading_past_the_end_says_so<P: Place>(name: &str) {
    P::delete(name).await;
    let place = P::open(name).await;
    place.storage().write_at(FileId::Data, 0, &[1; 100]).unwrap();
    for (offset, len) in [(90, 11), (100, 1), (1 << 40, 1)] {
        let error = place.read(FileId::Data, offset, len).await.unwrap_err();
        assert_eq!((error.kind, error.offset), (StorageErrorKind::UnexpectedEnd, offset));
    }
    assert!(place.read(FileId::Data, 90, 10).await.is_ok());
}

async fn a_file_cut_and_extended_holds_zeros<P: Place>(name: &str) {
    P::delete(name).await;
    let place = P::open(name).await;
    place.storage().write_at(FileId::Data, 0, &[9; 50_000]).unwrap();
    place.sync().await;
    place.storage().set_len(FileId::Data, 20_000).unwrap();
    place.storage().allocate(FileId::Data, 40_000).unwrap();
    let mut expected = vec![9; 20_000];
    expected.resize(40_000, 0);
    assert!(place.read(FileId::Data, 0, 40_000).await.unwrap() == expected);
    place.sync().await;
    drop(place);
    let place = P::open(name).await;
    assert!(place.read(FileId::Data, 0, 40_000).await.unwrap() == expected);
}

async fn behaves_like_memory<P: Place>(name: &str) {
    for seed in 0..6 {
        P::delete(name).await;
        let entropy = SeededEntropy::new(seed);
        let random = |below: u64| {
            let mut bytes = [0; 8];
            entropy.fill(&mut bytes);
            u64::from_le_bytes(bytes) % below
        };
        let model = MemoryStorage::new();
        let mut place = P::open(name).await;
        for _ in 0..120 {
            let file = FileId::ALL[random(2) as usize];
            let (offset, len) = (random(200_000), random(60_000) as usize + 1);
            match random(8) {
                0..3 => {
                    let mut bytes = vec![0; len];
                    entropy.fill(&mut bytes);
                    model.write_at(file, offset, &bytes).unwrap();
                    place.storage().write_at(file, offset, &bytes).unwrap();
                }
                3 => {
                    model.set_len(file, offset).unwrap();
                    place.storage().set_len(file, offset).unwrap();
                }
                4 => place.sync().await,
                5 if random(3) == 0 => {
                    place.sync().await;
                    drop(place);
                    place = P::open(name).await;
                }
                _ => {
                    let expected = {
                        let mut buf = vec![0xee; len];
                        model.read_at(file, offset, &mut buf).map(|()| buf)
                    };
                    let found = place.read(file, offset, len).await;
                    assert_eq!(found.is_ok(), expected.is_ok(), "seed {seed}: {len} bytes at {offset} of the {file}");
                    assert!(found.ok() == expected.ok(), "seed {seed}: {len} bytes at {offset} of the {file} differ");
                }
            }
            assert_eq!(place.storage().len(file), model.len(file), "seed {seed}");
        }
    }
}

#[wasm_bindgen_test]
async fn a_second_opener_of_the_same_files_is_refused() {
    let name = "opfs-second-opener";
    places::delete_files(name).await;
    let first = places::open_files(name).await.unwrap();
    let refused = places::open_files(name).await.unwrap_err();
    let refused: web_sys::DomException = wasm_bindgen::JsCast::unchecked_into(refused);
    assert_eq!(refused.name(), "NoModificationAllowedError");
    drop(first);
    assert!(places::open_files(name).await.is_ok());
}

#[wasm_bindgen_test]
async fn a_sync_in_indexed_db_is_pending_until_a_flush_completes_it() {
    let name = "idb-pending";
    IndexedDb::delete(name).await.unwrap();
    let database = IndexedDb::open(name).await.unwrap();
    database.storage().write_at(FileId::Log, 0, b"first").unwrap();
    let Ok(Sync::Pending(first)) = database.storage().sync(FileId::Log) else { panic!("not pending") };
    let Ok(Sync::Pending(second)) = database.storage().sync(FileId::Data) else { panic!("not pending") };
    assert!(first < second);
    let flushed = database.flush().await;
    assert_eq!((flushed.tickets, flushed.result), (vec![first, second], Ok(())));
    let flushed = database.flush().await;
    assert_eq!((flushed.tickets, flushed.result), (vec![], Ok(())));
}

#[wasm_bindgen_test]
async fn what_was_not_flushed_is_gone_after_reopening_as_a_whole() {
    let name = "idb-unflushed";
    IndexedDb::delete(name).await.unwrap();
    let database = IndexedDb::open(name).await.unwrap();
    database.storage().write_at(FileId::Data, 0, b"kept").unwrap();
    IndexedDb::flush(&database).await.result.unwrap();
    database.storage().write_at(FileId::Data, 0, b"lost").unwrap();
    database.storage().set_len(FileId::Data, 1 << 20).unwrap();
    drop(database);
    let database = IndexedDb::open(name).await.unwrap();
    assert_eq!(database.storage().len(FileId::Data), Ok(4));
    assert_eq!(database.read(FileId::Data, 0, 4).await.unwrap(), b"kept");
}

#[wasm_bindgen_test]
async fn an_operation_that_reads_in_sequence_is_restarted_few_times() {
    const PIECE: usize = 4096;
    const PIECES: u64 = 2000;
    let name = "idb-sequence";
    IndexedDb::delete(name).await.unwrap();
    let database = IndexedDb::open(name).await.unwrap();
    for piece in 0..PIECES {
        database.storage().write_at(FileId::Data, piece * PIECE as u64, &[piece as u8; PIECE]).unwrap();
    }
    IndexedDb::flush(&database).await.result.unwrap();
    drop(database);

    let database = IndexedDb::open(name).await.unwrap();
    let (storage, starts) = (database.storage(), Cell::new(0));
    let read = IndexedDb::run(&database, || {
        starts.set(starts.get() + 1);
        let mut buf = [0; PIECE];
        for piece in 0..PIECES {
            storage.read_at(FileId::Data, piece * PIECE as u64, &mut buf)?;
            assert_eq!(buf, [piece as u8; PIECE]);
        }
        Ok::<_, StorageError>(())
    });
    read.await.unwrap();
    assert!((2..=12).contains(&starts.get()), "{} starts", starts.get());
}
