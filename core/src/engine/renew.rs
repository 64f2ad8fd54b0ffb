//! A part of the base, written anew under the data key of now: nodes and values alike, in one range of keys.
//!
//! Whether anything is to be done about a unit its own nonce tells, which is read from storage. So whoever goes over the same range
//! again writes nothing, and nothing has to be remembered of how far somebody else came.

use alloc::sync::Arc;
use alloc::vec::Vec;

use super::changes::{KeyRange, LayerChanges};
use super::flush::merge_into;
use super::job::{JobExtents, JobSink};
use super::layer::Layer;
use super::lease::Source;
use super::maintenance::{Progress, Work};
use super::nodes::{Nodes, read_exact};
use super::state::Engine;
use super::values::{BLOCK_BYTES, ValueReader, ValueWriter, extent_of};
use super::version::Layers;
use crate::codec::cipher::NONCE_BYTES;
use crate::codec::slot::{Slot, ValueRef};
use crate::error::{Error, Result};
use crate::memtable::{Lookup, Memtable};
use crate::space::Extent;
use crate::testing::Mutant;
use crate::tree::{self, Merge, MergeMode, MergeProgress, NodeRef, Root, TreeCursor};

/// Steps' worth of entries that are written anew before the result is published.
const CHUNK_STEPS: usize = 16;
/// Blocks of values that one step writes.
const STEP_BLOCKS: usize = 16;

/// One range on its way.
#[derive(Debug)]
pub(super) struct Renew {
    pub(super) extents: JobExtents,
    base: Root,
    from: Arc<[u8]>,
    to: Option<Arc<[u8]>>,
    phase: Phase,
}

#[derive(Debug)]
#[allow(clippy::large_enum_variant, reason = "there is one of it")]
enum Phase {
    Start,
    Values(OutdatedValues),
    Nodes(LayerChanges, Merge),
}

impl Renew {
    /// Of the keys of `base`, which stays the base meanwhile, from `from` on.
    pub(super) fn new(base: Root, from: Arc<[u8]>) -> Self {
        Self { extents: JobExtents::default(), base, from, to: None, phase: Phase::Start }
    }

    pub(super) fn step(&mut self, engine: &Engine, work: &mut Work) -> Result<Progress> {
        let budget = engine.options.step_entries;
        match &mut self.phase {
            Phase::Start => {
                let end = tree::key_after(&*engine.nodes, &self.base, &self.from, (budget * CHUNK_STEPS) as u64)?;
                self.to = end.map(Arc::from);
                self.phase = match work.values {
                    0 => self.nodes(Memtable::new(), engine),
                    _ => Phase::Values(OutdatedValues::new(engine, self.base)),
                };
                Ok(Progress::More)
            }
            Phase::Values(values) => {
                let done = values.step(engine, budget, &self.from, self.to.as_deref());
                self.extents.written.append(&mut values.written);
                if done? {
                    if let Some(reencryption) = &mut work.reencryption {
                        reencryption.values_damaged += values.damaged;
                    }
                    let renewed = core::mem::replace(&mut values.renewed, Memtable::new());
                    self.phase = self.nodes(renewed, engine);
                }
                Ok(Progress::More)
            }
            Phase::Nodes(changes, merge) => {
                let mut sink = JobSink::new(engine, &mut self.extents);
                let MergeProgress::Done(base) = merge.step(&*engine.nodes, changes, &mut sink, budget)? else {
                    return Ok(Progress::More);
                };
                // Written anew, not gone.
                self.extents.values_gone = 0;
                if base != Some(self.base) {
                    work.published(&self.extents);
                    engine.publish_layers(|layers| Layers { base, ..layers.clone() }, &mut self.extents);
                }
                if let Some(reencryption) = &mut work.reencryption {
                    reencryption.renewed(self.to.clone(), (budget * CHUNK_STEPS) as u64);
                }
                Ok(Progress::Idle)
            }
        }
    }

    fn nodes(&self, renewed: Memtable, engine: &Engine) -> Phase {
        let make = || Layer::memtable(&renewed).into_iter().collect();
        let changes = LayerChanges::new(make, Vec::from([KeyRange::all()]));
        let merge = merge_into(Some(self.base), MergeMode::DropTombstones, engine);
        Phase::Nodes(changes, merge.renewing(self.from.to_vec(), self.to.as_deref().map(<[u8]>::to_vec)))
    }

    /// It will not be gone on with: gives back what nothing else would.
    pub(super) fn give_up(&mut self, engine: &Engine) {
        if let Phase::Values(OutdatedValues { under_way: Some(value), .. }) = &mut self.phase {
            engine.space.lock().withdraw(value.extent);
        }
    }
}

/// Writes values anew, and keeps their new references as changes for a merge.
#[derive(Debug)]
struct OutdatedValues {
    cursor: TreeCursor<Source>,
    started: bool,
    under_way: Option<ValueUnderWay>,
    renewed: Memtable,
    written: Vec<Extent>,
    /// Those that cannot be read, and stay as they are.
    damaged: u64,
    /// The last of them.
    damaged_at: Option<u64>,
}

#[derive(Debug)]
struct ValueUnderWay {
    reader: ValueReader,
    /// Taken when all is there.
    writer: Option<ValueWriter>,
    extent: Extent,
    at: u64,
}

impl OutdatedValues {
    fn new(engine: &Engine, base: Root) -> Self {
        Self {
            cursor: TreeCursor::new(Source::current(&engine.nodes), Some(base)),
            started: false,
            under_way: None,
            renewed: Memtable::new(),
            written: Vec::new(),
            damaged: 0,
            damaged_at: None,
        }
    }

    /// Looks at some records; true when it has seen all in the range.
    fn step(&mut self, engine: &Engine, budget: usize, from: &[u8], to: Option<&[u8]>) -> Result<bool> {
        if !self.started {
            self.cursor.seek(from)?;
            self.started = true;
        }
        let mut blocks = STEP_BLOCKS;
        for _ in 0..budget {
            let Some((key, slot)) = self.cursor.entry() else { return Ok(true) };
            if to.is_some_and(|to| key >= to) {
                return Ok(true);
            }
            if let Some(old) = slot.extent()
                // Done already, when the step to the next record lacked bytes.
                && !matches!(self.renewed.get(key), Lookup::Found { .. })
                && self.damaged_at != Some(old.offset)
                && (self.under_way.is_some() || is_outdated_value(engine, &old)?)
                && !Mutant::ValueNotSealedAnew.is_active()
            {
                let value = match &mut self.under_way {
                    Some(value) => value,
                    none => none.insert(ValueUnderWay::begin(engine, old)?),
                };
                match value.step(engine, &mut blocks) {
                    Ok(None) => return Ok(false),
                    Ok(Some(new)) => {
                        let extent = extent_of(&new);
                        // It becomes part of the base with this job, or is released with it.
                        engine.space.lock().settle(extent);
                        self.written.push(extent);
                        self.renewed.put(key, Slot::Extent(new), 0);
                        self.under_way = None;
                    }
                    Err(error) if engine.is_damage(&error) => {
                        engine.space.lock().withdraw(value.extent);
                        self.under_way = None;
                        self.damaged += 1;
                        self.damaged_at = Some(old.offset);
                    }
                    Err(error) => return Err(error),
                }
            }
            self.cursor.next()?;
        }
        Ok(false)
    }
}

impl ValueUnderWay {
    fn begin(engine: &Engine, old: ValueRef) -> Result<Self> {
        let reader = ValueReader::new(&engine.nodes, old, None);
        // Before a place is found for it, because that takes space by its length.
        reader.require_in_file()?;
        let writer = ValueWriter::new(engine, old.len)?;
        Ok(Self { reader, extent: writer.extent(), writer: Some(writer), at: 0 })
    }

    /// The new reference when all is written.
    fn step(&mut self, engine: &Engine, blocks: &mut usize) -> Result<Option<ValueRef>> {
        let mut block = alloc::vec![0; BLOCK_BYTES];
        while let Some(writer) = self.writer.as_mut().filter(|_| self.at < self.reader.len()) {
            if *blocks == 0 {
                return Ok(None);
            }
            let len = self.reader.read_at(self.at, &mut block)?;
            writer.write(engine, block.get(..len).unwrap_or_default())?;
            self.at += len as u64;
            *blocks -= 1;
        }
        let Some(writer) = self.writer.take() else {
            return Err(Error::invalid("a value that is written anew failed before"));
        };
        writer.finish(engine).map(Some)
    }
}

/// Whether a value is sealed under a data key that is to be forgotten.
fn is_outdated_value(engine: &Engine, value: &ValueRef) -> Result<bool> {
    let mut nonce = [0; NONCE_BYTES];
    let at = value.offset.saturating_add(value.len);
    match read_exact(engine.storage(), at, &mut nonce, "a value's checksums") {
        // Found out, and told, by whoever reads it.
        Err(Error::Corrupt(_)) => Ok(true),
        read => read.map(|()| engine.nodes.seal().envelope.is_outdated(&nonce)),
    }
}

impl Nodes {
    /// Whether the node is sealed under a data key that is to be forgotten.
    pub(super) fn is_outdated_node(&self, reference: &NodeRef) -> Result<bool> {
        let mut nonce = [0; NONCE_BYTES];
        read_exact(self.storage(), tree::nonce_offset(reference), &mut nonce, "a node")?;
        Ok(self.seal().envelope.is_outdated(&nonce))
    }
}
