//! Answers queries: rows one after the other, each read when it is asked for.
//!
//! All that is under way is in the [`Run`] itself, so where bytes must be fetched first the same call is made again and nothing is
//! done twice.

use alloc::borrow::Cow;
use alloc::collections::BinaryHeap;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::ahead::Ahead;
use super::definition::Definition;
use super::expiry;
use super::plan::{Access, GATHERED_MAX, Plan, Sorting, Source, countable, plan};
use super::position::Position;
use super::read::{Reader, Reads, Span};
use super::row::Row;
use super::stored::Stored;
use super::walk::{Walk, record_of};
use crate::document::cbor;
use crate::document::query::{CompiledFilter, Filter, PageToken, Query, SortOrder};
use crate::error::{Error, Result};
use crate::hashing::HashSet;
use crate::testing::Mutant;

/// Bytes of what rows are sorted by; a query that would need more wants an index of its order, or a limit.
const SORTED_BYTES_MAX: usize = 256 << 20;

/// What was done for a result.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Work {
    pub entries: u64,
    pub documents: u64,
    pub rows: u64,
}

/// A query that is being answered.
pub(crate) struct Run {
    definition: Arc<Definition>,
    query: Query,
    order: SortOrder,
    filter: Option<CompiledFilter>,
    pub(super) plan: Plan,
    /// The result begins behind this.
    after: Option<Position>,
    state: State,
    /// Keys whose documents are not read yet.
    ahead: Ahead,
    /// What documents are gone by.
    now_ms: Option<u64>,
    passed: u64,
    pub(super) work: Work,
    /// The last row read, whole. What is read after the last row given is not found, and leaves it as it is.
    row: Row,
}

enum State {
    /// Documents in the order of their keys.
    Documents(Walk),
    /// Entries of an index, and the keys given if a document may come again.
    Entries { source: Arc<Source>, walk: Walk, given: Option<HashSet<Vec<u8>>> },
    /// Keys are gathered from sources, one after the other.
    Gathering(Gathering),
    /// Keys that were gathered, the next last.
    Keys(Vec<Vec<u8>>),
    /// Rows are gathered to be sorted.
    Sorting { from: alloc::boxed::Box<State>, rows: BinaryHeap<Position>, bytes: usize },
    /// Rows in their order, the next last.
    Sorted(Vec<Position>),
}

struct Gathering {
    sources: Vec<Arc<Source>>,
    /// Whether keys of all sources are wanted, or those that are in every one.
    any: bool,
    backwards: bool,
    /// Where keys are what rows are sorted by: the result begins behind this one.
    after: Option<Vec<u8>>,
    walk: Option<(Arc<Source>, Walk)>,
    keys: Vec<Vec<u8>>,
    /// Of the sources before; in order where those in every one are wanted.
    gathered: Option<Vec<Vec<u8>>>,
}

impl Run {
    /// Chooses how to answer a query.
    pub(crate) fn new(reader: &mut dyn Reader, definition: Arc<Definition>, query: Query) -> Result<Self> {
        let query = query.normalised()?;
        let plan = plan(reader, &definition, &query)?;
        Self::with_plan(definition, query, plan)
    }

    /// Answers a normalised query in this way.
    pub(super) fn with_plan(definition: Arc<Definition>, query: Query, mut plan: Plan) -> Result<Self> {
        let after = query.after_token().map(|token| Position::of_token(token, &query)).transpose()?;
        if let Some(after) = &after {
            after.clip(&mut plan, &query);
        }
        let filter = if plan.filtered { query.filter_by().map(Filter::compiled).transpose()? } else { None };
        let state = State::new(&plan, &definition, after.as_ref());
        let (ahead, row) = (Ahead::new(definition.id), Row::default());
        let (now_ms, passed, work) = (None, 0, Work::default());
        let order = SortOrder::of(&query);
        Ok(Self { definition, query, order, filter, plan, after, state, ahead, now_ms, passed, work, row })
    }

    /// The next row, for whoever keeps it.
    pub(crate) fn next(&mut self, reader: &mut dyn Reader) -> Result<Option<Row>> {
        if !self.advance(reader)? {
            return Ok(None);
        }
        Ok(Some(Row { document: self.document()?.into_owned(), key: self.row.key.clone() }))
    }

    /// To the next row; whether there is one.
    pub(crate) fn advance(&mut self, reader: &mut dyn Reader) -> Result<bool> {
        loop {
            if self.query.limit_count().is_some_and(|limit| self.work.rows >= limit) {
                return Ok(false);
            }
            if !self.next_found(reader)? {
                return Ok(false);
            }
            let skipped = u64::from(Mutant::PageSkipsOne.is_active() && self.after.is_some());
            if self.passed < self.query.offset_count() + skipped {
                self.passed += 1;
                continue;
            }
            self.work.rows += 1;
            return Ok(true);
        }
    }

    /// The row that [`advance`](Self::advance) came to, with all its fields.
    pub(crate) fn row(&self) -> &Row {
        &self.row
    }

    /// Its document, with the fields that are asked for.
    pub(crate) fn document(&self) -> Result<Cow<'_, [u8]>> {
        match self.query.fields() {
            [] => Ok(Cow::Borrowed(&self.row.document)),
            fields => cbor::project(&self.row.document, fields).map(Cow::Owned),
        }
    }

    /// Where the rows given so far end; `None` before the first, and without a limit.
    pub(crate) fn token(&self) -> Option<PageToken> {
        if self.work.rows == 0 {
            return None;
        }
        self.query.limit_count()?;
        let last = Position::of_row(&self.row, &self.order, &self.query).ok()?;
        Some(last.token(&self.query))
    }

    pub(super) fn definition(&self) -> &Definition {
        &self.definition
    }

    /// To the next row in the order of the query, those passed over included.
    fn next_found(&mut self, reader: &mut dyn Reader) -> Result<bool> {
        loop {
            match &mut self.state {
                State::Sorting { .. } => self.sort(reader)?,
                State::Sorted(rows) => {
                    let Some(next) = rows.last() else { return Ok(false) };
                    let now_ms = *self.now_ms.get_or_insert_with(|| reader.now_ms());
                    let row = &mut self.row;
                    let there = reader.with(self.definition.id, next.record(), |bytes| {
                        let stored = Stored::present(bytes, now_ms)?;
                        Ok(stored.map(|stored| row.set_document(stored.document)).is_some())
                    })?;
                    if there == Some(true) {
                        row.set_key(next.record());
                    }
                    rows.pop();
                    if there == Some(true) {
                        return Ok(true);
                    }
                }
                _ => {
                    if !self.next_read(reader)? {
                        return Ok(false);
                    }
                    // What was passed over by the clipping of spans alone is behind the last page; the rest is looked at.
                    if let Some(after) = &self.after
                        && Position::of_row(&self.row, &self.order, &self.query)? <= *after
                    {
                        continue;
                    }
                    return Ok(true);
                }
            }
        }
    }

    /// Gathers all rows and sorts them, keeping no more than are wanted.
    fn sort(&mut self, reader: &mut dyn Reader) -> Result<()> {
        let wanted = self.query.limit_count().map(|limit| limit.saturating_add(self.query.offset_count()));
        let wanted = wanted.and_then(|wanted| usize::try_from(wanted).ok()).unwrap_or(usize::MAX);
        loop {
            let State::Sorting { from, rows, bytes } = &mut self.state else { return Ok(()) };
            // The state below is put in place while it is asked.
            let below = core::mem::replace(&mut **from, State::Keys(Vec::new()));
            let (mut rows, mut bytes) = (core::mem::take(rows), *bytes);
            self.state = below;
            let next = self.next_read(reader);
            let below = core::mem::replace(&mut self.state, State::Keys(Vec::new()));
            let result = match next {
                Err(error) => Err(error),
                Ok(false) => {
                    let mut sorted = rows.into_sorted_vec();
                    sorted.reverse();
                    self.state = State::Sorted(sorted);
                    return Ok(());
                }
                Ok(true) => {
                    let position = Position::of_row(&self.row, &self.order, &self.query);
                    position.map(|position| {
                        if self.after.as_ref().is_none_or(|after| position > *after) {
                            bytes += position.len();
                            rows.push(position);
                            if rows.len() > wanted {
                                bytes -= rows.pop().map_or(0, |last| last.len());
                            }
                        }
                    })
                }
            };
            self.state = State::Sorting { from: below.into(), rows, bytes };
            result?;
            if bytes > SORTED_BYTES_MAX {
                return Err(Error::LimitExceeded {
                    what: "the bytes that a result is sorted by (give it a limit, or an index of its order)",
                    value: bytes as u64,
                    limit: SORTED_BYTES_MAX as u64,
                });
            }
        }
    }

    /// To the next document that is found, in the order in which they are read.
    fn next_read(&mut self, reader: &mut dyn Reader) -> Result<bool> {
        let now_ms = *self.now_ms.get_or_insert_with(|| reader.now_ms());
        loop {
            Error::if_cancelled()?;
            let (row, filter) = (&mut self.row, self.filter.as_ref());
            if let State::Documents(walk) = &mut self.state {
                let next = walk.next(reader, |key, bytes| {
                    let found = found(bytes, now_ms, filter)?;
                    Ok(found.map(|stored| row.set(key, stored.document)).is_some())
                })?;
                let Some(is_found) = next else { return Ok(false) };
                self.work.documents += 1;
                if is_found {
                    return Ok(true);
                }
                continue;
            }
            let Some(key) = self.ahead.first() else {
                self.look_ahead(reader)?;
                if self.ahead.first().is_none() {
                    return Ok(false);
                }
                continue;
            };
            let is_found = reader.with_whole(key, |bytes| {
                let found = found(bytes, now_ms, filter)?;
                Ok(found.map(|stored| row.set_document(stored.document)).is_some())
            })? == Some(true);
            self.work.documents += 1;
            if is_found {
                row.set_key(self.ahead.record().unwrap_or_default());
            }
            self.ahead.pass();
            if is_found {
                return Ok(true);
            }
        }
    }

    /// Gathers keys of the next documents that may be found: no more than are wanted, where that is known.
    fn look_ahead(&mut self, reader: &mut dyn Reader) -> Result<()> {
        let limit = self.query.limit_count().filter(|_| self.filter.is_none() && self.plan.sorting != Sorting::Rows);
        let wanted = limit.map(|limit| {
            let passed_over = self.query.offset_count().saturating_sub(self.passed);
            limit.saturating_sub(self.work.rows).saturating_add(passed_over)
        });
        let (state, work) = (&mut self.state, &mut self.work);
        self.ahead.gather(wanted, |ahead| next_key(state, reader, work, ahead))?;
        self.ahead.announce(reader);
        Ok(())
    }
}

/// Gathers the key of the next document that may be found; false when there is none.
fn next_key(state: &mut State, reader: &mut dyn Reader, work: &mut Work, ahead: &mut Ahead) -> Result<bool> {
    loop {
        Error::if_cancelled()?;
        match state {
            State::Entries { source, walk, given } => {
                let next = walk.next(reader, |key, value| {
                    let record = record_of(&source.index, key, value)?;
                    let is_new = given.as_mut().is_none_or(|given| given.insert(record.to_vec()));
                    if is_new {
                        ahead.push(record);
                    }
                    Ok(is_new)
                })?;
                let Some(is_new) = next else { return Ok(false) };
                work.entries += 1;
                if is_new {
                    return Ok(true);
                }
            }
            State::Gathering(gathering) => {
                if let Some(keys) = gathering.step(reader, &mut work.entries)? {
                    *state = State::Keys(keys);
                }
            }
            State::Keys(keys) => {
                let Some(key) = keys.pop() else { return Ok(false) };
                ahead.push(&key);
                return Ok(true);
            }
            State::Documents(_) | State::Sorting { .. } | State::Sorted(_) => return Ok(false),
        }
    }
}

/// The stored document, if it is neither gone nor left out by the filter.
pub(super) fn found<'b>(bytes: &'b [u8], now_ms: u64, filter: Option<&CompiledFilter>) -> Result<Option<Stored<'b>>> {
    match Stored::present(bytes, now_ms)? {
        Some(stored) if filter.map_or(Ok(true), |filter| filter.matches(stored.document))? => Ok(Some(stored)),
        _ => Ok(None),
    }
}

impl State {
    fn new(plan: &Plan, definition: &Definition, after: Option<&Position>) -> Self {
        let backwards = matches!(plan.sorting, Sorting::AsRead { backwards: true } | Sorting::Keys { backwards: true });
        let after = after.filter(|_| matches!(plan.sorting, Sorting::Keys { .. }));
        let gathering = |sources: &[Arc<Source>], any| {
            // The last is read first, and the first has the fewest keys.
            let (sources, walk, keys) = (sources.iter().rev().cloned().collect(), None, Vec::new());
            let after = after.map(|after| after.record().to_vec());
            State::Gathering(Gathering { sources, any, backwards, after, walk, keys, gathered: None })
        };
        let state = match &plan.access {
            Access::Nothing => State::Keys(Vec::new()),
            Access::Documents(spans) => State::Documents(Walk::new(definition.id, spans.clone(), backwards)),
            Access::Index(source) if matches!(plan.sorting, Sorting::Keys { .. }) => {
                gathering(core::slice::from_ref(source), true)
            }
            Access::Index(source) => State::Entries {
                walk: Walk::new(source.index.id, source.spans.clone(), backwards),
                given: source.repeats.then(HashSet::default),
                source: source.clone(),
            },
            Access::All(sources) => gathering(sources, false),
            Access::Any(sources) => gathering(sources, true),
        };
        if plan.sorting == Sorting::Rows {
            return State::Sorting { from: state.into(), rows: BinaryHeap::new(), bytes: 0 };
        }
        state
    }
}

impl Gathering {
    /// Gathers the keys of one source more; all of them when there is none left.
    fn step(&mut self, reader: &mut dyn Reader, entries: &mut u64) -> Result<Option<Vec<Vec<u8>>>> {
        if self.walk.is_none() {
            let Some(source) = self.sources.pop() else {
                let mut keys = self.gathered.take().unwrap_or_default();
                keys.sort_unstable();
                keys.dedup();
                if !self.backwards {
                    keys.reverse();
                }
                return Ok(Some(keys));
            };
            let walk = Walk::new(source.index.id, source.spans.clone(), false);
            self.walk = Some((source, walk));
        }
        let Some((source, walk)) = &mut self.walk else { return Ok(None) };
        while let Some(key) = walk.next(reader, |key, value| Ok(record_of(&source.index, key, value)?.to_vec()))? {
            Error::if_cancelled()?;
            *entries += 1;
            let is_before =
                self.after.as_ref().is_some_and(|after| if self.backwards { key >= *after } else { key <= *after });
            let is_wanted = !is_before
                && (self.any || self.gathered.as_ref().is_none_or(|before| before.binary_search(&key).is_ok()));
            if !is_wanted {
                continue;
            }
            self.keys.push(key);
            let held = self.keys.len() as u64 + self.gathered.as_ref().map_or(0, Vec::len) as u64;
            if held > 2 * GATHERED_MAX {
                return Err(Error::LimitExceeded {
                    what: "the number of keys gathered for a query (an index of its paths together needs none)",
                    value: held,
                    limit: 2 * GATHERED_MAX,
                });
            }
        }
        self.walk = None;
        let mut keys = core::mem::take(&mut self.keys);
        if self.any {
            keys.append(&mut self.gathered.take().unwrap_or_default());
        } else {
            keys.sort_unstable();
            keys.dedup();
            if keys.is_empty() {
                self.sources.clear();
            }
        }
        self.gathered = Some(keys);
        Ok(None)
    }
}

/// About how many documents the query of a run finds, without its limit.
pub(super) fn estimated_rows(run: &Run, reader: &mut dyn Reader) -> Result<u64> {
    let of = |reader: &mut _, table, spans: &[Span]| -> Result<u64> {
        spans.iter().try_fold(0, |sum, span| Ok(sum + Reader::estimate(reader, table, span)?))
    };
    match (run.plan.estimated_rows, &run.plan.access) {
        (Some(rows), _) => Ok(rows),
        (None, Access::Documents(spans)) => of(reader, run.definition.id, spans),
        (None, Access::Index(source)) => of(reader, source.index.id, &source.spans),
        (None, _) => Ok(0),
    }
}

/// How many documents a query finds.
pub(crate) fn count(reader: &mut dyn Reader, definition: &Arc<Definition>, query: Query) -> Result<u64> {
    let query = query.normalised()?;
    let whole = query.limit_count().is_none() && query.offset_count() == 0 && query.after_token().is_none();
    if whole
        && let Some((table, spans)) = countable(reader, definition, &query)?
        && !may_be_gone(reader, definition)?
    {
        return spans.iter().try_fold(0, |sum, span| Ok(sum + reader.count(table, span)?));
    }
    let mut run = Run::new(reader, Arc::clone(definition), query)?;
    while run.advance(reader)? {}
    Ok(run.work.rows)
}

/// Whether some document is gone that is not removed yet.
fn may_be_gone(reader: &mut dyn Reader, definition: &Definition) -> Result<bool> {
    // No more than that: in a transaction what is looked at can conflict.
    let due = expiry::due(reader.now_ms());
    Ok(reader.cursor(definition.expiry_id, &due)?.first()?.is_some())
}
