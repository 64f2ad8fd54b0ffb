//! What collections cost: `document-profile WHAT [operations [documents]]`.
//!
//! Documents of nine fields with a unique index and a plain one, all in memory. For counting instructions run it under
//! `valgrind --tool=callgrind`: the difference of two runs, divided by that of their operations, is what one costs; and
//! `--toggle-collect='document_profile::WHAT'` counts the functions below the operations alone.

use std::hint::black_box;
use std::sync::Arc;

use lightning_db::env::{FixedClock, MemoryStorage, SeededEntropy, Storage};
use lightning_db::query::Update;
use lightning_db::{
    Collection, Compression, Database, Durability, Environment, Options, Progress, Query, Result, Schema, field,
};
use serde::{Deserialize, Serialize};

const BATCH: u64 = 1_000;

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Place {
    id: u64,
    code: String,
    name: String,
    country: String,
    feature_code: String,
    admin_code: String,
    population: u64,
    lat: f64,
    lon: f64,
}

impl Place {
    fn new(id: u64) -> Self {
        let mixed = mix(id);
        let name = format!("Santa Maria {:x}", mixed >> 40);
        Self {
            id,
            code: code(id),
            name,
            country: "BR".to_owned(),
            feature_code: "PPLA2".to_owned(),
            admin_code: "05".to_owned(),
            population: mixed % 1_000_000,
            lat: (mixed % 180_000) as f64 / 1e3,
            lon: (mixed % 360_000) as f64 / 1e3,
        }
    }
}

fn main() -> std::result::Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |at: usize, default: u64| arguments.get(at).and_then(|text| text.parse().ok()).unwrap_or(default);
    let (operations, documents) = (number(1, 1_000), number(2, 20_000));
    let database = database()?;
    let places = database.collection("places", Schema::key("id").index("population").unique("code"))?;
    for first in (0..documents).step_by(BATCH as usize) {
        load(&places, first, BATCH.min(documents - first))?;
        while database.step()? == Progress::More {}
    }
    // At rest, and everything in memory.
    database.checkpoint()?;
    warm(&places, documents)?;
    match arguments.first().map_or("", String::as_str) {
        "load" => load(&places, documents, operations)?,
        "lookup" => lookup(&places, operations, documents)?,
        "range" => range(&places, operations)?,
        "count" => count(&places, operations)?,
        "update" => update(&places, operations, documents)?,
        "watched" => {
            let mut live = places.watch(Query::new().filter(field("population").below(500_000)))?;
            black_box(live.try_next_cbor()?);
            update(&places, operations, documents)?;
            black_box(live.try_next_cbor()?);
        }
        _ => return Err("what: load, lookup, range, count, update or watched".into()),
    }
    Ok(())
}

fn database() -> Result<Database> {
    let env = Environment { clock: Arc::new(FixedClock(1000)), entropy: Arc::new(SeededEntropy::new(7)) };
    let mut options = Options::default();
    options.memory_budget_bytes = 1 << 30;
    options.durability = Durability::Relaxed;
    options.background_thread = false;
    options.compression = Compression::None;
    Database::open_storage(Arc::new(MemoryStorage::new()) as Arc<dyn Storage>, env, options)
}

fn warm(places: &Collection<Place>, documents: u64) -> Result<()> {
    let snapshot = places.snapshot()?;
    for place in snapshot.query(Query::new().filter(field("population").from(0)).order_by("population"))? {
        black_box(place?);
    }
    for id in 0..documents {
        black_box(snapshot.query(Query::new().filter(field("code").equals(code(id).as_str())))?.next());
    }
    Ok(())
}

/// One transaction.
#[inline(never)]
fn load(places: &Collection<Place>, first: u64, count: u64) -> Result<()> {
    places.write(|places| (first..first + count).try_for_each(|id| places.insert(&Place::new(id))))
}

#[inline(never)]
fn lookup(places: &Collection<Place>, operations: u64, documents: u64) -> Result<()> {
    let snapshot = places.snapshot()?;
    for operation in 0..operations {
        let code = code(mix(operation) % documents);
        black_box(snapshot.query(Query::new().filter(field("code").equals(code.as_str())))?.next().transpose()?);
    }
    Ok(())
}

#[inline(never)]
fn range(places: &Collection<Place>, operations: u64) -> Result<()> {
    let snapshot = places.snapshot()?;
    for operation in 0..operations {
        let from = field("population").from(mix(operation) % 900_000);
        for place in snapshot.query(Query::new().filter(from).order_by("population").limit(20))? {
            black_box(place?);
        }
    }
    Ok(())
}

#[inline(never)]
fn count(places: &Collection<Place>, operations: u64) -> Result<()> {
    let snapshot = places.snapshot()?;
    for operation in 0..operations {
        let from = mix(operation) % 900_000;
        black_box(snapshot.count(Query::new().filter(field("population").between(from, from + 10_000)))?);
    }
    Ok(())
}

/// A transaction each. None of them is of a document watched: populations stay at a half million or more.
#[inline(never)]
fn update(places: &Collection<Place>, operations: u64, documents: u64) -> Result<()> {
    let strangers: Vec<u64> = (0..documents).filter(|id| mix(*id) % 1_000_000 >= 500_000).collect();
    for operation in 0..operations {
        let id = strangers[(mix(operation) % strangers.len() as u64) as usize];
        places.update(id, &Update::new().set("population", 500_000 + mix(operation) % 500_000))?;
    }
    Ok(())
}

fn code(id: u64) -> String {
    format!("BR/Santa Maria {:x}", mix(id) >> 24)
}

fn mix(mut x: u64) -> u64 {
    x = (x ^ (x >> 30)).wrapping_add(0x9e37_79b9_7f4a_7c15).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}
