//! Watching single tables: each commit's operations are taken apart once, for all who watch some table.
//!
//! A commit costs a lock, and a look-up for each of its tables; what it says is passed on only to those who watch that table.

use alloc::string::String;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;

use super::catalogue::Catalogue;
use super::database::Database;
use super::snapshot::Snapshot;
use super::watchers::{WatchHandle, Watcher};
use crate::engine::Engine;
use crate::env::sync::atomic::{AtomicBool, Ordering};
use crate::env::sync::{MaybeSendSync, Mutex};
use crate::error::{Error, Result};
use crate::hashing::HashMap;
use crate::limit::Limit;
use crate::log::{Operation, Operations};
use crate::table::KeyBuffer;
use crate::table::catalogue::entry_name;
use crate::table::prefix::{CATALOGUE, encode_prefix, end_of, split};

/// What a commit touched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Touched<'a> {
    /// This key of the table: it has this now.
    Key(&'a [u8], Written<'a>),
    /// Any of its keys.
    Table,
    /// Its definition.
    Definition,
}

/// What a commit left under a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Written<'a> {
    /// This value.
    Value(&'a [u8]),
    /// A value that is not at hand.
    Elsewhere,
    /// Nothing.
    Nothing,
}

/// Is told of the commits that touch one table. As a [`Watcher`] it takes note and returns, and writes nothing.
pub(crate) trait TableWatcher: MaybeSendSync {
    /// Commit `sequence` touched it; perhaps nobody sees it yet. In the order of sequences; perhaps more than once. Gives whether it
    /// is to be told when the commit is published; it may ask for that later, with [`TableWatch::expect`].
    fn touched(&self, sequence: u64, what: Touched<'_>) -> bool;

    /// Snapshots now see every commit up to `sequence`. Gives whether it was touched by one that they do not see yet.
    fn published(&self, sequence: u64) -> bool;

    /// What could not be read while the database was suspended can be read again.
    #[cfg(feature = "std")]
    fn resumed(&self) {}

    /// Nothing will be committed any more.
    fn stopped(&self, why: &Error);
}

/// The tables of one database that are watched.
#[derive(Default)]
pub(crate) struct WatchedTables {
    state: Mutex<State>,
    /// Something was touched of which it was not told that it is published.
    is_touched: AtomicBool,
}

#[derive(Default)]
struct State {
    tables: HashMap<u64, Vec<Watch>>,
    /// The bytes that keys of these tables, and of the catalogue, begin with.
    first_bytes: [u64; 4],
    count: usize,
    next_id: u64,
    /// Every commit up to this was told to those who watched then.
    told: u64,
    /// There while anything is watched.
    commits: Option<WatchHandle>,
    /// Counts what sets `is_touched`.
    touches: usize,
    stopped: Option<Error>,
}

struct Watch {
    id: u64,
    /// The table's name.
    name: String,
    watcher: Arc<dyn TableWatcher>,
}

/// A registration; dropping it ends it.
pub(crate) struct TableWatch {
    watched: Arc<WatchedTables>,
    table: u64,
    id: u64,
}

/// What there is of a database for those who do not keep it open.
pub(crate) struct WeakDatabase {
    engine: Weak<Engine>,
    catalogue: Arc<Catalogue>,
    watched: Arc<WatchedTables>,
}

impl WeakDatabase {
    /// The database as it is now, with every commit in it told to those who watch; `None` when nothing of it is there any more.
    ///
    /// It is no handle: whoever drops the last one meanwhile closes the database, and not who asks for this.
    pub(crate) fn snapshot_told(&self) -> Option<Snapshot> {
        let engine = self.engine.upgrade()?;
        let snapshot = Snapshot {
            version: engine.version(),
            catalogue: Arc::clone(&self.catalogue),
            now_ms: Mutex::new(None),
            engine,
        };
        let told = self.watched.state.lock().told;
        if told < snapshot.sequence() {
            // It is told before the writer lock is given back.
            drop(snapshot.engine.head());
        }
        Some(snapshot)
    }
}

impl Database {
    pub(crate) fn downgrade(&self) -> WeakDatabase {
        WeakDatabase {
            engine: Arc::downgrade(&self.shared.engine),
            catalogue: Arc::clone(&self.shared.catalogue),
            watched: Arc::clone(&self.shared.watched),
        }
    }

    /// An error where as many live results are followed as the limits allow.
    pub(crate) fn require_room_for_watch(&self) -> Result<()> {
        let allowed = self.shared.engine.options.limits.watches_max;
        let used = self.shared.watched.state.lock().count;
        if used >= allowed {
            let (allowed, used) = (allowed as u64, used as u64);
            return Err(Error::LimitReached { limit: Limit::Watches, allowed, used });
        }
        Ok(())
    }

    /// Tells `watcher` of every commit from now on that touches table `table`, of this name. It is told first that the whole
    /// table was touched, by the newest commit that it was not told of: that one may not be visible yet.
    pub(crate) fn watch_table(&self, table: u64, name: &str, watcher: Arc<dyn TableWatcher>) -> TableWatch {
        let watched = &self.shared.watched;
        let (id, is_first, stopped) = {
            let mut state = watched.state.lock();
            let id = state.next_id;
            state.next_id += 1;
            state.count += 1;
            let watch = Watch { id, name: String::from(name), watcher: Arc::clone(&watcher) };
            state.tables.entry(table).or_default().push(watch);
            state.note_first_bytes();
            watcher.touched(state.told, Touched::Table);
            (id, state.commits.is_none(), state.stopped.clone())
        };
        if is_first {
            // Not under the lock, which commits take too. Two at once are told everything twice for a moment.
            let commits = self.watch_commits(Arc::clone(watched) as Arc<dyn Watcher>);
            let mut state = watched.state.lock();
            state.told = state.told.max(commits.after());
            watcher.touched(commits.after(), Touched::Table);
            let unneeded = if state.commits.is_none() { state.commits.replace(commits) } else { Some(commits) };
            drop(state);
            drop(unneeded);
        }
        if let Some(why) = stopped {
            watcher.stopped(&why);
        }
        watched.expect();
        TableWatch { watched: Arc::clone(watched), table, id }
    }
}

impl Drop for TableWatch {
    fn drop(&mut self) {
        let mut state = self.watched.state.lock();
        let mut removed = None;
        if let Some(watches) = state.tables.get_mut(&self.table)
            && let Some(at) = watches.iter().position(|watch| watch.id == self.id)
        {
            removed = Some(watches.swap_remove(at));
            if watches.is_empty() {
                state.tables.remove(&self.table);
                state.note_first_bytes();
            }
            state.count -= 1;
        }
        let commits = if state.count == 0 { state.commits.take() } else { None };
        drop(state);
        // What they hold may have an end of its own.
        drop((commits, removed));
    }
}

impl TableWatch {
    /// The watcher is to be told of what is published from now on.
    pub(crate) fn expect(&self) {
        self.watched.expect();
    }
}

impl WatchedTables {
    fn expect(&self) {
        let mut state = self.state.lock();
        state.touches = state.touches.wrapping_add(1);
        self.is_touched.store(true, Ordering::Relaxed);
    }
}

impl State {
    fn note_first_bytes(&mut self) {
        self.first_bytes = [0; 4];
        for table in self.tables.keys().copied().chain([CATALOGUE]) {
            let mut prefix = KeyBuffer::new();
            encode_prefix(table, &mut prefix);
            let first = prefix.first().copied().unwrap_or_default();
            if let Some(bits) = self.first_bytes.get_mut(usize::from(first / 64)) {
                *bits |= 1 << (first % 64);
            }
        }
    }

    /// Whether a key may be one of these tables or of the catalogue.
    #[inline]
    fn may_hold(&self, key: &[u8]) -> bool {
        let Some(&first) = key.first() else { return false };
        self.first_bytes.get(usize::from(first / 64)).is_some_and(|bits| bits >> (first % 64) & 1 == 1)
    }

    fn all(&self) -> impl Iterator<Item = (u64, &Watch)> {
        self.tables.iter().flat_map(|(table, watches)| watches.iter().map(|watch| (*table, watch)))
    }

    /// Passes on what touches single keys of the catalogue; whether anybody wants to be told of its publication.
    fn definition(&self, sequence: u64, key: &[u8]) -> bool {
        let Some(name) = entry_name(key) else { return false };
        let mut any = false;
        for (_, watch) in self.all().filter(|(_, watch)| watch.name == name) {
            any |= watch.watcher.touched(sequence, Touched::Definition);
        }
        any
    }

    /// Passes on that a range of the key space is gone; as [`definition`](Self::definition).
    fn range(&self, sequence: u64, start: &[u8], end: Option<&[u8]>) -> bool {
        let mut any = false;
        for (table, watch) in self.all() {
            let mut first = KeyBuffer::new();
            encode_prefix(table, &mut first);
            if start < end_of(table).as_slice() && end.is_none_or(|end| end > first.as_slice()) {
                any |= watch.watcher.touched(sequence, Touched::Table);
            }
        }
        any
    }
}

impl Watcher for WatchedTables {
    fn committed(&self, sequence: u64, operations: Operations<'_>) {
        let mut state = self.state.lock();
        state.told = sequence;
        let mut any = false;
        // The table of the last key, and who watches it.
        let mut last: Option<(u64, &[Watch])> = None;
        for operation in operations {
            let (key, written) = match operation {
                Ok(Operation::Put { key, value }) => (key, Written::Value(value)),
                Ok(Operation::PutExtent { key, .. }) => (key, Written::Elsewhere),
                Ok(Operation::Delete { key }) => (key, Written::Nothing),
                Ok(Operation::DeleteRange { start, end }) => {
                    any |= state.range(sequence, start, end);
                    continue;
                }
                // Not what was written, so it may be anything.
                Err(_) => {
                    any |= state.range(sequence, &[], None);
                    break;
                }
            };
            if !state.may_hold(key) {
                continue;
            }
            let Some((table, record)) = split(key) else { continue };
            if table == CATALOGUE {
                any |= state.definition(sequence, key);
                continue;
            }
            let watches = match last {
                Some((of, watches)) if of == table => watches,
                _ => state.tables.get(&table).map(Vec::as_slice).unwrap_or_default(),
            };
            last = Some((table, watches));
            for watch in watches {
                any |= watch.watcher.touched(sequence, Touched::Key(record, written));
            }
        }
        if any {
            state.touches = state.touches.wrapping_add(1);
            self.is_touched.store(true, Ordering::Relaxed);
        }
    }

    fn published(&self, sequence: u64) {
        if !self.is_touched.load(Ordering::Relaxed) {
            return;
        }
        let (watchers, touches) = {
            let state = self.state.lock();
            let watchers: Vec<_> = state.all().map(|(_, watch)| Arc::clone(&watch.watcher)).collect();
            (watchers, state.touches)
        };
        let is_waiting = watchers.iter().fold(false, |waiting, watcher| watcher.published(sequence) | waiting);
        // Until nobody waits for another: whoever publishes at the same time must not pass by.
        let state = self.state.lock();
        if !is_waiting && state.touches == touches {
            self.is_touched.store(false, Ordering::Relaxed);
        }
    }

    #[cfg(feature = "std")]
    fn resumed(&self) {
        let watchers: Vec<_> = self.state.lock().all().map(|(_, watch)| Arc::clone(&watch.watcher)).collect();
        watchers.iter().for_each(|watcher| watcher.resumed());
    }

    fn stopped(&self, why: &Error) {
        let watchers: Vec<Arc<dyn TableWatcher>> = {
            let mut state = self.state.lock();
            state.stopped = Some(why.clone());
            state.all().map(|(_, watch)| Arc::clone(&watch.watcher)).collect()
        };
        watchers.iter().for_each(|watcher| watcher.stopped(why));
    }
}

#[cfg(all(test, feature = "std"))]
mod tests {
    use alloc::format;
    use alloc::vec;
    use std::sync::Mutex;

    use super::*;
    use crate::db::Options;
    use crate::engine::Environment;
    use crate::env::{FixedClock, MemoryStorage, SeededEntropy};
    use crate::log::{OperationWriter, Preamble};
    use crate::table::catalogue::entry_key;

    fn database() -> Database {
        let env = Environment { clock: Arc::new(FixedClock(1000)), entropy: Arc::new(SeededEntropy::new(7)) };
        let options = Options { background_thread: false, ..Options::default() };
        Database::open_storage(Arc::new(MemoryStorage::default()), env, options).unwrap()
    }

    /// Writes down all it is told; tells `then` what is published.
    #[derive(Default)]
    struct Told {
        notes: Mutex<Vec<String>>,
        last: Mutex<u64>,
        then: Option<fn(&WatchedTables, u64)>,
        watched: Option<Arc<WatchedTables>>,
    }

    impl Told {
        fn take(&self) -> Vec<String> {
            core::mem::take(&mut *self.notes.lock().unwrap())
        }
    }

    impl TableWatcher for Told {
        fn touched(&self, sequence: u64, what: Touched<'_>) -> bool {
            *self.last.lock().unwrap() = sequence;
            let what = match what {
                Touched::Key(key, Written::Value(value)) => {
                    format!("{}={}", key.escape_ascii(), value.escape_ascii())
                }
                Touched::Key(key, Written::Nothing) => format!("{}", key.escape_ascii()),
                Touched::Key(key, Written::Elsewhere) => format!("{}=?", key.escape_ascii()),
                Touched::Table => String::from("all"),
                Touched::Definition => String::from("definition"),
            };
            self.notes.lock().unwrap().push(format!("{sequence} {what}"));
            true
        }
        fn published(&self, sequence: u64) -> bool {
            self.notes.lock().unwrap().push(format!("{sequence} is visible"));
            if let (Some(then), Some(watched)) = (self.then, &self.watched) {
                then(watched, sequence);
            }
            *self.last.lock().unwrap() > sequence
        }
        fn stopped(&self, why: &Error) {
            self.notes.lock().unwrap().push(String::from(why.name()));
        }
    }

    fn key(table: u64, key: &[u8]) -> KeyBuffer {
        let mut whole = KeyBuffer::new();
        encode_prefix(table, &mut whole);
        whole.extend(key);
        whole
    }

    fn commit(watched: &WatchedTables, sequence: u64, write: impl FnOnce(&mut OperationWriter<'_>)) {
        let mut payload = Vec::new();
        write(&mut OperationWriter::begin(&mut payload, Preamble::at(1)));
        let (_, operations) = Preamble::split(&payload).unwrap();
        watched.committed(sequence, Operations::new(operations, sequence, 0));
    }

    #[test]
    fn each_is_told_of_its_own_table_alone() {
        let database = database();
        let [a, b] = [(); 2].map(|()| Arc::new(Told::default()));
        let of_a = database.watch_table(300, "a", Arc::clone(&a) as Arc<dyn TableWatcher>);
        let of_b = database.watch_table(301, "b", Arc::clone(&b) as Arc<dyn TableWatcher>);
        let watched = &database.shared.watched;
        a.take();
        b.take();
        commit(watched, 5, |writer| {
            writer.put(&key(300, b"x"), b"1");
            writer.delete(&key(300, b"y"));
            writer.put(&key(299, b"z"), b"1");
        });
        assert_eq!((a.take(), b.take()), (vec!["5 x=1".into(), "5 y".into()], vec![]));
        commit(watched, 6, |writer| {
            writer.delete_range(&key(299, b""), Some(&key(300, b"")));
            writer.delete_range(&key(301, b"q"), Some(&key(302, b"")));
            writer.delete(&entry_key("a"));
            writer.put(&entry_key("c"), b"");
        });
        assert_eq!((a.take(), b.take()), (vec!["6 definition".into()], vec!["6 all".into()]));
        commit(watched, 7, |writer| writer.delete_range(&key(2, b""), None));
        assert_eq!((a.take(), b.take()), (vec!["7 all".into()], vec!["7 all".into()]));
        drop(of_b);
        commit(watched, 8, |writer| writer.put(&key(301, b"x"), b"1"));
        assert_eq!(b.take(), Vec::<String>::new());
        watched.stopped(&Error::Closed);
        assert_eq!(a.take(), ["Closed"]);
        drop(of_a);
        assert!(watched.state.lock().commits.is_none(), "nobody watches any more");
    }

    #[test]
    fn who_asks_does_not_keep_the_database_open() {
        let database = database();
        let weak = database.downgrade();
        let asking = weak.snapshot_told().unwrap();
        drop(database);
        assert!(matches!(asking.engine.why_stopped(), Some(Error::Closed)), "by whoever dropped the last handle");
        drop(asking);
        assert!(weak.snapshot_told().is_none());
    }

    #[test]
    fn what_is_published_by_another_thread_meanwhile_is_told() {
        let database = database();
        let watched = &database.shared.watched;
        // While one thread tells that 5 is visible another one tells that 7 is.
        let then: fn(&WatchedTables, u64) = |watched, sequence| {
            if sequence == 5 {
                watched.published(7);
            }
        };
        let other = Told { then: Some(then), watched: Some(Arc::clone(watched)), ..Told::default() };
        let a = Arc::new(Told::default());
        let _a = database.watch_table(300, "a", Arc::clone(&a) as Arc<dyn TableWatcher>);
        let _other = database.watch_table(301, "b", Arc::new(other));
        commit(watched, 5, |writer| writer.put(&key(300, b"x"), b"1"));
        commit(watched, 7, |writer| writer.put(&key(300, b"x"), b"1"));
        a.take();
        watched.published(5);
        assert!(a.take().contains(&"7 is visible".into()));
        watched.published(7);
        a.take();
        watched.published(8);
        assert_eq!(a.take(), Vec::<String>::new(), "nothing was touched since");
    }
}
