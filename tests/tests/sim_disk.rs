//! The simulated disk does what the fault model allows, all of it, and nothing else.

use std::collections::BTreeSet;

use lightning_db::env::{FileId, Storage, StorageErrorKind, Sync};
use lightning_db_tests::random::Random;
use lightning_db_tests::sim_disk::{Fault, SECTOR_BYTES, SimDisk, UNIT_BYTES};

const SEEDS: u64 = 2000;
const UNIT: usize = UNIT_BYTES as usize;
const SECTOR: usize = SECTOR_BYTES as usize;

fn sync(disk: &SimDisk) {
    for file in FileId::ALL {
        assert_eq!(disk.sync(file), Ok(Sync::Done));
    }
}

/// The data file after a power loss, for many seeds.
fn outcomes(disk: &SimDisk) -> Vec<Vec<u8>> {
    let after = |seed| {
        let disk = disk.clone();
        disk.power_loss(seed);
        let [data, _log] = disk.contents();
        data
    };
    (0..SEEDS).map(after).collect()
}

/// Four sectors of `1`, durable.
fn disk_of_ones() -> SimDisk {
    let disk = SimDisk::new(1);
    disk.write_at(FileId::Data, 0, &[1; 4 * SECTOR]).unwrap();
    sync(&disk);
    disk
}

#[test]
fn what_was_synced_survives_every_power_loss() {
    let disk = disk_of_ones();
    assert!(outcomes(&disk).iter().all(|data| data == &[1; 4 * SECTOR]));
}

#[test]
fn unsynced_writes_are_found_whole_missing_or_torn_by_units() {
    let disk = disk_of_ones();
    disk.write_at(FileId::Data, SECTOR_BYTES, &[2; 2 * SECTOR]).unwrap();
    let found: BTreeSet<Vec<u8>> = outcomes(&disk).into_iter().collect();
    assert!(found.contains(vec![1; 4 * SECTOR].as_slice()), "missing");
    let mut whole = vec![1; 4 * SECTOR];
    whole[SECTOR..3 * SECTOR].fill(2);
    assert!(found.contains(&whole), "whole");
    assert!(found.len() > 100, "torn in many ways: {}", found.len());
    for data in &found {
        assert!(data[..SECTOR].iter().chain(&data[3 * SECTOR..]).all(|byte| *byte == 1), "outside the write");
        for unit in data.chunks(UNIT) {
            assert!(unit.iter().all(|byte| *byte == unit[0]), "a unit is all old or all new");
        }
    }
}

#[test]
fn a_torn_write_may_ruin_the_rest_of_its_own_sectors_and_no_others() {
    let disk = disk_of_ones();
    disk.write_at(FileId::Data, SECTOR_BYTES + 1000, &[2; SECTOR]).unwrap();
    let found = outcomes(&disk);
    assert!(found.iter().all(|data| data[..SECTOR] == [1; SECTOR] && data[3 * SECTOR..] == [1; SECTOR]));
    assert!(found.iter().any(|data| data[SECTOR..SECTOR + 1000] != [1; 1000]), "ruined before");
    assert!(found.iter().any(|data| data[2 * SECTOR + 1000..3 * SECTOR] != [1; SECTOR - 1000]), "ruined after");
}

#[test]
fn writes_reach_the_disk_in_any_order() {
    let disk = disk_of_ones();
    for value in 2..5 {
        disk.write_at(FileId::Data, 0, &[value; UNIT]).unwrap();
    }
    let found: BTreeSet<u8> = outcomes(&disk).iter().map(|data| data[0]).collect();
    assert_eq!(found, BTreeSet::from([1, 2, 3, 4]));
    disk.write_at(FileId::Data, 2 * SECTOR_BYTES, &[9; UNIT]).unwrap();
    let later_without_earlier = outcomes(&disk).iter().any(|data| data[0] == 1 && data[2 * SECTOR] == 9);
    assert!(later_without_earlier);
}

#[test]
fn lengths_are_old_or_new_and_unwritten_bytes_anything() {
    let disk = disk_of_ones();
    let old = 4 * SECTOR;
    disk.set_len(FileId::Data, 6 * SECTOR_BYTES).unwrap();
    disk.write_at(FileId::Data, 7 * SECTOR_BYTES, &[2; 10]).unwrap();
    let found = outcomes(&disk);
    let lens: BTreeSet<usize> = found.iter().map(Vec::len).collect();
    assert_eq!(lens, BTreeSet::from([old, 6 * SECTOR, 7 * SECTOR + 10]));
    let grown: Vec<&[u8]> = found.iter().map(|data| &data[old..]).filter(|grown| grown.len() > SECTOR).collect();
    assert!(grown.iter().any(|grown| grown[..SECTOR].iter().all(|byte| *byte == 0)), "zeros");
    assert!(grown.iter().any(|grown| grown[..SECTOR].iter().all(|byte| *byte == 1)), "what the disk held before");
    assert!(grown.iter().any(|grown| grown[..SECTOR].iter().any(|byte| *byte > 2)), "noise");

    let disk = disk_of_ones();
    disk.set_len(FileId::Data, 10).unwrap();
    let lens: BTreeSet<usize> = outcomes(&disk).iter().map(Vec::len).collect();
    assert_eq!(lens, BTreeSet::from([10, old]));
}

#[test]
fn a_killed_process_keeps_what_it_wrote_but_the_power_may_still_go() {
    let disk = disk_of_ones();
    disk.write_at(FileId::Data, 0, &[2; UNIT]).unwrap();
    disk.kill();
    assert_eq!(disk.contents()[0][..UNIT], [2; UNIT]);
    assert!(outcomes(&disk).iter().any(|data| data[0] == 1));
}

#[test]
fn a_failed_sync_loses_writes_even_if_a_later_sync_succeeds() {
    let mut lost = BTreeSet::new();
    for seed in 0..200 {
        let disk = SimDisk::with_contents(seed, [vec![1; SECTOR], vec![]]);
        disk.write_at(FileId::Data, 0, &[2; UNIT]).unwrap();
        disk.schedule(0, Fault::Error);
        disk.sync(FileId::Data).unwrap_err();
        assert_eq!(disk.contents()[0][0], 2, "the process itself does not notice");
        disk.write_at(FileId::Data, UNIT_BYTES, &[3; UNIT]).unwrap();
        sync(&disk);
        disk.power_loss(0);
        assert_eq!(disk.contents()[0][UNIT..2 * UNIT], [3; UNIT], "the later sync is one");
        lost.insert(disk.contents()[0][0]);
    }
    assert_eq!(lost, BTreeSet::from([1, 2]));
}

#[test]
fn after_a_failed_sync_readers_may_be_shown_what_was_lost() {
    for (stale, shown) in [(true, BTreeSet::from([2])), (false, BTreeSet::from([1, 2]))] {
        let mut seen = BTreeSet::new();
        for seed in 0..200 {
            let disk = SimDisk::with_contents(seed, [vec![1; SECTOR], vec![]]);
            disk.keep_stale_cache(stale);
            disk.write_at(FileId::Data, 0, &[2; UNIT]).unwrap();
            disk.schedule(0, Fault::Error);
            disk.sync(FileId::Data).unwrap_err();
            disk.kill();
            seen.insert(disk.contents()[0][0]);
        }
        assert_eq!(seen, shown);
    }
}

#[test]
fn after_a_crash_nothing_works_until_the_machine_starts_again() {
    let disk = disk_of_ones();
    let ios = disk.io_count();
    disk.schedule(2, Fault::Crash);
    disk.read_at(FileId::Data, 0, &mut [0]).unwrap();
    disk.write_at(FileId::Data, 0, &[2; UNIT]).unwrap();
    assert!(!disk.is_crashed());
    let error = disk.write_at(FileId::Data, SECTOR_BYTES, &[3; SECTOR]).unwrap_err();
    assert!(SimDisk::is_crash(&error) && disk.is_crashed());
    assert_eq!(disk.io_count(), ios + 3);
    for result in [
        disk.read_at(FileId::Data, 0, &mut [0]),
        disk.write_at(FileId::Data, 0, &[4]),
        disk.set_len(FileId::Log, 7),
        disk.sync(FileId::Data).map(|_| ()),
        disk.len(FileId::Data).map(|_| ()),
    ] {
        assert!(SimDisk::is_crash(&result.unwrap_err()));
    }
    let found = outcomes(&disk);
    assert!(found.iter().any(|data| data[SECTOR..2 * SECTOR] != [1; SECTOR]), "the last write was under way");
    disk.kill();
    assert_eq!(disk.contents()[0][..UNIT], [2; UNIT]);
    disk.write_at(FileId::Data, 0, &[5]).unwrap();
}

#[test]
fn a_sync_that_meets_the_crash_may_have_completed() {
    let mut kept_always = BTreeSet::new();
    for seed in 0..40 {
        let disk = SimDisk::with_contents(seed, [vec![1; SECTOR], vec![]]);
        disk.write_at(FileId::Data, 0, &[2; UNIT]).unwrap();
        disk.schedule(0, Fault::Crash);
        disk.sync(FileId::Data).unwrap_err();
        kept_always.insert(outcomes(&disk).iter().all(|data| data[0] == 2));
    }
    assert_eq!(kept_always, BTreeSet::from([false, true]));
}

#[test]
fn failed_writes_are_done_in_part() {
    let mut parts = BTreeSet::new();
    for seed in 0..300 {
        let disk = SimDisk::with_contents(seed, [vec![1; SECTOR], vec![]]);
        disk.schedule(0, Fault::Error);
        assert_eq!(disk.write_at(FileId::Data, 0, &[2; 4 * UNIT]).unwrap_err().kind, StorageErrorKind::Other);
        parts.insert(disk.contents()[0].iter().filter(|byte| **byte == 2).count() / UNIT);
    }
    assert_eq!(parts, BTreeSet::from([0, 1, 2, 3, 4]));
}

#[test]
fn the_disk_fills_up_and_empties() {
    let disk = SimDisk::new(3);
    disk.limit(Some(10_000));
    disk.write_at(FileId::Data, 0, &[1; 6000]).unwrap();
    disk.write_at(FileId::Log, 0, &[1; 4000]).unwrap();
    assert_eq!(disk.write_at(FileId::Log, 4000, &[2; 1]).unwrap_err().kind, StorageErrorKind::Full);
    assert_eq!(disk.set_len(FileId::Data, 6001).unwrap_err().kind, StorageErrorKind::Full);
    assert_eq!(disk.allocate(FileId::Data, 1 << 30).unwrap_err().kind, StorageErrorKind::Full);
    disk.write_at(FileId::Log, 0, &[2; 4000]).unwrap();
    disk.set_len(FileId::Log, 0).unwrap();
    disk.write_at(FileId::Data, 6000, &[2; 4000]).unwrap();
    disk.limit(None);
    disk.write_at(FileId::Data, 6000, &[2; 9000]).unwrap();
    disk.schedule(0, Fault::Full);
    disk.read_at(FileId::Data, 0, &mut [0]).unwrap();
    assert_eq!(disk.write_at(FileId::Data, 0, &[2]).unwrap_err().kind, StorageErrorKind::Full);
    disk.write_at(FileId::Data, 0, &[2]).unwrap();
}

#[test]
fn reads_fail_end_early_and_lie_when_told_to() {
    let disk = disk_of_ones();
    let mut buf = [0; 100];
    for (fault, kind) in [(Fault::Error, StorageErrorKind::Other), (Fault::ShortRead, StorageErrorKind::UnexpectedEnd)]
    {
        disk.schedule(0, fault);
        assert_eq!(disk.read_at(FileId::Data, 0, &mut buf).unwrap_err().kind, kind);
        assert_ne!(buf, [1; 100], "a failed read does not hold the answer");
    }
    disk.schedule(0, Fault::WrongBit);
    disk.write_at(FileId::Log, 0, b"not a read").unwrap();
    disk.read_at(FileId::Data, 0, &mut buf).unwrap();
    assert_eq!(buf.iter().map(|byte| (byte ^ 1).count_ones()).sum::<u32>(), 1);
    disk.read_at(FileId::Data, 0, &mut buf).unwrap();
    assert_eq!(buf, [1; 100]);

    disk.flip_bit(FileId::Data, 50, 3);
    disk.power_loss(1);
    disk.read_at(FileId::Data, 0, &mut buf).unwrap();
    assert_eq!(buf[50], 1 | 8);
}

#[test]
fn a_seed_decides_everything() {
    let run = |seed| {
        let disk = SimDisk::new(seed);
        let mut random = Random::new(9);
        for round in 0..100 {
            if random.chance(1, 5) {
                disk.schedule(random.below(3), if round % 2 == 0 { Fault::Error } else { Fault::Crash });
            }
            let len = random.below(5000) as usize;
            let _ = disk.write_at(FileId::Data, random.below(20_000), &random.bytes(len));
            if random.chance(1, 4) {
                let _ = disk.sync(FileId::Data);
            }
            if disk.is_crashed() {
                disk.power_loss(random.bits());
            }
        }
        disk.contents()
    };
    assert!(run(1) == run(1));
    assert!(run(1) != run(2));
}
