//! What encryption costs: `seal-profile [records [folder]]`. Databases in files, unencrypted and with each cipher, are read at
//! random with a cache that holds a small part of them, and with one that holds all. Prints nanoseconds a get, and the bytes of a
//! record in the file.

use std::path::Path;
use std::time::{Duration, Instant};

use lightning_db::{Database, Durability, Encryption, EncryptionKey, Options, Result, Table};

const RECORDS: Table<&[u8], &[u8]> = Table::new("records");
/// Each figure is the best of this many rounds.
const ROUNDS: usize = 5;
const ROUND_TIME: Duration = Duration::from_millis(500);

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let records = arguments.next().and_then(|text| text.parse().ok()).unwrap_or(300_000u64);
    let parent = arguments.next().map_or_else(std::env::temp_dir, Into::into);
    let folder = tempfile::tempdir_in(parent).expect("a folder for the databases");
    for encryption in [None, Some(Encryption::Aes256Gcm), Some(Encryption::ChaCha20Poly1305)] {
        let name = encryption.map_or("not encrypted", Encryption::name);
        let path = folder.path().join(name);
        fill(&path, encryption, records)?;
        let bytes = std::fs::metadata(&path).map_or(0, |file| file.len());
        let (small, large) = (gets(&path, encryption, records, 2 << 20)?, gets(&path, encryption, records, 512 << 20)?);
        println!(
            "{name:20} {small:7.0} ns not cached {large:7.0} ns cached {:7.1} bytes a record",
            bytes as f64 / records as f64
        );
    }
    Ok(())
}

fn options(encryption: Option<Encryption>, budget_bytes: usize) -> Options {
    let mut options = Options::default();
    options.memory_budget_bytes = budget_bytes;
    options.durability = Durability::Relaxed;
    if let Some(encryption) = encryption {
        (options.encryption, options.key) = (encryption, Some(EncryptionKey::raw([7; 32])));
    }
    options
}

fn fill(path: &Path, encryption: Option<Encryption>, records: u64) -> Result<()> {
    let db = Database::open(path, options(encryption, 64 << 20))?;
    for first in (0..records).step_by(1000) {
        db.transaction(|tx| {
            let mut table = tx.table(RECORDS)?;
            for number in first..(first + 1000).min(records) {
                table.put(&key(number)[..], &value(number)[..])?;
            }
            Ok(())
        })?;
    }
    db.compact()?;
    db.close()
}

/// Nanoseconds a get.
fn gets(path: &Path, encryption: Option<Encryption>, records: u64, budget_bytes: usize) -> Result<f64> {
    let db = Database::open(path, options(encryption, budget_bytes))?;
    let snapshot = db.snapshot();
    let table = snapshot.table(RECORDS)?;
    let mut state = 1u64;
    let mut get = || {
        state = scramble(state.wrapping_add(1));
        let number = state % records;
        table.get(&key(number)[..]).map(|found| assert!(found.is_some()))
    };
    // Everything is read once, so that the operating system has it.
    for _ in 0..records * 2 {
        get()?;
    }
    let mut best = f64::INFINITY;
    for _ in 0..ROUNDS {
        let (begun, mut count) = (Instant::now(), 0u64);
        while begun.elapsed() < ROUND_TIME {
            for _ in 0..1000 {
                get()?;
            }
            count += 1000;
        }
        best = best.min(begun.elapsed().as_nanos() as f64 / count as f64);
    }
    db.close()?;
    Ok(best)
}

/// In no order.
fn key(number: u64) -> [u8; 16] {
    let mut key = [0; 16];
    key[..8].copy_from_slice(&scramble(number).to_be_bytes());
    key[8..].copy_from_slice(&number.to_be_bytes());
    key
}

/// Half of it compresses.
fn value(number: u64) -> [u8; 100] {
    let mut value = [b'v'; 100];
    for (at, part) in value[..48].chunks_mut(8).enumerate() {
        part.copy_from_slice(&scramble(number * 8 + at as u64).to_le_bytes());
    }
    value
}

fn scramble(number: u64) -> u64 {
    let mut z = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
