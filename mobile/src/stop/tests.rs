//! Calls that nobody waits for any more.

use std::future::Future;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::task::{Context, Poll, Waker};

use lightning_db::{Document, Value};

use super::*;
use crate::backup::{BackupListener, BackupProgress};
use crate::calls::{delete, get, next, put, query, scan};
use crate::database::Database;
use crate::options::OpenOptions;
use crate::scope::NOW;
use crate::scratch::{Folder, wait};
use crate::table::{KeyRange, WriteMode};
use crate::transaction::Isolation;

fn poll_once<F: Future>(call: F) -> Poll<F::Output> {
    pin!(call).poll(&mut Context::from_waker(Waker::noop()))
}

fn is_cancelled<R>(result: Result<R, Failure>) -> bool {
    matches!(result, Err(Failure::Engine { name, number: 31, .. }) if name == "Cancelled")
}

/// A call that has begun, what lets it go on, and what it is told then.
fn begun(stop: Option<Arc<Stop>>) -> (Unblocked<()>, mpsc::Sender<()>, mpsc::Receiver<Result<(), Error>>) {
    let (go, gone) = mpsc::channel::<()>();
    let (begin, begun) = mpsc::channel();
    let (tell, told) = mpsc::channel();
    let call = unblock(stop, move || {
        begin.send(()).unwrap();
        gone.recv().unwrap();
        tell.send(CoreStop::check()).unwrap();
        Ok(())
    });
    begun.recv().unwrap();
    (call, go, told)
}

#[test]
fn whoever_drops_a_call_does_not_wait_and_the_call_learns_of_it() {
    let (call, go, told) = begun(None);
    assert!(poll_once(call).is_pending());
    go.send(()).unwrap();
    assert_eq!(told.recv().unwrap(), Err(Error::Cancelled));
}

#[test]
fn a_call_that_is_stopped_before_anybody_waits_for_it_learns_of_it() {
    let stop = Stop::new();
    let (call, go, told) = begun(Some(Arc::clone(&stop)));
    stop.stop();
    go.send(()).unwrap();
    assert_eq!(told.recv().unwrap(), Err(Error::Cancelled));
    drop(call);
    assert!(locked(&stop.calls).by_number.is_empty(), "it is not kept");
}

#[test]
fn whoever_stops_a_call_has_its_answer_at_once_while_it_ends_by_itself() {
    let stop = Stop::new();
    let (call, go, told) = begun(Some(Arc::clone(&stop)));
    let other = std::thread::spawn(move || {
        stop.stop();
        stop
    });
    assert!(is_cancelled(wait(call)), "though it has not ended");
    go.send(()).unwrap();
    assert_eq!(told.recv().unwrap(), Err(Error::Cancelled));
    // Calls made later are not begun.
    let began = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&began);
    let stop = other.join().unwrap();
    let work = move || {
        seen.store(true, Ordering::SeqCst);
        Ok(())
    };
    assert!(is_cancelled(wait(unblock(Some(stop), work))));
    assert!(!is_cancelled(wait(unblock(None, || Ok(())))));
}

#[test]
fn what_must_be_done_is_done_though_nobody_waits() {
    let folder = Folder::new();
    let path = folder.path("app.ldb");
    let database = Database::open_blocking(path.clone(), OpenOptions::default()).unwrap();
    drop(poll_once(database.suspend()));
    while lightning_db::env::FileStorage::open(&path, lightning_db::env::OpenMode::EXISTING).is_err() {
        std::thread::yield_now();
    }
    database.resume_blocking(1000).unwrap();
    drop(poll_once(database.end()));
    while database.tables().is_ok() {
        std::thread::yield_now();
    }
}

struct StopsAtFirst(Arc<Stop>);

impl BackupListener for StopsAtFirst {
    fn on_progress(&self, _: BackupProgress) {
        self.0.stop();
    }
}

#[test]
fn a_backup_that_is_given_up_leaves_nothing_and_one_that_is_opened_for_nobody_is_closed() {
    let folder = Folder::new();
    let path = folder.path("app.ldb");
    let database = Database::open_blocking(path.clone(), OpenOptions::default()).unwrap();
    let table = database.table("notes".into(), "string".into(), "bytes".into()).unwrap();
    for number in 0..200 {
        put(NOW, table.number(), WriteMode::Put, format!("{number}").as_bytes(), &[7; 9000]).unwrap();
    }
    let stop = Stop::new();
    let listener = Arc::new(StopsAtFirst(Arc::clone(&stop)));
    assert!(is_cancelled(wait(database.backup(folder.path("copy.ldb"), Some(listener), Some(stop)))));
    // The thread that made it removes what it had, and the next is not in its way.
    while folder.0.join("copy.ldb-partial").exists() {
        std::thread::yield_now();
    }
    assert!(!folder.0.join("copy.ldb").exists());
    wait(database.backup(folder.path("copy.ldb"), None, None)).unwrap();
    database.end_blocking().unwrap();

    let begun = poll_once(Database::open(path.clone(), OpenOptions::default(), None));
    drop(begun);
    // Whether it was opened for a moment, or not at all: nobody has it.
    let options = lightning_db::Options::default();
    while lightning_db::Database::open(&path, options.clone()).is_err() {
        std::thread::yield_now();
    }
}

#[test]
fn calls_of_a_scope_end_and_nothing_of_their_writes_is_kept() {
    let database = Database::in_memory(OpenOptions::default()).unwrap();
    let schema = Value::Map(vec![("key".into(), "id".into())]).to_cbor().unwrap();
    let people = database.collection_blocking("people".into(), Some(schema)).unwrap();
    let person = |id: u64| Value::Map(vec![("id".into(), id.into())]).to_cbor().unwrap();
    let key = |id: u64| Value::from(id).to_cbor().unwrap();
    (0..300).for_each(|id| drop(put(NOW, people.number(), WriteMode::Put, &[], &person(id)).unwrap()));
    let table = database.table("notes".into(), "string".into(), "bytes".into()).unwrap();
    for note in ["a", "b", "c"] {
        put(NOW, table.number(), WriteMode::Put, note.as_bytes(), b"note").unwrap();
    }
    for in_transaction in [false, true] {
        let transaction = database.begin(Isolation::Serializable).unwrap();
        let inner = if in_transaction { transaction.number() } else { NOW };
        let scope = database.stoppable(inner).unwrap();
        assert!(get(scope, people.number(), &key(7), |found| found.is_some()).unwrap());
        put(scope, people.number(), WriteMode::Put, &[], &person(1000)).unwrap();
        let rows = query(scope, people.number(), &[], 64).unwrap();
        let entries = scan(scope, table.number(), &KeyRange::default(), false, u64::MAX, 1).unwrap();
        next(rows.cursor, 64).unwrap();
        database.stop_scope(scope).unwrap();
        let cancelled = [
            get(scope, people.number(), &key(7), |_| ()).unwrap_err(),
            put(scope, people.number(), WriteMode::Put, &[], &person(1001)).map(drop).unwrap_err(),
            delete(scope, people.number(), &key(1)).map(drop).unwrap_err(),
            next(rows.cursor, 64).map(drop).unwrap_err(),
            next(entries.cursor, 64).map(drop).unwrap_err(),
            query(scope, people.number(), &[], 64).map(drop).unwrap_err(),
        ];
        for error in cancelled {
            assert_eq!(error, Error::Cancelled);
        }
        assert!(is_cancelled(people.delete_where(scope, Vec::new())));
        // Others go on, the transaction itself as well.
        assert!(get(inner, people.number(), &key(1001), |found| found.is_none()).unwrap());
        assert!(get(inner, people.number(), &key(1), |found| found.is_some()).unwrap());
        drop(objects::remove(scope));
        assert_eq!(get(scope, people.number(), &key(7), |_| ()).unwrap_err(), Error::Closed);
        database.stop_scope(scope).unwrap();
        if in_transaction {
            transaction.commit_blocking().unwrap();
        }
    }
    assert_eq!(people.count(NOW, Vec::new()).unwrap(), 301);
    assert_eq!(stop(people.number()).unwrap_err().name(), "Invalid");
}
