//! Proof that a database is whole: every node and value verifies, the trees are ordered and counted right, and every
//! sector is accounted for exactly: reachable + pending = in use.

use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use core::ops::Range;

use super::state::Engine;
use super::values::{ValueReader, extent_of};
use super::version::RunLayer;
use crate::codec::slot::ValueRef;
use crate::env::FileId;
use crate::error::{Error, Result};
use crate::space::{CountedGrains, Extent, GRAIN_BYTES, Misplaced, SECTOR_BYTES};
use crate::tree::{self, Damage, MergeMode, NodeRef, TreeKind, Walk};

/// What a check has looked at, and what it found wrong.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CheckReport {
    /// Nodes read and verified.
    pub nodes: u64,
    /// Entries in the trees, tombstones of runs included.
    pub entries: u64,
    /// Those among them that are not records of tables: the tables' definitions, and the number for the next.
    pub catalogue_entries: u64,
    /// Values in extents of their own, read whole and verified.
    pub values: u64,
    /// Bytes of those values.
    pub value_bytes: u64,
    /// Bytes of nodes as stored.
    pub node_bytes: u64,
    /// Collections.
    pub collections: u64,
    /// Their documents, each whole and under its own key.
    pub documents: u64,
    /// Entries of their indexes, each held against its document.
    pub index_entries: u64,
    /// Everything found wrong, in plain words; empty when the database is whole.
    pub problems: Vec<String>,
}

impl CheckReport {
    /// Whether nothing is wrong.
    pub fn is_clean(&self) -> bool {
        self.problems.is_empty()
    }

    pub(crate) fn add_problem(&mut self, what: String) {
        if self.problems.len() < PROBLEMS_MAX {
            self.problems.push(what);
        }
    }
}

/// Problems listed at most; more are counted in the last line.
const PROBLEMS_MAX: usize = 100;

/// Counts grains.
struct Visitor<'a> {
    engine: &'a Engine,
    report: CheckReport,
    grains: CountedGrains,
    /// Found, and not read yet.
    values: Vec<ValueRef>,
    /// The last of them, once its space is counted.
    counted: Option<ValueRef>,
    /// Values of keys below this belong to the base, which has the records by now, and are looked at there.
    moved_below: Option<Arc<[u8]>>,
    progress: &'a mut dyn FnMut(&CheckReport),
}

impl Visitor<'_> {
    /// Counts an extent; whether all of it may be in use by this alone.
    fn extent(&mut self, extent: Extent) -> bool {
        let Err(misplaced) = self.grains.add(extent) else { return true };
        let (len, at) = (extent.len, extent.offset);
        self.problem(match misplaced {
            Misplaced::Outside => format!("{len} bytes at {at} lie outside the file"),
            Misplaced::Twice => format!("{} at {at}: {len} bytes are referred to twice", FileId::Data),
        });
        false
    }

    fn problem(&mut self, what: String) {
        self.report.add_problem(what);
    }
}

impl tree::Visitor for Visitor<'_> {
    fn node(&mut self, node: &NodeRef, _level: u8) {
        self.report.nodes += 1;
        self.report.node_bytes += u64::from(node.len);
        self.extent(Extent { offset: node.offset, len: u64::from(node.len) });
        (self.progress)(&self.report);
    }

    fn value(&mut self, key: &[u8], value: ValueRef) {
        if self.moved_below.as_ref().is_none_or(|floor| *key >= **floor) {
            self.values.push(value);
        }
    }

    fn damage(&mut self, damage: &Damage<'_>) {
        self.problem(describe(damage));
    }
}

/// Where a damaged node is, and which keys it had.
pub(super) fn describe(damage: &Damage<'_>) -> String {
    let low = damage.low.get(..32).unwrap_or(damage.low).escape_ascii();
    let high = damage.high.map_or_else(
        || String::from("the end"),
        |high| format!("\"{}\"", high.get(..32).unwrap_or(high).escape_ascii()),
    );
    format!(
        "{} at {}: node of level {}, keys from \"{low}\" to {high}: {}",
        FileId::Data,
        damage.node.offset,
        damage.level,
        damage.what
    )
}

/// Reads a value whole; damage is a problem of the report.
pub(super) fn read_value(engine: &Engine, value: ValueRef, report: &mut CheckReport) -> Result<()> {
    let mut buf = vec![0; super::values::BLOCK_BYTES];
    let mut reader = ValueReader::new(&engine.nodes, value, None);
    let mut at = 0;
    while at < value.len {
        match reader.read_at(at, &mut buf) {
            Ok(0) => break,
            Ok(read) => at += read as u64,
            Err(error @ Error::Corrupt(_)) => {
                report.add_problem(format!("{error}"));
                break;
            }
            Err(error) => return Err(error),
        }
    }
    report.values += 1;
    report.value_bytes = report.value_bytes.saturating_add(value.len);
    Ok(())
}

impl Visitor<'_> {
    /// Reads the values found since the last call, block by block.
    fn read_values(&mut self) -> Result<()> {
        while let Some(&value) = self.values.last() {
            Error::if_cancelled()?;
            // Read once, however many refer to it; a read that is repeated was not counted.
            let counted = self.counted.replace(value) == Some(value);
            if counted || self.extent(extent_of(&value)) {
                self.read_value(value)?;
            }
            self.counted = None;
            self.values.pop();
        }
        Ok(())
    }

    fn read_value(&mut self, value: ValueRef) -> Result<()> {
        read_value(self.engine, value, &mut self.report)
    }
}

/// What the runs say about themselves and cannot be so if every one is newer than all below it: later ones come from later
/// commits, all of them from commits that are in the trees, and those that are partly merged are the oldest, cut at one key.
fn wrong_order(runs: &[RunLayer], merged_sequence: u64) -> Vec<String> {
    let mut problems = Vec::new();
    let told = |layer: &RunLayer| format!("run {} (commits {:?})", layer.run.id, layer.run.sequences);
    for layer in runs {
        let sequences = &layer.run.sequences;
        if sequences.is_empty() || *sequences.end() > merged_sequence {
            problems.push(format!("{}: the trees hold commits 1 to {merged_sequence}", told(layer)));
        }
    }
    for pair in runs.windows(2) {
        let [above, below] = pair else { continue };
        if below.run.sequences.end() >= above.run.sequences.start() {
            problems.push(format!("{} lies above {}, which is not older", told(above), told(below)));
        }
        if above.merged_below.is_some() && above.merged_below != below.merged_below {
            let what = "is merged up to a key, up to which the older";
            problems.push(format!("{} {what} {} is not", told(above), told(below)));
        }
    }
    problems
}

impl Engine {
    /// Verifies everything that storage holds. Holds background work off meanwhile; readers and writers go on.
    /// `NotResident` means: fetch and call again. Entries with keys in `catalogue` are also counted apart.
    pub(crate) fn check(&self, catalogue: Range<&[u8]>, progress: &mut dyn FnMut(&CheckReport)) -> Result<CheckReport> {
        let mut work = self.work.lock();
        let version = self.version();
        let sectors = self.space.lock().map.sectors();
        let mut visitor = Visitor {
            engine: self,
            report: CheckReport::default(),
            grains: CountedGrains::new(sectors),
            values: Vec::new(),
            counted: None,
            moved_below: None,
            progress,
        };
        let layers = &version.layers;
        let mut roots = Vec::from([(layers.base, TreeKind::Base, None)]);
        for RunLayer { run, merged_below } in &layers.runs {
            roots.push((run.points, TreeKind::RunPoints, merged_below.clone()));
            roots.push((run.intervals, TreeKind::RunIntervals, None));
        }
        for (root, kind, moved_below) in roots {
            let Some(root) = root else { continue };
            visitor.moved_below = moved_below;
            let in_catalogue = match tree::count_range(&*self.nodes, Some(root), catalogue.start, Some(catalogue.end)) {
                // Damage on the way is found again below, and told where it is.
                Err(Error::Corrupt(_)) => 0,
                counted => counted?,
            };
            let report = &mut visitor.report;
            report.entries = report.entries.saturating_add(root.entries);
            report.catalogue_entries = report.catalogue_entries.saturating_add(in_catalogue);
            let mode = if kind == TreeKind::Base { MergeMode::DropTombstones } else { MergeMode::KeepTombstones };
            let mut walk = Walk::new(Some(root), mode);
            while walk.step(&super::nodes::Uncached(&self.nodes, kind), &mut visitor, self.options.step_entries)? {
                visitor.read_values()?;
                Error::if_cancelled()?;
            }
            visitor.read_values()?;
        }
        visitor.report.problems.extend(wrong_order(&layers.runs, work.merged_sequence));
        // Values that only the log and a memtable name; their space is counted among what is in flight.
        let frozen = layers.frozen.iter().map(|frozen| &frozen.memtable);
        for memtable in core::iter::once(&version.memtable).chain(frozen) {
            for value in memtable.iter().filter_map(|entry| entry.slot.extent()) {
                visitor.read_value(value)?;
            }
        }
        visitor.extent(work.superblock.record_and_copy());
        for &extent in work.checkpoint.iter().flat_map(|checkpoint| &checkpoint.written) {
            visitor.extent(extent);
        }
        for &extent in work.under_way() {
            visitor.extent(extent);
        }
        for named in self.named() {
            visitor.extent(named.bitmap.0);
        }
        for &(offset, _) in &work.map_pages {
            visitor.extent(Extent { offset, len: SECTOR_BYTES });
        }
        let space = self.space.lock();
        for free in space.pending.iter() {
            visitor.extent(free.extent);
        }
        for (&offset, &len) in &space.in_flight {
            visitor.extent(Extent { offset, len });
        }
        // A damaged node hides what lies below it, so only a whole tree can be held against the map.
        if visitor.report.is_clean() {
            for sector in 0..sectors {
                let (counted, mapped) = (visitor.grains.in_sector(sector), u64::from(space.map.sector_used(sector)));
                #[cfg(feature = "std")]
                let is_known = mapped > counted && self.leaves_space();
                #[cfg(not(feature = "std"))]
                let is_known = false;
                if counted != mapped && !is_known {
                    let at = sector * SECTOR_BYTES;
                    visitor.problem(format!(
                        "{} at {at}: {} bytes are referred to, but the space map says {}",
                        FileId::Data,
                        counted * GRAIN_BYTES,
                        mapped * GRAIN_BYTES
                    ));
                }
            }
        }
        let mut report = visitor.report;
        drop(space);
        self.check_named(&mut report)?;
        Ok(report)
    }
}
