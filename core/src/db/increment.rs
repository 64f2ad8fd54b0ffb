//! Increments of a backup: the commits since, as bytes to keep.

use alloc::collections::VecDeque;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use core::fmt;

use super::backup_permit::BackupPermit;
use super::database::Database;
use super::feed::FeedPosition;
use super::follow::{CommitReader, Logged};
use super::pieces::Pieces;
use crate::codec::slot::ValueRef;
use crate::engine::{self, Engine, FollowFrom, FoundValue, ValueReader, Version};
use crate::env::FileId;
use crate::error::{Error, Result};
use crate::increment::{BODY_BYTES_MAX, Encoder, End};
use crate::log::{Operation, Operations};

/// Bytes that one step makes, about.
const STEP_BYTES: usize = 256 << 10;

/// What was committed after one place in the history of a database, up to the newest commit there was when it was begun: an
/// increment of a backup.
///
/// A backup and the increments that go on where it and each other end are the database as it was after any commit in them; see
/// [`Replay`](super::Replay). It is made in bounded steps from the log while readers and writers go on. All of it is durable in
/// the database itself before the last bytes are given away, so that no increment knows more than its database.
///
/// ```
/// # use std::sync::Arc;
/// # use lightning_db::{env::*, Database, Environment, Options, Table};
/// # let env = Environment { clock: Arc::new(FixedClock(0)), entropy: Arc::new(SeededEntropy::new(1)) };
/// # let db = Database::open_storage(Arc::new(MemoryStorage::new()), env, Options::default())?;
/// const WORDS: Table<&str, u64> = Table::new("words");
///
/// db.table(WORDS)?.put("none", 0)?;
/// let since = db.snapshot().position();
/// db.table(WORDS)?.put("one", 1)?;
/// let mut increment = db.increment(since)?;
/// let mut file = Vec::new();
/// while let Some(piece) = increment.next()? {
///     file.extend(piece);
/// }
/// assert_eq!(increment.progress().commits, 1);
/// // The next one goes on from there.
/// let since = increment.position();
/// # Ok::<(), lightning_db::Error>(())
/// ```
pub struct Increment {
    engine: Arc<Engine>,
    reader: CommitReader,
    encoder: Encoder,
    /// The last commit that it is to have.
    until: u64,
    /// It ends earlier, with the commit with which it comes to so many bytes.
    bytes_max: u64,
    /// Of the last commit it has.
    time_ms: u64,
    /// The last commit before it.
    since: u64,
    under_way: Option<UnderWay>,
    ended: bool,
    permit: BackupPermit,
}

/// How far an increment is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct IncrementProgress {
    /// Commits in it.
    pub commits: u64,
    /// How many there will be.
    pub commits_all: u64,
    /// Bytes of it.
    pub bytes: u64,
}

/// A commit whose values are being copied.
struct UnderWay {
    logged: Logged,
    time_ms: u64,
    values: VecDeque<(Vec<u8>, ValueRef)>,
    value: Option<ValueCopy>,
}

struct ValueCopy {
    reader: ValueReader,
    len: u64,
    at: u64,
    /// Keeps the space of the value, where it is still the one of its key.
    held: Option<Arc<Version>>,
}

impl Database {
    /// Begins an increment of everything that was committed after `since`, which is the [position](super::Backup::position) of a
    /// backup or of the increment before.
    ///
    /// What the log no longer holds is [`Error::NoLongerKept`]: then a whole backup is due, and
    /// [`Options::feed_retention_bytes`](crate::Options::feed_retention_bytes) should be larger. A position after which this
    /// database's history took another course is [`Error::HistoryForked`].
    pub fn increment(&self, since: FeedPosition) -> Result<Increment> {
        Increment::begin(&self.shared.engine, since)
    }
}

impl Increment {
    pub(super) fn begin(engine: &Arc<Engine>, since: FeedPosition) -> Result<Self> {
        let FeedPosition { incarnation, sequence } = since;
        let until = engine.followable();
        let reader = CommitReader::new(engine, FollowFrom::After { incarnation, sequence })?;
        Ok(Self {
            engine: Arc::clone(engine),
            encoder: engine.increment_encoder(since.into()),
            reader,
            until: until.max(sequence),
            bytes_max: u64::MAX,
            time_ms: 0,
            since: sequence,
            under_way: None,
            ended: false,
            permit: BackupPermit::new(engine),
        })
    }

    /// The bytes that come next; `None` behind the last.
    #[allow(clippy::should_implement_trait, reason = "it may fail, and be called again then")]
    pub fn next(&mut self) -> Result<Option<Vec<u8>>> {
        self.next_piece()
    }

    /// Goes on for a bounded while; tells whether there is more to do. [`take`](Self::take) gives what came of it. On an
    /// asynchronous storage it is called again after what it lacked was fetched, or the barrier it waits for is complete.
    pub fn step(&mut self) -> Result<bool> {
        self.permit.require()?;
        while !self.ended && self.encoder.waiting() < STEP_BYTES {
            self.advance()?;
        }
        Ok(!self.ended)
    }

    /// The bytes that were made since the last call, perhaps none.
    pub fn take(&mut self) -> Vec<u8> {
        self.encoder.take()
    }

    /// The same, ended with the commit with which it comes to so many bytes.
    #[cfg(feature = "std")]
    pub(super) fn up_to_bytes(self, bytes_max: u64) -> Self {
        Self { bytes_max, ..self }
    }

    /// How far it is.
    pub fn progress(&self) -> IncrementProgress {
        IncrementProgress { commits: self.commits(), commits_all: self.until - self.since, bytes: self.encoder.bytes() }
    }

    /// The last commit in it: where the next increment goes on.
    pub fn position(&self) -> FeedPosition {
        FeedPosition::of(&self.engine, self.reader.sequence)
    }

    fn commits(&self) -> u64 {
        self.reader.sequence - self.since
    }

    fn advance(&mut self) -> Result<()> {
        let Some(under_way) = &mut self.under_way else { return self.begin_commit() };
        if under_way.value.is_none()
            && let Some((key, value)) = under_way.values.front()
        {
            under_way.value = Some(ValueCopy::new(&self.engine, key, *value)?);
            self.encoder.begin_value(value.len);
        }
        match &mut under_way.value {
            Some(copy) => {
                if copy.step(&mut self.encoder)? {
                    under_way.value = None;
                    under_way.values.pop_front();
                }
            }
            None => {
                let UnderWay { logged, time_ms, .. } = under_way;
                self.encoder.commit(FeedPosition::of(&self.engine, logged.sequence).into(), &logged.payload);
                (self.reader.sequence, self.time_ms) = (logged.sequence, *time_ms);
                self.under_way = None;
            }
        }
        Ok(())
    }

    fn begin_commit(&mut self) -> Result<()> {
        if self.reader.sequence >= self.until || self.encoder.bytes() >= self.bytes_max {
            self.until = self.reader.sequence;
            self.engine.make_all_durable()?;
            let (time_ms, commits) = (self.time_ms, self.commits());
            self.encoder.end(&End { at: self.position().into(), time_ms, commits });
            self.ended = true;
            return Ok(());
        }
        let Some(logged) = self.reader.read(&self.engine)? else {
            // They were visible when it was begun.
            let (oldest, asked) = (self.until + 1, self.reader.sequence + 1);
            return Err(Error::NoLongerKept { oldest, asked });
        };
        if logged.sequence != self.reader.sequence + 1 {
            // The one before could not be read.
            let what = alloc::format!("commit {} is damaged", self.reader.sequence + 1);
            return Err(Error::corrupt(FileId::Log, logged.offset, what));
        }
        let (preamble, operations) = logged.split()?;
        let mut values = VecDeque::new();
        for operation in Operations::new(operations, logged.sequence, logged.offset) {
            if let Operation::PutExtent { key, value } = operation? {
                values.push_back((key.to_vec(), value));
            }
        }
        self.under_way = Some(UnderWay { time_ms: preamble.time_ms, logged, values, value: None });
        Ok(())
    }
}

impl ValueCopy {
    /// Of the value that a commit in the log put under `key`. Where the key has it still, it may lie elsewhere by now.
    fn new(engine: &Arc<Engine>, key: &[u8], logged: ValueRef) -> Result<Self> {
        let version = engine.version();
        let now = match engine::get(&version, &engine.nodes, key)? {
            Some(FoundValue::Extent(now)) if (now.value.len, now.value.checksum) == (logged.len, logged.checksum) => {
                Some(now)
            }
            _ => None,
        };
        let held = now.is_some().then_some(version);
        Ok(Self {
            reader: match now {
                Some(now) => now.reader(&engine.nodes),
                None => ValueReader::of_perhaps(&engine.nodes, logged),
            },
            len: logged.len,
            at: 0,
            held,
        })
    }

    /// Copies a piece; whether that was the last.
    fn step(&mut self, encoder: &mut Encoder) -> Result<bool> {
        let len = (self.len - self.at).min(BODY_BYTES_MAX as u64) as usize;
        let mut piece = vec![0; len];
        match self.reader.read_at(self.at, &mut piece) {
            Ok(_) => {
                encoder.value(&piece);
                self.at += len as u64;
                Ok(self.at == self.len)
            }
            // Its space holds something else by now, or is gone.
            Err(Error::Corrupt(_)) if self.held.is_none() => {
                encoder.value_is_gone();
                Ok(true)
            }
            Err(error) => Err(error),
        }
    }
}

impl Pieces for Increment {
    #[cfg(all(feature = "std", any(unix, windows)))]
    type State = IncrementProgress;

    #[cfg(all(feature = "std", any(unix, windows)))]
    fn state(&self) -> IncrementProgress {
        self.progress()
    }

    #[cfg(all(feature = "std", any(unix, windows)))]
    fn log_syncs(&self) -> impl Fn() -> u64 + Clone + Send + 'static {
        let engine = Arc::clone(&self.engine);
        move || engine.log_syncs()
    }

    fn go_on(&mut self) -> Result<bool> {
        self.step()
    }

    fn take_made(&mut self) -> Vec<u8> {
        self.take()
    }
}

impl fmt::Debug for Increment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Increment").field("position", &self.position()).field("progress", &self.progress()).finish()
    }
}
