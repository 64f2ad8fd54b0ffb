//! CRC-32 where the program is fetched each time it is run: the tables it is computed by are made when they are first needed.
//! As constants they would be 16 KiB that nothing compresses. (Elsewhere `crc32fast` knows the processors' instructions.)
//!
//! **Invariant:** the last number of the last table is stored last, and is not 0; so whoever finds it there finds all.

use core::sync::atomic::AtomicU32;
use core::sync::atomic::Ordering::{Acquire, Relaxed, Release};

/// The polynomial of ISO-HDLC, its bits in reverse.
const POLYNOMIAL: u32 = 0xedb8_8320;

/// What a byte does to the sum when as many bytes follow it as there are tables before.
static TABLES: [[AtomicU32; 256]; 16] = [const { [const { AtomicU32::new(0) }; 256] }; 16];

/// The CRC-32 of bytes that follow those of which `crc` is one; 0 of none.
pub(super) fn crc32(crc: u32, bytes: &[u8]) -> u32 {
    if TABLES[15][255].load(Acquire) == 0 {
        make_tables();
    }
    let mut crc = !crc;
    let (blocks, rest) = bytes.as_chunks::<16>();
    for &[b0, b1, b2, b3, b4, b5, b6, b7, b8, b9, b10, b11, b12, b13, b14, b15] in blocks {
        let [c0, c1, c2, c3] = crc.to_le_bytes();
        let first = number(15, b0 ^ c0) ^ number(14, b1 ^ c1) ^ number(13, b2 ^ c2) ^ number(12, b3 ^ c3);
        let second = number(11, b4) ^ number(10, b5) ^ number(9, b6) ^ number(8, b7);
        let third = number(7, b8) ^ number(6, b9) ^ number(5, b10) ^ number(4, b11);
        let fourth = number(3, b12) ^ number(2, b13) ^ number(1, b14) ^ number(0, b15);
        crc = first ^ second ^ third ^ fourth;
    }
    for &byte in rest {
        crc = crc >> 8 ^ number(0, byte ^ crc as u8);
    }
    !crc
}

/// `table` is a constant, so neither bound is checked.
#[inline(always)]
fn number(table: usize, byte: u8) -> u32 {
    TABLES[table][usize::from(byte)].load(Relaxed)
}

/// Two threads may do so at once: they store the same.
#[cold]
fn make_tables() {
    for (byte, place) in (0..).zip(&TABLES[0]) {
        let crc = (0..8).fold(byte, |crc: u32, _| crc >> 1 ^ (crc & 1).wrapping_neg() & POLYNOMIAL);
        place.store(crc, Relaxed);
    }
    for pair in TABLES.windows(2) {
        let [before, table] = pair else { continue };
        for (before, place) in before.iter().zip(table) {
            let before = before.load(Relaxed);
            place.store(before >> 8 ^ number(0, before as u8), Release);
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn sums_are_those_of_another_program(bytes in any::<Vec<u8>>(), cut in any::<proptest::sample::Index>()) {
            let (first, second) = bytes.split_at(cut.index(bytes.len() + 1));
            prop_assert_eq!(crc32(crc32(0, first), second), crc32fast::hash(&bytes));
        }
    }

    #[test]
    fn every_number_of_the_tables_is_used_as_another_program_would() {
        for byte in 0..=u8::MAX {
            for at in 0..16 {
                let mut bytes = [0; 16];
                bytes[at] = byte;
                assert_eq!(crc32(0, &bytes), crc32fast::hash(&bytes));
            }
        }
    }
}
