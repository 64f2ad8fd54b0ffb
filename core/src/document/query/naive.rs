//! What a filter finds and how results are ordered, said once more of values and in the plainest way, for property tests.

use alloc::vec;
use alloc::vec::Vec;
use core::cmp::Ordering;
use core::mem::discriminant;
use core::ops::Bound;

use super::{Condition, Filter, Order, Test};
use crate::document::{Path, Value, fold};

pub(super) fn finds(filter: &Filter, document: &Value) -> bool {
    match filter {
        Filter::All(filters) => filters.iter().all(|filter| finds(filter, document)),
        Filter::Any(filters) => filters.iter().any(|filter| finds(filter, document)),
        Filter::Not(filter) => !finds(filter, document),
        Filter::Condition(condition) => answers(condition, document),
    }
}

fn answers(condition: &Condition, document: &Value) -> bool {
    let under = under(document, &condition.path);
    if let Test::Exists(exists) = condition.test {
        return under.iter().any(|value| **value != Value::Null) == exists;
    }
    let mut candidates = Vec::new();
    for value in &under {
        match value {
            Value::Array(elements) => candidates.extend(elements.iter().cloned()),
            other => candidates.push((*other).clone()),
        }
    }
    if under.is_empty() {
        candidates.push(Value::Null);
    }
    candidates.into_iter().filter(Value::is_key).any(|value| passes(&condition.test, value, condition.folded))
}

fn passes(test: &Test, value: Value, folded: bool) -> bool {
    let plain = |value: &Value| if folded { folded_value(value) } else { value.clone() };
    let value = plain(&value);
    let order = |other: &Value| value.key_order(&plain(other)).unwrap();
    match test {
        Test::In(values) => values.iter().any(|other| order(other).is_eq()),
        Test::Range { from, to } => {
            let begins = match from {
                Bound::Included(from) => kind(from) == kind(&value) && order(from).is_ge(),
                Bound::Excluded(from) => kind(from) == kind(&value) && order(from).is_gt(),
                Bound::Unbounded => true,
            };
            let ends = match to {
                Bound::Included(to) => kind(to) == kind(&value) && order(to).is_le(),
                Bound::Excluded(to) => kind(to) == kind(&value) && order(to).is_lt(),
                Bound::Unbounded => true,
            };
            begins && ends
        }
        Test::StartsWith(prefix) => {
            let Value::Text(prefix) = plain(&prefix.as_str().into()) else { return false };
            value.as_str().is_some_and(|text| text.starts_with(&prefix))
        }
        Test::Exists(_) => false,
    }
}

fn kind(value: &Value) -> core::mem::Discriminant<Value> {
    if let Value::Float(_) = value { discriminant(&Value::Integer(0)) } else { discriminant(value) }
}

fn folded_value(value: &Value) -> Value {
    match value {
        Value::Text(text) => Value::Text(fold(text).into_owned()),
        Value::Array(parts) => parts.iter().map(folded_value).collect(),
        other => other.clone(),
    }
}

/// The values under a path, through the elements of arrays but not of arrays right within arrays.
fn under<'v>(document: &'v Value, path: &Path) -> Vec<&'v Value> {
    let mut reached = vec![document];
    for name in path.names() {
        let place = name.parse::<usize>().ok().filter(|place| alloc::format!("{place}") == name);
        let mut next = Vec::new();
        for value in reached {
            match (value, place) {
                (Value::Array(elements), Some(place)) => next.extend(elements.get(place)),
                (Value::Array(elements), None) => {
                    next.extend(elements.iter().filter_map(|element| element.get(name)));
                }
                (map, _) => next.extend(map.get(name)),
            }
        }
        reached = next;
    }
    reached
}

/// The order of two documents with these keys.
pub(super) fn compare(order: &[Order], keys_descend: bool, a: (&Value, &[u8]), b: (&Value, &[u8])) -> Ordering {
    let turned = |order: Ordering, descending| if descending { order.reverse() } else { order };
    for Order { path, descending } in order {
        let (a, b) = (least(a.0, path), least(b.0, path));
        let order = match (a.is_key(), b.is_key()) {
            (true, true) => a.key_order(&b).unwrap(),
            // What is no key is behind what is.
            (a, b) => b.cmp(&a),
        };
        if order.is_ne() {
            return turned(order, *descending);
        }
    }
    turned(a.1.cmp(b.1), keys_descend)
}

fn least(document: &Value, path: &Path) -> Value {
    let found = under(document, path);
    let keys = found.iter().filter(|value| value.is_key());
    let least = keys.min_by(|a, b| a.key_order(b).unwrap());
    least.or(found.first()).map_or(Value::Null, |value| (**value).clone())
}
