//! What stands before writers: the mode, the breaker of the log, the limit of the rate.
//!
//! **The rule:** who has passed holds the writer lock until its commit is appended. So once a mode is set, which takes that
//! lock, nothing is committed that the mode forbids.

use core::fmt;

use super::breaker::Breaker;
use super::rate::Rate;
use super::state::Engine;
use crate::env::StorageErrorKind;
use crate::env::sync::Mutex;
use crate::env::sync::atomic::{AtomicU8, AtomicUsize, Ordering};
use crate::error::{Error, Result};
use crate::limit::Limit;

/// Who may use a database that is open. Reading goes on in each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Mode {
    /// Everybody.
    #[default]
    Normal,
    /// Nobody writes: that is [`Error::ReadOnly`](crate::Error::ReadOnly). What was committed is brought into the data file as
    /// always.
    ReadOnly,
    /// No transaction begins: that is [`Error::Unavailable`](crate::Error::Unavailable), which passes. Those that have begun
    /// end in their time; checks, backups and compactions go on undisturbed.
    Maintenance,
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Mode::Normal => "normal",
            Mode::ReadOnly => "read-only",
            Mode::Maintenance => "maintenance",
        })
    }
}

/// Stands before writers, and costs them one load.
#[derive(Debug)]
pub(crate) struct Guard {
    /// Anything but 0: whoever writes has to ask.
    alert: AtomicU8,
    mode: Mutex<Mode>,
    appends: Breaker,
    /// Why the last append that failed did, and the commit before it.
    refused: Mutex<Option<(Error, u64)>>,
    rate: Option<Mutex<Rate>>,
    backups: AtomicUsize,
}

const MODE: u8 = 1;
const BREAKER: u8 = 2;
const RATE: u8 = 4;

/// What a writer that passed has to do first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Passed {
    Now,
    /// Wait so long, then ask again.
    After {
        wait_ns: u64,
    },
}

impl Guard {
    pub(super) fn new(write_bytes_per_s: Option<u64>, is_frozen: bool) -> Self {
        let rate = write_bytes_per_s.map(|per_s| Mutex::new(Rate::new(per_s)));
        let (mode, alert) = if is_frozen { (Mode::ReadOnly, MODE) } else { (Mode::Normal, 0) };
        Self {
            alert: AtomicU8::new(if rate.is_some() { alert | RATE } else { alert }),
            mode: Mutex::new(mode),
            appends: Breaker::default(),
            refused: Mutex::default(),
            rate,
            backups: AtomicUsize::new(0),
        }
    }

    /// Whether a writer has to ask [`Engine::pass_guard`].
    #[inline]
    pub(crate) fn is_alert(&self) -> bool {
        self.alert.load(Ordering::Relaxed) != 0
    }

    pub(crate) fn mode(&self) -> Mode {
        *self.mode.lock()
    }

    /// The caller holds the writer lock.
    pub(crate) fn set_mode(&self, mode: Mode) {
        let mut current = self.mode.lock();
        *current = mode;
        self.set(MODE, mode != Mode::Normal);
    }

    fn set(&self, bit: u8, on: bool) {
        if on {
            self.alert.fetch_or(bit, Ordering::Relaxed);
        } else {
            self.alert.fetch_and(!bit, Ordering::Relaxed);
        }
    }

    /// An error where no transaction is to begin.
    pub(crate) fn require_open(&self) -> Result<()> {
        if self.alert.load(Ordering::Relaxed) & MODE == 0 {
            return Ok(());
        }
        match self.mode() {
            Mode::Maintenance => Err(Error::Unavailable { why: "the database is under maintenance", retry_ms: None }),
            Mode::Normal | Mode::ReadOnly => Ok(()),
        }
    }

    /// An append has failed, of the commit after `last`.
    #[cold]
    pub(super) fn append_failed(&self, error: &Error, last: u64, now_ns: u64) {
        *self.refused.lock() = Some((error.clone(), last));
        let counts = matches!(error, Error::Storage(error)
            if matches!(error.kind, StorageErrorKind::Other | StorageErrorKind::PermissionDenied));
        if counts {
            // All of them fail at the end of the log: each counts.
            self.appends.failed(now_ns, now_ns);
            self.set(BREAKER, true);
        }
    }

    /// An append has succeeded.
    #[inline]
    pub(super) fn appended(&self) {
        if self.alert.load(Ordering::Relaxed) & BREAKER != 0 {
            self.appends.succeeded();
            self.set(BREAKER, self.appends.is_troubled());
        }
    }

    /// Why nothing can be appended after commit `last`.
    pub(super) fn refused_after(&self, last: u64) -> Option<Error> {
        self.refused.lock().as_ref().filter(|(_, before)| *before == last).map(|(error, _)| error.clone())
    }

    /// For how many milliseconds appends are still refused.
    pub(super) fn appends_refused_ms(&self, now_ns: u64) -> Option<u64> {
        self.appends.open_for_ms(now_ns)
    }
}

impl Engine {
    /// Whether the database is frozen: whoever opens it finds it in [`Mode::ReadOnly`].
    pub(crate) fn is_frozen(&self) -> bool {
        self.is_frozen.load(Ordering::Relaxed)
    }

    /// Freezes or thaws the database, and makes that durable. Restartable, as to do it again is the same.
    pub(crate) fn record_frozen(&self, is_frozen: bool) -> Result<()> {
        self.require_recordable()?;
        self.finish_opening()?;
        self.is_frozen.store(is_frozen, Ordering::Relaxed);
        if self.work.lock().checkpoint_frozen == is_frozen {
            return Ok(());
        }
        self.record(|work| work.checkpoint_frozen == is_frozen)
    }

    /// Lets a writer through that holds the writer lock. `is_new` when its transaction begins with that.
    #[cold]
    pub(crate) fn pass_guard(&self, is_new: bool) -> Result<Passed> {
        let guard = &self.guard;
        match guard.mode() {
            Mode::Normal => {}
            Mode::ReadOnly => return Err(Error::ReadOnly),
            Mode::Maintenance if is_new => guard.require_open()?,
            Mode::Maintenance => {}
        }
        let now_ns = self.env.clock.monotonic_ns();
        if let Some(rate) = &guard.rate {
            let wait_ns = rate.lock().wait_ns(self.counters.log_bytes.get(), now_ns);
            if wait_ns > 0 {
                return Ok(Passed::After { wait_ns });
            }
        }
        if let Err(retry_ms) = guard.appends.admit(now_ns) {
            let why = "writing to the log keeps failing, and is not tried for a while";
            return Err(Error::Unavailable { why, retry_ms: Some(retry_ms) });
        }
        Ok(Passed::Now)
    }

    /// Where nobody can wait, what a writer is told instead.
    pub(crate) fn too_fast(&self) -> Error {
        let allowed = self.options.limits.write_bytes_per_s.unwrap_or(0);
        Error::LimitReached { limit: Limit::WriteRate, allowed, used: self.counters.log_bytes.get() }
    }

    /// One more backup is under way, if that many may be.
    pub(crate) fn begin_backup(&self) -> Result<()> {
        let allowed = self.options.limits.backups_max;
        let more = |now: usize| (now < allowed).then_some(now + 1);
        match self.guard.backups.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more) {
            Ok(_) => Ok(()),
            Err(used) => Err(Error::LimitReached { limit: Limit::Backups, allowed: allowed as u64, used: used as u64 }),
        }
    }

    pub(crate) fn end_backup(&self) {
        self.guard.backups.fetch_sub(1, Ordering::Relaxed);
    }
}
