//! Runs merge among themselves and into the base; nodes at the end of the file move down so that it can be cut.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::ops::RangeInclusive;

use super::changes::{KeyRange, LayerChanges};
use super::flush::{IntervalEntries, merge_into, relocate_into};
use super::job::{JobExtents, JobSink};
use super::layer::Layer;
use super::lease::Source;
use super::maintenance::{Progress, RUN_FANOUT, Work};
use super::quarantine::Avoided;
use super::state::Engine;
use super::values::ValueMoves;
use super::version::{Layers, Run, RunLayer};
use crate::error::Result;
use crate::space::Extent;
use crate::testing::Mutant;
use crate::tree::{self, Merge, MergeMode, MergeProgress, NodeRef, NodeSource, Root, TreeKind};

/// Steps' worth of entries that go into the base before the result is published.
const CHUNK_STEPS: usize = 16;
/// Relocation must shorten the file by this much to be worth its writes.
const RELOCATION_GAIN_BYTES_MIN: u64 = 64 << 10;

impl Run {
    /// Points and intervals.
    pub(super) fn entries(&self) -> u64 {
        // As many as no file holds, where a root claims more: sums stay in bounds.
        const ENTRIES_MAX: u64 = 1 << 40;
        [&self.points, &self.intervals].into_iter().flatten().map(|root| root.entries.min(ENTRIES_MAX)).sum()
    }
}

/// Several runs next to each other in age become one of the next level.
#[derive(Debug)]
pub(super) struct MergeRuns {
    inputs: Vec<RunLayer>,
    pub(super) extents: JobExtents,
    phase: RunsPhase,
    points: Option<Root>,
    intervals: Option<Root>,
}

#[derive(Debug)]
enum RunsPhase {
    Start,
    Points(LayerChanges, Merge),
    Intervals(IntervalEntries, Merge),
    Free(FreeTrees),
}

impl MergeRuns {
    /// The newest group of a level that is full.
    ///
    /// Where the base takes nothing any more, of all levels; a run that is to be avoided parts what lies above it from what
    /// lies below.
    pub(super) fn choose(layers: &Layers, avoided: &Avoided) -> Option<Self> {
        let runs = &layers.runs;
        let mut start = 0;
        while start < runs.len() {
            let level = runs.get(start)?.run.level;
            let belongs =
                |layer: &&RunLayer| (layer.run.level == level || avoided.base) && !avoided.runs.contains(&layer.run.id);
            let len = runs.iter().skip(start).take_while(belongs).count();
            if len >= RUN_FANOUT {
                return Some(Self {
                    inputs: runs.get(start..start + len)?.to_vec(),
                    extents: JobExtents::default(),
                    phase: RunsPhase::Start,
                    points: None,
                    intervals: None,
                });
            }
            start += len.max(1);
        }
        None
    }

    /// The runs that are merged.
    pub(super) fn inputs(&self) -> &[RunLayer] {
        &self.inputs
    }

    fn changes(&self, engine: &Engine) -> LayerChanges {
        let source = Source::current(&engine.nodes);
        let make = || self.inputs.iter().map(|layer| Layer::run(layer, &source)).collect();
        LayerChanges::new(make, Vec::from([KeyRange::all()]))
    }

    pub(super) fn step(&mut self, engine: &Engine, work: &mut Work) -> Result<Progress> {
        let budget = engine.options.step_entries;
        let newest = *self.sequences().end();
        match &mut self.phase {
            RunsPhase::Start => {
                let tombstones = match Mutant::TombstoneDroppedAmongRuns.is_active() {
                    true => MergeMode::DropTombstones,
                    false => MergeMode::KeepTombstones,
                };
                self.phase = RunsPhase::Points(self.changes(engine), merge_into(None, tombstones, engine));
            }
            RunsPhase::Points(changes, merge) => {
                let mut sink = JobSink::new(engine, &mut self.extents).of_run(TreeKind::RunPoints, newest);
                let progress = merge.step(&*engine.nodes, changes, &mut sink, budget)?;
                self.extents.free_values(&changes.take_hidden_values());
                if let MergeProgress::Done(root) = progress {
                    self.points = root;
                    let intervals = IntervalEntries::new(self.changes(engine));
                    self.phase = RunsPhase::Intervals(intervals, merge_into(None, MergeMode::KeepTombstones, engine));
                }
            }
            RunsPhase::Intervals(changes, merge) => {
                let mut sink = JobSink::new(engine, &mut self.extents).of_run(TreeKind::RunIntervals, newest);
                if let MergeProgress::Done(root) = merge.step(&*engine.nodes, changes, &mut sink, budget)? {
                    self.intervals = root.filter(|_| !Mutant::IntervalLostAmongRuns.is_active());
                    self.phase = RunsPhase::Free(FreeTrees::of_runs(&self.inputs));
                }
            }
            RunsPhase::Free(free) => {
                if free.step(engine, &mut self.extents, budget)? {
                    self.publish(engine, work);
                    return Ok(Progress::Idle);
                }
            }
        }
        Ok(Progress::More)
    }

    fn sequences(&self) -> RangeInclusive<u64> {
        let all = || self.inputs.iter().map(|layer| &layer.run.sequences);
        all().map(|range| *range.start()).min().unwrap_or(0)..=all().map(|range| *range.end()).max().unwrap_or(0)
    }

    fn publish(&mut self, engine: &Engine, work: &mut Work) {
        work.next_run_id += 1;
        let run = Arc::new(Run {
            id: work.next_run_id,
            sequences: self.sequences(),
            level: self.inputs.iter().map(|layer| layer.run.level).max().unwrap_or(0).saturating_add(1),
            points: self.points,
            intervals: self.intervals,
            bytes: self.inputs.iter().fold(0, |sum, layer| layer.run.bytes.saturating_add(sum)),
        });
        work.published(&self.extents);
        let is_input = |layer: &RunLayer| self.inputs.iter().any(|input| input.run.id == layer.run.id);
        engine.publish_layers(
            |layers| {
                let mut runs = Vec::new();
                let mut placed = run.entries() == 0;
                for layer in &layers.runs {
                    if !is_input(layer) {
                        runs.push(layer.clone());
                    } else if !placed {
                        runs.push(RunLayer { run: Arc::clone(&run), merged_below: None });
                        placed = true;
                    }
                }
                Layers { runs, ..layers.clone() }
            },
            &mut self.extents,
        );
    }
}

/// One chunk of the runs, from the lowest key not yet merged, goes into the base.
///
/// **Layer invariant, kept here:** all runs that are older than any participant take part, over the same range, in one
/// merge; the range is then no longer part of any of them.
#[derive(Debug)]
pub(super) struct MergeToBase {
    participants: Vec<RunLayer>,
    pub(super) extents: JobExtents,
    phase: BasePhase,
    to: Option<Arc<[u8]>>,
    base: Option<Root>,
}

#[derive(Debug)]
#[allow(clippy::large_enum_variant, reason = "there is one of it")]
enum BasePhase {
    Start,
    Merge(LayerChanges, Merge),
    Free(FreeTrees),
}

impl MergeToBase {
    /// Goes on with the runs that are partly merged; if none is, starts with all.
    pub(super) fn new(layers: &Layers) -> Self {
        let started: Vec<_> = layers.runs.iter().filter(|layer| layer.merged_below.is_some()).cloned().collect();
        let all = if Mutant::NewestRunIntoBase.is_active() { 1 } else { layers.runs.len() };
        Self {
            participants: if started.is_empty() { layers.runs.iter().take(all).cloned().collect() } else { started },
            extents: JobExtents::default(),
            phase: BasePhase::Start,
            to: None,
            base: None,
        }
    }

    pub(super) fn step(&mut self, engine: &Engine, work: &mut Work) -> Result<Progress> {
        let budget = engine.options.step_entries;
        match &mut self.phase {
            BasePhase::Start => {
                let from = self.participants.iter().find_map(|layer| layer.merged_below.clone());
                let from = from.unwrap_or_else(|| Arc::from(&[][..]));
                self.to = self.chunk_end(engine, &from, budget * CHUNK_STEPS)?;
                let source = Source::current(&engine.nodes);
                let make = || self.participants.iter().map(|layer| Layer::run(layer, &source)).collect();
                let changes = LayerChanges::new(make, Vec::from([KeyRange { from, to: self.to.clone() }]));
                let base = engine.version().layers.base;
                self.phase = BasePhase::Merge(changes, merge_into(base, MergeMode::DropTombstones, engine));
            }
            BasePhase::Merge(changes, merge) => {
                let mut sink = JobSink::new(engine, &mut self.extents);
                let progress = merge.step(&*engine.nodes, changes, &mut sink, budget)?;
                self.extents.free_values(&changes.take_hidden_values());
                if let MergeProgress::Done(root) = progress {
                    self.base = root;
                    let finished = if self.to.is_none() { &self.participants[..] } else { &[] };
                    self.phase = BasePhase::Free(FreeTrees::of_runs(finished));
                }
            }
            BasePhase::Free(free) => {
                if free.step(engine, &mut self.extents, budget)? {
                    self.publish(engine, work);
                    return Ok(Progress::Idle);
                }
            }
        }
        Ok(Progress::More)
    }

    /// The lowest key that any participant reaches after `entries` entries; `None` when all end before.
    fn chunk_end(&self, engine: &Engine, from: &[u8], entries: usize) -> Result<Option<Arc<[u8]>>> {
        let mut end: Option<Arc<[u8]>> = None;
        for root in self.participants.iter().flat_map(|layer| [layer.run.points, layer.run.intervals]).flatten() {
            if let Some(key) = tree::key_after(&*engine.nodes, &root, from, entries as u64)?
                && end.as_ref().is_none_or(|end| *key < **end)
            {
                end = Some(Arc::from(key));
            }
        }
        Ok(end)
    }

    fn publish(&mut self, engine: &Engine, work: &mut Work) {
        work.published(&self.extents);
        let takes_part = |layer: &RunLayer| self.participants.iter().any(|other| other.run.id == layer.run.id);
        let (to, base) = (self.to.clone(), self.base);
        engine.publish_layers(
            |layers| {
                let runs = layers.runs.iter().filter_map(|layer| match (takes_part(layer), &to) {
                    (false, _) => Some(layer.clone()),
                    (true, Some(to)) => Some(RunLayer { merged_below: Some(Arc::clone(to)), ..layer.clone() }),
                    (true, None) => None,
                });
                Layers { runs: runs.collect(), base, ..layers.clone() }
            },
            &mut self.extents,
        );
    }
}

/// Nodes and values of the base at or beyond an offset are written again below it.
#[derive(Debug)]
pub(super) struct Relocate {
    pub(super) extents: JobExtents,
    base: Root,
    from: u64,
    phase: RelocatePhase,
}

#[derive(Debug)]
#[allow(clippy::large_enum_variant, reason = "there is one of it")]
enum RelocatePhase {
    Values(ValueMoves),
    Nodes(LayerChanges, Merge),
}

impl Engine {
    /// Relocation of the base, if it would shorten the file.
    pub(super) fn choose_relocation(&self, work: &Work) -> Option<Relocate> {
        let from = self.space.lock().map.relocation_target(RELOCATION_GAIN_BYTES_MIN)?;
        let base = self.version().layers.base?;
        let moves = ValueMoves::new(self, base, from);
        let phase = match work.values {
            0 => Relocate::nodes(&moves, base, from, self),
            _ => RelocatePhase::Values(moves),
        };
        Some(Relocate { extents: JobExtents::default(), base, from, phase })
    }
}

impl Relocate {
    fn nodes(moves: &ValueMoves, base: Root, from: u64, engine: &Engine) -> RelocatePhase {
        let make = || Layer::memtable(&moves.moved).into_iter().collect();
        let changes = LayerChanges::new(make, Vec::from([KeyRange::all()]));
        RelocatePhase::Nodes(changes, relocate_into(base, from, engine))
    }

    pub(super) fn step(&mut self, engine: &Engine, work: &mut Work) -> Result<Progress> {
        let budget = engine.options.step_entries;
        match &mut self.phase {
            RelocatePhase::Values(moves) => {
                let done = moves.step(engine, budget);
                self.extents.written.append(&mut moves.written);
                if done? {
                    self.phase = Self::nodes(moves, self.base, self.from, engine);
                }
                Ok(Progress::More)
            }
            RelocatePhase::Nodes(changes, merge) => {
                let mut sink = JobSink::new(engine, &mut self.extents);
                let MergeProgress::Done(base) = merge.step(&*engine.nodes, changes, &mut sink, budget)? else {
                    return Ok(Progress::More);
                };
                // Moved, not gone.
                self.extents.values_gone = 0;
                work.published(&self.extents);
                engine.publish_layers(|layers| Layers { base, ..layers.clone() }, &mut self.extents);
                Ok(Progress::Idle)
            }
        }
    }
}

/// Lists the nodes of trees that are no longer needed, by their parents: no leaf is read. Values are not listed: they
/// live on in the tree the records were merged into.
///
/// Everything in the trees is in the one that they were merged into, so a node that cannot be read here, in a part that went
/// there long ago, is no loss: the trees are dropped all the same.
#[derive(Debug)]
struct FreeTrees {
    stack: Vec<(NodeRef, u8)>,
}

impl FreeTrees {
    fn of_runs(runs: &[RunLayer]) -> Self {
        let roots = runs.iter().flat_map(|layer| [layer.run.points, layer.run.intervals]).flatten();
        Self { stack: roots.map(|root| (root.node, root.height)).collect() }
    }

    /// True when done.
    fn step(&mut self, engine: &Engine, extents: &mut JobExtents, budget: usize) -> Result<bool> {
        for _ in 0..budget {
            let Some(&(reference, level)) = self.stack.last() else { return Ok(true) };
            let node = match level {
                0 => None,
                _ => match engine.nodes.node(&reference) {
                    #[cfg(feature = "std")]
                    Err(error) if engine.is_damage(&error) => {
                        extents.hidden += 1;
                        None
                    }
                    node => Some(node?),
                },
            };
            self.stack.pop();
            extents.freed.push(Extent { offset: reference.offset, len: u64::from(reference.len) });
            if let Some(node) = node {
                let view = node.view();
                self.stack.extend((0..view.children()).filter_map(|at| view.child(at)).map(|child| (child, level - 1)));
            }
        }
        Ok(self.stack.is_empty())
    }
}

#[cfg(all(test, feature = "std"))]
mod tests {
    use super::*;
    use crate::db::{Database, Options};
    use crate::engine::Environment;
    use crate::env::{FileId, FixedClock, MemoryStorage, SeededEntropy, Storage};
    use crate::table::Table;

    const T: Table<u64, &[u8]> = Table::new("t");

    #[test]
    fn a_tree_that_is_not_needed_is_freed_although_a_node_of_it_cannot_be_read() {
        let env = Environment { clock: Arc::new(FixedClock(1000)), entropy: Arc::new(SeededEntropy::new(7)) };
        let storage = Arc::new(MemoryStorage::new());
        let options = Options { background_thread: false, ..Options::default() };
        let db = Database::open_storage(storage.clone(), env, options).unwrap();
        db.transaction(|tx| (0..5000).try_for_each(|key| tx.table(T)?.put(key, [7; 100].as_slice()))).unwrap();
        db.compact().unwrap();
        let engine = Arc::clone(&db.snapshot().engine);
        let root = engine.version().layers.base.unwrap();
        assert!(root.height > 0);
        let freed = || {
            let (mut free, mut extents) =
                (FreeTrees { stack: Vec::from([(root.node, root.height)]) }, JobExtents::default());
            while !free.step(&engine, &mut extents, 3).unwrap() {}
            (extents.freed.len(), extents.hidden)
        };
        let (all, hidden) = freed();
        assert!(all > 10 && hidden == 0, "{all} nodes, {hidden}");
        storage.write_at(FileId::Data, root.node.offset + 40, &[0xdb; 8]).unwrap();
        db.trim_memory(crate::Trim::All);
        assert_eq!(freed(), (1, 1));
    }
}
