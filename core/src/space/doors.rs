//! Doors for tests that feed the decoders of this layer arbitrary bytes: see [`crate::testing`].
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use super::map::{Extent, GRAIN_BYTES, SECTOR_BYTES, SpaceMap};
use super::pending::{PendingFree, PendingFrees};
use super::superblock::Superblock;

/// Decodes the slot of a superblock.
pub fn superblock(bytes: &[u8]) {
    let Some(Ok(superblock)) = Superblock::decode(bytes) else { return };
    let again = superblock.encode();
    assert_eq!(Superblock::decode(&again).unwrap().unwrap(), superblock, "a superblock comes back");
}

/// As [`superblock`], with the magic number, the version and the checksum made right.
pub fn superblock_resealed(bytes: &[u8]) {
    let mut sector = bytes.to_vec();
    sector.resize(SECTOR_BYTES as usize, 0);
    Superblock::begin(&mut sector);
    Superblock::reseal(&mut sector);
    superblock(&sector);
}

/// The counts of a space map, and what happens to it: bytes from the front say how many sectors there are, what each has in
/// use, and what is asked of the map then. Nothing is ever given out twice, and the sums are right throughout.
pub fn space(bytes: &[u8]) {
    const LIMIT_BYTES: u64 = 1 << 24;
    let Some((&sectors, rest)) = bytes.split_first() else { return };
    let Some((counts, actions)) = rest.split_at_checked(usize::from(sectors)) else { return };
    let Ok(mut map) = SpaceMap::from_counts(counts.to_vec(), LIMIT_BYTES) else { return };
    let mut pending = PendingFrees::default();
    let mut given: BTreeMap<u64, Extent> = BTreeMap::new();
    let mut checkpoint = 1;
    for action in actions.chunks_exact(5).take(500) {
        let [what, a, b, c, d] = *action else { return };
        let number = u64::from(u32::from_le_bytes([a, b, c, d]));
        match what % 6 {
            0 | 1 => {
                let len = number % (if what % 6 == 0 { 9000 } else { 80_000 }) + 1;
                let allocated = if what % 6 == 0 { map.allocate(len) } else { map.allocate_sectors(len) };
                if let Ok(extent) = allocated {
                    assert_eq!(extent.len, len);
                    give(&mut given, extent);
                }
            }
            2 => {
                let extent = Extent { offset: number << 3, len: u64::from(d) << (a % 56) };
                // What overlaps inside a sector is not noticed: values have sectors of their own.
                let free = given.values().all(|other| apart(*other, extent));
                if free && extent.len > 0 && map.reserve(extent).is_ok() {
                    give(&mut given, extent);
                }
            }
            3 => {
                if let Some((&offset, _)) = given.range(number * GRAIN_BYTES..).next() {
                    let extent = given.remove(&offset).unwrap();
                    pending.push(PendingFree {
                        extent,
                        checkpoint,
                        readable: u64::from(a)..u64::from(b),
                        until_archived: 0,
                    });
                }
            }
            4 => map.seal_window(),
            _ => {
                checkpoint += 1;
                map.seal_window();
                pending.release(&mut map, checkpoint, &[u64::from(a)], &|_| false);
            }
        }
        let _ = (map.relocation_target(0), map.used_bytes(), map.free_bytes(), map.page(number % 4), pending.bytes());
        assert!(map.file_bytes() <= LIMIT_BYTES.max(u64::from(sectors) * SECTOR_BYTES));
    }
    // Not all counts of the file are of extents given out here, but every extent given out is counted.
    let used: u64 = given.values().map(|extent| extent.len.next_multiple_of(GRAIN_BYTES)).sum();
    assert!(map.used_bytes() >= used, "what is in use is counted");
    map.require_consistent().unwrap();
}

fn give(given: &mut BTreeMap<u64, Extent>, extent: Extent) {
    let below = given.range(..=extent.offset).next_back().map(|(_, other)| *other);
    let above = given.range(extent.offset..).next().map(|(_, other)| *other);
    for other in below.into_iter().chain(above) {
        assert!(apart(other, extent), "{extent:?} was given out while {other:?} is in use");
    }
    given.insert(extent.offset, extent);
}

fn apart(a: Extent, b: Extent) -> bool {
    let (a, b) = (a.grains(), b.grains());
    a.end <= b.start || b.end <= a.start
}

/// The superblocks of a file, whatever their checksums say, with where they lie, the newest last: those of its slots, their
/// copies in front of the records, and where a slot holds none, the newest other copy. What older copies lead to may have been
/// reused, so they are left alone.
pub(crate) fn any_superblocks(data: &mut [u8]) -> Vec<(usize, Superblock)> {
    let slots: Vec<_> = [0, SLOTS_END / 2].into_iter().filter_map(|at| Some((at, any_superblock(data, at)?))).collect();
    let mut others: Vec<(usize, Superblock)> = Vec::new();
    let mut found = slots.clone();
    for at in (SLOTS_END..data.len()).step_by(GRAIN_BYTES as usize) {
        let Some(copy) = any_superblock(data, at) else { continue };
        match slots.iter().any(|(_, slot)| slot.checkpoint == copy.checkpoint) {
            true => found.push((at, copy)),
            false => others.push((at, copy)),
        }
    }
    if slots.len() < 2 {
        found.extend(others.into_iter().max_by_key(|(_, copy)| copy.checkpoint));
    }
    found.sort_by_key(|(_, superblock)| superblock.checkpoint);
    found
}

/// Behind the two slots.
const SLOTS_END: usize = 2 * SECTOR_BYTES as usize;

fn any_superblock(data: &mut [u8], at: usize) -> Option<Superblock> {
    let bytes = data.get_mut(at..)?;
    let len = bytes.len().min(SECTOR_BYTES as usize);
    let bytes = bytes.get_mut(..len)?;
    Superblock::reseal(bytes).then(|| Superblock::decode_copy(bytes)?.ok()).flatten()
}

/// Puts a superblock, or the copy of one, back.
pub(crate) fn put_superblock(data: &mut [u8], at: usize, superblock: &Superblock) {
    let copy = superblock.encode_copy();
    data[at..at + copy.len()].copy_from_slice(&copy);
}
