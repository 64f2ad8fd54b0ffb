//! Parts of the data file found damaged since the database was opened, and what background work keeps away from.
//!
//! What is damaged is an error to whoever asks for it and nobody else's trouble: other keys are read and written as before.
//! A flush that meets damage in the base makes a run instead, which reads nothing. Merges keep away from a base or a run
//! that is damaged, so that nothing is lost silently by being merged around, and merge the other runs among themselves, so
//! that the log is let go and runs do not pile up. Damaged space is not given out again while the database is open.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use super::maintenance::Work;
use super::nodes::Nodes;
use super::state::Engine;
use super::version::RunLayer;
use crate::env::sync::Mutex;
use crate::env::sync::atomic::Ordering;
use crate::env::{FileId, StorageErrorKind};
use crate::error::{Error, Result};
use crate::space::Extent;
use crate::tree::{NodeRef, NodeSource};

/// More are not remembered one by one; whoever reads them is told all the same.
const REMEMBERED_MAX: usize = 4096;

/// Extents that could not be read twice in a row.
#[derive(Debug, Default)]
pub(super) struct Quarantine {
    extents: Mutex<BTreeMap<u64, u64>>,
    /// Those to which the newest state refers no more. They are nobody's loss, and are not given out again either.
    #[cfg(feature = "std")]
    left: Mutex<BTreeMap<u64, u64>>,
}

impl Quarantine {
    pub(super) fn add(&self, extent: Extent) {
        #[cfg(feature = "std")]
        if self.left.lock().contains_key(&extent.offset) {
            return;
        }
        let mut extents = self.extents.lock();
        if extents.len() < REMEMBERED_MAX {
            extents.insert(extent.offset, extent.len);
        }
    }

    /// Something new is going to be written here, or what is here can be read again.
    pub(super) fn remove(&self, offset: u64) {
        let mut extents = self.extents.lock();
        if !extents.is_empty() {
            extents.remove(&offset);
        }
        #[cfg(feature = "std")]
        self.left.lock().remove(&offset);
    }

    /// The newest state refers to this no more; whether it was found damaged.
    #[cfg(feature = "std")]
    pub(super) fn leave(&self, extent: Extent) -> bool {
        let was_damaged = self.extents.lock().remove(&extent.offset).is_some();
        if was_damaged {
            self.left.lock().insert(extent.offset, extent.len);
        }
        was_damaged
    }

    /// Where they are, and how long.
    #[cfg(feature = "std")]
    pub(super) fn extents(&self) -> BTreeMap<u64, u64> {
        self.extents.lock().clone()
    }

    pub(super) fn holds(&self, extent: Extent) -> bool {
        #[cfg(feature = "std")]
        if overlaps(&self.left.lock(), extent) {
            return true;
        }
        overlaps(&self.extents.lock(), extent)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.extents.lock().is_empty()
    }

    /// How many, and their bytes.
    pub(super) fn size(&self) -> (u64, u64) {
        let extents = self.extents.lock();
        (extents.len() as u64, extents.values().sum())
    }
}

fn overlaps(extents: &BTreeMap<u64, u64>, extent: Extent) -> bool {
    let end = extent.offset.saturating_add(extent.len);
    extents.range(..end).next_back().is_some_and(|(offset, len)| offset.saturating_add(*len) > extent.offset)
}

/// What merges keep away from, until the database is opened again.
#[derive(Debug, Default)]
pub(super) struct Avoided {
    /// Nothing is merged into the base.
    pub base: bool,
    /// These are merged with nothing.
    pub runs: BTreeSet<u64>,
    /// The first damage that a job met.
    pub first: Option<Error>,
}

impl Engine {
    /// A medium that could not be read, and can be now, has damaged nothing: merges go on. What a checksum or a structure
    /// says is wrong stays so.
    pub(super) fn forget_what_healed(&self, work: &mut Work) {
        if matches!(work.avoided.first, Some(Error::Storage(_))) && self.nodes.quarantine().is_empty() {
            work.avoided = Avoided::default();
            self.is_damaged.store(false, Ordering::Relaxed);
        }
    }

    /// Whether a job failed because of something in the data file that cannot be read.
    pub(super) fn is_damage(&self, error: &Error) -> bool {
        match error {
            Error::Corrupt(damage) => damage.file == FileId::Data,
            Error::Storage(failed) => {
                let extent = Extent { offset: failed.offset, len: failed.len.max(1) };
                let is_read = failed.file == FileId::Data && failed.kind == StorageErrorKind::Other;
                is_read && self.nodes.quarantine().holds(extent)
            }
            _ => false,
        }
    }
}

/// Those of the runs whose trees refer to the damaged place, or whose inner nodes cannot be read; all, if none does.
pub(super) fn damaged_among(nodes: &Nodes, runs: &[RunLayer], error: &Error) -> Result<Vec<u64>> {
    let offset = match error {
        Error::Corrupt(damage) => damage.offset,
        Error::Storage(failed) => failed.offset,
        _ => return Ok(Vec::new()),
    };
    let mut damaged = Vec::new();
    for layer in runs {
        let roots = [layer.run.points, layer.run.intervals].into_iter().flatten();
        let mut todo: Vec<(NodeRef, u8)> = roots.map(|root| (root.node, root.height)).collect();
        while let Some((reference, level)) = todo.pop() {
            let is_there = reference.offset == offset;
            let node = if level == 0 || is_there { None } else { Some(nodes.node(&reference)) };
            match node {
                Some(Ok(node)) => {
                    let view = node.view();
                    let children = (0..view.children()).filter_map(|at| view.child(at));
                    todo.extend(children.map(|child| (child, level.saturating_sub(1))));
                    continue;
                }
                Some(Err(error)) if error.not_resident().is_some() => return Err(error),
                None if !is_there => continue,
                _ => {}
            }
            damaged.push(layer.run.id);
            break;
        }
    }
    if damaged.is_empty() {
        damaged.extend(runs.iter().map(|layer| layer.run.id));
    }
    Ok(damaged)
}

#[cfg(all(test, feature = "std"))]
mod tests {
    use alloc::sync::Arc;
    use alloc::vec::Vec;
    use alloc::{format, vec};

    use crate::db::{Database, Options};
    use crate::engine::{Durability, Environment};
    use crate::env::{FileId, FixedClock, MemoryStorage, SeededEntropy, Storage};
    use crate::error::Error;
    use crate::table::Table;
    use crate::tree::{MergeMode, NodeRef, TreeKind, Walk};

    const T: Table<u64, &[u8]> = Table::new("t");
    const KEYS: u64 = 4000;

    fn options() -> Options {
        Options {
            memory_budget_bytes: 2 << 20,
            memtable_bytes: Some(32 << 10),
            log_segment_bytes: 64 << 10,
            durability: Durability::Relaxed,
            background_thread: false,
            ..Options::default()
        }
    }

    fn open(storage: &Arc<MemoryStorage>) -> Database {
        let env = Environment { clock: Arc::new(FixedClock(1000)), entropy: Arc::new(SeededEntropy::new(7)) };
        Database::open_storage(Arc::clone(storage) as Arc<dyn Storage>, env, options()).unwrap()
    }

    fn value(key: u64, round: u64) -> Vec<u8> {
        format!("value {key} of round {round} {}", key.wrapping_mul(0x9e37_79b9_7f4a_7c15)).into_bytes()
    }

    /// The leaves of the base.
    fn leaves(db: &Database) -> Vec<NodeRef> {
        struct Leaves(Vec<NodeRef>);
        impl crate::tree::Visitor for Leaves {
            fn node(&mut self, node: &NodeRef, level: u8) {
                if level == 0 {
                    self.0.push(*node);
                }
            }
            fn damage(&mut self, _: &crate::tree::Damage<'_>) {}
        }
        let engine = &db.snapshot().engine;
        let mut found = Leaves(Vec::new());
        let mut walk = Walk::new(engine.version().layers.base, MergeMode::DropTombstones);
        let source = super::super::nodes::Uncached(&engine.nodes, TreeKind::Base);
        while walk.step(&source, &mut found, 100).unwrap() {}
        found.0
    }

    /// A database at rest of which one leaf of the base, in the middle, is then damaged; and that leaf.
    fn damaged() -> (Arc<MemoryStorage>, NodeRef) {
        let storage = Arc::new(MemoryStorage::new());
        let db = open(&storage);
        for part in 0..KEYS / 100 {
            let write = |tx: &mut crate::WriteTransaction| {
                let mut table = tx.table(T)?;
                (part * 100..(part + 1) * 100).try_for_each(|key| table.put(key, value(key, 0).as_slice()))
            };
            db.transaction(write).unwrap();
        }
        db.close().unwrap();
        drop(db);
        let db = open(&storage);
        let leaves = leaves(&db);
        let leaf = leaves[leaves.len() / 2];
        drop(db);
        storage.write_at(FileId::Data, leaf.offset + u64::from(leaf.len) / 2, &[0xdb; 16]).unwrap();
        (storage, leaf)
    }

    /// The keys that cannot be read.
    fn unreadable(db: &Database, round_of: impl Fn(u64) -> u64) -> Vec<u64> {
        let snapshot = db.snapshot();
        let table = snapshot.table(T).unwrap();
        let mut unreadable = Vec::new();
        for key in 0..KEYS {
            match table.get(key) {
                Ok(found) => assert_eq!(found.unwrap().bytes(), value(key, round_of(key)), "key {key}"),
                Err(Error::Corrupt(damage)) => {
                    assert_eq!(damage.file, FileId::Data);
                    unreadable.push(key);
                }
                Err(error) => panic!("{error}"),
            }
        }
        unreadable
    }

    #[test]
    fn damage_is_served_to_nobody_and_is_nobody_elses_trouble() {
        let (storage, leaf) = damaged();
        let db = open(&storage);
        let lost = unreadable(&db, |_| 0);
        assert!(!lost.is_empty() && lost.len() < 400, "{}", lost.len());
        let stats = db.stats();
        assert_eq!((stats.quarantined, stats.quarantined_bytes), (1, u64::from(leaf.len)));
        assert!(stats.damaged);
        let quarantined = db.quarantined().unwrap();
        assert_eq!(quarantined.len(), 1, "{quarantined:?}");
        let damaged = &quarantined[0];
        assert_eq!((damaged.offset, damaged.len), (leaf.offset, u64::from(leaf.len)));
        assert_eq!(damaged.tables, ["t"]);
        // The keys between are those that are lost, and no others: a boundary is a part of the key behind it.
        let bytes = |key: u64| key.to_be_bytes();
        let within = |key: u64| damaged.from[..] <= bytes(key)[..] && bytes(key)[..] < damaged.to[..];
        assert_eq!((0..KEYS).filter(|key| within(*key)).collect::<Vec<_>>(), lost);
        assert_eq!(db.health().findings[0].name, "damaged");

        // Everything else is written to over and over, dense and around the damage too.
        let around = *lost.first().unwrap() - 1;
        let mut log_bytes = 0;
        for round in 1..60 {
            let write = |tx: &mut crate::WriteTransaction| {
                let mut table = tx.table(T)?;
                let keys = (0..KEYS).filter(|key| (key + round).is_multiple_of(3) && !lost.contains(key));
                keys.chain([around]).try_for_each(|key| table.put(key, value(key, round).as_slice()))
            };
            db.transaction(write).unwrap();
            while db.step().unwrap() == crate::Progress::More {}
            log_bytes = log_bytes.max(db.stats().log_bytes);
        }
        assert!(log_bytes < 4 << 20, "the log grew to {log_bytes} bytes");
        assert!(db.stats().runs < 24, "{} runs", db.stats().runs);
        let round_of =
            |key: u64| if key == around { 59 } else { (57..60).find(|round| (key + round).is_multiple_of(3)).unwrap() };
        assert_eq!(unreadable(&db, round_of), lost);
        // A key of the damaged leaf that is written has its new value, for it is not there that it is looked up.
        db.table(T).unwrap().put(lost[0], value(lost[0], 59).as_slice()).unwrap();
        db.checkpoint().unwrap();
        assert_eq!(db.table(T).unwrap().get(lost[0]).unwrap().unwrap(), value(lost[0], 59));
        assert!(matches!(db.compact(), Err(Error::Corrupt(_))), "compacting says what it could not do");
        assert_eq!(db.check().unwrap().problems.len(), 1);
        db.close().unwrap();
        drop(db);

        let db = open(&storage);
        assert!(db.recovery().clean);
        let round_of = |key: u64| if key == lost[0] { 59 } else { round_of(key) };
        assert_eq!(unreadable(&db, round_of), lost[1..]);
        assert_eq!(db.check().unwrap().problems.len(), 1);
    }

    #[test]
    fn a_scrub_finds_what_nobody_has_read() {
        let (storage, leaf) = damaged();
        let db = open(&storage);
        assert!(!db.stats().damaged);
        let mut scrub = db.scrub();
        let mut steps = 1;
        while scrub.step(4).unwrap() {
            steps += 1;
            // Writers and background work go on.
            db.table(T).unwrap().put(KEYS + steps, b"new".as_slice()).unwrap();
            db.step().unwrap();
        }
        assert!(steps > 5, "{steps}");
        let report = scrub.report();
        assert_eq!((report.problems.len(), report.entries), (1, KEYS + 2));
        assert!(report.problems[0].contains(&format!("at {}: node of level 0, keys from", leaf.offset)), "{report:?}");
        assert_eq!(db.stats().quarantined, 1);
    }

    #[test]
    fn damaged_space_is_not_given_out_again_while_the_database_is_open() {
        let (storage, leaf) = damaged();
        let db = open(&storage);
        let lost = unreadable(&db, |_| 0);
        db.table(T).unwrap().delete_range(0..KEYS).unwrap();
        db.checkpoint().unwrap();
        let damaged = vec![0xdb; 16];
        let mut there = vec![0; 16];
        for round in 0..20 {
            for key in 0..200 {
                db.table(T).unwrap().put(key, value(key, round).as_slice()).unwrap();
            }
            db.checkpoint().unwrap();
            storage.read_at(FileId::Data, leaf.offset + u64::from(leaf.len) / 2, &mut there).unwrap();
            assert_eq!(there, damaged, "round {round}: the damaged space was used again");
        }
        assert!(!lost.is_empty());
        assert!(db.check().unwrap().problems.len() <= 1);
    }
}
