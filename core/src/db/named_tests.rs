//! What a named snapshot shows never changes, whatever is overwritten, merged, moved, closed or killed; and what it costs ends
//! with it.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use core::sync::atomic::AtomicU64;

use proptest::prelude::*;

use super::increment_tests::{Hand, Rows, Source, Step, carry_out, open, rows, rows_of, step, table};
use super::*;
use crate::env::{FileId, MemoryStorage, Storage};

fn source() -> Source {
    let (storage, clock) = (Arc::new(MemoryStorage::new()), Arc::new(Hand(AtomicU64::new(1000))));
    Source { db: open(&storage, &clock, 1).unwrap(), storage, clock }
}

fn put(db: &Database, key: &[u8], value: &[u8]) {
    db.transaction(|tx| tx.table(table("one"))?.put(key, value)).unwrap();
}

fn kill(source: &mut Source, seed: u64) {
    let (data, log) = (source.storage.contents(FileId::Data), source.storage.contents(FileId::Log));
    source.storage = Arc::new(MemoryStorage::with_contents(data, log));
    source.db = open(&source.storage, &source.clock, seed).unwrap();
}

fn require_unchanged(db: &Database, model: &BTreeMap<String, Rows>) {
    let names: Vec<String> = db.snapshots().into_iter().map(|named| named.name).collect();
    assert_eq!(names.len(), model.len());
    for (name, expected) in model {
        assert_eq!(rows_of(&db.snapshot_named(name).unwrap()), *expected, "{name}");
    }
    assert_eq!(db.check().unwrap().problems, Vec::<String>::new());
}

#[derive(Clone, Debug)]
enum Act {
    Step(Step),
    Create,
    Drop(u8),
    Kill,
    Look,
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        12 => step().prop_map(Act::Step),
        2 => Just(Act::Create),
        1 => any::<u8>().prop_map(Act::Drop),
        1 => Just(Act::Kill),
        1 => Just(Act::Look),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn a_named_snapshot_shows_what_was_there_whatever_comes(acts in prop::collection::vec(act(), 1..70)) {
        let mut source = source();
        let mut model = BTreeMap::new();
        for (number, act) in (1..).zip(acts.iter().chain([&Act::Look, &Act::Kill, &Act::Look])) {
            match act {
                Act::Step(step) => carry_out(&mut source, step, number),
                Act::Create => {
                    let name = format!("at {number}");
                    source.db.create_snapshot(&name).unwrap();
                    prop_assert_eq!(source.db.snapshots().last().unwrap().sequence, source.db.snapshot().sequence());
                    model.insert(name, rows(&source.db));
                }
                Act::Drop(which) => {
                    let name = model.keys().nth(usize::from(*which) % model.len().max(1)).cloned();
                    if let Some(name) = name {
                        source.db.drop_snapshot(&name).unwrap();
                        model.remove(&name);
                    }
                }
                Act::Kill => kill(&mut source, number),
                Act::Look => require_unchanged(&source.db, &model),
            }
        }
        require_unchanged(&source.db, &model);
        // A copy of one is the database of then.
        if let Some((name, expected)) = model.first_key_value() {
            let (mut backup, mut file) = (source.db.snapshot_named(name).unwrap().backup(), Vec::new());
            while let Some(piece) = backup.next().unwrap() {
                file.extend(piece);
            }
            let copy = open(&Arc::new(MemoryStorage::with_contents(file, Vec::new())), &source.clock, 5).unwrap();
            prop_assert_eq!(rows(&copy), expected.clone());
            prop_assert!(copy.snapshots().is_empty(), "a copy has no named snapshots");
        }
    }
}

#[test]
fn a_named_snapshot_costs_what_was_overwritten_since_and_no_more() {
    let mut source = source();
    put(&source.db, b"long", &vec![1; 1 << 20]);
    source.db.checkpoint().unwrap();
    source.db.create_snapshot("before").unwrap();
    assert!(source.db.snapshots()[0].held_bytes < 1 << 16);
    for round in 0..10 {
        put(&source.db, b"long", &vec![round; 1 << 20]);
        source.db.checkpoint().unwrap();
        if round % 3 == 0 {
            kill(&mut source, u64::from(round));
        }
        let named = &source.db.snapshots()[0];
        assert!((1 << 20..(1 << 20) + (1 << 18)).contains(&named.held_bytes), "{}", named.held_bytes);
    }
    // What came later is overwritten as if there were no snapshot.
    assert!(source.db.stats().used_bytes < 5 << 20, "{}", source.db.stats().used_bytes);
    source.db.drop_snapshot("before").unwrap();
    for _ in 0..3 {
        put(&source.db, b"other", b"");
        source.db.checkpoint().unwrap();
    }
    assert!(source.db.stats().used_bytes < 2 << 20, "{}", source.db.stats().used_bytes);
    assert_eq!(source.db.check().unwrap().problems, Vec::<String>::new());
}

#[test]
fn whoever_reads_a_snapshot_that_is_dropped_goes_on() {
    let source = source();
    put(&source.db, b"long", &vec![1; 1 << 20]);
    source.db.create_snapshot("one").unwrap();
    let expected = rows(&source.db);
    let reader = source.db.snapshot_named("one").unwrap();
    source.db.drop_snapshot("one").unwrap();
    assert_eq!(source.db.snapshot_named("one").unwrap_err().name(), "Invalid");
    for round in 0..10 {
        put(&source.db, b"long", &vec![round; 1 << 20]);
        source.db.checkpoint().unwrap();
    }
    assert_eq!(rows_of(&reader), expected);
    drop(reader);
    put(&source.db, b"other", b"");
    source.db.checkpoint().unwrap();
    assert_eq!(source.db.check().unwrap().problems, Vec::<String>::new());
}

#[test]
fn names_and_their_number_are_limited() {
    let source = source();
    put(&source.db, b"key", b"value");
    for name in ["", &"x".repeat(129)] {
        assert_eq!(source.db.create_snapshot(name).unwrap_err().name(), "Invalid");
    }
    for number in 0..64 {
        source.db.create_snapshot(&format!("{number}")).unwrap();
    }
    assert_eq!(source.db.create_snapshot("1").unwrap_err().name(), "Invalid", "there is one");
    assert_eq!(source.db.create_snapshot("one more").unwrap_err().name(), "LimitExceeded");
    assert_eq!(source.db.drop_snapshot("none").unwrap_err().name(), "Invalid");
    source.db.close().unwrap();
    let db = open(&source.storage, &source.clock, 3).unwrap();
    assert_eq!(db.snapshots().len(), 64);
    assert_eq!(db.check().unwrap().problems, Vec::<String>::new());
}

/// Where nobody knows any more what was in use, all is held back.
#[test]
fn a_snapshot_whose_sectors_cannot_be_read_holds_everything() {
    let source = source();
    let text = vec![5; 1 << 20];
    put(&source.db, b"long", &text);
    source.db.create_snapshot("one").unwrap();
    let expected = rows(&source.db);
    let bitmap = source.db.shared.engine.named()[0].bitmap.0;
    source.db.close().unwrap();
    source.storage.write_at(FileId::Data, bitmap.offset, &vec![0x55; bitmap.len as usize]).unwrap();
    let db = open(&source.storage, &source.clock, 3).unwrap();
    for round in 0..5 {
        put(&db, b"long", &vec![round; 1 << 20]);
        db.checkpoint().unwrap();
    }
    assert_eq!(rows_of(&db.snapshot_named("one").unwrap()), expected);
    db.drop_snapshot("one").unwrap();
    assert_eq!(db.check().unwrap().problems, Vec::<String>::new());
}

#[cfg(feature = "testing")]
#[test]
fn what_a_named_snapshot_does_not_hold_is_missed() {
    let _active = crate::testing::Mutant::NamedSnapshotNotPinned.activate();
    assert!(std::panic::catch_unwind(a_named_snapshot_costs_what_was_overwritten_since_and_no_more).is_err());
    assert!(std::panic::catch_unwind(whoever_reads_a_snapshot_that_is_dropped_goes_on).is_err());
}
