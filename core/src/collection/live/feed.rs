//! What commits have written to a collection since its follower last looked, and waiting for it.

use alloc::sync::Arc;
use alloc::vec::Vec;
#[cfg(feature = "std")]
use core::time::Duration;

use hashbrown::HashMap;

use crate::db::watched::{TableWatcher, Touched};
#[cfg(feature = "std")]
use crate::env::sync::Condvar;
use crate::env::sync::{MaybeSendSync, Mutex};
use crate::error::Error;

/// So many documents may be noted, or a tenth of the rows where that is more; beyond it the query is run again.
const NOTED_MAX: usize = 10_000;

/// Called when there may be something new.
pub(super) trait Ready: MaybeSendSync {
    fn ready(&self);
}

impl<F: Fn() + MaybeSendSync> Ready for F {
    fn ready(&self) {
        self();
    }
}

/// Which documents were written.
#[derive(Debug, Default)]
pub(super) struct Dirty {
    /// Encoded keys, each with the newest commit that wrote it.
    pub keys: HashMap<Vec<u8>, u64>,
    /// Any document may have been written: the first and the last commit that did so.
    pub whole: Option<(u64, u64)>,
    /// The newest commit that changed the collection's definition.
    pub definition: Option<u64>,
}

impl Dirty {
    pub(super) fn is_empty(&self) -> bool {
        self.keys.is_empty() && self.whole.is_none() && self.definition.is_none()
    }

    fn all(&mut self, first: u64, last: u64) {
        let (before, after) = self.whole.unwrap_or((first, last));
        self.whole = Some((before.min(first), after.max(last)));
    }

    fn bound(&mut self, limit: usize) {
        if self.keys.len() > limit
            && let Some(last) = self.keys.values().max().copied()
        {
            self.keys = HashMap::new();
            // The first is not known; what is noted too early is only looked at too early.
            self.all(0, last);
        }
    }

    /// Adds what was written later.
    pub(super) fn add(&mut self, later: Dirty, limit: usize) {
        if self.is_empty() {
            *self = later;
            return;
        }
        self.keys.extend(later.keys);
        if let Some((first, last)) = later.whole {
            self.all(first, last);
        }
        self.definition = later.definition.or(self.definition);
        self.bound(limit);
    }

    /// Everything up to this commit has been looked at.
    pub(super) fn looked_at(&mut self, sequence: u64) {
        self.keys.retain(|_, last| *last > sequence);
        self.whole = self.whole.filter(|(_, last)| *last > sequence).map(|(_, last)| (sequence + 1, last));
        self.definition = self.definition.filter(|last| *last > sequence);
    }
}

/// So many documents are noted for a result of this many rows.
pub(super) fn noted_max(rows: usize) -> usize {
    NOTED_MAX.max(rows / 10)
}

/// What there is when a follower begins to look.
pub(super) struct Begun {
    /// Something was noted.
    pub is_noted: bool,
    /// It was not told that all of it is published: it wants to be, from now on.
    pub is_unpublished: bool,
    /// Why nothing more will be.
    pub stopped: Option<Error>,
}

/// What one follower has not looked at yet.
pub(super) struct Feed {
    state: Mutex<State>,
    #[cfg(feature = "std")]
    changed: Condvar,
}

struct State {
    dirty: Dirty,
    limit: usize,
    /// The first and the last commit of which it was not told that they are published.
    unpublished: Option<(u64, u64)>,
    /// There may be something new.
    is_ready: bool,
    stopped: Option<Error>,
    on_ready: Option<Arc<dyn Ready>>,
}

impl State {
    /// Everything up to this commit is published.
    fn see(&mut self, sequence: u64) {
        let rest = self.unpublished.filter(|(_, last)| *last > sequence);
        self.unpublished = rest.map(|(first, last)| (first.max(sequence.saturating_add(1)), last));
    }
}

impl Feed {
    /// The first result is something new.
    pub(super) fn new() -> Self {
        let (dirty, limit) = (Dirty::default(), NOTED_MAX);
        let state = State { dirty, limit, unpublished: None, is_ready: true, stopped: None, on_ready: None };
        Self {
            state: Mutex::new(state),
            #[cfg(feature = "std")]
            changed: Condvar::default(),
        }
    }

    /// What comes from now on is something new.
    pub(super) fn begin(&self) -> Begun {
        let mut state = self.state.lock();
        state.is_ready = state.stopped.is_some();
        Begun {
            is_noted: !state.dirty.is_empty(),
            is_unpublished: state.unpublished.is_some(),
            stopped: state.stopped.clone(),
        }
    }

    /// What was noted since the last call, for a result of this many rows. To be called after the snapshot was taken that is
    /// to be read, of commits up to `sequence`, so that all that was written up to it is there; and after
    /// [`begin`](Self::begin), so that it is told when the rest is published.
    pub(super) fn take(&self, rows: usize, sequence: u64) -> Dirty {
        let mut state = self.state.lock();
        state.limit = noted_max(rows);
        state.see(sequence);
        core::mem::take(&mut state.dirty)
    }

    pub(super) fn on_ready(&self, ready: Arc<dyn Ready>) {
        let mut state = self.state.lock();
        let before = state.on_ready.replace(Arc::clone(&ready));
        let is_ready = state.is_ready;
        drop(state);
        drop(before);
        if is_ready {
            ready.ready();
        }
    }

    /// Waits until there may be something new; false when the limit passed before.
    #[cfg(feature = "std")]
    pub(super) fn wait(&self, limit: Option<Duration>) -> bool {
        let mut state = self.state.lock();
        while !state.is_ready {
            match limit {
                None => state = self.changed.wait(state),
                Some(limit) => {
                    let (woken, is_over) = self.changed.wait_timeout(state, limit);
                    state = woken;
                    if is_over {
                        return state.is_ready;
                    }
                }
            }
        }
        true
    }

    /// Tells whoever waits, with the lock given back.
    fn tell(&self, change: impl FnOnce(&mut State)) {
        let mut state = self.state.lock();
        let was_ready = state.is_ready;
        change(&mut state);
        let told = state.on_ready.clone().filter(|_| state.is_ready && !was_ready);
        #[cfg(feature = "std")]
        let wakes = state.is_ready && !was_ready;
        drop(state);
        #[cfg(feature = "std")]
        if wakes {
            self.changed.notify_all();
        }
        if let Some(told) = told {
            told.ready();
        }
    }
}

impl TableWatcher for Feed {
    fn touched(&self, sequence: u64, what: Touched<'_>) -> bool {
        let mut state = self.state.lock();
        let State { dirty, limit, unpublished, is_ready, .. } = &mut *state;
        match what {
            Touched::Key(key) => match dirty.keys.get_mut(key) {
                Some(last) => *last = sequence,
                // Everything will be looked at.
                None if dirty.whole.is_some_and(|(_, last)| last >= sequence) => {}
                None => {
                    dirty.keys.insert(key.to_vec(), sequence);
                    dirty.bound(*limit);
                }
            },
            Touched::Table => dirty.all(sequence, sequence),
            Touched::Definition => dirty.definition = Some(sequence),
        }
        let first = unpublished.map_or(sequence, |(first, _)| first);
        *unpublished = Some((first, sequence));
        // Who was told and has not looked yet is not told again.
        !*is_ready
    }

    fn published(&self, sequence: u64) -> bool {
        let mut is_waiting = false;
        self.tell(|state| {
            if let Some((first, _)) = state.unpublished {
                state.is_ready |= first <= sequence;
            }
            state.see(sequence);
            is_waiting = state.unpublished.is_some();
        });
        is_waiting
    }

    fn stopped(&self, why: &Error) {
        self.tell(|state| {
            state.stopped.get_or_insert_with(|| why.clone());
            state.is_ready = true;
        });
    }
}
