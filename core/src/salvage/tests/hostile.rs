//! Files made up: an error or a report, never a panic.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use super::damage::salvage;
use super::workload::{Made, Random};
use crate::error::Error;

fn made(data: Vec<u8>, log: Vec<u8>) -> Made {
    Made { data, log, history: BTreeMap::new() }
}

#[test]
fn random_files_are_no_databases() {
    let mut random = Random(1);
    for len in [0, 1, 100, 4096, 8192, 8256, 100_000] {
        let data = random.bytes(len);
        assert!(matches!(salvage(&made(data, random.bytes(70_000))), Err(Error::NotADatabase { .. })), "{len}");
    }
}

#[test]
fn what_looks_like_nodes_everywhere_ends() {
    let mut whole = Made::new(2, 30, true);
    // Each grain says it begins a node of nearly a megabyte.
    let mut grain = alloc::vec![0u8; 64];
    grain[4] = 0xb0;
    grain[6] = 1;
    grain[8..12].copy_from_slice(&(1_000_000u32).to_le_bytes());
    grain[12..16].copy_from_slice(&(1_000_000u32).to_le_bytes());
    whole.data.truncate(8192);
    for _ in 0..(2 << 20) / 64 {
        whole.data.extend_from_slice(&grain);
    }
    let (_, report) = salvage(&whole).unwrap();
    assert_eq!(report.records, 0);
}

#[test]
fn flipped_bits_never_panic() {
    let whole = Made::new(11, 50, false);
    let mut random = Random(5);
    for _ in 0..40 {
        let mut flipped = Made { data: whole.data.clone(), log: whole.log.clone(), history: whole.history.clone() };
        for _ in 0..1 + random.below(200) {
            let bytes = if random.below(4) == 0 { &mut flipped.log } else { &mut flipped.data };
            let at = random.below(bytes.len() as u64) as usize;
            bytes[at] ^= 1 << random.below(8);
        }
        if let Ok((into, _)) = salvage(&flipped) {
            let found = into.snapshot();
            for (key, versions) in &whole.history {
                let back = found.get_raw(key).unwrap();
                assert!(back.is_none() || versions.contains(&back));
            }
        }
    }
}
