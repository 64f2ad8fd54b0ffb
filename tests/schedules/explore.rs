//! Runs a scenario in many orders of its threads.

use std::env;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use lightning_db::testing::mutant::Mutant;
use shuttle::scheduler::{PctScheduler, RandomScheduler, ReplayScheduler, Scheduler};
use shuttle::{Config, FailurePersistence, MaxSteps, Runner};

/// How many orders of each scenario are tried; the environment may say otherwise.
const SCHEDULES: usize = 1500;
const SCHEDULES_VARIABLE: &str = "SCHEDULES";
/// The file of a schedule that failed, to run it alone.
const REPLAY_VARIABLE: &str = "SCHEDULE";
/// Where schedules start; another number gives others.
const SEED_VARIABLE: &str = "SCHEDULE_SEED";
/// The engine descends trees on the stack.
const STACK_BYTES: usize = 1 << 20;
/// No scenario takes a tenth of it: a thread that goes on turning in vain is a failure.
const STEPS_MAX: usize = 200_000;
/// How often a thread of high priority loses it, in half of the schedules.
const PRIORITY_CHANGES: usize = 3;

/// Panics unless `scenario` fails in some order with the deliberate bug.
pub fn assert_caught(mutant: Mutant, scenario: fn()) {
    if env::var_os(REPLAY_VARIABLE).is_some() {
        return;
    }
    let _one = one_at_a_time();
    // The scheduler runs all threads on this one, so that the bug is theirs too.
    let _active = mutant.activate();
    let tried = Arc::new(AtomicUsize::new(0));
    let random = RandomScheduler::new_from_seed(1, SCHEDULES);
    let by_priority = PctScheduler::new_from_seed(1, PRIORITY_CHANGES, SCHEDULES);
    let caught = fails(by_priority, scenario, &tried) || fails(random, scenario, &tried);
    let tried = tried.load(Ordering::Relaxed);
    assert!(caught, "{} is not noticed in {tried} schedules", mutant.name());
    println!("{}: caught by schedule {tried}", mutant.name());
}

fn fails<S: Scheduler + 'static>(scheduler: S, scenario: fn(), tried: &Arc<AtomicUsize>) -> bool {
    let tried = Arc::clone(tried);
    let counting = move || {
        tried.fetch_add(1, Ordering::Relaxed);
        scenario();
    };
    catch_unwind(AssertUnwindSafe(|| Runner::new(scheduler, config(None)).run(counting))).is_err()
}

/// Runs `scenario` under schedules drawn at random, and under as many that prefer some threads over others for long
/// (probabilistic concurrency testing, Burckhardt et al. 2010).
pub fn explore(scenario: impl Fn() + Send + Sync + 'static) {
    let test = std::thread::current().name().unwrap_or("scenario").replace("::", "-");
    if let Some(file) = env::var_os(REPLAY_VARIABLE) {
        let file = PathBuf::from(file);
        if file.file_stem().is_some_and(|stem| *stem == *test) {
            Runner::new(ReplayScheduler::new_from_file(file).expect("a schedule"), config(None)).run(scenario);
        }
        return;
    }
    let number = |name: &str| env::var(name).ok().and_then(|value| value.parse::<u64>().ok());
    let seed = number(SEED_VARIABLE).unwrap_or(1);
    let schedules = number(SCHEDULES_VARIABLE).map_or(SCHEDULES, |count| count as usize) / 2;
    let _one = one_at_a_time();
    let scenario = Arc::new(scenario);
    let random = RandomScheduler::new_from_seed(seed, schedules);
    let by_priority = PctScheduler::new_from_seed(seed, PRIORITY_CHANGES, schedules);
    let count = run(random, &test, &scenario) + run(by_priority, &test, &scenario);
    println!("{test}: {count} schedules");
}

fn run<S: Scheduler + 'static>(scheduler: S, test: &str, scenario: &Arc<impl Fn() + Send + Sync + 'static>) -> usize {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("schedules");
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).expect("a folder for schedules");
    let scenario = Arc::clone(scenario);
    let runner = Runner::new(scheduler, config(Some(&folder)));
    catch_unwind(AssertUnwindSafe(|| runner.run(move || scenario()))).unwrap_or_else(|panic| {
        if let Some(Ok(schedule)) = fs::read_dir(&folder).ok().and_then(|mut files| files.next()) {
            let kept = folder.with_file_name(format!("{test}.schedule"));
            fs::rename(schedule.path(), &kept).expect("the schedule is kept");
            println!("to run this schedule again: {REPLAY_VARIABLE}={} cargo xtask test schedules", kept.display());
        }
        resume_unwind(panic)
    })
}

/// Whichever scenario fails, its schedule goes to the folder that the first one named.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

fn one_at_a_time() -> MutexGuard<'static, ()> {
    ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner)
}

fn config(folder: Option<&Path>) -> Config {
    let mut config = Config::new();
    config.stack_size = STACK_BYTES;
    config.max_steps = MaxSteps::FailAfter(STEPS_MAX);
    config.silence_warnings = true;
    config.failure_persistence = match folder {
        Some(folder) => FailurePersistence::File(Some(folder.to_owned())),
        None => FailurePersistence::None,
    };
    config
}
