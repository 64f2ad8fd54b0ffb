//! Which sectors of the data file are in use, and allocation among the rest.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::vec::Vec;

use crate::env::FileId;
use crate::error::{Error, Result};

/// The unit of allocation, in bytes.
pub(crate) const GRAIN_BYTES: u64 = 64;
/// The unit of reuse, in bytes: what a torn write may damage as a whole.
pub(crate) const SECTOR_BYTES: u64 = 4096;
/// Sectors one page of the persisted map describes (16 MiB of file).
pub(crate) const SECTORS_PER_PAGE: u64 = 4096;

pub(crate) const GRAINS_PER_SECTOR: u64 = SECTOR_BYTES / GRAIN_BYTES;
const FULL: u8 = GRAINS_PER_SECTOR as u8;
/// The superblocks.
pub(crate) const RESERVED_SECTORS: u64 = 2;
/// How many sectors an open allocation window takes from a large free run at a time.
const WINDOW_SECTORS: u64 = 256;
/// How many low free runs are tried before the best fit by size is taken: low addresses keep the file short.
const FIRST_FIT_TRIES: usize = 16;

/// A contiguous piece of the data file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Extent {
    /// Byte offset, a multiple of [`GRAIN_BYTES`].
    pub offset: u64,
    /// Bytes in use; the extent occupies this rounded up to whole grains.
    pub len: u64,
}

impl Extent {
    pub(crate) fn grains(self) -> core::ops::Range<u64> {
        let start = self.offset / GRAIN_BYTES;
        start..start + self.len.div_ceil(GRAIN_BYTES)
    }
}

/// The number of grains in use in each sector, and the free runs of sectors.
///
/// Memory: one byte a sector (1/4096 of the file) plus the free runs.
#[derive(Debug)]
pub(crate) struct SpaceMap {
    /// Grains in use by sector; what is freed but still pending counts as in use.
    used: Vec<u8>,
    /// Wholly free runs, start sector to length in sectors, coalesced; none lies in the window.
    free: BTreeMap<u64, u64>,
    /// The same runs by (length, start).
    by_len: BTreeSet<(u64, u64)>,
    /// Sectors set aside for the checkpoint being written, filled from the front: `position` to `end`, in grains.
    window: core::ops::Range<u64>,
    /// Pages whose counts changed since they were last persisted, in their order. They are few, and a list is less code.
    dirty_pages: Vec<u64>,
    /// Largest file length allowed, in sectors.
    limit_sectors: u64,
    /// What was given back though it was not in use.
    released_twice: Option<Extent>,
    /// Free sectors hold what must not stay: those that were given out since and are not wiped yet.
    #[cfg(feature = "encryption")]
    unwiped: Option<Vec<Extent>>,
}

impl SpaceMap {
    /// The map of a new file: two superblocks.
    pub(crate) fn new(limit_bytes: u64) -> Self {
        let mut map = Self {
            used: Vec::new(),
            free: BTreeMap::new(),
            by_len: BTreeSet::new(),
            window: 0..0,
            dirty_pages: Vec::new(),
            limit_sectors: limit_bytes / SECTOR_BYTES,
            released_twice: None,
            #[cfg(feature = "encryption")]
            unwiped: None,
        };
        map.used.resize(RESERVED_SECTORS as usize, FULL);
        map.dirty_pages.push(0);
        map
    }

    /// The map as persisted: `used` is the concatenation of its pages, cut to the file's sectors.
    pub(crate) fn from_counts(used: Vec<u8>, limit_bytes: u64) -> Result<Self> {
        let reserved = used.get(..RESERVED_SECTORS as usize);
        if used.iter().any(|&count| count > FULL) || reserved.is_none_or(|counts| counts.iter().any(|&c| c != FULL)) {
            return Err(Error::corrupt(FileId::Data, 0, "the space map holds impossible counts"));
        }
        let mut map = Self { limit_sectors: limit_bytes / SECTOR_BYTES, ..Self::new(limit_bytes) };
        map.dirty_pages.clear();
        map.used = used;
        let mut run_start = None;
        for sector in 0..=map.used.len() as u64 {
            let is_free = map.used.get(sector as usize) == Some(&0);
            match (is_free, run_start) {
                (true, None) => run_start = Some(sector),
                (false, Some(start)) => {
                    map.insert_run(start, sector - start);
                    run_start = None;
                }
                _ => {}
            }
        }
        map.drop_free_tail();
        Ok(map)
    }

    /// Sectors the file must have.
    pub(crate) fn sectors(&self) -> u64 {
        self.used.len() as u64
    }

    /// Length of the file in bytes.
    pub(crate) fn file_bytes(&self) -> u64 {
        self.sectors() * SECTOR_BYTES
    }

    /// Grains in use, superblocks included, in bytes.
    pub(crate) fn used_bytes(&self) -> u64 {
        self.used.iter().map(|&count| u64::from(count)).sum::<u64>() * GRAIN_BYTES
    }

    /// Wholly free sectors below the end of the file, in bytes.
    pub(crate) fn free_bytes(&self) -> u64 {
        self.free.values().sum::<u64>() * SECTOR_BYTES
    }

    /// Grain counts of the sectors of one page of the persisted map.
    pub(crate) fn page(&self, page: u64) -> &[u8] {
        let start = (page * SECTORS_PER_PAGE) as usize;
        let end = (start + SECTORS_PER_PAGE as usize).min(self.used.len());
        self.used.get(start..end).unwrap_or(&[])
    }

    /// Pages the map has.
    pub(crate) fn page_count(&self) -> u64 {
        self.sectors().div_ceil(SECTORS_PER_PAGE)
    }

    /// Pages changed since [`take_dirty`](Self::take_dirty).
    pub(crate) fn dirty_pages(&self) -> &[u64] {
        &self.dirty_pages
    }

    /// The dirty pages, which are about to be persisted as they are now.
    pub(crate) fn take_dirty(&mut self) -> Vec<u64> {
        core::mem::take(&mut self.dirty_pages)
    }

    /// These pages were not persisted after all.
    pub(crate) fn mark_dirty(&mut self, pages: &[u64]) {
        let count = self.page_count();
        pages.iter().filter(|&&page| page < count).for_each(|&page| self.change_page(page));
    }

    /// The page that describes the sector at byte `offset` must be persisted again.
    pub(crate) fn touch(&mut self, extent: Extent) {
        let first = extent.offset / SECTOR_BYTES / SECTORS_PER_PAGE;
        let last = (extent.offset + extent.len) / SECTOR_BYTES / SECTORS_PER_PAGE;
        self.mark_dirty(&(first..=last).collect::<Vec<_>>());
    }

    /// Grains in use in `sector`, for `check`.
    pub(crate) fn sector_used(&self, sector: u64) -> u8 {
        self.used.get(sector as usize).copied().unwrap_or(0)
    }

    /// Takes space for `len` bytes from the lowest fitting free run, else from the end of the file.
    pub(crate) fn allocate(&mut self, len: u64) -> Result<Extent> {
        let grains = len.div_ceil(GRAIN_BYTES).max(1);
        if self.window.end - self.window.start < grains {
            self.open_window(grains.div_ceil(GRAINS_PER_SECTOR))?;
        }
        let extent = Extent { offset: self.window.start * GRAIN_BYTES, len };
        self.window.start += grains;
        self.count(extent, |count, by| count.checked_add(by).filter(|&sum| sum <= FULL));
        Ok(extent)
    }

    /// Takes whole sectors for a value, written outside any checkpoint: no node shares them.
    pub(crate) fn allocate_sectors(&mut self, len: u64) -> Result<Extent> {
        let sectors = len.div_ceil(SECTOR_BYTES).max(1);
        let kept = core::mem::replace(&mut self.window, 0..0);
        let opened = self.open_window(sectors);
        let window = core::mem::replace(&mut self.window, kept);
        opened?;
        let extent = Extent { offset: window.start * GRAIN_BYTES, len };
        self.count(extent, |count, by| count.checked_add(by).filter(|&sum| sum <= FULL));
        let start = window.start / GRAINS_PER_SECTOR;
        let taken = window.end / GRAINS_PER_SECTOR - start;
        #[cfg(feature = "encryption")]
        if let Some(last) = self.unwiped.as_mut().and_then(|unwiped| unwiped.last_mut()) {
            last.len = sectors * SECTOR_BYTES;
        }
        if taken > sectors {
            self.insert_run(start + sectors, taken - sectors);
            self.drop_free_tail();
        }
        Ok(extent)
    }

    /// Marks the extent of a value that a retained log names as in use, before anything is allocated. Refuses one whose
    /// sectors are not its own.
    pub(crate) fn reserve(&mut self, extent: Extent) -> Result<()> {
        let grains = extent.grains();
        let end_sector = grains.end.div_ceil(GRAINS_PER_SECTOR);
        if !extent.offset.is_multiple_of(SECTOR_BYTES)
            || grains.start < RESERVED_SECTORS * GRAINS_PER_SECTOR
            || end_sector > self.limit_sectors
        {
            return Err(Error::corrupt(FileId::Data, extent.offset, "a value of the log lies outside the file"));
        }
        if end_sector > self.sectors() {
            self.grow(end_sector);
        }
        let sectors = grains.start / GRAINS_PER_SECTOR..end_sector;
        if sectors.clone().any(|sector| self.sector_used(sector) > 0) {
            return Err(Error::corrupt(FileId::Data, extent.offset, "a value of the log overlaps other data"));
        }
        sectors.for_each(|sector| self.take_sector(sector));
        self.count(extent, |count, by| count.checked_add(by).filter(|&sum| sum <= FULL));
        Ok(())
    }

    /// Gives an extent back for reuse. The caller has waited until no valid superblock, snapshot or log needs it.
    pub(crate) fn release(&mut self, extent: Extent) {
        // Nobody is ever given the superblocks, and the space of no file ends where no file can: such a reference is forged.
        if extent.offset < RESERVED_SECTORS * SECTOR_BYTES || extent.grains().end > self.sectors() * GRAINS_PER_SECTOR {
            self.released_twice.get_or_insert(extent);
            return;
        }
        let counted = self.count(extent, |count, by| count.checked_sub(by));
        if !counted {
            self.released_twice.get_or_insert(extent);
        }
        let grains = extent.grains();
        for sector in grains.start / GRAINS_PER_SECTOR..grains.end.div_ceil(GRAINS_PER_SECTOR) {
            if self.sector_used(sector) == 0 && !self.in_window(sector) {
                self.insert_run(sector, 1);
            }
        }
        self.drop_free_tail();
    }

    /// An extent is about to wait for reuse: notes it when it is not in use, as [`release`](Self::release) does later.
    pub(crate) fn expect_in_use(&mut self, extent: Extent) {
        let grains = extent.grains();
        let sectors = grains.start / GRAINS_PER_SECTOR..grains.end.div_ceil(GRAINS_PER_SECTOR);
        let may_be = extent.offset.is_multiple_of(GRAIN_BYTES)
            && sectors.start >= RESERVED_SECTORS
            && sectors.end <= self.sectors()
            && sectors.into_iter().all(|sector| self.sector_used(sector) > 0);
        if !may_be {
            self.released_twice.get_or_insert(extent);
        }
    }

    /// An error once something was given back that was not in use: the file lists what a tree still refers to as free, so
    /// this map is wrong, and must not be made durable.
    pub(crate) fn require_consistent(&self) -> Result<()> {
        match self.released_twice {
            None => Ok(()),
            Some(extent) => Err(Error::corrupt(
                FileId::Data,
                extent.offset,
                format!("{} bytes are given back that are free already", extent.len),
            )),
        }
    }

    /// Ends the sectors written by one checkpoint: what is allocated next starts in sectors of its own.
    pub(crate) fn seal_window(&mut self) {
        let window = core::mem::replace(&mut self.window, 0..0);
        let first = window.start / GRAINS_PER_SECTOR;
        for sector in first..window.end.div_ceil(GRAINS_PER_SECTOR) {
            if self.sector_used(sector) == 0 {
                self.insert_run(sector, 1);
            }
        }
        self.drop_free_tail();
    }

    /// The lowest offset such that, were everything at or above it moved into free space below, the file would end
    /// there; `None` when moving would gain less than `gain_min_bytes`.
    pub(crate) fn relocation_target(&self, gain_min_bytes: u64) -> Option<u64> {
        let used_sectors = self.used.iter().filter(|&&count| count > 0).count() as u64;
        let spare = used_sectors / 32 + 4;
        let target = used_sectors + spare;
        (self.sectors() > target && (self.sectors() - target) * SECTOR_BYTES >= gain_min_bytes)
            .then_some(target * SECTOR_BYTES)
    }

    fn in_window(&self, sector: u64) -> bool {
        !self.window.is_empty()
            && (self.window.start / GRAINS_PER_SECTOR..self.window.end.div_ceil(GRAINS_PER_SECTOR)).contains(&sector)
    }

    fn open_window(&mut self, sectors: u64) -> Result<()> {
        self.seal_window();
        let fit = self
            .free
            .iter()
            .take(FIRST_FIT_TRIES)
            .find(|&(_, &len)| len >= sectors)
            .map(|(&start, &len)| (start, len))
            .or_else(|| self.by_len.range((sectors, 0)..).next().map(|&(len, start)| (start, len)));
        let (start, len) = match fit {
            Some(run) => run,
            None => {
                // A whole window, so that extents lie end to end in it; what is left is cut off when it is sealed.
                let start = self.sectors();
                let room = self.limit_sectors.saturating_sub(start);
                if room < sectors {
                    return Err(Error::LimitExceeded {
                        what: "the size of the data file in bytes",
                        value: start.saturating_add(sectors).saturating_mul(SECTOR_BYTES),
                        limit: self.limit_sectors.saturating_mul(SECTOR_BYTES),
                    });
                }
                let grown = sectors.max(WINDOW_SECTORS).min(room);
                self.grow(start + grown);
                // It joined a free run before it, if there was one.
                self.free.iter().next_back().map_or((start, grown), |(&start, &len)| (start, len))
            }
        };
        let take = len.min(sectors.max(WINDOW_SECTORS));
        self.remove_run(start, len);
        if take < len {
            self.insert_run(start + take, len - take);
        }
        self.window = start * GRAINS_PER_SECTOR..(start + take) * GRAINS_PER_SECTOR;
        #[cfg(feature = "encryption")]
        if let Some(unwiped) = &mut self.unwiped {
            unwiped.push(Extent { offset: start * SECTOR_BYTES, len: take * SECTOR_BYTES });
        }
        Ok(())
    }

    /// From now on sectors are to be wiped when they are given out, or are no longer. What is allocated next starts in sectors of
    /// its own.
    #[cfg(feature = "encryption")]
    pub(crate) fn set_wiping(&mut self, wipes: bool) {
        self.seal_window();
        self.unwiped = wipes.then(Vec::new);
    }

    /// What was given out and has to be wiped before anything is written there.
    #[cfg(feature = "encryption")]
    pub(crate) fn unwiped(&self) -> &[Extent] {
        self.unwiped.as_deref().unwrap_or_default()
    }

    /// Those were wiped.
    #[cfg(feature = "encryption")]
    pub(crate) fn wiped(&mut self, extents: &[Extent]) {
        if let Some(unwiped) = &mut self.unwiped {
            unwiped.retain(|extent| !extents.contains(extent));
        }
    }

    /// Takes the first free sectors at or behind `sector`, at most `max`, as one extent; those behind the end of the map, up to
    /// `end`, are free too.
    #[cfg(feature = "encryption")]
    pub(crate) fn take_free(&mut self, sector: u64, end: u64, max: u64) -> Result<Option<Extent>> {
        let before = self.free.range(..=sector).next_back().filter(|&(start, len)| start + len > sector);
        let (from, until) = match before.or_else(|| self.free.range(sector..).next()) {
            Some((&start, &len)) => (start.max(sector), start + len),
            None => (self.sectors().max(sector), end),
        };
        let until = until.min(end).min(from.saturating_add(max)).min(self.limit_sectors);
        if from >= until {
            return Ok(None);
        }
        let extent = Extent { offset: from * SECTOR_BYTES, len: (until - from) * SECTOR_BYTES };
        self.reserve(extent)?;
        Ok(Some(extent))
    }

    /// Lengthens the map by free sectors. Every page it now reaches must be persisted.
    fn grow(&mut self, sectors: u64) {
        let from = self.sectors();
        self.used.resize(sectors as usize, 0);
        self.insert_run(from, sectors - from);
        (from / SECTORS_PER_PAGE..sectors.div_ceil(SECTORS_PER_PAGE)).for_each(|page| self.change_page(page));
    }

    /// Applies `change` to the count of each sector the extent touches; false (and unchanged there) where it refuses.
    fn count(&mut self, extent: Extent, change: impl Fn(u8, u8) -> Option<u8>) -> bool {
        let grains = extent.grains();
        let mut at = grains.start;
        let mut all = true;
        while at < grains.end {
            let sector = at / GRAINS_PER_SECTOR;
            let until = grains.end.min((sector + 1) * GRAINS_PER_SECTOR);
            match self.used.get_mut(sector as usize) {
                Some(count) => match change(*count, (until - at) as u8) {
                    Some(new) => *count = new,
                    None => all = false,
                },
                None => all = false,
            }
            self.change_page(sector / SECTORS_PER_PAGE);
            at = until;
        }
        all
    }

    fn change_page(&mut self, page: u64) {
        if let Err(at) = self.dirty_pages.binary_search(&page) {
            self.dirty_pages.insert(at, page);
        }
    }

    fn take_sector(&mut self, sector: u64) {
        let Some((&start, &len)) = self.free.range(..=sector).next_back() else { return };
        if sector >= start + len {
            return;
        }
        self.remove_run(start, len);
        if sector > start {
            self.insert_run(start, sector - start);
        }
        if sector + 1 < start + len {
            self.insert_run(sector + 1, start + len - sector - 1);
        }
    }

    fn insert_run(&mut self, mut start: u64, mut len: u64) {
        if let Some((&before, &before_len)) = self.free.range(..start).next_back()
            && before + before_len == start
        {
            self.remove_run(before, before_len);
            start = before;
            len += before_len;
        }
        if let Some((&after, &after_len)) = self.free.range(start + len..).next()
            && start + len == after
        {
            self.remove_run(after, after_len);
            len += after_len;
        }
        self.free.insert(start, len);
        self.by_len.insert((len, start));
    }

    fn remove_run(&mut self, start: u64, len: u64) {
        self.free.remove(&start);
        self.by_len.remove(&(len, start));
    }

    /// A free run at the end is not part of the file.
    fn drop_free_tail(&mut self) {
        if let Some((&start, &len)) = self.free.iter().next_back()
            && start + len == self.sectors()
        {
            self.remove_run(start, len);
            self.used.truncate(start as usize);
            let pages = self.page_count();
            self.dirty_pages.truncate(self.dirty_pages.partition_point(|&page| page < pages));
            self.change_page(pages.saturating_sub(1));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    #[cfg(feature = "encryption")]
    #[test]
    fn what_is_given_out_is_to_be_wiped_and_free_sectors_are_taken_one_after_the_other() {
        let mut map = SpaceMap::new(1 << 30);
        let [first, second, third] = [(); 3].map(|()| map.allocate_sectors(3 * SECTOR_BYTES).unwrap());
        assert!(map.unwiped().is_empty());
        map.release(first);
        map.release(third);
        map.set_wiping(true);
        let node = map.allocate(100).unwrap();
        assert_eq!(node.offset, first.offset);
        assert_eq!(map.unwiped(), [Extent { len: 3 * SECTOR_BYTES, ..first }], "all of the window");
        let given_out = map.unwiped().to_vec();
        map.wiped(&given_out);
        map.allocate(100).unwrap();
        assert!(map.unwiped().is_empty(), "it is wiped already");
        let value = map.allocate_sectors(5000).unwrap();
        assert_eq!(map.unwiped(), [Extent { offset: value.offset, len: 2 * SECTOR_BYTES }], "no more than it takes");
        map.seal_window();
        let end = 40;
        let mut taken = Vec::new();
        while let Some(extent) = map
            .take_free(taken.last().map_or(0, |last: &Extent| (last.offset + last.len) / SECTOR_BYTES), end, 4)
            .unwrap()
        {
            assert!(extent.len <= 4 * SECTOR_BYTES);
            assert!(extent.offset != second.offset && extent.offset != value.offset);
            taken.push(extent);
        }
        let sectors: u64 = taken.iter().map(|extent| extent.len / SECTOR_BYTES).sum();
        assert_eq!(sectors, end - RESERVED_SECTORS - 1 - 3 - 2, "everything but superblocks, the node, and two values");
        taken.iter().for_each(|extent| map.release(*extent));
        assert!(map.take_free(0, 2, 4).unwrap().is_none() && map.require_consistent().is_ok());
        map.set_wiping(false);
        map.allocate(100).unwrap();
        assert!(map.unwiped().is_empty());
    }

    #[test]
    fn what_is_given_back_twice_is_an_error_that_stays() {
        let mut map = SpaceMap::new(1 << 30);
        let (a, b) = (map.allocate(100).unwrap(), map.allocate(100).unwrap());
        map.seal_window();
        map.release(a);
        map.require_consistent().unwrap();
        map.release(b);
        map.release(a);
        let error = map.require_consistent().unwrap_err();
        assert!(matches!(&error, Error::Corrupt(corruption) if corruption.offset == a.offset), "{error}");
        let _ = map.allocate(100).unwrap();
        map.require_consistent().unwrap_err();
    }

    #[test]
    fn extents_never_overlap_and_sectors_return_only_when_wholly_free() {
        let mut map = SpaceMap::new(1 << 30);
        let a = map.allocate(100).unwrap();
        let b = map.allocate(4000).unwrap();
        let c = map.allocate(64).unwrap();
        assert_eq!(a.offset, RESERVED_SECTORS * SECTOR_BYTES);
        assert!(b.offset >= a.offset + 128 && c.offset >= b.offset + 4000);
        map.seal_window();
        let next = map.allocate(64).unwrap();
        assert_eq!(next.offset % SECTOR_BYTES, 0, "a sealed sector is not written again");
        assert!(next.offset > c.offset);
        map.seal_window();
        map.release(a);
        let again = map.allocate(64).unwrap();
        assert!(again.offset > next.offset, "a's sector still holds part of b");
        map.release(b);
        map.seal_window();
        let low = map.allocate(64).unwrap();
        assert_eq!(low.offset, a.offset, "now it is wholly free");
    }

    #[test]
    fn counts_come_back_with_the_same_free_runs() {
        let mut map = SpaceMap::new(1 << 30);
        let extents: Vec<_> = (0..50).map(|i| map.allocate(1000 + i * 37).unwrap()).collect();
        map.seal_window();
        for extent in extents.iter().step_by(2) {
            map.release(*extent);
        }
        let counts: Vec<u8> = (0..map.page_count()).flat_map(|page| map.page(page).to_vec()).collect();
        let back = SpaceMap::from_counts(counts, 1 << 30).unwrap();
        assert_eq!(back.free, map.free);
        assert_eq!(back.used_bytes(), map.used_bytes());
    }

    #[test]
    fn the_file_shrinks_when_its_tail_is_released() {
        let mut map = SpaceMap::new(1 << 30);
        let a = map.allocate(5000).unwrap();
        let b = map.allocate(50_000).unwrap();
        map.seal_window();
        let full = map.sectors();
        map.release(b);
        assert!(map.sectors() < full);
        map.release(a);
        assert_eq!(map.sectors(), RESERVED_SECTORS);
    }

    #[test]
    fn the_size_limit_is_an_error() {
        let mut map = SpaceMap::new(64 * 1024);
        assert!(map.allocate(32 * 1024).is_ok());
        assert!(matches!(map.allocate(64 * 1024), Err(Error::LimitExceeded { .. })));
        assert!(map.allocate(1024).is_ok(), "and small requests still fit");
    }

    #[test]
    fn the_superblocks_and_what_lies_beyond_the_end_are_never_given_back() {
        let forged = [(0, 8192), (4096, 64), (4096, 3 * SECTOR_BYTES), (5 * SECTOR_BYTES, 1 << 60), (1 << 62, 64)];
        for (offset, len) in forged {
            let mut map = SpaceMap::new(1 << 30);
            map.allocate(4000).unwrap();
            map.seal_window();
            let before = map.used_bytes();
            map.release(Extent { offset, len });
            assert_eq!(map.used_bytes(), before);
            map.require_consistent().unwrap_err();
        }
    }

    #[test]
    fn a_map_without_the_superblocks_is_refused() {
        for counts in [vec![], vec![FULL], vec![FULL, 0], vec![FULL, FULL, FULL + 1]] {
            SpaceMap::from_counts(counts, 1 << 30).unwrap_err();
        }
        assert_eq!(SpaceMap::from_counts(vec![FULL, FULL, 3, 0], 1 << 30).unwrap().sectors(), 3);
    }

    #[test]
    fn reserved_extents_are_not_given_out() {
        let mut map = SpaceMap::new(1 << 30);
        let extent = Extent { offset: 20 * SECTOR_BYTES, len: 9000 };
        map.reserve(extent).unwrap();
        map.reserve(Extent { offset: 22 * SECTOR_BYTES, len: 10 }).unwrap_err();
        map.reserve(Extent { offset: 30 * SECTOR_BYTES + 64, len: 10 }).unwrap_err();
        for _ in 0..40 {
            let got = map.allocate(4000).unwrap();
            assert!(got.offset + 4032 <= extent.offset || got.offset >= extent.offset + 9000);
        }
        let mut far = SpaceMap::new(1 << 40);
        far.take_dirty();
        far.reserve(Extent { offset: 3 * SECTORS_PER_PAGE * SECTOR_BYTES, len: 10 }).unwrap();
        assert_eq!(far.take_dirty(), [0, 1, 2, 3], "every page in between is new");
        assert!(SpaceMap::new(1 << 30).reserve(Extent { offset: 64, len: 10 }).is_err(), "the superblocks");
    }
}
