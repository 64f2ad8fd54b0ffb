//! The simulator accepts an engine that keeps its promises, ours first, and notices each way of breaking one.
//!
//! `cargo xtask sim` simulates for as long as one likes; here are always the same seeds, for some seconds.

use lightning_db_tests::sim::damage::damage;
use lightning_db_tests::sim::every_crash::every_crash;
use lightning_db_tests::sim::lightning::Lightning;
use lightning_db_tests::sim::plan::{Plan, Weather};
use lightning_db_tests::sim::reference::{FLAWS, Reference};
use lightning_db_tests::sim::run::run;
use lightning_db_tests::sim::shrink::shrink;

#[test]
fn an_engine_that_keeps_its_promises_is_accepted_in_all_weathers() {
    for weather in [Weather::Fair, Weather::Crashes, Weather::Storm] {
        for seed in 0..60 {
            let plan = Plan::new(seed, 200, weather);
            run::<Reference>(&plan).unwrap_or_else(|failure| panic!("seed {seed}, {weather:?}: {failure:?}"));
        }
    }
}

#[test]
fn the_engine_keeps_its_promises_in_all_weathers() {
    let mut crashes = 0;
    let mut faults = 0;
    for (weather, seeds) in [(Weather::Fair, 0..60), (Weather::Crashes, 100..350), (Weather::Storm, 400..650)] {
        for seed in seeds {
            let plan = Plan::new(seed, 200, weather);
            let stats =
                run::<Lightning>(&plan).unwrap_or_else(|failure| panic!("seed {seed}, {weather:?}: {failure:?}"));
            crashes += stats.crashes;
            faults += stats.faults;
        }
    }
    assert!(crashes > 1000 && faults > 1000, "{crashes} crashes, {faults} faults");
}

#[test]
fn the_engine_survives_a_crash_at_any_io() {
    for seed in 0..8 {
        let stats = every_crash::<Lightning>(&Plan::new(seed, 25, Weather::Fair), 2).unwrap();
        assert!(stats.crashes > 50, "{stats:?}");
    }
}

#[test]
fn the_engine_notices_damage_or_is_not_harmed() {
    let mut noticed = 0;
    for seed in 0..4 {
        noticed += damage::<Lightning>(&Plan::new(seed, 60, Weather::Fair), 60).unwrap().noticed;
    }
    assert!(noticed > 20, "{noticed}");
}

#[test]
fn a_crash_at_any_io_is_survived() {
    for seed in 0..6 {
        let stats = every_crash::<Reference>(&Plan::new(seed, 30, Weather::Fair), 4).unwrap();
        assert!(stats.crashes > 50, "{stats:?}");
    }
}

#[test]
fn a_plan_replays_exactly() {
    let plan = Plan::new(11, 300, Weather::Storm);
    assert_eq!(run::<Reference>(&plan).unwrap(), run::<Reference>(&plan).unwrap());
    assert_ne!(plan, Plan::new(12, 300, Weather::Storm));
}

#[test]
fn every_flaw_is_noticed() {
    fn noticed<const FLAW: usize>() {
        let found = (0..400).find(|seed| run::<Reference<FLAW>>(&Plan::new(*seed, 200, Weather::Storm)).is_err());
        assert!(found.is_some(), "{:?} was not noticed", FLAWS[FLAW]);
    }
    let checks = [
        noticed::<1>,
        noticed::<2>,
        noticed::<3>,
        noticed::<4>,
        noticed::<5>,
        noticed::<6>,
        noticed::<7>,
        noticed::<8>,
        noticed::<9>,
        noticed::<10>,
        // 11 is NoMark, which only damage shows.
        noticed::<12>,
        noticed::<13>,
        noticed::<14>,
        noticed::<15>,
    ];
    assert_eq!(checks.len() + 2, FLAWS.len(), "all but None and NoMark");
    checks.iter().for_each(|check| check());
}

#[test]
fn damage_is_noticed_or_harmless() {
    for seed in 0..10 {
        let plan = Plan::new(seed, 60, Weather::Fair);
        let outcomes = damage::<Reference>(&plan, 100).unwrap();
        assert!(outcomes.noticed > 0 && outcomes.harmless > 0, "seed {seed}: {outcomes:?}");
    }
    type NoMark = Reference<11>;
    damage::<NoMark>(&Plan::new(1, 60, Weather::Fair), 100).unwrap_err();
}

#[test]
fn a_failure_shrinks_to_what_matters() {
    type NoSync = Reference<1>;
    let failing = |seed: &u64| run::<NoSync>(&Plan::new(*seed, 200, Weather::Crashes)).is_err();
    let plan = Plan::new((0..100).find(failing).unwrap(), 200, Weather::Crashes);
    let failure = run::<NoSync>(&plan).unwrap_err();
    let (small, failure) = shrink::<NoSync>(&plan, &failure, 5000);
    assert!(small.actions.len() * 10 < plan.actions.len(), "{small:#?}");
    assert_eq!(run::<NoSync>(&small), Err(failure));
    run::<Reference>(&small).unwrap();
}
