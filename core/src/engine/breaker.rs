//! A circuit breaker: a storage that keeps failing is left alone for a while, and who asks is answered at once.
//!
//! It opens after several failures in a row within a window, and rests. Then one call is let through to try, and the others
//! are still refused: if it succeeds, the breaker closes; if not, the rest is doubled.

use crate::env::sync::Mutex;
use crate::env::sync::atomic::{AtomicBool, Ordering};

/// Failures in a row, each somewhere else, that open it. One damaged place that is asked for again and again does not.
const FAILURES: usize = 5;
/// They lie within so much time.
const WINDOW_NS: u64 = 10_000_000_000;
/// The first rest, and the longest.
const REST_NS: u64 = 1_000_000_000;
const REST_NS_MAX: u64 = 60_000_000_000;

/// Guards one kind of call.
#[derive(Debug, Default)]
pub(super) struct Breaker {
    /// Something has failed lately: only then anyone looks at the rest.
    troubled: AtomicBool,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Where the last calls failed.
    places: [Option<u64>; FAILURES],
    first_ns: u64,
    /// Nobody is let through until then.
    open: Option<Open>,
}

#[derive(Clone, Copy, Debug)]
struct Open {
    until_ns: u64,
    rest_ns: u64,
    is_trying: bool,
}

impl Breaker {
    /// Whether something has failed since it last succeeded.
    #[inline]
    pub(super) fn is_troubled(&self) -> bool {
        self.troubled.load(Ordering::Relaxed)
    }

    /// Lets a call through, or says after how many milliseconds the next is.
    pub(super) fn admit(&self, now_ns: u64) -> Result<(), u64> {
        let mut state = self.state.lock();
        let Some(open) = &mut state.open else { return Ok(()) };
        if now_ns < open.until_ns || open.is_trying {
            return Err(open.until_ns.saturating_sub(now_ns).div_ceil(1_000_000).max(1));
        }
        open.is_trying = true;
        Ok(())
    }

    /// For how many milliseconds it is still open; `None` when it is not.
    pub(super) fn open_for_ms(&self, now_ns: u64) -> Option<u64> {
        let open = self.state.lock().open?;
        Some(open.until_ns.saturating_sub(now_ns).div_ceil(1_000_000))
    }

    /// A call at `place` has failed.
    pub(super) fn failed(&self, place: u64, now_ns: u64) {
        self.troubled.store(true, Ordering::Relaxed);
        let mut state = self.state.lock();
        if let Some(open) = state.open {
            // Others that were under way when it opened change nothing.
            if open.is_trying {
                let rest_ns = (open.rest_ns * 2).min(REST_NS_MAX);
                state.open = Some(Open { until_ns: now_ns.saturating_add(rest_ns), rest_ns, is_trying: false });
            }
            return;
        }
        if now_ns.saturating_sub(state.first_ns) > WINDOW_NS {
            state.places = [None; FAILURES];
        }
        if state.places.first() == Some(&None) {
            state.first_ns = now_ns;
        }
        if state.places.contains(&Some(place)) {
            return;
        }
        if let Some(free) = state.places.iter_mut().find(|place| place.is_none()) {
            *free = Some(place);
        }
        if state.places.iter().all(Option::is_some) {
            state.open = Some(Open { until_ns: now_ns.saturating_add(REST_NS), rest_ns: REST_NS, is_trying: false });
        }
    }

    /// A call has succeeded.
    pub(super) fn succeeded(&self) {
        let mut state = self.state.lock();
        // One that was under way when it opened proves nothing of what comes.
        if state.open.is_none_or(|open| open.is_trying) {
            *state = State::default();
            self.troubled.store(false, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    fn opened() -> Breaker {
        let breaker = Breaker::default();
        for place in 0..FAILURES as u64 {
            assert_eq!(breaker.admit(place), Ok(()));
            breaker.failed(place, place);
        }
        breaker
    }

    #[test]
    fn it_opens_after_failures_in_several_places_and_tries_again_after_a_rest_that_grows() {
        let breaker = opened();
        assert_eq!(breaker.admit(5), Err(1000));
        assert_eq!(breaker.open_for_ms(500 * MS), Some(501));
        assert_eq!(breaker.admit(1001 * MS), Ok(()), "one tries");
        assert_eq!(breaker.admit(1001 * MS), Err(1), "the others do not");
        breaker.failed(9, 1002 * MS);
        assert_eq!(breaker.admit(2000 * MS), Err(1002));
        assert_eq!(breaker.admit(3002 * MS), Ok(()));
        breaker.succeeded();
        assert!(!breaker.is_troubled());
        assert_eq!((breaker.admit(3002 * MS), breaker.open_for_ms(3002 * MS)), (Ok(()), None));
    }

    #[test]
    fn one_damaged_place_failures_far_apart_and_a_success_between_do_not_open_it() {
        let breaker = Breaker::default();
        for now in 0..100 {
            breaker.failed(7, now);
            breaker.failed(8, now);
        }
        assert_eq!(breaker.admit(100), Ok(()));
        breaker.succeeded();
        for failure in 0..20 {
            breaker.failed(failure, failure * 5000 * MS);
            assert_eq!(breaker.admit(failure * 5000 * MS), Ok(()));
        }
        breaker.succeeded();
        for failure in 0..20 {
            breaker.failed(failure, failure);
            if failure % 4 == 3 {
                breaker.succeeded();
            }
            assert_eq!(breaker.admit(failure), Ok(()));
        }
    }

    #[test]
    fn what_was_under_way_when_it_opened_changes_nothing() {
        let breaker = opened();
        breaker.succeeded();
        breaker.failed(20, 6);
        assert_eq!(breaker.admit(7), Err(1000));
    }
}
