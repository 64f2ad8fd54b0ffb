//! Which documents a query finds, and in which order, said in the plainest way.

use std::cmp::Ordering;
use std::mem::discriminant;
use std::ops::Bound;

use lightning_db::query::{Condition, Filter, Test};
use lightning_db::{PageToken, Query, Value, field};

use super::state::KEY;

/// A query as a plan says it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Asked {
    /// What documents must be.
    pub filter: Option<Filter>,
    /// Paths, and whether they descend.
    pub order: Vec<(&'static str, bool)>,
    /// All of it backwards.
    pub reverse: bool,
    /// Documents at most.
    pub limit: Option<u64>,
    /// Documents passed over.
    pub offset: u64,
    /// Only these fields; all of them where none is said.
    pub select: Vec<&'static str>,
}

impl Asked {
    /// The same for the engine.
    pub fn query(&self) -> Query {
        let mut query = Query::new().offset(self.offset);
        if let Some(filter) = &self.filter {
            query = query.filter(filter.clone());
        }
        for (path, descends) in &self.order {
            query = query.order_by(path);
            if *descends {
                query = query.descending();
            }
        }
        if self.reverse {
            query = query.reverse();
        }
        if !self.select.is_empty() {
            query = query.select(&self.select);
        }
        self.limit.into_iter().fold(query, Query::limit)
    }

    /// A page of it.
    pub fn page(&self, size: u64, after: Option<PageToken>) -> Query {
        let query = Asked { limit: None, offset: 0, ..self.clone() }.query().limit(size);
        after.into_iter().fold(query, Query::after)
    }

    /// Of these documents and their keys, those found, in their order.
    pub fn answer<'d>(
        &self,
        documents: impl Iterator<Item = (&'d Vec<u8>, &'d Value)>,
    ) -> Vec<(&'d Vec<u8>, &'d Value)> {
        let mut found: Vec<_> = documents.filter(|(_, document)| self.finds(document)).collect();
        found.sort_by(|a, b| self.compare((a.0, a.1), (b.0, b.1)));
        let limit = self.limit.map_or(usize::MAX, |limit| limit as usize);
        found.into_iter().skip(self.offset as usize).take(limit).collect()
    }

    fn finds(&self, document: &Value) -> bool {
        self.filter.as_ref().is_none_or(|filter| finds(filter, document))
    }

    /// What is given of documents that are found.
    pub fn documents(&self, found: Vec<(Vec<u8>, Value)>) -> Vec<Value> {
        let fields: Vec<Vec<&str>> = self.select.iter().map(|path| path.split('.').collect()).collect();
        let fields: Vec<&[&str]> = fields.iter().map(Vec::as_slice).collect();
        let of = |document: Value| match self.select.as_slice() {
            [] => document,
            _ => kept(&document, &fields).unwrap_or(Value::Map(Vec::new())),
        };
        found.into_iter().map(|(_, document)| of(document)).collect()
    }

    /// The order of two documents with their encoded keys.
    pub fn compare(&self, a: (&[u8], &Value), b: (&[u8], &Value)) -> Ordering {
        let turned = |order: Ordering, turn| if turn { order.reverse() } else { order };
        for (path, descends) in &self.order {
            let (a, b) = (least(a.1, path), least(b.1, path));
            let order = match (a.is_key(), b.is_key()) {
                (true, true) => a.key_order(&b).unwrap_or(Ordering::Equal),
                (a, b) => b.cmp(&a),
            };
            // Every document has another key, so nothing behind it counts: not even for a document that has changed since.
            if order.is_ne() || *path == KEY {
                return turned(order, *descends != self.reverse);
            }
        }
        let keys_descend = self.order.last().is_some_and(|(_, descends)| *descends) != self.reverse;
        turned(a.0.cmp(b.0), keys_descend)
    }
}

/// What is left of a value when only what is under these paths is kept; `None` where nothing is.
fn kept(value: &Value, paths: &[&[&str]]) -> Option<Value> {
    if paths.iter().any(|path| path.is_empty()) {
        return Some(value.clone());
    }
    match value {
        Value::Map(fields) => {
            let under = |name: &str| -> Vec<&[&str]> {
                let tails = paths.iter().filter_map(|path| path.split_first());
                tails.filter(|(first, _)| **first == name).map(|(_, rest)| rest).collect()
            };
            let fields: Vec<(String, Value)> =
                fields.iter().filter_map(|(name, value)| Some((name.clone(), kept(value, &under(name))?))).collect();
            (!fields.is_empty()).then_some(Value::Map(fields))
        }
        Value::Array(elements) => {
            let elements: Vec<Value> = elements.iter().filter_map(|element| kept(element, paths)).collect();
            (!elements.is_empty()).then_some(Value::Array(elements))
        }
        _ => None,
    }
}

fn finds(filter: &Filter, document: &Value) -> bool {
    match filter {
        Filter::All(filters) => filters.iter().all(|filter| finds(filter, document)),
        Filter::Any(filters) => filters.iter().any(|filter| finds(filter, document)),
        Filter::Not(filter) => !finds(filter, document),
        Filter::Condition(condition) => answers(condition, document),
    }
}

fn answers(condition: &Condition, document: &Value) -> bool {
    let (found, _) = under(document, &condition.path.to_string());
    if let Test::Exists(exists) = condition.test {
        return found.iter().any(|value| **value != Value::Null) == exists;
    }
    let mut candidates = Vec::new();
    for value in &found {
        match value {
            Value::Array(elements) => candidates.extend(elements.iter().cloned()),
            other => candidates.push((*other).clone()),
        }
    }
    if found.is_empty() {
        candidates.push(Value::Null);
    }
    candidates.into_iter().filter(Value::is_key).any(|value| passes(&condition.test, &value, condition.folded))
}

fn passes(test: &Test, value: &Value, fold: bool) -> bool {
    let plain = |value: &Value| if fold { folded(value) } else { value.clone() };
    let value = plain(value);
    let order = |other: &Value| value.key_order(&plain(other)).unwrap_or(Ordering::Less);
    let alike = |other: &Value| kind(other) == kind(&value);
    match test {
        Test::In(values) => values.iter().any(|other| order(other).is_eq()),
        Test::Range { from, to } => {
            (match from {
                Bound::Included(from) => alike(from) && order(from).is_ge(),
                Bound::Excluded(from) => alike(from) && order(from).is_gt(),
                Bound::Unbounded => true,
            }) && match to {
                Bound::Included(to) => alike(to) && order(to).is_le(),
                Bound::Excluded(to) => alike(to) && order(to).is_lt(),
                Bound::Unbounded => true,
            }
        }
        Test::StartsWith(prefix) => match plain(&Value::from(prefix.as_str())) {
            Value::Text(prefix) => value.as_str().is_some_and(|text| text.starts_with(&prefix)),
            _ => false,
        },
        Test::Exists(_) => false,
    }
}

fn kind(value: &Value) -> std::mem::Discriminant<Value> {
    if let Value::Float(_) = value { discriminant(&Value::Integer(0)) } else { discriminant(value) }
}

/// Without case and accents, of the few letters that plans use.
pub fn folded(value: &Value) -> Value {
    match value {
        Value::Text(text) => Value::Text(text.replace(['É', 'é'], "e").to_lowercase()),
        Value::Array(parts) => parts.iter().map(folded).collect(),
        other => other.clone(),
    }
}

/// What is under a path, and whether the way there led through an array. No path of a plan has numbers in it.
pub fn under<'v>(document: &'v Value, path: &str) -> (Vec<&'v Value>, bool) {
    let (mut reached, mut crossed) = (vec![document], false);
    for name in path.split('.') {
        let mut next = Vec::new();
        for value in reached {
            match value {
                Value::Array(elements) => {
                    crossed = true;
                    next.extend(elements.iter().filter_map(|element| element.get(name)));
                }
                map => next.extend(map.get(name)),
            }
        }
        reached = next;
    }
    (reached, crossed)
}

/// The value that a document is ordered by.
pub fn least(document: &Value, path: &str) -> Value {
    let (found, _) = under(document, path);
    let keys = found.iter().filter(|value| value.is_key());
    let least = keys.min_by(|a, b| a.key_order(b).unwrap_or(Ordering::Equal));
    least.or(found.first()).map_or(Value::Null, |value| (**value).clone())
}

/// A condition.
pub fn condition(path: &str, test: Test, fold: bool) -> Filter {
    let exists = field(path).exists().build();
    match exists {
        Ok(Filter::Condition(condition)) => Filter::Condition(Condition { test, folded: fold, ..condition }),
        _ => Filter::nothing(),
    }
}
