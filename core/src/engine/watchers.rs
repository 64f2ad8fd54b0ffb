//! Who is told of commits: live results and waiting change feeds.
//!
//! A commit that nobody watches pays one relaxed load. The list of watchers is handed out whole, so that none of them is
//! called under its lock.

use alloc::sync::Arc;
use alloc::vec::Vec;

use super::state::{Engine, Stopped};
use crate::env::sync::atomic::{AtomicUsize, Ordering};
use crate::env::sync::{MaybeSendSync, Mutex};
use crate::error::Error;
use crate::log::Operations;

/// Is told of every commit, in order.
///
/// It is called with locks of the engine held, by the thread that commits or syncs: it takes note and returns. It may take a
/// snapshot when it is told what was published, and must not write, sync or step in any call.
pub(crate) trait Watcher: MaybeSendSync {
    /// Commit `sequence` was logged and applied; nobody sees it yet, or everybody will in a moment. In the order of sequences,
    /// none left out.
    fn committed(&self, sequence: u64, operations: Operations<'_>);

    /// Snapshots now see every commit up to `sequence`. Two threads may tell so at the same time, in either order.
    fn published(&self, sequence: u64);

    /// What could not be read while the database was suspended can be read again.
    #[cfg(feature = "std")]
    fn resumed(&self) {}

    /// Nothing will be committed any more, and what was not published never will be. May be told more than once.
    fn stopped(&self, why: &Error);
}

/// The watchers of one engine: one for the live results of all tables together, and one for each change feed, for as long as
/// its reader waits in a call. So there are no more than threads, and they have no limit of their own.
#[derive(Default)]
pub(super) struct Watchers {
    /// How many there are: changed under the writer lock when one comes, so whoever holds that lock knows.
    count: AtomicUsize,
    list: Mutex<List>,
}

#[derive(Default)]
struct List {
    next_id: u64,
    watchers: Arc<Vec<(u64, Arc<dyn Watcher>)>>,
}

/// The watchers there were at one moment: fetched once for a commit, since fetching them is most of what a commit pays for those
/// who watch something else.
pub(super) struct Listed(Arc<Vec<(u64, Arc<dyn Watcher>)>>);

impl Listed {
    pub(super) fn committed(&self, sequence: u64, operations: Operations<'_>) {
        for watcher in self.each() {
            watcher.committed(sequence, operations.clone());
        }
    }

    pub(super) fn published(&self, sequence: u64) {
        for watcher in self.each() {
            watcher.published(sequence);
        }
    }

    fn each(&self) -> impl Iterator<Item = &dyn Watcher> {
        self.0.iter().map(|(_, watcher)| &**watcher)
    }
}

impl core::fmt::Debug for Watchers {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Watchers").field("count", &self.count).finish_non_exhaustive()
    }
}

impl Watchers {
    /// Whether there is anyone. The caller holds the writer lock, or does not mind to miss who comes just now.
    #[inline]
    pub(super) fn any(&self) -> bool {
        self.count.load(Ordering::Relaxed) != 0
    }

    /// Who is told of what happens now.
    #[cold]
    pub(super) fn listed(&self) -> Listed {
        Listed(Arc::clone(&self.list.lock().watchers))
    }

    #[cfg(feature = "std")]
    pub(super) fn resumed(&self) {
        for watcher in self.listed().each() {
            watcher.resumed();
        }
    }

    pub(super) fn stopped(&self, why: &Error) {
        for watcher in self.listed().each() {
            watcher.stopped(why);
        }
    }

    fn add(&self, watcher: Arc<dyn Watcher>) -> u64 {
        let mut list = self.list.lock();
        let id = list.next_id;
        list.next_id += 1;
        Arc::make_mut(&mut list.watchers).push((id, watcher));
        self.count.fetch_add(1, Ordering::Relaxed);
        id
    }

    fn remove(&self, id: u64) {
        let mut list = self.list.lock();
        let mut removed = None;
        let watchers = Arc::make_mut(&mut list.watchers);
        if let Some(at) = watchers.iter().position(|(listed, _)| *listed == id) {
            removed = Some(watchers.swap_remove(at));
            self.count.fetch_sub(1, Ordering::Relaxed);
        }
        drop(list);
        // Its own end may unregister others.
        drop(removed);
    }
}

impl Engine {
    /// From now on `watcher` is told of every commit; gives its id, and the newest commit that it is not told of.
    pub(crate) fn watch(&self, watcher: Arc<dyn Watcher>) -> (u64, u64) {
        let writer = self.writer.lock();
        let id = self.watchers.add(Arc::clone(&watcher));
        let after = writer.appended;
        let stopped = match &writer.stopped {
            Some(stopped @ (Stopped::Closed | Stopped::Poisoned(_))) => Some(stopped.error()),
            #[cfg(feature = "std")]
            Some(stopped @ Stopped::ShutDown) => Some(stopped.error()),
            // Closing may fail; and nobody waits for commits where none is ever made.
            Some(Stopped::Closing | Stopped::ReadOnly) | None => None,
            #[cfg(feature = "std")]
            Some(Stopped::Suspended) => None,
        };
        drop(writer);
        if let Some(why) = stopped {
            watcher.stopped(&why);
        }
        (id, after)
    }

    /// It is told nothing any more, but for what is being told at this moment.
    pub(crate) fn unwatch(&self, id: u64) {
        self.watchers.remove(id);
    }
}
