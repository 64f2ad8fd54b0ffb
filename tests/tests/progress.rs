//! Whoever waits is told what for: the stages of opening, and how far a compaction is.

use std::sync::Arc;

use lightning_db::env::{FileId, FixedClock, MemoryStorage, SeededEntropy};
use lightning_db::{CompactionStage, Database, Environment, Error, Options, RecoveryStage, Table};

const TABLE: Table<u32, &[u8]> = Table::new("table");

fn options() -> Options {
    let mut options = Options::default();
    options.memory_budget_bytes = 2 << 20;
    options.memtable_bytes = Some(64 << 10);
    options.background_thread = false;
    options
}

fn open(storage: &Arc<MemoryStorage>, options: Options) -> (Result<Database, Error>, Vec<RecoveryStage>) {
    let env = Environment { clock: Arc::new(FixedClock(1000)), entropy: Arc::new(SeededEntropy::new(7)) };
    let mut stages = Vec::new();
    let mut note = |stage| stages.push(stage);
    let opened = Database::open_storage_with(Arc::<MemoryStorage>::clone(storage), env, options, &mut note);
    (opened, stages)
}

/// The same files, as a crash leaves them.
fn crashed(storage: &MemoryStorage) -> Arc<MemoryStorage> {
    Arc::new(MemoryStorage::with_contents(storage.contents(FileId::Data), storage.contents(FileId::Log)))
}

#[test]
fn a_recovery_tells_all_twelve_stages_in_order_and_others_those_they_need() {
    use RecoveryStage::{Checkpoint, Done, JudgeLog, ReplayLog, StartLog, Superblocks, SyncLog};
    let storage = Arc::new(MemoryStorage::new());
    let (db, stages) = open(&storage, options());
    assert_eq!(stages, [Superblocks, StartLog, SyncLog, Checkpoint, Done], "a new database");
    let db = db.unwrap();
    db.table(TABLE).unwrap().put(1, b"one").unwrap();

    let after_crash = crashed(&storage);
    let (recovered, stages) = open(&after_crash, options());
    assert_eq!(recovered.unwrap().recovery().replayed_commits, 2);
    assert_eq!(stages, RecoveryStage::ALL, "after a crash");
    assert_eq!(stages.iter().map(|stage| stage.number()).collect::<Vec<_>>(), (1..=12).collect::<Vec<_>>());

    let mut read_only = options();
    read_only.read_only = true;
    let (_, stages) = open(&crashed(&storage), read_only);
    let reading = RecoveryStage::ALL.into_iter().filter(|stage| !matches!(stage, StartLog | SyncLog | Checkpoint));
    assert_eq!(stages, reading.collect::<Vec<_>>(), "for reading only");

    db.close().unwrap();
    let (_, stages) = open(&storage, options());
    let later = |stage: &RecoveryStage| matches!(stage, ReplayLog | JudgeLog | StartLog | SyncLog | Checkpoint);
    let clean = RecoveryStage::ALL.into_iter().filter(|stage| !later(stage));
    assert_eq!(stages, clean.collect::<Vec<_>>(), "after a close");

    let names: std::collections::BTreeSet<_> = RecoveryStage::ALL.iter().map(|stage| stage.name()).collect();
    assert_eq!(names.len(), 12);
}

#[test]
fn a_recovery_that_fails_has_told_where() {
    let storage = Arc::new(MemoryStorage::new());
    let db = open(&storage, options()).0.unwrap();
    db.table(TABLE).unwrap().put(1, b"one").unwrap();
    let mut log = storage.contents(FileId::Log);
    log.truncate(5000);
    let cut = Arc::new(MemoryStorage::with_contents(storage.contents(FileId::Data), log));
    let (opened, stages) = open(&cut, options());
    assert!(matches!(opened, Err(Error::Corrupt(_))));
    assert_eq!(stages.last(), Some(&RecoveryStage::ReplayLog));
}

#[test]
fn a_compaction_tells_how_far_it_is() {
    let storage = Arc::new(MemoryStorage::new());
    let db = open(&storage, options()).0.unwrap();
    let table = db.table(TABLE).unwrap();
    for batch in 0..6u32 {
        db.transaction(|tx| {
            let mut table = tx.table(TABLE)?;
            (batch * 5000..(batch + 1) * 5000)
                .try_for_each(|key| table.put(key, key.wrapping_mul(0x9e37_79b9).to_be_bytes().repeat(10)))
        })
        .unwrap();
        db.checkpoint().unwrap();
    }
    table.delete_range(0..15_000).unwrap();
    table.put(29_000, b"the last").unwrap();
    let mut seen = Vec::new();
    db.compact_with(&mut |progress| seen.push(*progress)).unwrap();
    let (first, last) = (seen.first().unwrap(), seen.last().unwrap());
    assert!(first.changes_left > 0 && last.changes_left == 0, "{first:?} {last:?}");
    assert!(last.file_bytes < first.file_bytes, "{first:?} {last:?}");
    assert!(seen.windows(2).all(|pair| pair[0].node_bytes_written <= pair[1].node_bytes_written));
    for stage in [CompactionStage::Merge, CompactionStage::Move, CompactionStage::Checkpoint] {
        assert!(seen.iter().any(|progress| progress.stage == stage), "{stage:?} was not told");
    }
    assert_eq!(db.check().unwrap().problems, Vec::<String>::new());
}
