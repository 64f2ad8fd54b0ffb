//! `write-profile [--records N] [--folder PATH] [CASE..]`: how fast writes are, on files, through the public interface.
//!
//! Rates are given by the clock, by the CPU time of the writing thread and by that of the whole process, because on a busy
//! machine only the latter two can be compared between runs.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use lightning_db::{Database, Durability, Options, Result, Table};
use lightning_db_tests::random::Random;

const TABLE: Table<&[u8], &[u8]> = Table::new("t");
const VALUE_BYTES: usize = 100;
const BATCH: u64 = 1000;
const CASES: [&str; 7] = ["relaxed", "random", "sorted", "overwrite", "synced", "clients", "reopen"];

fn main() -> ExitCode {
    let mut records = 1_000_000u64;
    let mut folder = std::env::temp_dir();
    let mut cases = Vec::new();
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--records" => records = arguments.next().and_then(|n| n.parse().ok()).unwrap_or(records),
            "--folder" => folder = arguments.next().map_or(folder, PathBuf::from),
            case if CASES.contains(&case) => cases.push(case.to_owned()),
            _ => {
                eprintln!("usage: write-profile [--records N] [--folder PATH] [{}]", CASES.join("|"));
                return ExitCode::from(2);
            }
        }
    }
    let folder = folder.join(format!("lightning-write-profile-{}", std::process::id()));
    let failed = CASES.iter().filter(|case| cases.is_empty() || cases.iter().any(|c| c == *case)).any(|case| {
        let _ = fs::remove_dir_all(&folder);
        let result = fs::create_dir_all(&folder).map_err(|e| e.to_string());
        let result = result.and_then(|()| run(case, &folder.join("app.ldb"), records).map_err(|e| e.to_string()));
        result.inspect_err(|error| eprintln!("{case}: {error}")).is_err()
    });
    let _ = fs::remove_dir_all(&folder);
    if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

fn run(case: &str, path: &Path, records: u64) -> Result<()> {
    match case {
        "relaxed" => {
            let db = open(path, Durability::Relaxed)?;
            singles(&db, "single puts, relaxed", 1, records, true)?;
            singles(&db, "single puts again, relaxed", 2, records, true)
        }
        "random" => batches(&open(path, Durability::Relaxed)?, "random batches of 1,000", 1, records, false),
        "sorted" => batches(&open(path, Durability::Relaxed)?, "sorted batches of 1,000", 1, records, true),
        "overwrite" => {
            let db = open(path, Durability::Relaxed)?;
            batches(&db, "(load)", 1, records, false)?;
            db.compact()?;
            batches(&db, "random overwrites in batches", 1, records, false)
        }
        "synced" => {
            raw_appends(path, 5000);
            singles(&open(path, Durability::Sync)?, "single puts, synced", 1, 5000, false)
        }
        "clients" => {
            let db = open(path, Durability::Sync)?;
            for clients in [1u64, 8] {
                let each = 4000;
                let next = AtomicU64::new(clients);
                let meter = Meter::start(&db);
                std::thread::scope(|scope| {
                    for _ in 0..clients {
                        let client = next.fetch_add(1, Ordering::Relaxed);
                        let db = &db;
                        scope.spawn(move || singles_quietly(db, client << 32, each).expect("a put"));
                    }
                });
                meter.report(&format!("{clients} clients, synced"), clients * each);
            }
            Ok(())
        }
        _ => {
            let db = open(path, Durability::Relaxed)?;
            singles(&db, "(load)", 1, records, false)?;
            db.checkpoint()?;
            singles(&db, "(a full log)", 3, 60_000, false)?;
            let killed = path.with_file_name("killed.ldb");
            copy_files(path, &killed);
            let log_bytes = db.stats().log_bytes;
            // Its merges would go on beside what is measured.
            drop(db);
            let mut opened = Vec::new();
            let mut replayed = 0;
            for _ in 0..7 {
                let copy = path.with_file_name("copy.ldb");
                copy_files(&killed, &copy);
                let start = Instant::now();
                let reopened = open(&copy, Durability::Relaxed)?;
                opened.push(start.elapsed().as_secs_f64() * 1e3);
                replayed = reopened.recovery().replayed_commits;
            }
            opened.sort_by(f64::total_cmp);
            println!(
                "{:<32} {:>9.1} ms (median; {:.1} at best), {replayed} commits replayed, log {} KB",
                "reopen after a kill",
                opened[opened.len() / 2],
                opened[0],
                log_bytes >> 10
            );
            Ok(())
        }
    }
}

/// What a killed process leaves is what the files hold at that moment.
fn copy_files(from: &Path, to: &Path) {
    let log = |path: &Path| PathBuf::from(format!("{}-log", path.display()));
    for (from, to) in [(from.to_path_buf(), to.to_path_buf()), (log(from), log(to))] {
        fs::copy(from, to).expect("a copy");
    }
}

fn open(path: &Path, durability: Durability) -> Result<Database> {
    let mut options = Options::default();
    options.durability = durability;
    options.memory_budget_bytes = 512 << 20;
    Database::open(path, options)
}

fn singles(db: &Database, what: &str, seed: u64, records: u64, twice: bool) -> Result<()> {
    let meter = Meter::start(db);
    singles_quietly(db, seed, records)?;
    meter.report(what, records);
    if twice {
        let meter = Meter::start(db);
        db.checkpoint()?;
        meter.report("  the merge that remains", records);
    }
    Ok(())
}

fn singles_quietly(db: &Database, seed: u64, records: u64) -> Result<()> {
    let mut random = Random::new(seed);
    let table = db.table(TABLE)?;
    for _ in 0..records {
        let (key, value) = record(&mut random);
        table.put(&key[..], &value[..])?;
    }
    Ok(())
}

fn batches(db: &Database, what: &str, seed: u64, records: u64, sorted: bool) -> Result<()> {
    let mut random = Random::new(seed);
    let meter = Meter::start(db);
    for batch in 0..records / BATCH {
        db.transaction(|tx| {
            let mut table = tx.table(TABLE)?;
            for at in 0..BATCH {
                let (mut key, value) = record(&mut random);
                if sorted {
                    key[..8].copy_from_slice(&(batch * BATCH + at).to_be_bytes());
                }
                table.put(&key[..], &value[..])?;
            }
            Ok(())
        })?;
    }
    meter.report(what, records);
    let meter = Meter::start(db);
    db.checkpoint()?;
    meter.report("  the merge that remains", records);
    Ok(())
}

fn record(random: &mut Random) -> ([u8; 16], [u8; VALUE_BYTES]) {
    let mut key = [0; 16];
    key[..8].copy_from_slice(&random.bits().to_be_bytes());
    key[8..].copy_from_slice(&random.bits().to_be_bytes());
    let mut value = [0; VALUE_BYTES];
    value[..8].copy_from_slice(&random.bits().to_be_bytes());
    (key, value)
}

/// What a synced put is compared with: an append of as many bytes and a sync, into space already allocated and written.
fn raw_appends(path: &Path, appends: u64) {
    use std::os::unix::fs::FileExt;
    let file = fs::File::create(path.with_file_name("raw")).expect("a file");
    file.write_all_at(&vec![1; 4 << 20], 0).expect("a write");
    file.sync_all().expect("a sync");
    let start = Instant::now();
    for at in 0..appends {
        file.write_all_at(&[2; 176], at * 176).expect("a write");
        file.sync_data().expect("a sync");
    }
    let each = start.elapsed().as_secs_f64() * 1e6 / appends as f64;
    println!("{:<32} {each:>9.1} us each", "raw append + fdatasync");
}

struct Meter<'a> {
    db: &'a Database,
    wall: Instant,
    thread_ns: u64,
    process_ns: u64,
    written: u64,
    stats: lightning_db::Stats,
}

impl<'a> Meter<'a> {
    fn start(db: &'a Database) -> Self {
        Self {
            db,
            wall: Instant::now(),
            thread_ns: thread_ns(),
            process_ns: process_ns(),
            written: written_bytes(),
            stats: db.stats(),
        }
    }

    fn report(self, what: &str, operations: u64) {
        let wall = self.wall.elapsed().as_secs_f64();
        let per = |ns: u64| ns as f64 / operations as f64 / 1e3;
        let stats = self.db.stats();
        println!(
            "{what:<32} {:>9.0} K/s {:>8.2} us each; CPU: writer {:>6.2} us, all {:>6.2} us; written {:>6.0} B each; flushes {}, checkpoints {}, p99.9 {} us, max {} us",
            operations as f64 / wall / 1e3,
            wall * 1e6 / operations as f64,
            per(thread_ns() - self.thread_ns),
            per(process_ns() - self.process_ns),
            (written_bytes() - self.written) as f64 / operations as f64,
            stats.flushes - self.stats.flushes,
            stats.checkpoints - self.stats.checkpoints,
            stats.commit_latency.percentile_us(99),
            stats.commit_latency.percentile_us(100),
        );
    }
}

/// CPU time of this thread.
fn thread_ns() -> u64 {
    field("/proc/thread-self/schedstat", 0)
}

/// CPU time of this process; the kernel counts in hundredths of a second.
fn process_ns() -> u64 {
    (field("/proc/self/stat", 13) + field("/proc/self/stat", 14)) * 10_000_000
}

/// Bytes this process made the system write, by writes or through mappings.
fn written_bytes() -> u64 {
    fs::read_to_string("/proc/self/io")
        .ok()
        .and_then(|io| io.lines().find_map(|line| line.strip_prefix("write_bytes: ")?.parse().ok()))
        .unwrap_or(0)
}

fn field(path: &str, at: usize) -> u64 {
    fs::read_to_string(path).ok().and_then(|text| text.split_whitespace().nth(at)?.parse().ok()).unwrap_or(0)
}
