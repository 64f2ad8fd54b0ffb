//! How far the verification of everything stored is.

use super::state::Engine;
use crate::env::sync::Mutex;
use crate::error::Error;

/// What is known of the scrubs of one database, whoever makes them.
#[derive(Debug, Default)]
pub(crate) struct Scrubs {
    state: Mutex<State>,
}

#[derive(Clone, Debug, Default)]
struct State {
    bytes: u64,
    bytes_all: u64,
    finished: u64,
    failed: Option<Error>,
    /// When the one that is due has to be done, by the monotonic clock.
    #[cfg(feature = "std")]
    due_ns: Option<u64>,
}

/// The same for [`Stats`](super::Stats).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ScrubProgress {
    pub bytes: u64,
    pub bytes_all: u64,
    pub finished: u64,
}

impl Scrubs {
    pub(super) fn progress(&self) -> ScrubProgress {
        let state = self.state.lock();
        ScrubProgress { bytes: state.bytes, bytes_all: state.bytes_all, finished: state.finished }
    }

    /// So much was read of about so much.
    pub(super) fn advanced(&self, bytes: u64, bytes_all: u64) {
        let mut state = self.state.lock();
        state.bytes = bytes;
        // What was stored meanwhile is not read.
        state.bytes_all = bytes_all.max(bytes);
    }

    /// Everything was read.
    pub(super) fn finished(&self) {
        let mut state = self.state.lock();
        state.bytes_all = state.bytes;
        state.finished += 1;
        state.failed = None;
    }

    pub(super) fn stopped(&self, error: &Error) {
        self.state.lock().failed = Some(error.clone());
    }

    /// Why the last one did not come to its end.
    #[cfg(feature = "std")]
    pub(super) fn failed(&self) -> Option<Error> {
        self.state.lock().failed.clone()
    }

    /// From now on one has to be done by then.
    #[cfg(feature = "std")]
    pub(crate) fn expect(&self, due_ns: u64) {
        self.state.lock().due_ns = Some(due_ns);
    }

    /// By how many milliseconds one is late.
    #[cfg(feature = "std")]
    pub(super) fn late_ms(&self, now_ns: u64) -> Option<u64> {
        let late_ns = now_ns.checked_sub(self.state.lock().due_ns?)?;
        (late_ns > 0).then_some(late_ns / 1_000_000)
    }

    /// How long to rest after a step that read `step_bytes`, so that everything is read when it is due; at most
    /// `longest_ns`, so that it is done early where there is little.
    #[cfg(feature = "std")]
    pub(crate) fn rest_ns(&self, step_bytes: u64, longest_ns: u64, now_ns: u64) -> u64 {
        let state = self.state.lock();
        let Some(due_ns) = state.due_ns else { return longest_ns };
        let left_bytes = state.bytes_all.saturating_sub(state.bytes).max(1);
        let left_ns = due_ns.saturating_sub(now_ns);
        let share = u128::from(left_ns) * u128::from(step_bytes) / u128::from(left_bytes);
        // Half, because reading takes its time too.
        u64::try_from(share / 2).unwrap_or(u64::MAX).min(longest_ns)
    }
}

impl Engine {
    /// About how many bytes a scrub of what is stored now reads.
    pub(super) fn bytes_to_scrub(&self) -> u64 {
        self.space.lock().map.used_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: u64 = 1_000_000_000;

    #[test]
    fn a_scrub_rests_as_long_as_it_can_and_not_at_all_when_it_is_late() {
        let scrubs = Scrubs::default();
        scrubs.advanced(0, 1000);
        assert_eq!(scrubs.rest_ns(10, S, 0), S, "nobody waits for it");
        scrubs.expect(100 * S);
        assert_eq!(scrubs.rest_ns(10, S / 100, 0), S / 100);
        assert_eq!(scrubs.rest_ns(10, 10 * S, 0), S / 2);
        scrubs.advanced(500, 1000);
        assert_eq!(scrubs.rest_ns(10, 10 * S, 50 * S), S / 2);
        assert_eq!(scrubs.rest_ns(10, 10 * S, 90 * S), S / 10);
        assert_eq!((scrubs.rest_ns(10, 10 * S, 100 * S), scrubs.late_ms(100 * S)), (0, None));
        assert_eq!((scrubs.rest_ns(10, 10 * S, 103 * S), scrubs.late_ms(103 * S)), (0, Some(3000)));
    }
}
