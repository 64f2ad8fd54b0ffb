//! Reading everything stored and verifying it, a little at a time: nodes and values against their checksums, their
//! structure, the order and number of entries. What it finds is remembered as damaged.
//!
//! Unlike a check it holds nobody up and does not account for space: it looks at the layers as they are when it begins, and
//! what they refer to is not reused until it ends.

use alloc::sync::Arc;
use alloc::vec::Vec;

use super::check::{self, CheckReport};
use super::nodes::Uncached;
use super::state::Engine;
use super::version::Layers;
use crate::codec::slot::ValueRef;
use crate::error::Result;
use crate::tree::{self, Damage, MergeMode, NodeRef, Root, TreeKind, Walk};

/// A scrub under way.
#[derive(Debug)]
pub(crate) struct ScrubWork {
    /// Keeps what is to be read from being reused.
    layers: Arc<Layers>,
    /// Trees not begun yet, the next one last.
    trees: Vec<(Root, TreeKind)>,
    walk: Option<(Walk, TreeKind)>,
    found: Found,
    bytes_all: u64,
}

#[derive(Debug, Default)]
struct Found {
    report: CheckReport,
    values: Vec<ValueRef>,
}

impl tree::Visitor for Found {
    fn node(&mut self, node: &NodeRef, _level: u8) {
        self.report.nodes += 1;
        self.report.node_bytes += u64::from(node.len);
    }

    fn value(&mut self, _key: &[u8], value: ValueRef) {
        self.values.push(value);
    }

    fn damage(&mut self, damage: &Damage<'_>) {
        self.report.add_problem(check::describe(damage));
    }
}

impl ScrubWork {
    /// Of what is stored now. What is only in memory and in the log is not looked at.
    pub(crate) fn new(engine: &Engine) -> Self {
        let layers = Arc::clone(&engine.version().layers);
        let mut trees = Vec::new();
        for layer in &layers.runs {
            trees.extend(layer.run.intervals.map(|root| (root, TreeKind::RunIntervals)));
            trees.extend(layer.run.points.map(|root| (root, TreeKind::RunPoints)));
        }
        trees.extend(layers.base.map(|root| (root, TreeKind::Base)));
        Self { layers, trees, walk: None, found: Found::default(), bytes_all: engine.bytes_to_scrub() }
    }

    /// Reads up to `nodes` nodes and the values they refer to; whether there is more. After `NotResident` it is called again.
    pub(crate) fn step(&mut self, engine: &Engine, nodes: usize) -> Result<bool> {
        let more = self.read(engine, nodes);
        engine.scrubs.advanced(self.bytes(), self.bytes_all);
        match &more {
            Ok(true) => {}
            Ok(false) => engine.scrubs.finished(),
            Err(error) if error.passes() => {}
            Err(error) => engine.scrubs.stopped(error),
        }
        more
    }

    /// Bytes read so far.
    pub(crate) fn bytes(&self) -> u64 {
        self.found.report.node_bytes.saturating_add(self.found.report.value_bytes)
    }

    fn read(&mut self, engine: &Engine, nodes: usize) -> Result<bool> {
        let layers = Arc::clone(&self.layers);
        let _inside = layers.lease.enter()?;
        while let Some(&value) = self.found.values.last() {
            check::read_value(engine, value, &mut self.found.report)?;
            self.found.values.pop();
        }
        let (mut walk, kind) = match self.walk.take() {
            Some(walk) => walk,
            None => {
                let Some((root, kind)) = self.trees.pop() else { return Ok(false) };
                self.found.report.entries += root.entries;
                let mode = if kind == TreeKind::Base { MergeMode::DropTombstones } else { MergeMode::KeepTombstones };
                (Walk::new(Some(root), mode), kind)
            }
        };
        let more = walk.step(&Uncached(&engine.nodes, kind), &mut self.found, nodes);
        if !matches!(more, Ok(false)) {
            self.walk = Some((walk, kind));
        }
        more?;
        Ok(self.walk.is_some() || !self.trees.is_empty() || !self.found.values.is_empty())
    }

    /// What has been seen so far.
    pub(crate) fn report(&self) -> &CheckReport {
        &self.found.report
    }
}
