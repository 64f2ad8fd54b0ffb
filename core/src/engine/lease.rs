//! Whether what a state refers to is still kept for those who read it.
//!
//! **The rule:** an extent that a state refers to is given out again only when nobody reads that state any more: nobody holds
//! it, or its lease has expired and no read is inside.
//!
//! A read that goes to storage, and leaves in the cache what it found, is *inside* meanwhile: were the extent written again
//! under it, it would put a node there that is no longer the one, and take the new bytes for damage. A read of what is
//! resident counts nothing. It asks afterwards ([`Lease::require`]): what was found is what was meant, unless the lease had
//! expired before. For a node that took the place of another became resident after its extent was given out, that is after
//! the lease expired; so whoever found the new node sees that, too.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::nodes::Nodes;
use super::read_ahead::ReadAhead;
use super::version::Layers;
use crate::env::sync::Mutex;
use crate::env::sync::atomic::{AtomicUsize, Ordering};
use crate::error::{Error, Result};
use crate::testing::Mutant;
use crate::tree::node::Node;
use crate::tree::{NodeRef, NodeSource};

/// The right to read one state.
#[derive(Debug, Default)]
pub(crate) struct Lease {
    /// [`INSIDE`] for each read that is inside, and [`EXPIRED`].
    state: AtomicUsize,
    /// Why it has expired.
    why: Mutex<Option<Error>>,
}

const EXPIRED: usize = 1;
const INSIDE: usize = 2;

/// A read of storage is under way.
#[derive(Debug)]
pub(crate) struct Inside<'a>(&'a Lease);

impl Lease {
    /// An error when it has expired. To be asked after something resident was found, before it is believed.
    #[inline]
    pub(crate) fn require(&self) -> Result<()> {
        if self.state.load(Ordering::Acquire) & EXPIRED == 0 || Mutant::ExpiredSnapshotReads.is_active() {
            Ok(())
        } else {
            Err(self.error())
        }
    }

    /// Begins a read of storage.
    pub(crate) fn enter(&self) -> Result<Inside<'_>> {
        let before = self.state.fetch_add(INSIDE, Ordering::AcqRel);
        let inside = Inside(self);
        if before & EXPIRED == 0 || Mutant::ExpiredSnapshotReads.is_active() { Ok(inside) } else { Err(self.error()) }
    }

    /// Refuses all reads from now on; whether none is inside, so that nobody reads the state any more.
    pub(super) fn expire(&self, why: impl FnOnce() -> Error) -> bool {
        self.why.lock().get_or_insert_with(why);
        let before = self.state.fetch_or(EXPIRED, Ordering::AcqRel);
        before / INSIDE == 0 || Mutant::ExpiredUnderReader.is_active()
    }

    pub(super) fn has_expired(&self) -> bool {
        self.state.load(Ordering::Acquire) & EXPIRED != 0
    }

    #[cold]
    fn error(&self) -> Error {
        self.why.lock().clone().unwrap_or(Error::Closed)
    }
}

/// Another state is kept for others.
impl Clone for Lease {
    fn clone(&self) -> Self {
        Self::default()
    }
}

impl Drop for Inside<'_> {
    fn drop(&mut self) {
        self.0.state.fetch_sub(INSIDE, Ordering::Release);
    }
}

/// The nodes of a state, as long as they are kept.
#[derive(Clone, Copy)]
pub(super) struct Leased<'a> {
    pub nodes: &'a Nodes,
    pub lease: &'a Lease,
}

impl NodeSource for Leased<'_> {
    fn node(&self, reference: &NodeRef) -> Result<Node> {
        match self.nodes.resident(reference) {
            Some(node) => self.lease.require().map(|()| node),
            None => {
                let _inside = self.lease.enter()?;
                self.nodes.fetch(reference)
            }
        }
    }

    fn child(&self, parent: &Node, index: usize, reference: &NodeRef) -> Result<Node> {
        match self.nodes.resident_child(parent, index, reference) {
            Some(node) => self.lease.require().map(|()| node),
            None => self.node(reference),
        }
    }

    fn expect_child(&self, parent: &Node, index: usize) {
        self.nodes.expect_child(parent, index);
    }
}

/// What cursors read nodes from: they own it.
#[derive(Clone, Debug)]
pub(crate) struct Source {
    nodes: Arc<Nodes>,
    /// The state whose nodes they are; none for background work, which reads what is current and is not given out.
    layers: Option<Arc<Layers>>,
    /// For whoever reads all leaves once, in their order.
    ahead: Option<Box<ReadAhead>>,
}

impl Source {
    pub(super) fn of(layers: &Arc<Layers>, nodes: &Arc<Nodes>) -> Self {
        Self { nodes: Arc::clone(nodes), layers: Some(Arc::clone(layers)), ahead: None }
    }

    /// For a copy of all that the state holds: leaves are read ahead, past the cache.
    pub(super) fn in_order(layers: &Arc<Layers>, nodes: &Arc<Nodes>) -> Self {
        Self { ahead: Some(Box::default()), ..Self::of(layers, nodes) }
    }

    /// The bytes of a leaf as they are stored, opened and proven, where leaves are read ahead and this one was: else it is to
    /// be read as a [`node`](NodeSource::node).
    pub(super) fn stored_leaf(&self, parent: &Node, index: usize, reference: &NodeRef) -> Result<Option<Vec<u8>>> {
        let (Some(ahead), Some(layers)) = (&self.ahead, &self.layers) else { return Ok(None) };
        let _inside = layers.lease.enter()?;
        ahead.stored(&self.nodes, parent, index, reference)
    }

    #[cold]
    fn leaf_in_order(&self, parent: &Node, index: usize, reference: &NodeRef) -> Result<Node> {
        let stored = self.stored_leaf(parent, index, reference)?;
        match stored.and_then(|stored| Node::from_stored(stored, None).ok()) {
            Some(leaf) => Ok(leaf),
            None => {
                let _inside = self.layers.as_ref().map(|layers| layers.lease.enter()).transpose()?;
                self.nodes.read_uncached(reference)
            }
        }
    }

    pub(super) fn current(nodes: &Arc<Nodes>) -> Self {
        Self { nodes: Arc::clone(nodes), layers: None, ahead: None }
    }
}

impl NodeSource for Source {
    fn node(&self, reference: &NodeRef) -> Result<Node> {
        match &self.layers {
            Some(layers) => Leased { nodes: &self.nodes, lease: &layers.lease }.node(reference),
            None => self.nodes.node(reference),
        }
    }

    fn child(&self, parent: &Node, index: usize, reference: &NodeRef) -> Result<Node> {
        if self.ahead.is_some() && parent.level() == 1 {
            return self.leaf_in_order(parent, index, reference);
        }
        match &self.layers {
            Some(layers) => Leased { nodes: &self.nodes, lease: &layers.lease }.child(parent, index, reference),
            None => self.nodes.child(parent, index, reference),
        }
    }

    fn expect_child(&self, parent: &Node, index: usize) {
        self.nodes.expect_child(parent, index);
    }
}
