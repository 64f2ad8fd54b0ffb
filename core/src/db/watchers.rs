//! Watching commits as they happen: what live results and waiting feeds stand on.

use alloc::sync::{Arc, Weak};

use super::database::Database;
use crate::engine::Engine;
pub(crate) use crate::engine::Watcher;

/// A watcher's registration; dropping it ends it. It does not keep the database open.
#[derive(Debug)]
pub(crate) struct WatchHandle {
    engine: Weak<Engine>,
    id: u64,
    after: u64,
}

impl WatchHandle {
    pub(super) fn new(engine: &Arc<Engine>, watcher: Arc<dyn Watcher>) -> Self {
        let (id, after) = engine.watch(watcher);
        Self { engine: Arc::downgrade(engine), id, after }
    }

    /// The newest commit that the watcher was not told of: it is told of every later one. It may not be visible yet.
    pub(crate) fn after(&self) -> u64 {
        self.after
    }
}

impl Drop for WatchHandle {
    fn drop(&mut self) {
        if let Some(engine) = self.engine.upgrade() {
            engine.unwatch(self.id);
        }
    }
}

impl Database {
    /// Tells `watcher` of every commit from now on, with the operations of all tables.
    ///
    /// To follow a state without a gap: watch first, then take snapshots until one has reached [`WatchHandle::after`], and
    /// apply to it the commits told that are newer than that snapshot's sequence.
    pub(crate) fn watch_commits(&self, watcher: Arc<dyn Watcher>) -> WatchHandle {
        WatchHandle::new(&self.shared.engine, watcher)
    }
}

#[cfg(all(test, feature = "std"))]
mod tests {
    use alloc::format;
    use alloc::string::String;
    use alloc::vec;
    use alloc::vec::Vec;
    use std::sync::Mutex;

    use super::*;
    use crate::db::{Isolation, Options};
    use crate::engine::{Durability, Environment};
    use crate::env::{Failing, FixedClock, SeededEntropy, Storage};
    use crate::error::Error;
    use crate::log::{Operation, Operations};
    use crate::table::Table;

    const T: Table<&str, &str> = Table::new("t");

    /// Writes down all it is told.
    #[derive(Default)]
    struct Told(Mutex<Vec<String>>);

    impl Told {
        fn take(&self) -> Vec<String> {
            core::mem::take(&mut *self.0.lock().unwrap())
        }
        fn note(&self, what: String) {
            self.0.lock().unwrap().push(what);
        }
    }

    impl Watcher for Told {
        fn committed(&self, sequence: u64, operations: Operations<'_>) {
            let mut kinds = String::new();
            for operation in operations {
                kinds += match operation.unwrap() {
                    Operation::Put { .. } => " put",
                    Operation::PutExtent { .. } => " extent",
                    Operation::Delete { .. } => " delete",
                    Operation::DeleteRange { .. } => " range",
                };
            }
            self.note(format!("{sequence}:{kinds}"));
        }
        fn published(&self, sequence: u64) {
            self.note(format!("{sequence} is visible"));
        }
        fn stopped(&self, why: &Error) {
            self.note(String::from(why.name()));
        }
    }

    fn open(durability: Durability) -> (Arc<Failing>, Database) {
        let storage = Arc::new(Failing::default());
        let env = Environment { clock: Arc::new(FixedClock(1000)), entropy: Arc::new(SeededEntropy::new(7)) };
        let options = Options { background_thread: false, durability, ..Options::default() };
        let db = Database::open_storage(Arc::clone(&storage) as Arc<dyn Storage>, env, options).unwrap();
        db.transaction(|tx| tx.table(T).map(drop)).unwrap();
        (storage, db)
    }

    #[test]
    fn every_way_to_commit_is_told_in_order_until_the_handle_is_dropped() {
        let (_, db) = open(Durability::Sync);
        let told = Arc::new(Told::default());
        let handle = db.watch_commits(Arc::clone(&told) as Arc<dyn Watcher>);
        assert_eq!(handle.after(), 1);
        let table = db.table(T).unwrap();
        table.put("a", "1").unwrap();
        table.delete("a").unwrap();
        table.delete_range("a".."c").unwrap();
        db.transaction(|tx| {
            tx.table(T)?.put("a", "1")?;
            tx.table(T)?.put("b", "2").map(drop)
        })
        .unwrap();
        let mut interactive = db.begin(Isolation::Serializable);
        interactive.table(T).unwrap().delete("b").unwrap();
        interactive.commit().unwrap();
        let expected = [
            "2: put",
            "2 is visible",
            "3: delete",
            "3 is visible",
            "4: range",
            "4 is visible",
            "5: put put",
            "5 is visible",
            "6: delete",
            "6 is visible",
        ];
        assert_eq!(told.take(), expected);
        // What changes nothing is no commit.
        db.transaction(|tx| tx.table(T)?.get("a").map(drop)).unwrap();
        drop(handle);
        table.put("c", "3").unwrap();
        assert_eq!(told.take(), Vec::<String>::new());
    }

    #[test]
    fn a_commit_is_published_when_snapshots_see_it() {
        let (_, db) = open(Durability::Relaxed);
        let told = Arc::new(Told::default());
        let _handle = db.watch_commits(Arc::clone(&told) as Arc<dyn Watcher>);
        db.table(T).unwrap().put("a", "1").unwrap();
        assert_eq!(told.take(), ["2: put", "2 is visible"]);
        db.checkpoint().unwrap();
        assert!(told.take().iter().all(|told| told == "2 is visible"), "a merge is no commit");
        db.close().unwrap();
        assert_eq!(told.take(), ["Closed"]);
        let late = Arc::new(Told::default());
        let _late = db.watch_commits(Arc::clone(&late) as Arc<dyn Watcher>);
        assert_eq!(late.take(), ["Closed"]);
    }

    #[test]
    fn a_failed_sync_tells_everyone_that_what_was_committed_is_not_published() {
        let (storage, db) = open(Durability::Sync);
        let told = [(); 2].map(|()| Arc::new(Told::default()));
        let _handles = [0, 1].map(|at| db.watch_commits(Arc::clone(&told[at]) as Arc<dyn Watcher>));
        *storage.syncs.lock().unwrap() = true;
        assert!(matches!(db.table(T).unwrap().put("a", "1"), Err(Error::OutcomeUnknown { .. })));
        for told in told {
            assert_eq!(told.take(), vec!["2: put", "Poisoned"]);
        }
    }
}
