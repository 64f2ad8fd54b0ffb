//! Mutations of a corpus, the same for the same seed.

use super::files::Files;
use super::{Shape, Target};
use crate::random::Random;

/// No mutation is longer.
const BYTES_MAX: usize = 1 << 18;
/// Numbers that break things.
const NUMBERS: [u64; 18] = [
    0,
    1,
    2,
    63,
    64,
    127,
    128,
    255,
    4095,
    4096,
    0xffff,
    0x1_0000,
    0x7fff_ffff,
    0xffff_ffff,
    1 << 40,
    i64::MAX as u64,
    u64::MAX - 7,
    u64::MAX,
];
const WORDS: [&str; 14] = [
    "\n",
    "\"",
    "{",
    "}",
    "[",
    "]",
    ",",
    "\\u0000",
    "null",
    "1e999",
    "-9223372036854775809",
    "?",
    "(u8, string)",
    "\r\n",
];

/// A mutation of `seed`, perhaps with parts of `other`.
pub fn mutate(target: &Target, seed: &[u8], other: &[u8], random: &mut Random) -> Vec<u8> {
    if target.shape != Shape::Files {
        return changed(seed, other, target.shape, random);
    }
    if random.below(20) == 0 {
        return changed(seed, other, Shape::Bytes, random);
    }
    // In the files themselves: packed, one byte more or less would shift everything behind it.
    let (mut files, other) = (Files::unpack(seed), Files::unpack(other));
    if random.below(30) == 0 {
        files.log = other.log;
    } else if files.data.is_empty() || random.below(3) == 0 {
        files.log = change_file(files.log, &other.log, random);
    } else {
        files.data = change_file(files.data, &other.data, random);
    }
    files.pack()
}

/// Changes that leave most of a file where it is.
fn change_file(mut file: Vec<u8>, other: &[u8], random: &mut Random) -> Vec<u8> {
    // Most of a file is zeros that nobody looks at: aim at sectors that hold something.
    let sectors: Vec<usize> = (0..file.len().div_ceil(4096))
        .filter(|sector| file[sector * 4096..].iter().take(4096).any(|byte| *byte != 0))
        .collect();
    for _ in 0..=random.below(3) {
        let sector = pick(&sectors, random).unwrap_or(0) * 4096;
        let used = file.get(sector..).map_or(0, |rest| {
            let rest = &rest[..rest.len().min(4096)];
            rest.iter().rposition(|byte| *byte != 0).map_or(1, |last| last + 1)
        });
        let at = sector + random.below(used.max(1) as u64) as usize;
        // Another change may have cut it off.
        if at >= file.len() {
            continue;
        }
        match random.below(12) {
            0 => file.truncate(at),
            1 => {
                let len = random.below(300) as usize;
                let from = random.index(other.len());
                let piece = &other[from..other.len().min(from + len)];
                file.iter_mut().skip(at).zip(piece).for_each(|(to, from)| *to = *from);
            }
            2 => {
                let to = random.index(file.len());
                let len = random.below(5000) as usize;
                let end = (at + len).min(file.len()).min(at + (file.len() - to));
                file.copy_within(at..end, to);
            }
            3 => {
                let len = random.below(600) as usize;
                file.iter_mut().skip(at).take(len).for_each(|byte| *byte = 0);
            }
            4 | 5 => file[at] ^= 1 << random.below(8),
            6 => file[at] = file[at].wrapping_add(1),
            7 => file[at] = file[at].wrapping_sub(1),
            _ => put_number(&mut file, at, random),
        }
    }
    file
}

fn changed(seed: &[u8], other: &[u8], shape: Shape, random: &mut Random) -> Vec<u8> {
    let mut bytes = seed.to_vec();
    for _ in 0..=random.below(4) {
        let at = random.below(bytes.len() as u64 + 1) as usize;
        let len = random.below(40) as usize;
        let end = (at + len).min(bytes.len());
        match random.below(10) {
            0 => bytes.truncate(at),
            1 => drop(bytes.drain(at..end)),
            2 => {
                let piece = bytes[at..end].to_vec();
                let to = random.below(bytes.len() as u64 + 1) as usize;
                bytes.splice(to..to, piece);
            }
            3 => {
                let from = random.below(other.len() as u64 + 1) as usize;
                let piece = other[from..other.len().min(from + len)].to_vec();
                bytes.splice(at..end, piece);
            }
            4 if shape == Shape::Text => {
                let word = WORDS[random.below(WORDS.len() as u64) as usize];
                bytes.splice(at..at, word.bytes());
            }
            4 | 5 => put_number(&mut bytes, at, random),
            6 => bytes.insert(at, random.bits() as u8),
            _ => {
                if let Some(byte) = bytes.get_mut(at) {
                    *byte = if random.below(2) == 0 { *byte ^ 1 << random.below(8) } else { random.bits() as u8 };
                }
            }
        }
    }
    bytes.truncate(BYTES_MAX);
    bytes
}

/// Puts a number over 1, 2, 4 or 8 bytes.
fn put_number(bytes: &mut [u8], at: usize, random: &mut Random) {
    let number = NUMBERS[random.below(NUMBERS.len() as u64) as usize];
    let width = 1usize << random.below(4);
    bytes.iter_mut().skip(at).zip(&number.to_le_bytes()[..width]).for_each(|(to, from)| *to = *from);
}

fn pick(items: &[usize], random: &mut Random) -> Option<usize> {
    items.get(random.below(items.len() as u64) as usize).copied()
}
