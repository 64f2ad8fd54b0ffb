//! Conditions as ranges of encoded keys: what the planner looks up in an index, and what filters compare with.

use alloc::vec;
use alloc::vec::Vec;
use core::ops::Bound;

use super::ast::{Condition, Test};
use super::normalise::value_of;
use crate::document::{Value, fold, key};
use crate::error::Result;
use crate::table::KeyBuffer;

/// The keys from `start`, which is one of them, to `end`, which is not.
///
/// Keys are prefix-free, so the same bounds are right for keys with more behind them, the other parts of an index entry and
/// the key of its record: all entries whose part is in the span, and no others, lie between the bounds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    /// The least bytes that may be there.
    pub start: Vec<u8>,
    /// The least bytes that are beyond it.
    pub end: Vec<u8>,
}

impl Span {
    /// The span of one key.
    fn of(key: Vec<u8>) -> Self {
        Self { end: successor(key.clone()), start: key }
    }

    /// Whether a key, or what begins with one, is in the span.
    pub(crate) fn contains(&self, key: &[u8]) -> bool {
        self.start.as_slice() <= key && key < self.end.as_slice()
    }
}

impl Condition {
    /// The keys that answer this condition, in their order, no two spans overlapping. Of a folded condition, keys of
    /// folded texts. The condition must be of a [normalised](super::Query::normalised) query.
    ///
    /// Where a field is missing its key is that of null. For [`Test::Exists`] the key that answers is that of the whole value,
    /// and where it is no key, as of a map, it exists; an index with an entry for each element cannot tell.
    pub(crate) fn spans(&self) -> Result<Vec<Span>> {
        let null = || encoded(&Value::Null, false).map(Span::of);
        Ok(match &self.test {
            Test::In(values) => {
                let mut keys = values.iter().map(|value| encoded(value, self.folded)).collect::<Result<Vec<_>>>()?;
                // Values that differ may be alike when folded.
                keys.sort_unstable();
                keys.dedup();
                keys.into_iter().map(Span::of).collect()
            }
            Test::Range { from, to } => self.range(from, to)?.into_iter().collect(),
            Test::StartsWith(prefix) => {
                let start = text_prefix(prefix, self.folded)?;
                vec![Span { end: successor(start.clone()), start }]
            }
            Test::Exists(true) => vec![Span { start: null()?.end, end: vec![u8::MAX] }],
            Test::Exists(false) => vec![null()?],
        })
    }

    /// Nothing where folding turned the ends around.
    fn range(&self, from: &Bound<Value>, to: &Bound<Value>) -> Result<Option<Span>> {
        let Some(some) = value_of(from).or(value_of(to)) else { return Ok(None) };
        let kind = kind(some)?;
        let start = match from {
            Bound::Included(value) => encoded(value, self.folded)?,
            Bound::Excluded(value) => successor(encoded(value, self.folded)?),
            Bound::Unbounded => kind.start,
        };
        let end = match to {
            Bound::Included(value) => successor(encoded(value, self.folded)?),
            Bound::Excluded(value) => encoded(value, self.folded)?,
            Bound::Unbounded => kind.end,
        };
        Ok((start < end).then_some(Span { start, end }))
    }
}

/// The keys of all values of the kind of this one.
fn kind(value: &Value) -> Result<Span> {
    let between = |least: Value, greatest: Value| {
        Ok(Span { start: encoded(&least, false)?, end: successor(encoded(&greatest, false)?) })
    };
    match value {
        Value::Integer(_) | Value::Float(_) => between(Value::Float(f64::NEG_INFINITY), Value::Float(f64::INFINITY)),
        Value::Bool(_) => between(Value::Bool(false), Value::Bool(true)),
        // Of all others the first byte is the kind.
        other => {
            let mut key = encoded(other, false)?;
            key.truncate(1);
            Ok(Span::of(key))
        }
    }
}

/// The key of a value.
fn encoded(value: &Value, folded: bool) -> Result<Vec<u8>> {
    let mut key = KeyBuffer::new();
    if folded {
        key::encode(&folded_value(value), &mut key)?;
    } else {
        key::encode(value, &mut key)?;
    }
    Ok(key.as_slice().to_vec())
}

/// A value with its texts folded.
pub(crate) fn folded_value(value: &Value) -> Value {
    match value {
        Value::Text(text) => Value::Text(fold(text).into_owned()),
        Value::Array(parts) => parts.iter().map(folded_value).collect(),
        other => other.clone(),
    }
}

/// What the keys of all texts with this beginning begin with: its key without the byte that ends it.
fn text_prefix(prefix: &str, folded: bool) -> Result<Vec<u8>> {
    let mut key = encoded(&Value::Text(prefix.into()), folded)?;
    key.pop();
    Ok(key)
}

/// The least bytes beyond everything that begins with these. No key begins with a byte of only ones, so there are some.
fn successor(mut bytes: Vec<u8>) -> Vec<u8> {
    while let Some(last) = bytes.pop() {
        if last < u8::MAX {
            bytes.push(last + 1);
            break;
        }
    }
    bytes
}
