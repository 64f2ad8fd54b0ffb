//! What a watch costs those who commit. Run by hand, optimised, for times:
//! `cargo test --release -p lightning-db --lib live::bench -- --ignored --nocapture --test-threads 1`
//! and under `valgrind --tool=callgrind --toggle-collect='*live::bench::commits*'`, one test at a time, for instructions.

use alloc::sync::Arc;
use alloc::vec::Vec;
use std::println;
use std::time::Instant;

use crate::collection::{Collection, Schema};
use crate::db::{Database, Options};
use crate::document::Value;
use crate::document::query::{Query, field};
use crate::engine::{Durability, Environment};
use crate::env::{MemoryStorage, SeededEntropy, SystemClock};

const ROWS: i64 = 10_000;
const COMMITS: i64 = 1000;
const ROUNDS: i64 = 5;

fn city(id: i64, population: i64) -> Value {
    [("id", Value::from(id)), ("population", population.into()), ("name", "Jyväskylä".into()), ("country", "FI".into())]
        .into_iter()
        .collect()
}

/// Commits that wait for nothing, so that what is added to them shows.
#[inline(never)]
fn commits(cities: &Collection<Value>, from: i64) {
    for id in from..from + COMMITS {
        cities.put(&city(id, id % 1000)).unwrap();
    }
}

/// Commits to the collection `written`, with and without a watch on 10,000 rows.
fn measure(name: &str, written: &str, watches: bool) {
    let env = Environment { clock: Arc::new(SystemClock::default()), entropy: Arc::new(SeededEntropy::new(7)) };
    let options = Options { background_thread: false, durability: Durability::Relaxed, ..Options::default() };
    let database = Database::open_storage(Arc::new(MemoryStorage::default()), env, options).unwrap();
    let schema = || Schema::key("id").index("population").index("country");
    let cities = database.collection::<Value>("cities", schema()).unwrap();
    cities.put_many(&(0..2 * ROWS).map(|id| city(id, 1_000_000 + id)).collect::<Vec<_>>()).unwrap();
    let written = database.collection::<Value>(written, schema()).unwrap();
    let query = Query::new().filter(field("population").from(1_000_000 + ROWS)).order_by("population");
    let mut watch = watches.then(|| cities.watch(query).unwrap());
    if let Some(watch) = &mut watch {
        assert_eq!(watch.try_next().unwrap().unwrap().rows.len() as i64, ROWS);
    }
    let (mut least, mut asking) = (f64::INFINITY, f64::INFINITY);
    for round in 0..ROUNDS {
        let start = Instant::now();
        commits(&written, 10 * ROWS + round * COMMITS);
        least = least.min(start.elapsed().as_nanos() as f64 / COMMITS as f64);
        let start = Instant::now();
        if let Some(watch) = &mut watch {
            assert_eq!(watch.try_next().unwrap(), None);
        }
        asking = asking.min(start.elapsed().as_nanos() as f64 / COMMITS as f64);
    }
    println!("{name:<52}{least:>8.0} ns a commit, {asking:>6.0} ns more for asking once after all");
}

#[test]
#[ignore = "a measurement"]
fn nobody_watches() {
    measure("nobody watches", "others", false);
}

#[test]
#[ignore = "a measurement"]
fn another_collection() {
    measure("10,000 rows watched, another collection written", "others", true);
}

#[test]
#[ignore = "a measurement"]
fn same_collection_unwatched() {
    measure("nobody watches, the same collection written", "cities", false);
}

#[test]
#[ignore = "a measurement"]
fn same_collection() {
    measure("10,000 rows watched, others of the collection written", "cities", true);
}
