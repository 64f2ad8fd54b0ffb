//! Which entries of an index the conditions of a query reach.
//!
//! Entries are in the order of their parts, so conditions that ask for single values of an index's first paths, and one that asks
//! for a range of the next, reach one span of entries for each combination of the single values.

use alloc::vec::Vec;
use core::ops::Bound;

use super::definition::IndexDefinition;
use super::read::Span;
use crate::document::query::{Condition, Test};
use crate::document::{Path, Value};
use crate::error::Result;
use crate::table::KeyBuffer;

/// More spans than this are one that reaches over all of them.
const SPANS_MAX: usize = 1000;

/// What conditions reach in an index.
#[derive(Clone, Debug)]
pub(crate) struct Reach {
    /// In order, none touching another.
    pub spans: Vec<Span>,
    /// The conditions (by their place) that each entry reached fulfils, so that its document need not be asked.
    pub fulfilled: Vec<usize>,
    /// How many of the index's first paths have one value each.
    pub fixed: usize,
    /// A document may be reached by several entries.
    pub repeats: bool,
}

/// The index whose entries are the documents themselves.
pub(crate) fn of_keys(path: &Path, id: u64) -> IndexDefinition {
    IndexDefinition {
        id,
        name: alloc::string::String::new(),
        paths: Vec::from([path.clone()]),
        unique: true,
        sparse: false,
        multi: false,
        folded: false,
        ready: true,
    }
}

/// What `conditions`, all of which must hold, reach in `index`; everything when none of them is of its first path. `None`
/// where the index lacks documents that may fulfil them.
pub(crate) fn reach(index: &IndexDefinition, conditions: &[&Condition]) -> Result<Option<Reach>> {
    let mut heads = Vec::from([KeyBuffer::new()]);
    let mut reach = Reach { spans: Vec::new(), fulfilled: Vec::new(), fixed: 0, repeats: index.multi };
    let mut last: Option<Vec<Span>> = None;
    let mut is_fixed = true;
    for path in &index.paths {
        let of_path = || {
            conditions.iter().enumerate().filter(|(_, condition)| condition.path == *path && is_of(condition, index))
        };
        if let Some((at, values)) = of_path().find_map(|(at, condition)| match &condition.test {
            Test::In(values) if heads.len().saturating_mul(values.len()) <= SPANS_MAX => Some((at, values)),
            _ => None,
        }) {
            if !(index.multi && values.contains(&Value::Null)) {
                // With an entry for each element that of null may be of an empty array, too.
                reach.fulfilled.push(at);
            }
            let keys = keys(conditions, at)?;
            is_fixed &= keys.len() == 1;
            heads = heads.iter().flat_map(|head| keys.iter().map(|key| followed(head, key))).collect();
            reach.fixed += usize::from(is_fixed);
            continue;
        }
        let mut span: Option<Span> = None;
        for (at, condition) in of_path() {
            let further = match &condition.test {
                Test::In(_) => continue,
                _ => condition.spans()?,
            };
            let [further] = further.as_slice() else { continue };
            let further = Span { from: further.start.clone(), to: Some(further.end.clone()) };
            // Of an array each element may answer another condition.
            if index.multi && span.is_some() {
                break;
            }
            reach.fulfilled.push(at);
            span = Some(match span {
                None => further,
                Some(span) => intersection(span, further),
            });
        }
        if let Some(span) = span {
            last = Some(heads.iter().map(|head| below(head, &span)).collect());
        }
        break;
    }
    reach.spans = last.unwrap_or_else(|| heads.iter().map(|head| below(head, &Span::all())).collect());
    reach.spans.retain(|span| !span.is_empty());
    reach.spans.sort_unstable_by(|a, b| a.from.cmp(&b.from));
    reach.spans.dedup();
    if index.sparse && !all_present(index, conditions) {
        return Ok(None);
    }
    // One value of one path is in one entry of a document.
    reach.repeats &= !(reach.spans.len() == 1 && reach.fixed == index.paths.len());
    Ok(Some(reach))
}

/// Whether each path of the index is under a condition that null does not fulfil.
fn all_present(index: &IndexDefinition, conditions: &[&Condition]) -> bool {
    index.paths.iter().all(|path| {
        conditions.iter().any(|condition| {
            condition.path == *path
                && match &condition.test {
                    Test::In(values) => !values.contains(&Value::Null),
                    Test::Range { .. } | Test::StartsWith(_) => true,
                    Test::Exists(there) => *there && !index.multi,
                }
        })
    })
}

/// Whether entries can answer the condition: text is in a folded index without its case and accents.
fn is_of(condition: &Condition, index: &IndexDefinition) -> bool {
    let has_text = match &condition.test {
        Test::In(values) => values.iter().any(holds_text),
        Test::Range { from, to } => [from, to].into_iter().any(|bound| match bound {
            Bound::Included(value) | Bound::Excluded(value) => holds_text(value),
            Bound::Unbounded => false,
        }),
        Test::StartsWith(_) => true,
        // Of an index of single values null alone is not there.
        Test::Exists(_) => return !index.multi,
    };
    condition.folded == index.folded || !has_text
}

fn holds_text(value: &Value) -> bool {
    match value {
        Value::Text(_) => true,
        Value::Array(parts) => parts.iter().any(holds_text),
        _ => false,
    }
}

/// The keys that one condition asks for.
fn keys(conditions: &[&Condition], at: usize) -> Result<Vec<Vec<u8>>> {
    let Some(condition) = conditions.get(at) else { return Ok(Vec::new()) };
    Ok(condition.spans()?.into_iter().map(|span| span.start).collect())
}

fn followed(head: &KeyBuffer, key: &[u8]) -> KeyBuffer {
    let mut longer = head.clone();
    longer.extend(key);
    longer
}

/// The lowest bytes above all that begin with these.
pub(crate) fn behind(start: &[u8]) -> Vec<u8> {
    let mut end = KeyBuffer::new();
    end.extend(start);
    // The first byte of a key is never 0xFF.
    end.make_prefix_end();
    end.to_vec()
}

fn intersection(a: Span, b: Span) -> Span {
    let to = match (a.to, b.to) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (to, None) | (None, to) => to,
    };
    Span { from: a.from.max(b.from), to }
}

/// A span of the part that follows `head`.
fn below(head: &KeyBuffer, span: &Span) -> Span {
    let mut from = head.to_vec();
    from.extend_from_slice(&span.from);
    let to = match &span.to {
        Some(to) => Some([head, to.as_slice()].concat()),
        None if head.is_empty() => None,
        None => Some(behind(head)),
    };
    Span { from, to }
}
