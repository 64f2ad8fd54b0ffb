//! Leaves the disk to commits that somebody waits for, while a file is filled beside them.
//!
//! A sync of the log waits for whatever else is on its way to the disk, with whatever priority. So while commits are synced, what is
//! written to the file goes out in small parts, and behind each there is a rest that is some times as long: no commit meets more
//! than one part, and few meet any. How fast the disk is does not matter to that. Where nobody syncs there are no rests.

use std::time::Duration;

use super::pieces::REST_MAX;

/// Of the time that commits are synced in, the file's syncs have one part in so many.
const PARTS: u32 = 12;
/// Bytes of a part.
const PART_BYTES: u64 = 1 << 20;
/// Bytes that are written at once where nobody waits: more and more is written to the file meanwhile, and a sync of all at the end
/// would be a long one.
const ALONE_BYTES: u64 = 16 << 20;

/// What one of the threads that fill the file knows of those syncs.
#[derive(Clone)]
pub(super) struct StandAside<Syncs> {
    /// How many there were of the log.
    syncs: Syncs,
    seen: u64,
}

impl<Syncs: Fn() -> u64> StandAside<Syncs> {
    pub(super) fn new(syncs: Syncs) -> Self {
        let seen = syncs();
        Self { syncs, seen }
    }

    /// Whether commits were synced since this was asked last.
    fn is_asked(&mut self) -> bool {
        let now = (self.syncs)();
        core::mem::replace(&mut self.seen, now) != now
    }

    /// How much may be written before it is synced.
    pub(super) fn bytes_at_once(&mut self) -> u64 {
        if self.is_asked() { PART_BYTES } else { ALONE_BYTES }
    }

    /// How long to rest after a sync of the file that took so long.
    pub(super) fn rest_after(&mut self, sync: Duration) -> Duration {
        if self.is_asked() { (sync * (PARTS - 1)).min(REST_MAX) } else { Duration::ZERO }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[test]
    fn it_rests_and_writes_little_only_while_commits_are_synced() {
        let syncs = Cell::new(7);
        let mut aside = StandAside::new(|| syncs.get());
        let ms = Duration::from_millis;
        assert_eq!((aside.rest_after(ms(5)), aside.bytes_at_once()), (ms(0), ALONE_BYTES));
        syncs.set(8);
        assert_eq!(aside.rest_after(ms(5)), ms(55));
        assert_eq!(aside.rest_after(ms(5)), ms(0));
        syncs.set(9);
        assert_eq!(aside.bytes_at_once(), PART_BYTES);
        assert_eq!(aside.bytes_at_once(), ALONE_BYTES);
        syncs.set(10);
        assert_eq!(aside.rest_after(ms(500)), REST_MAX);
    }
}
