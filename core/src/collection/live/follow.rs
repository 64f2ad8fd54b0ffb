//! Following a result from one state of the database to a newer one.

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
#[cfg(feature = "std")]
use core::time::Duration;

use super::change::Difference;
use super::feed::{Begun, Dirty, Feed, noted_max};
use super::found::Found;
use super::rows::{LiveRow, LiveRows, SharedRow, Window};
use crate::collection::definition::Definition;
use crate::collection::handle::Known;
use crate::collection::read::{Reader, Reads, Span};
use crate::collection::row::Row;
use crate::collection::run::Run;
use crate::collection::stored::Stored;
use crate::db::watched::{TableWatch, TableWatcher, WeakDatabase};
use crate::db::{Database, Snapshot};
use crate::document::query::Query;
use crate::env::Clock;
use crate::error::{Error, Result};

/// The wall clock may be set, so a wait for it is no longer than this.
#[cfg(feature = "std")]
const WAIT_FOR_CLOCK_MAX: Duration = Duration::from_secs(60);

/// A live result whose rows are CBOR.
pub(super) struct Follower {
    database: WeakDatabase,
    clock: Arc<dyn Clock>,
    known: Arc<Known>,
    /// The table of the documents.
    table: u64,
    found: Arc<Found>,
    rows: LiveRows,
    /// The first rows were given.
    has_begun: bool,
    /// What is being looked at.
    dirty: Dirty,
    running: Option<Running>,
    feed: Arc<Feed>,
    /// Why there are no more rows.
    failed: Option<Error>,
    /// The storage refused to be read while something was looked at.
    was_refused: bool,
    /// Until it has failed.
    watch: Option<TableWatch>,
}

/// Rows that are being read. It goes on where it was after bytes were fetched.
struct Running {
    snapshot: Snapshot,
    run: Run,
    /// Documents may go by themselves.
    expires: bool,
    /// A row of which is not known yet when it goes.
    next: Option<Row>,
    rows: Vec<SharedRow>,
    /// The rows are those behind the rows held, not all of them.
    is_rest: bool,
}

impl Follower {
    pub(super) fn new(database: &Database, known: &Arc<Known>, query: Query) -> Result<Self> {
        database.require_room_for_watch()?;
        let mut query = query.normalised()?;
        let window = Window::new(query.offset, query.limit.take());
        query.offset = 0;
        let snapshot = database.snapshot();
        let definition = known.definition(snapshot.definition(&known.name)?)?;
        let found = Arc::new(Found::new(query)?);
        // What cannot be asked is an error now, not at the first row.
        Run::new(&mut &snapshot, Arc::clone(&definition), found.query.clone())?;
        let feed = Arc::new(Feed::new(Arc::clone(&found)));
        let watcher = Arc::clone(&feed) as Arc<dyn TableWatcher>;
        Ok(Self {
            database: database.downgrade(),
            clock: Arc::clone(&snapshot.engine.env.clock),
            known: Arc::clone(known),
            table: definition.id,
            found,
            rows: LiveRows::new(window),
            has_begun: false,
            dirty: Dirty::default(),
            running: None,
            watch: Some(database.watch_table(definition.id, &known.name, watcher)),
            feed,
            failed: None,
            was_refused: false,
        })
    }

    pub(super) fn feed(&self) -> &Feed {
        &self.feed
    }

    #[cfg(feature = "std")]
    pub(super) fn clock(&self) -> &dyn Clock {
        &*self.clock
    }

    pub(super) fn rows(&self) -> &[SharedRow] {
        self.rows.given()
    }

    /// When a row goes by itself, in milliseconds since 1970.
    pub(super) fn first_expiry(&self) -> Option<u64> {
        self.rows.first_expiry()
    }

    /// What has changed since the last call, if anything has. An error is given again by every later call, unless bytes must be
    /// fetched first.
    pub(super) fn next(&mut self) -> Result<Option<Difference<SharedRow>>> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        match self.advance() {
            // Whoever resumes the database tells, and then all of it is looked at again.
            Err(error) if error.is_refused_for_now() || error.is_cancelled() => {
                self.was_refused = true;
                if error.is_suspended() { Ok(None) } else { Err(error) }
            }
            advanced => advanced.map_err(|error| self.fail(error)),
        }
    }

    /// Nothing more is given because of this error.
    pub(super) fn fail(&mut self, error: Error) -> Error {
        if !passes(&error) {
            (self.running, self.watch, self.failed) = (None, None, Some(error.clone()));
        }
        error
    }

    /// Waits until there may be something new, or a row goes; false when the limit passed before.
    #[cfg(feature = "std")]
    pub(super) fn wait(&self, limit: Option<Duration>) -> bool {
        let rest = self
            .first_expiry()
            .map(|at| Duration::from_millis(at.saturating_sub(self.clock.wall_ms())).min(WAIT_FOR_CLOCK_MAX));
        match (limit, rest) {
            (Some(limit), rest) if rest.is_none_or(|rest| limit <= rest) => self.feed.wait(Some(limit)),
            (_, rest) => {
                self.feed.wait(rest);
                true
            }
        }
    }

    fn advance(&mut self) -> Result<Option<Difference<SharedRow>>> {
        let Begun { is_noted, is_unpublished, stopped } = self.feed.begin();
        if let Some(watch) = self.watch.as_ref().filter(|_| is_unpublished) {
            // Before the snapshot: what is published before this shows in it.
            watch.expect();
        }
        // The files of a closed database may be somebody else's by now; of one that failed the rest can be read.
        if let Some(Error::Closed) = stopped {
            return Err(Error::Closed);
        }
        let was_running = self.running.is_some();
        let is_noted = is_noted || core::mem::take(&mut self.was_refused);
        let mut difference = self.follow(is_noted)?;
        if was_running && difference.is_none() {
            // To where it ran nothing has changed, but perhaps since.
            difference = self.follow(true)?;
        }
        match (difference, stopped) {
            (Some(difference), _) => Ok(Some(difference)),
            (None, Some(why)) => Err(why),
            (None, None) => Ok(None),
        }
    }

    fn follow(&mut self, is_noted: bool) -> Result<Option<Difference<SharedRow>>> {
        let mut difference = None;
        let mut sequence = None;
        if self.running.is_none() {
            let goes = self.rows.first_expiry().is_some_and(|at| at <= self.clock.wall_ms());
            let is_current = !is_noted && self.dirty.is_empty() && !goes && self.rows.lacking().is_none();
            if self.has_begun && is_current {
                return Ok(None);
            }
            if let Some(held) = self.feed.look() {
                self.rows.take_back(held);
            }
            let snapshot = loop {
                let Some(snapshot) = self.database.snapshot_told() else { return Err(Error::Closed) };
                let noted = self.feed.take(self.rows.len(), snapshot.sequence());
                self.dirty.add(noted, noted_max(self.rows.len()));
                let definition = self.definition(&snapshot)?;
                let reads_all = !self.has_begun || self.dirty.is_whole_by(snapshot.sequence());
                if !reads_all {
                    let found = self.read_dirty(&snapshot)?;
                    self.dirty.looked_at(snapshot.sequence());
                    difference = Some(self.rows.apply(found)?);
                }
                let lacking = self.rows.lacking().filter(|_| !reads_all);
                if !reads_all && lacking.is_none() {
                    break snapshot;
                }
                if self.feed.recall(snapshot.sequence()) {
                    // Before a newer snapshot: what was published before shows in it, and of the rest it is told.
                    self.watch.as_ref().inspect(|watch| watch.expect());
                    continue;
                }
                let query = self.found.query.clone();
                let (query, wanted) = match lacking {
                    None => (query, self.rows.wanted()),
                    Some((wanted, end)) => (query.clone().after(end.token(&query)), Some(wanted)),
                };
                let mut running = Running::new(snapshot.clone(), &definition, query, wanted)?;
                running.is_rest = !reads_all;
                self.running = Some(running);
                break snapshot;
            };
            sequence = Some(snapshot.sequence());
        }
        if let Some(running) = &mut self.running {
            running.finish(self.table, &self.found)?;
            sequence = Some(running.snapshot.sequence());
        }
        match self.running.take() {
            Some(Running { rows, snapshot, is_rest: false, .. }) => {
                difference = Some(self.rows.replace(rows)?);
                self.dirty.looked_at(snapshot.sequence());
            }
            rest => {
                self.rows.extend(rest.map(|rest| rest.rows));
                if self.rows.has_window() {
                    difference = Some(self.rows.difference()?);
                }
            }
        }
        self.feed.settle(self.rows.lend(), core::mem::take(&mut self.dirty));
        let is_first = !core::mem::replace(&mut self.has_begun, true);
        let sequence = sequence.unwrap_or_default();
        Ok(difference.map(|difference| Difference { sequence, ..difference }).filter(|one| is_first || !one.is_empty()))
    }

    /// The definition as a snapshot has it, if it is still the same collection.
    fn definition(&self, snapshot: &Snapshot) -> Result<Arc<Definition>> {
        let definition = self.known.definition(snapshot.definition(&self.known.name)?)?;
        if definition.id != self.table {
            return Err(Error::SchemaMismatch {
                collection: self.known.name.clone(),
                what: String::from("it was dropped and made again while a query of it was watched; watch it again"),
            });
        }
        Ok(definition)
    }

    /// The documents that were written, and those that are gone by now.
    fn read_dirty(&self, snapshot: &Snapshot) -> Result<Vec<(Vec<u8>, Option<LiveRow>)>> {
        let written = self.dirty.keys.keys().map(Vec::as_slice);
        let expired = self.rows.expired(snapshot.now_ms()).filter(|key| !self.dirty.keys.contains_key(*key));
        let mut reader = snapshot;
        written.chain(expired).map(|key| Ok((key.to_vec(), self.found.read(&mut reader, self.table, key)?))).collect()
    }
}

/// Whether the same call may succeed later.
pub(super) fn passes(error: &Error) -> bool {
    error.passes() || error.is_cancelled() || matches!(error, Error::Pending(_))
}

impl Running {
    fn new(snapshot: Snapshot, definition: &Arc<Definition>, query: Query, wanted: Option<usize>) -> Result<Self> {
        let query = match wanted {
            Some(wanted) => query.limit(wanted as u64),
            None => query,
        };
        let expires = (&snapshot).cursor(definition.expiry_id, &Span::all())?.first()?.is_some();
        let run = Run::new(&mut &snapshot, Arc::clone(definition), query)?;
        Ok(Self { snapshot, run, expires, next: None, rows: Vec::new(), is_rest: false })
    }

    fn finish(&mut self, table: u64, found: &Found) -> Result<()> {
        let mut reader = &self.snapshot;
        loop {
            if self.next.is_none() {
                self.next = self.run.next(&mut reader)?;
            }
            let Some(row) = &self.next else { return Ok(()) };
            let mut expires_ms = None;
            if self.expires {
                expires_ms = reader.with(table, &row.key, |bytes| Ok(Stored::read(bytes)?.expires_ms))?.flatten();
            }
            if let Some(row) = self.next.take() {
                self.rows.push(SharedRow::new(found.row(row, expires_ms)?));
            }
        }
    }
}
