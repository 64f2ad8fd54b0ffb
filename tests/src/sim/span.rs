//! Ranges of keys in one form: from a key on, and below another.

use std::ops::Bound;

use super::action::{Key, Range};

/// From a key on, and below another, or without end.
#[derive(Clone, Debug)]
pub struct Span {
    from: Vec<u8>,
    to: Option<Vec<u8>>,
}

impl Span {
    /// One key.
    pub fn point(key: &Key) -> Self {
        Self { from: key.0.to_vec(), to: Some(after(key)) }
    }

    /// A range however it is bounded.
    pub fn of((start, end): &Range) -> Self {
        let from = match start {
            Bound::Included(key) => key.0.to_vec(),
            Bound::Excluded(key) => after(key),
            Bound::Unbounded => Vec::new(),
        };
        let to = match end {
            Bound::Included(key) => Some(after(key)),
            Bound::Excluded(key) => Some(key.0.to_vec()),
            Bound::Unbounded => None,
        };
        Self { from, to }
    }

    /// Whether no key can lie in it.
    pub fn is_empty(&self) -> bool {
        self.to.as_ref().is_some_and(|to| *to <= self.from)
    }

    /// Whether a key can lie in both.
    pub fn overlaps(&self, other: &Span) -> bool {
        let reaches = |to: &Option<Vec<u8>>, from: &Vec<u8>| to.as_ref().is_none_or(|to| from < to);
        !self.is_empty() && !other.is_empty() && reaches(&self.to, &other.from) && reaches(&other.to, &self.from)
    }
}

/// The first key after this one.
fn after(key: &Key) -> Vec<u8> {
    [&key.0[..], &[0]].concat()
}
