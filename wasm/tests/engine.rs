//! The engine on each storage of a browser, in a dedicated worker of a real one.

mod places;

use lightning_db::{Error, Options, Progress, Result, Table};
use places::{Driven, Place};
use wasm_bindgen_test::{wasm_bindgen_test, wasm_bindgen_test_configure};

wasm_bindgen_test_configure!(run_in_dedicated_worker);

const TEXTS: Table<'static, u64, &str> = Table::new("texts");

fn options() -> Options {
    let mut options = Options::default();
    options.memory_budget_bytes = 10 << 20;
    // Small, so that a test of moderate size merges.
    options.memtable_bytes = Some(128 << 10);
    options
}

async fn open(place: Place, name: &str) -> Driven {
    Driven::open(place, name, options()).await.unwrap()
}

async fn put(database: &Driven, numbers: std::ops::Range<u64>, text: &str) {
    let put = database.transaction(|tx| {
        let mut table = tx.table(TEXTS)?;
        numbers.clone().try_for_each(|number| table.put(number, format!("{text} {number}").as_str()))
    });
    put.await.unwrap();
}

async fn get(database: &Driven, number: u64) -> Option<String> {
    let found = database.run(|database| match database.snapshot().table(TEXTS) {
        Err(Error::NoSuchTable { .. }) => Ok(None),
        table => Ok(table?.get(number)?.map(|found| found.into_owned()).transpose()?),
    });
    found.await.unwrap()
}

async fn count(database: &Driven) -> u64 {
    database.run(|database| database.snapshot().table(TEXTS)?.len()).await.unwrap()
}

async fn is_clean(database: &Driven) -> bool {
    let report = database.run(|database| database.check()).await.unwrap();
    report.is_clean()
}

/// Each test on each storage that keeps something.
macro_rules! on_each_place {
    ($($test:ident)*) => {
        mod opfs {
            $(#[wasm_bindgen_test::wasm_bindgen_test]
            async fn $test() {
                super::$test(super::Place::Opfs, concat!("engine-", stringify!($test))).await;
            })*
        }
        mod indexed_db {
            $(#[wasm_bindgen_test::wasm_bindgen_test]
            async fn $test() {
                super::$test(super::Place::IndexedDb, concat!("engine-", stringify!($test))).await;
            })*
        }
    };
}

on_each_place! {
    commits_are_there_after_close_and_reopening
    many_commits_merge_and_stay_whole
    a_transaction_that_fails_changes_nothing
    a_transaction_reads_what_must_first_be_fetched
}

async fn commits_are_there_after_close_and_reopening(place: Place, name: &str) {
    Driven::delete(place, name).await.unwrap();
    let database = open(place, name).await;
    put(&database, 0..10, "first").await;
    put(&database, 5..6, "second").await;
    database.close().await.unwrap();

    let database = open(place, name).await;
    assert_eq!(count(&database).await, 10);
    assert_eq!(get(&database, 4).await.as_deref(), Some("first 4"));
    assert_eq!(get(&database, 5).await.as_deref(), Some("second 5"));
    assert_eq!(get(&database, 10).await, None);
    database.close().await.unwrap();
}

async fn many_commits_merge_and_stay_whole(place: Place, name: &str) {
    const COMMITS: u64 = 60;
    const ROWS: u64 = 200;
    Driven::delete(place, name).await.unwrap();
    let mut database = open(place, name).await;
    for commit in 0..COMMITS {
        // Interleaved, so that later commits touch what earlier ones merged.
        let text = format!("commit {commit}, and so much more that the memtable fills up");
        put(&database, commit * ROWS / 2..commit * ROWS / 2 + ROWS, &text).await;
        while database.step().await.unwrap() == Progress::More {}
        if commit == COMMITS / 2 {
            database.close().await.unwrap();
            database = open(place, name).await;
        }
    }
    assert_eq!(count(&database).await, (COMMITS + 1) * ROWS / 2);
    assert!(is_clean(&database).await);
    database.close().await.unwrap();

    let database = open(place, name).await;
    assert_eq!(count(&database).await, (COMMITS + 1) * ROWS / 2);
    let expected = "commit 1, and so much more that the memtable fills up 199";
    assert_eq!(get(&database, 199).await.as_deref(), Some(expected));
    assert!(is_clean(&database).await);
    database.close().await.unwrap();
}

async fn a_transaction_that_fails_changes_nothing(place: Place, name: &str) {
    Driven::delete(place, name).await.unwrap();
    let database = open(place, name).await;
    put(&database, 0..3, "kept").await;
    let failed: Result<()> = database
        .transaction(|tx| {
            tx.table(TEXTS)?.put(1, "lost")?;
            Err(Error::Invalid { what: String::from("changed my mind") })
        })
        .await;
    assert!(matches!(failed, Err(Error::Invalid { .. })));
    assert_eq!(get(&database, 1).await.as_deref(), Some("kept 1"));
    database.close().await.unwrap();
}

async fn a_transaction_reads_what_must_first_be_fetched(place: Place, name: &str) {
    Driven::delete(place, name).await.unwrap();
    let database = open(place, name).await;
    put(&database, 0..5000, "a text of some length, so that the rows fill many blocks").await;
    database.close().await.unwrap();

    let database = open(place, name).await;
    let moved = database.transaction(|tx| {
        let mut table = tx.table(TEXTS)?;
        let text = table.get(4000)?.map(|found| found.into_owned()).transpose()?;
        table.put(1, text.as_deref().unwrap_or("missing"))?;
        Ok(text)
    });
    let text = moved.await.unwrap();
    assert_eq!(get(&database, 1).await, text);
    assert!(text.is_some_and(|text| text.ends_with("4000")));
    assert_eq!(count(&database).await, 5000);
    database.close().await.unwrap();
}

#[wasm_bindgen_test]
async fn a_database_in_memory_needs_nothing_of_the_browser() {
    let database = open(Place::Memory, "memory").await;
    put(&database, 0..100, "kept").await;
    assert_eq!(count(&database).await, 100);
    assert!(is_clean(&database).await);
    database.close().await.unwrap();
}

/// The tab's end without a close: only what was flushed is left, and all that was acknowledged was flushed.
#[wasm_bindgen_test]
async fn acknowledged_commits_survive_the_end_of_the_tab() {
    let name = "engine-tab-ends";
    Driven::delete(Place::IndexedDb, name).await.unwrap();
    let database = open(Place::IndexedDb, name).await;
    put(&database, 0..300, "kept").await;
    // A connection that is not closed is no obstacle to another one.
    std::mem::forget(database);

    let database = open(Place::IndexedDb, name).await;
    assert_eq!(count(&database).await, 300);
    assert_eq!(get(&database, 299).await.as_deref(), Some("kept 299"));
    assert!(is_clean(&database).await);
    database.close().await.unwrap();
}
