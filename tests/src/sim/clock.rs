//! Time in a simulation: I/Os take it, a plan lets it pass or jump, and the machine's own clock is never asked.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};

use lightning_db::env::Clock;

use crate::sim_disk::SimDisk;

/// When simulations begin, in milliseconds since 1970.
const START_MS: u64 = 1_700_000_000_000;
/// A look at the clock takes this long.
const LOOK_NS: u64 = 1000;
/// One call of an application never looks this often at the clock.
const LOOKS_MAX: u64 = 1_000_000;

/// What happens to the time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Time {
    /// Nobody does anything for so many milliseconds.
    Passes(u64),
    /// Somebody sets the wall clock forward, or back, by so many milliseconds.
    WallJumps(i64),
    /// The monotonic clock stands still, as some do while the machine sleeps.
    StandsStill,
    /// It goes on from where it stood.
    GoesOn,
}

/// The clock that the engine sees. It shows the time of the disk, and notices who looks at it without end.
#[derive(Debug)]
pub struct SimClock {
    disk: Arc<SimDisk>,
    /// The disk's time when the monotonic clock stopped, while it stands; and how long it has stood in all.
    stopped_at_ns: AtomicU64,
    stands: AtomicBool,
    stood_ns: AtomicU64,
    wall_jumps_ms: AtomicI64,
    looks: AtomicU64,
}

impl SimClock {
    /// The clock beside a disk.
    pub fn new(disk: &Arc<SimDisk>) -> Self {
        Self {
            disk: Arc::clone(disk),
            stopped_at_ns: AtomicU64::new(0),
            stands: AtomicBool::new(false),
            stood_ns: AtomicU64::new(0),
            wall_jumps_ms: AtomicI64::new(0),
            looks: AtomicU64::new(0),
        }
    }

    /// A call of the engine begins.
    pub fn call(&self) {
        self.looks.store(0, Ordering::Relaxed);
    }

    /// Something happens to the time.
    pub fn happen(&self, time: Time) {
        match time {
            Time::Passes(ms) => self.disk.pass(ms.saturating_mul(1_000_000)),
            Time::WallJumps(ms) => {
                let jumped = self.wall_jumps_ms.load(Ordering::Relaxed).saturating_add(ms);
                self.wall_jumps_ms.store(jumped, Ordering::Relaxed);
            }
            Time::StandsStill => {
                if !self.stands.swap(true, Ordering::Relaxed) {
                    self.stopped_at_ns.store(self.disk.elapsed_ns(), Ordering::Relaxed);
                }
            }
            Time::GoesOn => {
                if self.stands.swap(false, Ordering::Relaxed) {
                    let stood = self.disk.elapsed_ns() - self.stopped_at_ns.load(Ordering::Relaxed);
                    self.stood_ns.fetch_add(stood, Ordering::Relaxed);
                }
            }
        }
    }

    /// What the monotonic clock shows, without the time it takes to look.
    pub fn shown_ns(&self) -> u64 {
        let stands = self.stands.load(Ordering::Relaxed);
        let now = if stands { self.stopped_at_ns.load(Ordering::Relaxed) } else { self.disk.elapsed_ns() };
        now - self.stood_ns.load(Ordering::Relaxed)
    }

    fn look(&self) {
        let looks = self.looks.fetch_add(1, Ordering::Relaxed);
        assert!(looks < LOOKS_MAX || std::thread::panicking(), "a call that never ends");
        self.disk.pass(LOOK_NS);
    }
}

impl Clock for SimClock {
    fn wall_ms(&self) -> u64 {
        self.look();
        let now = START_MS + self.disk.elapsed_ns() / 1_000_000;
        now.saturating_add_signed(self.wall_jumps_ms.load(Ordering::Relaxed))
    }
    fn monotonic_ns(&self) -> u64 {
        self.look();
        self.shown_ns()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim_disk::Fault;
    use lightning_db::env::{FileId, Storage};

    #[test]
    fn io_takes_time_and_the_monotonic_clock_may_stand_but_never_goes_back() {
        let disk = Arc::new(SimDisk::new(3));
        let clock = SimClock::new(&disk);
        let mut before = clock.monotonic_ns();
        let mut later = |clock: &SimClock| {
            let now = clock.monotonic_ns();
            assert!(now >= before, "{now} after {before}");
            std::mem::replace(&mut before, now)
        };
        let _done = disk.sync(FileId::Data).unwrap();
        assert!(clock.shown_ns() > later(&clock) + 100_000);
        let stopped = clock.shown_ns();
        clock.happen(Time::StandsStill);
        clock.happen(Time::Passes(5000));
        later(&clock);
        assert_eq!(clock.shown_ns(), stopped);
        clock.happen(Time::GoesOn);
        later(&clock);
        assert!(clock.shown_ns() < stopped + 1_000_000_000);
        disk.schedule(0, Fault::Slow);
        let _done = disk.sync(FileId::Data).unwrap();
        assert!(clock.shown_ns() > stopped + 1_000_000_000);
        later(&clock);
    }

    #[test]
    fn the_wall_clock_jumps_both_ways_and_as_far_as_there_are_numbers() {
        let clock = SimClock::new(&Arc::new(SimDisk::new(3)));
        let start = clock.wall_ms();
        clock.happen(Time::WallJumps(-7_200_000));
        assert!(clock.wall_ms() < start - 7_000_000);
        clock.happen(Time::WallJumps(i64::MIN));
        assert_eq!(clock.wall_ms(), 0);
        clock.happen(Time::WallJumps(i64::MAX));
        clock.happen(Time::WallJumps(i64::MAX));
        assert!(clock.wall_ms() > u64::MAX / 2);
    }
}
