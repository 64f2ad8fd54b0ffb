//! Recorded histories of the engine have no anomaly that their level proscribes, and those that it allows are seen; stores
//! broken on purpose are convicted.
//!
//! `cargo xtask histories` runs as many as one likes; here are always the same seeds, for some seconds.

use std::sync::Arc;

use lightning_db::Isolation::{ReadCommitted, Serializable, Snapshot};
use lightning_db::env::{FixedClock, SeededEntropy, Storage};
use lightning_db::{Database, Environment, Error, Isolation, Options, Table};
use lightning_db_tests::history::anomalies::Anomaly::{self, *};
use lightning_db_tests::history::anomalies::{ANOMALIES, find};
use lightning_db_tests::history::flawed::{Flaw, Flawed};
use lightning_db_tests::history::threads::Threads;
use lightning_db_tests::history::workload::{Counts, check, check_seed, run};
use lightning_db_tests::paging::PagingStorage;
use lightning_db_tests::sim_disk::SimDisk;

fn engine(level: Isolation) -> Counts {
    let mut sum = Counts::default();
    for seed in 0..400 {
        sum.add(&check_seed(seed, level).unwrap_or_else(|error| panic!("{error}")));
    }
    assert!(sum.crashes > 50 && sum.committed > 10_000 && sum.aborted > 1000, "{sum:?}");
    // Each anomaly is proscribed and absent, or allowed and seen.
    for anomaly in ANOMALIES {
        let seen = sum.count(anomaly) > 0;
        assert_eq!(seen, !anomaly.is_proscribed(level), "{anomaly:?} at {level:?}: {sum:?}");
    }
    sum
}

#[test]
fn read_committed_has_what_it_allows_and_nothing_else() {
    engine(ReadCommitted);
}

#[test]
fn snapshot_isolation_has_what_it_allows_and_nothing_else() {
    engine(Snapshot);
}

#[test]
fn serializable_has_no_anomaly() {
    engine(Serializable);
}

#[test]
fn a_seed_gives_the_same_history_again() {
    for level in [ReadCommitted, Snapshot, Serializable] {
        assert_eq!(check_seed(17, level).unwrap(), check_seed(17, level).unwrap());
    }
}

#[test]
fn a_store_without_flaws_is_accepted() {
    for level in [ReadCommitted, Snapshot, Serializable] {
        for seed in 0..200 {
            check(&mut Flawed::new(Flaw::None), seed, level).unwrap_or_else(|error| panic!("seed {seed}: {error}"));
        }
    }
}

/// Some seed convicts the store at this level; some history shows the anomaly that the flaw is.
fn convicted(flaw: Flaw, level: Isolation, shown: Option<Anomaly>) {
    let seeds = || 0..3000u64;
    let convicted = seeds().find(|seed| check(&mut Flawed::new(flaw), *seed, level).is_err());
    assert!(convicted.is_some(), "{flaw:?} is not convicted at {level:?}");
    if let Some(anomaly) = shown {
        let shows = |seed: u64| {
            let mut history = run(&mut Flawed::new(flaw), seed, level).ok()?.history;
            let known = find(&history, level);
            history.order.clear();
            known.iter().chain(&find(&history, level)).any(|finding| finding.anomaly == anomaly).then_some(())
        };
        assert!(seeds().any(|seed| shows(seed).is_some()), "{flaw:?} does not show {anomaly:?} at {level:?}");
    }
}

#[test]
fn stores_broken_on_purpose_are_convicted_at_every_level_they_break() {
    for level in [ReadCommitted, Snapshot, Serializable] {
        convicted(Flaw::DirtyReads, level, Some(AbortedRead));
        convicted(Flaw::DirtyReads, level, Some(IntermediateRead));
        convicted(Flaw::WritesInPlace, level, Some(AbortedRead));
        convicted(Flaw::AbortsApplied, level, Some(AbortedRead));
        convicted(Flaw::RollbackKept, level, Some(IntermediateRead));
        convicted(Flaw::OwnWritesHidden, level, Some(Internal));
        convicted(Flaw::TornCommits, level, Some(RealTime));
        convicted(Flaw::StaleSnapshots, level, Some(RealTime));
        convicted(Flaw::CrashLosesCommit, level, None);
        convicted(Flaw::CrashTearsCommit, level, Some(RealTime));
    }
    convicted(Flaw::DirtyReads, ReadCommitted, Some(CircularFlow));
    convicted(Flaw::WritesInPlace, ReadCommitted, Some(WriteCycle));
    for level in [Snapshot, Serializable] {
        convicted(Flaw::RangesMoveOn, level, Some(PhantomRead));
        convicted(Flaw::RangesMoveOn, level, Some(ReadSkew));
        convicted(Flaw::TornCommits, level, Some(Nonadjacent));
    }
    convicted(Flaw::WritesNotValidated, Snapshot, Some(LostUpdate));
    convicted(Flaw::ReadsNotValidated, Serializable, Some(WriteSkew));
    convicted(Flaw::ReadsNotValidated, Serializable, Some(PhantomSkew));
    convicted(Flaw::RangesNotValidated, Serializable, Some(PhantomSkew));
    convicted(Flaw::AbsenceNotValidated, Serializable, Some(WriteSkew));
}

#[test]
fn threads_on_a_file_have_no_anomaly_that_their_level_proscribes() {
    let folder = tempfile::tempdir().unwrap();
    let threads = Threads::new(&folder.path().join("histories.ldb"), 4).unwrap();
    for seed in 0..8 {
        for level in [ReadCommitted, Snapshot, Serializable] {
            let counts = threads.check(seed, level, 60).unwrap_or_else(|error| panic!("seed {seed}: {error}"));
            assert!(counts.committed > 50, "{counts:?}");
        }
        threads.check_locking(seed, 60).unwrap_or_else(|error| panic!("seed {seed}: {error}"));
    }
}

#[test]
fn who_only_read_is_acknowledged_when_what_it_saw_is_durable() {
    const ROWS: Table<u32, u32> = Table::new("rows");
    let pager = Arc::new(PagingStorage::new(SimDisk::new(1), 1, (0, 1)).with_pending_syncs());
    let env = Environment { clock: Arc::new(FixedClock(1)), entropy: Arc::new(SeededEntropy::new(1)) };
    let mut options = Options::default();
    options.background_thread = false;
    let db = Database::open_storage(Arc::clone(&pager) as Arc<dyn Storage>, env, options).unwrap();
    let complete = || {
        if let Some((ticket, _)) = pager.complete_sync() {
            db.complete_sync(ticket, Ok(()));
        }
    };
    // Opening has a barrier of its own.
    while db.stats().commits == 0 {
        db.transaction(|tx| tx.table(ROWS)?.put(1, 1)).unwrap_err();
        complete();
    }
    let settle = || {
        while db.sync().is_err() {
            complete();
        }
    };
    settle();
    let mut locking = db.begin(Isolation::ReadCommitted);
    let mut writing = db.begin(Isolation::ReadCommitted);
    writing.table(ROWS).unwrap().put(1, 2).unwrap();
    assert!(matches!(writing.commit(), Err(Error::Pending(_))));
    // Nobody who asks is told of it, but for the next writers: and they not before it is durable.
    assert_eq!(db.table(ROWS).unwrap().get(1).unwrap(), Some(1));
    let mut seen = 0;
    let closure = db.transaction(|tx| {
        seen = tx.table(ROWS)?.get(1)?.map_or(Ok(0), |value| value.value())?;
        Ok(())
    });
    assert_eq!(seen, 2);
    assert!(matches!(closure, Err(Error::Pending(_))));
    assert_eq!(locking.table(ROWS).unwrap().get_for_update(1).unwrap().unwrap().value().unwrap(), 2);
    assert!(matches!(locking.commit(), Err(Error::Pending(_))));
    settle();
    locking.commit().unwrap();
    writing.commit().unwrap();
    assert_eq!(db.table(ROWS).unwrap().get(1).unwrap(), Some(2));
}
