//! Kills `lightning import`. Each import writes the same keys with values of its own, so that what an import that was
//! killed has left is a beginning of its rows, in whole batches, over the rows of those before.

use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use lightning_db_tests::random::Random;

use crate::campaign::keep_copy;
use crate::life::{Dump, Life, Orders};
use crate::plan::digest;
use crate::report::Outcome;
use crate::scenario::Scenario;

const ROWS: u64 = 3000;
const BATCH: u64 = 40;

/// Kills `kills` imports.
pub fn run(scenario: &'static Scenario, seed: u64, kills: u64, folder: &Path, lightning: &Path) -> Outcome {
    let start = Instant::now();
    let mut imports = Imports {
        scenario,
        folder,
        lightning,
        random: Random::new(seed),
        rows: Vec::new(),
        number: 0,
        took: [Duration::from_millis(60); 2],
        outcome: Outcome::of(scenario.name),
    };
    let mut result = fs::create_dir_all(folder).map_err(|error| format!("cannot make '{}': {error}", folder.display()));
    while result.is_ok() && imports.outcome.kills < kills {
        result = imports.one();
    }
    let mut outcome = imports.outcome;
    outcome.failure = result
        .err()
        .map(|what| format!("seed {seed}, import {}, after kill {}: {what}", imports.number, outcome.kills));
    outcome.seconds = start.elapsed().as_secs_f64();
    outcome
}

struct Imports<'a> {
    scenario: &'static Scenario,
    folder: &'a Path,
    lightning: &'a Path,
    random: Random,
    /// Of which import each row is.
    rows: Vec<u64>,
    number: u64,
    /// How long an import takes, relaxed and synced, to aim by.
    took: [Duration; 2],
    outcome: Outcome,
}

impl Imports<'_> {
    fn one(&mut self) -> Result<(), String> {
        self.number += 1;
        let csv = self.number.is_multiple_of(2);
        let file = self.folder.join(if csv { "rows.csv" } else { "rows.jsonl" });
        fs::write(&file, text(self.number, csv)).map_err(|error| format!("'{}': {error}", file.display()))?;
        keep_copy(self.folder)?;
        let acknowledged = self.import(&file)?;
        keep_copy(self.folder)?;
        let seed = 0;
        let life =
            Life::start(self.scenario, seed, self.folder, self.folder, Orders { verify: true, ..Orders::default() })?;
        let dump = life.dump(None)?.ok_or("nothing was told")?;
        self.outcome.openings.push(dump.micros);
        self.verify(&dump, acknowledged)
    }

    /// Runs one import until it is done or killed, and gives how many rows it has acknowledged.
    fn import(&mut self, file: &Path) -> Result<u64, String> {
        let failed = |error: std::io::Error| format!("cannot run 'lightning': {error}");
        let synced = usize::from(self.random.chance(1, 4));
        let durability = ["relaxed", "sync"][synced];
        let mut process = Command::new(self.lightning)
            .arg("import")
            .arg(self.folder.join("app.ldb"))
            .arg("rows")
            .arg(file)
            .args(["--key-type", "u64", "--value-type", "string", "--progress", "--durability", durability])
            .args(["--memory", "4"])
            // Of the import that was killed before, which had other values.
            .arg("--restart")
            .args(["--batch", &BATCH.to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(failed)?;
        let acknowledged = AtomicU64::new(0);
        let Some(stderr) = process.stderr.take() else { return Err(String::from("'lightning' has no standard error")) };
        let started = Instant::now();
        let delay = Duration::from_micros(self.random.below(self.took[synced].as_micros() as u64 * 11 / 10));
        let mut other = String::new();
        let (status, ended) = std::thread::scope(|scope| {
            let reader = scope.spawn(|| {
                for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                    match line.strip_prefix("acknowledged ").and_then(|rows| rows.parse().ok()) {
                        Some(rows) => acknowledged.store(rows, Ordering::Relaxed),
                        None => _ = writeln!(other, "{line}"),
                    }
                }
                started.elapsed()
            });
            std::thread::sleep(delay);
            let status = process.try_wait();
            _ = process.kill();
            _ = process.wait();
            (status, reader.join().unwrap_or(delay))
        });
        let rows = acknowledged.into_inner();
        match status.map_err(failed)? {
            Some(status) if status.success() => {
                self.outcome.clean_ends += 1;
                self.took[synced] = ended;
                if rows != ROWS { Err(format!("the import was done, but acknowledged {rows} rows")) } else { Ok(rows) }
            }
            Some(status) => Err(format!("the import ended with {status}: {other}")),
            None => {
                self.outcome.kills += 1;
                self.took[synced] = self.took[synced] * 21 / 20;
                let at = if rows == 0 { "before the first batch" } else { "after a batch" };
                *self.outcome.phases.entry(format!("lightning import, {at}")).or_default() += 1;
                Ok(rows)
            }
        }
    }

    fn verify(&mut self, dump: &Dump, acknowledged: u64) -> Result<(), String> {
        if let Some(problem) = dump.problems.first() {
            return Err(format!("check found {} problems, the first: {problem}", dump.problems.len()));
        }
        let is_of = |row: usize, import: u64| {
            let found = dump.records.get(row);
            found.is_some_and(|((_, key), value)| {
                *key == row as u64 && *value == digest(value_of(import, row as u64).as_bytes())
            })
        };
        let found = (0..ROWS as usize).take_while(|row| is_of(*row, self.number)).count();
        if (found as u64) < acknowledged {
            self.outcome.lost += acknowledged - found as u64;
            return Err(format!("{acknowledged} rows were acknowledged, but {found} are there"));
        }
        if !(found as u64).is_multiple_of(BATCH) && found as u64 != ROWS {
            return Err(format!("{found} rows are there, which is not a number of whole batches of {BATCH}"));
        }
        self.outcome.acknowledged += found as u64 / BATCH;
        self.rows.resize(self.rows.len().max(found), self.number);
        self.rows[..found].fill(self.number);
        if dump.records.len() != self.rows.len() {
            return Err(format!("{} rows are there, but {} were imported", dump.records.len(), self.rows.len()));
        }
        match (found..self.rows.len()).find(|row| !is_of(*row, self.rows[*row])) {
            Some(row) => Err(format!("row {row} is not what import {} made it", self.rows[row])),
            None => Ok(()),
        }
    }
}

/// No two imports have the same value for a row.
fn value_of(import: u64, row: u64) -> String {
    let mut random = Random::new(import << 32 | row);
    let len = random.skewed(200) as usize;
    let text: String = (0..len).map(|_| char::from(b'a' + random.below(26) as u8)).collect();
    format!("{import} {text}")
}

/// The file of one import.
fn text(import: u64, csv: bool) -> String {
    let mut text = String::from(if csv { "key,value\n" } else { "" });
    for row in 0..ROWS {
        let value = value_of(import, row);
        // Writing to a string does not fail.
        _ = if csv {
            writeln!(text, "{row},{value}")
        } else {
            writeln!(text, "{{\"key\": {row}, \"value\": \"{value}\"}}")
        };
    }
    text
}
