//! The one form of a query that can be asked.

use alloc::boxed::Box;
use alloc::format;
use alloc::vec;
use alloc::vec::Vec;
use core::cmp::Ordering;
use core::mem::{discriminant, take};
use core::ops::Bound;

use super::ast::{Condition, Filter, Order, Query, Test};
use super::limits::{CONDITIONS_MAX, DEPTH_MAX, FIELDS_MAX, ORDERS_MAX, VALUES_MAX, within};
use crate::document::{Path, Value, fold, key};
use crate::error::{Error, Result};
use crate::table::KeyBuffer;

impl Query {
    /// The query in its one form, or the first thing in it that cannot be asked: a path that is none, a value that is no key,
    /// a range between kinds, more than the limits allow.
    ///
    /// In this form no `All` holds another, no `Any` holds another, neither holds less than two filters, and what finds
    /// nothing is [`Filter::nothing`] at the very top. Values of `In` are in order, each once, at least one; a range of one
    /// value is `In`. The order holds no path twice, and [`is_reverse`](Query::is_reverse) is left only where it is empty.
    /// The form of this form is the same.
    pub fn normalised(mut self) -> Result<Self> {
        if let Some(error) = self.error {
            return Err(error);
        }
        within("the number of paths in the order", self.order.len(), ORDERS_MAX)?;
        within("the number of fields selected", self.fields.len(), FIELDS_MAX)?;
        if let Some(filter) = self.filter.take() {
            self.filter = Some(filter.normalised()?).filter(|filter| !is_everything(filter));
        }
        let mut order: Vec<Order> = Vec::with_capacity(self.order.len());
        for next in take(&mut self.order) {
            if order.iter().all(|before| before.path != next.path) {
                order.push(next);
            }
        }
        if self.reverse && !order.is_empty() {
            order.iter_mut().for_each(|order| order.descending = !order.descending);
            self.reverse = false;
        }
        self.order = order;
        Ok(self)
    }
}

impl Filter {
    /// The filter as it is in a [normalised](Query::normalised) query, where that has none for everything.
    pub(super) fn normalised(self) -> Result<Self> {
        measure(&self)?;
        simplify(self)
    }
}

/// Refuses what is too large or too deep, before anything recurses into it.
fn measure(filter: &Filter) -> Result<()> {
    let (mut conditions, mut left) = (0, vec![(filter, 1)]);
    while let Some((filter, depth)) = left.pop() {
        within("the depth of the filter", depth, DEPTH_MAX)?;
        match filter {
            Filter::All(filters) | Filter::Any(filters) => {
                left.extend(filters.iter().map(|filter| (filter, depth + 1)));
            }
            Filter::Not(filter) => left.push((filter, depth + 1)),
            Filter::Condition(_) => {
                conditions += 1;
                within("the number of conditions", conditions, CONDITIONS_MAX)?;
            }
        }
    }
    Ok(())
}

fn is_everything(filter: &Filter) -> bool {
    matches!(filter, Filter::All(none) if none.is_empty())
}

/// No deeper than what was measured.
fn simplify(filter: Filter) -> Result<Filter> {
    Ok(match filter {
        Filter::All(filters) => {
            let (mut all, mut nothing) = (Vec::new(), false);
            for filter in filters {
                match simplify(filter)? {
                    Filter::All(inner) => all.extend(inner),
                    inner if inner.is_nothing() => nothing = true,
                    inner => all.push(inner),
                }
            }
            if nothing { Filter::nothing() } else { single(all).unwrap_or_else(Filter::All) }
        }
        Filter::Any(filters) => {
            let (mut any, mut everything) = (Vec::new(), false);
            for filter in filters {
                match simplify(filter)? {
                    Filter::Any(inner) => any.extend(inner),
                    inner if is_everything(&inner) => everything = true,
                    inner => any.push(inner),
                }
            }
            if everything { Filter::All(Vec::new()) } else { single(any).unwrap_or_else(Filter::Any) }
        }
        Filter::Not(filter) => match simplify(*filter)? {
            Filter::Not(inner) => *inner,
            Filter::All(none) if none.is_empty() => Filter::nothing(),
            Filter::Any(none) if none.is_empty() => Filter::All(none),
            Filter::Condition(Condition { path, test: Test::Exists(is), folded }) => {
                Filter::Condition(Condition { path, test: Test::Exists(!is), folded })
            }
            inner => Filter::Not(Box::new(inner)),
        },
        Filter::Condition(condition) => self::condition(condition)?,
    })
}

/// The only one.
fn single(mut filters: Vec<Filter>) -> Result<Filter, Vec<Filter>> {
    match (filters.len(), filters.pop()) {
        (1, Some(only)) => Ok(only),
        (_, last) => {
            filters.extend(last);
            Err(filters)
        }
    }
}

fn condition(condition: Condition) -> Result<Filter> {
    let Condition { path, test, mut folded } = condition;
    let test = match test {
        Test::In(mut values) => {
            within("the number of values of one 'in'", values.len(), VALUES_MAX)?;
            values.iter().try_for_each(|value| is_key(&path, value))?;
            values.sort_by(order);
            values.dedup_by(|a, b| order(a, b).is_eq());
            if values.is_empty() {
                return Ok(Filter::nothing());
            }
            Test::In(values)
        }
        // Which of its ends is the lower one may be otherwise without case and accents.
        Test::Range { from, to } => match range(&path, as_compared(from, folded), as_compared(to, folded))? {
            Some(test) => test,
            None => return Ok(Filter::nothing()),
        },
        Test::Exists(is) => {
            folded = false;
            Test::Exists(is)
        }
        test @ Test::StartsWith(_) => test,
    };
    Ok(Filter::Condition(Condition { path, test, folded }))
}

/// The end of a range as it is compared.
fn as_compared(end: Bound<Value>, folded: bool) -> Bound<Value> {
    let fold = |value: Value| if folded && value.is_key() { without_case_and_accents(value) } else { value };
    end.map(fold)
}

/// Of a key, which is no deeper than keys are.
fn without_case_and_accents(value: Value) -> Value {
    match value {
        Value::Text(text) => Value::Text(fold(&text).into_owned()),
        Value::Array(parts) => Value::Array(parts.into_iter().map(without_case_and_accents).collect()),
        other => other,
    }
}

/// The range as a test; nothing if no value can be in it.
fn range(path: &Path, from: Bound<Value>, to: Bound<Value>) -> Result<Option<Test>> {
    let ends = (value_of(&from), value_of(&to));
    for end in [ends.0, ends.1].into_iter().flatten() {
        is_key(path, end)?;
        if matches!(end, Value::Null) {
            return Err(about(
                path,
                "is compared with null as the end of a range; leave that end out, or ask 'is null'",
            ));
        }
    }
    let (a, b) = match ends {
        (None, None) => return Err(about(path, "is asked for a range without an end; ask 'exists'")),
        (Some(a), Some(b)) => (a, b),
        _ => return Ok(Some(Test::Range { from, to })),
    };
    if kind(a) != kind(b) {
        let what =
            format!("is asked for a range from {} to {}; the ends of a range are of one kind", a.kind(), b.kind());
        return Err(about(path, &what));
    }
    Ok(match order(a, b) {
        Ordering::Less => Some(Test::Range { from, to }),
        Ordering::Equal => match (from, to) {
            (Bound::Included(value), Bound::Included(_)) => Some(Test::In(vec![value])),
            _ => None,
        },
        Ordering::Greater => None,
    })
}

/// The value at the end of a range, if it has one.
pub(super) fn value_of(bound: &Bound<Value>) -> Option<&Value> {
    match bound {
        Bound::Included(value) | Bound::Excluded(value) => Some(value),
        Bound::Unbounded => None,
    }
}

/// Numbers are of one kind.
fn kind(value: &Value) -> impl PartialEq {
    match value {
        Value::Float(_) => discriminant(&Value::Integer(0)),
        other => discriminant(other),
    }
}

/// The order of keys; both are keys.
fn order(a: &Value, b: &Value) -> Ordering {
    a.key_order(b).unwrap_or(Ordering::Equal)
}

/// Refuses values that are no keys.
fn is_key(path: &Path, value: &Value) -> Result<()> {
    let encoded = key::encode(value, &mut KeyBuffer::new());
    encoded.map_err(|error| about(path, &format!("cannot be compared with {value}: {error}")))
}

fn about(path: &Path, what: &str) -> Error {
    Error::invalid(format!("'{path}' {what}"))
}
