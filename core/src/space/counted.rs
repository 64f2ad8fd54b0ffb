//! Grains counted by what refers to them: to hold the space map against, or to make it again.

use alloc::vec;
use alloc::vec::Vec;

use super::map::{Extent, GRAINS_PER_SECTOR, RESERVED_SECTORS};

/// How many grains of each sector something refers to; the superblocks do, to begin with.
#[derive(Debug)]
pub(crate) struct CountedGrains {
    by_sector: Vec<u16>,
}

/// Why an extent cannot be in use beside all that was counted before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Misplaced {
    Outside,
    Twice,
}

impl CountedGrains {
    /// Of a file of so many sectors.
    pub(crate) fn new(sectors: u64) -> Self {
        let mut counted = Self { by_sector: vec![0; usize::try_from(sectors).unwrap_or(usize::MAX)] };
        counted
            .by_sector
            .iter_mut()
            .take(RESERVED_SECTORS as usize)
            .for_each(|count| *count = GRAINS_PER_SECTOR as u16);
        counted
    }

    /// Counts an extent, as far as it lies in the file.
    pub(crate) fn add(&mut self, extent: Extent) -> Result<(), Misplaced> {
        let mut is_alone = true;
        for grain in extent.grains() {
            let Some(count) = self.by_sector.get_mut((grain / GRAINS_PER_SECTOR) as usize) else {
                return Err(Misplaced::Outside);
            };
            *count = count.saturating_add(1);
            is_alone &= u64::from(*count) <= GRAINS_PER_SECTOR;
        }
        if is_alone { Ok(()) } else { Err(Misplaced::Twice) }
    }

    pub(crate) fn in_sector(&self, sector: u64) -> u64 {
        self.by_sector.get(sector as usize).copied().unwrap_or(0).into()
    }

    /// As the pages of a map have them; where an extent was misplaced they are wrong.
    pub(crate) fn into_counts(self) -> Vec<u8> {
        self.by_sector.into_iter().map(|count| count.min(u8::MAX.into()) as u8).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::space::SECTOR_BYTES;

    #[test]
    fn what_lies_outside_or_over_something_else_is_told() {
        let mut counted = CountedGrains::new(4);
        let at = |sector: u64, len| Extent { offset: sector * SECTOR_BYTES, len };
        assert_eq!(counted.add(at(0, 1)), Err(Misplaced::Twice), "a superblock");
        assert_eq!(counted.add(at(2, SECTOR_BYTES + 65)), Ok(()));
        assert_eq!([2, 3].map(|sector| counted.in_sector(sector)), [GRAINS_PER_SECTOR, 2]);
        assert_eq!(counted.add(at(3, SECTOR_BYTES)), Err(Misplaced::Twice));
        assert_eq!(counted.add(at(4, 1)), Err(Misplaced::Outside));
        assert_eq!(counted.add(at(u64::MAX / SECTOR_BYTES, u64::MAX)), Err(Misplaced::Outside));
    }
}
