//! `histories --seconds N`: runs and checks histories at every level until the time is over or one has an anomaly that its
//! level proscribes, and prints how many had what.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use lightning_db::Isolation;
use lightning_db_tests::history::anomalies::ANOMALIES;
use lightning_db_tests::history::threads::Threads;
use lightning_db_tests::history::workload::{Counts, check_seed};

const USAGE: &str = "\
usage: histories [--seconds N] [--seed N] [--level read-committed|snapshot|serializable] [--threads N]

  --seconds N   run one history after another for N seconds (10), a quarter of them with real threads on a real file
  --seed N      replay this seed alone, in one thread
  --level L     at this level alone; without it, at each
  --threads N   how many threads those with threads have (4); 0 for none";

const LEVELS: [(Isolation, &str); 3] = [
    (Isolation::ReadCommitted, "read-committed"),
    (Isolation::Snapshot, "snapshot"),
    (Isolation::Serializable, "serializable"),
];
/// Transactions of each thread in one history.
const EACH: u32 = 100;

struct Options {
    seconds: u64,
    seed: Option<u64>,
    level: Option<Isolation>,
    threads: u32,
}

impl Options {
    fn parse(mut args: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut options = Self { seconds: 10, seed: None, level: None, threads: 4 };
        while let Some(arg) = args.next() {
            let mut value = || args.next().ok_or_else(|| format!("{arg} needs a value"));
            let number = |text: String| text.parse().map_err(|_| format!("{arg}: '{text}' is not a number"));
            match arg.as_str() {
                "--seconds" => options.seconds = number(value()?)?,
                "--seed" => options.seed = Some(number(value()?)?),
                "--threads" => options.threads = number(value()?)? as u32,
                "--level" => {
                    let name = value()?;
                    let level = LEVELS.iter().find(|(_, other)| *other == name).map(|(level, _)| *level);
                    options.level = Some(level.ok_or_else(|| format!("--level: '{name}' is no level"))?);
                }
                _ => return Err(format!("unknown option '{arg}'")),
            }
        }
        Ok(options)
    }

    fn levels(&self) -> Vec<usize> {
        (0..LEVELS.len()).filter(|level| self.level.is_none_or(|wanted| wanted == LEVELS[*level].0)).collect()
    }
}

fn main() -> ExitCode {
    let options = match Options::parse(std::env::args().skip(1)) {
        Ok(options) => options,
        Err(message) => {
            eprintln!("{message}\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    let mut sums = Sums::default();
    let start = Instant::now();
    let result = run(&options, &mut sums, start);
    sums.print(start.elapsed());
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            println!("{message}");
            ExitCode::FAILURE
        }
    }
}

/// What was counted: each level in one thread, each level with threads, and locking with threads.
#[derive(Default)]
struct Sums {
    single: [Counts; 3],
    threaded: [Counts; 3],
    locking: Counts,
}

fn run(options: &Options, sums: &mut Sums, start: Instant) -> Result<(), String> {
    // A new start each time, so that running it again finds something new; the seed is printed with every failure.
    let clock = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let first = options.seed.unwrap_or(clock % 1_000_000 * 1000);
    let levels = options.levels();
    if options.seed.is_some() {
        return single(&levels, first, sums);
    }
    println!("from seed {first} on");
    let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
    let threads = match options.threads {
        0 => None,
        count => {
            let path = folder.path().join("histories.ldb");
            Some(Threads::new(&path, count).map_err(|error| error.to_string())?)
        }
    };
    let mut with_threads = Duration::ZERO;
    for seed in first.. {
        if start.elapsed() >= Duration::from_secs(options.seconds) {
            break;
        }
        single(&levels, seed, sums)?;
        let Some(threads) = threads.as_ref().filter(|_| with_threads * 4 < start.elapsed()) else { continue };
        let began = Instant::now();
        for &level in &levels {
            let counts = threads.check(seed, LEVELS[level].0, EACH);
            sums.threaded[level].add(&counts.map_err(|error| format!("with threads: {error}"))?);
        }
        let counts = threads.check_locking(seed, EACH).map_err(|error| format!("with threads that lock: {error}"))?;
        sums.locking.add(&counts);
        with_threads += began.elapsed();
    }
    Ok(())
}

fn single(levels: &[usize], seed: u64, sums: &mut Sums) -> Result<(), String> {
    for &level in levels {
        let (isolation, name) = LEVELS[level];
        let counts = check_seed(seed, isolation);
        let replay = |error| format!("{error}\nreplay with: histories --seed {seed} --level {name}");
        sums.single[level].add(&counts.map_err(replay)?);
    }
    Ok(())
}

impl Sums {
    fn columns(&self) -> Vec<(&'static str, &Counts)> {
        const THREADS: [&str; 3] = ["threads: rc", "threads: si", "threads: ser"];
        let single = self.single.iter().zip(LEVELS).map(|(counts, (_, name))| (name, counts));
        let threaded = self.threaded.iter().zip(THREADS).map(|(counts, name)| (name, counts));
        let all = single.chain(threaded).chain([("rc locking", &self.locking)]);
        all.filter(|(_, counts)| counts.histories > 0).collect()
    }

    fn print(&self, elapsed: Duration) {
        let columns = self.columns();
        let row = |name: &str, cell: &dyn Fn(&Counts) -> String| {
            let cells: String = columns.iter().map(|(_, counts)| format!("{:>16}", cell(counts))).collect();
            println!("{name:<38}{cells}");
        };
        let names: String = columns.iter().map(|(name, _)| format!("{name:>16}")).collect();
        println!("{:<38}{names}", "histories with");
        for anomaly in ANOMALIES {
            row(anomaly.name(), &|counts| counts.count(anomaly).to_string());
        }
        row("of histories", &|counts| counts.histories.to_string());
        row("transactions committed", &|counts| counts.committed.to_string());
        row("refused, given up or lost", &|counts| counts.aborted.to_string());
        row("crashes", &|counts| counts.crashes.to_string());
        println!("{:.1} s", elapsed.as_secs_f64());
    }
}
