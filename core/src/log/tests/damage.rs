use super::disk::{Disk, Random};
use super::*;
use crate::log::frame::Kind;
use proptest::prelude::*;

/// Ten commits over three segments; the first six are shown durable by every later frame, and the last mark too.
fn half_durable() -> (Vec<u8>, Commits, u64) {
    let storage = MemoryStorage::new();
    let mut log = Log::create(&storage, config(), start()).unwrap();
    let mut commits = Vec::new();
    let mut boundary = 0;
    for sequence in 1..=10 {
        let size = [40_000, 100, 30_000, 7, 5000, 300, 20_000, 60, 45_000, 900][sequence as usize - 1];
        let payload = payload(sequence, size);
        log.append(&storage, sequence, &payload).unwrap();
        commits.push((sequence, payload));
        if sequence == 6 {
            boundary = log.position().offset;
            log.set_durable(6);
            log.mark(&storage).unwrap();
        }
    }
    (log_bytes(&storage), commits, boundary)
}

#[test]
fn a_flipped_byte_is_an_error_before_the_durable_sequence_and_a_clean_cut_after_it() {
    let (mut bytes, commits, boundary) = half_durable();
    let end = bytes.len();
    let (mut errors, mut cuts) = (0, 0);
    let places = (0..64)
        .chain(4096..4096 + 400)
        .chain((0..end).step_by(37))
        .chain(boundary as usize - 64..boundary as usize + 200);
    for at in places {
        bytes[at] ^= 0x5a;
        match read(&with_log(&bytes)) {
            Err(error) => {
                assert!(is_corrupt(&error), "{error}");
                assert!(at < boundary as usize || at < 4096, "byte {at} (boundary {boundary}): {error}");
                errors += 1;
            }
            Ok((found, end)) => {
                assert!(found == commits[..found.len()], "byte {at}");
                assert!(found.len() >= 6, "byte {at}: durable commits lost in silence");
                assert!(found.len() == 10 || end.torn.is_some(), "byte {at}: cut in silence");
                cuts += usize::from(found.len() < 10);
            }
        }
        bytes[at] ^= 0x5a;
    }
    assert!(errors > 1000 && cuts > 1000, "{errors} errors, {cuts} cuts");
}

#[test]
fn a_byte_read_wrong_once_cuts_nothing() {
    let (bytes, commits, _) = half_durable();
    let disk = Disk::with_log(&bytes);
    for at in (0..4096 + 400).chain((0..bytes.len()).step_by(101)) {
        disk.misread(at as u64);
        match read(&disk) {
            Ok((found, end)) => assert!(found == commits && end.torn.is_none(), "byte {at}: {:?}", end.torn),
            Err(error) => {
                assert!(is_corrupt(&error) || matches!(error, Error::Unsupported { .. }), "byte {at}: {error}")
            }
        }
    }
}

#[test]
fn the_error_names_the_segment_the_offset_and_the_commit() {
    let (mut bytes, ..) = half_durable();
    bytes[4096 + 64 + 100] ^= 1;
    let error = read(&with_log(&bytes)).err().unwrap();
    let Error::Corrupt(corruption) = &error else { panic!("{error}") };
    assert_eq!((corruption.file, corruption.offset), (FileId::Log, 4096 + 64));
    let message = error.to_string();
    assert!(message.contains("segment 1") && message.contains("commit 6"), "{message}");
}

#[test]
fn proof_in_a_later_segment_counts_even_if_the_link_to_it_is_lost() {
    let (storage, mut log, _) = written(&[60_000]);
    log.set_durable(1);
    log.append(&storage, 2, &payload(2, 60_000)).unwrap();
    let mut bytes = log_bytes(&storage);
    // All of the first segment but its header.
    bytes[4096 + 64..4096 + SEGMENT as usize].fill(0xff);
    assert!(is_corrupt(&read(&with_log(&bytes)).err().unwrap()));
    // And the header of a segment that a link leads to.
    let mut bytes = log_bytes(&storage);
    log.set_durable(2);
    log.mark(&storage).unwrap();
    bytes = {
        bytes.clear();
        log_bytes(&storage)
    };
    let second = 4096 + SEGMENT as usize;
    bytes[second..second + 64].fill(0);
    assert!(is_corrupt(&read(&with_log(&bytes)).err().unwrap()));
}

#[test]
fn damage_in_a_sealed_part_is_an_error_without_any_proof() {
    let (storage, _, commits) = written(&[100, 70_000, 100]);
    let (_, end) = read(&storage).unwrap();
    let log = Log::resume(&storage, config(), &end).unwrap();
    let (found, again) = read_from(&storage, &end.segments, log.position()).unwrap();
    assert!(found == commits);
    assert_eq!(again.last_sequence(), 3);

    let bytes = log_bytes(&storage);
    for segment in &end.segments {
        for offset in (segment.start.offset..segment.end_offset).step_by(91) {
            let mut damaged = bytes.clone();
            damaged[offset as usize] ^= 4;
            match read_from(&with_log(&damaged), &end.segments, log.position()) {
                Err(error) => assert!(is_corrupt(&error), "{error}"),
                Ok((found, _)) => assert!(found == commits, "only padding may be flipped unseen"),
            }
        }
    }
}

#[test]
fn a_lost_link_between_sealed_segments_is_noticed() {
    let (storage, _, _) = written(&[100, 200_000, 100]);
    let (_, end) = read(&storage).unwrap();
    let log = Log::resume(&storage, config(), &end).unwrap();
    let mut gap = end.segments.clone();
    gap.remove(1);
    assert!(is_corrupt(&read_from(&storage, &gap, log.position()).err().unwrap()));
    let short = &end.segments[..end.segments.len() - 1];
    assert!(is_corrupt(&read_from(&storage, short, log.position()).err().unwrap()), "ends inside a commit");
    // The first may go: what is in it, and the commit that begins in it, are merged.
    let (found, _) = read_from(&storage, &end.segments[1..], log.position()).unwrap();
    assert!(found == [(3, payload(3, 100))]);
}

#[test]
fn a_segment_named_twice_is_an_error_and_not_read_twice() {
    let (storage, _, _) = written(&[100, 200_000, 100]);
    let (_, end) = read(&storage).unwrap();
    let log = Log::resume(&storage, config(), &end).unwrap();
    for sealed in [[end.segments.clone(), end.segments.clone()].concat(), vec![end.segments[0]; 1000]] {
        let error = read_from(&storage, &sealed, log.position()).err().unwrap();
        assert!(is_corrupt(&error) && error.to_string().contains("twice"), "{error}");
    }
}

#[test]
fn a_place_outside_the_log_is_an_error() {
    let (storage, log, _) = written(&[100, 70_000]);
    let good = log.position();
    for bad in [
        LogPosition { offset: good.offset + 1, ..good },
        LogPosition { offset: u64::MAX - 7, ..good },
        LogPosition { region: u32::MAX, ..good },
        LogPosition { region: good.region + 1, ..good },
        LogPosition { generation: good.generation + 1, ..good },
        LogPosition { offset: 4096 + u64::from(SEGMENT) + 32, ..good },
    ] {
        assert!(is_corrupt(&read_from(&storage, &[], bad).err().unwrap()), "{bad:?}");
    }
}

#[test]
fn log_bytes_inside_a_value_are_never_a_record() {
    // The whole log so far, as the value of the next commit, at every alignment to it.
    let (storage, mut log, mut commits) = written(&[100, 300, 5]);
    log.set_durable(3);
    log.mark(&storage).unwrap();
    for sequence in 4..40 {
        let mut payload = payload(sequence, sequence as usize % 8);
        let bytes = log_bytes(&storage);
        payload.extend_from_slice(&bytes[4096..log.position().offset.min(4096 + 4000) as usize]);
        log.append(&storage, sequence, &payload).unwrap();
        commits.push((sequence, payload));
    }
    assert!(read(&storage).unwrap().0 == commits);
    // Torn headers in front of such values: the bytes in them are searched, and prove nothing.
    let mut ends = Vec::new();
    replay(&storage, ID, None, &[], start(), &mut |commit| {
        ends.push((commit.sequence, commit.offset as usize));
        Ok(Verdict::Whole)
    })
    .unwrap();
    let (sequence, offset) = ends[20];
    let mut bytes = log_bytes(&storage);
    bytes[offset] ^= 1;
    let (found, end) = read(&with_log(&bytes)).unwrap();
    assert!(found.len() as u64 == sequence - 1);
    assert!(end.torn.is_some());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]
    #[test]
    fn random_damage_never_panics_and_never_invents(
        seed in any::<u64>(),
        places in proptest::collection::vec((0..200_000usize, 1..5000usize), 1..6),
    ) {
        let (mut bytes, commits, _) = half_durable();
        let mut random = Random(seed);
        for (at, len) in places {
            let at = at % bytes.len();
            let end = (at + len).min(bytes.len());
            bytes[at..end].iter_mut().for_each(|byte| *byte = random.next() as u8);
        }
        if let Ok((found, _)) = read(&with_log(&bytes)) {
            prop_assert!(found == commits[..found.len()]);
        }
    }

    #[test]
    fn random_bytes_never_panic(
        bytes in proptest::collection::vec(any::<u8>(), 0..20_000),
        region in any::<u32>(), generation in any::<u64>(), offset in any::<u64>(), small in 0..30_000u64,
    ) {
        // Behind a good file header, so that reading goes on.
        let (good, ..) = half_durable();
        let mut file = good[..4096].to_vec();
        file.extend_from_slice(&bytes);
        for storage in [with_log(&bytes), with_log(&file)] {
            for offset in [offset, small, small * 8, 4096] {
                let from = LogPosition { region: region % 3, generation, offset, chain: 0, sequence: 0 };
                let sealed = SealedSegment { start: from, end_offset: small * 8, last_sequence: 9 };
                let _ = read_from(&storage, &[], from);
                let _ = read_from(&storage, &[sealed], LogPosition { region, ..from });
            }
        }
    }
}

#[test]
fn a_valid_frame_in_an_impossible_place_is_an_error() {
    // A continued frame that continues nothing, under a valid checksum: only a defect of the writer could make it.
    use crate::codec::checksum::crc32;
    use crate::log::frame::{FrameHeader, Place};
    let (storage, log, _) = written(&[100]);
    let at = log.position();
    for (kind, sequence) in [(Kind::CommitContinued, 2), (Kind::Commit, 1)] {
        let header = FrameHeader {
            kind,
            last: true,
            body_len: 0,
            body_checksum: crc32(&[]),
            previous: at.chain,
            sequence,
            durable: 0,
            checkpoint: 0,
        };
        let mut frame = Vec::new();
        header.encode(Place { database_id: &ID, generation: at.generation, offset: at.offset }, &mut frame);
        storage.write_at(FileId::Log, at.offset, &frame).unwrap();
        assert!(is_corrupt(&read(&storage).err().unwrap()));
    }
}
