//! A frozen memtable moves into the trees: where its changes are dense in the base they are merged there, where they are
//! sparse they become a run.
//!
//! **Layer invariant, kept here:** a range goes into the base only where no run has anything left in it, because the
//! frozen memtable is newer than every run.

use alloc::sync::Arc;
use alloc::vec::Vec;

use super::changes::{KeyRange, LayerChanges};
use super::job::{JobExtents, JobSink};
use super::layer::Layer;
use super::lease::Source;
use super::maintenance::{Progress, Work};
use super::state::{BarrierSlot, Engine};
use super::values::extent_of;
use super::version::{Frozen, Layers, Run, RunLayer};
use crate::codec::slot::Slot;
use crate::error::Result;
use crate::log::Log;
use crate::testing::Mutant;
use crate::tree::{self, Change, Changes, Merge, MergeMode, MergeProgress, NodeSizes, Root, TreeKind};

/// Changes are dense in a leaf when they are at least one for this many entries.
const DENSE_PART: u64 = 4;

/// One frozen memtable on its way into the base and a run.
#[derive(Debug)]
pub(super) struct Flush {
    frozen: Arc<Frozen>,
    pub(super) extents: JobExtents,
    phase: Phase,
    dense: Vec<KeyRange>,
    sparse: Vec<KeyRange>,
    base: Option<Root>,
    points: Option<Root>,
    log: BarrierSlot,
    /// False when another job will bring a new base: then everything goes into a run.
    changes_base: bool,
}

#[derive(Debug)]
enum Phase {
    /// The log up to the memtable's end must be durable before any node that holds its changes is written.
    SyncLog,
    /// Everything from here on is still to be judged dense or sparse.
    Plan {
        from: Arc<[u8]>,
    },
    Base(LayerChanges, Merge),
    RunPoints(LayerChanges, Merge),
    RunIntervals(IntervalEntries, Merge),
}

impl Flush {
    pub(super) fn new(frozen: Arc<Frozen>, changes_base: bool) -> Self {
        Self {
            changes_base,
            log: BarrierSlot::default(),
            frozen,
            extents: JobExtents::default(),
            phase: Phase::SyncLog,
            dense: Vec::new(),
            sparse: Vec::new(),
            base: None,
            points: None,
        }
    }

    pub(super) fn changes_base(&self) -> bool {
        self.changes_base
    }

    fn changes(&self, ranges: &[KeyRange]) -> LayerChanges {
        let mut ranges = ranges.to_vec();
        if Mutant::LastRecordNotFlushed.is_active() {
            let mut last = self.frozen.memtable.cursor();
            last.seek_last();
            let end = last.entry().map(|entry| Arc::from(entry.key));
            ranges
                .last_mut()
                .filter(|range| range.to.is_none())
                .into_iter()
                .for_each(|range| range.to.clone_from(&end));
        }
        LayerChanges::new(|| Layer::memtable(&self.frozen.memtable).into_iter().collect(), ranges)
    }

    pub(super) fn step(&mut self, engine: &Engine, work: &mut Work) -> Result<Progress> {
        let budget = engine.options.step_entries;
        match &mut self.phase {
            Phase::SyncLog => {
                if !Mutant::MergedBeforeLogSync.is_active() {
                    engine.log_barrier(self.frozen.sequence, &mut self.log)?;
                }
                self.phase = Phase::Plan { from: Arc::from(&[][..]) };
            }
            Phase::Plan { .. } => {
                if self.plan(engine, budget)? {
                    self.base = engine.version().layers.base;
                    let changes = self.changes(&self.dense);
                    self.phase = Phase::Base(changes, merge_into(self.base, MergeMode::DropTombstones, engine));
                }
            }
            Phase::Base(changes, merge) => {
                let mut sink = JobSink::new(engine, &mut self.extents);
                if let MergeProgress::Done(root) = merge.step(&*engine.nodes, changes, &mut sink, budget)? {
                    self.base = root;
                    let changes = self.changes(&self.sparse);
                    let tombstones = match Mutant::TombstoneNotFlushed.is_active() {
                        true => MergeMode::DropTombstones,
                        false => MergeMode::KeepTombstones,
                    };
                    self.phase = Phase::RunPoints(changes, merge_into(None, tombstones, engine));
                }
            }
            Phase::RunPoints(changes, merge) => {
                let mut sink =
                    JobSink::new(engine, &mut self.extents).of_run(TreeKind::RunPoints, self.frozen.sequence);
                if let MergeProgress::Done(root) = merge.step(&*engine.nodes, changes, &mut sink, budget)? {
                    self.points = root;
                    let intervals = IntervalEntries::new(self.changes(&self.sparse));
                    self.phase = Phase::RunIntervals(intervals, merge_into(None, MergeMode::KeepTombstones, engine));
                }
            }
            Phase::RunIntervals(changes, merge) => {
                let mut sink =
                    JobSink::new(engine, &mut self.extents).of_run(TreeKind::RunIntervals, self.frozen.sequence);
                if let MergeProgress::Done(intervals) = merge.step(&*engine.nodes, changes, &mut sink, budget)? {
                    self.publish(engine, work, intervals.filter(|_| !Mutant::IntervalNotFlushed.is_active()));
                    return Ok(Progress::Idle);
                }
            }
        }
        Ok(Progress::More)
    }

    /// Judges some leaves; true when all changes are judged.
    fn plan(&mut self, engine: &Engine, budget: usize) -> Result<bool> {
        let Phase::Plan { from } = &self.phase else { return Ok(true) };
        let mut from = Arc::clone(from);
        let layers = Arc::clone(&engine.version().layers);
        if !self.changes_base {
            self.sparse.push(KeyRange::all());
            return Ok(true);
        }
        let base_entries = layers.base.as_ref().map_or(0, |root| root.entries);
        let memtable = &self.frozen.memtable;
        let changes = memtable.len() as u64 + memtable.interval_count() as u64;
        if layers.runs.is_empty() && changes * DENSE_PART >= base_entries {
            self.dense.push(KeyRange::all());
            return Ok(true);
        }
        let (Some(base), Some(mut own)) = (layers.base.as_ref(), Layer::memtable(memtable)) else {
            self.sparse.push(KeyRange::all());
            return Ok(true);
        };
        let mut counter = memtable.cursor();
        let source = Source::current(&engine.nodes);
        let mut runs: Vec<Layer> = layers.runs.iter().map(|run| Layer::run(run, &source)).collect();
        for _ in 0..budget {
            let point = own.point_from(&from)?.map(Arc::<[u8]>::from);
            let interval = own.interval_from(&from)?;
            let next = match (point, &interval) {
                (Some(point), Some((start, _))) => point.min(Arc::clone(start)),
                (Some(point), None) => point,
                (None, Some((start, _))) => Arc::clone(start),
                (None, None) => return Ok(true),
            };
            let (to, mut dense) = match interval {
                // A deleted range is judged as a whole: dropping subtrees is cheap.
                Some((start, end)) if *start == *next => (end, true),
                interval => {
                    let leaf = tree::leaf_range(&*engine.nodes, base, &next)?;
                    let end: Option<Arc<[u8]>> = leaf.to.as_deref().map(Arc::from);
                    let to = match (end, interval) {
                        (Some(end), Some((start, _))) => Some(end.min(start)),
                        (None, Some((start, _))) => Some(start),
                        (end, None) => end,
                    };
                    let mut changed = 0u64;
                    counter.seek(&next);
                    while counter.entry().is_some_and(|entry| to.as_ref().is_none_or(|to| entry.key < &**to)) {
                        changed += 1;
                        counter.next();
                    }
                    (to, changed * DENSE_PART >= leaf.entries)
                }
            };
            let before_end = |key: &[u8]| to.as_ref().is_none_or(|to| key < &**to);
            for run in &mut runs {
                if !dense {
                    break;
                }
                let point = run.point_from(&next)?.is_some_and(before_end);
                let interval = run.interval_from(&next)?.is_some_and(|(start, _)| before_end(&start));
                dense = !point && !interval || Mutant::DenseUnderRun.is_active();
            }
            let ranges = if dense { &mut self.dense } else { &mut self.sparse };
            match ranges.last_mut() {
                // Nothing of the memtable lies between two neighbours judged alike.
                Some(last) if last.to.as_ref() == Some(&from) => last.to.clone_from(&to),
                _ => ranges.push(KeyRange { from: next, to: to.clone() }),
            }
            match to {
                Some(to) => from = to,
                None => return Ok(true),
            }
            self.phase = Phase::Plan { from: Arc::clone(&from) };
        }
        Ok(false)
    }

    fn publish(&mut self, engine: &Engine, work: &mut Work, intervals: Option<Root>) {
        let sequences = work.merged_sequence + 1..=self.frozen.sequence;
        let run = (self.points.is_some() || intervals.is_some()).then(|| {
            let points = self.points.as_ref().map_or(0, |root| root.entries);
            let memtable = &self.frozen.memtable;
            let bytes = memtable.bytes() as u64 * points / (memtable.len() as u64).max(1);
            work.next_run_id += 1;
            RunLayer {
                run: Arc::new(Run { id: work.next_run_id, sequences, level: 0, points: self.points, intervals, bytes }),
                merged_below: None,
            }
        });
        if !Mutant::DeadValueLeaked.is_active() {
            self.extents.free_values(&self.frozen.values.dead);
        }
        work.values += self.frozen.values.all.len() as u64;
        let mut space = engine.space.lock();
        for value in &self.frozen.values.all {
            space.settle(extent_of(value));
        }
        space.ages.merged(self.frozen.sequence);
        drop(space);
        engine.counters.flushes.add(1);
        let oldest = engine.optimistic.lock().oldest();
        let mut writer = engine.writer.lock();
        writer.recent.merged(&self.frozen.memtable, self.frozen.sequence, oldest);
        if let Some(log) = writer.log.as_mut().filter(|_| Mutant::LogReusedWhenMerged.is_active()) {
            log.release(&self.frozen.log_end);
        }
        let log_end = writer.log.as_ref().filter(|_| Mutant::LogPositionTooFar.is_active()).map(Log::position);
        drop(writer);
        work.merged_log = log_end.unwrap_or(self.frozen.log_end);
        work.merged_sequence = self.frozen.sequence;
        work.merged_time_ms = engine.version().time_ms;
        work.sealed.clear();
        work.published(&self.extents);
        let (frozen, base) = (Arc::clone(&self.frozen), self.changes_base.then_some(self.base));
        engine.publish_layers(
            |layers| Layers {
                frozen: layers.frozen.iter().filter(|other| !Arc::ptr_eq(other, &frozen)).cloned().collect(),
                runs: match Mutant::NewRunBelow.is_active() {
                    true => layers.runs.iter().chain(&run).cloned().collect(),
                    false => run.iter().chain(&layers.runs).cloned().collect(),
                },
                base: base.unwrap_or(layers.base),
                ..layers.clone()
            },
            &mut self.extents,
        );
    }
}

impl Work {
    /// Layers changed and are not yet part of a checkpoint.
    pub(super) fn published(&mut self, extents: &JobExtents) {
        self.unsaved = true;
        self.unsaved_bytes += extents.bytes;
        self.node_bytes_written += extents.bytes;
        self.values = self.values.saturating_sub(extents.values_gone);
    }
}

/// A merge of changes into `base` (the bottom, or nothing for a new run).
pub(super) fn merge_into(base: Option<Root>, mode: MergeMode, engine: &Engine) -> Merge {
    Merge::new(base, mode, NodeSizes::default(), engine.options.compression, None)
}

/// A merge that also writes again, lower in the file, every node of `base` at or beyond `from`.
pub(super) fn relocate_into(base: Root, from: u64, engine: &Engine) -> Merge {
    Merge::new(Some(base), MergeMode::DropTombstones, NodeSizes::default(), engine.options.compression, Some(from))
}

/// The intervals of a stream of changes as points of an interval tree: start to end, the empty value for no end.
#[derive(Debug)]
pub(super) struct IntervalEntries {
    changes: LayerChanges,
    current: Option<(Vec<u8>, Vec<u8>)>,
}

impl IntervalEntries {
    pub(super) fn new(changes: LayerChanges) -> Self {
        Self { changes, current: None }
    }
}

impl Changes for IntervalEntries {
    fn peek(&mut self) -> Result<Option<Change<'_>>> {
        while self.current.is_none() {
            match self.changes.peek()? {
                None => return Ok(None),
                Some(Change::Interval { start, end }) => {
                    self.current = Some((start.to_vec(), end.unwrap_or(&[]).to_vec()));
                }
                Some(Change::Point { .. }) => self.changes.advance()?,
            }
        }
        Ok(self.current.as_ref().map(|(start, end)| Change::Point { key: start, slot: Slot::Inline(end) }))
    }

    fn advance(&mut self) -> Result<()> {
        self.changes.advance()?;
        self.current = None;
        Ok(())
    }
}
