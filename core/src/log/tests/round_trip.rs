use super::disk::Disk;
use super::*;
use crate::codec::slot::ValueRef;
use crate::log::{Keep, Operation};
use proptest::prelude::*;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]
    #[test]
    fn commits_of_any_size_come_back(
        sizes in proptest::collection::vec(
            prop_oneof![4 => 0..300usize, 2 => 300..9_000usize, 1 => 60_000..70_000usize, 1 => 250_000..700_000usize],
            0..40,
        ),
        marks in any::<u64>(),
    ) {
        let storage = MemoryStorage::new();
        let mut log = Log::create(&storage, config(), start()).unwrap();
        let mut expected = Vec::new();
        for (sequence, size) in (1..).zip(&sizes) {
            let payload = payload(sequence, *size);
            log.append(&storage, sequence, &payload).unwrap();
            expected.push((sequence, payload));
            if (marks >> (sequence % 64)) & 1 == 1 {
                log.set_durable(sequence);
                log.mark(&storage).unwrap();
            }
        }
        let (found, end) = read(&storage).unwrap();
        prop_assert!(found == expected);
        prop_assert_eq!(end.torn, None);
        prop_assert_eq!(end.position, log.position());
        prop_assert_eq!(end.segments.len(), if log.position().offset == 4096 + 64 { 0 } else { log.regions_in_use() });
        prop_assert_eq!(end.last_sequence(), sizes.len() as u64);
    }
}

#[test]
fn a_commit_of_several_mebibytes_in_segments_of_the_usual_size_comes_back() {
    let storage = MemoryStorage::new();
    let config = LogConfig { segment_bytes: LogConfig::SEGMENT_BYTES, ..config() };
    let mut log = Log::create(&storage, config, start()).unwrap();
    let large = payload(1, 5 << 20);
    log.append(&storage, 1, &large).unwrap();
    log.append(&storage, 2, &payload(2, 0)).unwrap();
    let (found, end) = read(&storage).unwrap();
    assert!(found == [(1, large), (2, payload(2, 0))]);
    assert_eq!((end.torn, end.segments.len()), (None, 6));
}

#[test]
fn a_commit_says_when_it_was_made_and_what_it_does() {
    let storage = MemoryStorage::new();
    let mut log = Log::create(&storage, config(), start()).unwrap();
    let value = ValueRef { offset: 64, len: 100_000, checksum: crate::codec::checksum::Digest::Crc32(1) };
    let mut payload = Vec::new();
    let mut writer = OperationWriter::begin(&mut payload, Preamble::at(1_234_567));
    writer.put(b"a", b"1");
    writer.put_extent(b"b", value);
    log.append(&storage, 10, &payload).unwrap();
    log.set_durable(10);
    log.set_checkpoint(3);
    log.mark(&storage).unwrap();

    let mut seen = 0;
    let end = replay(&storage, ID, None, &[], start(), &mut |commit| {
        seen += 1;
        assert_eq!((commit.sequence, commit.time_ms, commit.incarnation), (10, 1_234_567, 7));
        let operations: Vec<_> = commit.operations().map(Result::unwrap).collect();
        assert_eq!(operations, [Operation::Put { key: b"a", value: b"1" }, Operation::PutExtent { key: b"b", value }]);
        Ok(Verdict::Whole)
    })
    .unwrap();
    assert_eq!((seen, end.durable_sequence, end.checkpoint), (1, 10, 3));
}

#[test]
fn a_small_commit_is_one_write() {
    let disk = Disk::default();
    let mut log = Log::create(&disk, config(), start()).unwrap();
    for sequence in 1..200 {
        let (before, region) = (disk.writes(), log.position().region);
        log.append(&disk, sequence, &payload(sequence, 1000)).unwrap();
        let writes = if log.position().region == region { 1 } else { 2 };
        assert_eq!(disk.writes() - before, writes);
    }
}

#[test]
fn replay_goes_on_from_the_end_of_every_commit() {
    let (storage, _, expected) = written(&[10, 70_000, 0, 200_000, 5, 4000, 61_000, 3]);
    let mut ends = Vec::new();
    replay(&storage, ID, None, &[], start(), &mut |commit| {
        ends.push(commit.end);
        Ok(Verdict::Whole)
    })
    .unwrap();
    for (done, end) in ends.iter().enumerate() {
        let (found, _) = read_from(&storage, &[], *end).unwrap();
        assert!(found == expected[done + 1..], "from the end of commit {}", done + 1);
        assert_eq!(end.sequence, done as u64 + 1);
    }
}

#[test]
fn a_full_log_refuses_a_commit_before_writing_and_takes_it_after_a_release() {
    let disk = Disk::default();
    let mut log = Log::create(&disk, LogConfig { regions_max: 3, ..config() }, start()).unwrap();
    log.append(&disk, 1, &payload(1, 100_000)).unwrap();
    let (before, position) = (disk.bytes(), log.position());
    let error = log.append(&disk, 2, &payload(2, 150_000)).err().unwrap();
    assert!(matches!(error, Error::LimitExceeded { value: 4, limit: 3, .. }), "{error}");
    assert!(disk.bytes() == before);
    assert_eq!(log.position(), position);

    log.release(&position);
    assert_eq!(log.regions_in_use(), 1);
    log.append(&disk, 2, &payload(2, 150_000)).unwrap();
    assert!(read_from(&disk, &[], position).unwrap().0 == [(2, payload(2, 150_000))]);
}

#[test]
fn trim_cuts_free_regions_off_and_discard_empties_the_file() {
    let (storage, mut log, _) = written(&[300_000]);
    log.release(&log.position());
    log.append(&storage, 2, &payload(2, 60_000)).unwrap();
    log.release(&log.position());
    assert_eq!(log.position().region, 0);
    log.trim(&storage).unwrap();
    assert_eq!(log_bytes(&storage).len(), 4096 + SEGMENT as usize);
    assert!(log.live_bytes() < u64::from(SEGMENT));
    log.append(&storage, 3, &payload(3, 100_000)).unwrap();

    let fresh = log.fresh_position(Keep::default());
    Log::discard(&storage).unwrap();
    let (found, end) = read_from(&storage, &[], fresh).unwrap();
    assert!(found.is_empty() && end.is_empty());
    assert_eq!(end.last_sequence(), 3);
    let mut log = Log::create(&storage, config(), fresh).unwrap();
    log.append(&storage, 4, b"\0\0").unwrap();
    assert_eq!(read_from(&storage, &[], fresh).unwrap().0, [(4, b"\0\0".to_vec())]);
}

#[test]
fn an_old_log_behind_a_clean_close_is_neither_replayed_nor_called_torn() {
    let (storage, log, _) = written(&[100_000, 20]);
    let (found, end) = read_from(&storage, &[], log.fresh_position(Keep::default())).unwrap();
    assert!(found.is_empty());
    assert!(end.is_empty());
}

#[test]
fn an_empty_log_is_an_error_when_the_checkpoint_needs_it() {
    let (_, log, _) = written(&[100]);
    let error = read_from(&MemoryStorage::new(), &[], log.position()).err().unwrap();
    assert!(is_corrupt(&error), "{error}");
}

#[test]
fn the_log_of_another_database_is_refused() {
    let (storage, ..) = written(&[100]);
    let error = replay(&storage, [9; 16], None, &[], start(), &mut |_| Ok(Verdict::Whole)).err().unwrap();
    assert!(is_corrupt(&error), "{error}");
    assert!(error.to_string().contains("another") || error.to_string().contains("not of"), "{error}");
}

#[test]
fn sequences_must_rise_and_segments_have_a_proper_size() {
    let (storage, mut log, _) = written(&[100]);
    assert!(matches!(log.append(&storage, 1, b"\0\0"), Err(Error::Invalid { .. })));
    for segment_bytes in [0, 4096, 65_535, 65_536 + 8] {
        let config = LogConfig { segment_bytes, ..config() };
        assert!(Log::create(&MemoryStorage::new(), config, start()).is_err());
    }
}

#[test]
fn the_log_ends_before_a_commit_that_the_visitor_finds_torn_unless_it_was_durable() {
    // Some of them lie across segments.
    let sizes = [10, 70_000, 0, 200_000, 5, 4000, 61_000, 3];
    for torn in 1..=sizes.len() as u64 {
        let (storage, mut log, expected) = written(&sizes);
        let replayed = |storage: &MemoryStorage| {
            let mut seen = Vec::new();
            let end = replay(storage, ID, None, &[], start(), &mut |commit| {
                if commit.sequence == torn {
                    return Ok(Verdict::Torn);
                }
                seen.push((commit.sequence, commit.payload.to_vec()));
                Ok(Verdict::Whole)
            });
            end.map(|end| (seen, end))
        };
        let (seen, end) = replayed(&storage).unwrap();
        assert_eq!(seen, expected[..torn as usize - 1]);
        assert_eq!(end.position.sequence, torn - 1);
        assert!(end.torn.is_some());

        log.set_durable(torn);
        log.mark(&storage).unwrap();
        assert!(matches!(replayed(&storage), Err(Error::Corrupt(_))), "commit {torn} was durable");
    }
}

#[test]
fn an_error_of_the_visitor_ends_the_replay() {
    let (storage, ..) = written(&[1, 2, 3]);
    let mut seen = 0;
    let result = replay(&storage, ID, None, &[], start(), &mut |_| {
        seen += 1;
        if seen == 2 { Err(Error::Closed) } else { Ok(Verdict::Whole) }
    });
    assert_eq!((result.err(), seen), (Some(Error::Closed), 2));
}

/// Answers `NotResident` for every range it was not asked for before.
struct Fetching {
    inner: MemoryStorage,
    resident: crate::env::sync::Mutex<Vec<(u64, usize)>>,
}

impl Storage for Fetching {
    fn read_at(&self, file: FileId, offset: u64, buf: &mut [u8]) -> Result<(), crate::env::StorageError> {
        let mut resident = self.resident.lock();
        if !resident.contains(&(offset, buf.len())) {
            resident.push((offset, buf.len()));
            let kind = crate::env::StorageErrorKind::NotResident;
            return Err(crate::env::StorageError::new(kind, file, offset, buf.len() as u64, ""));
        }
        self.inner.read_at(file, offset, buf)
    }
    fn write_at(&self, file: FileId, offset: u64, buf: &[u8]) -> Result<(), crate::env::StorageError> {
        self.inner.write_at(file, offset, buf)
    }
    fn len(&self, file: FileId) -> Result<u64, crate::env::StorageError> {
        self.inner.len(file)
    }
    fn set_len(&self, file: FileId, len: u64) -> Result<(), crate::env::StorageError> {
        self.inner.set_len(file, len)
    }
    fn sync(&self, file: FileId) -> Result<crate::env::Sync, crate::env::StorageError> {
        self.inner.sync(file)
    }
    fn name(&self) -> alloc::string::String {
        self.inner.name()
    }
}

#[test]
fn a_replay_run_again_until_all_is_resident_gives_everything() {
    let (inner, _, expected) = written(&[10, 70_000, 300_000, 5]);
    let storage = Fetching { inner, resident: Default::default() };
    let mut restarts = 0;
    let found = loop {
        match read(&storage) {
            Ok((found, _)) => break found,
            Err(error) if error.not_resident().is_some() => restarts += 1,
            Err(error) => panic!("{error}"),
        }
        assert!(restarts < 100);
    };
    assert!(found == expected);
    assert!(restarts > 3);
}
