//! What is done about errors, and after the machine went down.

use std::sync::Arc;

use lightning_db::{Error, Mode};

use super::action::{Crash, Durability, TxOp, key, value};
use super::clock::Time;
use super::compare::{Wrong, everything};
use super::engine::Engine;
use super::run::Runner;

/// More openings in a row than the plan has accidents for.
const OPENINGS_MAX: u32 = 100;
/// No transaction may take longer on the monotonic clock.
pub(super) const TRANSACTION_NS_MAX: u64 = 30_000_000_000;

impl<E: Engine> Runner<E> {
    /// An error is right only if the disk gave a reason for it, and then it must be an honest one.
    pub(super) fn excuse(&mut self, error: &Error, faults_before: u64) -> Result<(), String> {
        let met_now = self.site.disk.faults_met() > faults_before;
        let met_since_open = self.site.disk.faults_met() > self.faults_at_open;
        let only_reopening_helps = match error {
            Error::Poisoned { .. } | Error::OutcomeUnknown { .. } if met_since_open => {
                self.probe_poisoned()?;
                true
            }
            // The engine spares a disk that kept failing, for a minute at most.
            error if error.name() == "Unavailable" && met_since_open => {
                self.site.clock.happen(Time::GoesOn);
                self.site.clock.happen(Time::Passes(60_000));
                false
            }
            Error::ReadOnly if self.mode == Mode::ReadOnly => false,
            // Also later, of what was begun then.
            Error::Unavailable { .. } if self.was_maintained => false,
            Error::Storage(_) if met_now => false,
            Error::TransactionTimeout { .. } => {
                return self.out_of_time(self.began_ns).map_err(Wrong::into_words);
            }
            Error::Storage(_) if self.limited && error.is_full() => false,
            // A wrong bit or an early end read from the disk looks like damage.
            Error::Corrupt(_) if met_now => false,
            _ => return Err(format!("error without a reason: {}: {error}", error.name())),
        };
        if only_reopening_helps || self.engine.is_none() { self.restart_process() } else { Ok(()) }
    }

    /// A slow disk may use up the time of a transaction.
    pub(super) fn out_of_time(&self, began_ns: u64) -> Result<(), Wrong> {
        let took_ns = self.site.clock.shown_ns() - began_ns;
        let right = took_ns > TRANSACTION_NS_MAX;
        if right { Ok(()) } else { Err(Wrong::Answer(format!("out of time after {took_ns} ns"))) }
    }

    /// After an unknown outcome the handle still reads what was acknowledged, and writes no more.
    fn probe_poisoned(&mut self) -> Result<(), String> {
        let Some(engine) = &self.engine else { return Ok(()) };
        let write = [TxOp::Put(0, key(b"after poison"), value(1, 4))];
        let faults_before = self.site.disk.faults_met();
        match engine.transaction(Some(Durability::Relaxed), &write) {
            Err(Error::Poisoned { .. }) => {}
            // In another mode the mode is the first to refuse.
            Err(Error::ReadOnly | Error::Unavailable { .. }) if self.mode != Mode::Normal => {}
            Err(_) if self.site.disk.faults_met() > faults_before => {}
            other => return Err(format!("a handle that must be poisoned answers a commit with {other:?}")),
        }
        let faults_before = self.site.disk.faults_met();
        match self.compare_all() {
            Err(Wrong::Answer(what)) => Err(format!("a poisoned handle: {what}")),
            Err(Wrong::Error(error)) if error.name() == "Unavailable" => Ok(()),
            Err(Wrong::Error(error)) if self.site.disk.faults_met() == faults_before => {
                Err(format!("a poisoned handle does not read: {}: {error}", error.name()))
            }
            _ => Ok(()),
        }
    }

    /// The machine goes down, at once or where it has already, and comes up again.
    pub(super) fn go_down(&mut self) -> Result<(), String> {
        self.leave();
        let mut loss = self.loss();
        self.strike(&mut loss);
        self.open(loss)
    }

    fn strike(&mut self, loss: &mut Loss) {
        self.stats.crashes += 1;
        match self.next_crash {
            Crash::Kill => self.site.disk.kill(),
            Crash::Power(seed) => {
                self.site.disk.power_loss(seed);
                *loss = Loss { unsynced: true, cache: true };
            }
        }
    }

    /// Only reopening helps.
    fn restart_process(&mut self) -> Result<(), String> {
        self.leave();
        let loss = self.loss();
        self.site.disk.kill();
        self.open(loss)
    }

    pub(super) fn loss(&self) -> Loss {
        Loss { unsynced: self.site.disk.failed_syncs() > self.failed_syncs_at_open, cache: false }
    }

    /// Forgets the engine without letting it say goodbye.
    pub(super) fn leave(&mut self) {
        self.site.disk.crash();
        self.snapshots.clear();
        self.taken_ns.clear();
        self.mode = Mode::Normal;
        self.was_maintained = false;
        self.waiting.clear();
        self.clients = Default::default();
        self.engine = None;
        if let Some(pager) = &self.site.pager {
            pager.end_operation();
        }
    }

    /// Opens, through further accidents if they are planned, and finds out what is there.
    pub(super) fn open(&mut self, mut loss: Loss) -> Result<(), String> {
        for _ in 0..OPENINGS_MAX {
            self.site.entropy_seed = self.site.entropy_seed.wrapping_add(1);
            let disk = Arc::clone(&self.site.disk);
            let faults_before = disk.faults_met();
            let failed_syncs_before = disk.failed_syncs();
            let opened = E::open(&self.site).map_err(Wrong::Error).and_then(|engine| {
                let found = everything(&engine)?;
                Ok((engine, found))
            });
            loss.unsynced |= disk.failed_syncs() > failed_syncs_before;
            if disk.is_crashed() {
                drop(opened);
                self.strike(&mut loss);
                continue;
            }
            match opened {
                Ok((engine, found)) => {
                    if let Some(replica) = &mut self.replica {
                        replica.may_be_ahead |= loss.unsynced;
                    }
                    if let Some(kept) = &mut self.kept {
                        kept.may_be_ahead |= loss.unsynced && (kept.increments.is_empty() || loss.cache);
                    }
                    self.model
                        .recovered(&found, loss.unsynced, loss.cache, !self.site.late_syncs)
                        .map_err(|what| format!("after opening: {what}"))?;
                    // Where syncs complete later it may still be half made.
                    self.made |= !self.site.late_syncs;
                    self.faults_at_open = faults_before;
                    self.failed_syncs_at_open = failed_syncs_before;
                    self.engine = Some(engine);
                    return match self.check_all() {
                        Err(Wrong::Error(_)) if disk.faults_met() > faults_before => Ok(()),
                        other => other.map_err(|wrong| format!("after opening: {}", wrong.into_words())),
                    };
                }
                Err(Wrong::Answer(what)) => return Err(format!("after opening: {what}")),
                // Half made, and nothing in it yet: a person would delete it and begin again.
                Err(Wrong::Error(Error::NotADatabase { .. })) if !self.made => disk.erase(),
                Err(Wrong::Error(error)) => {
                    if disk.faults_met() == faults_before {
                        return Err(format!("cannot open: {}: {error}", error.name()));
                    }
                    // A person would make room, or try again.
                    disk.limit(None);
                    self.limited = false;
                    disk.kill();
                }
            }
        }
        Err(format!("cannot open in {OPENINGS_MAX} attempts"))
    }
}

/// What may be gone since the last opening.
#[derive(Clone, Copy)]
pub(super) struct Loss {
    /// Acknowledged but not synced writes: the power went, or a sync failed.
    pub(super) unsynced: bool,
    /// All that was only in memory: the power went, so what is found now is on the disk.
    cache: bool,
}

impl Loss {
    pub(super) const NONE: Loss = Loss { unsynced: false, cache: false };
}
