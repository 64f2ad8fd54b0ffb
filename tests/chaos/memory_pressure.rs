//! Little memory: first just what the database was promised, which must be enough for a data set many times larger; then
//! too little even to live, which may end the process, but loses nothing that was acknowledged.

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
use lightning_db::{Database, Durability, Options};
use lightning_db_tests::random::Random;

use super::Site;
use super::witness::{Witness, whole};

/// What the database is given.
const BUDGET_BYTES: usize = 10 << 20;
/// What the process may take: the budget, and as much again for the program, its threads' stacks and this scenario's own
/// list of what was written.
const LIMIT_BYTES: usize = 48 << 20;
/// More than there is memory for.
const STARVED_COMMITS_MAX: u32 = 100_000;
/// Set in the process that runs under a limit: the part it plays,
/// `enough`, or the transactions acknowledged before it.
const PART: &str = "LIGHTNING_CHAOS_PART";

pub fn run(site: &Site) -> Result<String> {
    match std::env::var(PART).ok().as_deref() {
        None => starve(site, work(site)?),
        Some("enough") => enough(site).map(|()| String::new()),
        Some(acknowledged) => starved(site, acknowledged.parse()?).map(|()| String::new()),
    }
}

/// Much data in little memory; gives the transactions acknowledged.
fn work(site: &Site) -> Result<u64> {
    let (acknowledged, death) = under(site, LIMIT_BYTES, "enough")?;
    if let Some(words) = death {
        bail!("within {LIMIT_BYTES} bytes: {words}");
    }
    reopen(&mut replay(site, acknowledged), site).context("after working in little memory")?;
    Ok(acknowledged)
}

/// Processes with too little memory, until time is up.
fn starve(site: &Site, worked: u64) -> Result<String> {
    let mut random = Random::new(site.seed);
    let (start, mut deaths, mut total) = (Instant::now(), 0, worked);
    while start.elapsed() < site.seconds / 2 || deaths == 0 {
        let (more, death) = under(site, random.between(9, 30) as usize * (1 << 20), &total.to_string())?;
        total = total.max(more);
        if let Some(words) = death {
            deaths += 1;
            ensure!(ran_out(&words), "the process did not die for lack of memory: {words}");
        }
        let mut witness = replay(site, total);
        witness.doubt_next();
        total += u64::from(reopen(&mut witness, site).context("after the process ran out of memory")?);
    }
    Ok(format!(
        "{worked} transactions in a process of {} MB with a budget of {} MB; then {deaths} times dead for lack of memory, \
         {total} transactions acknowledged, none lost",
        LIMIT_BYTES >> 20,
        BUDGET_BYTES >> 20
    ))
}

fn witness(site: &Site) -> Witness {
    Witness::new(site.seed, 40_000, 4000)
}

fn replay(site: &Site, acknowledged: u64) -> Witness {
    let mut witness = witness(site);
    (0..acknowledged).for_each(|_| witness.skip());
    witness
}

/// Opens with memory enough, and compares; whether the transaction in doubt is there.
fn reopen(witness: &mut Witness, site: &Site) -> Result<bool> {
    let database = Database::open(site.path(), Options::default())?;
    let doubtful = witness.verify_reopened(&database)?;
    database.close()?;
    Ok(doubtful)
}

/// Plays `part` in a process that can have no more than `limit` bytes of memory of its own. Gives the transactions
/// acknowledged in all, and its last words if it died.
fn under(site: &Site, limit: usize, part: &str) -> Result<(u64, Option<String>)> {
    let mut child = Command::new("prlimit")
        .arg(format!("--data={limit}"))
        .arg(std::env::current_exe()?)
        .args(["--inside", "--scenario", "memory-pressure", "--seed", &site.seed.to_string()])
        .args(["--seconds", &site.seconds.as_secs().to_string(), "--folder"])
        .arg(&site.folder)
        .env(PART, part)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .context("cannot run prlimit")?;
    let told = child.stdout.take().context("no output")?;
    let mut acknowledged = 0;
    for line in BufReader::new(told).lines() {
        acknowledged = line?.trim().parse().unwrap_or(acknowledged);
    }
    let output = child.wait_with_output()?;
    let words = format!("{} {}", output.status, String::from_utf8_lossy(&output.stderr));
    Ok((acknowledged, (!output.status.success()).then_some(words)))
}

/// Whether these are the last words of a process that was refused memory. Those of the loader, when there is too little
/// even to begin, and of a thread that cannot be started, are their own.
fn ran_out(words: &str) -> bool {
    ["memory allocation of", "annot allocate memory", "failed to map", "temporarily unavailable"]
        .iter()
        .any(|sign| words.contains(sign))
}

/// Writes and reads much more than the budget.
fn enough(site: &Site) -> Result<()> {
    let mut options = Options::default();
    options.memory_budget_bytes = BUDGET_BYTES;
    let mut witness = witness(site);
    let database = Database::open(site.path(), options)?;
    let start = Instant::now();
    while start.elapsed() < site.seconds / 2 {
        witness.commit(&database, Durability::Relaxed)?;
    }
    whole(&database)?;
    witness.verify(&database)?;
    database.close()?;
    println!("{}", witness.acknowledged());
    Ok(())
}

/// Writes on until memory ends, telling what is acknowledged.
fn starved(site: &Site, acknowledged: u64) -> Result<()> {
    let mut witness = replay(site, acknowledged);
    let database = Database::open(site.path(), Options::default())?;
    let mut told = std::io::stdout().lock();
    for _ in 0..STARVED_COMMITS_MAX {
        witness.commit(&database, Durability::Relaxed)?;
        writeln!(told, "{}", witness.acknowledged())?;
    }
    database.close()?;
    Ok(())
}
