//! What the simulator found once, made small.

use std::ops::Bound;
use std::sync::Arc;

use lightning_db::env::{FileId, FixedClock, SeededEntropy, Storage};
use lightning_db::{Database, Environment, Error, Isolation, Options, Table};
use lightning_db_tests::paging::PagingStorage;
use lightning_db_tests::sim::action::{Action, ClientStep, Crash, Durability, Query, TxOp, key, value};
use lightning_db_tests::sim::clock::Time;
use lightning_db_tests::sim::engine::Tuning;
use lightning_db_tests::sim::lightning::Lightning;
use lightning_db_tests::sim::plan::Plan;
use lightning_db_tests::sim::run::run;
use lightning_db_tests::sim_disk::{Fault, SimDisk};

use Durability::{Relaxed, Sync};

const ROWS: Table<&[u8], &[u8]> = Table::new("rows");

fn plan(actions: Vec<Action>) -> Plan {
    Plan { seed: 1, tuning: Tuning::default(), paging: None, late_syncs: false, stale_cache: false, actions }
}

fn plan_with_memtables_of(memtable_bytes: u32, actions: Vec<Action>) -> Plan {
    let Plan { tuning, .. } = plan(Vec::new());
    Plan { tuning: Tuning { memtable_bytes, ..tuning }, ..plan(actions) }
}

fn commit(durability: Durability, table: usize, id: u32, len: u32) -> Action {
    Action::Commit(durability, vec![TxOp::Put(table, key(format!("{id:04}").as_bytes()), value(2 * id + 1, len))])
}

fn passes(plan: Plan) {
    if let Err(failure) = run::<Lightning>(&plan) {
        panic!("action {}: {}", failure.action, failure.what);
    }
}

fn paged() -> (Arc<PagingStorage<SimDisk>>, Database) {
    let pager = Arc::new(PagingStorage::new(SimDisk::new(1), 1, (1, 1)));
    let environment = Environment { clock: Arc::new(FixedClock(1)), entropy: Arc::new(SeededEntropy::new(1)) };
    let mut options = Options::default();
    options.background_thread = false;
    options.memtable_bytes = Some(4096);
    options.inline_bytes_max = 64;
    let database = pager.drive(|| Database::open_storage(pager.clone(), environment.clone(), options.clone())).unwrap();
    (pager, database)
}

#[test]
fn writers_without_a_background_thread_always_get_room() {
    for durability in [Relaxed, Sync] {
        passes(plan((0..400).map(|id| commit(durability, id as usize % 3, id, 100)).collect()));
    }
}

#[test]
fn crash_after_crash_does_not_use_up_the_log() {
    let mut actions = Vec::new();
    for round in 0..20 {
        actions.extend((0..8).map(|id| commit(Sync, 0, 8 * round + id, 200)));
        actions.push(Action::CrashNow(Crash::Power(u64::from(round))));
    }
    actions.extend((200..1000).map(|id| commit(Sync, 0, id, 200)));
    passes(Plan { tuning: Tuning { memtable_bytes: 65536, ..plan(vec![]).tuning }, ..plan(actions) });
}

#[test]
fn a_superblock_that_failed_to_be_written_may_be_there_and_keeps_what_it_names() {
    for seed in 0..200 {
        let mut actions: Vec<Action> = (0..30).map(|id| commit(Relaxed, 0, id, 100)).collect();
        actions.push(Action::FaultAfter(seed % 20, Fault::Error));
        actions.extend([30, 31].map(|id| commit(Relaxed, 0, id, 100)));
        actions.extend([Action::Step(30), Action::Step(1 + seed as u32 % 7), Action::CrashNow(Crash::Kill)]);
        passes(Plan { seed, ..plan(actions) });
    }
}

#[test]
fn a_commit_that_was_not_tried_has_no_unknown_outcome() {
    let tuning = Tuning { memtable_bytes: 4096, segment_bytes: 131_072, large_value_bytes: 2048, ..Tuning::default() };
    let one = |id: u32| Action::Commit(Relaxed, vec![put(0, &id.to_string(), id, 4)]);
    let actions = vec![one(1), Action::FaultAfter(1, Fault::Error), one(39), Action::Commit(Relaxed, vec![])];
    passes(Plan { tuning, ..plan(actions) });
}

#[test]
fn an_entry_whose_value_must_be_fetched_is_not_skipped() {
    let (pager, database) = paged();
    pager
        .drive(|| {
            database.transaction(|tx| {
                let mut rows = tx.table(ROWS)?;
                (0..20_u8).try_for_each(|id| rows.put(&[id][..], &[id; 100][..]))
            })
        })
        .unwrap();
    let snapshot = database.snapshot();
    let rows = pager.drive(|| snapshot.table(ROWS)).unwrap();
    for back in [false, true] {
        let mut range = rows.range(..).unwrap();
        let mut seen = 0;
        while pager.drive(|| if back { range.next_back() } else { range.next() }.transpose()).unwrap().is_some() {
            seen += 1;
        }
        assert_eq!(seen, 20);
    }
    let mut cursor = rows.cursor(..).unwrap();
    let mut seen = usize::from(pager.drive(|| Ok(cursor.first()?.is_some())).unwrap());
    while pager.drive(|| Ok(cursor.next()?.is_some())).unwrap() {
        seen += 1;
    }
    assert_eq!(seen, 20);
    assert!(pager.drive(|| Ok(cursor.last()?.is_some())).unwrap());
    let mut seen = 1;
    while pager.drive(|| Ok(cursor.prev()?.is_some())).unwrap() {
        seen += 1;
    }
    assert_eq!(seen, 20);
}

/// The platform's driver fetches what a call lacked and makes the same call again; a commit that consumed its transaction
/// cannot be called again.
#[test]
fn an_interactive_commit_that_lacks_bytes_can_be_made_again() {
    let (pager, database) = paged();
    for id in 0..200_u8 {
        let mut tx = database.begin(Isolation::Serializable);
        pager.drive(|| tx.table(ROWS)?.put(&[id][..], &[id; 60][..])).unwrap();
        pager.drive(|| tx.commit()).unwrap();
    }
}

#[test]
fn moving_values_leaves_no_space_behind_when_the_next_record_must_be_fetched() {
    for seed in 0..20 {
        let mut actions: Vec<Action> = (0..120).map(|id| commit(Relaxed, 0, id % 30, 300 + 40 * id)).collect();
        actions.push(Action::Commit(
            Sync,
            (0..20).map(|id| TxOp::Delete(0, key(format!("{id:04}").as_bytes()))).collect(),
        ));
        actions.push(Action::Reopen);
        passes(Plan { seed, paging: Some((3, 4)), ..plan(actions) });
    }
}

#[test]
fn a_bit_read_wrong_while_opening_loses_no_commit() {
    let mut failures = Vec::new();
    for (reopened, reads) in [(true, 0..30), (false, 0..30)] {
        for read in reads {
            for seed in 0..40 {
                let mut actions: Vec<Action> = (0..3).map(|id| commit(Sync, 0, id, 30)).collect();
                if reopened {
                    actions.push(Action::Reopen);
                }
                actions.extend([commit(Sync, 0, 3, 30), commit(Sync, 0, 4, 30)]);
                actions.extend([Action::FaultAfter(read, Fault::WrongBit), Action::CrashNow(Crash::Kill)]);
                if let Err(failure) = run::<Lightning>(&Plan { seed, ..plan(actions) }) {
                    failures.push(format!("reopened {reopened} read {read} seed {seed}: {}", failure.what));
                }
            }
        }
    }
    assert!(failures.is_empty(), "{} failures:\n{}", failures.len(), failures.join("\n"));
}

/// A checkpoint that fails before its superblock is written gives its number back: superblocks take turns by their numbers,
/// and the next but one would be written over the newest that is durable.
#[test]
fn a_checkpoints_number_is_given_again_when_it_is_abandoned() {
    let mut abandoned = 0;
    for seed in 0..40 {
        let disk = Arc::new(SimDisk::new(seed));
        let environment = Environment { clock: Arc::new(FixedClock(1)), entropy: Arc::new(SeededEntropy::new(seed)) };
        let mut options = Options::default();
        options.background_thread = false;
        let database = Database::open_storage(disk.clone(), environment, options).unwrap();
        let rows = database.table(ROWS).unwrap();
        for round in 0..4_u8 {
            rows.put(&[round][..], &[seed as u8; 40][..]).unwrap();
            // The whole of it is some ten I/Os, so the fault meets every part of it for some seed.
            disk.schedule(seed % 20, Fault::Error);
            let failed = database.checkpoint().is_err();
            disk.cancel_faults();
            if failed && database.checkpoint().is_err() {
                // A sync failed, and with it all writing.
                break;
            }
            abandoned += u32::from(failed);
            let data = &disk.contents()[0];
            let number = |slot: usize| u64::from_le_bytes(data[slot * 4096 + 64..][..8].try_into().unwrap());
            assert_eq!(number(0).abs_diff(number(1)), 1, "seed {seed}, round {round}");
            assert_eq!(number(0) % 2, 0, "seed {seed}, round {round}");
        }
        assert!(database.check().unwrap().is_clean(), "seed {seed}");
    }
    assert!(abandoned > 10, "{abandoned}");
}

/// A frozen memtable that is merged into the base and a merge of the runs there are would each make a base of the old one.
#[test]
fn one_job_at_a_time_brings_a_new_base() {
    for steps in 1..40 {
        let mut actions = Vec::new();
        for round in 0..12 {
            actions.extend((0..20).map(|id| commit(Relaxed, id as usize % 3, 31 * (round * 20 + id) % 240, 60)));
            actions.push(Action::Step(steps));
        }
        actions.push(Action::Check);
        passes(plan_with_memtables_of(1024, actions));
    }
}

/// A merge that lacks bytes on its way to the first key goes on from where it was: values that newer runs hide are passed
/// once, and given back once.
#[test]
fn a_merge_that_must_fetch_its_first_key_gives_back_a_hidden_value_once() {
    let up_to_17 = (Bound::Unbounded, Bound::Included(key(b"17")));
    let actions = vec![
        Action::Commit(Relaxed, vec![put(1, "711", 8, 1748), put(0, "1543", 0, 0)]),
        Action::Commit(Sync, vec![put(0, "511", 0, 0), put(1, "677", 22, 4)]),
        Action::Commit(Relaxed, vec![put(0, "473", 39, 717), put(0, "728", 40, 15656)]),
        Action::Commit(Sync, vec![put(0, "9", 47, 1498)]),
        Action::Commit(Sync, vec![put(0, "1311", 155, 2736)]),
        Action::Commit(Relaxed, vec![put(0, "0", 168, 7208)]),
        Action::Commit(Relaxed, vec![put(0, "1403", 281, 7224), put(0, "0", 283, 8750)]),
        Action::Commit(Relaxed, vec![TxOp::Ask(Query::Get(1, key(b"886")))]),
        Action::Commit(Sync, vec![put(0, "71", 296, 14), TxOp::DeleteRange(0, up_to_17)]),
    ];
    for seed in (0..60).chain([256_057_197]) {
        let tuning =
            Tuning { memtable_bytes: 8192, segment_bytes: 131_072, large_value_bytes: 8192, ..Tuning::default() };
        passes(Plan { seed, tuning, paging: Some((2, 4)), ..plan(actions.clone()) });
    }
}

fn put(table: usize, id: &str, tag: u32, len: u32) -> TxOp {
    TxOp::Put(table, key(id.as_bytes()), value(tag, len))
}

fn begin(client: usize, isolation: Isolation) -> Action {
    Action::Client(client, ClientStep::Begin(isolation))
}

/// At read committed nothing was validated, so two tables made at the same time got one number and one place for their rows.
#[test]
fn tables_made_beside_each_other_at_read_committed_never_share_their_rows() {
    for other in [0, 1] {
        passes(plan(vec![
            begin(0, Isolation::ReadCommitted),
            begin(1, Isolation::ReadCommitted),
            Action::Client(0, ClientStep::Do(put(0, "a", 1, 8))),
            Action::Client(1, ClientStep::Do(put(other, "b", 3, 8))),
            Action::Client(0, ClientStep::Commit(Sync)),
            Action::Client(1, ClientStep::Commit(Sync)),
            Action::Compare,
            begin(0, Isolation::ReadCommitted),
            Action::Commit(Sync, vec![put(2, "c", 5, 8)]),
            Action::Client(0, ClientStep::Do(put(2, "d", 7, 8))),
            Action::Client(0, ClientStep::Commit(Sync)),
        ]));
    }
}

/// Only the background thread kept what periodic commits promise, and only where all commits were periodic.
#[test]
fn a_periodic_commit_is_durable_in_time_whoever_works() {
    for work in [Action::Step(1), Action::Commit(Relaxed, vec![put(0, "b", 3, 8)])] {
        for seed in 0..20 {
            let mut actions = vec![
                Action::Commit(Durability::Periodic(30), vec![put(0, "a", 1, 8)]),
                Action::Time(Time::Passes(31)),
                work.clone(),
            ];
            actions.extend([Action::Step(1), Action::CrashNow(Crash::Power(seed))]);
            passes(plan(actions));
        }
    }
}

/// Where syncs complete later, the checkpoint that follows opening may fail after opening has returned: commits waited for
/// it without end.
#[test]
fn a_checkpoint_that_fails_after_opening_is_made_again() {
    for ios in 0..12 {
        for fault in [Fault::Full, Fault::Error] {
            let mut actions = vec![Action::Commit(Sync, vec![put(0, "a", 1, 200)]), Action::CrashNow(Crash::Kill)];
            actions.insert(1, Action::FaultAfter(ios, fault));
            actions.extend([Action::Commit(Sync, vec![put(0, "b", 3, 200)]), Action::CompleteSyncs(9)]);
            passes(Plan { late_syncs: true, ..plan(actions) });
        }
    }
}

/// After a sync that failed later nothing waits for, neither are relaxed commits taken, nor does `sync` say that all is
/// well.
#[test]
fn a_sync_that_fails_later_is_heard_of() {
    for ios in 0..6 {
        for durability in [Sync, Relaxed] {
            passes(Plan {
                late_syncs: true,
                ..plan(vec![
                    Action::Commit(durability, vec![put(0, "a", 1, 300)]),
                    Action::FaultAfter(ios, Fault::Error),
                    Action::Commit(durability, vec![put(0, "b", 3, 300)]),
                    Action::CompleteSyncs(5),
                    Action::Settle,
                    Action::Commit(Relaxed, vec![put(0, "c", 5, 4)]),
                    Action::Compare,
                ])
            });
        }
    }
}

/// Reads went on showing what a failed sync had lost, also after reopening: a checkpoint sealed log that was not there.
#[test]
fn what_only_seems_to_be_stored_is_written_again_before_a_checkpoint_builds_on_it() {
    for crash in [None, Some(Action::CrashNow(Crash::Power(7)))] {
        for ios in 0..16 {
            for seed in 0..8 {
                let mut actions = vec![Action::Commit(Sync, vec![put(0, "a", 1, 200), put(0, "large", 3, 9000)])];
                actions.extend(crash.clone());
                actions.extend([
                    Action::FaultAfter(ios, Fault::Error),
                    Action::Commit(Sync, vec![put(0, "b", 5, 200), put(0, "large", 7, 9000)]),
                    Action::Step(9),
                    Action::Reopen,
                    Action::Commit(Sync, vec![put(0, "c", 9, 200)]),
                    Action::CrashNow(Crash::Power(seed)),
                ]);
                for late_syncs in [false, true] {
                    passes(Plan { seed, stale_cache: true, late_syncs, ..plan(actions.clone()) });
                }
            }
        }
    }
}

/// What an application left behind that never closed: a database of one commit.
fn young_and_unclosed() -> (Arc<SimDisk>, impl Fn() -> Result<Database, Error>) {
    let disk = Arc::new(SimDisk::new(1));
    let site = Arc::clone(&disk);
    let open = move || {
        let environment = Environment { clock: Arc::new(FixedClock(1)), entropy: Arc::new(SeededEntropy::new(1)) };
        let mut options = Options::default();
        options.background_thread = false;
        Database::open_storage(site.clone(), environment, options)
    };
    let database = open().unwrap();
    database.table(ROWS).unwrap().put(&b"key"[..], &b"value"[..]).unwrap();
    // So that dropping it cannot close it.
    disk.crash();
    drop(database);
    disk.kill();
    (disk, open)
}

#[test]
fn an_emptied_data_file_beside_a_log_with_commits_is_no_new_database() {
    let (disk, open) = young_and_unclosed();
    disk.set_len(FileId::Data, 0).unwrap();
    let error = open().err().unwrap();
    assert!(matches!(&error, Error::Corrupt(_)), "{error}");
    assert!(error.to_string().contains("the log holds commits"), "{error}");
    assert_eq!(disk.contents()[FileId::Data as usize].len(), 0, "nothing was written");
}

#[test]
fn an_emptied_log_beside_a_young_unclosed_data_file_is_no_empty_database() {
    let (disk, open) = young_and_unclosed();
    disk.set_len(FileId::Log, 0).unwrap();
    let error = open().err().unwrap();
    assert!(matches!(&error, Error::Corrupt(_)), "{error}");
    assert!(error.to_string().contains("log file"), "{error}");
    assert_eq!(disk.contents()[FileId::Log as usize].len(), 0, "nothing was written");
}

/// Where syncs complete later, a periodic commit is durable when the sync is complete that a step asked for in time.
#[test]
fn a_periodic_commit_is_durable_in_time_where_syncs_complete_later() {
    for seed in 0..20 {
        let actions = vec![
            Action::Commit(Durability::Periodic(30), vec![put(0, "a", 1, 8)]),
            Action::Settle,
            Action::Commit(Durability::Periodic(30), vec![put(0, "b", 3, 8)]),
            Action::Time(Time::Passes(31)),
            Action::Step(1),
            Action::CompleteSyncs(9),
            Action::CrashNow(Crash::Power(seed)),
        ];
        passes(Plan { late_syncs: true, ..plan(actions) });
    }
}

/// A new database has two superblocks with a record each. That of the older one was given out again at once, so that without
/// the newer superblock nothing was left.
#[test]
fn the_older_superblock_of_a_new_database_leads_to_its_record() {
    let (disk, open) = young_and_unclosed();
    disk.erase();
    let database = open().unwrap();
    // Writes values, but no log.
    let refused = database.transaction(|tx| {
        let mut rows = tx.table(ROWS)?;
        (0..8_u8).try_for_each(|row| rows.put(&[row][..], &[row; 9000][..]))?;
        Err::<(), _>(Error::Closed)
    });
    assert!(matches!(refused, Err(Error::Closed)));
    disk.crash();
    drop(database);
    disk.kill();
    // Of the first two numbers the higher lies in the first slot.
    disk.write_at(FileId::Data, 0, &[0; 4096]).unwrap();
    assert!(open().unwrap().check().unwrap().is_clean());
}

/// A commit whose sync failed is not seen any more, so a deletion found nothing to delete and was called made; after
/// opening again the record was there.
#[test]
fn a_transaction_that_finds_nothing_to_change_after_a_failed_sync_is_not_called_made() {
    let disk = Arc::new(SimDisk::new(1));
    let environment = Environment { clock: Arc::new(FixedClock(1)), entropy: Arc::new(SeededEntropy::new(1)) };
    let mut options = Options::default();
    options.background_thread = false;
    let database = Database::open_storage(Arc::clone(&disk) as Arc<dyn Storage>, environment, options).unwrap();
    let table = Table::<&[u8], &[u8]>::new("t");
    database.transaction(|tx| tx.table(table)?.put(b"first", b"value")).unwrap();
    disk.schedule(1, Fault::Error);
    let outcome = database.transaction(|tx| tx.table(table)?.put(b"key", b"value"));
    assert!(matches!(outcome, Err(Error::OutcomeUnknown { .. })), "{outcome:?}");
    for name in ["key", "never there"] {
        let outcome = database.transaction(|tx| tx.table(table)?.delete(name.as_bytes()));
        assert!(matches!(outcome, Err(Error::Poisoned { .. })), "{outcome:?}");
    }
}

/// The number of a commit that made a table and failed was remembered as that of the last change of the catalogue: whoever
/// made a table before the number was given again was in conflict with nobody, however often it tried.
#[test]
fn a_table_that_failed_to_be_made_is_in_nobodys_way() {
    for isolation in [Isolation::ReadCommitted, Isolation::Snapshot, Isolation::Serializable] {
        passes(plan(vec![
            Action::FaultAfter(0, Fault::Error),
            Action::Commit(Sync, vec![put(1, "a", 1, 8)]),
            begin(0, isolation),
            Action::Client(0, ClientStep::Do(put(2, "b", 3, 8))),
            Action::Client(0, ClientStep::Do(put(2, "c", 5, 8))),
            Action::Client(0, ClientStep::Commit(Sync)),
        ]));
    }
}

/// What a failed append has written is overwritten and synced before it is refused. Where syncs complete later nobody can
/// wait for that, and a refused commit came back after the power had gone.
#[test]
fn a_commit_that_cannot_be_overwritten_at_once_is_not_refused() {
    let disk = Arc::new(SimDisk::new(1));
    let environment = Environment { clock: Arc::new(FixedClock(1)), entropy: Arc::new(SeededEntropy::new(1)) };
    let mut options = Options::default();
    options.background_thread = false;
    let database = Database::open_storage(Arc::clone(&disk) as Arc<dyn Storage>, environment, options).unwrap();
    let table = Table::<&[u8], &[u8]>::new("t");
    let relaxed = lightning_db::Durability::Relaxed;
    let put = |key: &[u8]| database.transaction_with(relaxed, |tx| tx.table(table)?.put(key, b"value"));
    put(b"first").unwrap();
    disk.schedule(0, Fault::Error);
    assert!(matches!(put(b"refused"), Err(Error::Storage(_))));
    put(b"next").unwrap();
    disk.complete_syncs_later(true);
    disk.schedule(0, Fault::Error);
    assert!(matches!(put(b"unknown"), Err(Error::OutcomeUnknown { .. })));
    assert!(matches!(put(b"next"), Err(Error::Poisoned { .. })));
}

/// Where syncs complete later a commit may be in the log before its values are durable, so opening looks for them; a bit
/// read wrong was taken for a value that is not there, and the commit for one that was torn.
#[test]
fn a_bit_of_a_value_read_wrong_while_opening_loses_no_commit() {
    for read in 0..12 {
        for seed in 0..8 {
            let actions = vec![
                Action::Commit(Relaxed, vec![put(0, "key", 1, 6000)]),
                Action::FaultAfter(read, Fault::WrongBit),
                Action::CrashNow(Crash::Kill),
            ];
            let tuning = Tuning { large_value_bytes: 64, ..Tuning::default() };
            passes(Plan { seed, tuning, late_syncs: true, ..plan(actions) });
        }
    }
}
