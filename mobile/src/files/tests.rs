//! Files that are given back while an application sleeps, and taken again.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use lightning_db::{Document, Value};

use super::*;
use crate::calls::{get, put};
use crate::database::{Database, FeedStart, TrimLevel};
use crate::failure::Failure;
use crate::options::OpenOptions;
use crate::scope::NOW;
use crate::scratch::{Folder, wait};
use crate::subscription::Ready;
use crate::table::WriteMode;
use crate::transaction::Isolation;

fn open(path: &str) -> Arc<Database> {
    Database::open_blocking(path.into(), OpenOptions::default()).unwrap()
}

fn name_of(failure: Failure) -> (String, bool) {
    let Failure::Engine { name, is_retryable, .. } = failure;
    (name, is_retryable)
}

/// What another process would be told.
fn elsewhere(path: &str) -> Result<FileStorage> {
    FileStorage::open(path, OpenMode::EXISTING)
}

#[test]
fn files_are_nobodys_while_a_database_is_suspended() {
    let folder = Folder::new();
    let path = folder.path("app.ldb");
    let (first, second) = (open(&path), open(&path));
    let table = first.table("notes".into(), "string".into(), "bytes".into()).unwrap();
    let write = |key: &[u8]| put(NOW, table.number(), WriteMode::Put, key, b"value").map(drop);
    write(b"a").unwrap();
    let transaction = first.begin(Isolation::Serializable).unwrap();
    put(transaction.number(), table.number(), WriteMode::Put, b"t", b"value").unwrap();
    let snapshot = first.snapshot().unwrap();
    assert_eq!(elsewhere(&path).unwrap_err().name(), "Locked");

    wait(first.suspend()).unwrap();
    second.suspend_blocking().unwrap();
    drop(elsewhere(&path).unwrap());
    assert!(!folder.0.join("app.ldb-lock").exists());
    let refused = write(b"b").unwrap_err();
    assert!(refused.is_suspended() && refused.is_retryable(), "{refused}");
    first.trim_memory(TrimLevel::All).unwrap();
    let refused = get(NOW, table.number(), b"a", |_| ()).unwrap_err();
    assert!(refused.is_suspended() && refused.to_string().contains("app.ldb"), "{refused}");

    second.resume_blocking(0).unwrap();
    first.resume_blocking(0).unwrap();
    assert_eq!(elsewhere(&path).unwrap_err().name(), "Locked");
    write(b"b").unwrap();
    assert!(get(snapshot.number(), table.number(), b"a", |found| found.is_some()).unwrap());
    assert!(get(snapshot.number(), table.number(), b"b", |found| found.is_none()).unwrap());
    transaction.commit_blocking().unwrap();
    first.end_blocking().unwrap();
    second.end_blocking().unwrap();
    assert_eq!(name_of(second.resume_blocking(0).unwrap_err()).0, "Closed");
    let again = open(&path);
    let table = again.table("notes".into(), "string".into(), "bytes".into()).unwrap();
    for key in [b"a", b"b", b"t"] {
        assert!(get(NOW, table.number(), key, |found| found.is_some()).unwrap());
    }
}

#[test]
fn files_that_another_process_has_are_waited_for_and_those_it_has_written_to_are_not_gone_on_with() {
    let folder = Folder::new();
    let path = folder.path("app.ldb");
    let database = open(&path);
    let table = database.table("notes".into(), "string".into(), "bytes".into()).unwrap();
    database.suspend_blocking().unwrap();
    let other = elsewhere(&path).unwrap();
    let (name, is_retryable) = name_of(database.resume_blocking(0).unwrap_err());
    assert_eq!((name.as_str(), is_retryable), ("Locked", true));
    assert!(put(NOW, table.number(), WriteMode::Put, b"a", b"1").unwrap_err().is_suspended());
    // It ends while this one waits.
    let waiting = Arc::clone(&database);
    let resumed = std::thread::spawn(move || waiting.resume_blocking(60_000));
    drop(other);
    resumed.join().unwrap().unwrap();
    put(NOW, table.number(), WriteMode::Put, b"a", b"1").unwrap();

    database.suspend_blocking().unwrap();
    let other = lightning_db::Database::open(&path, lightning_db::Options::default()).unwrap();
    other.transaction(|tx| tx.untyped_table("notes", "string", "bytes")?.put(b"b", b"2")).unwrap();
    drop(other);
    let refused = wait(database.resume(0, None)).unwrap_err();
    assert!(refused.to_string().contains("another process has written"), "{refused}");
    // Nobody is kept out, and whoever closes it and opens it again sees both.
    drop(elsewhere(&path).unwrap());
    assert_eq!(name_of(database.end_blocking().unwrap_err()).0, "Poisoned");
    let again = open(&path);
    let table = again.table("notes".into(), "string".into(), "bytes".into()).unwrap();
    for key in [b"a", b"b"] {
        assert!(get(NOW, table.number(), key, |found| found.is_some()).unwrap());
    }
}

#[test]
fn what_the_system_refuses_names_the_file_and_what_to_do() {
    let folder = Folder::new();
    let files = Files::open(&folder.path("app.ldb"), OpenMode::CREATE).unwrap();
    for (kind, name, what) in [
        (StorageErrorKind::Full, "StorageFull", "free some space"),
        (StorageErrorKind::PermissionDenied, "PermissionDenied", "check the permissions"),
        (StorageErrorKind::ProtectedData, "ProtectedDataUnavailable", "when its owner has unlocked it"),
    ] {
        let refused = StorageError::new(kind, FileId::Data, 0, 4096, "as the system says");
        let error = files.with::<()>((FileId::Data, 0, 4096), |_| Err(refused)).map_err(Error::from).unwrap_err();
        assert_eq!(error.name(), name);
        let text = error.to_string();
        assert!(text.contains("app.ldb") && text.contains("as the system says") && text.contains(what), "{text}");
    }
}

#[test]
fn a_suspended_database_is_closed_without_its_files() {
    let folder = Folder::new();
    let path = folder.path("app.ldb");
    let database = open(&path);
    let table = database.table("notes".into(), "string".into(), "bytes".into()).unwrap();
    put(NOW, table.number(), WriteMode::Put, b"a", b"1").unwrap();
    database.suspend_blocking().unwrap();
    let before = std::fs::read(&path).unwrap();
    database.end_blocking().unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), before);
    let again = open(&path);
    let table = again.table("notes".into(), "string".into(), "bytes".into()).unwrap();
    assert!(get(NOW, table.number(), b"a", |found| found.is_some()).unwrap());
}

struct Counted(AtomicU64);

impl Ready for Counted {
    fn ready(&self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

#[test]
fn live_results_and_feeds_go_on_where_they_were() {
    let folder = Folder::new();
    let options = OpenOptions { feed_retention_bytes: 1 << 20, ..OpenOptions::default() };
    let database = Database::open_blocking(folder.path("app.ldb"), options).unwrap();
    let person = |id: u64| Value::Map(vec![("id".into(), id.into())]).to_cbor().unwrap();
    let schema = Value::Map(vec![("key".into(), "id".into())]).to_cbor().unwrap();
    let people = database.collection_blocking("people".into(), Some(schema)).unwrap();
    let write = |id: u64| put(NOW, people.number(), WriteMode::Put, &[], &person(id)).map(drop);
    (0..10).for_each(|id| write(id).unwrap());
    let live = people.watch(Vec::new()).unwrap();
    assert_eq!(live.try_next().unwrap().unwrap().added.len(), 10);
    let feed = database.changes(FeedStart::Now).unwrap();
    write(10).unwrap();
    database.suspend_blocking().unwrap();
    database.trim_memory(TrimLevel::All).unwrap();
    assert_eq!(live.try_next().unwrap(), None);
    assert_eq!(live.wait_next(1).unwrap(), None);
    assert_eq!(feed.next().unwrap(), None, "it cannot be read now");
    assert!(!feed.wait(1).unwrap(), "so nobody asks again and again");
    let counted = Arc::new(Counted(AtomicU64::new(0)));
    live.on_ready(Arc::clone(&counted) as _).unwrap();
    database.resume_blocking(0).unwrap();
    assert_eq!(counted.0.load(Ordering::SeqCst), 1);
    assert_eq!(live.try_next().unwrap().unwrap().added.len(), 1);
    assert!(feed.wait(0).unwrap());
    let position = feed.position().unwrap();
    let commit = feed.next().unwrap().unwrap();
    assert_eq!(commit.changes.len(), 1);
    assert_ne!(feed.position().unwrap(), position);
    write(11).unwrap();
    assert_eq!(live.try_next().unwrap().unwrap().added.len(), 1);
    assert_eq!(feed.next().unwrap().unwrap().sequence, commit.sequence + 1);
}

#[test]
fn many_threads_go_on_over_many_suspensions_and_lose_nothing() {
    const THREADS: u64 = 3;
    const WRITES: u64 = 60;
    let folder = Folder::new();
    let path = folder.path("app.ldb");
    let database = open(&path);
    let table = database.table("notes".into(), "u64".into(), "u64".into()).unwrap();
    let cbor = |number: u64| Value::from(number).to_cbor().unwrap();
    let left = Arc::new(AtomicU64::new(THREADS));
    let threads: Vec<_> = (0..THREADS)
        .map(|thread| {
            let (table, left) = (Arc::clone(&table), Arc::clone(&left));
            std::thread::spawn(move || {
                for number in (thread..).step_by(THREADS as usize).take(WRITES as usize) {
                    loop {
                        match put(NOW, table.number(), WriteMode::Insert, &cbor(number), &cbor(number)) {
                            Ok(_) => break,
                            Err(error) => assert!(error.is_suspended(), "{error}"),
                        }
                        std::thread::yield_now();
                    }
                    match get(NOW, table.number(), &cbor(number), |found| found.is_some()) {
                        Ok(found) => assert!(found, "{number}"),
                        Err(error) => assert!(error.is_suspended(), "{error}"),
                    }
                }
                left.fetch_sub(1, Ordering::SeqCst);
            })
        })
        .collect();
    let mut rounds = 0;
    while left.load(Ordering::SeqCst) > 0 {
        database.suspend_blocking().unwrap();
        assert!(elsewhere(&path).is_ok());
        database.resume_blocking(1000).unwrap();
        rounds += 1;
    }
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    assert!(rounds > 0);
    assert_eq!(wait(database.verify(None)).unwrap().problems, Vec::<String>::new());
    assert_eq!(table.count(NOW, Default::default()).unwrap(), THREADS * WRITES);
}
