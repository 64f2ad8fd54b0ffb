//! A byte file of which some blocks are in memory.

use std::collections::BTreeMap;
use std::ops::Range;

/// The file as its writer sees it: what the medium holds, under what was written since.
///
/// Invariants: on the medium, a block's bytes at or after the file's length are zero. A block that lies wholly at or
/// after `stored_end` is never read from the medium: it is zeros under what is here.
#[derive(Debug)]
pub(super) struct BlockFile {
    block_bytes: usize,
    len: u64,
    /// How much of what the medium holds still counts: its length, less what was cut off since.
    stored_end: u64,
    /// Whether the medium holds blocks at or after `stored_end`, which the next flush deletes.
    cut: bool,
    len_changed: bool,
    blocks: BTreeMap<u64, Block>,
    uses: u64,
}

/// What a flush writes, in one transaction.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Changes {
    /// Blocks from this one on are deleted, before the others are put.
    pub delete_from: Option<u64>,
    /// The blocks to put.
    pub puts: Vec<u64>,
    /// The new length, where it has changed.
    pub len: Option<u64>,
}

/// Why a range cannot be read.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Unreadable {
    /// Some of its blocks must be fetched.
    Missing,
    /// The file ends before it does.
    BeyondEnd,
}

impl BlockFile {
    /// A file of which the medium holds `len` bytes, and nothing is in memory.
    pub(super) fn new(block_bytes: usize, len: u64) -> Self {
        let (cut, len_changed) = (false, false);
        Self { block_bytes, len, stored_end: len, cut, len_changed, blocks: BTreeMap::new(), uses: 0 }
    }

    pub(super) fn len(&self) -> u64 {
        self.len
    }

    pub(super) fn read(&mut self, offset: u64, buf: &mut [u8]) -> Result<(), Unreadable> {
        if offset.checked_add(buf.len() as u64).is_none_or(|end| end > self.len) {
            return Err(Unreadable::BeyondEnd);
        }
        self.uses += 1;
        let mut rest = buf;
        for (index, range) in self.parts(offset, rest.len()) {
            let Some((to, after)) = rest.split_at_mut_checked(range.len()) else { break };
            let is_stored = self.is_stored(index);
            match self.blocks.get_mut(&index) {
                Some(block) if block.known.covers(&range) => {
                    block.used = self.uses;
                    to.copy_from_slice(block.bytes.get(range).unwrap_or_default());
                }
                None if !is_stored => to.fill(0),
                _ => return Err(Unreadable::Missing),
            }
            rest = after;
        }
        Ok(())
    }

    pub(super) fn write(&mut self, offset: u64, bytes: &[u8]) {
        let mut rest = bytes;
        for (index, range) in self.parts(offset, bytes.len()) {
            let Some((from, after)) = rest.split_at_checked(range.len()) else { break };
            self.change(index, range, |to| to.copy_from_slice(from));
            rest = after;
        }
        let end = offset.saturating_add(bytes.len() as u64);
        if end > self.len {
            self.len = end;
            self.len_changed = true;
        }
    }

    pub(super) fn set_len(&mut self, len: u64) {
        if len < self.len {
            let whole = len.div_ceil(self.block_bytes as u64);
            self.blocks.split_off(&whole);
            let (last, tail) = self.position(len);
            if tail > 0 && (self.is_stored(last) || self.blocks.contains_key(&last)) {
                self.change(last, tail..self.block_bytes, |bytes| bytes.fill(0));
            }
            if len < self.stored_end {
                self.stored_end = len;
                self.cut = true;
            }
        }
        self.len_changed |= len != self.len;
        self.len = len;
    }

    /// Those blocks of `len` bytes at `offset` that must be fetched before they can be read.
    pub(super) fn missing(&self, offset: u64, len: u64) -> Vec<u64> {
        let block_bytes = self.block_bytes as u64;
        let end = offset.saturating_add(len).min(self.stored_end);
        (offset / block_bytes..end.div_ceil(block_bytes)).filter(|index| !self.is_whole(*index)).collect()
    }

    /// Blocks that were written in part before they were fetched: a flush must wait for them.
    pub(super) fn incomplete(&self) -> Vec<u64> {
        self.blocks.iter().filter(|(_, block)| block.known != Known::All).map(|(index, _)| *index).collect()
    }

    /// The medium holds `bytes` as block `index`, or has no such block.
    pub(super) fn fetched(&mut self, index: u64, bytes: Option<&[u8]>) {
        if !self.is_stored(index) || self.is_whole(index) {
            return;
        }
        // What the file was cut by since lies in the block's tail, if anywhere: it is not to come back.
        let start = index.saturating_mul(self.block_bytes as u64);
        let counts = usize::try_from(self.stored_end - start).unwrap_or(usize::MAX).min(self.block_bytes);
        let mut whole = vec![0; self.block_bytes].into_boxed_slice();
        for (to, from) in whole.iter_mut().zip(bytes.unwrap_or_default()).take(counts) {
            *to = *from;
        }
        let mut dirty = false;
        if let Some(Block { bytes, known: Known::Only(ranges), .. }) = self.blocks.get(&index) {
            for range in ranges {
                if let (Some(to), Some(from)) = (whole.get_mut(range.clone()), bytes.get(range.clone())) {
                    to.copy_from_slice(from);
                }
            }
            dirty = true;
        }
        self.blocks.insert(index, Block { bytes: whole, known: Known::All, dirty, used: self.uses });
    }

    /// Bytes written since the last flush, in whole blocks.
    pub(super) fn dirty_bytes(&self) -> usize {
        self.blocks.values().filter(|block| block.dirty).count() * self.block_bytes
    }

    /// Whether the medium differs from the file.
    pub(super) fn is_changed(&self) -> bool {
        self.len_changed || self.cut || self.blocks.values().any(|block| block.dirty)
    }

    /// What must be written to the medium; from here on it counts as written. No block may be incomplete.
    pub(super) fn take_changes(&mut self) -> Changes {
        let changes = Changes {
            delete_from: self.cut.then(|| self.stored_end.div_ceil(self.block_bytes as u64)),
            puts: self.blocks.iter().filter(|(_, block)| block.dirty).map(|(index, _)| *index).collect(),
            len: self.len_changed.then_some(self.len),
        };
        self.blocks.values_mut().for_each(|block| block.dirty = false);
        (self.stored_end, self.cut, self.len_changed) = (self.len, false, false);
        changes
    }

    /// The bytes of a block in memory.
    pub(super) fn block(&self, index: u64) -> &[u8] {
        self.blocks.get(&index).map(|block| &*block.bytes).unwrap_or_default()
    }

    /// Forgets the blocks used longest ago, until at most `bytes_max` are left or all are waiting to be written.
    pub(super) fn evict(&mut self, bytes_max: usize) {
        let blocks_max = bytes_max / self.block_bytes;
        let Some(excess) = self.blocks.len().checked_sub(blocks_max).filter(|excess| *excess > 0) else { return };
        let mut clean: Vec<(u64, u64)> =
            self.blocks.iter().filter(|(_, block)| !block.dirty).map(|(index, block)| (block.used, *index)).collect();
        clean.sort_unstable();
        // A quarter more than needed, so that this is not done for each block.
        for (_, index) in clean.into_iter().take(excess + blocks_max / 4) {
            self.blocks.remove(&index);
        }
    }

    /// Changes part of a block, which need not be in memory.
    fn change(&mut self, index: u64, range: Range<usize>, write: impl FnOnce(&mut [u8])) {
        self.uses += 1;
        let known = if self.is_stored(index) { Known::Only(Vec::new()) } else { Known::All };
        let block = self.blocks.entry(index).or_insert_with(|| Block {
            bytes: vec![0; self.block_bytes].into_boxed_slice(),
            known,
            dirty: true,
            used: self.uses,
        });
        (block.dirty, block.used) = (true, self.uses);
        if let Some(bytes) = block.bytes.get_mut(range.clone()) {
            write(bytes);
        }
        block.known.add(range, self.block_bytes);
    }

    fn is_stored(&self, index: u64) -> bool {
        index.checked_mul(self.block_bytes as u64).is_some_and(|start| start < self.stored_end)
    }

    fn is_whole(&self, index: u64) -> bool {
        self.blocks.get(&index).is_some_and(|block| block.known == Known::All)
    }

    /// Block, and place in it, of an offset.
    fn position(&self, offset: u64) -> (u64, usize) {
        let block_bytes = self.block_bytes as u64;
        (offset / block_bytes, (offset % block_bytes) as usize)
    }

    /// The blocks that `len` bytes at `offset` lie in, and which part of each.
    fn parts(&self, offset: u64, len: usize) -> impl Iterator<Item = (u64, Range<usize>)> + use<> {
        let (mut index, mut start) = self.position(offset);
        let (block_bytes, mut left) = (self.block_bytes, len);
        std::iter::from_fn(move || {
            let len = left.min(block_bytes - start);
            let part = (len > 0).then_some((index, start..start + len));
            (index, start, left) = (index + 1, 0, left - len);
            part
        })
    }
}

#[derive(Debug)]
struct Block {
    bytes: Box<[u8]>,
    known: Known,
    dirty: bool,
    used: u64,
}

/// Which bytes of a block are right.
#[derive(Debug, PartialEq, Eq)]
enum Known {
    All,
    /// Those written before the block was fetched: disjoint ranges, in order, not touching.
    Only(Vec<Range<usize>>),
}

impl Known {
    fn covers(&self, range: &Range<usize>) -> bool {
        match self {
            Known::All => true,
            Known::Only(ranges) => ranges.iter().any(|known| known.start <= range.start && range.end <= known.end),
        }
    }

    fn add(&mut self, mut range: Range<usize>, block_bytes: usize) {
        let Known::Only(ranges) = self else { return };
        ranges.retain(|known| {
            let apart = known.end < range.start || range.end < known.start;
            if !apart {
                range = range.start.min(known.start)..range.end.max(known.end);
            }
            apart
        });
        if range == (0..block_bytes) {
            *self = Known::All;
        } else {
            let at = ranges.partition_point(|known| known.start < range.start);
            ranges.insert(at, range);
        }
    }
}

#[cfg(test)]
mod tests {
    use lightning_db::env::{Entropy, SeededEntropy};
    use wasm_bindgen_test::wasm_bindgen_test;

    use super::*;

    const BLOCK: usize = 16;

    /// What IndexedDB would hold.
    #[derive(Default)]
    struct Medium {
        blocks: BTreeMap<u64, Vec<u8>>,
        len: u64,
    }

    impl Medium {
        fn fetch(&self, file: &mut BlockFile, indices: Vec<u64>) {
            for index in indices {
                file.fetched(index, self.blocks.get(&index).map(Vec::as_slice));
            }
        }

        fn flush(&mut self, file: &mut BlockFile) {
            self.fetch(file, file.incomplete());
            let changes = file.take_changes();
            if let Some(first) = changes.delete_from {
                self.blocks.split_off(&first);
            }
            for index in changes.puts {
                self.blocks.insert(index, file.block(index).to_vec());
            }
            self.len = changes.len.unwrap_or(self.len);
        }

        fn read(&self, file: &mut BlockFile, offset: u64, len: usize) -> Vec<u8> {
            let mut buf = vec![0xee; len];
            while let Err(unreadable) = file.read(offset, &mut buf) {
                assert_eq!(unreadable, Unreadable::Missing);
                let missing = file.missing(offset, len as u64);
                assert!(!missing.is_empty(), "nothing to fetch, yet the read fails");
                self.fetch(file, missing);
            }
            buf
        }
    }

    #[wasm_bindgen_test]
    fn a_block_is_fetched_once_and_then_read() {
        let mut medium = Medium::default();
        let mut file = BlockFile::new(BLOCK, 0);
        file.write(0, &[7; 40]);
        medium.flush(&mut file);
        let mut reopened = BlockFile::new(BLOCK, medium.len);
        let mut buf = [0; 20];
        assert_eq!(reopened.read(10, &mut buf), Err(Unreadable::Missing));
        assert_eq!(reopened.missing(10, 20), [0, 1]);
        medium.fetch(&mut reopened, vec![0, 1]);
        assert_eq!(reopened.read(10, &mut buf), Ok(()));
        assert_eq!(buf, [7; 20]);
        assert_eq!(reopened.read(30, &mut buf), Err(Unreadable::BeyondEnd));
    }

    #[wasm_bindgen_test]
    fn what_was_written_before_a_fetch_is_not_fetched_over() {
        let mut medium = Medium::default();
        let mut file = BlockFile::new(BLOCK, 0);
        file.write(0, &[1; 16]);
        medium.flush(&mut file);
        let mut reopened = BlockFile::new(BLOCK, medium.len);
        reopened.write(4, &[2; 4]);
        assert_eq!(medium.read(&mut reopened, 4, 4), [2; 4], "known without a fetch");
        assert_eq!(reopened.incomplete(), [0]);
        assert_eq!(medium.read(&mut reopened, 0, 16), [1, 1, 1, 1, 2, 2, 2, 2, 1, 1, 1, 1, 1, 1, 1, 1]);
    }

    #[wasm_bindgen_test]
    fn blocks_waiting_to_be_written_are_not_evicted() {
        let mut file = BlockFile::new(BLOCK, 0);
        file.write(0, &[1; 64]);
        file.evict(0);
        let mut buf = [0; 64];
        assert_eq!(file.read(0, &mut buf), Ok(()));
        let _ = file.take_changes();
        file.evict(0);
        assert_eq!(file.read(0, &mut buf), Err(Unreadable::Missing));
    }

    /// Every sequence of writes, cuts, flushes, evictions and reopens reads as a plain vector of bytes does.
    #[wasm_bindgen_test]
    fn behaves_like_bytes_in_memory() {
        for seed in 0..200 {
            let entropy = SeededEntropy::new(seed);
            let random = |below: u64| {
                let mut bytes = [0; 8];
                entropy.fill(&mut bytes);
                u64::from_le_bytes(bytes) % below
            };
            let (mut model, mut durable) = (Vec::new(), Vec::new());
            let (mut medium, mut file) = (Medium::default(), BlockFile::new(BLOCK, 0));
            for _ in 0..150 {
                let (offset, len) = (random(100) as usize, random(40) as usize);
                match random(10) {
                    0..4 => {
                        let byte = random(256) as u8;
                        if model.len() < offset + len && len > 0 {
                            model.resize(offset + len, 0);
                        }
                        model.iter_mut().skip(offset).take(len).for_each(|to| *to = byte);
                        if len > 0 {
                            file.write(offset as u64, &vec![byte; len]);
                        }
                    }
                    4 => {
                        model.resize(offset, 0);
                        file.set_len(offset as u64);
                    }
                    5 => {
                        medium.flush(&mut file);
                        durable.clone_from(&model);
                    }
                    6 => file.evict(random(4) as usize * BLOCK),
                    7 if random(4) == 0 => {
                        model.clone_from(&durable);
                        file = BlockFile::new(BLOCK, medium.len);
                    }
                    _ if offset + len <= model.len() => {
                        let expected = model.iter().skip(offset).take(len).copied().collect::<Vec<u8>>();
                        assert_eq!(medium.read(&mut file, offset as u64, len), expected, "seed {seed}");
                    }
                    _ => {}
                }
                assert_eq!(file.len(), model.len() as u64, "seed {seed}");
            }
        }
    }
}
