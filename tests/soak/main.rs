//! The same load for a long time: at its end everything must be as it was in its middle. Nothing may grow.

mod load;
mod plot;
mod process;
mod sample;
mod verdict;

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use clap::Parser;
use lightning_db_tests::memory::Counting;

use self::load::Load;
use self::sample::Sample;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Loads a database evenly for a long time, and looks whether anything grows
#[derive(Parser)]
struct Arguments {
    /// How long
    #[arg(long, default_value_t = 10)]
    minutes: u64,
    /// Operations a second
    #[arg(long, default_value_t = 10_000)]
    rate: u64,
    /// Different keys, of which about half exist at a time
    #[arg(long, default_value_t = 200_000)]
    keys: u64,
    /// The folder for the database and the report; the database is made anew
    #[arg(long, default_value = "soak")]
    folder: PathBuf,
}

/// One sample a second.
const SAMPLE_INTERVAL: Duration = Duration::from_secs(1);

fn main() -> ExitCode {
    match soak(&Arguments::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Whether nothing grew.
fn soak(arguments: &Arguments) -> Result<bool> {
    ensure!(arguments.minutes > 0 && arguments.rate > 0 && arguments.keys > 1, "minutes, rate and keys must not be 0");
    fs::create_dir_all(&arguments.folder).with_context(|| format!("cannot make {}", arguments.folder.display()))?;
    let path = arguments.folder.join("soak.ldb");
    for file in [path.clone(), path.with_extension("ldb-log")] {
        if file.exists() {
            fs::remove_file(&file).with_context(|| format!("cannot remove {}", file.display()))?;
        }
    }
    let mut load = Load::start(&path, arguments.keys)?;
    println!(
        "loaded {} records; {} operations a second for {} minutes",
        arguments.keys / 2,
        arguments.rate,
        arguments.minutes
    );

    let (start, end) = (Instant::now(), Duration::from_secs(arguments.minutes * 60));
    let mut samples = Vec::new();
    while start.elapsed() < end {
        let window = load.run(arguments.rate, SAMPLE_INTERVAL)?;
        let sample = Sample::take(start.elapsed(), load.database(), &path, &window)?;
        if samples.len() % 60 == 0 {
            println!("{sample}");
        }
        samples.push(sample);
    }
    load.finish()?;

    let verdicts = verdict::all(&samples);
    let plot = arguments.folder.join("soak.svg");
    plot::draw(&plot, &samples, &verdicts)?;
    let report = verdict::report(&samples, &verdicts);
    fs::write(arguments.folder.join("soak.txt"), &report)?;
    print!("{report}");
    println!("the plot is {}", plot.display());
    Ok(verdicts.iter().all(|verdict| verdict.holds()))
}
