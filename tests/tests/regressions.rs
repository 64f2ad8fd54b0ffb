//! What the simulator found once, made small.

use std::sync::Arc;

use lightning_db::env::{FixedClock, SeededEntropy};
use lightning_db::{Database, Environment, Isolation, Options, Table};
use lightning_db_tests::paging::PagingStorage;
use lightning_db_tests::sim::action::{Action, Crash, Durability, TxOp, key, value};
use lightning_db_tests::sim::engine::Tuning;
use lightning_db_tests::sim::lightning::Lightning;
use lightning_db_tests::sim::plan::Plan;
use lightning_db_tests::sim::run::run;
use lightning_db_tests::sim_disk::{Fault, SimDisk};

use Durability::{Relaxed, Sync};

const ROWS: Table<&[u8], &[u8]> = Table::new("rows");

fn plan(actions: Vec<Action>) -> Plan {
    let tuning = Tuning { memtable_bytes: 4096, segment_bytes: 65536, large_value_bytes: 256 };
    Plan { seed: 1, tuning, paging: None, stale_cache: false, actions }
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
    let tuning = Tuning { memtable_bytes: 4096, segment_bytes: 131_072, large_value_bytes: 2048 };
    let put = |id: u32| Action::Commit(Relaxed, vec![TxOp::Put(0, key(id.to_string().as_bytes()), value(id, 4))]);
    let actions = vec![put(1), Action::FaultAfter(1, Fault::Error), put(39), Action::Commit(Relaxed, vec![])];
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
