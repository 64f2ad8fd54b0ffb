//! What the archive of the log has, and what must stay until it has it.
//!
//! **The rule of reuse.** A segment of the log is written anew, and the space of a value given out again, when none of these
//! needs it any more:
//! - *recovery*: what a durable checkpoint replays stays, and for one checkpoint longer, so that both superblocks hold
//!   (`checkpoint.rs`, `space/pending.rs`);
//! - *the archive*: commits after the last one it has, with the values they put, overwritten or not. What counts is what the
//!   newest **durable record** says that it has: a recovery reads that record and must come to the same decision, for what was
//!   given out again may hold values that only the log names;
//! - *feeds*: the newest segments, up to `feed_retention_bytes`;
//! - *snapshots*, and so backups under way: what they can read (`space/pending.rs`).
//!
//! **It is bounded.** What stays for the archive alone is at most [`hold_bytes`](ArchiveOptions::hold_bytes). Beyond that
//! the archive gets a gap: it goes on with the newest commit in the trees, and the gap is recorded and told until it is
//! acknowledged. Writers never wait for an archive.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;

use super::maintenance::{Request, Task, Work};
use super::state::Engine;
use crate::codec::bytes::{Reader, Writer};
use crate::error::{Error, Result};
use crate::increment::Place;
use crate::log::{Keep, Log};
use crate::space::PendingFree;
use crate::testing::Mutant;

/// Backups that may be protected at once.
pub(crate) const RETAINED_MAX: usize = 64;
/// A longer name of a folder is refused.
const FOLDER_BYTES_MAX: usize = 4096;

/// How commits are archived. Recorded in the database.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ArchiveOptions {
    /// The folder for the pieces, relative to that of the database; empty for one beside it, called as it is with `-archive`
    /// behind it. Not used where a sink of one's own is attached.
    pub folder: String,
    /// Log and overwritten values that stay in the database until they are archived, in bytes. Beyond that the archive gets
    /// a gap.
    pub hold_bytes: u64,
    /// A piece is completed this long after its first commit was found, in milliseconds: what a lost machine may take with it.
    pub interval_ms: u64,
    /// The oldest pieces are deleted when all together are larger than this.
    pub keep_bytes: Option<u64>,
    /// Pieces are deleted when their last commit was made longer ago than this, in milliseconds.
    pub keep_ms: Option<u64>,
}

impl Default for ArchiveOptions {
    fn default() -> Self {
        Self { folder: String::new(), hold_bytes: 256 << 20, interval_ms: 60_000, keep_bytes: None, keep_ms: None }
    }
}

/// Commits that were not archived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ArchiveGap {
    /// The last commit before them.
    pub after: u64,
    /// The last of them: backups from this commit on can be restored to later ones.
    pub until: u64,
    /// When the last of them was made, in milliseconds since 1970.
    pub time_ms: u64,
}

/// A backup whose commits since are not deleted before a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Retained {
    pub sequence: u64,
    /// In milliseconds since 1970.
    pub until_ms: u64,
}

/// What a checkpoint records of the archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ArchiveRecord {
    pub options: ArchiveOptions,
    /// Commits up to this one are archived, or are not to be.
    pub archived: Place,
    /// The newest gap.
    pub gap: Option<ArchiveGap>,
    /// At most [`RETAINED_MAX`].
    pub retained: Vec<Retained>,
}

impl ArchiveRecord {
    /// A clone that does not stand where there is no archive.
    #[inline(never)]
    pub(super) fn copied(&self) -> Box<Self> {
        Box::new(self.clone())
    }

    #[inline(never)]
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        let ArchiveOptions { folder, hold_bytes, interval_ms, keep_bytes, keep_ms } = &self.options;
        out.put_prefixed(folder.as_bytes());
        // No limit is one that is never reached.
        for field in [*hold_bytes, *interval_ms, keep_bytes.unwrap_or(u64::MAX), keep_ms.unwrap_or(u64::MAX)] {
            out.put_u64(field);
        }
        out.put_u64(self.archived.incarnation);
        out.put_u64(self.archived.sequence);
        out.put_u8(u8::from(self.gap.is_some()));
        if let Some(gap) = &self.gap {
            for field in [gap.after, gap.until, gap.time_ms] {
                out.put_u64(field);
            }
        }
        out.put_varint(self.retained.len() as u64);
        for retained in &self.retained {
            out.put_u64(retained.sequence);
            out.put_u64(retained.until_ms);
        }
    }

    #[inline(never)]
    pub(super) fn decode(reader: &mut Reader<'_>) -> Option<Box<Self>> {
        let folder = reader.prefixed().filter(|folder| folder.len() <= FOLDER_BYTES_MAX)?;
        let folder = String::from(core::str::from_utf8(folder).ok()?);
        let (hold_bytes, interval_ms) = (reader.u64()?, reader.u64()?);
        let [keep_bytes, keep_ms] = [reader.u64()?, reader.u64()?].map(|limit| (limit != u64::MAX).then_some(limit));
        let archived = Place { incarnation: reader.u64()?, sequence: reader.counter()? };
        let gap = match reader.u8()? {
            0 => None,
            1 => Some(ArchiveGap { after: reader.counter()?, until: reader.counter()?, time_ms: reader.u64()? }),
            _ => return None,
        };
        let count = reader.varint().filter(|&count| count <= RETAINED_MAX as u64)?;
        let mut retained = Vec::new();
        for _ in 0..count {
            retained.push(Retained { sequence: reader.counter()?, until_ms: reader.u64()? });
        }
        let options = ArchiveOptions { folder, hold_bytes, interval_ms, keep_bytes, keep_ms };
        Some(Box::new(Self { options, archived, gap, retained }))
    }
}

/// Up to which commit the archive that a record tells of has everything; all of them where there is none.
pub(super) fn archived_to(record: Option<&ArchiveRecord>) -> u64 {
    record.map_or(u64::MAX, |record| record.archived.sequence)
}

/// Whether the archive needs the value that lay there.
pub(super) fn is_held(free: &PendingFree, archived_to: u64) -> bool {
    free.until_archived > archived_to && !Mutant::ArchiveNotWaitedFor.is_active()
}

impl Engine {
    /// What is known of the archive now, where there is one.
    pub(crate) fn archive_record(&self) -> Option<Box<ArchiveRecord>> {
        self.archive.lock().as_deref().map(ArchiveRecord::copied)
    }

    #[cfg(feature = "std")]
    /// Changes what is known of the archive, and makes that durable. Restartable, as a change that is made again is the same.
    pub(crate) fn record_archive(
        &self,
        change: impl FnOnce(&mut Option<Box<ArchiveRecord>>) -> Result<()>,
    ) -> Result<()> {
        self.require_recordable()?;
        self.finish_opening()?;
        let changed = {
            let mut archive = self.archive.lock();
            let before = archive.clone();
            change(&mut archive)?;
            *archive != before
        };
        // What was broken off for want of bytes goes on.
        if changed || self.work.lock().request == Some(Request::Record) {
            let settled = |record: Option<&ArchiveRecord>| {
                record.map(|ArchiveRecord { options, gap, retained, .. }| (options.clone(), *gap, retained.clone()))
            };
            self.record(|work| settled(work.checkpoint_archive.as_deref()) == settled(self.archive.lock().as_deref()))?;
        }
        Ok(())
    }

    #[cfg(feature = "std")]
    /// Everything after `from` and up to `to` is archived, or was found to be. False where the archive was told meanwhile to go on
    /// from elsewhere.
    pub(crate) fn note_archived(&self, from: Place, to: Place) -> bool {
        match &mut *self.archive.lock() {
            Some(record) if record.archived == from => {
                record.archived = to;
                true
            }
            _ => false,
        }
    }

    #[cfg(feature = "std")]
    /// What comes next for the archive is no longer in the log: it goes on with the commits after the newest.
    pub(crate) fn archive_lost(&self, from: Place) {
        let version = self.version();
        let newest = Place { incarnation: self.incarnation_of(version.sequence), sequence: version.sequence };
        if let Some(record) = &mut *self.archive.lock()
            && record.archived == from
        {
            record.leave_gap(newest, version.time_ms);
        }
    }

    #[cfg(feature = "std")]
    /// Bytes of log and of overwritten values that wait for the archive.
    pub(crate) fn held_for_archive(&self) -> u64 {
        let Some(after) = self.archive.lock().as_ref().map(|record| record.archived.sequence) else { return 0 };
        let log = {
            let writer = self.writer.lock();
            writer.log.as_ref().map_or(0, |log| log.bytes_after(after, log.oldest_generation()))
        };
        log + self.space.lock().pending.bytes_until_archived(after)
    }

    /// What of the log before `generation` stays, where all commits up to `merged` are in the trees: for feeds, and for the
    /// archive, which gets a gap where that would be too much. The caller holds the lock of the writer.
    pub(super) fn keep_of_log(&self, log: &Log, generation: u64, (merged, time_ms): (u64, u64)) -> Keep {
        let bytes = self.options.feed_retention_bytes;
        let mut archive = self.archive.lock();
        match &mut *archive {
            None => Keep { bytes, after: None },
            Some(record) => self.keep_for_archive(record, log, generation, (merged, time_ms)),
        }
    }

    #[inline(never)]
    fn keep_for_archive(
        &self,
        record: &mut ArchiveRecord,
        log: &Log,
        generation: u64,
        (merged, time_ms): (u64, u64),
    ) -> Keep {
        let bytes = self.options.feed_retention_bytes;
        let after = record.archived.sequence;
        let held = log.bytes_after(after, generation) + self.space.lock().pending.bytes_until_archived(after);
        let too_much = held > record.options.hold_bytes && !Mutant::ArchiveUnbounded.is_active();
        if too_much || log.holds_after(after).is_none() {
            record.leave_gap(Place { incarnation: self.incarnation_of(merged), sequence: merged }, time_ms);
        }
        Keep { bytes, after: (!Mutant::LogNotKeptForArchive.is_active()).then_some(record.archived.sequence) }
    }

    /// Makes checkpoints until the newest durable record is as it is to be: one that was under way already may have been written
    /// before, and so may another's that is waited for.
    pub(super) fn record(&self, is_recorded: impl Fn(&Work) -> bool) -> Result<()> {
        const ATTEMPTS_MAX: u32 = 5;
        for _ in 0..ATTEMPTS_MAX {
            self.carry_out(Request::Record, |work| work.plan.push_back(Task::Checkpoint), &mut || {})?;
            if is_recorded(&self.work.lock()) {
                return Ok(());
            }
        }
        Err(Error::invalid(
            "what was to be recorded is not; it is with the next checkpoint, unless others change it meanwhile",
        ))
    }

    /// That a checkpoint can be made.
    pub(super) fn require_recordable(&self) -> Result<()> {
        match &self.writer.lock().stopped {
            Some(stopped) => Err(stopped.error()),
            None => Ok(()),
        }
    }
}

impl ArchiveRecord {
    fn leave_gap(&mut self, newest: Place, time_ms: u64) {
        // Of two the archive is useless between them, unless a backup was made there: told is all of it.
        let archived = self.archived.sequence.min(newest.sequence);
        let after = self.gap.as_ref().map_or(archived, |gap| gap.after.min(archived));
        self.gap = Some(ArchiveGap { after, until: newest.sequence, time_ms });
        self.archived = newest;
    }
}

/// Refuses what makes no sense.
#[cfg(feature = "std")]
pub(crate) fn require_valid(options: &ArchiveOptions) -> Result<()> {
    if options.folder.len() > FOLDER_BYTES_MAX {
        return Err(Error::LimitExceeded {
            what: "the length of the name of the archive's folder in bytes",
            value: options.folder.len() as u64,
            limit: FOLDER_BYTES_MAX as u64,
        });
    }
    if options.hold_bytes < 1 << 20 {
        return Err(Error::invalid("hold_bytes of an archive must be at least 1 MiB"));
    }
    Ok(())
}
