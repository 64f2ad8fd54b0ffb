//! Row locks and the wait-for graph that finds deadlocks.
//!
//! A transaction that waits is an edge to the one it waits for: the owner of a row, or the holder of the writer lock.
//! Before anyone waits, the edges are followed; a circle is broken at once by refusing one of its interactive
//! transactions. The closure form of a transaction holds the writer lock and is never the victim: every circle through it
//! goes through an interactive one too, because there is only one writer lock.
//!
//! **Who holds a row beyond its time has lost it:** whoever wants the row then takes away all that transaction has locked, idle
//! as it is, and its commit is refused.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;
use std::vec::Vec;

use crate::env::Clock;
use crate::env::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use crate::env::sync::{Condvar, Mutex, MutexGuard};
use crate::error::{Error, Result};
use crate::testing::Mutant;

/// Rows one transaction may lock. Transactions that may are as many as [`transactions_max`](crate::Limits::transactions_max), and
/// one that holds the writer lock.
const ROWS_MAX: usize = 1 << 20;
/// A waiter for the writer lock looks this often whether it has become a victim; the lock's own holder does not know of
/// the graph, so that taking it costs others nothing.
const WRITER_POLL: Duration = Duration::from_millis(2);

/// One transaction in the graph.
pub(super) type Party = u32;

/// When a transaction is ended, by the monotonic clock, and what its limit is in milliseconds.
pub(super) type Deadline = (u64, u64);

/// Says in the graph, while it lives, that a closure holds the writer lock.
pub(super) struct WriterParty<'a>(&'a RowLocks);

impl<'a> WriterParty<'a> {
    pub(super) fn new(locks: &'a RowLocks, party: Party) -> Self {
        locks.set_writer(Some(party));
        Self(locks)
    }
}

impl Drop for WriterParty<'_> {
    fn drop(&mut self) {
        self.0.set_writer(None);
    }
}

/// All row locks of one database.
pub(super) struct RowLocks {
    clock: Arc<dyn Clock>,
    graph: Mutex<Graph>,
    changed: Condvar,
    next: AtomicU32,
    /// Rows locked by anyone: while it is 0, writers need not look.
    held: AtomicUsize,
}

#[derive(Debug, Default)]
struct Graph {
    owner: HashMap<Vec<u8>, Party>,
    locked: HashMap<Party, Locked>,
    waits: HashMap<Party, Wait>,
    /// The party that holds the writer lock in a closure.
    writer: Option<Party>,
    /// Waiters that must give up.
    victims: HashSet<Party>,
}

/// What one transaction has locked, and until when it may.
#[derive(Debug)]
struct Locked {
    rows: Vec<Vec<u8>>,
    until_ns: u64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Wait {
    Row(Vec<u8>),
    Writer,
}

impl Graph {
    fn waits_for(&self, party: Party) -> Option<Party> {
        match self.waits.get(&party)? {
            Wait::Row(key) => self.owner.get(key).copied(),
            Wait::Writer => self.writer,
        }
    }

    /// The parties of the circle that `party` closes, if it does.
    fn circle(&self, party: Party) -> Option<Vec<Party>> {
        let mut seen = Vec::from([party]);
        let mut at = party;
        while let Some(next) = self.waits_for(at) {
            if next == party {
                return Some(seen);
            }
            if seen.contains(&next) {
                return None;
            }
            seen.push(next);
            at = next;
        }
        None
    }

    /// Breaks the circle that `party` has just closed; true when `party` itself must give up.
    fn break_circle(&mut self, party: Party) -> bool {
        let Some(circle) = self.circle(party) else { return false };
        if self.writer != Some(party) {
            return true;
        }
        match circle.into_iter().find(|&other| Some(other) != self.writer) {
            Some(victim) => {
                self.victims.insert(victim);
                false
            }
            None => true,
        }
    }
}

impl RowLocks {
    pub(super) fn new(clock: &Arc<dyn Clock>) -> Self {
        Self {
            clock: Arc::clone(clock),
            graph: Mutex::default(),
            changed: Condvar::default(),
            next: AtomicU32::new(0),
            held: AtomicUsize::new(0),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Graph> {
        self.graph.lock()
    }

    /// A name for one transaction.
    pub(super) fn party(&self) -> Party {
        self.next.fetch_add(1, Ordering::Relaxed)
    }

    /// Whether any row is locked.
    #[inline]
    pub(super) fn any(&self) -> bool {
        self.held.load(Ordering::Acquire) > 0
    }

    /// Locks a row for `party`, whose time ends at `until_ns`; false when another transaction has it. What a transaction locked
    /// it keeps until it or its time ends.
    pub(super) fn try_acquire(&self, party: Party, key: &[u8], until_ns: u64) -> Result<bool> {
        let mut graph = self.lock();
        if let Some(&owner) = graph.owner.get(key) {
            return Ok(owner == party);
        }
        let Locked { rows, .. } = graph.locked.entry(party).or_insert(Locked { rows: Vec::new(), until_ns });
        if rows.len() >= ROWS_MAX {
            let value = rows.len() as u64 + 1;
            return Err(Error::LimitExceeded {
                what: "the rows locked by one transaction",
                value,
                limit: ROWS_MAX as u64,
            });
        }
        rows.push(key.to_vec());
        graph.owner.insert(key.to_vec(), party);
        self.held.fetch_add(1, Ordering::Release);
        Ok(true)
    }

    /// Waits until nobody but `party` has the row locked, at most until its own time ends.
    pub(super) fn wait(&self, party: Party, end: Option<Deadline>, key: &[u8]) -> Result<()> {
        self.wait_for(party, end, |graph| {
            graph.owner.get(key).is_some_and(|&owner| owner != party).then(|| key.to_vec())
        })
    }

    /// Waits until nobody but `party` has a row from `from` up to, not including, `to` locked, likewise.
    pub(super) fn wait_range(&self, party: Party, end: Option<Deadline>, from: &[u8], to: &[u8]) -> Result<()> {
        let inside = |key: &[u8]| from <= key && key < to;
        self.wait_for(party, end, |graph| {
            graph.owner.iter().find(|&(key, &owner)| owner != party && inside(key)).map(|(key, _)| key.clone())
        })
    }

    /// A row that another transaction has locked and that `written` says is written.
    pub(super) fn taken(&self, party: Party, written: impl Fn(&[u8]) -> bool) -> Option<Vec<u8>> {
        if !self.any() {
            return None;
        }
        let graph = self.lock();
        graph.owner.iter().find(|&(key, &owner)| owner != party && written(key)).map(|(key, _)| key.clone())
    }

    /// Waits as long as `obstacle` names a row that another transaction has locked.
    fn wait_for(
        &self,
        party: Party,
        end: Option<Deadline>,
        obstacle: impl Fn(&Graph) -> Option<Vec<u8>>,
    ) -> Result<()> {
        if !self.any() {
            return Ok(());
        }
        let mut graph = self.lock();
        while let Some(key) = obstacle(&graph) {
            let now_ns = self.clock.monotonic_ns();
            let owner = graph.owner.get(&key).copied();
            let until_ns = owner.and_then(|owner| graph.locked.get(&owner)).map_or(u64::MAX, |locked| locked.until_ns);
            if let Some(owner) = owner.filter(|_| until_ns <= now_ns && !Mutant::OverdueKeepsRows.is_active()) {
                self.free_rows(&mut graph, owner);
                self.changed.notify_all();
                continue;
            }
            if let Some((_, limit_ms)) = end.filter(|(end_ns, _)| *end_ns <= now_ns) {
                graph.waits.remove(&party);
                graph.victims.remove(&party);
                return Err(Error::TransactionTimeout { limit_ms });
            }
            graph.waits.insert(party, Wait::Row(key.clone()));
            let victims = graph.victims.len();
            let refused = graph.break_circle(party) || graph.victims.remove(&party);
            if refused {
                graph.waits.remove(&party);
                return Err(deadlock(&key));
            }
            // Only a victim has something to learn from this: woken for less, those who wait would keep waking each other.
            if graph.victims.len() > victims {
                self.changed.notify_all();
            }
            let rest_ns = until_ns.min(end.map_or(u64::MAX, |(end_ns, _)| end_ns)).saturating_sub(now_ns);
            graph = self.changed.wait_timeout(graph, Duration::from_nanos(rest_ns)).0;
        }
        graph.waits.remove(&party);
        graph.victims.remove(&party);
        Ok(())
    }

    /// Takes the writer lock by `try_take`, as a waiter in the graph. Only for transactions that hold rows: others cannot
    /// be part of a circle.
    pub(super) fn take_writer<G>(&self, party: Party, mut try_take: impl FnMut() -> Result<Option<G>>) -> Result<G> {
        loop {
            if let Some(guard) = try_take()? {
                let mut graph = self.lock();
                graph.waits.remove(&party);
                graph.victims.remove(&party);
                return Ok(guard);
            }
            let mut graph = self.lock();
            graph.waits.insert(party, Wait::Writer);
            if graph.break_circle(party) || graph.victims.remove(&party) {
                graph.waits.remove(&party);
                return Err(Error::Deadlock { key: "the writer lock".into() });
            }
            let (mut graph, _) = self.changed.wait_timeout(graph, WRITER_POLL);
            if graph.victims.remove(&party) {
                graph.waits.remove(&party);
                return Err(Error::Deadlock { key: "the writer lock".into() });
            }
        }
    }

    fn set_writer(&self, party: Option<Party>) {
        self.lock().writer = party;
    }

    /// Whether `party` has locked any row.
    pub(super) fn holds_any(&self, party: Party) -> bool {
        self.any() && self.lock().locked.contains_key(&party)
    }

    fn free_rows(&self, graph: &mut Graph, party: Party) {
        let Some(locked) = graph.locked.remove(&party) else { return };
        for key in locked.rows {
            graph.owner.remove(&key);
            self.held.fetch_sub(1, Ordering::Release);
        }
    }

    /// The transaction has ended: its rows are free.
    pub(super) fn release(&self, party: Party) {
        if !self.any() {
            return;
        }
        let mut graph = self.lock();
        self.free_rows(&mut graph, party);
        graph.waits.remove(&party);
        graph.victims.remove(&party);
        drop(graph);
        if !Mutant::RowsFreedSilently.is_active() {
            self.changed.notify_all();
        }
    }
}

impl core::fmt::Debug for RowLocks {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("RowLocks").field("graph", &self.graph).finish_non_exhaustive()
    }
}

fn deadlock(key: &[u8]) -> Error {
    let key = crate::table::prefix::split(key).map_or(key, |(_, rest)| if rest.is_empty() { key } else { rest });
    Error::Deadlock { key: std::format!("\"{}\"", key.get(..64).unwrap_or(key).escape_ascii()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::env::HandSet;
    use std::sync::mpsc;

    /// By a clock that is set by hand.
    fn row_locks() -> (Arc<RowLocks>, Arc<HandSet>) {
        let clock = Arc::new(HandSet::default());
        (Arc::new(RowLocks::new(&(Arc::clone(&clock) as Arc<dyn Clock>))), clock)
    }

    fn acquire(locks: &RowLocks, party: Party, key: &[u8]) -> Result<()> {
        while !locks.try_acquire(party, key, u64::MAX)? {
            locks.wait(party, None, key)?;
        }
        Ok(())
    }

    #[test]
    fn who_holds_rows_beyond_its_time_loses_them_to_whoever_wants_one() {
        let (locks, clock) = row_locks();
        let (idle, other) = (locks.party(), locks.party());
        for row in [b"1", b"2"] {
            assert_eq!(locks.try_acquire(idle, row, 1_000_000), Ok(true));
        }
        clock.0.store(1, Ordering::Relaxed);
        locks.wait(other, None, b"1").unwrap();
        assert_eq!((locks.holds_any(idle), locks.any()), (false, false));
        // And with a range.
        assert_eq!(locks.try_acquire(idle, b"3", 1_000_000), Ok(true));
        locks.wait_range(other, None, b"2", b"4").unwrap();
        assert!(!locks.any());
        // Who waits beyond its own time waits no longer.
        assert_eq!(locks.try_acquire(idle, b"3", 9_000_000), Ok(true));
        let timeout = Err(Error::TransactionTimeout { limit_ms: 7 });
        assert_eq!(locks.wait(other, Some((1_000_000, 7)), b"3"), timeout);
        assert!(locks.lock().waits.is_empty());
    }

    #[test]
    fn a_circle_of_two_rows_refuses_the_one_that_closes_it() {
        let (locks, _) = row_locks();
        let (a, b) = (locks.party(), locks.party());
        acquire(&locks, a, b"1").unwrap();
        acquire(&locks, b, b"2").unwrap();
        let other = Arc::clone(&locks);
        let (told, waiting) = mpsc::channel();
        let thread = std::thread::spawn(move || {
            told.send(()).unwrap();
            acquire(&other, a, b"2")
        });
        waiting.recv().unwrap();
        while !locks.lock().waits.contains_key(&a) {
            std::thread::yield_now();
        }
        assert!(matches!(acquire(&locks, b, b"1"), Err(Error::Deadlock { .. })));
        locks.release(b);
        thread.join().unwrap().unwrap();
        locks.release(a);
        assert!(!locks.any());
    }

    #[test]
    fn the_writer_is_never_the_victim() {
        let (locks, _) = row_locks();
        let (writer, interactive) = (locks.party(), locks.party());
        acquire(&locks, interactive, b"row").unwrap();
        locks.set_writer(Some(writer));
        let other = Arc::clone(&locks);
        // The interactive transaction commits: it waits for the writer lock.
        let commit = std::thread::spawn(move || {
            let refused = other.take_writer::<()>(interactive, || Ok(None));
            other.release(interactive);
            refused
        });
        // The closure wants the row: it gets it, and the commit is refused.
        acquire(&locks, writer, b"row").unwrap();
        assert!(matches!(commit.join().unwrap(), Err(Error::Deadlock { .. })));
        locks.release(writer);
    }

    #[test]
    fn waiting_in_a_line_is_no_deadlock() {
        let (locks, _) = row_locks();
        let first = locks.party();
        acquire(&locks, first, b"row").unwrap();
        let threads: Vec<_> = (0..4)
            .map(|_| {
                let locks = Arc::clone(&locks);
                std::thread::spawn(move || {
                    let party = locks.party();
                    acquire(&locks, party, b"row").unwrap();
                    locks.release(party);
                })
            })
            .collect();
        locks.release(first);
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        assert!(!locks.any());
    }
}
