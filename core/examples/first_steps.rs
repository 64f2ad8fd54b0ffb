//! Opens a database file, writes to two tables in one transaction, reads a snapshot, and closes it.
//!
//! `cargo run -p lightning-db --example first_steps`

use lightning_db::{Database, Options, Result, Table};

const CITIES: Table<&str, u64> = Table::new("cities");
const BY_SIZE: Table<(u64, &str), ()> = Table::new("cities by size");

fn main() -> Result<()> {
    let path = std::env::temp_dir().join(format!("first-steps-{}.ldb", std::process::id()));
    let db = Database::open(&path, Options::default())?;

    // All or nothing, and durable when it returns.
    db.transaction(|tx| {
        for (city, people) in [("Turku", 206_000), ("Oulu", 215_000), ("Tampere", 260_000)] {
            tx.table(CITIES)?.put(city, people)?;
            tx.table(BY_SIZE)?.put((people, city), ())?;
        }
        Ok(())
    })?;

    // A snapshot does not change, whatever is committed meanwhile.
    let snapshot = db.snapshot();
    db.table(CITIES)?.put("Vaasa", 68_000)?;
    for entry in snapshot.table(BY_SIZE)?.range(..)?.rev() {
        let ((people, city), ()) = entry?;
        println!("{city}: {people}");
    }
    assert_eq!(snapshot.table(CITIES)?.len()?, 3);
    assert_eq!(db.table(CITIES)?.len()?, 4);
    drop(snapshot);

    // After this the one file is the whole database. The handle holds its lock until it is dropped.
    db.close()?;
    drop(db);
    let db = Database::open(&path, Options::default())?;
    assert_eq!(db.table(CITIES)?.get("Oulu")?, Some(215_000));
    assert!(db.check()?.is_clean());
    db.close()?;
    drop(db);
    for file in [path.clone(), path.with_extension("ldb-log")] {
        let _ = std::fs::remove_file(file);
    }
    Ok(())
}
