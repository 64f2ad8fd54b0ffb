//! Watching single tables: each commit's operations are taken apart once, for all who watch some table.
//!
//! A commit costs a lock, and a look-up for each of its tables; what it says is passed on only to those who watch that table.

use alloc::string::String;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;

use hashbrown::HashMap;

use super::database::{Database, Shared};
use super::snapshot::Snapshot;
use super::watchers::{WatchHandle, Watcher};
use crate::env::sync::atomic::{AtomicBool, Ordering};
use crate::env::sync::{MaybeSendSync, Mutex};
use crate::error::Error;
use crate::log::{Operation, Operations};
use crate::table::KeyBuffer;
use crate::table::catalogue::entry_name;
use crate::table::prefix::{CATALOGUE, encode_prefix, end_of, split};

/// What a commit touched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Touched<'a> {
    /// This key of the table.
    Key(&'a [u8]),
    /// Any of its keys.
    Table,
    /// Its definition.
    Definition,
}

/// Is told of the commits that touch one table. As a [`Watcher`] it takes note and returns, and writes nothing.
pub(crate) trait TableWatcher: MaybeSendSync {
    /// Commit `sequence` touched it; perhaps nobody sees it yet. In the order of sequences; perhaps more than once.
    fn touched(&self, sequence: u64, what: Touched<'_>);

    /// Snapshots now see every commit up to `sequence`. Gives whether it was touched by one that they do not see yet.
    fn published(&self, sequence: u64) -> bool;

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
    count: usize,
    next_id: u64,
    /// Every commit up to this was told to those who watched then.
    told: u64,
    /// There while anything is watched.
    commits: Option<WatchHandle>,
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

/// A handle that does not keep the database open.
pub(crate) struct WeakDatabase(Weak<Shared>);

impl WeakDatabase {
    pub(crate) fn upgrade(&self) -> Option<Database> {
        self.0.upgrade().map(|shared| Database { shared })
    }
}

impl Database {
    pub(crate) fn downgrade(&self) -> WeakDatabase {
        WeakDatabase(Arc::downgrade(&self.shared))
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
        watched.is_touched.store(true, Ordering::Relaxed);
        TableWatch { watched: Arc::clone(watched), table, id }
    }

    /// The database as it is now, with every commit in it told to those who watch.
    pub(crate) fn snapshot_told(&self) -> Snapshot {
        let snapshot = self.snapshot();
        let told = self.shared.watched.state.lock().told;
        if told < snapshot.sequence() {
            // It is told before the writer lock is given back.
            drop(self.shared.engine.head());
        }
        snapshot
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
            }
            state.count -= 1;
        }
        let commits = if state.count == 0 { state.commits.take() } else { None };
        drop(state);
        // What they hold may have an end of its own.
        drop((commits, removed));
    }
}

impl State {
    fn all(&self) -> impl Iterator<Item = (u64, &Watch)> {
        self.tables.iter().flat_map(|(table, watches)| watches.iter().map(|watch| (*table, watch)))
    }

    /// Passes on what touches single keys of the catalogue; whether it is anybody's.
    fn definition(&self, sequence: u64, key: &[u8]) -> bool {
        let Some(name) = entry_name(key) else { return false };
        let mut any = false;
        for (_, watch) in self.all().filter(|(_, watch)| watch.name == name) {
            watch.watcher.touched(sequence, Touched::Definition);
            any = true;
        }
        any
    }

    /// Passes on that a range of the key space is gone.
    fn range(&self, sequence: u64, start: &[u8], end: Option<&[u8]>) -> bool {
        let mut any = false;
        for (table, watch) in self.all() {
            let mut first = KeyBuffer::new();
            encode_prefix(table, &mut first);
            if start < end_of(table).as_slice() && end.is_none_or(|end| end > first.as_slice()) {
                watch.watcher.touched(sequence, Touched::Table);
                any = true;
            }
        }
        any
    }
}

impl Watcher for WatchedTables {
    fn committed(&self, sequence: u64, operations: Operations<'_>) {
        let mut state = self.state.lock();
        state.told = sequence;
        let (mut any, mut last): (bool, Option<(u64, Option<&Vec<Watch>>)>) = (false, None);
        for operation in operations {
            let key = match operation {
                Ok(Operation::Put { key, .. } | Operation::PutExtent { key, .. } | Operation::Delete { key }) => key,
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
            let Some((table, record)) = split(key) else { continue };
            if table == CATALOGUE {
                any |= state.definition(sequence, key);
                continue;
            }
            let watches = match last {
                Some((of, watches)) if of == table => watches,
                _ => state.tables.get(&table),
            };
            last = Some((table, watches));
            for watch in watches.into_iter().flatten() {
                watch.watcher.touched(sequence, Touched::Key(record));
                any = true;
            }
        }
        if any {
            self.is_touched.store(true, Ordering::Relaxed);
        }
    }

    fn published(&self, sequence: u64) {
        if !self.is_touched.load(Ordering::Relaxed) {
            return;
        }
        let watchers: Vec<Arc<dyn TableWatcher>> = {
            let state = self.state.lock();
            self.is_touched.store(false, Ordering::Relaxed);
            state.all().map(|(_, watch)| Arc::clone(&watch.watcher)).collect()
        };
        let waiting = watchers.iter().fold(false, |waiting, watcher| watcher.published(sequence) | waiting);
        if waiting {
            self.is_touched.store(true, Ordering::Relaxed);
        }
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
