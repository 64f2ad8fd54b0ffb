//! What is not as it should be, and what to do about it. It reads what is known anyway and nothing from storage.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use super::guard::Mode;
use super::state::{Engine, Stopped};
use super::stats::Stats;
use crate::error::Error;

/// How bad something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// As somebody wanted it, or over by itself.
    Notice,
    /// Everything works still; it will not, if nothing is done.
    Warning,
    /// Something does not work.
    Critical,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Severity::Notice => "notice",
            Severity::Warning => "warning",
            Severity::Critical => "critical",
        })
    }
}

/// Something that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Finding {
    /// A name that stays the same, as `docs/operations.md` lists them.
    pub name: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// What was found, with its figures.
    pub cause: String,
    /// What to do.
    pub remedy: &'static str,
}

/// How a database is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Health {
    /// What is not as it should be, the worst first.
    pub findings: Vec<Finding>,
}

impl Health {
    /// The worst of the findings; `None` when there are none.
    pub fn severity(&self) -> Option<Severity> {
        self.findings.iter().map(|finding| finding.severity).max()
    }

    /// Whether everything works, and will go on to.
    pub fn is_well(&self) -> bool {
        self.severity() <= Some(Severity::Notice)
    }

    fn add(&mut self, severity: Severity, name: &'static str, cause: String, remedy: &'static str) {
        self.findings.push(Finding { name, severity, cause, remedy });
    }
}

/// A part of a limit from which on it is told, in hundredths.
const NEARLY: u64 = 90;

fn is_near(used: u64, limit: u64) -> bool {
    u128::from(used) * 100 >= u128::from(limit) * u128::from(NEARLY)
}

fn note_archive(health: &mut Health, stats: &Stats) {
    let held = stats.archive_held_bytes;
    if stats.archive_gap {
        let cause = String::from("the archive lacks commits: it could not be written to for too long");
        let remedy = "see to its folder, say 'archive on' again, and make a backup: what lies before it can only be restored up to the gap";
        health.add(Severity::Critical, "archive-gap", cause, remedy);
    } else if stats.archive_failing {
        let cause = format!("the archive cannot be written to; {held} bytes are held for it");
        let remedy = "see to its folder (room, permissions); it is tried again by itself, until too much would be held";
        health.add(Severity::Warning, "archive-failing", cause, remedy);
    }
}

#[cfg(feature = "encryption")]
fn note_reencryption(health: &mut Health, stats: &Stats) {
    let Some(under_way) = &stats.reencryption else { return };
    let stage = under_way.stage.name();
    match &under_way.waiting_for {
        None => {
            let cause = format!("everything is being encrypted anew ({stage}); the data key of before is still needed");
            let remedy = "nothing: it goes on by itself while the database is open and written to";
            health.add(Severity::Notice, "reencryption", cause, remedy);
        }
        Some(what) => {
            let cause = format!(
                "everything is being encrypted anew ({stage}), which waits for {what}; the data key of before is still needed"
            );
            let remedy = "see to what it waits for; it goes on by itself afterwards";
            health.add(Severity::Warning, "reencryption-waiting", cause, remedy);
        }
    }
}

impl Engine {
    /// What is not as it should be now.
    pub(crate) fn health(&self, stats: &Stats) -> Health {
        let mut health = Health::default();
        self.note_stopped(&mut health);
        self.note_storage(&mut health);
        self.note_damage(&mut health, stats);
        self.note_space(&mut health, stats);
        self.note_held(&mut health, stats);
        self.note_scrub(&mut health, stats);
        note_archive(&mut health, stats);
        if self.is_frozen() {
            let cause = String::from("the database is frozen: whoever opens it finds it read-only");
            let remedy = "nothing, if it is to be so; 'lightning mode DATABASE normal' lets it be written to again";
            health.add(Severity::Notice, "frozen", cause, remedy);
        }
        if let Some(healed) = self.healed.in_words() {
            let remedy = "nothing was lost, and nothing has to be done; but what damaged one place may damage others: verify \
                          everything, see to the medium, make a backup";
            health.add(Severity::Notice, "healed", healed, remedy);
        }
        #[cfg(feature = "encryption")]
        note_reencryption(&mut health, stats);
        health.findings.sort_by_key(|finding| core::cmp::Reverse(finding.severity));
        health
    }

    fn note_stopped(&self, health: &mut Health) {
        let stopped = self.writer.lock().stopped.clone();
        match stopped {
            Some(Stopped::Poisoned(cause)) => health.add(
                Severity::Critical,
                "poisoned",
                format!("writing has stopped: {cause}"),
                "see to the medium, then close the database and open it again: opening finds out what is durable",
            ),
            Some(Stopped::Suspended) => health.add(
                Severity::Notice,
                "suspended",
                String::from("the database is suspended: it writes nothing, and reads what is in memory"),
                "resume it",
            ),
            Some(Stopped::Closing | Stopped::Closed | Stopped::ShutDown) => {
                health.add(Severity::Notice, "closed", String::from("the database is closed"), "open it again")
            }
            Some(Stopped::ReadOnly) | None => {}
        }
        match self.guard.mode() {
            Mode::Normal => {}
            // It is told by its own name.
            Mode::ReadOnly if self.is_frozen() => {}
            mode => health.add(
                Severity::Notice,
                "mode",
                format!("the database is in {mode} mode"),
                "set the mode back to normal when what it was set for is done",
            ),
        }
    }

    fn note_storage(&self, health: &mut Health) {
        const MEDIUM: &str =
            "see to the medium and its connection (the system's log says more); it is tried again by itself";
        if let Some(ms) = self.guarded.refused_ms() {
            let cause = format!("reading keeps failing; it is tried again in {ms} ms, until then reads are refused");
            health.add(Severity::Critical, "reads-failing", cause, MEDIUM);
        }
        if let Some(ms) = self.guard.appends_refused_ms(self.env.clock.monotonic_ns()) {
            let cause = format!(
                "writing to the log keeps failing; it is tried again in {ms} ms, until then writes are refused"
            );
            health.add(Severity::Critical, "writes-failing", cause, MEDIUM);
        }
        let appended = self.writer.lock().appended;
        let refused = self.guard.refused_after(appended);
        let failed = self.work.lock().failed.clone();
        let full = [&refused, &failed].into_iter().flatten().find(|error| error.is_full()).cloned();
        match full {
            Some(full) => health.add(
                Severity::Critical,
                "storage-full",
                format!("there is no room: {full}"),
                "free some space; nothing acknowledged was lost, and writing goes on by itself when there is room",
            ),
            None => {
                // Of what has ended writing it is told above.
                let ended = |error: &Error| matches!(error, Error::Poisoned { .. } | Error::Closed | Error::ReadOnly);
                if let Some(error) = failed.filter(|error| !error.is_refused_for_now() && !ended(error)) {
                    health.add(
                        Severity::Warning,
                        "background-failing",
                        format!("background work fails: {error}"),
                        "as the message says; until it succeeds the log and the memory fill up, and then writers wait",
                    );
                }
            }
        }
    }

    fn note_damage(&self, health: &mut Health, stats: &Stats) {
        if stats.damaged {
            let first = self.work.lock().avoided.first.as_ref().map(|error| format!("; first met: {error}"));
            health.add(
                Severity::Critical,
                "damaged",
                format!(
                    "{} bytes of the data file cannot be read, in extents: {}{}",
                    stats.quarantined_bytes,
                    stats.quarantined,
                    first.unwrap_or_default()
                ),
                "everything else works; run 'lightning check' for the keys concerned, make a backup of what is whole with \
                 'lightning repair', or restore a backup",
            );
        }
    }

    fn note_space(&self, health: &mut Health, stats: &Stats) {
        let file_max = self.options.limits.file_bytes_max;
        let did_not_fit =
            matches!(&self.work.lock().failed, Some(Error::LimitExceeded { limit, .. }) if *limit == file_max);
        if did_not_fit || is_near(stats.used_bytes.saturating_add(stats.pending_bytes), file_max) {
            health.add(
                Severity::Warning,
                "file-nearly-full",
                format!("{} bytes of the data file are in use, of at most {file_max}", stats.used_bytes),
                "delete what is not needed, drop old snapshots, or raise file_bytes_max",
            );
        }
        if self.log_is_full.load(crate::env::sync::atomic::Ordering::Relaxed) {
            health.add(
                Severity::Warning,
                "log-nearly-full",
                format!(
                    "the log holds {} bytes, of at most {}; writers wait",
                    stats.log_bytes, self.options.log_bytes_max
                ),
                "wait until background work has caught up; if this lasts, look at what else is found here, or raise \
                 log_bytes_max",
            );
        }
    }

    #[cfg(test)]
    pub(crate) fn pretend_log_is_full(&self) {
        self.log_is_full.store(true, crate::env::sync::atomic::Ordering::Relaxed);
    }

    fn note_held(&self, health: &mut Health, stats: &Stats) {
        let limits = &self.options.limits;
        // One that is young and pins much is as it should be: somebody reads while others write.
        let is_old = stats.snapshot_oldest_ms.saturating_mul(2) >= limits.snapshot_ms_max;
        let is_minutes = stats.snapshot_oldest_ms >= 5 * 60 * 1000;
        let pins_much = stats.snapshot_pinned_bytes.saturating_mul(4) >= stats.file_bytes;
        if stats.snapshots > 0 && (is_old || is_minutes && pins_much) {
            health.add(
                Severity::Warning,
                "snapshot-old",
                format!(
                    "{} snapshots, cursors or transactions hold states that were replaced, the oldest {} ms ago; {} bytes \
                     cannot be used again because of them",
                    stats.snapshots, stats.snapshot_oldest_ms, stats.snapshot_pinned_bytes
                ),
                "let them end; they expire by themselves at snapshot_ms_max",
            );
        }
        if is_near(stats.transactions, limits.transactions_max as u64) {
            health.add(
                Severity::Warning,
                "transactions-nearly-too-many",
                format!(
                    "{} interactive transactions are open, of at most {}",
                    stats.transactions, limits.transactions_max
                ),
                "look for one that is begun and neither committed nor dropped",
            );
        }
    }

    fn note_scrub(&self, health: &mut Health, stats: &Stats) {
        if let Some(late_ms) = self.scrubs.late_ms(self.env.clock.monotonic_ns()) {
            health.add(
                Severity::Warning,
                "scrub-overdue",
                format!(
                    "verifying everything stored is {} s late; {} bytes of {} are done",
                    late_ms / 1000,
                    stats.scrub_bytes,
                    stats.scrub_bytes_all
                ),
                "the medium is slow, or fails: see what else is found here; or raise scrub_interval_s",
            );
        }
        if let Some(error) = self.scrubs.failed() {
            health.add(
                Severity::Warning,
                "scrub-failing",
                format!("verifying everything stored has failed: {error}"),
                "as the message says; it begins anew at its next turn",
            );
        }
    }
}
