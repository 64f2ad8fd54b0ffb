use super::disk::Disk;
use super::*;
use crate::log::frame;
use proptest::prelude::*;

/// A prefix of `all`, at least `durable` commits long.
fn assert_prefix(found: &Commits, all: &Commits, durable: usize, when: &str) {
    assert!(found.len() <= all.len() && *found == all[..found.len()], "{when}: not a prefix");
    assert!(found.len() >= durable, "{when}: {} commits of at least {durable}", found.len());
}

/// Commits with a mark after each eighth; where each ends; up to where the last mark proves.
fn marked(sizes: &[usize]) -> (MemoryStorage, Commits, Vec<(u64, u64)>) {
    let storage = MemoryStorage::new();
    let mut log = Log::create(&storage, config(), start()).unwrap();
    let mut commits = Vec::new();
    let mut marks = Vec::new();
    for (sequence, size) in (1..).zip(sizes) {
        let payload = payload(sequence, *size);
        log.append(&storage, sequence, &payload).unwrap();
        commits.push((sequence, payload));
        if sequence % 8 == 0 {
            log.set_durable(sequence);
            log.mark(&storage).unwrap();
            marks.push((log.position().offset, sequence));
        }
    }
    (storage, commits, marks)
}

#[test]
fn a_log_cut_short_anywhere_gives_the_commits_before_the_cut() {
    let sizes: Vec<usize> = (0..60).map(|i| (i * 977) % 5000).collect();
    let (storage, commits, _) = marked(&sizes);
    let whole = log_bytes(&storage);
    for cut in (4096..whole.len()).step_by(509) {
        let (found, _) = read(&with_log(&whole[..cut])).unwrap();
        assert_prefix(&found, &commits, 0, "truncated");
        let mut zeroed = whole.clone();
        zeroed[cut..].fill(0);
        let (zeroed_found, end) = read(&with_log(&zeroed)).unwrap();
        assert!(zeroed_found == found, "zeros and nothing are the same");
        assert!(end.last_sequence() == found.len() as u64);
    }
}

#[test]
fn after_each_write_of_a_commit_the_log_holds_it_whole_or_not_at_all() {
    for writes in 0..8 {
        let disk = Disk::default();
        let mut log = Log::create(&disk, config(), start()).unwrap();
        log.append(&disk, 1, &payload(1, 100)).unwrap();
        disk.fail_after(writes);
        let failed = log.append(&disk, 2, &payload(2, 300_000)).is_err();
        let (found, end) = read(&disk).unwrap();
        assert_eq!(found.len(), if failed { 1 } else { 2 });
        assert_eq!(end.torn.is_some(), failed, "{writes} writes: what was cut off is reported");
        assert_eq!(end.segments.len(), if failed { 1 } else { log.regions_in_use() });
        assert_eq!(end.position, log.position(), "a failed append does not move the log");
    }
}

#[test]
fn a_failed_append_is_overwritten_by_its_successor_or_a_mark() {
    for writes in 0..4 {
        for size in [0, 5000, 200_000] {
            let disk = Disk::default();
            let mut log = Log::create(&disk, config(), start()).unwrap();
            log.append(&disk, 1, &payload(1, 100)).unwrap();
            disk.fail_after(writes);
            if log.append(&disk, 2, &payload(2, 250_000)).is_ok() {
                continue;
            }
            disk.heal();
            log.append(&disk, 3, &payload(3, size)).unwrap();
            let (found, end) = read(&disk).unwrap();
            assert!(found == [(1, payload(1, 100)), (3, payload(3, size))], "{writes} writes, then {size} bytes");
            assert_eq!(end.position, log.position());
        }
    }
    let disk = Disk::default();
    let mut log = Log::create(&disk, config(), start()).unwrap();
    disk.fail_after(0);
    assert!(log.append(&disk, 1, &payload(1, 10)).is_err());
    disk.heal();
    log.mark(&disk).unwrap();
    assert!(read(&disk).unwrap().0.is_empty());
}

#[test]
fn a_frame_that_survives_a_torn_predecessor_is_dropped_with_it() {
    let (storage, log, commits) = written(&[100, 2000, 100, 100]);
    let mut bytes = log_bytes(&storage);
    let mut ends = Vec::new();
    replay(&storage, ID, None, &[], start(), &mut |commit| {
        ends.push(commit.end.offset as usize);
        Ok(Verdict::Whole)
    })
    .unwrap();
    bytes[ends[0] + 1024..ends[0] + 1536].fill(0);
    let (found, end) = read(&with_log(&bytes)).unwrap();
    assert!(found == commits[..1]);
    let torn = end.torn.unwrap();
    assert_eq!(torn.offset, ends[0] as u64);
    assert_eq!(torn.bytes, log.position().offset - torn.offset, "up to the last frame that survived");
}

#[test]
fn the_creation_of_a_log_may_be_torn() {
    let storage = MemoryStorage::new();
    let mut log = Log::create(&storage, config(), start()).unwrap();
    log.append(&storage, 1, &payload(1, 100)).unwrap();
    let mut bytes = log_bytes(&storage);
    bytes[..512].fill(0);
    let (found, end) = read(&with_log(&bytes)).unwrap();
    assert!(found.is_empty() && end.torn.is_some() && !end.is_empty());

    let storage = with_log(&bytes);
    let mut log = Log::resume(&storage, config(), &end).unwrap();
    let from = log.position();
    log.append(&storage, 1, &payload(9, 50)).unwrap();
    assert!(read_from(&storage, &[], from).unwrap().0 == [(1, payload(9, 50))]);
}

#[test]
fn a_damaged_file_header_before_durable_commits_is_an_error() {
    let (storage, mut log, _) = written(&[100, 90_000]);
    log.set_durable(2);
    log.mark(&storage).unwrap();
    let mut bytes = log_bytes(&storage);
    bytes[3] ^= 1;
    assert!(is_corrupt(&read(&with_log(&bytes)).err().unwrap()));
    bytes[4096..8192].fill(0);
    assert!(is_corrupt(&read(&with_log(&bytes)).err().unwrap()), "the first sector of the first segment too");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    /// Commits, syncs, then a power loss: what was synced is there, the rest is a prefix.
    #[test]
    fn a_power_loss_takes_only_what_was_not_synced(
        steps in proptest::collection::vec((0..3usize, prop_oneof![3 => 0..600usize, 2 => 600..9_000usize, 1 => 50_000..150_000usize]), 1..30),
        seed in any::<u64>(),
    ) {
        let disk = Disk::default();
        let mut log = Log::create(&disk, config(), start()).unwrap();
        let mut commits = Vec::new();
        let mut durable = 0;
        for (sequence, (step, size)) in (1..).zip(&steps) {
            let payload = payload(sequence, *size);
            log.append(&disk, sequence, &payload).unwrap();
            commits.push((sequence, payload));
            if *step == 0 {
                let _ = disk.sync(FileId::Log).unwrap();
                durable = commits.len();
                log.set_durable(sequence);
            }
        }
        disk.lose_power(seed);
        let (found, end) = read(&disk).unwrap();
        assert_prefix(&found, &commits, durable, "after power loss");
        prop_assert!(end.durable_sequence <= durable as u64);
    }
}

#[test]
fn room_for_a_link_and_its_terminator_is_always_left() {
    // Fill a segment so that the last frame ends at every distance from the room kept for the link.
    for size in (64_000..65_400).step_by(8) {
        let (storage, log, commits) = written(&[size, 0, 3]);
        let (found, end) = read(&storage).unwrap();
        assert!(found == commits, "{size}");
        assert_eq!(end.position, log.position());
    }
    assert_eq!(frame::LINK_FRAME_BYTES, frame::frame_bytes(12));
}

#[test]
fn a_commit_whose_later_segments_never_arrived_is_cut_and_reported() {
    // One that begins in the old segment, and one of which only the link is there.
    for (before, size) in [(60_000, 20_000), (65_000, 5000)] {
        let (storage, ..) = written(&[before, size]);
        let mut bytes = log_bytes(&storage);
        bytes[4096 + SEGMENT as usize..].fill(0);
        let (found, end) = read(&with_log(&bytes)).unwrap();
        assert!(found == [(1, payload(1, before))]);
        let cut = end.torn.expect("reported").offset;
        assert_eq!((cut, end.position.offset, end.segments[0].end_offset), (cut, cut, cut));
        assert_eq!((end.segments.len(), end.segments[0].last_sequence), (1, 1));
        // Whatever recovery does next, the sealed part replays.
        let storage = with_log(&bytes);
        let log = Log::resume(&storage, config(), &end).unwrap();
        assert!(read_from(&storage, &end.segments, log.position()).unwrap().0 == found);
    }
}
