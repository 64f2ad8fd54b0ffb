//! What a power loss, or a failed sync, makes of the writes that were not durable yet.

use super::{Change, SECTOR_BYTES, SimFile, UNIT_BYTES};
use crate::random::Random;

/// Replaces both files by contents that may be found when the machine starts again.
pub(super) fn strike(files: &mut [SimFile; 2], random: &mut Random) {
    for file in files {
        lose(file, random);
        file.visible.clone_from(&file.durable);
    }
}

/// Makes any part of what was not durable durable and forgets the rest.
pub(super) fn lose(file: &mut SimFile, random: &mut Random) {
    let unsynced = std::mem::take(&mut file.unsynced);
    file.settled += unsynced.len() as u64;
    if unsynced.is_empty() {
        return;
    }
    let len = surviving_len(&file.durable, &unsynced, random);
    let mood = Mood::choose(random);
    let mut order: Vec<&Change> = unsynced.iter().collect();
    if random.chance(1, 2) {
        random.shuffle(&mut order);
    }
    // What a grown file holds where nothing was written: fragments of what the disk held before, old frames and nodes too.
    let old = file.durable.clone();
    for change in order {
        match (mood.fate(random), change) {
            (Fate::Missing, _) => {}
            (Fate::Torn, Change::Write { offset, bytes }) => {
                for (start, part) in torn(*offset, bytes, random) {
                    put(&mut file.durable, start, part, &old, random);
                }
                ruin_around(&mut file.durable, *offset, bytes.len() as u64, random);
            }
            (_, Change::Write { offset, bytes }) => put(&mut file.durable, *offset, bytes, &old, random),
            (_, Change::Len(len)) => resize(&mut file.durable, *len, &old, random),
        }
    }
    resize(&mut file.durable, len, &old, random);
}

/// How a power loss treats most writes, so that the extremes occur too.
enum Mood {
    LoseAll,
    KeepAll,
    KeepMost,
    Mixed,
}

enum Fate {
    Whole,
    Missing,
    Torn,
}

impl Mood {
    fn choose(random: &mut Random) -> Self {
        match random.below(8) {
            0 => Mood::LoseAll,
            1 => Mood::KeepAll,
            2 | 3 => Mood::KeepMost,
            _ => Mood::Mixed,
        }
    }

    fn fate(&self, random: &mut Random) -> Fate {
        match (self, random.below(12)) {
            (Mood::LoseAll, _) => Fate::Missing,
            (Mood::KeepAll, _) => Fate::Whole,
            (Mood::KeepMost, 0) | (Mood::Mixed, 0..=3) => Fate::Missing,
            (Mood::KeepMost, 1) | (Mood::Mixed, 4..=7) => Fate::Torn,
            _ => Fate::Whole,
        }
    }
}

/// The parts of a write that were done: any of its units, in runs.
pub(super) fn torn<'a>(offset: u64, bytes: &'a [u8], random: &mut Random) -> Vec<(u64, &'a [u8])> {
    let mut parts = Vec::new();
    let style = random.below(4);
    let units = (offset + bytes.len() as u64).div_ceil(UNIT_BYTES) - offset / UNIT_BYTES;
    let cut = random.below(units + 1);
    for unit in 0..units {
        let kept = match style {
            0 => unit < cut,
            1 => unit >= cut,
            2 => unit != cut,
            _ => random.chance(1, 2),
        };
        let start = ((offset / UNIT_BYTES + unit) * UNIT_BYTES).max(offset);
        let end = ((offset / UNIT_BYTES + unit + 1) * UNIT_BYTES).min(offset + bytes.len() as u64);
        if kept && start < end {
            parts.push((start, &bytes[(start - offset) as usize..(end - offset) as usize]));
        }
    }
    parts
}

/// Sometimes destroys what shares the first and last sector with a torn write.
fn ruin_around(image: &mut [u8], offset: u64, len: u64, random: &mut Random) {
    let end = offset + len;
    let before = offset / SECTOR_BYTES * SECTOR_BYTES..offset;
    let after = end..end.next_multiple_of(SECTOR_BYTES);
    for ruined in [before, after] {
        let ruined = (ruined.start as usize).min(image.len())..(ruined.end as usize).min(image.len());
        if random.chance(1, 4) {
            if random.chance(1, 2) {
                random.fill(&mut image[ruined]);
            } else {
                image[ruined].fill(0);
            }
        }
    }
}

/// The length found afterwards: any that the file has had since the last sync.
fn surviving_len(durable: &[u8], unsynced: &[Change], random: &mut Random) -> u64 {
    let mut now = durable.len() as u64;
    let mut lens = vec![now];
    for change in unsynced {
        let next = match change {
            Change::Write { offset, bytes } => now.max(offset + bytes.len() as u64),
            Change::Len(len) => *len,
        };
        if next != now {
            now = next;
            lens.push(now);
        }
    }
    match random.below(4) {
        0 => lens[0],
        1 => lens[random.index(lens.len())],
        _ => now,
    }
}

fn put(image: &mut Vec<u8>, offset: u64, bytes: &[u8], old: &[u8], random: &mut Random) {
    let end = offset + bytes.len() as u64;
    if (image.len() as u64) < end {
        resize(image, end, old, random);
    }
    image[offset as usize..end as usize].copy_from_slice(bytes);
}

/// Cuts, or extends with zeros, noise, or something the disk once held.
fn resize(image: &mut Vec<u8>, len: u64, old: &[u8], random: &mut Random) {
    let start = image.len();
    image.resize(len as usize, 0);
    let Some(grown) = image.get_mut(start..) else { return };
    match random.below(4) {
        0 => random.fill(grown),
        1 if !old.is_empty() => {
            let sectors = old.len().div_ceil(SECTOR_BYTES as usize);
            let from = random.index(sectors) * SECTOR_BYTES as usize;
            for (to, byte) in grown.iter_mut().zip(&old[from..]) {
                *to = *byte;
            }
        }
        _ => {}
    }
}
