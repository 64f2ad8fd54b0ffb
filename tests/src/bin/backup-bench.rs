//! `backup-bench [--records N] [--folder PATH] [--seconds N] [--limit-rate MB]`: what a backup costs those who write meanwhile,
//! and how near it comes to what the disk can do. With a limit, those beside writers make no more MB a second.
//!
//! A database of records of 100 bytes is loaded and merged. Then, in rounds: a file of the backup's size is written in order and
//! synced, and copied and synced, and a backup is made alone, of the database at rest, as puts have left it that are merged, and
//! as puts have left it that are not; single puts are counted for a while alone, and while backups are made one after the other,
//! in every other round the other way round. Only the ratios mean something elsewhere: a backup reads as much as it writes, so
//! copying is what it can be compared with, and writing alone is what a disk is said to do.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use lightning_db::{Database, Durability, Options, Result, Table};
use lightning_db_tests::random::Random;

const TABLE: Table<u64, &[u8]> = Table::new("t");
const VALUE_BYTES: usize = 100;
/// Values of single puts begin anywhere in so many bytes.
const VALUES_BYTES: usize = 1_000_000;
const ROUNDS: usize = 5;
const PIECE_BYTES: usize = 256 << 10;

fn main() -> ExitCode {
    let (mut records, mut seconds, mut limit_megabytes) = (1_000_000_u64, 5_u64, None);
    let mut folder = std::env::temp_dir();
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut number = || arguments.next().and_then(|n| n.parse().ok());
        match argument.as_str() {
            "--records" => records = number().unwrap_or(records),
            "--seconds" => seconds = number().unwrap_or(seconds),
            "--limit-rate" => limit_megabytes = number(),
            "--folder" => folder = arguments.next().map_or(folder, PathBuf::from),
            _ => {
                eprintln!("usage: backup-bench [--records N] [--folder PATH] [--seconds N] [--limit-rate MB]");
                return ExitCode::from(2);
            }
        }
    }
    let folder = folder.join(format!("lightning-backup-bench-{}", std::process::id()));
    let done = fs::create_dir_all(&folder).map_err(|error| error.to_string()).and_then(|()| {
        run(&folder, records, Duration::from_secs(seconds), limit_megabytes).map_err(|error| error.to_string())
    });
    let _ = fs::remove_dir_all(&folder);
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn run(folder: &Path, records: u64, time: Duration, limit_megabytes: Option<u64>) -> Result<()> {
    let mut options = Options::default();
    options.durability = Durability::Relaxed;
    let db = Database::open(folder.join("app.ldb"), options)?;
    let mut random = Random::new(1);
    for batch in 0..records.div_ceil(1000) {
        db.transaction(|tx| {
            let mut table = tx.table(TABLE)?;
            (batch * 1000..records.min((batch + 1) * 1000))
                .try_for_each(|key| table.put(key, value(&mut random).as_slice()))
        })?;
    }
    let (mut shares, mut synced_shares) = (Vec::new(), Vec::new());
    // Of writing, and of copying.
    let mut speeds = [(); 3].map(|()| [Vec::new(), Vec::new()]);
    let mut number = 0;
    let mut compared = |what: &str, speeds: &mut [Vec<f64>; 2]| {
        number += 1;
        let (bytes, seconds) = backup(&db, folder, number, None)?;
        let disk_seconds = in_order(folder, bytes);
        let speed = |seconds: f64| bytes as f64 / 1e6 / seconds;
        let [write, copy] = disk_seconds.map(speed);
        println!(
            "backup, {what}: {:.0} MB/s; in order: writing {write:.0} MB/s, copying {copy:.0} MB/s",
            speed(seconds)
        );
        speeds.iter_mut().zip(disk_seconds).for_each(|(shares, disk)| shares.push(disk / seconds));
        Ok::<_, lightning_db::Error>(())
    };
    for round in 0..ROUNDS {
        db.compact()?;
        compared("at rest", &mut speeds[0])?;
        for (durability, shares) in [(Durability::Relaxed, &mut shares), (Durability::Sync, &mut synced_shares)] {
            let is_first = round % 2 == 0;
            let mut alone = if is_first { merged_puts(&db, durability, records, time, &mut random)? } else { 0.0 };
            let stop = AtomicBool::new(false);
            let (beside, speed) = std::thread::scope(|scope| {
                let backups = scope.spawn(|| {
                    let (mut number, mut bytes, mut seconds) = (0, 0, 0.0);
                    while !stop.load(Ordering::Relaxed) {
                        number += 1;
                        let (more, took) = backup(&db, folder, 100 + number, limit_megabytes)?;
                        (bytes, seconds) = (bytes + more, seconds + took);
                    }
                    Ok::<_, lightning_db::Error>(bytes as f64 / 1e6 / seconds)
                });
                let beside = merged_puts(&db, durability, records, time, &mut random);
                stop.store(true, Ordering::Relaxed);
                let speed = backups.join().unwrap_or_else(|_| panic!("a backup panicked"))?;
                Ok::<_, lightning_db::Error>((beside?, speed))
            })?;
            if !is_first {
                alone = merged_puts(&db, durability, records, time, &mut random)?;
            }
            println!(
                "single puts, {durability:?}: {alone:.0}/s alone, {beside:.0}/s beside backups of {speed:.0} MB/s"
            );
            shares.push(beside / alone);
        }
        compared("after puts", &mut speeds[1])?;
        puts(&db, Durability::Relaxed, records, time, &mut random)?;
        compared("after puts that are not merged", &mut speeds[2])?;
    }
    println!();
    let [at_rest, after_puts, unmerged] = speeds.map(|speeds| speeds.map(median));
    for (what, of) in [(0, "writing"), (1, "copying")] {
        println!(
            "speed of a backup, of {of} in order: {:.2} at rest, {:.2} after puts, {:.2} after puts that are not merged",
            at_rest[what], after_puts[what], unmerged[what]
        );
    }
    println!(
        "rate of single puts beside backups, of their rate alone: {:.2} relaxed, {:.2} synced",
        median(shares),
        median(synced_shares)
    );
    Ok(())
}

fn value(random: &mut Random) -> Vec<u8> {
    // Not to be compressed, so that it is the disk that is measured.
    (0..VALUE_BYTES / 4).flat_map(|_| (random.below(1 << 32) as u32).to_le_bytes()).collect()
}

/// Bytes and seconds.
fn backup(db: &Database, folder: &Path, number: usize, limit_megabytes: Option<u64>) -> Result<(u64, f64)> {
    let to = folder.join(format!("{number}.ldb"));
    let begun = Instant::now();
    let mut backup = db.backup();
    if let Some(megabytes) = limit_megabytes {
        backup.limit_rate(megabytes << 20);
    }
    let done = backup.write_to(&to, &mut |_| {})?;
    let seconds = begun.elapsed().as_secs_f64();
    let _ = fs::remove_file(&to);
    Ok((done.bytes, seconds))
}

/// Seconds for writing a file of so many bytes, and for copying it, each with a sync.
fn in_order(folder: &Path, bytes: u64) -> [f64; 2] {
    let mut random = Random::new(7);
    let piece: Vec<u8> = (0..PIECE_BYTES / 4).flat_map(|_| (random.below(1 << 32) as u32).to_le_bytes()).collect();
    let (plain, copy) = (folder.join("plain"), folder.join("copy"));
    let timed = |path: &Path, fill: &dyn Fn(&mut File)| {
        let begun = Instant::now();
        let mut file = File::create(path).expect("a file beside the database");
        fill(&mut file);
        file.sync_all().expect("it can be synced");
        begun.elapsed().as_secs_f64()
    };
    let pieces = bytes / PIECE_BYTES as u64;
    let write = timed(&plain, &|file| (0..pieces).for_each(|_| file.write_all(&piece).expect("there is room")));
    let copied = timed(&copy, &|file| {
        let (mut from, mut piece) = (File::open(&plain).expect("it was written"), vec![0; PIECE_BYTES]);
        for _ in 0..pieces {
            from.read_exact(&mut piece).expect("it is as long");
            file.write_all(&piece).expect("there is room");
        }
    });
    let _ = (fs::remove_file(&plain), fs::remove_file(&copy));
    [write, copied]
}

/// As [`puts`], merged in the end.
fn merged_puts(
    db: &Database,
    durability: Durability,
    records: u64,
    time: Duration,
    random: &mut Random,
) -> Result<f64> {
    let rate = puts(db, durability, records, time, random)?;
    db.checkpoint()?;
    Ok(rate)
}

/// Single puts a second, over keys that are there.
fn puts(db: &Database, durability: Durability, records: u64, time: Duration, random: &mut Random) -> Result<f64> {
    // Values that are not alike, or what was put would be compressed; and made before, or it would be that which is measured.
    let bytes: Vec<u8> = (0..VALUES_BYTES / VALUE_BYTES).flat_map(|_| value(random)).collect();
    let begun = Instant::now();
    let mut count = 0_u64;
    while begun.elapsed() < time {
        let key = random.below(records);
        let at = random.below((VALUES_BYTES - VALUE_BYTES) as u64) as usize;
        db.transaction_with(durability, |tx| tx.table(TABLE)?.put(key, &bytes[at..at + VALUE_BYTES]))?;
        count += 1;
    }
    Ok(count as f64 / begun.elapsed().as_secs_f64())
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}
