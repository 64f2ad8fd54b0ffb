//! What a job of background work writes and frees until it publishes.

use alloc::vec::Vec;

use super::state::{Engine, Space};
use super::values::extent_of;
use crate::codec::slot::ValueRef;
use crate::env::{FileId, Storage};
use crate::error::Result;
use crate::space::{Extent, GRAIN_BYTES};
use crate::testing::Mutant;
use crate::tree::{NodeRef, NodeSink, TreeKind};

/// Nodes of one job go to storage in pieces of at most this size, or of one node.
const GATHERED_BYTES_MAX: usize = 256 << 10;

/// What one job has written and freed; it becomes part of the database only when the job publishes.
#[derive(Debug, Default)]
pub(super) struct JobExtents {
    pub written: Vec<Extent>,
    /// Nodes.
    pub freed: Vec<Extent>,
    pub freed_values: Vec<Extent>,
    pub bytes: u64,
    /// Freed nodes that cannot be read: what they name is freed without being known.
    #[cfg(feature = "std")]
    pub hidden: usize,
    /// How many values there are fewer.
    pub values_gone: u64,
    /// How many of `written` some checkpoint's map left out, because nothing referred to them yet.
    left_out: usize,
    /// Nodes that lie one after the other and are not written yet.
    gathered: Gathered,
}

/// Bytes on their way to storage: nodes are small and lie one after the other, so many go in one write.
#[derive(Debug, Default)]
struct Gathered {
    offset: u64,
    bytes: Vec<u8>,
}

impl Gathered {
    fn end(&self) -> u64 {
        self.offset + self.bytes.len() as u64
    }

    fn write(&mut self, storage: &dyn Storage) -> Result<()> {
        if !self.bytes.is_empty() {
            storage.write_at(FileId::Data, self.offset, &self.bytes)?;
            self.bytes.clear();
        }
        Ok(())
    }

    fn add(&mut self, storage: &dyn Storage, offset: u64, stored: &[u8]) -> Result<()> {
        let follows = offset.checked_sub(self.end()).is_some_and(|gap| gap < GRAIN_BYTES);
        if !follows || self.bytes.len() + stored.len() > GATHERED_BYTES_MAX {
            self.write(storage)?;
            self.offset = offset;
        }
        // A node ends inside a grain, the next begins with one.
        self.bytes.resize((offset - self.offset) as usize, 0);
        self.bytes.extend_from_slice(stored);
        Ok(())
    }
}

impl JobExtents {
    /// A checkpoint begins while the job is under way: what the job has written so far is on storage, so that nothing is
    /// written into the checkpoint's sectors afterwards, but is no part of the checkpoint.
    pub(super) fn leave_out(&mut self, storage: &dyn Storage) -> Result<()> {
        self.gathered.write(storage)?;
        self.left_out = self.written.len();
        Ok(())
    }

    /// The job publishes: what was left out of a checkpoint's map belongs into the next one's.
    pub(super) fn include(&mut self, space: &mut Space) {
        self.left_out().iter().for_each(|extent| space.map.touch(*extent));
    }

    /// Written before the newest checkpoint, published after it.
    pub(super) fn left_out(&self) -> &[Extent] {
        self.written.get(..self.left_out).unwrap_or(&[])
    }

    /// Written since the newest checkpoint.
    pub(super) fn fresh(&self) -> &[Extent] {
        self.written.get(self.left_out..).unwrap_or(&[])
    }

    /// These values die with this job.
    pub(super) fn free_values(&mut self, values: &[ValueRef]) {
        self.freed_values.extend(values.iter().map(extent_of));
        self.values_gone += values.len() as u64;
    }
}

/// Where a job's nodes go.
pub(super) struct JobSink<'a> {
    engine: &'a Engine,
    extents: &'a mut JobExtents,
    /// Which tree, and the age of its nodes where that is settled.
    tree: TreeKind,
    age: Option<u64>,
}

impl<'a> JobSink<'a> {
    /// Of nodes of the base.
    pub(super) fn new(engine: &'a Engine, extents: &'a mut JobExtents) -> Self {
        Self { engine, extents, tree: TreeKind::Base, age: None }
    }

    /// The same for nodes of a run that holds no newer commit than `sequence`.
    pub(super) fn of_run(self, tree: TreeKind, sequence: u64) -> Self {
        Self { tree, age: Some(sequence), ..self }
    }
}

impl NodeSink for JobSink<'_> {
    fn write(&mut self, mut stored: Vec<u8>) -> Result<NodeRef> {
        let (extent, age) = {
            let len = self.engine.nodes.seal().closed_len(stored.len());
            let mut space = self.engine.space.lock();
            let extent = space.map.allocate(len as u64)?;
            self.extents.written.push(extent);
            space.wipe_given_out(self.engine.storage())?;
            (extent, self.age.unwrap_or(space.ages.next_base()))
        };
        self.extents.bytes += extent.len;
        self.engine.nodes.invalidate(extent.offset);
        let checksum = self.engine.nodes.seal().close(&mut stored, extent.offset, self.tree, age);
        self.extents.gathered.add(self.engine.storage(), extent.offset, &stored)?;
        Ok(NodeRef { offset: extent.offset, len: stored.len() as u32, checksum })
    }

    fn flush(&mut self) -> Result<()> {
        self.extents.gathered.write(self.engine.storage())
    }

    fn free(&mut self, reference: NodeRef) {
        self.extents.freed.push(Extent { offset: reference.offset, len: u64::from(reference.len) });
    }

    fn free_value(&mut self, value: ValueRef) {
        if Mutant::ValueFreedAtOnce.is_active() {
            self.extents.values_gone += 1;
            return self.engine.space.lock().map.release(extent_of(&value));
        }
        self.extents.free_values(&[value]);
    }
}
