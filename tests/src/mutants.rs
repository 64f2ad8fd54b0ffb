//! Proof that the simulator sees: each deliberate bug of the engine is simulated until it is caught.

use std::fmt::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use lightning_db::env::SeededEntropy;
use lightning_db::testing::mutant::Mutant;
use lightning_db::{Database, Environment, Error, Options, Table};

use crate::expiry;
use crate::live_results;
use crate::looks;
use crate::reencryption;
use crate::sim::clock::SimClock;
use crate::sim::damage::damage;
use crate::sim::lightning::Lightning;
use crate::sim::plan::{Plan, Weather};
use crate::sim::run::{Stats, run_counted};
use crate::sim::unclosed::unclosed;
use crate::sim_disk::SimDisk;
use crate::sim_documents;

/// One way to look for bugs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// A plan in some weather.
    Plan(Weather),
    /// A plan of many layers over a large base.
    Layered(Weather),
    /// The same work after every number of steps of a merge.
    EveryStep,
    /// A plan of large commits.
    Large(Weather),
    /// A closed database is damaged.
    Damage,
    /// Something happens to the files of one that nobody closed.
    Unclosed,
    /// The same after large commits.
    UnclosedLarge,
    /// Tables are dropped and made again while snapshots are held.
    Tables,
    /// A snapshot expires while it is read.
    Expiry,
    /// Short looks at one rule each.
    Looks,
    /// Everything is encrypted anew, all the time.
    Rekeying(Weather),
    /// The same once, and nothing of before may be left in the files.
    Reencryption,
    /// A plan of documents in collections.
    Documents(Weather),
    /// Live results are followed while commits are visible late.
    LiveResults,
}

/// In this order, with so many seeds of each in one round.
pub const WAYS: [(Way, u64); 18] = [
    (Way::Plan(Weather::Crashes), 2),
    (Way::Plan(Weather::Storm), 12),
    (Way::Plan(Weather::Fair), 2),
    (Way::Layered(Weather::Crashes), 1),
    (Way::Layered(Weather::Fair), 1),
    (Way::EveryStep, 1),
    (Way::Large(Weather::Crashes), 1),
    (Way::Damage, 1),
    (Way::Unclosed, 1),
    (Way::UnclosedLarge, 1),
    (Way::Tables, 1),
    (Way::Expiry, 1),
    (Way::Looks, 1),
    (Way::Rekeying(Weather::Storm), 2),
    (Way::Reencryption, 1),
    (Way::Documents(Weather::Fair), 3),
    (Way::Documents(Weather::Crashes), 3),
    (Way::LiveResults, 4),
];
const INTRODUCTION: &str = include_str!("mutants/introduction.md");
const LEFT_OUT: &str = include_str!("mutants/left-out.md");
/// Actions of one plan.
const ACTIONS: usize = 300;
const ACTIONS_OF_LARGE: usize = 60;
const ACTIONS_OF_DOCUMENTS: usize = 200;
/// Of a plan that is only there to make a database that is damaged.
const ACTIONS_BEFORE_DAMAGE: usize = 80;
const DAMAGES: u64 = 40;
const STEPS: u32 = 4;
const STEPS_PART: u32 = 24;
const HARMS: u64 = 12;

/// What became of one mutant.
#[derive(Clone, Debug)]
pub struct Trial {
    /// Everything that was done until it was caught.
    pub stats: Stats,
    /// How it was caught, if it was.
    pub caught: Option<Catch>,
}

/// How a bug was noticed.
#[derive(Clone, Debug)]
pub struct Catch {
    /// What was going on.
    pub way: Way,
    /// Of the plan.
    pub seed: u64,
    /// In the words of the failure.
    pub what: String,
}

/// Simulates with the bug, or without any, until something is wrong, at most `rounds` rounds of the ways.
pub fn trial(mutant: Option<Mutant>, ways: &[(Way, u64)], rounds: u64) -> Trial {
    let _active = mutant.map(Mutant::activate);
    let mut stats = Stats::default();
    for round in 0..rounds {
        let looks =
            ways.iter().flat_map(|&(way, seeds)| (round * seeds..(round + 1) * seeds).map(move |seed| (way, seed)));
        for (way, seed) in looks {
            if let Err(what) = way.look(seed, &mut stats) {
                return Trial { stats, caught: Some(Catch { way, seed, what }) };
            }
        }
    }
    Trial { stats, caught: None }
}

impl Way {
    /// Simulates one seed and adds to `stats` what was done.
    pub fn look(self, seed: u64, stats: &mut Stats) -> Result<(), String> {
        let add = |stats: &mut Stats, operations: usize| {
            stats.runs += 1;
            stats.operations += operations as u64;
        };
        // What is damaged afterwards must be certain.
        let short = |weather| Plan { late_syncs: false, ..Plan::new(seed, ACTIONS_BEFORE_DAMAGE, weather) };
        match self {
            Way::Plan(weather) => run(&Plan::new(seed, ACTIONS, weather), stats),
            Way::Layered(weather) => run(&Plan::layered(seed, ACTIONS, weather), stats),
            Way::EveryStep => {
                // Another part of them with every seed.
                let mut steps = (0..STEPS).map(|steps| steps * STEPS_PART + seed as u32 % STEPS_PART);
                steps.try_for_each(|steps| run(&Plan::after_steps(seed, steps), stats))
            }
            Way::Large(weather) => run(&Plan::of_large_commits(seed, ACTIONS_OF_LARGE, weather), stats),
            Way::Damage => {
                add(stats, ACTIONS_BEFORE_DAMAGE);
                caught(|| {
                    damage::<Lightning>(&short(Weather::Fair), DAMAGES)
                        .map_err(|(harm, what)| format!("after {harm:?}: {what}"))
                })
            }
            Way::Unclosed => unclosed_after(&short(Weather::Fair), stats),
            Way::UnclosedLarge => {
                unclosed_after(&Plan::of_large_commits(seed, ACTIONS_BEFORE_DAMAGE, Weather::Fair), stats)
            }
            Way::Tables => caught(|| tables(seed)),
            Way::Expiry => caught(|| expiry::look(seed)),
            Way::Looks => caught(|| looks::look(seed)),
            Way::Rekeying(weather) => run(&Plan::of_rekeying(seed, ACTIONS, weather), stats),
            Way::Reencryption => caught(|| reencryption::look(seed)),
            Way::Documents(weather) => {
                let plan = sim_documents::plan::Plan::new(seed, ACTIONS_OF_DOCUMENTS, weather);
                let (done, outcome) = sim_documents::run::run_counted(&plan, false);
                stats.add(&done);
                outcome.map_err(|failure| failure.what)
            }
            Way::LiveResults => {
                add(stats, live_results::STEPS);
                caught(|| live_results::look(seed))
            }
        }
    }
}

fn run(plan: &Plan, stats: &mut Stats) -> Result<(), String> {
    let (done, outcome) = run_counted::<Lightning>(plan, false);
    stats.add(&done);
    outcome.map_err(|failure| failure.what)
}

fn unclosed_after(plan: &Plan, stats: &mut Stats) -> Result<(), String> {
    stats.runs += 1;
    stats.operations += plan.actions.len() as u64;
    let look = || unclosed::<Lightning>(plan, HARMS);
    caught(|| look().map_err(|found| format!("after {:?}: {}", found.harm, found.what)))
}

/// A snapshot has the tables of its time.
fn tables(seed: u64) -> Result<(), String> {
    const BEFORE: Table<'_, u64, i64> = Table::new("table");
    const AFTER: Table<'_, i64, u64> = Table::new("table");
    let disk = Arc::new(SimDisk::new(seed));
    let mut options = Options::default();
    options.background_thread = false;
    let environment =
        Environment { clock: Arc::new(SimClock::new(&disk)), entropy: Arc::new(SeededEntropy::new(seed)) };
    let run = || -> Result<Option<i64>, Error> {
        let database = Database::open_storage(disk, environment, options)?;
        database.transaction(|tx| tx.table(BEFORE)?.put(seed, 1))?;
        let snapshot = database.snapshot();
        database.transaction(|tx| {
            tx.drop_table("table")?;
            tx.table(AFTER)?.put(1, seed)
        })?;
        database.snapshot().table(AFTER)?.get(1)?;
        snapshot.table(BEFORE)?.get(seed)?.map(|found| found.value()).transpose()
    };
    match run() {
        Ok(Some(1)) => Ok(()),
        found => Err(format!("a snapshot of a table since dropped: {found:?}")),
    }
}

/// A panic is a way of noticing too.
fn caught<T>(look: impl FnOnce() -> Result<T, String>) -> Result<(), String> {
    catch_unwind(AssertUnwindSafe(look)).unwrap_or_else(|_| Err(String::from("panic"))).map(drop)
}

/// One line of the table.
pub fn line(mutant: Mutant, trial: &Trial) -> String {
    let mut line = format!("| `{}` | {} | {} | ", mutant.name(), mutant.what(), mutant.rule());
    let stats = &trial.stats;
    let _ = match &trial.caught {
        Some(Catch { way, seed, what }) => write!(
            line,
            "{} | {way}, seed {seed} | {} | {} | {} |",
            brief(what),
            stats.operations,
            stats.crashes,
            duration(stats.time_ms)
        ),
        None => write!(
            line,
            "**not caught** | {} runs | {} | {} | {} |",
            stats.runs,
            stats.operations,
            stats.crashes,
            duration(stats.time_ms)
        ),
    };
    line
}

impl std::fmt::Display for Way {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Way::Plan(Weather::Fair) => "fair",
            Way::Plan(Weather::Crashes) => "crashes",
            Way::Plan(Weather::Storm) => "storm",
            Way::Layered(Weather::Fair) => "layers",
            Way::Layered(_) => "layers, crashes",
            Way::EveryStep => "every step",
            Way::Large(_) => "large commits, crashes",
            Way::Damage => "damage",
            Way::Unclosed => "unclosed",
            Way::UnclosedLarge => "unclosed, large commits",
            Way::Tables => "tables",
            Way::Expiry => "expiry",
            Way::Looks => "short looks",
            Way::Rekeying(_) => "keys, storm",
            Way::Reencryption => "encrypted anew",
            Way::Documents(Weather::Fair) => "documents",
            Way::Documents(_) => "documents, crashes",
            Way::LiveResults => "live results",
        })
    }
}

/// All of it, for people.
pub fn report(control: &Trial, trials: &[(Mutant, Trial)]) -> String {
    let mut text = String::from(INTRODUCTION);
    let sum = trials.iter().fold(Stats::default(), |mut sum, (_, trial)| {
        sum.add(&trial.stats);
        sum
    });
    let caught = trials.iter().filter(|(_, trial)| trial.caught.is_some()).count();
    let _ = writeln!(
        text,
        "{caught} of {} are caught, after {} runs with {} operations and {} crashes in all. Without any, nothing is found in {} \
         runs with {} operations and {} crashes.\n",
        trials.len(),
        sum.runs,
        sum.operations,
        sum.crashes,
        control.stats.runs,
        control.stats.operations,
        control.stats.crashes
    );
    text.push_str("| Mutant | What it does wrong | The rule it breaks | Noticed as | In | Operations | Crashes | Simulated time |\n");
    text.push_str("|---|---|---|---|---|---|---|---|\n");
    for (mutant, trial) in trials {
        text.push_str(&line(*mutant, trial));
        text.push('\n');
    }
    text.push_str(LEFT_OUT);
    text
}

fn duration(ms: u64) -> String {
    match ms {
        0..1000 => format!("{ms} ms"),
        1000..60_000 => format!("{} s", ms / 1000),
        _ => format!("{} min {} s", ms / 60_000, ms / 1000 % 60),
    }
}

/// The first words, fit for a cell of a table.
fn brief(what: &str) -> String {
    let mut brief: String = what.chars().take(110).map(|c| if c == '|' || c == '\n' { ' ' } else { c }).collect();
    if brief.len() < what.len() {
        brief.push('…');
    }
    brief
}
