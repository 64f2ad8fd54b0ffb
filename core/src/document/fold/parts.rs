//! The blocks of the table in parts of eight letters, each kept once: 11 kB instead of 27 of a program that is stored as it is. In a browser,
//! which fetches it compressed, what takes this apart would be more than it takes off.

use super::table::BLOCKS;

/// A part holds two to the power of this letters.
const PART_BITS: usize = 3;
const PART: usize = 1 << PART_BITS;

/// What is made while the program is compiled.
struct Split {
    /// The number of each part of the blocks.
    numbers: [u16; BLOCKS.len() / PART],
    /// The parts that differ, by their numbers, as many as `len` says.
    letters: [u16; BLOCKS.len()],
    len: usize,
}

const SPLIT: Split = split();
static NUMBERS: [u16; BLOCKS.len() / PART] = SPLIT.numbers;
static LETTERS: [u16; SPLIT.len] = *SPLIT.letters.first_chunk().unwrap();

/// What stands in [`BLOCKS`] at a place; 0 behind its end.
pub(super) fn entry(at: usize) -> u16 {
    let part = NUMBERS.get(at >> PART_BITS).copied().unwrap_or_default();
    let at = (usize::from(part) << PART_BITS) | (at & (PART - 1));
    LETTERS.get(at).copied().unwrap_or_default()
}

#[allow(clippy::indexing_slicing, reason = "runs while the program is compiled")]
const fn split() -> Split {
    let mut split = Split { numbers: [0; BLOCKS.len() / PART], letters: [0; BLOCKS.len()], len: 0 };
    let mut number = 0;
    while number < split.numbers.len() {
        let mut at = 0;
        while at < split.len && !is_at(&split.letters, at, number * PART) {
            at += PART;
        }
        if at == split.len {
            while split.len < at + PART {
                split.letters[split.len] = BLOCKS[number * PART + split.len - at];
                split.len += 1;
            }
        }
        split.numbers[number] = (at / PART) as u16;
        number += 1;
    }
    split
}

/// Whether the letters at a place are those of the blocks' part at another.
#[allow(clippy::indexing_slicing, reason = "runs while the program is compiled")]
const fn is_at(letters: &[u16], at: usize, of_blocks: usize) -> bool {
    let mut next = 0;
    while next < PART && letters[at + next] == BLOCKS[of_blocks + next] {
        next += 1;
    }
    next == PART
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_taken_apart_is_what_was() {
        assert!(BLOCKS.iter().enumerate().all(|(at, becomes)| entry(at) == *becomes));
        assert_eq!(entry(BLOCKS.len()), 0);
        assert!(2 * (NUMBERS.len() + LETTERS.len()) < BLOCKS.len());
    }
}
