//! What the engine itself takes for a get of 100 bytes under a key of 16, each in a snapshot of its own, as the packages make them:
//! beside it stands what a call from Swift or Kotlin takes. Prints microseconds.

use std::error::Error;
use std::hint::black_box;
use std::time::Instant;

use lightning_db::{Database, Options, Table};

const RECORDS: u64 = 10_000;
const ROUNDS: usize = 40;

fn main() -> Result<(), Box<dyn Error>> {
    const TABLE: Table<&[u8], &[u8]> = Table::new("bytes");
    let folder = std::env::temp_dir().join(format!("lightning-db-engine-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    let mut options = Options::default();
    options.memory_budget_bytes = 10_000_000;
    let database = Database::open(folder.join("bytes.ldb"), options)?;
    let keys: Vec<String> = (0..RECORDS).map(|at| format!("{:016x}", at.wrapping_mul(0x9e37_79b9_7f4a_7c15))).collect();
    for key in &keys {
        database.transaction(|tx| tx.table(TABLE)?.put(key.as_bytes(), [7; 100]))?;
    }
    let mut rounds = Vec::new();
    for _ in 0..ROUNDS {
        let start = Instant::now();
        for key in &keys {
            let snapshot = database.snapshot();
            black_box(snapshot.table(TABLE)?.get(key.as_bytes())?.ok_or("a key is missing")?);
        }
        rounds.push(start.elapsed().as_secs_f64() * 1e6 / RECORDS as f64);
    }
    rounds.sort_by(f64::total_cmp);
    println!("{:.3}", rounds.get(ROUNDS / 2).ok_or("nothing was measured")?);
    database.close()?;
    std::fs::remove_dir_all(folder)?;
    Ok(())
}
