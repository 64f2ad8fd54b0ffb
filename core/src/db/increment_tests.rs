//! A backup and its increments are the database as it was after every commit in them.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU64, Ordering};

use proptest::prelude::*;

use super::*;
use crate::engine::{Durability, Environment};
use crate::env::{Clock, FileId, MemoryStorage, SeededEntropy, Storage};
use crate::error::{Error, Result};
use crate::table::Table;

const INLINE_MAX: usize = 64;
const NAMES: [&str; 2] = ["one", "two"];

/// Moves on by hand.
#[derive(Debug, Default)]
pub(super) struct Hand(pub(super) AtomicU64);

impl Clock for Hand {
    fn monotonic_ns(&self) -> u64 {
        0
    }
    fn wall_ms(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

pub(super) struct Source {
    pub(super) db: Database,
    pub(super) storage: Arc<MemoryStorage>,
    pub(super) clock: Arc<Hand>,
}

pub(super) fn options() -> Options {
    Options {
        background_thread: false,
        durability: Durability::Relaxed,
        memtable_bytes: Some(16 << 10),
        log_segment_bytes: 64 << 10,
        inline_bytes_max: INLINE_MAX,
        feed_retention_bytes: 64 << 20,
        ..Options::default()
    }
}

pub(super) fn open(storage: &Arc<MemoryStorage>, clock: &Arc<Hand>, seed: u64) -> Result<Database> {
    let entropy = Arc::new(SeededEntropy::new(seed));
    let env = Environment { clock: Arc::clone(clock) as Arc<dyn Clock>, entropy };
    Database::open_storage(Arc::clone(storage) as Arc<dyn Storage>, env, options())
}

fn source() -> Source {
    let (storage, clock) = (Arc::new(MemoryStorage::new()), Arc::new(Hand(AtomicU64::new(1000))));
    Source { db: open(&storage, &clock, 1).unwrap(), storage, clock }
}

pub(super) fn table(name: &str) -> Table<'_, &[u8], &[u8]> {
    Table::new(name)
}

pub(super) type Rows = BTreeMap<(String, Vec<u8>), Vec<u8>>;

pub(super) fn rows(db: &Database) -> Rows {
    rows_of(&db.snapshot())
}

pub(super) fn rows_of(snapshot: &Snapshot) -> Rows {
    let mut all = Rows::new();
    for name in NAMES {
        match snapshot.table(table(name)) {
            Err(Error::NoSuchTable { .. }) => {}
            found => {
                for row in found.unwrap().range(..).unwrap() {
                    let (key, value) = row.unwrap();
                    all.insert((String::from(name), key), value);
                }
            }
        }
    }
    all
}

pub(super) fn backup_of(db: &Database) -> (Vec<u8>, FeedPosition) {
    let (mut backup, mut file) = (db.backup(), Vec::new());
    while let Some(piece) = backup.next().unwrap() {
        file.extend(piece);
    }
    (file, backup.position())
}

fn increment_of(db: &Database, since: FeedPosition) -> Result<(Vec<u8>, FeedPosition)> {
    let (mut increment, mut file) = (db.increment(since)?, Vec::new());
    while let Some(piece) = increment.next()? {
        file.extend(piece);
    }
    assert_eq!(increment.progress().commits, increment.progress().commits_all);
    assert_eq!(increment.progress().bytes, file.len() as u64);
    Ok((file, increment.position()))
}

pub(super) fn restore(base: &[u8], increments: &[Vec<u8>], until: ReplayUntil) -> Result<(Database, ReplayReport)> {
    let storage = MemoryStorage::new();
    storage.write_at(FileId::Data, 0, base).unwrap();
    let db = open(&Arc::new(storage), &Arc::new(Hand(AtomicU64::new(1_000_000))), 99)?;
    let mut replay = db.replay(until)?;
    for increment in increments {
        for piece in increment.chunks(1000) {
            replay.push(piece)?;
        }
        replay.end_increment()?;
    }
    let report = replay.finish()?;
    assert_eq!(db.check().unwrap().problems, Vec::<String>::new());
    Ok((db, report))
}

#[derive(Clone, Debug)]
pub(super) enum Step {
    Put(usize, u8, usize),
    Delete(usize, u8),
    DeleteRange(usize, u8, u8),
    Drop(usize),
    Many(usize, u8),
    Checkpoint,
    Compact,
    Increment,
    Reopen,
}

pub(super) fn step() -> impl Strategy<Value = Step> {
    let name = 0..NAMES.len();
    prop_oneof![
        6 => (name.clone(), any::<u8>(), prop_oneof![0..30_usize, 60..400_usize]).prop_map(|(t, k, v)| Step::Put(t, k % 40, v)),
        2 => (name.clone(), any::<u8>()).prop_map(|(t, k)| Step::Delete(t, k % 40)),
        1 => (name.clone(), any::<u8>(), any::<u8>()).prop_map(|(t, a, b)| Step::DeleteRange(t, a % 40, b % 40)),
        1 => name.clone().prop_map(Step::Drop),
        1 => (name, any::<u8>()).prop_map(|(t, k)| Step::Many(t, k)),
        2 => Just(Step::Checkpoint),
        1 => Just(Step::Compact),
        2 => Just(Step::Increment),
        1 => Just(Step::Reopen),
    ]
}

/// Makes one step; the increments are done by whoever calls it.
pub(super) fn carry_out(source: &mut Source, step: &Step, number: u64) {
    source.clock.0.fetch_add(number % 3, Ordering::Relaxed);
    let db = &source.db;
    let result = match *step {
        Step::Put(name, key, len) => {
            db.transaction(|tx| tx.table(table(NAMES[name]))?.put([key], vec![number as u8; len]))
        }
        Step::Delete(name, key) => db.transaction(|tx| tx.table(table(NAMES[name]))?.delete([key]).map(|_| ())),
        Step::DeleteRange(name, a, b) => {
            let (from, to) = ([a.min(b)], [a.max(b)]);
            db.transaction(|tx| tx.table(table(NAMES[name]))?.delete_range(from..to))
        }
        Step::Drop(name) => db.transaction(|tx| tx.drop_table(NAMES[name]).map(|_| ())),
        Step::Many(name, key) => db.transaction(|tx| {
            (0..200_u16).try_for_each(|n| {
                tx.table(table(NAMES[name]))?.put([[key].as_slice(), &n.to_be_bytes()].concat(), [7; 40])
            })
        }),
        Step::Checkpoint => db.checkpoint(),
        Step::Compact => db.compact(),
        Step::Increment => Ok(()),
        Step::Reopen => {
            source.db.close().unwrap();
            source.db = open(&source.storage, &source.clock, number).unwrap();
            Ok(())
        }
    };
    result.unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn restoring_to_any_commit_gives_what_was_there_after_it(
        before in prop::collection::vec(step(), 0..15),
        after in prop::collection::vec(step(), 1..40),
    ) {
        let mut source = source();
        for (number, step) in (1..).zip(&before) {
            carry_out(&mut source, step, number);
        }
        let (base, mut position) = backup_of(&source.db);
        let first = position.sequence();
        if let Some(earlier_ms) = source.db.shared.engine.version().time_ms.checked_sub(1) {
            let refused = restore(&base, &[], ReplayUntil::Time(earlier_ms)).map(drop).unwrap_err();
            prop_assert!(format!("{refused}").contains("restore an earlier backup"), "{}", refused);
        }
        let mut model = BTreeMap::from([(first, (rows(&source.db), 0))]);
        let mut increments = Vec::new();
        for (number, step) in (100..).zip(after.iter().chain([&Step::Increment])) {
            carry_out(&mut source, step, number);
            let sequence = source.db.snapshot().sequence();
            model.entry(sequence).or_insert_with(|| (rows(&source.db), source.clock.wall_ms()));
            if matches!(step, Step::Increment) {
                let (increment, next) = increment_of(&source.db, position).unwrap();
                increments.push(increment);
                position = next;
            }
        }
        prop_assert_eq!(position.sequence(), *model.last_key_value().unwrap().0);
        for (&sequence, (expected, time_ms)) in &model {
            match restore(&base, &increments, ReplayUntil::Sequence(sequence)) {
                Ok((db, report)) => {
                    prop_assert_eq!((report.sequence, report.commits), (sequence, sequence - first));
                    prop_assert_eq!(report.left_out, sequence < position.sequence());
                    prop_assert_eq!(rows(&db), expected.clone());
                    prop_assert_eq!(db.snapshot().sequence(), sequence);
                    if sequence > first {
                        prop_assert_eq!(report.time_ms, *time_ms);
                    }
                }
                // A long value that was overwritten before the increment was made.
                Err(error) => prop_assert!(format!("{error}").contains("was overwritten before"), "{}", error),
            }
            if sequence > first
                && let Ok((db, report)) = restore(&base, &increments, ReplayUntil::Time(*time_ms))
            {
                prop_assert_eq!(report.time_ms, *time_ms);
                prop_assert!(report.sequence >= sequence && model[&report.sequence].1 == *time_ms);
                prop_assert_eq!(rows(&db), model[&report.sequence].0.clone());
            }
        }
        // The end is always whole: nothing of it was overwritten.
        let (db, _) = restore(&base, &increments, ReplayUntil::End).unwrap();
        prop_assert_eq!(rows(&db), rows(&source.db));
    }
}

#[test]
fn a_value_that_was_moved_is_still_the_one_of_its_commit() {
    let source = source();
    let long = vec![5; 200 << 10];
    source.db.transaction(|tx| tx.table(table("one"))?.put(b"first", &long)).unwrap();
    source.db.checkpoint().unwrap();
    let (base, position) = backup_of(&source.db);
    source.db.transaction(|tx| tx.table(table("one"))?.put(b"key", vec![6; 300 << 10])).unwrap();
    source.db.transaction(|tx| tx.table(table("one"))?.delete(b"first").map(|_| ())).unwrap();
    source.db.compact().unwrap();
    let (increment, _) = increment_of(&source.db, position).unwrap();
    let (db, _) = restore(&base, &[increment], ReplayUntil::End).unwrap();
    assert_eq!(rows(&db), rows(&source.db));
}

#[test]
fn increments_that_do_not_follow_each_other_are_refused() {
    let source = source();
    let put = |value: &[u8]| source.db.transaction(|tx| tx.table(table("one"))?.put(b"key", value)).unwrap();
    put(b"1");
    let (base, position) = backup_of(&source.db);
    put(b"2");
    let (first, position) = increment_of(&source.db, position).unwrap();
    put(b"3");
    let (second, position) = increment_of(&source.db, position).unwrap();
    let (empty, same) = increment_of(&source.db, position).unwrap();
    assert_eq!(same, position, "nothing was committed");
    let refused = |base: &[u8], increments: &[&Vec<u8>], until| {
        let increments: Vec<_> = increments.iter().map(|&bytes| bytes.clone()).collect();
        let error = restore(base, &increments, until).map(|_| ()).unwrap_err();
        (error.name(), format!("{error}"))
    };
    let whole = [first.clone(), second.clone(), empty.clone()];
    assert_eq!(restore(&base, &whole, ReplayUntil::End).unwrap().1.sequence, position.sequence());
    assert!(refused(&base, &[&second], ReplayUntil::End).1.contains("are missing: the increment goes on after commit"));
    let twice = [first.clone(), first.clone(), second.clone()];
    assert_eq!(restore(&base, &twice, ReplayUntil::End).unwrap().1.commits, 2, "what is there is passed over");
    assert!(refused(&base, &[&first], ReplayUntil::Sequence(position.sequence())).1.contains("give those that follow"));
    assert!(refused(&base, &[&first], ReplayUntil::Sequence(0)).1.contains("restore an earlier backup"));
    let cut = first[..first.len() - 1].to_vec();
    assert_eq!(refused(&base, &[&cut], ReplayUntil::End).0, "DamagedBackup");
    let other = self::source();
    other.db.transaction(|tx| tx.table(table("one"))?.put(b"key", b"other")).unwrap();
    let foreign = Source { db: open(&Arc::new(MemoryStorage::new()), &other.clock, 77).unwrap(), ..other };
    foreign.db.transaction(|tx| tx.table(table("one"))?.put(b"key", b"other")).unwrap();
    let (foreign_base, _) = backup_of(&foreign.db);
    assert!(refused(&foreign_base, &[&first], ReplayUntil::End).1.contains("of another database"));
    // A copy that was written to is no backup any more.
    let (copy, _) = restore(&base, &[first], ReplayUntil::End).unwrap();
    assert!(copy.replay(ReplayUntil::End).is_err());
}

#[test]
fn commits_that_the_log_has_given_up_are_asked_for_in_vain() {
    let storage = Arc::new(MemoryStorage::new());
    let (entropy, clock) = (Arc::new(SeededEntropy::new(1)), Arc::new(Hand::default()) as Arc<dyn Clock>);
    let env = Environment { clock, entropy };
    let db = Database::open_storage(storage, env, Options { feed_retention_bytes: 0, ..options() }).unwrap();
    let (_, position) = backup_of(&db);
    for n in 0..2000_u16 {
        db.transaction(|tx| tx.table(table("one"))?.put(n.to_be_bytes(), [1; 60])).unwrap();
    }
    db.checkpoint().unwrap();
    let mut lost = increment_of(&db, position);
    for n in 0..20_000_u16 {
        if lost.is_err() {
            break;
        }
        db.transaction(|tx| tx.table(table("one"))?.put(n.to_be_bytes(), [2; 60])).unwrap();
        if n % 1000 == 0 {
            db.checkpoint().unwrap();
            lost = increment_of(&db, position);
        }
    }
    assert_eq!(lost.unwrap_err().name(), "NoLongerKept");
}
