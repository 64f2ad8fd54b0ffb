//! Queries as Rust programs say them.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;
use core::ops::Bound;

use super::ast::{Condition, Filter, Order, Query, Test};
use super::token::PageToken;
use crate::document::{Path, Value};
use crate::error::{Error, Result};

impl Query {
    /// The query for all documents, in the order of their keys.
    pub fn new() -> Self {
        Self::default()
    }

    /// Only the documents that this finds; of several filters, those that all of them find.
    #[must_use]
    pub fn filter(mut self, filter: impl Into<Where>) -> Self {
        let Where { filter, error } = filter.into();
        self.hold(error);
        self.filter = Some(match self.filter.take() {
            Some(before) => both(before, filter),
            None => filter,
        });
        self
    }

    /// Ordered by what is under `path`, after the paths given before; the least come first.
    #[must_use]
    pub fn order_by(mut self, path: &str) -> Self {
        match Path::parse(path) {
            Ok(path) => self.order.push(Order { path, descending: false }),
            Err(error) => self.hold(Some(error)),
        }
        self
    }

    /// The greatest first, by the path given last.
    #[must_use]
    pub fn descending(mut self) -> Self {
        match self.order.last_mut() {
            Some(order) => order.descending = true,
            None => self.hold(Some(Error::invalid("'descending' follows 'order_by'; for the keys, say 'reverse'"))),
        }
        self
    }

    /// The whole result backwards.
    #[must_use]
    pub fn reverse(mut self) -> Self {
        self.reverse = !self.reverse;
        self
    }

    /// At most `count` documents.
    #[must_use]
    pub fn limit(mut self, count: u64) -> Self {
        self.limit = Some(count);
        self
    }

    /// Without the first `count` documents. Later pages are found faster by [`after`](Query::after).
    #[must_use]
    pub fn offset(mut self, count: u64) -> Self {
        self.offset = count;
        self
    }

    /// The page after the one that gave this token.
    #[must_use]
    pub fn after(mut self, token: PageToken) -> Self {
        self.after = Some(token);
        self
    }

    /// Only these fields of the documents.
    #[must_use]
    pub fn select<P: AsRef<str>>(mut self, fields: impl IntoIterator<Item = P>) -> Self {
        for field in fields {
            match Path::parse(field.as_ref()) {
                Ok(path) => self.fields.push(path),
                Err(error) => self.hold(Some(error)),
            }
        }
        self
    }

    /// Keeps the first error, to be told when the query is used.
    fn hold(&mut self, error: Option<Error>) {
        if self.error.is_none() {
            self.error = error;
        }
    }
}

/// Begins a condition on what is under `path`.
///
/// ```
/// # use lightning_db::field;
/// let adults = field("age").from(18).and(field("name").starts_with("a").fold());
/// assert!(adults.build().is_ok());
/// assert!(field("a..b").exists().build().is_err());
/// ```
pub fn field(path: &str) -> Field {
    Field { path: Path::parse(path) }
}

/// The documents that `filter` does not find, those without its fields among them.
pub fn not(filter: impl Into<Where>) -> Where {
    let Where { filter, error } = filter.into();
    Where { filter: Filter::Not(Box::new(filter)), error }
}

/// A path, for a condition to be said of it.
#[derive(Clone, Debug)]
pub struct Field {
    path: Result<Path>,
}

impl Field {
    /// Equal to `value`; null finds missing fields too.
    pub fn equals(&self, value: impl Into<Value>) -> Where {
        self.test(Test::In(vec![value.into()]))
    }

    /// Equal to any of `values`.
    pub fn is_in<V: Into<Value>>(&self, values: impl IntoIterator<Item = V>) -> Where {
        self.test(Test::In(values.into_iter().map(Into::into).collect()))
    }

    /// From `from` to `to`, both included.
    pub fn between(&self, from: impl Into<Value>, to: impl Into<Value>) -> Where {
        self.range((Bound::Included(from.into()), Bound::Included(to.into())))
    }

    /// Greater than `value`.
    pub fn above(&self, value: impl Into<Value>) -> Where {
        self.range((Bound::Excluded(value.into()), Bound::Unbounded))
    }

    /// Less than `value`.
    pub fn below(&self, value: impl Into<Value>) -> Where {
        self.range((Bound::Unbounded, Bound::Excluded(value.into())))
    }

    /// `value` or greater.
    pub fn from(&self, value: impl Into<Value>) -> Where {
        self.range((Bound::Included(value.into()), Bound::Unbounded))
    }

    /// `value` or less.
    pub fn to(&self, value: impl Into<Value>) -> Where {
        self.range((Bound::Unbounded, Bound::Included(value.into())))
    }

    /// Between two bounds.
    pub fn range(&self, (from, to): (Bound<Value>, Bound<Value>)) -> Where {
        self.test(Test::Range { from, to })
    }

    /// A text that begins with `prefix`.
    pub fn starts_with(&self, prefix: impl Into<String>) -> Where {
        self.test(Test::StartsWith(prefix.into()))
    }

    /// Anything but null is there.
    pub fn exists(&self) -> Where {
        self.test(Test::Exists(true))
    }

    /// Null, or missing.
    pub fn is_null(&self) -> Where {
        self.equals(Value::Null)
    }

    fn test(&self, test: Test) -> Where {
        match &self.path {
            Ok(path) => Filter::Condition(Condition { path: path.clone(), test, folded: false }).into(),
            Err(error) => Where { filter: Filter::nothing(), error: Some(error.clone()) },
        }
    }
}

/// A filter being built: made by [`field`], joined by [`and`](Where::and) and [`or`](Where::or).
#[derive(Clone, Debug)]
pub struct Where {
    filter: Filter,
    /// The first path that is none.
    error: Option<Error>,
}

impl Where {
    /// What both find.
    #[must_use]
    pub fn and(self, other: impl Into<Where>) -> Self {
        self.join(other.into(), both)
    }

    /// What either finds.
    #[must_use]
    pub fn or(self, other: impl Into<Where>) -> Self {
        self.join(other.into(), either)
    }

    /// Compares texts without case and accents, in every condition so far.
    #[must_use]
    pub fn fold(mut self) -> Self {
        fold(&mut self.filter);
        self
    }

    /// The filter, or what is wrong with it.
    pub fn build(self) -> Result<Filter> {
        self.error.map_or(Ok(self.filter), Err)
    }

    fn join(self, other: Where, join: fn(Filter, Filter) -> Filter) -> Self {
        Where { filter: join(self.filter, other.filter), error: self.error.or(other.error) }
    }
}

impl From<Filter> for Where {
    fn from(filter: Filter) -> Self {
        Where { filter, error: None }
    }
}

/// Long chains of `and` stay flat.
fn both(a: Filter, b: Filter) -> Filter {
    match (a, b) {
        (Filter::All(mut all), Filter::All(more)) => {
            all.extend(more);
            Filter::All(all)
        }
        (Filter::All(mut all), one) => {
            all.push(one);
            Filter::All(all)
        }
        (a, b) => Filter::All(vec![a, b]),
    }
}

fn either(a: Filter, b: Filter) -> Filter {
    match (a, b) {
        (Filter::Any(mut any), Filter::Any(more)) => {
            any.extend(more);
            Filter::Any(any)
        }
        (Filter::Any(mut any), one) => {
            any.push(one);
            Filter::Any(any)
        }
        (a, b) => Filter::Any(vec![a, b]),
    }
}

/// Without recursion: a filter of a program's making may be deeper than the stack.
fn fold(filter: &mut Filter) {
    let mut left: Vec<&mut Filter> = vec![filter];
    while let Some(filter) = left.pop() {
        match filter {
            Filter::All(filters) | Filter::Any(filters) => left.extend(filters),
            Filter::Not(filter) => left.push(filter),
            Filter::Condition(condition) => condition.folded = true,
        }
    }
}
