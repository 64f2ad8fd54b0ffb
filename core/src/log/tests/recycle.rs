use super::*;
use proptest::prelude::*;

#[test]
fn frames_left_in_recycled_regions_are_never_taken() {
    let storage = MemoryStorage::new();
    let mut log = Log::create(&storage, LogConfig { regions_max: 3, ..config() }, start()).unwrap();
    let mut from = start();
    let mut since: Commits = Vec::new();
    for sequence in 1..400 {
        let payload = payload(sequence, (sequence as usize * 331) % 3000);
        log.append(&storage, sequence, &payload).unwrap();
        since.push((sequence, payload));
        log.set_durable(sequence);
        if sequence % 20 == 0 {
            from = log.position();
            since.clear();
            log.release(&from);
        }
        let (found, end) = read_from(&storage, &[], from).unwrap();
        assert!(found == since, "after {sequence}");
        assert_eq!(end.torn, None, "after {sequence}: what an earlier use left is not a torn append");
        assert_eq!(end.position, log.position());
    }
    assert!(log.position().generation > 8 && log_bytes(&storage).len() <= 4096 + 3 * SEGMENT as usize);
}

#[test]
fn a_cut_in_a_recycled_region_falls_back_to_zeros_or_old_frames_alike() {
    let storage = MemoryStorage::new();
    let mut log = Log::create(&storage, LogConfig { regions_max: 2, ..config() }, start()).unwrap();
    let mut sequence = 0;
    while log.position().generation < 5 {
        sequence += 1;
        log.append(&storage, sequence, &payload(sequence, 1000)).unwrap();
        log.release(&log.position());
    }
    let from = log.position();
    let old = log_bytes(&storage);
    let mut commits = Vec::new();
    for more in 1..20 {
        let payload = payload(sequence + more, 700);
        log.append(&storage, sequence + more, &payload).unwrap();
        commits.push((sequence + more, payload));
    }
    let new = log_bytes(&storage);
    // Sector by sector the new bytes have arrived, behind them what was there before.
    let (first, last) = ((from.offset / 512) as usize, (log.position().offset / 512) as usize);
    for unit in first..=last + 1 {
        let mut mixed = new[..unit * 512].to_vec();
        mixed.extend_from_slice(&old[unit * 512..]);
        let (found, _) = read_from(&with_log(&mixed), &[], from).unwrap();
        assert!(found == commits[..found.len()]);
        let mut reverse = old[..unit * 512].to_vec();
        reverse.extend_from_slice(&new[unit * 512..]);
        let (found, _) = read_from(&with_log(&reverse), &[], from).unwrap();
        assert!(unit == first || found.is_empty());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]
    #[test]
    fn a_ring_of_any_history_replays_from_its_last_checkpoint(
        steps in proptest::collection::vec((0..6u8, prop_oneof![3 => 0..4000usize, 1 => 20_000..120_000usize]), 1..80),
    ) {
        let storage = MemoryStorage::new();
        let mut log = Log::create(&storage, LogConfig { regions_max: 5, ..config() }, start()).unwrap();
        let (mut from, mut since, mut sequence) = (start(), Vec::new(), 0);
        for (step, size) in steps {
            sequence += 1;
            let payload = payload(sequence, size);
            match log.append(&storage, sequence, &payload) {
                Ok(()) => since.push((sequence, payload)),
                Err(Error::LimitExceeded { .. }) => {}
                Err(error) => panic!("{error}"),
            }
            if step == 0 {
                from = log.position();
                log.release(&from);
                since.clear();
            }
        }
        let (found, end) = read_from(&storage, &[], from).unwrap();
        prop_assert!(found == since);
        prop_assert_eq!(end.position, log.position());
        prop_assert_eq!(end.torn, None);
    }
}

#[test]
fn a_frame_of_another_history_of_the_same_segment_does_not_continue_the_chain() {
    // Generation 1, twice: what a failed append leaves behind its successor, the terminator lost.
    let (theirs, ..) = written(&[100, 50, 60]);
    let storage = MemoryStorage::new();
    let mut log = Log::create(&storage, config(), start()).unwrap();
    log.append(&storage, 1, &payload(77, 100)).unwrap();
    let end = log.position().offset as usize;
    let mut mixed = log_bytes(&theirs);
    mixed[..end].copy_from_slice(&log_bytes(&storage)[..end]);
    let (found, end) = read(&with_log(&mixed)).unwrap();
    assert!(found == [(1, payload(77, 100))]);
    assert!(end.torn.is_some());
}

#[test]
fn a_segment_of_another_history_does_not_continue_the_chain() {
    // The same generation in the same region, but led to by another link.
    let (ours, ..) = written(&[60_000, 10_000]);
    let (theirs, ..) = written(&[60_001, 10_000]);
    let second = 4096 + SEGMENT as usize;
    let mut mixed = log_bytes(&ours);
    mixed[second..].copy_from_slice(&log_bytes(&theirs)[second..]);
    let (found, end) = read(&with_log(&mixed)).unwrap();
    assert!(found == [(1, payload(1, 60_000))]);
    assert!(end.torn.is_some());
}

#[test]
fn a_generation_that_was_cut_off_is_not_given_again() {
    let (storage, log, _) = written(&[100, 300_000]);
    let last = log.position().generation;
    let mut bytes = log_bytes(&storage);
    bytes[4096 + 64 + 10] ^= 1;
    let (_, end) = read(&with_log(&bytes)).unwrap();
    assert!(end.next_generation > last);
    // Even if the headers of the segments cut off are lost.
    for region in 1..5 {
        bytes[4096 + region * SEGMENT as usize..][..64].fill(0);
    }
    let (_, end) = read(&with_log(&bytes)).unwrap();
    assert!(end.next_generation > last);
    let storage = with_log(&bytes);
    let log = Log::resume(&storage, config(), &end).unwrap();
    assert_eq!(log.position().generation, end.next_generation);
    assert_eq!(log.position().region, 1, "segment 1 is still what the checkpoint leads to");
}
