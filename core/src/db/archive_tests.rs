//! A backup and the archive are the database as it was after every commit, whatever was overwritten; what is held for the
//! archive is bounded; what is deleted of it was to be deleted.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU64, Ordering};
use std::sync::Mutex;

use proptest::prelude::*;

use super::increment_tests::{Hand, Rows, Source, Step, backup_of, carry_out, options, restore, rows, step, table};
use super::*;
use crate::engine::{ArchiveOptions, Environment};
use crate::env::{Clock, FileId, MemoryStorage, SeededEntropy, Storage};
use crate::error::{Error, Result};

/// Keeps pieces in memory, and fails when it is told to.
#[derive(Debug, Default)]
pub(super) struct Sink(Mutex<Pieces>);

#[derive(Debug, Default)]
pub(super) struct Pieces {
    whole: BTreeMap<String, Vec<u8>>,
    under_way: Option<Vec<u8>>,
    /// How many calls succeed.
    calls_left: Option<u32>,
}

impl Sink {
    fn call<T>(&self, call: impl FnOnce(&mut Pieces) -> T) -> Result<T> {
        let mut pieces = self.0.lock().unwrap();
        if let Some(left) = &mut pieces.calls_left {
            *left = left.checked_sub(1).ok_or_else(|| Error::invalid("the sink is out of order"))?;
        }
        Ok(call(&mut pieces))
    }

    fn fail_after(&self, calls: Option<u32>) {
        self.0.lock().unwrap().calls_left = calls;
    }

    pub(super) fn pieces(&self) -> Vec<Vec<u8>> {
        self.0.lock().unwrap().whole.values().cloned().collect()
    }
}

impl ArchiveSink for Sink {
    fn list(&self) -> Result<Vec<String>> {
        self.call(|pieces| pieces.whole.keys().cloned().collect())
    }
    fn read_at(&self, name: &str, offset: u64, buf: &mut [u8]) -> Result<usize> {
        self.call(|pieces| {
            let rest = &pieces.whole[name][offset as usize..];
            let len = rest.len().min(buf.len());
            buf[..len].copy_from_slice(&rest[..len]);
            len
        })
    }
    fn len(&self, name: &str) -> Result<u64> {
        self.call(|pieces| pieces.whole[name].len() as u64)
    }
    fn begin(&self) -> Result<()> {
        self.call(|pieces| pieces.under_way = Some(Vec::new()))
    }
    fn write(&self, bytes: &[u8]) -> Result<()> {
        self.call(|pieces| pieces.under_way.as_mut().unwrap().extend(bytes))
    }
    fn finish(&self, name: &str) -> Result<()> {
        self.call(|pieces| {
            let piece = pieces.under_way.take().unwrap();
            assert!(pieces.whole.insert(name.into(), piece).is_none(), "no piece has the name yet");
        })
    }
    fn remove(&self, name: &str) -> Result<()> {
        self.call(|pieces| drop(pieces.whole.remove(name).unwrap()))
    }
}

fn open(storage: &Arc<MemoryStorage>, clock: &Arc<Hand>, seed: u64, sink: &Arc<Sink>) -> Database {
    let entropy = Arc::new(SeededEntropy::new(seed));
    let env = Environment { clock: Arc::clone(clock) as Arc<dyn Clock>, entropy };
    let options = Options { feed_retention_bytes: 0, ..options() };
    let db = Database::open_storage(Arc::clone(storage) as _, env, options).unwrap();
    db.attach_archive(Arc::clone(sink) as Arc<dyn ArchiveSink>);
    db
}

fn source() -> (Source, Arc<Sink>) {
    let (storage, clock) = (Arc::new(MemoryStorage::new()), Arc::new(Hand(AtomicU64::new(1000))));
    let sink = Arc::new(Sink::default());
    (Source { db: open(&storage, &clock, 1, &sink), storage, clock }, sink)
}

fn put(db: &Database, key: &[u8], value: &[u8]) {
    db.transaction(|tx| tx.table(table("one"))?.put(key, value)).unwrap();
}

/// The process is killed: nothing is closed, and what was in memory is gone.
fn kill(source: &mut Source, seed: u64, sink: &Arc<Sink>) {
    let (data, log) = (source.storage.contents(FileId::Data), source.storage.contents(FileId::Log));
    sink.0.lock().unwrap().under_way = None;
    let storage = Arc::new(MemoryStorage::with_contents(data, log));
    let db = open(&storage, &source.clock, seed, sink);
    // What the old one does when it is dropped is not to be seen.
    source.db.attach_archive(Arc::new(Sink::default()));
    source.storage = storage;
    source.db = db;
}

#[derive(Clone, Debug)]
enum Act {
    Step(Step),
    Archive(u8),
    ArchiveAll,
    /// The sink fails after so many calls, and works again the next time.
    Fail(u8),
    Kill,
    Backup,
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        12 => step().prop_map(Act::Step),
        2 => any::<u8>().prop_map(|steps| Act::Archive(steps % 8)),
        1 => Just(Act::ArchiveAll),
        1 => any::<u8>().prop_map(|calls| Act::Fail(calls % 6)),
        1 => Just(Act::Kill),
        1 => Just(Act::Backup),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn restoring_from_the_archive_to_any_commit_gives_what_was_there_after_it(
        before in prop::collection::vec(step(), 0..15),
        after in prop::collection::vec(act(), 1..50),
    ) {
        let (mut source, sink) = source();
        for (number, step) in (1..).zip(&before) {
            do_step(&mut source, step, number, &sink);
        }
        source.db.archive_on(ArchiveOptions::default()).unwrap();
        let mut backups = Vec::from([backup_of(&source.db)]);
        let first = backups[0].1.sequence();
        let mut model: BTreeMap<u64, Rows> = BTreeMap::from([(first, rows(&source.db))]);
        for (number, act) in (100..).zip(after.iter().chain([&Act::ArchiveAll])) {
            match act {
                Act::Step(step) => do_step(&mut source, step, number, &sink),
                Act::Archive(steps) => (0..*steps).for_each(|_| assert!(source.db.archive_step(true).is_ok())),
                Act::ArchiveAll => source.db.archive_now().unwrap(),
                Act::Fail(calls) => {
                    sink.fail_after(Some(u32::from(*calls)));
                    let failed = source.db.archive_now().is_err();
                    prop_assert_eq!(source.db.archive_status().unwrap().failed.is_some(), failed);
                    prop_assert_eq!(source.db.stats().archive_failing, failed);
                    sink.fail_after(None);
                }
                Act::Kill => kill(&mut source, number, &sink),
                Act::Backup => backups.push(backup_of(&source.db)),
            }
            model.entry(source.db.snapshot().sequence()).or_insert_with(|| rows(&source.db));
        }
        let status = source.db.archive_status().unwrap();
        prop_assert_eq!(status.archived.sequence(), source.db.snapshot().sequence());
        prop_assert_eq!(status.gap, None);
        prop_assert_eq!(source.db.check().unwrap().problems, Vec::<String>::new());
        let pieces = sink.pieces();
        for (base, position) in &backups {
            for (&sequence, expected) in model.range(position.sequence()..) {
                let (db, report) = restore(base, &later(&pieces, *position), ReplayUntil::Sequence(sequence)).unwrap();
                prop_assert_eq!((report.sequence, report.commits), (sequence, sequence - position.sequence()));
                prop_assert_eq!(rows(&db), expected.clone());
            }
        }
        // Two checkpoints later nothing is held any more.
        for _ in 0..3 {
            put(&source.db, b"last", b"value");
            source.db.archive_now().unwrap();
            source.db.checkpoint().unwrap();
        }
        prop_assert_eq!(source.db.archive_status().unwrap().held_bytes, 0);
        prop_assert_eq!(source.db.check().unwrap().problems, Vec::<String>::new());
    }
}

/// Those with commits behind the backup.
fn later(pieces: &[Vec<u8>], position: FeedPosition) -> Vec<Vec<u8>> {
    let ends = |piece: &Vec<u8>| u64::from_le_bytes(piece[piece.len() - 24..piece.len() - 16].try_into().unwrap());
    pieces.iter().filter(|piece| ends(piece) > position.sequence()).cloned().collect()
}

fn do_step(source: &mut Source, step: &Step, number: u64, sink: &Arc<Sink>) {
    match step {
        Step::Reopen => {
            source.db.close().unwrap();
            source.db = open(&source.storage, &source.clock, number, sink);
        }
        step => carry_out(source, step, number),
    }
}

#[test]
fn an_overwritten_value_stays_until_the_archive_has_it() {
    let (source, sink) = source();
    source.db.archive_on(ArchiveOptions::default()).unwrap();
    let (base, position) = backup_of(&source.db);
    let mut model = Vec::new();
    for number in 0..20_u8 {
        put(&source.db, b"key", &vec![number; 100_000]);
        source.db.checkpoint().unwrap();
        model.push((source.db.snapshot().sequence(), rows(&source.db)));
    }
    let held = source.db.archive_status().unwrap().held_bytes;
    assert!(held > 19 * 100_000, "{held}");
    source.db.archive_now().unwrap();
    for (sequence, expected) in model {
        let (db, _) = restore(&base, &later(&sink.pieces(), position), ReplayUntil::Sequence(sequence)).unwrap();
        assert_eq!(rows(&db), expected);
    }
    let before = source.db.stats().used_bytes;
    put(&source.db, b"other", b"1");
    source.db.checkpoint().unwrap();
    put(&source.db, b"other", b"2");
    source.db.checkpoint().unwrap();
    assert!(source.db.stats().used_bytes + 19 * 100_000 < before + 200_000, "the space is free again");
    assert_eq!(source.db.check().unwrap().problems, Vec::<String>::new());
}

#[test]
fn what_the_newest_record_holds_for_the_archive_is_not_given_out_before_a_newer_one_says_so() {
    let (mut source, sink) = source();
    source.db.archive_on(ArchiveOptions::default()).unwrap();
    for number in 0..10_u8 {
        put(&source.db, b"key", &vec![number; 50_000]);
        source.db.checkpoint().unwrap();
        // In memory the archive is ahead of what is recorded: what was just given out may hold values that only the log names.
        source.db.archive_now().unwrap();
        for n in 0..5_u8 {
            put(&source.db, &[b'o', n], &vec![number; 20_000]);
        }
        let expected = rows(&source.db);
        kill(&mut source, u64::from(number), &sink);
        assert_eq!(rows(&source.db), expected);
        assert_eq!(source.db.check().unwrap().problems, Vec::<String>::new());
    }
}

#[test]
fn an_archive_that_gets_nowhere_holds_no_more_than_it_may_and_has_a_gap_then() {
    let (source, sink) = source();
    let bounded = ArchiveOptions { hold_bytes: 1 << 20, ..ArchiveOptions::default() };
    source.db.archive_on(bounded.clone()).unwrap();
    let (base, _) = backup_of(&source.db);
    put(&source.db, b"early", b"1");
    let early = source.db.snapshot().sequence();
    source.db.archive_now().unwrap();
    sink.fail_after(Some(0));
    let mut log_bytes_max = 0;
    for round in 0..200_u16 {
        source.db.transaction(|tx| tx.table(table("one"))?.put(round.to_be_bytes(), vec![3; 20_000])).unwrap();
        source.db.transaction(|tx| tx.table(table("one"))?.put(b"long", vec![round as u8; 50_000])).unwrap();
        if round % 5 == 0 {
            source.db.checkpoint().unwrap();
        }
        // Just after a gap there is nothing to archive.
        let failed = source.db.archive_now().is_err();
        assert!(failed || source.db.archive_status().unwrap().gap.is_some());
        log_bytes_max = log_bytes_max.max(source.db.archive_status().unwrap().held_bytes);
    }
    assert!(log_bytes_max < 3 << 20, "{log_bytes_max}");
    let status = source.db.archive_status().unwrap();
    let gap = status.gap.expect("it lacks commits");
    assert!(gap.after >= early && gap.until > gap.after && status.failed.is_some());
    assert!(source.db.stats().archive_failing && source.db.stats().archive_gap);

    // Behind the gap it goes on, for backups that were made since.
    sink.fail_after(None);
    let (newer, position) = backup_of(&source.db);
    put(&source.db, b"late", b"2");
    source.db.archive_now().unwrap();
    let pieces = sink.pieces();
    let all = restore(&base, &pieces, ReplayUntil::End).map(drop);
    let error = format!("{}", all.unwrap_err());
    assert!(error.contains("are missing"), "{error}");
    let (db, _) = restore(&base, &pieces[..1], ReplayUntil::Sequence(early)).unwrap();
    assert_eq!(rows(&db).len(), 1);
    let (db, _) = restore(&newer, &later(&pieces, position), ReplayUntil::End).unwrap();
    assert_eq!(rows(&db), rows(&source.db));
    // It is told until somebody has taken note of it, also after it was opened again.
    source.db.close().unwrap();
    let db = open(&source.storage, &source.clock, 5, &sink);
    assert!(db.archive_status().unwrap().gap.is_some());
    db.archive_on(bounded).unwrap();
    assert_eq!(db.archive_status().unwrap().gap, None);
}

#[test]
fn what_was_archived_after_the_last_checkpoint_is_not_archived_again() {
    let (mut source, sink) = source();
    source.db.archive_on(ArchiveOptions::default()).unwrap();
    for number in 0..5_u8 {
        put(&source.db, &[number], b"value");
        source.db.archive_now().unwrap();
    }
    let archived = source.db.archive_status().unwrap().archived;
    kill(&mut source, 3, &sink);
    assert!(source.db.archive_status().unwrap().archived.sequence() < archived.sequence());
    source.db.archive_now().unwrap();
    assert_eq!((source.db.archive_status().unwrap().archived, sink.pieces().len()), (archived, 5));
}

#[test]
fn the_pieces_of_another_history_are_not_mixed_with_these() {
    let (source, sink) = source();
    source.db.archive_on(ArchiveOptions::default()).unwrap();
    let (base, _) = backup_of(&source.db);
    put(&source.db, b"a", b"1");
    source.db.archive_now().unwrap();
    // One that was restored to an earlier commit than the archive has.
    let storage = Arc::new(MemoryStorage::with_contents(base, Vec::new()));
    let restored = open(&storage, &source.clock, 9, &sink);
    assert_eq!(restored.archive_status(), None, "a copy archives nothing unasked");
    put(&restored, b"b", b"2");
    let refused = format!("{}", restored.archive_on(ArchiveOptions::default()).unwrap_err());
    assert!(refused.contains("of another history"), "{refused}");
    // A commit that was lost is no part of the history that the archive has.
    let (mut other, sink) = self::source();
    other.db.archive_on(ArchiveOptions::default()).unwrap();
    let (data, log) = (other.storage.contents(FileId::Data), other.storage.contents(FileId::Log));
    put(&other.db, b"a", b"1");
    let (ahead, _) = backup_of(&other.db);
    other.storage = Arc::new(MemoryStorage::with_contents(data, log));
    other.db.attach_archive(Arc::new(Sink::default()));
    other.db = open(&other.storage, &other.clock, 7, &sink);
    put(&other.db, b"another", b"1");
    put(&other.db, b"another", b"2");
    other.db.archive_now().unwrap();
    let error = format!("{}", restore(&ahead, &sink.pieces(), ReplayUntil::End).map(drop).unwrap_err());
    assert!(error.contains("another history"), "{error}");
}

#[test]
fn old_pieces_are_deleted_and_those_that_a_backup_needs_are_not() {
    let (source, sink) = source();
    let day = 24 * 3_600_000;
    let limits = ArchiveOptions { keep_ms: Some(3 * day), ..ArchiveOptions::default() };
    source.db.archive_on(limits.clone()).unwrap();
    let archive_days = |days: u64| {
        for _ in 0..days {
            source.clock.0.fetch_add(day, Ordering::Relaxed);
            put(&source.db, b"key", &vec![1; 1000]);
            source.db.archive_now().unwrap();
        }
    };
    archive_days(10);
    assert_eq!(sink.pieces().len(), 4, "of three days, and the one that is older by nothing");
    let (base, position) = backup_of(&source.db);
    source.db.retain_archive(position, source.clock.wall_ms() + 8 * day).unwrap();
    archive_days(7);
    assert_eq!(sink.pieces().len(), 7, "all since the backup");
    restore(&base, &later(&sink.pieces(), position), ReplayUntil::End).unwrap();
    assert_eq!(source.db.archive_prune().unwrap().protected, 3);
    archive_days(2);
    assert_eq!(sink.pieces().len(), 4, "its time is over");
    // A clock that jumps ahead deletes nothing by itself.
    source.clock.0.fetch_add(1000 * day, Ordering::Relaxed);
    assert_eq!(source.db.archive_prune().unwrap().pieces, 0);
    source.db.archive_on(ArchiveOptions { keep_ms: None, keep_bytes: Some(3000), ..limits }).unwrap();
    assert_eq!(source.db.archive_prune().unwrap().pieces, 2);
    assert_eq!(source.db.archive_pieces().unwrap().len(), 2);
}

#[test]
fn nothing_is_held_once_the_archive_is_off() {
    let (source, _) = source();
    assert_eq!(source.db.archive_status(), None);
    source.db.archive_on(ArchiveOptions::default()).unwrap();
    for number in 0..20_u8 {
        put(&source.db, b"key", &vec![number; 100_000]);
        source.db.checkpoint().unwrap();
    }
    source.db.archive_off().unwrap();
    put(&source.db, b"key", b"");
    source.db.checkpoint().unwrap();
    put(&source.db, b"key", b"1");
    source.db.checkpoint().unwrap();
    assert!(source.db.stats().used_bytes < 1 << 20);
    source.db.close().unwrap();
    assert_eq!(source.storage.len(FileId::Log).unwrap(), 0);
}

#[test]
fn the_log_stays_until_the_archive_has_it() {
    let (source, sink) = source();
    source.db.archive_on(ArchiveOptions::default()).unwrap();
    let (base, position) = backup_of(&source.db);
    for n in 0..20_000_u16 {
        put(&source.db, &n.to_be_bytes(), &[1; 60]);
        if n % 1000 == 0 {
            source.db.checkpoint().unwrap();
        }
    }
    source.db.archive_now().unwrap();
    assert_eq!(source.db.archive_status().unwrap().gap, None);
    let (db, _) = restore(&base, &later(&sink.pieces(), position), ReplayUntil::End).unwrap();
    assert_eq!(rows(&db), rows(&source.db));
}

#[test]
fn a_piece_that_did_not_get_its_name_is_made_again() {
    for calls in 0..12 {
        let (source, sink) = source();
        source.db.archive_on(ArchiveOptions::default()).unwrap();
        let (base, position) = backup_of(&source.db);
        put(&source.db, b"a", b"1");
        sink.fail_after(Some(calls));
        let _ = source.db.archive_now();
        sink.fail_after(None);
        put(&source.db, b"b", b"2");
        source.db.archive_now().unwrap();
        let (db, _) = restore(&base, &later(&sink.pieces(), position), ReplayUntil::End).unwrap();
        assert_eq!(rows(&db), rows(&source.db));
    }
}

/// The tests above notice what they are there for.
#[cfg(feature = "testing")]
#[test]
fn what_breaks_the_rules_of_an_archive_is_noticed() {
    use crate::testing::Mutant;
    let tests: [(Mutant, fn()); 4] = [
        (Mutant::LogNotKeptForArchive, the_log_stays_until_the_archive_has_it),
        (Mutant::ArchiveNotWaitedFor, an_overwritten_value_stays_until_the_archive_has_it),
        (Mutant::ArchiveUnbounded, an_archive_that_gets_nowhere_holds_no_more_than_it_may_and_has_a_gap_then),
        (Mutant::PieceBelievedEarly, a_piece_that_did_not_get_its_name_is_made_again),
    ];
    for (mutant, test) in tests {
        let _active = mutant.activate();
        assert!(std::panic::catch_unwind(test).is_err(), "{}", mutant.name());
    }
}
