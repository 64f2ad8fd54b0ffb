//! One suite for every storage: what the contract on [`Storage`] promises in ordinary operation.
//!
//! `contract_tests!(name, opens)` makes a test of each promise; `opens` returns a new [`Subject`].

use lightning_db::env::{FileId, Storage, StorageErrorKind, Sync};

use crate::random::Random;

/// A storage under test.
pub trait Subject {
    /// The storage, reads never answering `NotResident` (whoever fetches has done so).
    fn storage(&self) -> &dyn Storage;
    /// Closes and opens it again, without a crash.
    fn reopen(&mut self);
}

/// Makes a module of tests, one for each promise of the contract.
#[macro_export]
macro_rules! contract_tests {
    ($name:ident, $open:expr) => {
        $crate::contract_tests!($name, $open;
            new_files_are_empty
            what_was_written_is_read_back
            a_write_past_the_end_leaves_zeros_between
            reading_past_the_end_is_an_unexpected_end
            empty_reads_and_writes_do_nothing
            set_len_cuts_and_extends_with_zeros
            allocate_extends_and_never_cuts
            the_two_files_are_independent
            what_was_synced_is_there_after_reopening
            offsets_beyond_every_file_are_errors
            threads_work_side_by_side
            any_sequence_of_calls_behaves_like_two_vectors);
    };
    ($name:ident, $open:expr; $($promise:ident)*) => {
        mod $name {
            #[allow(unused_imports)]
            use super::*;
            $(#[test]
            fn $promise() {
                $crate::storage_suite::$promise(&mut $open);
            })*
        }
    };
}

fn read(storage: &dyn Storage, file: FileId, offset: u64, len: usize) -> Vec<u8> {
    let mut buf = vec![0xA5; len];
    storage.read_at(file, offset, &mut buf).unwrap_or_else(|error| panic!("reading must work: {error}"));
    buf
}

/// See the name.
pub fn new_files_are_empty(subject: &mut dyn Subject) {
    for file in FileId::ALL {
        assert_eq!(subject.storage().len(file), Ok(0));
    }
    assert!(!subject.storage().name().is_empty());
}

/// See the name.
pub fn what_was_written_is_read_back(subject: &mut dyn Subject) {
    let storage = subject.storage();
    storage.write_at(FileId::Data, 0, b"hello world").unwrap();
    storage.write_at(FileId::Data, 6, b"there, you").unwrap();
    assert_eq!(read(storage, FileId::Data, 0, 16), b"hello there, you");
    assert_eq!(read(storage, FileId::Data, 3, 5), b"lo th");
    assert_eq!(storage.len(FileId::Data), Ok(16));
    storage.write_at(FileId::Data, 0, b"H").unwrap();
    assert_eq!(storage.len(FileId::Data), Ok(16), "a write inside does not change the length");
}

/// See the name.
pub fn a_write_past_the_end_leaves_zeros_between(subject: &mut dyn Subject) {
    let storage = subject.storage();
    storage.write_at(FileId::Log, 3, b"x").unwrap();
    storage.write_at(FileId::Log, 10_000, b"y").unwrap();
    let mut expected = vec![0; 10_001];
    (expected[3], expected[10_000]) = (b'x', b'y');
    assert_eq!(read(storage, FileId::Log, 0, 10_001), expected);
}

/// See the name.
pub fn reading_past_the_end_is_an_unexpected_end(subject: &mut dyn Subject) {
    let storage = subject.storage();
    storage.write_at(FileId::Data, 0, &[1; 5000]).unwrap();
    for (offset, len) in [(5000, 1), (4999, 2), (0, 5001), (1 << 40, 1)] {
        let error = storage.read_at(FileId::Data, offset, &mut vec![0; len]).unwrap_err();
        assert_eq!(error.kind, StorageErrorKind::UnexpectedEnd, "{len} bytes at {offset}");
        assert_eq!((error.file, error.offset, error.len), (FileId::Data, offset, len as u64));
    }
    assert_eq!(read(storage, FileId::Data, 4999, 1), [1]);
}

/// See the name.
pub fn empty_reads_and_writes_do_nothing(subject: &mut dyn Subject) {
    let storage = subject.storage();
    storage.write_at(FileId::Data, 0, b"abc").unwrap();
    for offset in [0, 2, 3, 1000] {
        storage.write_at(FileId::Data, offset, b"").unwrap();
        storage.read_at(FileId::Data, offset, &mut []).unwrap();
    }
    assert_eq!(storage.len(FileId::Data), Ok(3));
}

/// See the name.
pub fn set_len_cuts_and_extends_with_zeros(subject: &mut dyn Subject) {
    let storage = subject.storage();
    storage.write_at(FileId::Data, 0, &[7; 9000]).unwrap();
    storage.set_len(FileId::Data, 10).unwrap();
    assert_eq!(storage.len(FileId::Data), Ok(10));
    storage.set_len(FileId::Data, 9000).unwrap();
    assert_eq!(read(storage, FileId::Data, 0, 12), [7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 0, 0]);
    assert_eq!(read(storage, FileId::Data, 10, 8990), vec![0; 8990], "what was cut does not come back");
    storage.set_len(FileId::Data, 0).unwrap();
    storage.write_at(FileId::Data, 20, b"z").unwrap();
    assert_eq!(read(storage, FileId::Data, 0, 20), [0; 20]);
}

/// See the name.
pub fn allocate_extends_and_never_cuts(subject: &mut dyn Subject) {
    let storage = subject.storage();
    storage.write_at(FileId::Log, 0, b"kept").unwrap();
    storage.allocate(FileId::Log, 100_000).unwrap();
    assert_eq!(storage.len(FileId::Log), Ok(100_000));
    storage.allocate(FileId::Log, 2).unwrap();
    assert_eq!(storage.len(FileId::Log), Ok(100_000));
    assert_eq!(read(storage, FileId::Log, 0, 6), b"kept\0\0");
    assert_eq!(read(storage, FileId::Log, 99_000, 1000), vec![0; 1000]);
}

/// See the name.
pub fn the_two_files_are_independent(subject: &mut dyn Subject) {
    let storage = subject.storage();
    storage.write_at(FileId::Data, 0, b"data").unwrap();
    storage.write_at(FileId::Log, 0, b"longer log").unwrap();
    storage.set_len(FileId::Log, 3).unwrap();
    assert_eq!(read(storage, FileId::Data, 0, 4), b"data");
    assert_eq!(read(storage, FileId::Log, 0, 3), b"lon");
    assert_eq!((storage.len(FileId::Data), storage.len(FileId::Log)), (Ok(4), Ok(3)));
}

/// See the name.
pub fn what_was_synced_is_there_after_reopening(subject: &mut dyn Subject) {
    let storage = subject.storage();
    storage.allocate(FileId::Log, 8192).unwrap();
    storage.write_at(FileId::Data, 100, b"data").unwrap();
    storage.write_at(FileId::Log, 5000, b"log").unwrap();
    for file in FileId::ALL {
        assert_eq!(storage.sync(file), Ok(Sync::Done));
    }
    subject.reopen();
    let storage = subject.storage();
    assert_eq!((storage.len(FileId::Data), storage.len(FileId::Log)), (Ok(104), Ok(8192)));
    assert_eq!(read(storage, FileId::Data, 100, 4), b"data");
    assert_eq!(read(storage, FileId::Log, 4999, 5), b"\0log\0");
}

/// See the name.
pub fn offsets_beyond_every_file_are_errors(subject: &mut dyn Subject) {
    let storage = subject.storage();
    storage.write_at(FileId::Data, 0, b"abc").unwrap();
    for offset in [u64::MAX, u64::MAX - 1, 1 << 63] {
        storage.read_at(FileId::Data, offset, &mut [0; 2]).unwrap_err();
        storage.write_at(FileId::Data, offset, b"xy").unwrap_err();
    }
    storage.set_len(FileId::Data, u64::MAX).unwrap_err();
    storage.allocate(FileId::Data, u64::MAX).unwrap_err();
    assert_eq!(storage.len(FileId::Data), Ok(3));
}

/// See the name.
pub fn threads_work_side_by_side(subject: &mut dyn Subject) {
    const PART: u64 = 3000;
    let storage = subject.storage();
    storage.allocate(FileId::Data, 4 * PART).unwrap();
    std::thread::scope(|scope| {
        for thread in 0..4_u8 {
            scope.spawn(move || {
                for round in 0..50_u8 {
                    let bytes = vec![thread ^ round.wrapping_mul(4); PART as usize];
                    storage.write_at(FileId::Data, u64::from(thread) * PART, &bytes).unwrap();
                    assert_eq!(read(storage, FileId::Data, u64::from(thread) * PART, PART as usize), bytes);
                }
            });
        }
    });
}

/// See the name.
pub fn any_sequence_of_calls_behaves_like_two_vectors(subject: &mut dyn Subject) {
    const LEN_MAX: u64 = 40_000;
    let mut random = Random::new(7);
    let mut model = [Vec::new(), Vec::new()];
    for _ in 0..2000 {
        let storage = subject.storage();
        let file = FileId::ALL[random.index(2)];
        let expected: &mut Vec<u8> = &mut model[file as usize];
        let offset = random.below(LEN_MAX);
        match random.below(12) {
            0..=3 => {
                let len = random.skewed(9000) as usize;
                let bytes = random.bytes(len);
                storage.write_at(file, offset, &bytes).unwrap();
                let end = offset as usize + len;
                if len > 0 {
                    expected.resize(expected.len().max(end), 0);
                    expected[offset as usize..end].copy_from_slice(&bytes);
                }
            }
            4 => {
                storage.set_len(file, offset).unwrap();
                expected.resize(offset as usize, 0);
            }
            5 => {
                storage.allocate(file, offset).unwrap();
                expected.resize(expected.len().max(offset as usize), 0);
            }
            6 => assert_eq!(storage.sync(file), Ok(Sync::Done)),
            7 if random.chance(1, 4) => {
                for file in FileId::ALL {
                    assert_eq!(storage.sync(file), Ok(Sync::Done));
                }
                subject.reopen();
            }
            _ => {
                let mut buf = vec![0; random.skewed(9000) as usize];
                let found = storage.read_at(file, offset, &mut buf).map(|()| buf.as_slice());
                let range = offset as usize..offset as usize + found.as_ref().map_or(usize::MAX / 2, |buf| buf.len());
                match found {
                    Ok(buf) if !buf.is_empty() => assert_eq!(Some(buf), expected.get(range)),
                    Ok(_) => {}
                    Err(error) => {
                        assert_eq!(error.kind, StorageErrorKind::UnexpectedEnd);
                        assert!(offset + error.len > expected.len() as u64);
                    }
                }
            }
        }
    }
    for file in FileId::ALL {
        let expected = &model[file as usize];
        assert_eq!(subject.storage().len(file), Ok(expected.len() as u64));
        assert_eq!(&read(subject.storage(), file, 0, expected.len()), expected);
    }
}
