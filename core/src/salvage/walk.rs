//! Walking a tree from its root: every leaf that can be reached, and what is lost where a node is not whole.

use alloc::vec;
use alloc::vec::Vec;

use crate::engine::Nodes;
use crate::error::Result;
use crate::tree::node::{Node, NodeView};
use crate::tree::{NodeRef, Root, TreeKind};

/// Keys from `low` on and before `high`; `None` is the end of all keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Bounds {
    pub low: Vec<u8>,
    pub high: Option<Vec<u8>>,
}

impl Bounds {
    pub(super) fn all() -> Self {
        Self { low: Vec::new(), high: None }
    }

    pub(super) fn hold(&self, key: &[u8]) -> bool {
        key >= self.low.as_slice() && self.high.as_ref().is_none_or(|high| key < high.as_slice())
    }
}

/// A node that is not whole.
pub(super) struct Lost {
    pub level: u8,
    pub bounds: Bounds,
    /// Entries below it, as its parent says.
    pub entries: u64,
    /// What follows has had its say about where the last deletion ends.
    pub extended: bool,
}

/// What a walk meets.
pub(super) enum Met<'n> {
    /// A reference to a node, before it is read. It is read if the answer is true.
    Reference(&'n NodeRef, u8),
    Leaf(NodeView<'n>),
    Lost(Lost),
}

struct Todo {
    node: NodeRef,
    level: u8,
    entries: u64,
    bounds: Bounds,
}

/// Visits the tree in key order. A node whose keys are not where its parent says counts as lost, so no file leads in
/// circles.
pub(super) fn walk(
    nodes: &Nodes,
    kind: TreeKind,
    root: &Root,
    visit: &mut dyn FnMut(Met<'_>) -> Result<bool>,
) -> Result<()> {
    let mut todo = vec![Todo { node: root.node, level: root.height, entries: root.entries, bounds: Bounds::all() }];
    while let Some(Todo { node: reference, level, entries, bounds }) = todo.pop() {
        if !visit(Met::Reference(&reference, level))? {
            continue;
        }
        match read(nodes, kind, &reference, level)?.filter(|node| fits(&node.view(), &bounds)) {
            None => {
                visit(Met::Lost(Lost { level, bounds, entries, extended: false }))?;
            }
            Some(node) if level == 0 => {
                visit(Met::Leaf(node.view()))?;
            }
            Some(node) => push_children(&node.view(), level, &bounds, &mut todo),
        }
    }
    Ok(())
}

/// The node, if it is whole and what its parent says; read twice, for a wrong bit that only the reading made.
pub(super) fn read(nodes: &Nodes, kind: TreeKind, reference: &NodeRef, level: u8) -> Result<Option<Node>> {
    for _ in 0..2 {
        match nodes.read_uncached(reference) {
            Ok(node) => return Ok(Some(node).filter(|node| node.tree() == kind && node.level() == level)),
            Err(error) if error.not_resident().is_some() => return Err(error),
            Err(_) => {}
        }
    }
    Ok(None)
}

fn fits(view: &NodeView<'_>, bounds: &Bounds) -> bool {
    let Some(last) = view.keys().checked_sub(1) else { return true };
    let mut key = Vec::new();
    view.key_into(0, &mut key);
    let above_low = view.level() == 0 || key > bounds.low;
    let first_fits = above_low && bounds.hold(&key);
    view.key_into(last, &mut key);
    first_fits && bounds.hold(&key)
}

fn push_children(view: &NodeView<'_>, level: u8, bounds: &Bounds, todo: &mut Vec<Todo>) {
    let mut high = bounds.high.clone();
    for index in (0..view.children()).rev() {
        let low = match index.checked_sub(1) {
            Some(separator) => {
                let mut key = Vec::new();
                view.key_into(separator, &mut key);
                key
            }
            None => bounds.low.clone(),
        };
        if let Some(node) = view.child(index) {
            todo.push(Todo {
                node,
                level: level.saturating_sub(1),
                entries: view.child_entries(index),
                bounds: Bounds { low: low.clone(), high: high.take() },
            });
        }
        high = Some(low);
    }
}
