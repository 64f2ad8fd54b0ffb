//! Backups and their increments in files: made, verified, restored.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::archive::names_among;
use super::backup::{Backup, BackupProgress};
use super::backup_source::BackupSource;
use super::database::Database;
use super::feed::FeedPosition;
use super::filling::Filling;
use super::increment::IncrementProgress;
use super::options::Options;
use super::partial::{Partial, failed, failed_called, require_absent};
use super::pieces::REST_MAX;
use super::replay::{ReplayReport, ReplayUntil, decoder, require_follows, require_same_history};
use crate::engine::{CheckReport, Environment};
use crate::env::{FileStorage, OpenMode, Storage, SystemClock, SystemEntropy, beside};
use crate::error::{Error, Result};
#[cfg(feature = "encryption")]
use crate::increment::Opener;
use crate::increment::{Decoder, Event, History};

/// Bytes that are read at once.
const PIECE_BYTES: usize = 256 << 10;

/// What a verified backup and its increments hold.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct BackupReport {
    /// What [`check`](Database::check) says of the backup itself.
    pub base: CheckReport,
    /// The commit that the backup is of.
    pub from: FeedPosition,
    /// The last commit of the last increment.
    pub to: FeedPosition,
    /// Commits in the increments that the backup does not have.
    pub commits: u64,
    /// When the first and the last of them were made, in milliseconds since 1970.
    pub times_ms: Option<(u64, u64)>,
}

/// What was restored.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RestoreReport {
    /// Up to which commit, and what came of increments.
    pub replayed: ReplayReport,
    /// What [`check`](Database::check) says of all of it.
    pub check: CheckReport,
}

/// What [`Database::restore`] is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RestoreProgress<'a> {
    /// Bytes of the backup that were copied.
    Copying(u64),
    /// Commits of increments that were taken in.
    Replaying(&'a ReplayReport),
    /// Everything that was restored is read and verified.
    Verifying(&'a CheckReport),
}

impl Database {
    /// Writes a copy of the database as it is now to a new file, `to`, which must not exist. It gets its name when it is
    /// whole and on the medium. Until then it is called `to` with `-partial` behind it; a crash leaves that, and it is to be
    /// deleted before the next one.
    pub fn backup_to(&self, to: impl AsRef<Path>, progress: &mut dyn FnMut(&BackupProgress)) -> Result<BackupProgress> {
        self.backup().write_to(to, progress)
    }

    /// Writes an [increment](Self::increment) of everything since to a new file, as [`backup_to`](Self::backup_to) does.
    pub fn increment_to(
        &self,
        to: impl AsRef<Path>,
        since: FeedPosition,
        progress: &mut dyn FnMut(&IncrementProgress),
    ) -> Result<IncrementProgress> {
        let mut increment = self.increment(since)?;
        Filling::create(to.as_ref())?.fill(&mut increment, progress)?;
        Ok(increment.progress())
    }

    /// Makes the database in a new file, `to`, from a backup and its increments, in their order, up to `until`. A folder among
    /// them is an [archive](Self::archive_on): of its pieces those are taken that follow the backup. Nothing may be
    /// there: no database, no log and no lock of one. Everything is verified and on the medium before it gets its name; until then it
    /// is called `to` with `-partial` behind it.
    pub fn restore(
        to: impl AsRef<Path>,
        backup: impl AsRef<Path>,
        increments: &[PathBuf],
        until: ReplayUntil,
        progress: &mut dyn FnMut(RestoreProgress<'_>),
    ) -> Result<RestoreReport> {
        let increments: Vec<_> = increments.iter().map(|path| path as &dyn BackupSource).collect();
        Self::restore_from(to, &backup.as_ref().to_owned(), &increments, until, &Options::default(), progress)
    }

    /// As [`restore`](Self::restore), from wherever they are kept, and with these options: the key that opens an encrypted backup,
    /// the memory it may take.
    pub fn restore_from(
        to: impl AsRef<Path>,
        backup: &dyn BackupSource,
        increments: &[&dyn BackupSource],
        until: ReplayUntil,
        options: &Options,
        progress: &mut dyn FnMut(RestoreProgress<'_>),
    ) -> Result<RestoreReport> {
        let to = to.as_ref();
        for suffix in ["-log", "-lock"] {
            require_absent(&beside(to, suffix))?;
        }
        let (partial, mut file) = Partial::create(to)?;
        let mut copied = 0;
        read_all(backup, &mut |piece| {
            file.write_all(piece).map_err(|error| failed(&error, partial.path()))?;
            copied += piece.len() as u64;
            progress(RestoreProgress::Copying(copied));
            Ok(())
        })?;
        file.sync_all().map_err(|error| failed(&error, partial.path()))?;
        drop(file);
        let _beside = ["-log", "-lock"].map(|suffix| RemovedInTheEnd(beside(partial.path(), suffix)));
        let goes_on = !increments.is_empty() || until != ReplayUntil::End;
        let mode = OpenMode { read_only: !goes_on, create: false };
        let restored = open(Arc::new(FileStorage::open(partial.path(), mode)?), !goes_on, options)?;
        if !restored.recovery().clean {
            let what = "it is no backup, but the file of a database that was in use; its log is missing";
            return Err(in_file(Error::invalid(what), &backup.name()));
        }
        let mut replayed = ReplayReport::of(&restored);
        if goes_on {
            let mut replay = restored.replay(until).map_err(|error| in_file(error, &backup.name()))?;
            for given in increments {
                for_each_of(*given, replay.position(), until, &mut |increment| {
                    read_all(increment, &mut |piece| {
                        replay.push(piece)?;
                        progress(RestoreProgress::Replaying(&replay.report()));
                        Ok(())
                    })
                    .and_then(|()| replay.end_increment())
                    .map_err(|error| as_increment(error, &increment.name()))?;
                    Ok(!replay.report().left_out)
                })?;
            }
            replayed = replay.finish()?;
        }
        let check = restored.check_with(&mut |report| progress(RestoreProgress::Verifying(report)))?;
        require_clean(&check, &backup.name())?;
        restored.close()?;
        drop(restored);
        if goes_on {
            File::open(partial.path())
                .and_then(|file| file.sync_all())
                .map_err(|error| failed(&error, partial.path()))?;
        }
        partial.finish()?;
        Ok(RestoreReport { replayed, check })
    }

    /// Reads a backup and its increments, in their order, and verifies every checksum in them and that they leave nothing out. A
    /// folder among them is an archive, as in [`restore`](Self::restore).
    pub fn verify_backup(
        backup: impl AsRef<Path>,
        increments: &[PathBuf],
        progress: &mut dyn FnMut(&CheckReport),
    ) -> Result<BackupReport> {
        let increments: Vec<_> = increments.iter().map(|path| path as &dyn BackupSource).collect();
        Self::verify_backup_from(&backup.as_ref().to_owned(), &increments, &Options::default(), progress)
    }

    /// As [`verify_backup`](Self::verify_backup), from wherever they are kept, and with these options: the key that opens an
    /// encrypted backup, the memory it may take.
    pub fn verify_backup_from(
        backup: &dyn BackupSource,
        increments: &[&dyn BackupSource],
        options: &Options,
        progress: &mut dyn FnMut(&CheckReport),
    ) -> Result<BackupReport> {
        let database = open(backup.storage()?, true, options)?;
        let from = position_of_copy(&database, &backup.name())?;
        let base = database.check_with(progress)?;
        require_clean(&base, &backup.name())?;
        let id = *database.shared.engine.database_id();
        let (mut to, mut commits, mut times_ms) = (from, 0, None);
        for given in increments {
            for_each_of(*given, from, ReplayUntil::End, &mut |increment| {
                let summary = summary_of(increment, decoder(&database));
                let summary = summary.map_err(|error| as_increment(error, &increment.name()))?;
                require_follows((&summary.database_id, summary.from), (&id, Some(to)))
                    .and_then(|()| require_same_history(&summary.history, to))
                    .map_err(|error| in_file(error, &increment.name()))?;
                if summary.to.sequence >= to.sequence {
                    (to, commits) = (summary.to, commits + summary.to.sequence - to.sequence);
                }
                if let Some((first, last)) = summary.times_ms {
                    times_ms = Some((times_ms.map_or(first, |(first, _)| first), last));
                }
                Ok(true)
            })?;
        }
        Ok(BackupReport { base, from, to, commits, times_ms })
    }

    /// The last commit in a backup or an increment, for an increment of what comes after it. Everything in an increment is
    /// verified for it.
    pub fn position_of_backup(file: impl AsRef<Path>) -> Result<FeedPosition> {
        Self::position_of_backup_from(&file.as_ref().to_owned(), &Options::default())
    }

    /// As [`position_of_backup`](Self::position_of_backup), from wherever it is kept, and with these options: the key that opens an
    /// encrypted one.
    pub fn position_of_backup_from(backup: &dyn BackupSource, options: &Options) -> Result<FeedPosition> {
        #[cfg(feature = "encryption")]
        let decoder = Decoder::opened_by(options.key.clone().map_or(Opener::Nothing, Opener::Key));
        #[cfg(not(feature = "encryption"))]
        let decoder = Decoder::default();
        match summary_of(backup, decoder) {
            Ok(summary) => Ok(summary.to),
            Err(Error::NotADatabase { .. }) => {
                let database = open(backup.storage()?, true, options)?;
                position_of_copy(&database, &backup.name())
            }
            Err(error) => Err(error),
        }
    }
}

impl Backup {
    /// Writes the copy to a new file, as [`Database::backup_to`] does, at the [rate](Self::limit_rate) that was set. After an
    /// error (the disk is full) it may be called again, with the same name, and goes on where it was, unless a sync failed; the
    /// file under way is deleted with this value.
    ///
    /// The copy is made by a thread of its own. On Linux and Android that thread gets what processor time the others of this process
    /// leave, and a tenth of their share where they leave none: so a backup beside busy writers takes longer, and they keep their rate.
    pub fn write_to(
        &mut self,
        to: impl AsRef<Path>,
        progress: &mut dyn FnMut(&BackupProgress),
    ) -> Result<BackupProgress> {
        let mut filling = match self.filling.take() {
            Some(filling) => filling,
            None => {
                let filling = Filling::create(to.as_ref())?;
                self.make_at_once();
                filling
            }
        };
        let filled = filling.fill(self, progress);
        if filled.is_err() {
            self.filling = Some(filling);
        }
        filled.map(|()| self.progress())
    }

    /// Waits until the rate that was set allows another step. Whoever [cancels](crate::Stop) is heard meanwhile.
    pub fn rest(&self) -> Result<()> {
        loop {
            match Duration::from_nanos(self.rest_ns()) {
                Duration::ZERO => return Ok(()),
                rest => std::thread::sleep(rest.min(REST_MAX)),
            }
            Error::if_cancelled()?;
        }
    }
}

fn open(storage: Arc<dyn Storage>, read_only: bool, options: &Options) -> Result<Database> {
    let env = Environment { clock: Arc::new(SystemClock::default()), entropy: Arc::new(SystemEntropy) };
    let options = Options { read_only, create: false, ..options.clone() };
    Database::open_storage(storage, env, options)
}

fn position_of_copy(database: &Database, name: &str) -> Result<FeedPosition> {
    match database.shared.engine.copied_from() {
        Some((incarnation, sequence)) => Ok(FeedPosition { incarnation, sequence }),
        None => Err(Error::invalid(std::format!(
            "'{name}' is a database, but no backup that is as it was made: it was written to since, or never was one; 'check' \
             verifies any database"
        ))),
    }
}

/// What an increment holds, every byte of it verified.
struct Summary {
    database_id: [u8; 16],
    history: History,
    from: FeedPosition,
    to: FeedPosition,
    times_ms: Option<(u64, u64)>,
}

fn summary_of(increment: &dyn BackupSource, mut decoder: Decoder) -> Result<Summary> {
    let (mut begun, mut first_ms, mut end) = (None, None, None);
    let mut history = History::default();
    let read = read_all(increment, &mut |piece| {
        decoder.push(piece);
        while let Some(event) = decoder.next()? {
            match event {
                Event::Begins { database_id, after } => begun = Some((database_id, after)),
                Event::Commit { payload, .. } if first_ms.is_none() => {
                    first_ms = crate::log::Preamble::split(&payload).map(|(preamble, _)| preamble.time_ms);
                }
                Event::Ends(found) => end = Some(found),
                Event::History(found) => history = found,
                _ => {}
            }
        }
        Ok(())
    });
    read.and_then(|()| decoder.finish()).map_err(|error| in_file(error, &increment.name()))?;
    match (begun, end) {
        (Some((database_id, after)), Some(end)) => Ok(Summary {
            database_id,
            history,
            from: after.into(),
            to: end.at.into(),
            times_ms: first_ms.map(|first| (first, end.time_ms)),
        }),
        _ => Err(in_file(Error::DamagedBackup { offset: 0, what: String::from("it is empty") }, &increment.name())),
    }
}

/// Calls `take` with each increment to read, in their order, until it says that it wants no more: with what was given, or in the
/// place of an archive with those of its pieces whose names tell of commits after the backup, and up to there.
fn for_each_of(
    given: &dyn BackupSource,
    backup: FeedPosition,
    until: ReplayUntil,
    take: &mut dyn FnMut(&dyn BackupSource) -> Result<bool>,
) -> Result<()> {
    let Some(names) = given.list()? else { return take(given).map(|_| ()) };
    let mut is_empty = true;
    for (name, (first, last)) in names_among(names) {
        is_empty = false;
        let begins_in_time = match until {
            // One more, to tell that there are later ones.
            ReplayUntil::Sequence(wanted) => first <= wanted.saturating_add(1),
            ReplayUntil::End | ReplayUntil::Time(_) => true,
        };
        if last > backup.sequence && begins_in_time && !take(&*given.within(&name))? {
            break;
        }
    }
    if is_empty {
        return Err(Error::invalid(std::format!(
            "'{}' has no piece of an archive in it; check the path",
            given.name()
        )));
    }
    Ok(())
}

fn read_all(from: &dyn BackupSource, take: &mut dyn FnMut(&[u8]) -> Result<()>) -> Result<()> {
    let mut bytes = from.read()?;
    let mut buffer = std::vec![0; PIECE_BYTES];
    loop {
        Error::if_cancelled()?;
        match bytes.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(len) => take(buffer.get(..len).unwrap_or_default())?,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(failed_called(&error, &from.name())),
        }
    }
}

/// The same of what was to be an increment.
fn as_increment(error: Error, name: &str) -> Error {
    match error {
        Error::NotADatabase { .. } => Error::invalid(std::format!(
            "'{name}' is no increment of a backup; give what 'backup --since' made, or the folder of an archive"
        )),
        error => in_file(error, name),
    }
}

/// Says which file it is about.
fn in_file(error: Error, name: &str) -> Error {
    match error {
        Error::DamagedBackup { offset, what } => {
            Error::DamagedBackup { offset, what: std::format!("'{name}': {what}") }
        }
        // What could not be read says so itself.
        Error::Invalid { what } if !what.starts_with(&std::format!("'{name}'")) => {
            Error::Invalid { what: std::format!("'{name}': {what}") }
        }
        error => error,
    }
}

fn require_clean(report: &CheckReport, backup: &str) -> Result<()> {
    match report.problems.first() {
        None => Ok(()),
        Some(problem) => {
            let what = std::format!("'{backup}': {problem}");
            Err(Error::DamagedBackup { offset: 0, what })
        }
    }
}

struct RemovedInTheEnd(PathBuf);

impl Drop for RemovedInTheEnd {
    fn drop(&mut self) {
        // There may be none.
        _ = fs::remove_file(&self.0);
    }
}
