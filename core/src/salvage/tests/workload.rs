//! Databases made by seeded workloads, with all that was ever committed, and where the newest copy of each key lies.

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;
use alloc::{format, vec};

use crate::codec::slot::Slot;
use crate::db::{Database, Options};
use crate::engine::{Durability, Environment, Nodes, Verify};
use crate::env::{FileId, FixedClock, MemoryStorage, SeededEntropy, Storage};
use crate::log::{Operation, replay};
use crate::salvage::begin::{self, Beginning};
use crate::salvage::source::Source;
use crate::salvage::trees::trees_of;
use crate::salvage::walk::{Bounds, Met, walk};
use crate::table::{KeyBuffer, Table, prefix};
use crate::tree::TreeKind;

/// Repeatable numbers.
pub(super) struct Random(pub u64);

impl Random {
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(super) fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    pub(super) fn bytes(&mut self, len: usize) -> Vec<u8> {
        (0..len).map(|_| self.next() as u8).collect()
    }
}

const NAMES: [&str; 3] = ["users", "visits", "notes"];

pub(super) fn options() -> Options {
    Options {
        memory_budget_bytes: 2 << 20,
        memtable_bytes: Some(24 << 10),
        log_segment_bytes: 64 << 10,
        inline_bytes_max: 2 << 10,
        durability: Durability::Relaxed,
        background_thread: false,
        ..Options::default()
    }
}

pub(super) fn environment(seed: u64) -> Environment {
    Environment { clock: Arc::new(FixedClock(1_700_000_000_000)), entropy: Arc::new(SeededEntropy::new(seed)) }
}

/// The files of a database, and every value each key of the key space ever had; `None` for deleted.
pub(super) struct Made {
    pub data: Vec<u8>,
    pub log: Vec<u8>,
    pub history: BTreeMap<Vec<u8>, Vec<Option<Vec<u8>>>>,
}

pub(super) fn raw(id: u64, key: u64) -> Vec<u8> {
    let mut bytes = KeyBuffer::new();
    prefix::encode_prefix(id, &mut bytes);
    bytes.extend(&key.to_be_bytes());
    bytes.to_vec()
}

impl Made {
    pub(super) fn storage(&self) -> Arc<MemoryStorage> {
        Arc::new(MemoryStorage::with_contents(self.data.clone(), self.log.clone()))
    }

    /// What `key` is now.
    pub(super) fn now(&self, key: &[u8]) -> Option<&Vec<u8>> {
        self.history.get(key)?.last()?.as_ref()
    }

    /// A database of some thousand records in three tables, closed or as a killed process leaves it.
    pub(super) fn new(seed: u64, rounds: usize, closed: bool) -> Self {
        let mut random = Random(seed);
        let storage = Arc::new(MemoryStorage::new());
        let db =
            Database::open_storage(Arc::clone(&storage) as Arc<dyn Storage>, environment(seed), options()).unwrap();
        let mut history: BTreeMap<Vec<u8>, Vec<Option<Vec<u8>>>> = BTreeMap::new();
        let span = 600 + random.below(3000);
        for round in 0..rounds {
            let table = random.below(3) as usize;
            let id = table as u64 + 1;
            let mut said: Vec<(Vec<u8>, Option<Vec<u8>>)> = Vec::new();
            db.transaction(|tx| {
                for name in NAMES {
                    // All at once, so that their numbers are known.
                    tx.table::<u64, &[u8]>(Table::new(name))?;
                }
                let mut open = tx.table::<u64, &[u8]>(Table::new(NAMES[table]))?;
                match random.below(12) {
                    0 => {
                        let from = random.below(span);
                        let to = from + random.below(span / 8 + 1);
                        open.delete_range(from..to)?;
                        for (key, _) in history.range(raw(id, from)..raw(id, to)) {
                            said.push((key.clone(), None));
                        }
                    }
                    1 | 2 => {
                        for _ in 0..1 + random.below(20) {
                            let key = random.below(span);
                            if open.delete(key)? {
                                said.push((raw(id, key), None));
                            }
                        }
                    }
                    _ => {
                        let near = random.below(span);
                        let dense = random.below(2) == 0;
                        for at in 0..1 + random.below(60) {
                            let key = if dense { (near + at) % span } else { random.below(span) };
                            let len = match random.below(40) {
                                0 => 2100 + random.below(9000),
                                1..4 => random.below(1500),
                                _ => random.below(120),
                            };
                            let value = random.bytes(len as usize);
                            open.put(key, value.as_slice())?;
                            said.push((raw(id, key), Some(value)));
                        }
                    }
                }
                Ok(())
            })
            .unwrap();
            for (key, value) in said {
                history.entry(key).or_default().push(value);
            }
            for _ in 0..random.below(6) {
                db.step().unwrap();
            }
            match random.below(40) {
                0 => db.checkpoint().unwrap(),
                1 if round > 4 => db.compact().unwrap(),
                _ => {}
            }
        }
        if closed {
            db.close().unwrap();
        }
        let made = Self { data: storage.contents(FileId::Data), log: storage.contents(FileId::Log), history };
        drop(db);
        made
    }
}

/// A part of a file.
pub(super) type Part = (FileId, u64, u64);

/// Where the newest word on each key lies, in a file that is whole.
pub(super) struct Map {
    /// The oldest checkpoint that says all this.
    pub checkpoint: u64,
    /// Newest first: the commits of the log with their parts, then the trees.
    commits: Vec<(u64, Vec<Part>, Vec<Said>)>,
    trees: Vec<TreeMap>,
}

enum Said {
    Point(Vec<u8>, Option<Part>),
    Range(Vec<u8>, Option<Vec<u8>>),
}

struct TreeMap {
    kind: TreeKind,
    floor: Vec<u8>,
    leaves: Vec<LeafMap>,
}

/// Where the value lies, if not in the leaf; and of an interval where it ends.
type Entry = (Option<Part>, Option<Option<Vec<u8>>>);

struct LeafMap {
    part: Part,
    bounds: Bounds,
    /// Each key, where its value lies if not in the leaf, and for intervals the end.
    entries: BTreeMap<Vec<u8>, Entry>,
}

fn value_part(slot: Slot<'_>) -> Option<Part> {
    slot.extent().map(|value| (FileId::Data, value.offset, value.len + 4 * value.len.div_ceil(64 << 10)))
}

impl Map {
    pub(super) fn of(made: &Made) -> Self {
        let source = Source::open(made.storage()).unwrap();
        let Beginning { seal, checkpoint, .. } = begin::find(&source).unwrap();
        let (superblock, record) = checkpoint.unwrap();
        let nodes = Nodes::new(Arc::clone(&source.storage), seal.clone(), (1 << 20, 1 << 20), Verify::Resident);
        let mut trees = Vec::new();
        for tree in trees_of(&record).into_iter().rev() {
            let mut leaves: Vec<LeafMap> = Vec::new();
            let mut reference = None;
            walk(&nodes, tree.kind, tree.root, &mut |met| {
                match met {
                    Met::Reference(node, 0) => reference = Some(*node),
                    Met::Reference(..) => {}
                    Met::Leaf(view) => {
                        let node = reference.unwrap();
                        let mut entries = BTreeMap::new();
                        for index in 0..view.keys() {
                            let mut key = Vec::new();
                            view.key_into(index, &mut key);
                            let slot = view.slot(index).unwrap();
                            let end = match (tree.kind, slot) {
                                (TreeKind::RunIntervals, Slot::Inline(end)) => {
                                    Some((!end.is_empty()).then(|| end.to_vec()))
                                }
                                _ => None,
                            };
                            entries.insert(key, (value_part(slot), end));
                        }
                        let low = entries.keys().next().unwrap().clone();
                        let part = (FileId::Data, node.offset, u64::from(node.len));
                        leaves.push(LeafMap { part, bounds: Bounds { low, high: None }, entries });
                    }
                    Met::Lost(_) => panic!("the file is whole"),
                }
                Ok(true)
            })
            .unwrap();
            for at in 1..leaves.len() {
                let low = leaves[at].bounds.low.clone();
                leaves[at - 1].bounds.high = Some(low);
            }
            trees.push(TreeMap { kind: tree.kind, floor: tree.floor.to_vec(), leaves });
        }
        let mut commits = Vec::new();
        if !superblock.clean {
            let mut add = |sequence: u64, offset: u64, end: u64, payload: Vec<Said>| {
                if sequence > superblock.sequence {
                    let segment = 64 << 10;
                    let start = |at: u64| 4096 + (at - 4096) / segment * segment;
                    let mut parts = vec![(FileId::Log, start(offset), 64), (FileId::Log, start(end - 1), 64)];
                    match start(offset) == start(end - 1) {
                        true => parts.push((FileId::Log, offset, end - offset)),
                        // Over the end of a segment: whatever lies in both.
                        false => parts
                            .extend([(FileId::Log, start(offset), segment), (FileId::Log, start(end - 1), segment)]),
                    }
                    commits.push((sequence, parts, payload));
                }
            };
            replay(&*source.storage, seal.database_id, None, &record.sealed, record.log, &mut |commit| {
                let said = commit.operations().map(|operation| match operation.unwrap() {
                    Operation::Put { key, .. } | Operation::Delete { key } => Said::Point(key.to_vec(), None),
                    Operation::PutExtent { key, value } => Said::Point(key.to_vec(), value_part(Slot::Extent(value))),
                    Operation::DeleteRange { start, end } => Said::Range(start.to_vec(), end.map(<[u8]>::to_vec)),
                });
                add(commit.sequence, commit.offset, commit.end.offset, said.collect());
                Ok(crate::log::Verdict::Whole)
            })
            .unwrap();
            commits.reverse();
        }
        Self { commits, trees, checkpoint: superblock.checkpoint - u64::from(superblock.clean) }
    }

    /// The parts of the files that say what `key` is now: the leaf or the commit, and the value.
    pub(super) fn newest(&self, key: &[u8]) -> Vec<Part> {
        self.newest_in_log(key).map_or_else(|| self.newest_in_trees(key), |(_, parts)| parts)
    }

    /// As [`newest`](Self::newest), of what the log says, with the commit's number.
    pub(super) fn newest_in_log(&self, key: &[u8]) -> Option<(u64, Vec<Part>)> {
        for (sequence, parts, said) in &self.commits {
            // Points beat ranges of one commit, and come last.
            for word in said.iter().rev() {
                match word {
                    Said::Point(point, value) if point == key => {
                        return Some((*sequence, parts.iter().chain(value).copied().collect()));
                    }
                    Said::Range(from, to)
                        if from.as_slice() <= key && to.as_ref().is_none_or(|to| key < to.as_slice()) =>
                    {
                        return Some((*sequence, parts.clone()));
                    }
                    _ => {}
                }
            }
        }
        None
    }

    /// Where the frames of this commit begin in the log.
    pub(super) fn log_from(&self, commit: u64) -> Option<u64> {
        let (_, parts, _) = self.commits.iter().find(|(sequence, ..)| *sequence == commit)?;
        parts.get(2).map(|(_, offset, _)| *offset)
    }

    fn newest_in_trees(&self, key: &[u8]) -> Vec<Part> {
        for tree in &self.trees {
            if key < tree.floor.as_slice() {
                continue;
            }
            for leaf in &tree.leaves {
                match tree.kind {
                    TreeKind::RunIntervals => {
                        let covers = |(from, (_, to)): (&Vec<u8>, &Entry)| {
                            from.as_slice() <= key
                                && to.as_ref().is_some_and(|to| to.as_ref().is_none_or(|to| key < to.as_slice()))
                        };
                        if leaf.entries.iter().any(covers) {
                            return vec![leaf.part];
                        }
                    }
                    TreeKind::RunPoints => {
                        if let Some((value, _)) = leaf.entries.get(key) {
                            return core::iter::once(leaf.part).chain(*value).collect();
                        }
                    }
                    TreeKind::Base => {
                        if let Some((value, _)) = leaf.entries.get(key) {
                            return core::iter::once(leaf.part).chain(*value).collect();
                        }
                        if leaf.bounds.hold(key) {
                            return vec![leaf.part];
                        }
                    }
                }
            }
        }
        Vec::new()
    }
}

/// A name for messages.
pub(super) fn shown(key: &[u8]) -> alloc::string::String {
    format!("{}", key.escape_ascii())
}
