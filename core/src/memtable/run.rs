//! Entries on their way into the map, in the order of their keys.

use super::arena::Entry;
use crate::codec::slot::Slot;

/// An iterator with a look at its next entry. It stands still where the keys stop rising, so that nodes, which compare
/// each key with their upper bound only, take none that belongs before them; [`resume`](Self::resume) at the root goes on.
pub(super) struct Run<'e, I> {
    next: Option<Entry<'e>>,
    rest: I,
    sequence: u64,
    stopped: bool,
}

impl<'e, I: Iterator<Item = (&'e [u8], Slot<'e>)>> Run<'e, I> {
    pub(super) fn new(mut entries: I, sequence: u64) -> Self {
        let next = entries.next().map(|(key, slot)| Entry { key, slot, sequence });
        Self { next, rest: entries, sequence, stopped: false }
    }

    /// The next entry, if it is below `upper`.
    #[inline]
    pub(super) fn due(&self, upper: Option<&[u8]>) -> Option<Entry<'e>> {
        match (self.next, upper) {
            _ if self.stopped => None,
            (Some(entry), Some(upper)) if entry.key >= upper => None,
            (next, _) => next,
        }
    }

    #[inline]
    pub(super) fn advance(&mut self) {
        let sequence = self.sequence;
        let next = self.rest.next().map(|(key, slot)| Entry { key, slot, sequence });
        if let (Some(before), Some(after)) = (self.next, next) {
            self.stopped = after.key < before.key;
        }
        self.next = next;
    }

    /// Takes up the entries again after keys that did not rise. Tells whether there is one.
    pub(super) fn resume(&mut self) -> bool {
        self.stopped = false;
        self.next.is_some()
    }
}
