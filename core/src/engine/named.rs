//! Snapshots that have a name and survive reopening.
//!
//! One is what the trees held at a checkpoint: the base and the runs, without a memtable. **Its rule:** what was freed since it
//! was made, in a sector that was in use then, is not given out again while it exists, as far as the newest **durable record**
//! says, for recovery decides by that record. Which sectors those were is a bitmap in an extent of its own, written once. So
//! what came later is none of its concern, and it costs at most what was in use when it was made.

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;

use super::check::CheckReport;
use super::maintenance::{Progress, Request, Work};
use super::nodes::{Uncached, read_exact};
use super::record::{put_layers, take_layers};
use super::state::Engine;
use super::version::{Layers, RunLayer, Version};
use crate::codec::bytes::{Reader, Writer};
use crate::codec::checksum::Checksum;
use crate::codec::cipher::{Envelope, Proof, Unit};
use crate::codec::slot::ValueRef;
use crate::env::{FileId, Storage};
use crate::error::{Error, Result};
use crate::memtable::Memtable;
use crate::space::{Extent, PendingFree, SECTOR_BYTES};
use crate::testing::Mutant;
use crate::tree::{self, Damage, MergeMode, NodeRef, TreeKind, Walk};

/// So many may exist at once.
pub(crate) const NAMED_MAX: usize = 64;
/// Bytes of the longest name.
pub(crate) const NAME_BYTES_MAX: usize = 128;
/// Steps that do nothing before it is given up.
const IDLE_MAX: u32 = 3;
/// No bitmap is longer: of a file of 2^46 bytes.
const BITMAP_BYTES_MAX: u64 = 1 << 31;

/// What a checkpoint records of one.
#[derive(Clone, Debug)]
pub(crate) struct Named {
    pub name: String,
    pub sequence: u64,
    pub time_ms: u64,
    /// The checkpoint that was being built when it was made.
    pub checkpoint: u64,
    pub layers: Arc<Layers>,
    /// Where the bitmap is, and what proves it.
    pub bitmap: (Extent, Proof),
    /// The sectors that were in use; `None` where that cannot be read: then all of them were.
    pub sectors: Option<Arc<[u8]>>,
}

/// Those that exist, and those that were dropped while somebody reads them.
#[derive(Debug, Default)]
pub(super) struct NamedSnapshots {
    pub list: Vec<Arc<Named>>,
    dropped: Vec<Arc<Named>>,
}

impl Named {
    #[inline(never)]
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        out.put_prefixed(self.name.as_bytes());
        for field in [self.sequence, self.time_ms, self.checkpoint] {
            out.put_u64(field);
        }
        put_layers(out, self.layers.base.as_ref(), &self.layers.runs);
        let (extent, proof) = &self.bitmap;
        out.put_u64(extent.offset);
        out.put_u64(extent.len);
        proof.encode(out);
    }

    /// The bitmap is read [later](read_bitmaps).
    #[inline(never)]
    pub(super) fn decode(reader: &mut Reader<'_>, checksum: Checksum) -> Option<Self> {
        let name = reader.prefixed().filter(|name| (1..=NAME_BYTES_MAX).contains(&name.len()))?;
        let name = String::from(core::str::from_utf8(name).ok()?);
        let (sequence, time_ms, checkpoint) = (reader.counter()?, reader.u64()?, reader.counter()?);
        let (base, runs) = take_layers(reader, checksum)?;
        let extent = Extent { offset: reader.u64()?, len: reader.u64().filter(|&len| len <= BITMAP_BYTES_MAX)? };
        let bitmap = (extent, Proof::decode(reader, checksum)?);
        let layers = Arc::new(Layers { base, runs, ..Layers::default() });
        Some(Self { name, sequence, time_ms, checkpoint, layers, bitmap, sectors: None })
    }

    /// Whether it may read what was freed there.
    pub(super) fn holds(&self, free: &PendingFree) -> bool {
        if free.checkpoint < self.checkpoint || Mutant::NamedSnapshotNotPinned.is_active() {
            return false;
        }
        let Some(sectors) = &self.sectors else { return true };
        let first = free.extent.offset / SECTOR_BYTES;
        let end = free.extent.offset.saturating_add(free.extent.len).div_ceil(SECTOR_BYTES);
        (first..end).any(|sector| {
            let byte = usize::try_from(sector / 8).ok().and_then(|at| sectors.get(at));
            byte.is_some_and(|byte| byte >> (sector % 8) & 1 == 1)
        })
    }

    pub(crate) fn version(&self) -> Version {
        let Self { sequence, time_ms, layers, .. } = self;
        Version { sequence: *sequence, time_ms: *time_ms, memtable: Memtable::new(), layers: Arc::clone(layers) }
    }
}

/// Reads the bitmaps of those that a record names, and gives each base a number that no other base has.
#[inline(never)]
pub(super) fn read_bitmaps(
    storage: &dyn Storage,
    (envelope, checksum): (&Envelope, Checksum),
    named: &[Arc<Named>],
    file_bytes: u64,
) -> Result<NamedSnapshots> {
    let mut list = Vec::new();
    for (number, one) in (0..).zip(named) {
        let (extent, proof) = &one.bitmap;
        let lies_within = extent.offset.checked_add(extent.len).is_some_and(|end| end <= file_bytes);
        let mut sectors = None;
        if lies_within {
            let mut bytes = vec![0; extent.len as usize];
            match read_exact(storage, extent.offset, &mut bytes, "the sectors of a named snapshot") {
                Err(error) if error.not_resident().is_some() => return Err(error),
                Ok(()) if envelope.verify(checksum, Unit::Bitmap, extent.offset, proof, &mut bytes) => {
                    sectors = Some(Arc::from(bytes));
                }
                _ => {}
            }
        }
        let layers = Arc::new(Layers { base_since: u64::MAX - number, ..(*one.layers).clone() });
        list.push(Arc::new(Named { layers, sectors, ..(**one).clone() }));
    }
    Ok(NamedSnapshots { list, dropped: Vec::new() })
}

/// The same ones. Most databases have none, and their pages need nothing of this.
pub(super) fn copied(named: &[Arc<Named>]) -> Vec<Arc<Named>> {
    #[inline(never)]
    fn copied_if_any(named: &[Arc<Named>]) -> Vec<Arc<Named>> {
        named.to_vec()
    }
    if named.is_empty() { Vec::new() } else { copied_if_any(named) }
}

impl NamedSnapshots {
    /// Whether one of them reads what was freed there. Those that nobody reads any more are forgotten.
    pub(super) fn hold(&self, free: &PendingFree) -> bool {
        self.list.iter().chain(&self.dropped).any(|named| named.holds(free))
    }

    pub(super) fn listed(&self) -> Vec<Arc<Named>> {
        copied(&self.list)
    }

    /// Whether there are none, and nobody reads one that was dropped.
    pub(super) fn is_empty(&self) -> bool {
        self.list.is_empty() && self.dropped.is_empty()
    }

    pub(super) fn forget_unread(&mut self) {
        self.dropped.retain(|named| Arc::strong_count(&named.layers) > 1);
    }
}

/// Counts nothing: what a named snapshot refers to is accounted for elsewhere.
struct Verifier<'a> {
    report: &'a mut CheckReport,
    values: Vec<ValueRef>,
    /// Values of keys below this belong to the base.
    moved_below: Option<Arc<[u8]>>,
    name: &'a str,
}

impl tree::Visitor for Verifier<'_> {
    fn node(&mut self, node: &NodeRef, _level: u8) {
        self.report.nodes += 1;
        self.report.node_bytes += u64::from(node.len);
    }

    fn value(&mut self, key: &[u8], value: ValueRef) {
        if self.moved_below.as_ref().is_none_or(|floor| *key >= **floor) {
            self.values.push(value);
        }
    }

    fn damage(&mut self, damage: &Damage<'_>) {
        self.report.add_problem(alloc::format!("snapshot '{}': {}", self.name, super::check::describe(damage)));
    }
}

impl Engine {
    /// Those that exist, oldest first.
    pub(crate) fn named(&self) -> Vec<Arc<Named>> {
        self.named.lock().listed()
    }

    /// Makes one of everything that is committed now. Restartable until it is there.
    pub(crate) fn create_named(&self, name: &str) -> Result<()> {
        if !(1..=NAME_BYTES_MAX).contains(&name.len()) {
            return Err(Error::invalid(alloc::format!("a snapshot's name has 1 to {NAME_BYTES_MAX} bytes")));
        }
        self.require_recordable()?;
        self.finish_opening()?;
        self.require_room_for(name)?;
        let newest = self.head().sequence;
        self.freeze_now();
        let mut idle = 0;
        loop {
            {
                // Nobody merges meanwhile.
                let work = self.work.lock();
                if work.merged_sequence >= newest {
                    return self.add_named(name, &work);
                }
            }
            Error::if_cancelled()?;
            if self.step()? == Progress::Idle {
                idle += 1;
                if idle > IDLE_MAX {
                    return Err(Error::invalid(
                        "what is in memory cannot be merged now; 'check' tells whether there is damage",
                    ));
                }
                self.freeze_now();
            }
        }
    }

    fn require_room_for(&self, name: &str) -> Result<()> {
        let named = self.named.lock();
        if named.list.iter().any(|one| one.name == name) {
            return Err(Error::invalid(alloc::format!("there is a snapshot '{name}' already; drop it first")));
        }
        let (value, limit) = (named.list.len() as u64 + 1, NAMED_MAX as u64);
        if value > limit {
            return Err(Error::LimitExceeded { what: "the number of named snapshots", value, limit });
        }
        Ok(())
    }

    /// The trees hold just the commits that `work` says, and nobody else adds one.
    fn add_named(&self, name: &str, work: &Work) -> Result<()> {
        self.require_room_for(name)?;
        let (sequence, time_ms) = (work.merged_sequence, work.merged_time_ms);
        let layers = Arc::new(Layers { frozen: Vec::new(), ..(*self.version().layers).clone() });
        // One that is being built may be abandoned, and its number given again.
        let checkpoint = work.superblock.checkpoint + 1;
        let (extent, mut bytes) = {
            let mut space = self.space.lock();
            let sectors = space.map.sectors();
            let mut bytes = vec![0_u8; sectors.div_ceil(8) as usize];
            for sector in 0..sectors {
                if space.map.sector_used(sector) > 0
                    && let Some(byte) = bytes.get_mut((sector / 8) as usize)
                {
                    *byte |= 1 << (sector % 8);
                }
            }
            let extent = space.map.allocate(bytes.len() as u64)?;
            if let Err(error) = space.wipe_given_out(self.storage()) {
                space.map.release(extent);
                return Err(error);
            }
            (extent, bytes)
        };
        self.nodes.invalidate(extent.offset);
        let (sectors, seal) = (Some(Arc::from(bytes.as_slice())), self.nodes.seal());
        let proof = seal.envelope.prove(seal.checksum, Unit::Bitmap, extent.offset, &mut bytes);
        if let Err(error) = self.storage().write_at(FileId::Data, extent.offset, &bytes) {
            self.space.lock().map.release(extent);
            return Err(error.into());
        }
        let (name, bitmap) = (String::from(name), (extent, proof));
        let named = Named { name, sequence, time_ms, checkpoint, layers, bitmap, sectors };
        self.named.lock().list.push(Arc::new(named));
        Ok(())
    }

    /// It exists no longer, once that is recorded.
    pub(crate) fn drop_named(&self, name: &str) -> Result<()> {
        self.require_recordable()?;
        self.finish_opening()?;
        let _work = self.work.lock();
        let mut named = self.named.lock();
        let Some(at) = named.list.iter().position(|one| one.name == name) else {
            return Err(Error::invalid(alloc::format!("there is no snapshot '{name}'")));
        };
        let dropped = named.list.remove(at);
        let (extent, _) = dropped.bitmap;
        // What somebody reads stays until nobody does.
        named.dropped.push(dropped);
        drop(named);
        let mut space = self.space.lock();
        space.map.expect_in_use(extent);
        let checkpoint = space.building;
        space.pending.push(PendingFree { extent, checkpoint, readable: 0..0, until_archived: 0 });
        Ok(())
    }

    /// A change of whether one of this name exists was made, and is being recorded: it exists, or it does not.
    pub(crate) fn is_recording_named(&self, name: &str, exists: bool) -> bool {
        let recording = self.work.lock().request == Some(Request::Record);
        recording && self.named.lock().list.iter().any(|one| one.name == name) == exists
    }

    /// What a named snapshot sees. Whoever holds it holds its space, also when it is dropped.
    pub(crate) fn named_version(&self, name: &str) -> Result<Version> {
        let named = self.named.lock();
        let found = named.list.iter().find(|one| one.name == name).map(|one| one.version());
        found.ok_or_else(|| Error::invalid(alloc::format!("there is no snapshot '{name}'")))
    }

    /// Makes durable that one of this name exists, or that none does. Restartable.
    pub(crate) fn record_named(&self, name: &str, exists: bool) -> Result<()> {
        self.record(|work| work.checkpoint_named.iter().any(|one| one.name == name) == exists)
    }

    /// Bytes that are in use for this one, and perhaps for others like it: freed otherwise.
    pub(crate) fn held_for(&self, named: &Named) -> u64 {
        let space = self.space.lock();
        space.pending.iter().filter(|free| named.holds(free)).map(|free| free.extent.len).sum()
    }

    /// Verifies what the named snapshots refer to, too.
    pub(super) fn check_named(&self, report: &mut CheckReport) -> Result<()> {
        for named in self.named() {
            let layers = &named.layers;
            let mut roots = Vec::from([(layers.base, TreeKind::Base, None)]);
            for RunLayer { run, merged_below } in &layers.runs {
                roots.push((run.points, TreeKind::RunPoints, merged_below.clone()));
                roots.push((run.intervals, TreeKind::RunIntervals, None));
            }
            let mut verifier = Verifier { report, values: Vec::new(), moved_below: None, name: &named.name };
            for (root, kind, moved_below) in roots {
                verifier.moved_below = moved_below;
                let mode = if kind == TreeKind::Base { MergeMode::DropTombstones } else { MergeMode::KeepTombstones };
                let mut walk = Walk::new(root, mode);
                while walk.step(&Uncached(&self.nodes, kind), &mut verifier, self.options.step_entries)? {
                    Error::if_cancelled()?;
                }
            }
            let values = core::mem::take(&mut verifier.values);
            for value in values {
                super::check::read_value(self, value, report)?;
            }
        }
        Ok(())
    }
}
