//! The archive of the log: every commit, in pieces that go to a sink of their own while the database is used.
//!
//! A piece is an [increment](super::increment): it begins where the one before ended, so a backup and the pieces after it are the
//! database as it was after any commit since. What has not been archived stays in the log and in the data file, up to a limit:
//! see `engine/archive.rs`.

use std::boxed::Box;
use std::string::String;
use std::sync::Arc;
use std::time::Duration;
use std::vec::Vec;

use core::fmt;

#[cfg(any(unix, windows))]
use super::archive_folder::ArchiveFolder;
use super::archive_thread;
use super::database::{Database, Shared};
use super::feed::FeedPosition;
use super::increment::Increment;
use super::pieces::Pieces;
use super::stoppable_thread::StoppableThread;
use crate::engine::{ArchiveGap, ArchiveOptions, ArchiveRecord, Engine, RETAINED_MAX, Retained, require_valid};
use crate::env::sync::Mutex;
use crate::error::{Error, Result};
use crate::increment::{END_BYTES, Ends, HEADER_BYTES, Place};
use crate::testing::Mutant;

/// A piece ends with the commit with which it comes to so many bytes.
const PIECE_BYTES: u64 = 16 << 20;
/// What is deleted at once; more the next time.
const PRUNED_MAX: usize = 1000;

/// Where the pieces of an archive go: a folder, or whatever keeps files.
///
/// One piece is written at a time. Methods may block; they are called by the thread of the archive, or by whoever calls
/// [`Database::archive_step`], and never while the database is locked.
pub trait ArchiveSink: Send + Sync + fmt::Debug {
    /// The names of all pieces, in any order; without one that was not finished.
    fn list(&self) -> Result<Vec<String>>;
    /// Fills `buf` with bytes of a piece, from `offset` on, as many as there are; gives how many.
    fn read_at(&self, name: &str, offset: u64, buf: &mut [u8]) -> Result<usize>;
    /// Bytes of a piece.
    fn len(&self, name: &str) -> Result<u64>;
    /// Begins a new piece. One that was begun and not finished is forgotten.
    fn begin(&self) -> Result<()>;
    /// Appends bytes to it.
    fn write(&self, bytes: &[u8]) -> Result<()>;
    /// All of it is there. When this has answered, it survives whatever may happen to this machine's power, under this name.
    /// No piece has the name yet.
    fn finish(&self, name: &str) -> Result<()>;
    /// Deletes a piece.
    fn remove(&self, name: &str) -> Result<()>;
}

/// A piece of an archive.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ArchivePiece {
    /// Its name in the sink.
    pub name: String,
    /// The commit before its first one.
    pub after: FeedPosition,
    /// Its last commit.
    pub to: FeedPosition,
    /// When that was made, in milliseconds since 1970.
    pub time_ms: u64,
    /// Bytes of it.
    pub bytes: u64,
    pub(super) database_id: [u8; 16],
}

/// How an archive does.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ArchiveStatus {
    /// How it is kept.
    pub options: ArchiveOptions,
    /// The last commit that it has, or the one after which it begins.
    pub archived: FeedPosition,
    /// The newest commit.
    pub newest: u64,
    /// Log and overwritten values that the database holds for it, in bytes.
    pub held_bytes: u64,
    /// Commits that it lacks, because the limit was reached before they were archived. A backup since then is whole, and
    /// so is the archive behind it.
    pub gap: Option<ArchiveGap>,
    /// Why the last attempt failed, where it did: it is tried again.
    pub failed: Option<String>,
    /// Whether there is a sink. A database that was not opened by its path has one when it is
    /// [attached](Database::attach_archive).
    pub attached: bool,
    /// The oldest commit after which pieces are protected for a backup, and until when, in milliseconds since 1970.
    pub retained: Option<(u64, u64)>,
}

/// What was deleted of an archive.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Pruned {
    /// Pieces that were deleted.
    pub pieces: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Pieces that are beyond the limits and stay, because a backup that is still protected needs them.
    pub protected: u64,
}

/// The sink of one database, and what is under way to it.
#[derive(Debug, Default)]
pub(super) struct Archive {
    sink: Mutex<Option<Arc<dyn ArchiveSink>>>,
    /// Why the last attempt failed. Not under `work`, which is held while the sink is waited for.
    failed: Mutex<Option<String>>,
    work: Mutex<Work>,
    pub(super) thread: StoppableThread,
}

#[derive(Debug, Default)]
struct Work {
    /// Begun after this commit.
    piece: Option<(Place, Box<Increment>)>,
    /// When the first commit that is not archived was found, by the monotonic clock.
    found_ns: Option<u64>,
    /// The pieces that are there go with the database.
    is_known: bool,
    /// The sink has done what was asked of it since the last failure.
    has_worked: bool,
}

impl Database {
    /// Begins to archive every commit after this, or changes how that is done; it is recorded in the database, and goes on
    /// whenever it is opened for writing. A gap that was told is acknowledged. Make a [backup](Self::backup) afterwards: with it
    /// and the archive the database can be [restored](Self::restore) to any commit since.
    ///
    /// ```
    /// # fn main() -> Result<(), lightning_db::Error> {
    /// # let folder = std::env::temp_dir().join(format!("lightning-archive-doc-{}", std::process::id()));
    /// # std::fs::create_dir_all(&folder).unwrap();
    /// use lightning_db::{ArchiveOptions, Database, Options, ReplayUntil, Table};
    /// const WORDS: Table<&str, u64> = Table::new("words");
    ///
    /// let db = Database::open(folder.join("app.ldb"), Options::default())?;
    /// db.archive_on(ArchiveOptions::default())?;
    /// db.backup_to(folder.join("monday.ldb"), &mut |_| {})?;
    /// db.table(WORDS)?.put("one", 1)?;
    /// let wanted = db.snapshot().sequence();
    /// db.table(WORDS)?.put("two", 2)?;
    /// db.close()?;
    ///
    /// let archive = folder.join("app.ldb-archive");
    /// let until = ReplayUntil::Sequence(wanted);
    /// Database::restore(folder.join("new.ldb"), folder.join("monday.ldb"), &[archive], until, &mut |_| {})?;
    /// let restored = Database::open(folder.join("new.ldb"), Options::default())?;
    /// assert_eq!(restored.table(WORDS)?.get("one")?, Some(1));
    /// assert_eq!(restored.table(WORDS)?.get("two")?, None);
    /// # drop(restored);
    /// # std::fs::remove_dir_all(&folder).unwrap();
    /// # Ok(())
    /// # }
    /// ```
    pub fn archive_on(&self, options: ArchiveOptions) -> Result<()> {
        require_valid(&options)?;
        let Shared { engine, archive, .. } = &*self.shared;
        let own = self.shared.own_sink(&options.folder);
        if let Some(sink) = own.clone().or_else(|| archive.sink()) {
            require_own_pieces(engine, &pieces_of(&*sink)?)?;
        }
        // In this order: no crash takes back what counts as archived.
        let newest: Place = self.snapshot().position().into();
        engine.make_all_durable()?;
        let mut elsewhere = false;
        engine.record_archive(|record| {
            *record = Some(Box::new(match record.take() {
                None => ArchiveRecord { options, archived: newest, gap: None, retained: Vec::new() },
                // What is there goes on; in another folder it begins anew.
                Some(old) => {
                    elsewhere = old.options.folder != options.folder;
                    let archived = if elsewhere { newest } else { old.archived };
                    ArchiveRecord { options, archived, gap: None, ..*old }
                }
            }));
            Ok(())
        })?;
        if let Some(own) = own.filter(|_| elsewhere || archive.sink().is_none()) {
            archive.attach(own);
        }
        self.shared.start_archiving();
        Ok(())
    }

    /// Archives nothing any more, and holds nothing for it. What is in the archive stays.
    pub fn archive_off(&self) -> Result<()> {
        self.shared.engine.record_archive(|record| {
            *record = None;
            Ok(())
        })?;
        *self.shared.archive.failed.lock() = None;
        Ok(())
    }

    /// How the archive does; `None` where there is none.
    pub fn archive_status(&self) -> Option<ArchiveStatus> {
        let Shared { engine, archive, .. } = &*self.shared;
        let record = engine.archive_record()?;
        Some(ArchiveStatus {
            archived: record.archived.into(),
            newest: engine.version().sequence,
            held_bytes: engine.held_for_archive(),
            gap: record.gap,
            failed: archive.failed.lock().clone(),
            attached: archive.sink().is_some(),
            retained: record.retained.iter().map(|one| (one.sequence, one.until_ms)).min(),
            options: record.options,
        })
    }

    /// The sink that the archive goes to, instead of a folder. It is not recorded: whoever opens the database attaches it again.
    pub fn attach_archive(&self, sink: Arc<dyn ArchiveSink>) {
        self.shared.archive.attach(sink);
        self.shared.start_archiving();
    }

    /// Archives what is committed, for a bounded while; tells whether there is more to do now. Only needed without a background
    /// thread. With `complete` it does not wait until a piece is due.
    pub fn archive_step(&self, complete: bool) -> Result<bool> {
        if self.shared.options.read_only {
            return Err(Error::ReadOnly);
        }
        self.shared.archive.step(&self.shared.engine, complete)
    }

    /// Archives everything that is committed now.
    pub fn archive_now(&self) -> Result<()> {
        while self.archive_step(true)? {
            Error::if_cancelled()?;
        }
        Ok(())
    }

    /// The pieces in the archive, oldest first.
    pub fn archive_pieces(&self) -> Result<Vec<ArchivePiece>> {
        pieces_of(&*self.shared.archive.sink().ok_or_else(no_sink)?)
    }

    /// Protects what a backup needs to be restored to any later commit: pieces of the archive after it are not deleted before
    /// this time, in milliseconds since 1970, however old or many they are. At most 64 backups are protected at once.
    pub fn retain_archive(&self, backup: FeedPosition, until_ms: u64) -> Result<()> {
        let now_ms = self.shared.engine.env.clock.wall_ms();
        self.shared.engine.require_part_of_history(backup.into())?;
        self.shared.engine.record_archive(|record| {
            let Some(record) = record else {
                return Err(Error::invalid("there is no archive to protect; begin one with archive_on"));
            };
            record.retained.retain(|one| one.until_ms > now_ms);
            if record.retained.len() >= RETAINED_MAX {
                return Err(Error::LimitExceeded {
                    what: "the number of backups that the archive is protected for",
                    value: record.retained.len() as u64 + 1,
                    limit: RETAINED_MAX as u64,
                });
            }
            record.retained.push(Retained { sequence: backup.sequence, until_ms });
            Ok(())
        })
    }

    /// Deletes the oldest pieces that are beyond the limits of the archive and that no protected backup needs. It is done after
    /// each piece, too.
    pub fn archive_prune(&self) -> Result<Pruned> {
        if self.shared.engine.archive_record().is_none() {
            return Err(Error::invalid("it is not archived; begin with archive_on"));
        }
        let sink = self.shared.archive.sink().ok_or_else(no_sink)?;
        prune(&self.shared.engine, &*sink)
    }
}

#[cold]
fn no_sink() -> Error {
    Error::invalid("the archive has no sink: open the database by its path, or attach one")
}

impl Shared {
    /// The folder of an archive, for a database that was opened by its path.
    fn own_sink(&self, folder: &str) -> Option<Arc<dyn ArchiveSink>> {
        #[cfg(any(unix, windows))]
        return self.registered.as_ref().map(|path| Arc::new(ArchiveFolder::of(path, folder)) as Arc<dyn ArchiveSink>);
        #[cfg(not(any(unix, windows)))]
        return None;
    }

    /// An archive that was asked for earlier goes on.
    pub(super) fn go_on_archiving(&self) {
        let Some(record) = self.engine.archive_record() else { return };
        if let Some(sink) = self.own_sink(&record.options.folder) {
            self.archive.attach(sink);
        }
        self.start_archiving();
    }

    fn start_archiving(&self) {
        if let Some(record) = self.engine.archive_record()
            && self.background.is_some()
            && self.archive.sink().is_some()
        {
            archive_thread::start(&self.archive, &self.engine, Duration::from_millis(record.options.interval_ms));
        }
    }

    /// What was committed is archived before the database is closed. What cannot be is kept in the log.
    pub(super) fn archive_the_rest(&self) {
        if self.options.read_only || self.archive.sink().is_none() {
            return;
        }
        while matches!(self.archive.step(&self.engine, true), Ok(true)) {}
    }
}

impl Archive {
    fn sink(&self) -> Option<Arc<dyn ArchiveSink>> {
        self.sink.lock().clone()
    }

    fn attach(&self, sink: Arc<dyn ArchiveSink>) {
        let mut work = self.work.lock();
        *work = Work::default();
        *self.sink.lock() = Some(sink);
        *self.failed.lock() = None;
    }

    /// Whether the last attempt failed.
    pub(super) fn is_failing(&self) -> bool {
        self.failed.lock().is_some()
    }

    /// What [`Database::archive_step`] does. After a failure the piece is begun anew.
    pub(super) fn step(&self, engine: &Arc<Engine>, complete: bool) -> Result<bool> {
        let mut work = self.work.lock();
        let stepped = match (self.sink(), engine.archive_record()) {
            (_, None) => {
                *work = Work::default();
                Ok(false)
            }
            (None, Some(_)) => Err(no_sink()),
            (Some(sink), Some(record)) => work.step(&Turn { engine, sink: &*sink, record: &record, complete }),
        };
        match &stepped {
            // Where there was nothing to do nobody knows.
            Ok(_) if core::mem::take(&mut work.has_worked) => *self.failed.lock() = None,
            Ok(_) => {}
            Err(error) if error.not_resident().is_some() || matches!(error, Error::Pending(_)) => {}
            Err(error) if error.is_suspended() => {}
            Err(error) => {
                work.piece = None;
                *self.failed.lock() = Some(std::format!("{error}"));
            }
        }
        stepped
    }
}

/// What one step of the archive is given.
#[derive(Clone, Copy)]
struct Turn<'a> {
    engine: &'a Arc<Engine>,
    sink: &'a dyn ArchiveSink,
    record: &'a ArchiveRecord,
    /// Whether it does not wait until a piece is due.
    complete: bool,
}

impl Work {
    fn step(&mut self, turn: &Turn<'_>) -> Result<bool> {
        let Turn { engine, sink, record, .. } = *turn;
        if !self.is_known {
            let pieces = pieces_of(sink)?;
            require_own_pieces(engine, &pieces)?;
            adopt(engine, &pieces, record.archived);
            (self.is_known, self.has_worked) = (true, true);
            return Ok(true);
        }
        let from = record.archived;
        if self.piece.as_ref().is_some_and(|(began, _)| *began != from) {
            // It was told to go on from elsewhere.
            self.piece = None;
        }
        let Some((_, piece)) = &mut self.piece else { return self.begin(turn) };
        let more = piece.go_on()?;
        let made = piece.take_made();
        if !made.is_empty() {
            sink.write(&made)?;
        }
        if more {
            return Ok(true);
        }
        let to: Place = piece.position().into();
        let believed = Mutant::PieceBelievedEarly.is_active() && engine.note_archived(from, to);
        sink.finish(&name_of(from, to))?;
        (self.piece, self.found_ns, self.has_worked) = (None, None, true);
        if believed || engine.note_archived(from, to) {
            prune(engine, sink)?;
        }
        Ok(engine.followable() > to.sequence)
    }

    fn begin(&mut self, turn: &Turn<'_>) -> Result<bool> {
        let Turn { engine, sink, record, complete } = *turn;
        let from = record.archived;
        if engine.require_part_of_history(from).is_err() {
            // Somebody put other files in the place of these.
            engine.archive_lost(from);
            return Ok(true);
        }
        if engine.followable() <= from.sequence {
            self.found_ns = None;
            return Ok(false);
        }
        let now_ns = engine.env.clock.monotonic_ns();
        let found_ns = *self.found_ns.get_or_insert(now_ns);
        let due = now_ns.saturating_sub(found_ns) >= record.options.interval_ms.saturating_mul(1_000_000);
        // A piece is a file or an object: few of them, unless there is much to say.
        if !complete && !due && engine.held_for_archive() < PIECE_BYTES.min(record.options.hold_bytes / 4) {
            return Ok(false);
        }
        let piece = match Increment::begin(engine, from.into()) {
            Err(Error::NoLongerKept { .. }) => {
                engine.archive_lost(from);
                return Ok(true);
            }
            begun => begun?.up_to_bytes(PIECE_BYTES),
        };
        sink.begin()?;
        self.piece = Some((from, Box::new(piece)));
        Ok(true)
    }
}

/// A folder holds the pieces of one history of one database: else nobody could tell which of two is to be restored.
fn require_own_pieces(engine: &Engine, pieces: &[ArchivePiece]) -> Result<()> {
    let Some(newest) = pieces.last() else { return Ok(()) };
    let whose = if newest.database_id != *engine.database_id() {
        "of another database"
    } else if engine.require_part_of_history(newest.to.into()).is_err() {
        "of another history of this database"
    } else {
        return Ok(());
    };
    let what = std::format!("the archive holds '{}', {whose}; name another folder for it", newest.name);
    Err(Error::invalid(what))
}

/// What was archived after the newest checkpoint need not be archived again.
fn adopt(engine: &Engine, pieces: &[ArchivePiece], mut archived: Place) {
    for piece in pieces {
        let to: Place = piece.to.into();
        if piece.after.sequence <= archived.sequence && to.sequence > archived.sequence {
            engine.note_archived(archived, to);
            archived = to;
        }
    }
}

/// The pieces in a sink, oldest first.
fn pieces_of(sink: &dyn ArchiveSink) -> Result<Vec<ArchivePiece>> {
    let mut pieces = names_of(sink)?.into_iter().map(|name| piece_of(sink, name)).collect::<Result<Vec<_>>>()?;
    pieces.sort_by_key(|piece| (piece.after.sequence(), piece.to.sequence()));
    Ok(pieces)
}

/// The names of pieces, which are in the order of the commits. What is called otherwise is none.
fn names_of(sink: &dyn ArchiveSink) -> Result<Vec<String>> {
    Ok(names_among(sink.list()?).map(|(name, _)| name).collect())
}

/// Those of them that are names of pieces, in the order of the commits, with the first and the last commit that they tell.
pub(super) fn names_among(mut names: Vec<String>) -> impl Iterator<Item = (String, (u64, u64))> {
    names.sort_unstable();
    names.into_iter().filter_map(|name| commits_of(&name).map(|commits| (name, commits)))
}

fn piece_of(sink: &dyn ArchiveSink, name: String) -> Result<ArchivePiece> {
    let damaged = || Error::DamagedBackup { offset: 0, what: std::format!("'{name}' is no whole piece of an archive") };
    let bytes = sink.len(&name)?;
    let (mut first, mut last) = ([0; HEADER_BYTES], [0; END_BYTES]);
    let last_at = bytes.checked_sub(END_BYTES as u64).ok_or_else(damaged)?;
    if sink.read_at(&name, 0, &mut first)? != HEADER_BYTES || sink.read_at(&name, last_at, &mut last)? != END_BYTES {
        return Err(damaged());
    }
    let Ends { database_id, after, end } = Ends::decode(&first, &last).ok_or_else(damaged)?;
    let (after, to, time_ms) = (after.into(), end.at.into(), end.time_ms);
    Ok(ArchivePiece { name, after, to, time_ms, bytes, database_id })
}

/// Of the first and the last commit in it, so that the names are in the order of the commits.
fn name_of(after: Place, to: Place) -> String {
    std::format!("{:020}-{:020}{SUFFIX}", after.sequence + 1, to.sequence)
}

const SUFFIX: &str = ".increment";

fn commits_of(name: &str) -> Option<(u64, u64)> {
    let number = |part: &str| part.parse().ok().filter(|_| part.len() == 20 && !part.starts_with('+'));
    let (first, last) = name.strip_suffix(SUFFIX)?.split_once('-')?;
    Some((number(first)?, number(last)?))
}

/// Deletes what is beyond the limits. The newest piece stays always.
fn prune(engine: &Engine, sink: &dyn ArchiveSink) -> Result<Pruned> {
    let mut pruned = Pruned::default();
    let Some(record) = engine.archive_record() else { return Ok(pruned) };
    let ArchiveOptions { keep_bytes, keep_ms, .. } = record.options;
    if keep_bytes.is_none() && keep_ms.is_none() {
        return Ok(pruned);
    }
    let wall_ms = engine.env.clock.wall_ms();
    let needed = record.retained.iter().filter(|one| one.until_ms > wall_ms).map(|one| one.sequence).min();
    let mut names = names_of(sink)?;
    let mut bytes = 0;
    if keep_bytes.is_some() {
        for name in &names {
            bytes += sink.len(name)?;
        }
    }
    let Some(newest) = names.pop() else { return Ok(pruned) };
    // A clock that was set ahead makes nothing older than the commits after it are.
    let now_ms = wall_ms.min(piece_of(sink, newest)?.time_ms);
    for name in names.into_iter().take(PRUNED_MAX) {
        let piece = piece_of(sink, name)?;
        let too_many = keep_bytes.is_some_and(|limit| bytes > limit);
        let too_old = keep_ms.is_some_and(|limit| now_ms.saturating_sub(piece.time_ms) > limit);
        if !too_many && !too_old {
            break;
        }
        if needed.is_some_and(|needed| piece.to.sequence() > needed) {
            pruned.protected += 1;
            continue;
        }
        sink.remove(&piece.name)?;
        bytes = bytes.saturating_sub(piece.bytes);
        pruned.pieces += 1;
        pruned.bytes += piece.bytes;
    }
    Ok(pruned)
}
