//! The space map made again, where the one in the file is damaged.
//!
//! **Nothing is guessed:** in use is what the trees, the record and what waits to be reused refer to, each node and leaf read
//! and proven. Where one of them is damaged as well nobody knows what lies below it, and opening says so. Values are not
//! read: where they are, the leaf that names them proves.

use alloc::format;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::nodes::{Nodes, Uncached};
use super::options::{EngineOptions, Verify};
use super::record::CheckpointRecord;
use super::values::extent_of;
use crate::codec::cipher::Envelope;
use crate::codec::slot::ValueRef;
use crate::env::{FileId, Storage};
use crate::error::{Error, Result};
use crate::space::{CountedGrains, Extent, GRAIN_BYTES, SECTOR_BYTES, SpaceMap, Superblock};
use crate::testing::Mutant;
use crate::tree::{Damage, MergeMode, NodeRef, Seal, TreeKind, Visitor, Walk};

/// Nodes read between two looks whether the call was given up.
const STEP_NODES: usize = 64;
/// Nothing is read twice.
const CACHE_BYTES: usize = 64 << 10;

/// Everything that a checkpoint refers to, counted.
pub(super) struct Rebuild<'a> {
    pub storage: &'a Arc<dyn Storage>,
    pub superblock: &'a Superblock,
    pub record: &'a CheckpointRecord,
    pub options: &'a EngineOptions,
    pub envelope: &'a Envelope,
}

impl Rebuild<'_> {
    /// The map as it was before `damage` was done to it; all of it is to be made durable again.
    #[cold]
    #[inline(never)]
    pub(super) fn map(&self, damage: &Error) -> Result<SpaceMap> {
        let place = match damage {
            _ if damage.passes() => return Err(damage.clone()),
            Error::Corrupt(damage) => damage.offset,
            Error::Storage(failed) => failed.offset,
            _ => 0,
        };
        let counts = self.counts().map_err(|error| match error {
            Error::Corrupt(also) => {
                let what = format!(
                    "the space map is damaged, and cannot be made again: what is at {} is damaged, too ({})",
                    also.offset, also.what
                );
                Error::corrupt(FileId::Data, place, what)
            }
            error => error,
        })?;
        let mut map = SpaceMap::from_counts(counts, self.options.limits.file_bytes_max)?;
        map.mark_dirty(&(0..map.page_count()).collect::<Vec<_>>());
        Ok(map)
    }

    #[cfg(feature = "std")]
    pub(super) fn in_words(&self, damage: &Error) -> alloc::string::String {
        let why = match damage {
            // A map that is known to be wrong is not written.
            _ if self.record.map_pages.is_empty() => "because damage had hidden what is free".into(),
            Error::Corrupt(damage) => format!("because at {} {}", damage.offset, damage.what),
            damage => format!("because of this: {damage}"),
        };
        format!("the list of what is free in the data file was made again from the trees, {why}")
    }

    fn counts(&self) -> Result<Vec<u8>> {
        let record = self.record;
        let mut in_use = InUse { grains: CountedGrains::new(record.sectors), moved_below: None, wrong: None };
        in_use.extent(self.superblock.record_and_copy());
        record.map_pages.iter().for_each(|&(offset, _)| in_use.extent(Extent { offset, len: SECTOR_BYTES }));
        record.named.iter().for_each(|named| in_use.extent(named.bitmap.0));
        if !Mutant::RebuiltWithoutPending.is_active() {
            record.pending.iter().for_each(|free| in_use.extent(free.extent));
        }
        let seal = Seal {
            checksum: self.options.checksum,
            database_id: self.superblock.database_id,
            envelope: self.envelope.clone(),
        };
        let nodes = Nodes::new(Arc::clone(self.storage), seal, (CACHE_BYTES, CACHE_BYTES), Verify::Resident);
        let runs = record.runs.iter().flat_map(|layer| {
            let floor = layer.merged_below.as_ref();
            [(layer.run.points, TreeKind::RunPoints, floor), (layer.run.intervals, TreeKind::RunIntervals, None)]
        });
        for (root, kind, floor) in runs.chain([(record.base, TreeKind::Base, None)]) {
            in_use.moved_below = floor.cloned();
            let mode = if kind == TreeKind::Base { MergeMode::DropTombstones } else { MergeMode::KeepTombstones };
            let mut walk = Walk::new(root, mode);
            while walk.step(&Uncached(&nodes, kind), &mut in_use, STEP_NODES)? && in_use.wrong.is_none() {
                Error::if_cancelled()?;
            }
            if let Some(wrong) = in_use.wrong {
                return Err(wrong);
            }
        }
        Ok(in_use.grains.into_counts())
    }
}

/// What is in use.
struct InUse {
    grains: CountedGrains,
    /// Values of keys below this are counted with the base.
    moved_below: Option<Arc<[u8]>>,
    /// The first thing that cannot be so.
    wrong: Option<Error>,
}

impl InUse {
    fn extent(&mut self, extent: Extent) {
        if !extent.offset.is_multiple_of(GRAIN_BYTES) || self.grains.add(extent).is_err() {
            let what = format!("{} bytes lie outside the file, or are referred to twice", extent.len);
            self.wrong.get_or_insert(Error::corrupt(FileId::Data, extent.offset, what));
        }
    }
}

impl Visitor for InUse {
    fn node(&mut self, node: &NodeRef, _level: u8) {
        self.extent(Extent { offset: node.offset, len: u64::from(node.len) });
    }

    fn value(&mut self, key: &[u8], value: ValueRef) {
        if self.moved_below.as_ref().is_none_or(|floor| *key >= **floor) {
            self.extent(extent_of(&value));
        }
    }

    fn damage(&mut self, damage: &Damage<'_>) {
        self.wrong.get_or_insert(Error::corrupt(FileId::Data, damage.node.offset, damage.what));
    }
}

#[cfg(all(test, feature = "std"))]
mod tests {
    use alloc::collections::BTreeMap;
    use alloc::format;
    use alloc::string::String;
    use alloc::sync::Arc;
    use alloc::vec::Vec;

    use crate::db::{Database, Options};
    use crate::engine::{Durability, Environment, Progress};
    use crate::env::{FileId, FixedClock, MemoryStorage, SeededEntropy, Storage};
    use crate::error::Error;
    use crate::space::Extent;
    use crate::table::Table;
    use crate::tree::NodeSource as _;

    const T: Table<u64, &[u8]> = Table::new("t");

    fn open(storage: &Arc<MemoryStorage>, read_only: bool) -> crate::Result<Database> {
        let env = Environment { clock: Arc::new(FixedClock(1000)), entropy: Arc::new(SeededEntropy::new(7)) };
        let options = Options {
            memory_budget_bytes: 2 << 20,
            memtable_bytes: Some(8 << 10),
            step_entries: 8,
            log_segment_bytes: 64 << 10,
            inline_bytes_max: 1000,
            durability: Durability::Relaxed,
            background_thread: false,
            read_only,
            ..Options::default()
        };
        Database::open_storage(Arc::clone(storage) as Arc<dyn Storage>, env, options)
    }

    fn copy_of(storage: &MemoryStorage) -> Arc<MemoryStorage> {
        let [data, log] = FileId::ALL.map(|file| storage.contents(file));
        Arc::new(MemoryStorage::with_contents(data, log))
    }

    fn value(key: u64, round: u64) -> Vec<u8> {
        let len = if key.is_multiple_of(50) { 5000 } else { 40 };
        let mut value = format!("value {key} of round {round} ").into_bytes();
        value.resize(len, (key * 31 + round) as u8);
        value
    }

    /// A database with runs, long values, a named snapshot and space that waits; killed, and what must be in it.
    fn killed() -> (Arc<MemoryStorage>, BTreeMap<u64, u64>) {
        let storage = Arc::new(MemoryStorage::new());
        let db = open(&storage, false).unwrap();
        let mut rounds = BTreeMap::new();
        let mut put = |key: u64, round: u64| {
            db.table(T).unwrap().put(key, value(key, round).as_slice()).unwrap();
            rounds.insert(key, round);
        };
        (0..3000).for_each(|key| put(key, 0));
        db.compact().unwrap();
        db.create_snapshot("before").unwrap();
        for round in 1..3 {
            (0..3000).step_by(7).for_each(|key| put(key, round));
            db.snapshot().engine.freeze_now();
            while db.step().unwrap() == Progress::More {}
        }
        (0..20).for_each(|key| put(key, 9));
        assert!(db.stats().runs > 0 && db.stats().pending_bytes > 0, "{:?}", db.stats());
        // No close: what dropping the last handle writes goes to nobody.
        let copy = copy_of(&storage);
        (copy, rounds)
    }

    /// Where the pages of the map are, of whoever opens it.
    fn map_pages(storage: &MemoryStorage) -> Vec<u64> {
        let db = open(&copy_of(storage), true).unwrap();
        let engine = Arc::clone(&db.snapshot().engine);
        let work = engine.work.lock();
        work.map_pages.iter().map(|(offset, _)| *offset).collect()
    }

    fn spoil(storage: &MemoryStorage, at: u64) {
        storage.write_at(FileId::Data, at + 100, &[0xdb; 8]).unwrap();
    }

    fn require_whole(db: &Database, rounds: &BTreeMap<u64, u64>) {
        let report = db.check().unwrap();
        assert!(report.is_clean(), "{:?}", report.problems);
        for (&key, &round) in rounds {
            assert_eq!(db.table(T).unwrap().get(key).unwrap().unwrap(), value(key, round), "key {key}");
        }
        let before = db.snapshot_named("before").unwrap();
        assert_eq!(before.table(T).unwrap().get(7).unwrap().unwrap().to_vec(), value(7, 0));
    }

    fn healed(db: &Database) -> Option<String> {
        let health = db.health();
        assert!(health.is_well(), "{health:?}");
        health.findings.into_iter().find(|finding| finding.name == "healed").map(|finding| finding.cause)
    }

    #[test]
    fn a_damaged_map_of_the_space_is_made_again_from_the_trees() {
        let (storage, mut rounds) = killed();
        for closed in [false, true] {
            if closed {
                open(&storage, false).unwrap().close().unwrap();
            }
            let pages = map_pages(&storage);
            assert_eq!(pages.len(), 1);
            spoil(&storage, pages[0]);
            let before = storage.contents(FileId::Data);
            let db = open(&storage, true).unwrap();
            require_whole(&db, &rounds);
            assert!(healed(&db).unwrap().contains("a page of the space map is damaged"));
            drop(db);
            assert_eq!(storage.contents(FileId::Data), before, "who only reads writes nothing");

            let db = open(&storage, false).unwrap();
            assert_eq!(db.recovery().clean, closed);
            let told = healed(&db).unwrap();
            let expected = format!(
                "the list of what is free in the data file was made again from the trees, because at {} a page of the space map \
                 is damaged",
                pages[0]
            );
            assert_eq!(told, expected);
            require_whole(&db, &rounds);
            // It is durable already, and right: what is written goes into nothing that is in use.
            let copy = copy_of(&storage);
            assert_eq!(healed(&open(&copy, false).unwrap()), None);
            for round in 10..14 {
                for key in (0..3000).step_by(3) {
                    db.table(T).unwrap().put(key, value(key, round).as_slice()).unwrap();
                    rounds.insert(key, round);
                }
                db.checkpoint().unwrap();
            }
            require_whole(&db, &rounds);
            db.close().unwrap();
            drop(db);
            let db = open(&storage, false).unwrap();
            assert_eq!(healed(&db), None);
            require_whole(&db, &rounds);
        }
    }

    #[test]
    fn a_map_is_not_guessed_where_a_tree_is_damaged_too() {
        let (storage, _) = killed();
        let base = open(&copy_of(&storage), true).unwrap().snapshot().engine.version().layers.base.unwrap();
        spoil(&storage, map_pages(&storage)[0]);
        storage.write_at(FileId::Data, base.node.offset + 40, &[0xdb; 8]).unwrap();
        let before = FileId::ALL.map(|file| storage.contents(file));
        let Err(Error::Corrupt(damage)) = open(&storage, false) else { panic!("it has opened") };
        let expected =
            format!("the space map is damaged, and cannot be made again: what is at {} is damaged", base.node.offset);
        assert!(damage.what.starts_with(&expected), "{}", damage.what);
        assert_eq!(FileId::ALL.map(|file| storage.contents(file)), before);
    }

    #[test]
    fn a_run_is_dropped_whatever_has_become_of_what_the_base_has_of_it() {
        let value = |key: u64| key.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes();
        let storage = Arc::new(MemoryStorage::new());
        let db = open(&storage, false).unwrap();
        // So many, so far from each other.
        let put = |from: u64, count: u64, step: u64| {
            db.transaction(|tx| {
                let mut table = tx.table(T)?;
                let mut keys = (0..count).map(|number| (from + number * step) % 40_000);
                keys.try_for_each(|key| table.put(key, value(key).as_slice()))
            })
        };
        (0..400).for_each(|part| put(part * 100, 100, 1).unwrap());
        db.compact().unwrap();
        let engine = Arc::clone(&db.snapshot().engine);
        // Sparse changes become runs, and when there are enough of them they begin to go into the base.
        let leaf_below_the_floor = || {
            let layers = Arc::clone(&engine.version().layers);
            layers.runs.iter().find_map(|layer| {
                let (root, floor) = (layer.run.points.filter(|root| root.height == 1)?, layer.merged_below.as_ref()?);
                let top = engine.nodes.node(&root.node).unwrap();
                let mut high = Vec::new();
                top.view().key_into(0, &mut high);
                (high[..] <= floor[..]).then(|| top.view().child(0).unwrap())
            })
        };
        let mut round = 0;
        let leaf = 'found: loop {
            round += 1;
            assert!(round < 4000, "no run was ever merged half-way");
            put(round * 7919, 11, 3637).unwrap();
            while db.step().unwrap() == Progress::More {
                if let Some(leaf) = leaf_below_the_floor() {
                    break 'found leaf;
                }
            }
        };
        spoil(&storage, leaf.offset - 60);
        db.trim_memory(crate::Trim::All);
        let mut scrub = db.scrub();
        while scrub.step(100).unwrap() {}
        drop(scrub);
        assert_eq!(db.stats().quarantined, 1);

        while db.step().unwrap() == Progress::More {}
        db.compact().unwrap();
        let stats = db.stats();
        assert_eq!((stats.runs, stats.quarantined, stats.damaged), (0, 0, false));
        let told = healed(&db).unwrap();
        assert!(told.contains(&format!("at {} are referred to no longer", leaf.offset)), "{told}");
        let whole = |db: &Database| {
            let report = db.check().unwrap();
            assert!(report.is_clean(), "{:?}", report.problems);
            assert_eq!(db.table(T).unwrap().len().unwrap(), 40_000);
        };
        whole(&db);
        db.close().unwrap();
        drop((engine, db));
        let db = open(&storage, false).unwrap();
        assert_eq!(healed(&db), None);
        whole(&db);
    }

    #[test]
    fn space_that_nobody_can_name_is_found_again_at_the_next_opening() {
        let (storage, rounds) = killed();
        let db = open(&storage, false).unwrap();
        db.compact().unwrap();
        let used_bytes = db.stats().used_bytes;
        let engine = Arc::clone(&db.snapshot().engine);
        // As if an inner node of a run that is dropped could not be read.
        let lost = engine.space.lock().map.allocate(100_000).unwrap();
        engine.nodes.quarantine().add(Extent { offset: lost.offset, len: 64 });
        let mut extents = super::super::job::JobExtents::default();
        extents.hidden = 1;
        engine.note_freed_damage(&extents);
        db.checkpoint().unwrap();
        require_whole(&db, &rounds);
        db.checkpoint().unwrap();
        db.table(T).unwrap().put(1, value(1, rounds[&1]).as_slice()).unwrap();
        db.checkpoint().unwrap();
        require_whole(&db, &rounds);
        for closed in [false, true] {
            if closed {
                db.close().unwrap();
            }
            let copy = copy_of(&storage);
            for again in [false, true] {
                let db = open(&copy, false).unwrap();
                require_whole(&db, &rounds);
                assert_eq!(healed(&db).is_some(), !again);
                db.compact().unwrap();
                let now = db.stats().used_bytes;
                assert!(now < used_bytes + 50_000, "{now} bytes in use, {used_bytes} before");
                require_whole(&db, &rounds);
                db.close().unwrap();
            }
        }
    }
}
