//! The change feed: every commit, one after the other, from the log, and then each new one as it becomes visible.

use alloc::format;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::str::FromStr;

use super::catalogue::Catalogue;
use super::changes::{Changes, TableNames};
use super::database::Database;
use super::follow::{CommitReader, Logged};
use super::snapshot::Snapshot;
use crate::engine::{Engine, FollowFrom};
use crate::env::sync::Mutex;
use crate::error::{Error, Result};
use crate::increment::Place;
use crate::log::Operations;

/// Which commit a reader has come to, in a form that outlives the process: for an application to keep beside what it makes of
/// the changes.
///
/// It names the history too: after a power loss that took back commits a reader had seen, going on after them is
/// [`Error::HistoryForked`], not something else under the same number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FeedPosition {
    pub(super) incarnation: u64,
    pub(super) sequence: u64,
}

impl From<Place> for FeedPosition {
    fn from(Place { incarnation, sequence }: Place) -> Self {
        Self { incarnation, sequence }
    }
}

impl From<FeedPosition> for Place {
    fn from(FeedPosition { incarnation, sequence }: FeedPosition) -> Self {
        Self { incarnation, sequence }
    }
}

impl FeedPosition {
    pub(super) fn of(engine: &Engine, sequence: u64) -> Self {
        Self { incarnation: engine.incarnation_of(sequence), sequence }
    }

    /// Bytes of its stored form.
    pub const BYTES: usize = 16;

    /// The number of the commit: the last one read.
    pub fn sequence(&self) -> u64 {
        self.sequence
    }

    /// To be kept; [`from_bytes`](Self::from_bytes) reads it.
    pub fn to_bytes(&self) -> [u8; Self::BYTES] {
        let mut bytes = [0; Self::BYTES];
        let (incarnation, sequence) = bytes.split_at_mut(8);
        incarnation.copy_from_slice(&self.incarnation.to_le_bytes());
        sequence.copy_from_slice(&self.sequence.to_le_bytes());
        bytes
    }

    /// Reads what [`to_bytes`](Self::to_bytes) gave.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        match (bytes.first_chunk::<8>(), bytes.last_chunk::<8>()) {
            (Some(incarnation), Some(sequence)) if bytes.len() == Self::BYTES => {
                Ok(Self { incarnation: u64::from_le_bytes(*incarnation), sequence: u64::from_le_bytes(*sequence) })
            }
            _ => Err(Error::invalid(format!("a position of a change feed has 16 bytes, not {}", bytes.len()))),
        }
    }
}

/// As text: the incarnation in 16 hexadecimal digits, `-`, and the sequence.
impl fmt::Display for FeedPosition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}-{}", self.incarnation, self.sequence)
    }
}

impl FromStr for FeedPosition {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let digits = |text: &str| !text.is_empty() && !text.starts_with('+');
        text.split_once('-')
            .filter(|(incarnation, sequence)| incarnation.len() == 16 && digits(incarnation) && digits(sequence))
            .and_then(|(incarnation, sequence)| {
                Some(Self { incarnation: u64::from_str_radix(incarnation, 16).ok()?, sequence: sequence.parse().ok()? })
            })
            .ok_or_else(|| Error::invalid(format!("'{}' is no position of a change feed", text.escape_debug())))
    }
}

/// Where a [`ChangeFeed`] begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Since {
    /// With the next commit.
    Now,
    /// With the oldest commit that the log still holds.
    Oldest,
    /// With the commit after this one.
    Position(FeedPosition),
}

impl From<FeedPosition> for Since {
    fn from(position: FeedPosition) -> Self {
        Self::Position(position)
    }
}

impl Snapshot {
    /// The newest commit this snapshot sees, for a feed of what was changed [since](Database::changes): whoever reads tables in
    /// this snapshot and then follows the feed misses nothing and sees nothing twice.
    pub fn position(&self) -> FeedPosition {
        FeedPosition::of(&self.engine, self.version.sequence)
    }
}

impl Database {
    /// Every commit since, in order, and then each new one as it becomes visible.
    ///
    /// What the log no longer holds is [`Error::NoLongerKept`]; how much it keeps is
    /// [`Options::feed_retention_bytes`](crate::Options::feed_retention_bytes). A position after which this database's history
    /// took another course is [`Error::HistoryForked`].
    ///
    /// ```
    /// # use std::sync::Arc;
    /// use lightning_db::{Change, Database, Since, Table};
    /// # use lightning_db::{Environment, Options, env::{MemoryStorage, SystemClock, SystemEntropy}};
    ///
    /// const WORDS: Table<&str, u64> = Table::new("words");
    ///
    /// # let environment = Environment { clock: Arc::new(SystemClock::default()), entropy: Arc::new(SystemEntropy) };
    /// # let db = Database::open_storage(Arc::new(MemoryStorage::new()), environment, Options::default())?;
    /// let mut feed = db.changes(Since::Now)?;
    /// db.table(WORDS)?.put("one", 1)?;
    /// while let Some(commit) = feed.next()? {
    ///     for change in commit.changes() {
    ///         if let Change::Put { table, key, .. } = change {
    ///             assert_eq!((table, key), ("words", b"one".as_slice()));
    ///         }
    ///     }
    /// }
    /// // Kept with what was made of the changes, to go on from there another day.
    /// let position = feed.position().to_bytes();
    /// # Ok::<(), lightning_db::Error>(())
    /// ```
    pub fn changes(&self, since: impl Into<Since>) -> Result<ChangeFeed> {
        let engine = &self.shared.engine;
        let from = match since.into() {
            Since::Now => FollowFrom::Now,
            Since::Oldest => FollowFrom::Oldest,
            Since::Position(FeedPosition { incarnation, sequence }) => FollowFrom::After { incarnation, sequence },
        };
        Ok(ChangeFeed {
            engine: Arc::clone(engine),
            catalogue: Arc::clone(&self.shared.catalogue),
            reader: CommitReader::new(engine, from)?,
            found: None,
            names: None,
            #[cfg(feature = "std")]
            signal: None,
        })
    }
}

/// Gives the commits of a database one after the other: see [`Database::changes`].
///
/// It holds nothing back: a feed that is not read while the log goes on loses its place, and then says
/// [`Error::NoLongerKept`].
pub struct ChangeFeed {
    engine: Arc<Engine>,
    catalogue: Arc<Catalogue>,
    reader: CommitReader,
    /// A commit that was read, while the names of its tables were not.
    found: Option<Logged>,
    names: Option<Arc<TableNames>>,
    #[cfg(feature = "std")]
    signal: Option<super::feed_signal::FeedSignal>,
}

impl ChangeFeed {
    /// The last commit given, or the one that the feed began after: going on from here gives what comes next.
    pub fn position(&self) -> FeedPosition {
        FeedPosition::of(&self.engine, self.reader.sequence)
    }

    /// The next commit; `None` at the end, until there is another. [`Error::Closed`] and [`Error::Poisoned`] at the end when there
    /// will not be any. On an asynchronous storage fetch what it lacked and call
    /// it again: nothing is left out and nothing comes twice.
    #[allow(clippy::should_implement_trait, reason = "it can fail, and goes on after its end")]
    pub fn next(&mut self) -> Result<Option<Commit>> {
        if self.found.is_none() {
            self.found = self.reader.read(&self.engine)?;
        }
        let Some(found) = self.found.take() else { return Ok(None) };
        match self.take(&found) {
            Ok((time_ms, names, operations_at)) => {
                let Logged { sequence, payload, .. } = found;
                self.reader.sequence = sequence;
                let engine = Arc::clone(&self.engine);
                Ok(Some(Commit { engine, names, sequence, time_ms, payload, operations_at }))
            }
            Err(error) => {
                self.found = Some(found);
                Err(error)
            }
        }
    }

    /// What a commit begins with; takes note of the tables it makes.
    fn take(&mut self, found: &Logged) -> Result<(u64, Arc<TableNames>, usize)> {
        let (preamble, operations) = found.split()?;
        let mut names = match &self.names {
            Some(names) => Arc::clone(names),
            None => Arc::new(TableNames::newest(&self.newest())?),
        };
        for operation in Operations::new(operations, found.sequence, found.offset) {
            let operation = operation?;
            if TableNames::is_changed_by(&operation) && !Arc::make_mut(&mut names).learn(&operation)? {
                // A definition too long for the log itself.
                let newest = TableNames::newest(&self.newest())?;
                Arc::make_mut(&mut names).extend(newest);
            }
        }
        self.names = Some(Arc::clone(&names));
        Ok((preamble.time_ms, names, found.payload.len() - operations.len()))
    }

    fn newest(&self) -> Snapshot {
        // Taken when needed: one that is held keeps everything it sees in the file.
        Snapshot {
            engine: Arc::clone(&self.engine),
            catalogue: Arc::clone(&self.catalogue),
            version: self.engine.version(),
            now_ms: Mutex::new(None),
        }
    }

    /// Waits until there is another commit to read, at most for `timeout`; whether there is one. [`Error::Closed`] and
    /// [`Error::Poisoned`] when there will not be any.
    #[cfg(feature = "std")]
    pub fn wait(&mut self, timeout: core::time::Duration) -> Result<bool> {
        let engine = &self.engine;
        if self.found.is_some() || engine.followable() > self.reader.sequence {
            return Ok(true);
        }
        let signal = self.signal.get_or_insert_with(|| super::feed_signal::FeedSignal::new(engine));
        // What became visible before the signal was there.
        if engine.followable() > self.reader.sequence {
            return Ok(true);
        }
        signal.wait(self.reader.sequence, timeout)
    }
}

impl fmt::Debug for ChangeFeed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChangeFeed").field("position", &self.position()).finish_non_exhaustive()
    }
}

/// One commit, as a feed gives it.
pub struct Commit {
    engine: Arc<Engine>,
    names: Arc<TableNames>,
    sequence: u64,
    time_ms: u64,
    payload: Vec<u8>,
    operations_at: usize,
}

impl Commit {
    /// Its number: one more than that of the commit before.
    pub fn sequence(&self) -> u64 {
        self.sequence
    }

    /// When it was made, in milliseconds since 1970. Never earlier than the commit before.
    pub fn time_ms(&self) -> u64 {
        self.time_ms
    }

    /// For a feed of what comes after it.
    pub fn position(&self) -> FeedPosition {
        FeedPosition::of(&self.engine, self.sequence)
    }

    /// What it did to the tables, in the order in which to do it again: ranges first, then keys, each once. Tables that
    /// have been dropped meanwhile are left out, until the commit that dropped them.
    pub fn changes(&self) -> Changes<'_> {
        Changes::new(self.operations(), &self.names, &self.engine)
    }

    /// All of it: indexes, the catalogue, the engine's own keys, with the tables' numbers in front of the keys.
    pub(crate) fn operations(&self) -> Operations<'_> {
        Operations::new(self.payload.get(self.operations_at..).unwrap_or_default(), self.sequence, 0)
    }
}

impl fmt::Debug for Commit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Commit")
            .field("sequence", &self.sequence)
            .field("time_ms", &self.time_ms)
            .finish_non_exhaustive()
    }
}

/// Positions are made of text that people may have typed.
#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_comes_back_from_bytes_and_from_text() {
        let position = FeedPosition { incarnation: 0x00ab_cdef_0123_4567, sequence: 987 };
        assert_eq!(FeedPosition::from_bytes(&position.to_bytes()), Ok(position));
        let text = format!("{position}");
        assert_eq!(text, "00abcdef01234567-987");
        assert_eq!(text.parse(), Ok(position));
        for wrong in [
            "",
            "-",
            "00abcdef01234567-",
            "00abcdef01234567-+1",
            "+0abcdef01234567-1",
            "abc-1",
            "00abcdef01234567",
            "-1",
        ] {
            assert!(wrong.parse::<FeedPosition>().is_err(), "{wrong}");
        }
        for wrong in [&[][..], &[0; 15], &[0; 17]] {
            assert!(FeedPosition::from_bytes(wrong).is_err());
        }
    }
}
