//! Following the log while it is written, cut and used again.

use alloc::vec;
use alloc::vec::Vec;

use super::disk::Disk;
use super::*;
use crate::env::{FileId, MemoryStorage};
use crate::log::{Followed, Follower, Keep, KnownSegment, LogPosition, intact};

fn segments(log: &Log) -> Vec<KnownSegment> {
    log.followed().collect()
}

fn follower(log: &Log, after: u64) -> Follower {
    Follower::new(ID, SEGMENT, &segments(log), after).unwrap()
}

fn append(log: &mut Log, storage: &MemoryStorage, sequence: u64, bytes: usize) {
    log.append(storage, sequence, &payload(sequence, bytes)).unwrap();
}

/// Its time and flags are zero.
fn payload(sequence: u64, bytes: usize) -> Vec<u8> {
    let mut payload = vec![sequence as u8; bytes.max(2)];
    payload[..2].fill(0);
    payload
}

/// What it gives up to `until`: sequences, or `None` at the end when it lost its way.
fn all(follower: &mut Follower, storage: &MemoryStorage, until: u64) -> Vec<Option<u64>> {
    let mut found = Vec::new();
    loop {
        match follower.next(storage, until).unwrap() {
            Followed::Commit { sequence, payload: bytes, .. } => {
                assert!(bytes[2..].iter().all(|byte| *byte == sequence as u8), "commit {sequence}");
                found.push(Some(sequence));
            }
            Followed::End => return found,
            Followed::Lost { .. } => {
                found.push(None);
                return found;
            }
        }
    }
}

fn up_to(range: core::ops::RangeInclusive<u64>) -> Vec<Option<u64>> {
    range.map(Some).collect()
}

#[test]
fn commits_of_all_sizes_are_followed_from_any_of_them() {
    let storage = MemoryStorage::new();
    let mut log = Log::create(&storage, config(), start()).unwrap();
    let sizes = [1, 500, 40_000, 3, 300_000, 7, 65_000, 65_000, 1_000_000, 9, 9, 70_000];
    let mut live = follower(&log, 0);
    for (sequence, bytes) in (1..).zip(sizes) {
        append(&mut log, &storage, sequence, bytes);
        assert_eq!(all(&mut live, &storage, sequence), [Some(sequence)]);
        if sequence % 3 == 0 {
            log.mark(&storage).unwrap();
        }
    }
    let last = sizes.len() as u64;
    for after in 0..=last {
        let mut follower = follower(&log, after);
        assert_eq!(all(&mut follower, &storage, last), up_to(after + 1..=last), "after {after}");
        assert_eq!(all(&mut follower, &storage, last), []);
    }
    let mut end = Follower::at_end(ID, SEGMENT, log.position());
    append(&mut log, &storage, last + 1, 100);
    assert_eq!(all(&mut end, &storage, last + 1), [Some(last + 1)]);
}

#[test]
fn nothing_is_given_beyond_what_was_asked_for_nor_remembered_of_it() {
    let storage = MemoryStorage::new();
    let mut log = Log::create(&storage, config(), start()).unwrap();
    append(&mut log, &storage, 1, 10);
    let at = log.position();
    append(&mut log, &storage, 2, 77);
    let mut follower = follower(&log, 0);
    assert_eq!(all(&mut follower, &storage, 1), [Some(1)]);
    // The second was refused after all, and another has its place and its number.
    let image = storage.contents(FileId::Log);
    let mut zeros = vec![0; image.len() - at.offset as usize];
    storage.write_at(FileId::Log, at.offset, &zeros).unwrap();
    zeros.clear();
    let (_, end) = read_from(&storage, &[], start()).unwrap();
    assert_eq!(end.position, at);
    let mut log = Log::resume(&storage, config(), &end).unwrap();
    log.adopt(&[], start().generation);
    append(&mut log, &storage, 2, 9);
    let mut again = Follower::new(ID, SEGMENT, &segments(&log), 1).unwrap();
    let Followed::Commit { sequence: 2, payload, .. } = again.next(&storage, 2).unwrap() else { panic!() };
    assert_eq!(payload.len(), 9);
}

/// It has read a segment to its end when that is used again, while what follows is still there.
#[test]
fn a_segment_used_again_is_not_read_as_what_it_was() {
    let storage = MemoryStorage::new();
    let mut log = Log::create(&storage, LogConfig { regions_max: 3, ..config() }, start()).unwrap();
    // Fills the first segment so that no piece of the next commit fits.
    let room = SEGMENT as usize - 64 - 56 - 40;
    append(&mut log, &storage, 1, room);
    let mut at_end = follower(&log, 0);
    assert_eq!(all(&mut at_end, &storage, 1), [Some(1)]);
    let mut behind = follower(&log, 0);
    append(&mut log, &storage, 2, 100);
    assert_eq!(log.followed().count(), 2);
    log.release(&log.position());
    append(&mut log, &storage, 3, room - 140 - 40);
    append(&mut log, &storage, 4, room);
    assert_eq!(log.position().region, 0, "the first region is used again");
    for lost in [&mut at_end, &mut behind] {
        let Followed::Lost { generation, .. } = lost.next(&storage, 4).unwrap() else { panic!() };
        assert_eq!(generation, start().generation);
    }
    assert!(Follower::new(ID, SEGMENT, &segments(&log), 0).is_none(), "commit 1 is gone");
    assert_eq!(all(&mut follower(&log, 1), &storage, 4), up_to(2..=4));
}

#[test]
fn what_a_recovery_cut_off_is_passed_over() {
    let storage = MemoryStorage::new();
    let mut log = Log::create(&storage, config(), start()).unwrap();
    (1..=5).for_each(|sequence| append(&mut log, &storage, sequence, 30_000));
    // Commit 5 reaches into the next segment, and only its beginning was stored.
    let first = segments(&log)[0];
    let mut image = storage.contents(FileId::Log);
    let second = 4096 + SEGMENT as usize * segments(&log)[2].region as usize;
    image[second..second + 64].fill(0);
    let storage = MemoryStorage::with_contents(Vec::new(), image);
    let (_, end) = read_from(&storage, &[], start()).unwrap();
    let cut = end.last_sequence();
    assert!(cut < 5);
    let mut log = Log::resume(&storage, config(), &end).unwrap();
    log.adopt(&[], first.generation);
    // Another that began and had no commit.
    let (_, end) = read_from(&storage, &end.segments, log.position()).unwrap();
    let mut log = Log::resume(&storage, config(), &end).unwrap();
    log.adopt(&[], first.generation);
    (cut + 1..=9).for_each(|sequence| append(&mut log, &storage, sequence, 30_000));
    for after in 0..9 {
        assert_eq!(all(&mut follower(&log, after), &storage, 9), up_to(after + 1..=9));
    }
}

#[test]
fn kept_segments_are_followed_after_a_close_and_are_none_when_they_changed() {
    let keep = Keep { bytes: 3 * u64::from(SEGMENT), after: None };
    let storage = MemoryStorage::new();
    let mut log = Log::create(&storage, LogConfig { regions_max: 4, ..config() }, start()).unwrap();
    for sequence in 1..=40 {
        append(&mut log, &storage, sequence, 20_000);
        let position = log.position();
        let kept = log.kept_before(position.generation, keep);
        log.release_to_feeds(&position, kept.first().map_or(position.generation, |segment| segment.generation));
        assert_eq!((log.live_bytes() < u64::from(SEGMENT), kept.len() <= 3), (true, true));
    }
    let fresh = log.fresh_position(keep);
    let kept = log.kept_before(fresh.generation, keep);
    assert_eq!(kept.len(), 3);
    assert!(fresh.is_fresh() && kept.iter().all(|segment| segment.region != fresh.region));
    assert!(!log.position().is_fresh() && LogPosition::fresh(3, 4).is_fresh());
    let oldest = kept[0].sequence;
    log.release_to_feeds(&fresh, kept[0].generation);
    log.trim(&storage).unwrap();

    let found = intact(&storage, &ID, SEGMENT, kept.clone()).unwrap();
    assert_eq!(found, kept);
    let mut log = Log::create(&storage, config(), fresh).unwrap();
    log.adopt(&found, fresh.generation);
    append(&mut log, &storage, 41, 9);
    assert_eq!(all(&mut follower(&log, oldest), &storage, 41), up_to(oldest + 1..=41));

    let damaged = MemoryStorage::with_contents(Vec::new(), {
        let mut image = storage.contents(FileId::Log);
        image[4096 + (SEGMENT * kept[1].region) as usize + 40] ^= 4;
        image
    });
    assert_eq!(intact(&damaged, &ID, SEGMENT, kept.clone()).unwrap(), kept[2..]);
    assert_eq!(intact(&MemoryStorage::new(), &ID, SEGMENT, kept.clone()).unwrap(), []);

    // Read wrong once, and not to be read at all: neither says that it is not there.
    let header = 4096 + u64::from(SEGMENT * kept[1].region);
    let disk = Disk::with_log(&storage.contents(FileId::Log));
    disk.misread(header + 40);
    assert_eq!(intact(&disk, &ID, SEGMENT, kept.clone()).unwrap(), kept);
    disk.lose(header);
    assert_eq!(intact(&disk, &ID, SEGMENT, kept.clone()).unwrap(), kept);
}
