//! Answers queries: rows one after the other, each read when it is asked for.
//!
//! All that is under way is in the [`Run`] itself, so where bytes must be fetched first the same call is made again and nothing is
//! done twice.

use alloc::collections::BinaryHeap;
use alloc::sync::Arc;
use alloc::vec::Vec;

use hashbrown::HashSet;

use super::definition::Definition;
use super::expiry;
use super::plan::{Access, GATHERED_MAX, Plan, Sorting, Source, countable, plan};
use super::position::Position;
use super::read::{Reader, Span};
use super::stored::Stored;
use super::walk::{Walk, record_of};
use crate::document::cbor;
use crate::document::query::{CompiledFilter, Filter, PageToken, Query, SortOrder};
use crate::error::{Error, Result};
use crate::testing::Mutant;

/// Bytes of what rows are sorted by; a query that would need more wants an index of its order, or a limit.
const SORTED_BYTES_MAX: usize = 256 << 20;

/// A document that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Row {
    /// Its encoded key.
    pub key: Vec<u8>,
    /// Its CBOR.
    pub document: Vec<u8>,
}

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
    /// A key whose document is not read yet.
    pending: Option<Vec<u8>>,
    passed: u64,
    pub(super) work: Work,
    /// The last row given, whole.
    last: Option<Row>,
}

enum State {
    /// Documents in the order of their keys.
    Documents(Walk),
    /// Entries of an index, and the keys given if a document may come again.
    Entries { source: Source, walk: Walk, given: Option<HashSet<Vec<u8>>> },
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
    sources: Vec<Source>,
    /// Whether keys of all sources are wanted, or those that are in every one.
    any: bool,
    backwards: bool,
    walk: Option<(Source, Walk)>,
    keys: Vec<Vec<u8>>,
    /// Of the sources before; in order where those in every one are wanted.
    gathered: Option<Vec<Vec<u8>>>,
}

impl Run {
    /// Chooses how to answer a query.
    pub(crate) fn new(reader: &mut impl Reader, definition: Arc<Definition>, query: Query) -> Result<Self> {
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
        let state = State::new(&plan, &definition);
        let (pending, passed, work, last) = (None, 0, Work::default(), None);
        let order = SortOrder::of(&query);
        Ok(Self { definition, query, order, filter, plan, after, state, pending, passed, work, last })
    }

    /// The next row.
    pub(crate) fn next(&mut self, reader: &mut impl Reader) -> Result<Option<Row>> {
        loop {
            if self.query.limit_count().is_some_and(|limit| self.work.rows >= limit) {
                return Ok(None);
            }
            let Some(row) = self.next_found(reader)? else { return Ok(None) };
            let skipped = u64::from(Mutant::PageSkipsOne.is_active() && self.after.is_some());
            if self.passed < self.query.offset_count() + skipped {
                self.passed += 1;
                continue;
            }
            self.work.rows += 1;
            if self.query.limit_count().is_some() {
                self.last = Some(row.clone());
            }
            return self.project(row).map(Some);
        }
    }

    /// Where the rows given so far end; `None` before the first, and without a limit.
    pub(crate) fn token(&self) -> Option<PageToken> {
        let last = Position::of_row(self.last.as_ref()?, &self.order, &self.query).ok()?;
        Some(last.token(&self.query))
    }

    pub(super) fn definition(&self) -> &Definition {
        &self.definition
    }

    fn project(&self, row: Row) -> Result<Row> {
        match self.query.fields() {
            [] => Ok(row),
            fields => Ok(Row { document: cbor::project(&row.document, fields)?, key: row.key }),
        }
    }

    /// The next row in the order of the query, those passed over included.
    fn next_found(&mut self, reader: &mut impl Reader) -> Result<Option<Row>> {
        loop {
            match &mut self.state {
                State::Sorting { .. } => self.sort(reader)?,
                State::Sorted(rows) => {
                    let Some(next) = rows.last() else { return Ok(None) };
                    let key = next.record().to_vec();
                    let document = reader.document(self.definition.id, &key)?;
                    rows.pop();
                    if let Some(document) = document {
                        return Ok(Some(Row { key, document }));
                    }
                }
                _ => {
                    let Some(row) = self.next_read(reader)? else { return Ok(None) };
                    // What was passed over by the clipping of spans alone is behind the last page; the rest is looked at.
                    if let Some(after) = &self.after
                        && Position::of_row(&row, &self.order, &self.query)? <= *after
                    {
                        continue;
                    }
                    return Ok(Some(row));
                }
            }
        }
    }

    /// Gathers all rows and sorts them, keeping no more than are wanted.
    fn sort(&mut self, reader: &mut impl Reader) -> Result<()> {
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
                Ok(None) => {
                    let mut sorted = rows.into_sorted_vec();
                    sorted.reverse();
                    self.state = State::Sorted(sorted);
                    return Ok(());
                }
                Ok(Some(row)) => {
                    let position = Position::of_row(&row, &self.order, &self.query);
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

    /// The next document that is found, in the order in which it is read.
    fn next_read(&mut self, reader: &mut impl Reader) -> Result<Option<Row>> {
        let now_ms = reader.now_ms();
        loop {
            if let State::Documents(walk) = &mut self.state {
                let (filter, documents) = (&self.filter, &mut self.work.documents);
                let next = walk.next(reader, |key, bytes| {
                    let found = found(bytes, now_ms, filter.as_ref())?;
                    *documents += 1;
                    Ok(found.map(|stored| Row { key: key.to_vec(), document: stored.document.to_vec() }))
                })?;
                match next {
                    None => return Ok(None),
                    Some(None) => continue,
                    Some(row) => return Ok(row),
                }
            }
            if self.pending.is_none() {
                self.pending = self.next_key(reader)?;
            }
            let Some(key) = &self.pending else { return Ok(None) };
            let filter = &self.filter;
            let document = reader.with(self.definition.id, key, |bytes| {
                Ok(found(bytes, now_ms, filter.as_ref())?.map(|stored| stored.document.to_vec()))
            })?;
            self.work.documents += 1;
            let Some(key) = self.pending.take() else { return Ok(None) };
            if let Some(document) = document.flatten() {
                return Ok(Some(Row { key, document }));
            }
        }
    }

    /// The key of the next document that may be found.
    fn next_key(&mut self, reader: &mut impl Reader) -> Result<Option<Vec<u8>>> {
        loop {
            match &mut self.state {
                State::Entries { source, walk, given } => {
                    let next = walk.next(reader, |key, value| Ok(record_of(&source.index, key, value)?.to_vec()))?;
                    let Some(key) = next else { return Ok(None) };
                    self.work.entries += 1;
                    if given.as_mut().is_none_or(|given| given.insert(key.clone())) {
                        return Ok(Some(key));
                    }
                }
                State::Gathering(gathering) => {
                    if let Some(keys) = gathering.step(reader, &mut self.work.entries)? {
                        self.state = State::Keys(keys);
                    }
                }
                State::Keys(keys) => return Ok(keys.pop()),
                State::Documents(_) | State::Sorting { .. } | State::Sorted(_) => return Ok(None),
            }
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
    fn new(plan: &Plan, definition: &Definition) -> Self {
        let backwards = matches!(plan.sorting, Sorting::AsRead { backwards: true } | Sorting::Keys { backwards: true });
        let gathering = |sources: &[Source], any| {
            // The last is read first, and the first has the fewest keys.
            let (sources, walk, keys) = (sources.iter().rev().cloned().collect(), None, Vec::new());
            State::Gathering(Gathering { sources, any, backwards, walk, keys, gathered: None })
        };
        let state = match &plan.access {
            Access::Nothing => State::Keys(Vec::new()),
            Access::Documents(spans) => State::Documents(Walk::new(definition.id, spans.clone(), backwards)),
            Access::Index(source) if matches!(plan.sorting, Sorting::Keys { .. }) => {
                gathering(core::slice::from_ref(source), true)
            }
            Access::Index(source) => State::Entries {
                walk: Walk::new(source.index.id, source.spans.clone(), backwards),
                given: source.repeats.then(HashSet::new),
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
    fn step(&mut self, reader: &mut impl Reader, entries: &mut u64) -> Result<Option<Vec<Vec<u8>>>> {
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
            *entries += 1;
            let is_wanted = self.any || self.gathered.as_ref().is_none_or(|before| before.binary_search(&key).is_ok());
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
pub(super) fn estimated_rows(run: &Run, reader: &mut impl Reader) -> Result<u64> {
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
pub(crate) fn count(reader: &mut impl Reader, definition: &Arc<Definition>, query: Query) -> Result<u64> {
    let query = query.normalised()?;
    let whole = query.limit_count().is_none() && query.offset_count() == 0 && query.after_token().is_none();
    if whole
        && let Some((table, spans)) = countable(reader, definition, &query)?
        && !may_be_gone(reader, definition)?
    {
        return spans.iter().try_fold(0, |sum, span| Ok(sum + reader.count(table, span)?));
    }
    let mut run = Run::new(reader, Arc::clone(definition), query)?;
    let mut count = 0;
    while run.next(reader)?.is_some() {
        count += 1;
    }
    Ok(count)
}

/// Whether some document is gone that is not removed yet.
fn may_be_gone(reader: &mut impl Reader, definition: &Definition) -> Result<bool> {
    // No more than that: in a transaction what is looked at can conflict.
    let due = expiry::due(reader.now_ms());
    Ok(reader.cursor(definition.expiry_id, &due)?.first()?.is_some())
}
