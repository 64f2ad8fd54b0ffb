//! Collections agree with documents in plain maps, whatever happens.
//!
//! `cargo xtask sim -- --only documents` simulates for as long as one likes; here are always the same seeds, for some seconds.

use lightning_db_tests::sim::plan::Weather;
use lightning_db_tests::sim_documents::plan::Plan;
use lightning_db_tests::sim_documents::run::run;

fn holds(seed: u64, weather: Weather) -> u64 {
    let plan = Plan::new(seed, 200, weather);
    run(&plan).unwrap_or_else(|failure| panic!("seed {seed}, {weather:?}: {failure:?}")).crashes
}

#[test]
fn collections_agree_with_plain_maps() {
    for seed in 0..12 {
        holds(seed, Weather::Fair);
    }
}

#[test]
fn collections_agree_with_plain_maps_after_crashes_at_any_io() {
    let crashes: u64 = (100..118).map(|seed| holds(seed, Weather::Crashes)).sum();
    assert!(crashes > 30, "{crashes} crashes");
}

#[test]
fn collections_agree_with_plain_maps_in_storms() {
    let crashes: u64 = (200..218).map(|seed| holds(seed, Weather::Storm)).sum();
    assert!(crashes > 15, "{crashes} crashes");
}

#[test]
fn a_plan_replays_exactly() {
    let plan = Plan::new(7, 150, Weather::Crashes);
    assert_eq!(run(&plan).unwrap(), run(&plan).unwrap());
    assert_ne!(plan, Plan::new(8, 150, Weather::Crashes));
}

/// What was refused in a transaction that was then committed had changed some indexes by then.
#[test]
fn a_refused_write_leaves_nothing_behind() {
    holds(272_319_000, Weather::Fair);
    holds(272_322_001, Weather::Crashes);
}

/// `between('Éva', 'eva')` without accents found nothing, because its ends were compared with them.
#[test]
fn the_ends_of_a_range_are_compared_as_its_values_are() {
    holds(272_576_043, Weather::Fair);
}

/// Two questions to one snapshot answered by two clocks.
#[test]
fn what_is_gone_in_a_snapshot_is_so_by_one_time() {
    holds(273_013_064, Weather::Crashes);
}
