//! How a query is answered: which index is read, what is still to be looked at in each document, and what is sorted.
//!
//! Costs are in units of reading one document at random; the statistics are the index's own, taken from the positions of the
//! spans' ends in its tree.

use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::definition::{Definition, IndexDefinition};
use super::read::{Reader, Span};
use super::spans::{Reach, of_keys, reach};
use crate::document::key;
use crate::document::query::{Condition, Filter, Order, Query};
use crate::error::Result;

/// Reading the next document, or entry, of a walk.
const NEXT_DOCUMENT: f64 = 0.3;
const NEXT_ENTRY: f64 = 0.1;
/// Sorting one row, or one key.
const SORT_ROW: f64 = 0.3;
const SORT_KEY: f64 = 0.05;
/// The part of documents that a condition leaves of which nothing is known.
const UNKNOWN_PART: f64 = 0.3;
/// More keys than this are not gathered to be sorted or intersected: documents are walked instead.
pub(super) const GATHERED_MAX: u64 = 2_000_000;

/// Where the keys of documents come from.
#[derive(Clone, Debug)]
pub(super) enum Access {
    /// From nowhere: the conditions contradict each other.
    Nothing,
    /// The documents themselves.
    Documents(Vec<Span>),
    /// The entries of an index.
    Index(Arc<Source>),
    /// Those that are in all of these.
    All(Vec<Arc<Source>>),
    /// Those that are in any of these.
    Any(Vec<Arc<Source>>),
}

/// Spans of one index.
#[derive(Clone, Debug)]
pub(super) struct Source {
    pub index: Arc<IndexDefinition>,
    pub spans: Vec<Span>,
    /// A document may come more than once.
    pub repeats: bool,
}

/// In which order rows come, and how that is brought about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sorting {
    /// As they are read, forwards or backwards.
    AsRead { backwards: bool },
    /// The keys are gathered and sorted before documents are read.
    Keys { backwards: bool },
    /// Rows are gathered and sorted.
    Rows,
}

/// How a query is answered.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    pub access: Access,
    /// Documents must be asked whether they are found.
    pub filtered: bool,
    pub sorting: Sorting,
    /// About how many documents are found; `None` when it was chosen without asking.
    pub estimated_rows: Option<u64>,
    /// The cost that it was chosen for.
    pub cost: f64,
}

/// The cheapest plan.
pub(super) fn plan(reader: &mut dyn Reader, definition: &Definition, query: &Query) -> Result<Plan> {
    let limit = query.limit_count().map(|limit| limit.saturating_add(query.offset_count()));
    let mut planner = Planner { reader, definition, query, limit: limit.unwrap_or(u64::MAX), total: 0 };
    if let Some(plan) = planner.unbeaten()? {
        return Ok(plan);
    }
    let cheapest = planner.all()?.into_iter().min_by(|a, b| a.cost.total_cmp(&b.cost));
    Ok(cheapest.unwrap_or_else(Plan::nothing))
}

/// Every plan there is: each must give the same rows.
#[cfg(test)]
pub(super) fn plans(reader: &mut dyn Reader, definition: &Definition, query: &Query) -> Result<Vec<Plan>> {
    let mut planner = Planner { reader, definition, query, limit: u64::MAX, total: 0 };
    let mut plans = planner.all()?;
    plans.extend(planner.unbeaten()?);
    Ok(plans)
}

struct Planner<'a> {
    reader: &'a mut dyn Reader,
    definition: &'a Definition,
    query: &'a Query,
    /// Rows wanted, those passed over included.
    limit: u64,
    /// About how many documents there are.
    total: u64,
}

/// An index with what it reaches and about how many entries that is.
#[derive(Clone)]
struct Candidate {
    index: Arc<IndexDefinition>,
    reach: Reach,
    entries: u64,
}

/// What is counted in a table for a query of which only the number of documents is wanted, where an index or the keys tell.
pub(super) fn countable(
    reader: &mut dyn Reader,
    definition: &Definition,
    query: &Query,
) -> Result<Option<(u64, Vec<Span>)>> {
    let conditions = Conditions::of(query);
    if conditions.is_everything() {
        return Ok(Some((definition.id, Vec::from([Span::all()]))));
    }
    if let Some((index, reach)) = conditions.answered_by(definition, |_, _| true)? {
        return Ok(Some((index.id, reach.spans)));
    }
    let keys = of_keys(&definition.key, definition.id);
    let reach = reach(&keys, &conditions.all)?.filter(|reach| conditions.fulfilled_by(reach));
    Ok(match reach {
        Some(reach) if !has_tuples(reader, definition)? => Some((definition.id, reach.spans)),
        _ => None,
    })
}

/// The conditions of a filter that must all hold.
struct Conditions<'q> {
    all: Vec<&'q Condition>,
    /// There is nothing else in the filter.
    alone: bool,
}

impl<'q> Conditions<'q> {
    fn of(query: &'q Query) -> Self {
        match query.filter_by() {
            None => Self { all: Vec::new(), alone: true },
            Some(Filter::Condition(condition)) => Self { all: Vec::from([condition]), alone: true },
            Some(Filter::All(filters)) => {
                let all: Vec<&Condition> = filters.iter().filter_map(as_condition).collect();
                Self { alone: all.len() == filters.len(), all }
            }
            Some(_) => Self { all: Vec::new(), alone: false },
        }
    }

    /// Whether every document is found.
    fn is_everything(&self) -> bool {
        self.alone && self.all.is_empty()
    }

    /// Whether what is reached is found, so that no document need be asked.
    fn fulfilled_by(&self, reach: &Reach) -> bool {
        self.are_fulfilled(reach.fulfilled.len())
    }

    fn are_fulfilled(&self, fulfilled: usize) -> bool {
        self.alone && fulfilled == self.all.len()
    }

    /// The first index that `accept` takes of those whose entries are the documents found, each once.
    fn answered_by<'d>(
        &self,
        definition: &'d Definition,
        accept: impl Fn(&IndexDefinition, &Reach) -> bool,
    ) -> Result<Option<(&'d Arc<IndexDefinition>, Reach)>> {
        if !self.alone {
            return Ok(None);
        }
        for index in definition.indexes.iter().filter(|index| index.ready) {
            if let Some(reach) = reach(index, &self.all)?
                && self.fulfilled_by(&reach)
                && !reach.repeats
                && accept(index, &reach)
            {
                return Ok(Some((index, reach)));
            }
        }
        Ok(None)
    }
}

/// Whether some document's key is a tuple. A condition is fulfilled by a part of it, which stands elsewhere in the order.
fn has_tuples(reader: &mut dyn Reader, definition: &Definition) -> Result<bool> {
    let tuples = Span { from: Vec::from([key::TUPLE]), to: None };
    Ok(reader.cursor(definition.id, &tuples)?.first()?.is_some())
}

impl Planner<'_> {
    /// A plan that no other can beat, so that no statistics are asked for: what is read is all found, in the order wanted.
    fn unbeaten(&mut self) -> Result<Option<Plan>> {
        let conditions = Conditions::of(self.query);
        let plan = |access, backwards| {
            let sorting = Sorting::AsRead { backwards };
            Plan { access, filtered: false, sorting, estimated_rows: None, cost: 0.0 }
        };
        if conditions.is_everything() {
            let access = Access::Documents(Vec::from([Span::all()]));
            return Ok(self.order_of_keys().map(|backwards| plan(access, backwards)));
        }
        let in_order = |index: &IndexDefinition, reach: &Reach| self.order_in(index, reach).is_some();
        let Some((index, reach)) = conditions.answered_by(self.definition, in_order)? else { return Ok(None) };
        let backwards = self.order_in(index, &reach);
        let source = Source { index: Arc::clone(index), spans: reach.spans, repeats: false };
        Ok(backwards.map(|backwards| plan(Access::Index(Arc::new(source)), backwards)))
    }

    /// The plans that there are to choose from.
    fn all(&mut self) -> Result<Vec<Plan>> {
        self.total = self.reader.estimate(self.definition.id, &Span::all())?;
        if self.query.filter_by().is_some_and(Filter::is_nothing) {
            return Ok(Vec::from([Plan::nothing()]));
        }
        let conditions = Conditions::of(self.query);
        let mut candidates = Vec::new();
        for index in self.definition.indexes.iter().filter(|index| index.ready) {
            candidates.extend(self.candidate(index, &conditions.all)?);
        }
        let found = self.found(&candidates, &conditions);
        let mut plans = Vec::from([self.walk(&conditions, found)?]);
        for candidate in &candidates {
            let filtered = !conditions.fulfilled_by(&candidate.reach);
            plans.extend(self.with_index(candidate, filtered, found));
        }
        plans.extend(self.intersection(&candidates, &conditions, found));
        plans.extend(self.union()?);
        Ok(plans)
    }

    fn candidate(&mut self, index: &Arc<IndexDefinition>, conditions: &[&Condition]) -> Result<Option<Candidate>> {
        let Some(reach) = reach(index, conditions)? else { return Ok(None) };
        let mut entries = 0;
        for span in &reach.spans {
            entries += self.reader.estimate(index.id, span)?;
        }
        Ok(Some(Candidate { index: Arc::clone(index), reach, entries }))
    }

    /// About how many documents are found: each condition leaves the part that an index says, or one that is not known.
    fn found(&self, candidates: &[Candidate], conditions: &Conditions<'_>) -> f64 {
        let total = self.total.max(1) as f64;
        let mut part = if conditions.alone { 1.0 } else { UNKNOWN_PART };
        let mut known = Vec::new();
        let mut best: Vec<&Candidate> = candidates.iter().filter(|one| !one.reach.fulfilled.is_empty()).collect();
        best.sort_by_key(|one| one.entries);
        for candidate in best {
            if candidate.reach.fulfilled.iter().any(|at| known.contains(at)) {
                continue;
            }
            known.extend(&candidate.reach.fulfilled);
            part *= (candidate.entries as f64 / total).min(1.0);
        }
        let unknown = conditions.all.len().saturating_sub(known.len());
        (0..unknown.min(8)).for_each(|_| part *= UNKNOWN_PART);
        part * total
    }

    /// Documents read before the limit is reached, of `candidates` of which `found` are found.
    fn read_until_limit(&self, candidates: f64, found: f64) -> f64 {
        let part = (found / candidates.max(1.0)).clamp(1e-9, 1.0);
        (self.limit as f64 / part).min(candidates)
    }

    /// The documents themselves, in the order of their keys.
    fn walk(&mut self, conditions: &Conditions<'_>, found: f64) -> Result<Plan> {
        let keys = Arc::new(of_keys(&self.definition.key, self.definition.id));
        let usable = if has_tuples(self.reader, self.definition)? { &[] } else { conditions.all.as_slice() };
        let Some(candidate) = self.candidate(&keys, usable)? else { return Ok(Plan::nothing()) };
        let reach = &candidate.reach;
        let filtered = !conditions.fulfilled_by(reach);
        let sorting = match self.order_of_keys() {
            Some(backwards) => Sorting::AsRead { backwards },
            None => Sorting::Rows,
        };
        let entries = candidate.entries as f64;
        let cost = match sorting {
            Sorting::AsRead { .. } => self.read_until_limit(entries, found) * NEXT_DOCUMENT,
            _ => entries * NEXT_DOCUMENT + self.sort(found),
        };
        let access = if reach.spans.is_empty() { Access::Nothing } else { Access::Documents(reach.spans.clone()) };
        Ok(Plan {
            access,
            filtered,
            sorting,
            estimated_rows: Some(found as u64),
            cost: cost + reach.spans.len() as f64,
        })
    }

    fn with_index(&self, candidate: &Candidate, filtered: bool, found: f64) -> Option<Plan> {
        let Candidate { index, reach, entries } = candidate;
        let entries = *entries as f64;
        let sorting = match self.order_in(index, reach) {
            Some(backwards) => Sorting::AsRead { backwards },
            None => self.order_of_gathered(),
        };
        if reach.fulfilled.is_empty() && !matches!(sorting, Sorting::AsRead { .. }) {
            return None;
        }
        let cost = match sorting {
            Sorting::AsRead { .. } => self.read_until_limit(entries, found) * (1.0 + NEXT_ENTRY),
            Sorting::Keys { .. } if candidate.entries > GATHERED_MAX => return None,
            // The keys that were given are held, so that none is given again.
            Sorting::Rows if reach.repeats && candidate.entries > GATHERED_MAX => return None,
            Sorting::Keys { .. } => entries * (NEXT_ENTRY + SORT_KEY) + self.read_until_limit(entries, found),
            Sorting::Rows => entries * (1.0 + NEXT_ENTRY) + self.sort(found),
        };
        let spans = reach.spans.clone();
        let spans_cost = spans.len() as f64;
        let access = if spans.is_empty() {
            Access::Nothing
        } else {
            Access::Index(Arc::new(Source { index: Arc::clone(index), spans, repeats: reach.repeats }))
        };
        Some(Plan { access, filtered, sorting, estimated_rows: Some(found as u64), cost: cost + spans_cost })
    }

    /// The documents that several indexes reach, each for another condition.
    fn intersection(&self, candidates: &[Candidate], conditions: &Conditions<'_>, found: f64) -> Option<Plan> {
        let mut best: Vec<&Candidate> = candidates.iter().filter(|one| !one.reach.fulfilled.is_empty()).collect();
        best.sort_by_key(|one| one.entries);
        let (mut chosen, mut fulfilled): (Vec<&Candidate>, Vec<usize>) = (Vec::new(), Vec::new());
        for candidate in best {
            if candidate.reach.fulfilled.iter().any(|at| !fulfilled.contains(at)) && candidate.entries <= GATHERED_MAX {
                chosen.push(candidate);
                fulfilled.extend(&candidate.reach.fulfilled);
                fulfilled.sort_unstable();
                fulfilled.dedup();
            }
        }
        if chosen.len() < 2 || chosen.iter().any(|candidate| candidate.reach.spans.is_empty()) {
            return None;
        }
        let sorting = self.order_of_gathered();
        let gathered: f64 = chosen.iter().map(|one| one.entries as f64 * (NEXT_ENTRY + SORT_KEY)).sum();
        let kept = chosen.iter().fold(self.total.max(1) as f64, |kept, one| {
            kept * (one.entries as f64 / self.total.max(1) as f64).min(1.0)
        });
        let rows = match sorting {
            Sorting::Rows => kept + self.sort(found),
            _ => self.read_until_limit(kept, found),
        };
        let sources = chosen.into_iter().map(Candidate::source).collect();
        let filtered = !conditions.are_fulfilled(fulfilled.len());
        let (access, cost) = (Access::All(sources), gathered + rows);
        Some(Plan { access, filtered, sorting, estimated_rows: Some(found as u64), cost })
    }

    /// Where any of several filters is enough, an index for each of them.
    fn union(&mut self) -> Result<Option<Plan>> {
        let Some(Filter::Any(filters)) = self.query.filter_by() else { return Ok(None) };
        let (mut sources, mut entries) = (Vec::new(), 0_u64);
        for filter in filters {
            let conditions: Vec<&Condition> = match filter {
                Filter::Condition(condition) => Vec::from([condition]),
                Filter::All(filters) => filters.iter().filter_map(as_condition).collect(),
                _ => return Ok(None),
            };
            let mut best: Option<Candidate> = None;
            for index in self.definition.indexes.iter().filter(|index| index.ready) {
                let candidate = self.candidate(index, &conditions)?.filter(|one| !one.reach.fulfilled.is_empty());
                if let Some(candidate) = candidate
                    && best.as_ref().is_none_or(|best| candidate.entries < best.entries)
                {
                    best = Some(candidate);
                }
            }
            let Some(best) = best else { return Ok(None) };
            entries = entries.saturating_add(best.entries);
            sources.push(best.source());
        }
        if entries > GATHERED_MAX {
            return Ok(None);
        }
        let sorting = self.order_of_gathered();
        let rows = match sorting {
            Sorting::Rows => entries as f64 + self.sort(entries as f64),
            _ => self.read_until_limit(entries as f64, entries as f64),
        };
        let cost = entries as f64 * (NEXT_ENTRY + SORT_KEY) + rows;
        Ok(Some(Plan { access: Access::Any(sources), filtered: true, sorting, estimated_rows: Some(entries), cost }))
    }

    /// Whether rows in the order of the keys are as the query wants them, and then whether backwards.
    fn order_of_keys(&self) -> Option<bool> {
        match self.query.order() {
            [] => Some(self.query.is_reverse()),
            [Order { path, descending }, ..] if *path == self.definition.key => Some(*descending),
            _ => None,
        }
    }

    /// How rows come to be in order whose keys come in another.
    fn order_of_gathered(&self) -> Sorting {
        match self.order_of_keys() {
            Some(backwards) => Sorting::Keys { backwards },
            None => Sorting::Rows,
        }
    }

    /// Whether rows in the order of the index's entries are as the query wants them, and then whether backwards.
    fn order_in(&self, index: &IndexDefinition, reach: &Reach) -> Option<bool> {
        if index.multi || index.folded || reach.spans.len() > 1 {
            return None;
        }
        let descending = match self.query.order() {
            // What is alike in all parts is in the order of the keys.
            [] if reach.fixed == index.paths.len() => return Some(self.query.is_reverse()),
            [] => return None,
            [.., last] => last.descending,
        };
        let fixed = index.paths.get(..reach.fixed)?;
        let mut rest = index.paths.get(reach.fixed..)?.iter();
        for order in self.query.order() {
            if fixed.contains(&order.path) {
                continue;
            }
            if rest.next() != Some(&order.path) || order.descending != descending {
                return None;
            }
        }
        rest.next().is_none().then_some(descending)
    }

    fn sort(&self, rows: f64) -> f64 {
        rows * SORT_ROW
    }
}

impl Candidate {
    fn source(&self) -> Arc<Source> {
        let Reach { spans, repeats, .. } = &self.reach;
        Arc::new(Source { index: Arc::clone(&self.index), spans: spans.clone(), repeats: *repeats })
    }
}

impl Plan {
    fn nothing() -> Self {
        let sorting = Sorting::AsRead { backwards: false };
        Self { access: Access::Nothing, filtered: false, sorting, estimated_rows: Some(0), cost: 0.0 }
    }

    /// The name of the index that is read, if it is one.
    pub(super) fn index(&self) -> Option<String> {
        match &self.access {
            Access::Index(source) => Some(source.index.name.clone()),
            _ => None,
        }
    }

    /// In words.
    pub(super) fn describe(&self, definition: &Definition) -> String {
        let mut text = match &self.access {
            Access::Nothing => String::from("nothing: the conditions contradict each other"),
            Access::Documents(spans) if spans.iter().all(|span| *span == Span::all()) => {
                String::from("all documents in the order of their keys")
            }
            Access::Documents(spans) => alloc::format!("documents by key '{}', {}", definition.key, ranges(spans)),
            Access::Index(source) => source.describe(),
            Access::All(sources) => joined("in all of: ", sources),
            Access::Any(sources) => joined("in any of: ", sources),
        };
        if self.filtered {
            text.push_str("; each document is looked at");
        }
        text.push_str(match self.sorting {
            Sorting::AsRead { backwards: false } => "",
            Sorting::AsRead { backwards: true } => "; backwards",
            Sorting::Keys { .. } => "; keys are sorted",
            Sorting::Rows => "; rows are sorted",
        });
        text
    }
}

impl Source {
    fn describe(&self) -> String {
        alloc::format!("index '{}', {}", self.index.name, ranges(&self.spans))
    }
}

fn joined(what: &str, sources: &[Arc<Source>]) -> String {
    let sources: Vec<String> = sources.iter().map(|source| source.describe()).collect();
    String::from(what) + &sources.join(" | ")
}

fn ranges(spans: &[Span]) -> String {
    match spans {
        [one] if *one == Span::all() => String::from("whole"),
        [_] => String::from("1 range"),
        spans => spans.len().to_string() + " ranges",
    }
}

fn as_condition(filter: &Filter) -> Option<&Condition> {
    match filter {
        Filter::Condition(condition) => Some(condition),
        _ => None,
    }
}
