//! `sim --seconds N`: simulates one seed after another until the time is over or something is wrong.

use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use lightning_db_tests::sim::damage::{after, closed, damage};
use lightning_db_tests::sim::engine::Engine;
use lightning_db_tests::sim::every_crash::{crash_at, every_crash};
use lightning_db_tests::sim::lightning::Lightning;
use lightning_db_tests::sim::plan::{Plan, Weather};
use lightning_db_tests::sim::reference::Reference;
use lightning_db_tests::sim::run::{Failure, Stats, run, run_with};
use lightning_db_tests::sim::shrink::shrink;
use lightning_db_tests::sim_documents;

/// No seed takes this long, shrinking it included.
const SEED_MAX: Duration = Duration::from_secs(300);

const USAGE: &str = "\
usage: sim [--seconds N] [--runs N] [--seed N] [--actions N] [--weather fair|crashes|storm] [--every-crash]
           [--damage N] [--stale-cache] [--shrink N] [--trace] [--reference] [--only tables|documents]

  --seconds N     simulate one seed after another for N seconds (10)
  --runs N        stop after N seeds
  --seed N        replay this seed alone
  --actions N     actions of each seed (300; 25 with --every-crash)
  --weather W     which accidents happen; without it, each seed its own
  --every-crash   let the machine go down at every single I/O of each seed
  --damage N      close each seed's database, damage it in N ways and look at what is left
  --stale-cache   after a failed sync, always show what was lost until the power goes; without, each seed decides
  --shrink N      attempts at making a failure small (3000)
  --trace         carry out the shrunk plan again, printing each action and I/O
  --reference     simulate the reference engine, to test the simulator itself
  --only W        only tables, or only documents in collections; without it every fourth seed is of documents";

fn main() -> ExitCode {
    let options = match Options::parse(std::env::args().skip(1)) {
        Ok(options) => options,
        Err(message) => {
            eprintln!("{message}\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    // Panics of the engine are failures and reported as such.
    std::panic::set_hook(Box::new(|_| {}));
    if options.reference { simulate::<Reference>(&options) } else { simulate::<Lightning>(&options) }
}

struct Options {
    seconds: u64,
    runs: u64,
    seed: Option<u64>,
    actions: Option<usize>,
    weather: Option<Weather>,
    every_crash: bool,
    damage: Option<u64>,
    stale_cache: bool,
    shrink_runs: usize,
    trace: bool,
    reference: bool,
    /// Whether documents are simulated; each seed decides.
    documents: Option<bool>,
}

impl Options {
    fn parse(mut args: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut options = Self {
            seconds: 10,
            runs: u64::MAX,
            seed: None,
            actions: None,
            weather: None,
            every_crash: false,
            damage: None,
            stale_cache: false,
            shrink_runs: 3000,
            trace: false,
            reference: false,
            documents: None,
        };
        while let Some(arg) = args.next() {
            let mut number = || -> Result<u64, String> {
                let value = args.next().ok_or_else(|| format!("{arg} needs a number"))?;
                value.parse().map_err(|_| format!("{arg}: '{value}' is not a number"))
            };
            match arg.as_str() {
                "--seconds" => options.seconds = number()?,
                "--runs" => options.runs = number()?,
                "--seed" => options.seed = Some(number()?),
                "--actions" => options.actions = Some(number()? as usize),
                "--shrink" => options.shrink_runs = number()? as usize,
                "--damage" => options.damage = Some(number()?),
                "--every-crash" => options.every_crash = true,
                "--stale-cache" => options.stale_cache = true,
                "--reference" => options.reference = true,
                "--trace" => options.trace = true,
                "--only" => {
                    options.documents = Some(match args.next().as_deref() {
                        Some("tables") => false,
                        Some("documents") => true,
                        other => return Err(format!("--only: {other:?} is none of tables, documents")),
                    });
                }
                "--weather" => {
                    options.weather = Some(match args.next().as_deref() {
                        Some("fair") => Weather::Fair,
                        Some("crashes") => Weather::Crashes,
                        Some("storm") => Weather::Storm,
                        other => return Err(format!("--weather: {other:?} is none of fair, crashes, storm")),
                    });
                }
                _ => return Err(format!("unknown option '{arg}'")),
            }
        }
        Ok(options)
    }

    fn is_of_documents(&self, seed: u64) -> bool {
        let only_tables = self.every_crash || self.damage.is_some() || self.reference || self.stale_cache;
        self.documents.unwrap_or(!only_tables && seed % 4 == 3)
    }

    fn plan_of_documents(&self, seed: u64) -> sim_documents::plan::Plan {
        let each = [Weather::Fair, Weather::Crashes, Weather::Storm, Weather::Storm];
        let natural = each[(seed / 4) as usize % each.len()];
        sim_documents::plan::Plan::new(seed, self.actions.unwrap_or(200), self.weather.unwrap_or(natural))
    }

    fn plan(&self, seed: u64) -> Plan {
        // Of those that are of tables.
        let nth = seed - seed / 4;
        let each = [Weather::Fair, Weather::Crashes, Weather::Storm, Weather::Storm];
        let natural =
            if self.every_crash || self.damage.is_some() { Weather::Fair } else { each[nth as usize % each.len()] };
        let actions = self.actions.unwrap_or(if self.every_crash { 25 } else { 300 });
        let plan = Plan::new(seed, actions, self.weather.unwrap_or(natural));
        Plan { stale_cache: self.stale_cache || plan.stale_cache, ..plan }
    }
}

fn simulate<E: Engine>(options: &Options) -> ExitCode {
    let start = Instant::now();
    let mut sum = Stats::default();
    let mut reported = Duration::ZERO;
    // A new start each time, so that running it again finds something new; the seed is printed with every failure.
    let clock = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let first = options.seed.unwrap_or(clock % 1_000_000 * 1000);
    let watchdog = Watchdog::start(replay_options(options));
    let runs = if options.seed.is_some() { 1 } else { options.runs };
    for seed in (first..).take(usize::try_from(runs).unwrap_or(usize::MAX)) {
        if options.seed.is_none() && start.elapsed() >= Duration::from_secs(options.seconds) {
            break;
        }
        watchdog.watch(seed);
        let outcome = if options.is_of_documents(seed) {
            one_of_documents(&options.plan_of_documents(seed), options, &mut sum)
        } else {
            one::<E>(&options.plan(seed), options, &mut sum)
        };
        if let Err(message) = outcome {
            println!("{message}\nreplay with: cargo xtask sim -- --seed {seed}{}", replay_options(options));
            return ExitCode::FAILURE;
        }
        if start.elapsed() - reported > Duration::from_secs(10) {
            reported = start.elapsed();
            println!("{}", rates(&sum, start.elapsed()));
        }
    }
    println!("nothing wrong from seed {first} on: {}", rates(&sum, start.elapsed()));
    ExitCode::SUCCESS
}

/// Ends the process when one seed takes too long, which a call that never ends does.
struct Watchdog(Arc<Mutex<(u64, Instant)>>);

impl Watchdog {
    fn start(replay: String) -> Self {
        let seed = Arc::new(Mutex::new((0, Instant::now())));
        let watched = Arc::clone(&seed);
        std::thread::spawn(move || {
            loop {
                std::thread::sleep(Duration::from_secs(1));
                let (seed, since) = *watched.lock().unwrap_or_else(PoisonError::into_inner);
                if since.elapsed() > SEED_MAX {
                    println!(
                        "seed {seed}: still not done after {SEED_MAX:?}\nreplay with: cargo xtask sim -- --seed {seed}{replay}"
                    );
                    std::process::exit(3);
                }
            }
        });
        Self(seed)
    }

    fn watch(&self, seed: u64) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = (seed, Instant::now());
    }
}

fn one<E: Engine>(plan: &Plan, options: &Options, sum: &mut Stats) -> Result<(), String> {
    if options.every_crash {
        let stats = every_crash::<E>(plan, 3).map_err(|point| {
            // Without what comes after the crash point it may fail too, and is then easier to read.
            let mut short = plan.clone();
            while short.actions.len() > 1 {
                let last = short.actions.pop();
                if crash_at::<E>(&short, point.ios, point.crash).is_ok() {
                    short.actions.extend(last);
                    break;
                }
            }
            print_plan(&short);
            let Failure { action, what } = point.failure;
            format!("seed {}: down after {} I/Os ({:?}), action {action}: {what}", plan.seed, point.ios, point.crash)
        })?;
        sum.add(&stats);
        return Ok(());
    }
    if let Some(times) = options.damage {
        let outcomes = damage::<E>(plan, times).map_err(|(damage, what)| {
            // The first actions alone may make a database that shows the same.
            let mut short = plan.clone();
            while let Some(last) = short.actions.pop() {
                let still =
                    closed::<E>(&short).is_ok_and(|(disk, state)| after::<E>(&short, &disk, &state, damage).is_err());
                if !still {
                    short.actions.push(last);
                    break;
                }
            }
            print_plan(&short);
            format!("seed {}: after {damage:?}: {what}", plan.seed)
        })?;
        sum.runs += 1;
        sum.operations += plan.actions.len() as u64;
        sum.faults += outcomes.noticed + outcomes.harmless;
        return Ok(());
    }
    let stats = run::<E>(plan).map_err(|failure| {
        let (small, least) = shrink::<E>(plan, &failure, options.shrink_runs);
        print_plan(&small);
        again(options, || _ = run_with::<E>(&small, true));
        in_words(&format!("seed {}", plan.seed), &failure, small.actions.len(), &least)
    })?;
    sum.add(&stats);
    Ok(())
}

fn one_of_documents(plan: &sim_documents::plan::Plan, options: &Options, sum: &mut Stats) -> Result<(), String> {
    let stats = sim_documents::run::run(plan).map_err(|failure| {
        let (small, least) = sim_documents::shrink::shrink(plan, &failure, options.shrink_runs);
        println!("{:?}\n{:?}, {:?}", small.base, small.durability, small.collections);
        print_actions(&small.actions);
        again(options, || _ = sim_documents::run::run_counted(&small, true));
        in_words(&format!("seed {}, documents", plan.base.seed), &failure, small.actions.len(), &least)
    })?;
    sum.add(&stats);
    Ok(())
}

/// Carries the shrunk plan out once more, if it is to be looked at.
fn again(options: &Options, run: impl FnOnce()) {
    if options.trace {
        println!("the shrunk plan again:");
        run();
    }
}

fn in_words(seed: &str, failure: &Failure, actions: usize, least: &Failure) -> String {
    let (Failure { action, what }, Failure { action: least_at, what: least }) = (failure, least);
    format!("{seed}: action {action}: {what}\nshrunk to {actions} actions; there action {least_at}: {least}")
}

fn print_plan(plan: &Plan) {
    let Plan { seed, tuning, paging, late_syncs, stale_cache, actions } = plan;
    println!("seed {seed}, paging {paging:?}, late syncs {late_syncs}, stale cache {stale_cache}, {tuning:?}");
    print_actions(actions);
}

fn print_actions(actions: &[impl std::fmt::Debug]) {
    for (index, action) in actions.iter().enumerate() {
        println!("{index:4} {action:?},");
    }
}

fn replay_options(options: &Options) -> String {
    let mut text = String::new();
    if let Some(actions) = options.actions {
        text += &format!(" --actions {actions}");
    }
    if let Some(weather) = options.weather {
        text += &format!(" --weather {}", format!("{weather:?}").to_lowercase());
    }
    if let Some(times) = options.damage {
        text += &format!(" --damage {times}");
    }
    if options.every_crash {
        text += " --every-crash";
    }
    if options.reference {
        text += " --reference";
    }
    if options.stale_cache {
        text += " --stale-cache";
    }
    match options.documents {
        Some(true) => text += " --only documents",
        Some(false) => text += " --only tables",
        None => {}
    }
    text
}

fn rates(sum: &Stats, elapsed: Duration) -> String {
    let seconds = elapsed.as_secs_f64().max(1e-3);
    let minutes = (sum.time_ms as f64 / 60_000.0).max(1e-3);
    let rate = |count: u64| format!("({:.0}/s, {:.0} a minute)", count as f64 / seconds, count as f64 / minutes);
    format!(
        "{} runs, {} operations {}, {} crashes {}, {} faults {}, {} conflicts, {} too old, {} steps, {} I/Os, {} restarts, {seconds:.1} s, in \
         which {minutes:.1} minutes were simulated",
        sum.runs,
        sum.operations,
        rate(sum.operations),
        sum.crashes,
        rate(sum.crashes),
        sum.faults,
        rate(sum.faults),
        sum.conflicts,
        sum.too_old,
        sum.steps,
        sum.ios,
        sum.restarts,
    )
}
