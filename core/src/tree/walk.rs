//! Visiting everything a tree refers to, with proof that it is a tree: for `check`, repair and rebuilding free space.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use crate::codec::slot::{Slot, ValueRef};
use crate::error::{Error, Result};

use super::merge::Mode;
use super::node::{Node, NodeView};
use super::{NodeRef, NodeSource, Root, load, require_between};

/// Told what a walk finds, in key order, a node before what is below it.
pub(crate) trait Visitor {
    /// A node of the tree, 0 being the level of leaves. Told before it is read, so of damaged nodes too.
    fn node(&mut self, _node: &NodeRef, _level: u8) {}
    /// An entry whose value is in an extent.
    fn value(&mut self, _key: &[u8], _value: ValueRef) {}
    /// A node that is not what it has to be. If it cannot be read, nothing below it is visited.
    fn damage(&mut self, damage: &Damage<'_>);
}

/// A damaged node, and which keys may be lost with it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Damage<'a> {
    pub node: NodeRef,
    pub level: u8,
    /// The first key that may be below the node.
    pub low: &'a [u8],
    /// The first key that is above it; `None` if there is no bound.
    pub high: Option<&'a [u8]>,
    pub what: &'a str,
}

/// A walk under way. Between steps anything may happen that leaves the tree readable.
#[derive(Debug)]
pub(crate) struct Walk {
    mode: Mode,
    /// To be read next, with the entries its parent says it has.
    next: Option<(NodeRef, u8, u64)>,
    path: Vec<Open>,
}

#[derive(Debug)]
struct Open {
    node: Node,
    /// The child that is read, or was last.
    child: usize,
}

impl Walk {
    /// A walk of the whole tree. Tombstones are damage where `mode` says that there are none.
    pub(crate) fn new(root: Option<Root>, mode: Mode) -> Self {
        Self { mode, next: root.map(|root| (root.node, root.height, root.entries)), path: Vec::new() }
    }

    /// Visits up to `budget` nodes; whether there are more. Damage is told to the visitor and is no error; after
    /// `NotResident` the call is repeated, and nothing is told twice.
    pub(crate) fn step(&mut self, source: &impl NodeSource, visitor: &mut impl Visitor, budget: usize) -> Result<bool> {
        for _ in 0..budget.max(1) {
            let Some((reference, level, entries)) = self.next else { return Ok(false) };
            let loaded = match load(source, &reference, level) {
                Ok(node) => Ok(node),
                Err(Error::Corrupt(corruption)) => Err(corruption.what),
                Err(error) => return Err(error),
            };
            visitor.node(&reference, level);
            let depth = self.path.len();
            match loaded {
                Ok(node) => self.visit(node, &reference, entries, visitor),
                Err(what) => self.tell_damage(&reference, level, &what, visitor),
            }
            self.go_on(self.path.len() > depth);
        }
        Ok(self.next.is_some())
    }

    fn visit(&mut self, node: Node, reference: &NodeRef, entries: u64, visitor: &mut impl Visitor) {
        let view = node.view();
        if let Err(what) = require_between(&view, self.low(), self.high()) {
            // It belongs elsewhere, with all below it; and there it is looked at.
            return self.tell_damage(reference, view.level(), what, visitor);
        }
        if let Err(what) = self.check(&view, entries) {
            self.tell_damage(reference, view.level(), &what, visitor);
        }
        if view.level() > 0 {
            self.path.push(Open { node, child: 0 });
            return;
        }
        let mut key = Vec::new();
        for index in 0..view.keys() {
            if let Some(Slot::Extent(value)) = view.slot(index) {
                view.key_into(index, &mut key);
                visitor.value(&key, value);
            }
        }
    }

    /// What the parent promises and the node's own bytes cannot prove.
    fn check(&self, view: &NodeView<'_>, entries: u64) -> Result<(), String> {
        let found = match view.level() {
            0 => view.keys() as u64,
            _ => (0..view.children()).fold(0u64, |sum, child| sum.saturating_add(view.child_entries(child))),
        };
        if found != entries {
            return Err(format!("it has {found} entries, its parent says {entries}"));
        }
        let has_tombstone = || (0..view.keys()).any(|index| view.slot(index) == Some(Slot::Tombstone));
        if self.mode == Mode::DropTombstones && view.level() == 0 && has_tombstone() {
            return Err("it has a tombstone, though nothing lies below".to_string());
        }
        Ok(())
    }

    fn tell_damage(&self, node: &NodeRef, level: u8, what: &str, visitor: &mut impl Visitor) {
        let bound = |place: Option<(&Node, usize)>| {
            let mut key = Vec::new();
            let (node, separator) = place?;
            node.view().key_into(separator, &mut key);
            Some(key)
        };
        let low = bound(self.low()).unwrap_or_default();
        let high = bound(self.high());
        visitor.damage(&Damage { node: *node, level, low: &low, high: high.as_deref(), what });
    }

    /// Finds the node after the one just visited: the first child of one just opened, else the next sibling.
    fn go_on(&mut self, opened: bool) {
        self.next = None;
        let mut begun = !opened;
        while let Some(open) = self.path.last_mut() {
            open.child += usize::from(begun);
            begun = true;
            let view = open.node.view();
            if let Some(child) = view.child(open.child) {
                self.next = Some((child, view.level().saturating_sub(1), view.child_entries(open.child)));
                return;
            }
            self.path.pop();
        }
    }

    fn low(&self) -> Option<(&Node, usize)> {
        self.path.iter().rev().find_map(|open| Some((&open.node, open.child.checked_sub(1)?)))
    }

    fn high(&self) -> Option<(&Node, usize)> {
        self.path.iter().rev().find(|open| open.child + 1 < open.node.len()).map(|open| (&open.node, open.child))
    }
}
