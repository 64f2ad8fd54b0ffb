//! The tree of a query.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::ops::Bound;

use super::token::PageToken;
use crate::document::{Path, Value};
use crate::error::Error;

/// Which documents, in which order, how many of them, and which of their fields.
///
/// ```
/// # use lightning_db::{Query, field};
/// let query = Query::new()
///     .filter(field("age").between(30, 40).and(field("country").equals("FI")))
///     .order_by("age")
///     .limit(10);
/// assert_eq!(query.limit_count(), Some(10));
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Query {
    pub(crate) filter: Option<Filter>,
    pub(crate) order: Vec<Order>,
    pub(crate) reverse: bool,
    pub(crate) limit: Option<u64>,
    pub(crate) offset: u64,
    pub(crate) after: Option<PageToken>,
    pub(crate) fields: Vec<Path>,
    /// The first thing said to the builder that cannot be asked.
    pub(crate) error: Option<Error>,
}

/// What a document must be to be found.
#[derive(Clone, Debug, PartialEq)]
pub enum Filter {
    /// All of these; of none, every document.
    All(Vec<Filter>),
    /// Any of these; of none, no document.
    Any(Vec<Filter>),
    /// The documents that this does not find.
    Not(Box<Filter>),
    /// One test of one path.
    Condition(Condition),
}

/// One test of what is under one path. Where that is an array, its elements are tested, and any may answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Condition {
    /// Where to look.
    pub path: Path,
    /// What must be there.
    pub test: Test,
    /// Whether texts are compared without case and accents.
    pub folded: bool,
}

/// What must be under a path.
#[derive(Clone, Debug, PartialEq)]
pub enum Test {
    /// Any of these values; null stands for a missing field too.
    In(Vec<Value>),
    /// A value of the kind of the bounds, between them. At least one bound is there, and neither is null.
    Range {
        /// Where the range begins.
        from: Bound<Value>,
        /// Where it ends.
        to: Bound<Value>,
    },
    /// A text that begins with this one.
    StartsWith(String),
    /// Anything but null is there, an empty array or a map too (`true`), or is not (`false`).
    Exists(bool),
}

/// One path of the order of a result. Missing and null come first, what is no key (maps, NaN) last.
///
/// Documents that are alike in all paths are in the order of their keys, ascending or descending as the last path is:
/// so an index of these paths, read in either direction, has the order of the result.
#[derive(Clone, Debug, PartialEq)]
pub struct Order {
    /// What to compare.
    pub path: Path,
    /// Whether the greatest come first.
    pub descending: bool,
}

impl Query {
    /// What the documents must be; `None` for all of them.
    pub fn filter_by(&self) -> Option<&Filter> {
        self.filter.as_ref()
    }

    /// The order of the result; empty for the order of the keys.
    pub fn order(&self) -> &[Order] {
        &self.order
    }

    /// Whether the result comes backwards, last document first. In a [normalised](Query::normalised) query only where
    /// there is no [order](Query::order), since otherwise its directions say so.
    pub fn is_reverse(&self) -> bool {
        self.reverse
    }

    /// Whether documents that are alike in all paths of the order come with the greatest key first.
    pub fn keys_descend(&self) -> bool {
        self.order.last().is_some_and(|order| order.descending) != self.reverse
    }

    /// How many documents at most.
    pub fn limit_count(&self) -> Option<u64> {
        self.limit
    }

    /// How many documents are passed over first.
    pub fn offset_count(&self) -> u64 {
        self.offset
    }

    /// The page before this one.
    pub fn after_token(&self) -> Option<&PageToken> {
        self.after.as_ref()
    }

    /// The fields asked for; empty for whole documents.
    pub fn fields(&self) -> &[Path] {
        &self.fields
    }

    /// What was said to the builder and cannot be asked, if anything was.
    pub fn error(&self) -> Option<&Error> {
        self.error.as_ref()
    }
}

impl Filter {
    /// The filter that finds nothing.
    pub fn nothing() -> Self {
        Filter::Any(Vec::new())
    }

    /// Whether this is the filter that finds nothing. Of a [normalised](Query::normalised) query only the whole filter can be.
    pub fn is_nothing(&self) -> bool {
        matches!(self, Filter::Any(none) if none.is_empty())
    }

    /// Calls `visit` with every condition, from left to right.
    pub fn for_each_condition<'a>(&'a self, visit: &mut impl FnMut(&'a Condition)) {
        match self {
            Filter::All(filters) | Filter::Any(filters) => {
                filters.iter().for_each(|filter| filter.for_each_condition(visit));
            }
            Filter::Not(filter) => filter.for_each_condition(visit),
            Filter::Condition(condition) => visit(condition),
        }
    }
}
