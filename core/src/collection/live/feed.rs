//! What commits have written to a collection since its follower last looked, and waiting for it.
//!
//! **Who is told of what.** While nobody looks, the keys of the rows are here ([`Held`]), and each commit decides for itself whether
//! a document that it writes can matter. It cannot when all of this holds:
//!
//! - it is no row of the state that was last looked at;
//! - nothing was noted of it since, else it may be a row of a state between, which may be looked at before this commit shows;
//! - not all documents are noted, because then nobody knows which ones;
//! - what is written, if anything is, is no row: the filter does not find it, or it is behind the last row held.
//!
//! Such a commit notes nothing and wakes nobody: in every state since the last look the document was none of the rows held. In
//! doubt a document matters: when its value is not at hand, when it is long, when it cannot be read. While somebody looks, the
//! keys are away, and every document matters.
//!
//! Of a result that does not hold all its rows, a document
//! that was passed over may have been one of those behind the end in a state before; so they are remembered ([`Passed`]), and
//! whoever reads rows from there on, as of such a state, has them noted first ([`Feed::recall`]).

use alloc::sync::Arc;
use alloc::vec::Vec;
#[cfg(feature = "std")]
use core::time::Duration;

use super::found::Found;
use super::held::{Held, Passed};
use crate::db::watched::{TableWatcher, Touched, Written};
#[cfg(feature = "std")]
use crate::env::sync::Condvar;
use crate::env::sync::{MaybeSendSync, Mutex};
use crate::error::Error;
use crate::hashing::HashMap;
use crate::testing::Mutant;

/// Of each commit so many bytes are gone through to see whether its documents can matter, because others wait meanwhile. The
/// documents beyond are noted without a look.
const LOOKED_MAX: usize = 128 << 10;

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
            self.keys = HashMap::default();
            // The first is not known; what is noted too early is only looked at too early.
            self.all(0, last);
        }
    }

    /// A document that this commit wrote, and perhaps a newer one did.
    fn note(&mut self, key: Vec<u8>, sequence: u64) {
        let last = self.keys.entry(key).or_insert(sequence);
        *last = sequence.max(*last);
    }

    /// Adds what was noted later. What was recalled may have been written before what is noted here: the newest commit counts.
    pub(super) fn add(&mut self, later: Dirty, limit: usize) {
        if self.is_empty() {
            *self = later;
            return;
        }
        later.keys.into_iter().for_each(|(key, last)| self.note(key, last));
        if let Some((first, last)) = later.whole {
            self.all(first, last);
        }
        self.definition = later.definition.or(self.definition);
        self.bound(limit);
    }

    /// Whether any document may have been written by a commit up to this one.
    pub(super) fn is_whole_by(&self, sequence: u64) -> bool {
        self.whole.is_some_and(|(first, _)| first <= sequence)
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
    found: Arc<Found>,
    state: Mutex<State>,
    #[cfg(feature = "std")]
    changed: Condvar,
}

struct State {
    dirty: Dirty,
    limit: usize,
    /// There while nobody looks.
    held: Option<Held>,
    passed: Passed,
    /// What was gone through of which commit.
    looked: (u64, usize),
    /// The first and the last commit of which it was not told that they are published.
    unpublished: Option<(u64, u64)>,
    /// There may be something new.
    is_ready: bool,
    stopped: Option<Error>,
    on_ready: Option<Arc<dyn Ready>>,
    /// Threads in [`Feed::wait`]: to wake nobody costs a call of the system, too.
    #[cfg(feature = "std")]
    waiting: usize,
}

impl State {
    /// Whether commit `sequence`, which leaves this under a key, if anything, can change the result: see above.
    fn matters(&mut self, found: &Found, sequence: u64, key: &[u8], written: Written<'_>) -> bool {
        let Some(held) = &self.held else { return true };
        let is_row = held.keys.contains(key) && !Mutant::HeldRowPassedOver.is_active();
        let is_noted = self.dirty.keys.contains_key(key) && !Mutant::NotedDocumentPassedOver.is_active();
        if is_row || is_noted || self.dirty.whole.is_some() {
            return true;
        }
        match written {
            Written::Nothing => {}
            Written::Elsewhere => return true,
            Written::Value(stored) => {
                let (last, before) = self.looked;
                let looked = found.cost(stored).saturating_add(if last == sequence { before } else { 0 });
                if looked > LOOKED_MAX {
                    return true;
                }
                self.looked = (sequence, looked);
                if found.may_be_row(key, stored, held.end.as_ref()) {
                    return true;
                }
            }
        }
        if held.end.is_some() {
            self.passed.note(sequence, key);
        }
        false
    }

    /// It is to be told when this commit is published.
    fn expect(&mut self, sequence: u64) {
        let (first, last) = self.unpublished.unwrap_or((sequence, sequence));
        self.unpublished = Some((first.min(sequence), last.max(sequence)));
    }

    /// Everything up to this commit is published.
    fn see(&mut self, sequence: u64) {
        let rest = self.unpublished.filter(|(_, last)| *last > sequence);
        self.unpublished = rest.map(|(first, last)| (first.max(sequence.saturating_add(1)), last));
    }
}

impl Feed {
    /// The first result is something new.
    pub(super) fn new(found: Arc<Found>) -> Self {
        let state = State {
            dirty: Dirty::default(),
            limit: NOTED_MAX,
            held: None,
            passed: Passed::default(),
            looked: (0, 0),
            unpublished: None,
            is_ready: true,
            stopped: None,
            on_ready: None,
            #[cfg(feature = "std")]
            waiting: 0,
        };
        Self {
            found,
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

    /// Somebody begins to look: from now on every document matters. Gives what the rows stand on, if it was here. To be called
    /// before the snapshot is taken that is to be read.
    pub(super) fn look(&self) -> Option<Held> {
        self.state.lock().held.take()
    }

    /// Whoever looked is done: from now on only what can change these rows matters, and what was written but not read, because it
    /// does not show yet.
    pub(super) fn settle(&self, held: Held, mut rest: Dirty) {
        let mut state = self.state.lock();
        let noted = core::mem::take(&mut state.dirty);
        rest.add(noted, state.limit);
        state.dirty = rest;
        state.held = Some(held);
    }

    /// Rows that are not held are to be read, in a snapshot of commits up to `sequence`. Notes the documents that later ones
    /// passed over. Where there are any, the follower wants to be told of what is published from now on, and then takes a newer
    /// snapshot.
    pub(super) fn recall(&self, sequence: u64) -> bool {
        let mut state = self.state.lock();
        let passed = core::mem::take(&mut state.passed);
        if Mutant::PassedOverForgotten.is_active() {
            return false;
        }
        let mut any = false;
        for (last, key) in passed.after(sequence) {
            state.dirty.note(key.to_vec(), last);
            state.expect(last);
            any = true;
        }
        if let Some(lost) = passed.lost_after(sequence) {
            // Which commits they are of is not known either: of any since the snapshot.
            state.dirty.all(sequence + 1, lost);
            state.expect(sequence + 1);
            state.expect(lost);
            any = true;
        }
        any
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

    #[cfg(all(test, feature = "std"))]
    pub(super) fn noted<R>(&self, look: impl FnOnce(&Dirty) -> R) -> R {
        look(&self.state.lock().dirty)
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
        state.waiting += 1;
        let mut is_over = false;
        while !state.is_ready && !is_over {
            match limit {
                None => state = self.changed.wait(state),
                Some(limit) => (state, is_over) = self.changed.wait_timeout(state, limit),
            }
        }
        state.waiting -= 1;
        state.is_ready
    }

    /// Tells whoever waits, with the lock given back.
    fn tell(&self, change: impl FnOnce(&mut State)) {
        let mut state = self.state.lock();
        let was_ready = state.is_ready;
        change(&mut state);
        let told = state.on_ready.clone().filter(|_| state.is_ready && !was_ready);
        #[cfg(feature = "std")]
        let wakes = state.is_ready && !was_ready && state.waiting > 0;
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
        if let Touched::Key(key, written) = what
            && !state.matters(&self.found, sequence, key, written)
        {
            return false;
        }
        let State { dirty, limit, is_ready, .. } = &mut *state;
        match what {
            Touched::Key(key, _) => match dirty.keys.get_mut(key) {
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
        // Who was told and has not looked yet is not told again.
        let wants = !*is_ready;
        state.expect(sequence);
        wants
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

    #[cfg(feature = "std")]
    fn resumed(&self) {
        self.tell(|state| state.is_ready = true);
    }

    fn stopped(&self, why: &Error) {
        self.tell(|state| {
            state.stopped.get_or_insert_with(|| why.clone());
            state.is_ready = true;
        });
    }
}
