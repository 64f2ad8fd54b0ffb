//! Filters made ready to look at many documents.

use alloc::boxed::Box;
use alloc::vec::Vec;

use super::ast::{Condition, Filter, Test};
use super::span::Span;
use crate::document::cbor::{elements, encode_folded_key_of, encode_key_of, lookup};
use crate::document::{Path, Value, key};
use crate::error::Result;
use crate::table::KeyBuffer;

/// A filter whose operands are encoded keys: documents are looked at as they are stored, and no value is made of them.
#[derive(Clone, Debug)]
pub(crate) struct CompiledFilter {
    root: Node,
}

#[derive(Clone, Debug)]
enum Node {
    All(Vec<Node>),
    Any(Vec<Node>),
    Not(Box<Node>),
    Keys(Keys),
    /// Whether anything but null is there.
    Exists(Path),
}

/// A condition that is answered by keys.
#[derive(Clone, Debug)]
struct Keys {
    path: Path,
    /// In their order.
    spans: Vec<Span>,
    folded: bool,
    /// Whether a missing field answers.
    null: bool,
}

impl Filter {
    /// Makes the filter ready; fails for what [`Query::normalised`](super::Query::normalised) refuses.
    pub(crate) fn compiled(&self) -> Result<CompiledFilter> {
        Ok(CompiledFilter { root: Node::of(&self.clone().normalised()?)? })
    }

    /// Whether a document, given as CBOR, is what this finds. For many documents, [`compiled`](Filter::compiled) is faster.
    pub fn matches(&self, document: &[u8]) -> Result<bool> {
        self.compiled()?.matches(document)
    }
}

impl CompiledFilter {
    /// Whether a document, given as CBOR, is what the filter finds.
    pub(crate) fn matches(&self, document: &[u8]) -> Result<bool> {
        self.root.matches(document)
    }

    /// How often a document is gone through, at most.
    pub(crate) fn looks(&self) -> usize {
        self.root.looks()
    }
}

impl Node {
    fn looks(&self) -> usize {
        match self {
            Node::All(nodes) | Node::Any(nodes) => nodes.iter().map(Node::looks).sum(),
            Node::Not(node) => node.looks(),
            Node::Keys(_) | Node::Exists(_) => 1,
        }
    }

    /// The filter is normalised, so it is not deep.
    fn of(filter: &Filter) -> Result<Self> {
        let all = |filters: &[Filter]| filters.iter().map(Node::of).collect::<Result<Vec<_>>>();
        Ok(match filter {
            Filter::All(filters) => Node::All(all(filters)?),
            Filter::Any(filters) => Node::Any(all(filters)?),
            Filter::Not(filter) => Node::Not(Box::new(Node::of(filter)?)),
            Filter::Condition(condition) => match condition.test {
                Test::Exists(true) => Node::Exists(condition.path.clone()),
                Test::Exists(false) => Node::Not(Box::new(Node::Exists(condition.path.clone()))),
                _ => Node::Keys(Keys::of(condition)?),
            },
        })
    }

    fn matches(&self, document: &[u8]) -> Result<bool> {
        match self {
            Node::All(nodes) => all(nodes, document, false),
            Node::Any(nodes) => all(nodes, document, true).map(|none| !none),
            Node::Not(node) => node.matches(document).map(|matches| !matches),
            Node::Keys(keys) => keys.matches(document),
            Node::Exists(path) => Ok(lookup(document, path)?.items().any(|item| !is_null(item))),
        }
    }
}

/// Whether all nodes match, or, `negated`, none of them does. Stops at the first that decides.
fn all(nodes: &[Node], document: &[u8], negated: bool) -> Result<bool> {
    for node in nodes {
        if node.matches(document)? == negated {
            return Ok(false);
        }
    }
    Ok(true)
}

impl Keys {
    fn of(condition: &Condition) -> Result<Self> {
        let spans = condition.spans()?;
        let mut null = KeyBuffer::new();
        key::encode(&Value::Null, &mut null)?;
        let (path, folded) = (condition.path.clone(), condition.folded);
        let mut keys = Self { path, spans, folded, null: false };
        keys.null = keys.contain(null.as_slice());
        Ok(keys)
    }

    fn matches(&self, document: &[u8]) -> Result<bool> {
        let found = lookup(document, &self.path)?;
        if found.is_empty() {
            return Ok(self.null);
        }
        for item in found.items() {
            match elements(item)? {
                Some(elements) => {
                    for element in elements {
                        if self.answers(element?) {
                            return Ok(true);
                        }
                    }
                }
                None if self.answers(item) => return Ok(true),
                None => {}
            }
        }
        Ok(false)
    }

    /// Whether one value answers. What is no key, as a map, does not.
    fn answers(&self, item: &[u8]) -> bool {
        let mut key = KeyBuffer::new();
        let encoded = if self.folded { encode_folded_key_of(item, &mut key) } else { encode_key_of(item, &mut key) };
        encoded.is_ok() && self.contain(key.as_slice())
    }

    fn contain(&self, key: &[u8]) -> bool {
        let at = self.spans.partition_point(|span| span.start.as_slice() <= key);
        at.checked_sub(1).and_then(|at| self.spans.get(at)).is_some_and(|span| span.contains(key))
    }
}

/// The one byte that is null in CBOR.
fn is_null(item: &[u8]) -> bool {
    item == [0xf6]
}
