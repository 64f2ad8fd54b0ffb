//! One way through all entries of a backup: what they become, and where it comes.

use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;

use super::backup::PIECE_BYTES;
use super::cursor::MergedCursor;
use super::leaf_run::LeafRun;
use super::state::Engine;
use super::values::{ValueReader, extent_of};
use super::version::{Layers, Version};
use crate::codec::slot::{Slot, ValueRef};
use crate::env::FileId;
use crate::error::{Error, Result};
use crate::space::{Extent, GRAIN_BYTES, GRAINS_PER_SECTOR, RESERVED_SECTORS, SECTOR_BYTES};
use crate::tree::{Bulk, NodeRef, NodeSink, Root, Seal, TreeKind};

/// One way through all entries.
#[derive(Debug)]
pub(super) struct Pass {
    cursor: MergedCursor,
    layers: Arc<Layers>,
    bulk: Bulk,
    pub sink: Sink,
    pub started: bool,
    due: Due,
    /// Leaves that are taken over as they are, from where the cursor stands.
    run: Option<LeafRun>,
    /// Bytes of the data file when the pass began.
    file_bytes: u64,
    /// What the leaves that were taken over take in it.
    leaf_bytes: u64,
    /// The value of the entry the cursor stands on, on its way or there.
    value: Option<ValueCopy>,
    pub entries: u64,
    /// Taken over as they are.
    pub leaves: u64,
    pub values: u64,
    /// What the values take in the copy, and so at least what they take in the file.
    value_bytes: u64,
}

/// How the cursor is to move before it stands on what comes next. Not done until it has succeeded.
#[derive(Debug)]
enum Due {
    Nothing,
    Begin,
    /// The entry it stands on is in the tree.
    Next,
    /// All of the base below this key is, and about that no newer layer says anything.
    BaseTo(Vec<u8>),
}

/// A value in an extent of its own.
#[derive(Debug)]
struct ValueCopy {
    reader: ValueReader,
    /// Where it is in the copy.
    place: ValueRef,
    /// Blocks, and bytes, of it that are there.
    blocks: u64,
    copied: u64,
    is_whole: bool,
}

impl Pass {
    pub(super) fn new(engine: &Engine, version: &Version, seal: &Seal, age: u64, keeps: bool) -> Self {
        Self {
            cursor: MergedCursor::in_order(version, &engine.nodes),
            layers: Arc::clone(&version.layers),
            bulk: Bulk::new(engine.options.compression),
            sink: Sink {
                seal: seal.clone(),
                age,
                position: RESERVED_SECTORS * SECTOR_BYTES,
                counts: vec![GRAINS_PER_SECTOR as u8; RESERVED_SECTORS as usize],
                keeps,
                out: Vec::new(),
            },
            started: false,
            due: Due::Begin,
            run: None,
            file_bytes: 0,
            leaf_bytes: 0,
            value: None,
            entries: 0,
            leaves: 0,
            values: 0,
            value_bytes: 0,
        }
    }

    /// Some entries, or a piece of a value; the tree when all are there.
    pub(super) fn step(&mut self, engine: &Engine) -> Result<Option<Option<Root>>> {
        if !self.started {
            self.file_bytes = engine.storage().len(FileId::Data)?;
            self.started = true;
        }
        let until = self.entries + engine.options.step_entries.max(1) as u64;
        while self.entries < until && self.sink.out.len() < PIECE_BYTES {
            self.move_on()?;
            if self.value.is_none() && (self.take_over_leaf()? || self.take_part()?) {
                continue;
            }
            let Some((key, slot)) = self.cursor.entry() else { return self.bulk.finish(&mut self.sink).map(Some) };
            match slot {
                Slot::Extent(found) => {
                    let value = match &mut self.value {
                        Some(value) => value,
                        none => {
                            let reader = ValueReader::of_stored(&engine.nodes, found, Some(Arc::clone(&self.layers)));
                            // Before a place is found for it, because that takes memory by its length.
                            reader.require_in_file()?;
                            self.values += 1;
                            let bytes = extent_of(&found).len.next_multiple_of(SECTOR_BYTES);
                            self.value_bytes =
                                require_no_more(self.value_bytes.saturating_add(bytes), self.file_bytes, found.offset)?;
                            none.insert(ValueCopy::new(reader, self.sink.begin_value(&found)))
                        }
                    };
                    if !value.step(&mut self.sink)? {
                        continue;
                    }
                    self.bulk.push(key, Slot::Extent(value.place), &mut self.sink)?;
                    self.value = None;
                }
                slot => self.bulk.push(key, slot, &mut self.sink)?,
            }
            self.entries += 1;
            self.due = Due::Next;
        }
        Ok(None)
    }

    fn move_on(&mut self) -> Result<()> {
        match &self.due {
            Due::Nothing => return Ok(()),
            Due::Next => self.cursor.next()?,
            Due::Begin => self.cursor.seek(&[])?,
            Due::BaseTo(key) => {
                self.cursor.seek_in_base(key)?;
                // Keys only ever ascend: a walk over a tree whose nodes are in several places would hardly end.
                if self.cursor.key().is_some_and(|found| found < key.as_slice()) {
                    let (root, what) = (self.layers.base, "what lies below it is not where its parent says");
                    return Err(Error::corrupt(FileId::Data, root.map_or(0, |root| root.node.offset), what));
                }
            }
        }
        self.due = Due::Nothing;
        Ok(())
    }

    /// Takes a leaf over as it is, if the one that comes next may be.
    fn take_over_leaf(&mut self) -> Result<bool> {
        let run = match &mut self.run {
            Some(run) => run,
            none => match self.cursor.leaves_begun() {
                Some(run) => none.insert(run),
                None => return Ok(false),
            },
        };
        if let (Some(leaf), Some(end)) = (self.cursor.whole_leaf(run)?, run.end()) {
            let (entries, bytes, offset) = (leaf.entries(), leaf.stored_len(), run.offset());
            if self.bulk.push_leaf(leaf, run.start(), end, &mut self.sink)? {
                run.pass();
                self.entries += entries;
                self.leaves += 1;
                self.leaf_bytes = require_no_more(self.leaf_bytes.saturating_add(bytes), self.file_bytes, offset)?;
                return Ok(true);
            }
        }
        let Some(passed) = self.run.take().and_then(LeafRun::into_passed) else { return Ok(false) };
        self.due = Due::BaseTo(passed);
        Ok(true)
    }

    /// Takes the entries that come next and that nothing newer touches.
    fn take_part(&mut self) -> Result<bool> {
        let Some((leaf, part)) = self.cursor.untouched() else { return Ok(false) };
        let entries = part.len();
        self.bulk.push_part(&leaf, part, &mut self.sink)?;
        self.entries += entries as u64;
        self.cursor.pass(entries);
        self.due = Due::Next;
        Ok(true)
    }
}

/// Each node and each value lies in a place of its own, so all of one kind together are no longer than the file: unless that was
/// made up, with one that is referred to from many places, and its copy would have no end.
fn require_no_more(bytes: u64, file_bytes: u64, offset: u64) -> Result<u64> {
    if bytes > file_bytes {
        let what = "what is copied is longer than the file: there are several ways to the same place";
        return Err(Error::corrupt(FileId::Data, offset, what));
    }
    Ok(bytes)
}

impl ValueCopy {
    fn new(reader: ValueReader, place: ValueRef) -> Self {
        Self { reader, place, blocks: 0, copied: 0, is_whole: false }
    }

    /// One block as it is stored, or the table; whether that was all.
    fn step(&mut self, sink: &mut Sink) -> Result<bool> {
        if !sink.keeps || self.is_whole {
            return Ok(true);
        }
        let stored = self.reader.stored(self.blocks)?;
        sink.out.extend_from_slice(stored);
        self.blocks += 1;
        self.copied += stored.len() as u64;
        let extent = extent_of(&self.place).len;
        if self.copied < extent {
            return Ok(false);
        }
        // The value ends where nothing else begins, so this is the place of nothing else.
        let beyond = extent.next_multiple_of(SECTOR_BYTES) - extent;
        let mut noise = sink.seal.envelope.noise_behind(self.place.offset + extent, SECTOR_BYTES);
        noise.resize(beyond as usize, 0);
        sink.out.extend_from_slice(&noise);
        self.is_whole = true;
        Ok(true)
    }
}

/// Gives everything its place, one after the other.
#[derive(Debug)]
pub(super) struct Sink {
    pub seal: Seal,
    pub age: u64,
    /// What comes next comes here.
    pub position: u64,
    /// Grains in use, by sector.
    pub counts: Vec<u8>,
    /// What is written is kept, to be given away.
    pub keeps: bool,
    /// Ends at `position`, or before it by less than a grain.
    pub out: Vec<u8>,
}

impl Sink {
    /// Goes on at `position`, with zeros up to there.
    pub(super) fn pad(&mut self, position: u64) {
        if self.keeps {
            let zeros = position.saturating_sub(self.position) as usize;
            self.out.resize(self.out.len() + zeros, 0);
        }
        self.position = position;
    }

    fn count(&mut self, extent: Extent) {
        for grain in extent.grains() {
            let sector = (grain / GRAINS_PER_SECTOR) as usize;
            if self.counts.len() <= sector {
                self.counts.resize(sector + 1, 0);
            }
            if let Some(count) = self.counts.get_mut(sector) {
                *count += 1;
            }
        }
    }

    /// Whole sectors for a value, which follows.
    fn begin_value(&mut self, value: &ValueRef) -> ValueRef {
        self.pad(self.position.next_multiple_of(SECTOR_BYTES));
        let place = ValueRef { offset: self.position, ..*value };
        let extent = extent_of(&place);
        self.count(extent);
        self.position += extent.len.next_multiple_of(SECTOR_BYTES);
        place
    }
}

impl NodeSink for Sink {
    fn write(&mut self, mut stored: Vec<u8>) -> Result<NodeRef> {
        self.pad(self.position.next_multiple_of(GRAIN_BYTES));
        let offset = self.position;
        let checksum = self.seal.close(&mut stored, offset, TreeKind::Base, self.age);
        let len = stored.len() as u64;
        self.count(Extent { offset, len });
        if self.keeps {
            self.out.extend_from_slice(&stored);
        }
        self.position += len;
        Ok(NodeRef { offset, len: len as u32, checksum })
    }

    fn flush(&mut self) -> Result<()> {
        Ok(())
    }

    fn free(&mut self, _: NodeRef) {}

    fn free_value(&mut self, _: ValueRef) {}
}

#[cfg(all(test, feature = "std"))]
mod tests {
    use super::*;
    use crate::db::{Database, Options};
    use crate::engine::Environment;
    use crate::env::{FixedClock, MemoryStorage, SeededEntropy};
    use crate::table::Table;

    const T: Table<u32, &[u8]> = Table::new("t");

    /// As where a tree was made up in which many parents name the same leaf.
    #[test]
    fn leaves_that_are_longer_than_the_file_together_are_refused() {
        let env = Environment { clock: Arc::new(FixedClock(1000)), entropy: Arc::new(SeededEntropy::new(7)) };
        let options = Options { background_thread: false, ..Options::default() };
        let db = Database::open_storage(Arc::new(MemoryStorage::new()), env, options).unwrap();
        db.transaction(|tx| (0..5_000).try_for_each(|key| tx.table(T)?.put(key, [7; 100]))).unwrap();
        db.compact().unwrap();
        let engine = Arc::clone(&db.snapshot().engine);
        let version = engine.version();
        let all_of = |file_bytes: Option<u64>| {
            let mut pass = Pass::new(&engine, &version, engine.nodes.seal(), 1, true);
            while pass.step(&engine)?.is_none() {
                pass.file_bytes = file_bytes.unwrap_or(pass.file_bytes);
                pass.sink.out.clear();
            }
            Ok::<_, Error>((pass.leaves, pass.leaf_bytes))
        };
        let (leaves, bytes) = all_of(None).unwrap();
        assert!(leaves > 5);
        assert_eq!(all_of(Some(bytes)).unwrap(), (leaves, bytes));
        assert!(matches!(all_of(Some(bytes - 1)), Err(Error::Corrupt(_))));
    }
}
