//! One plan, and the machine going down at each of its I/Os in turn.

use super::action::Crash;
use super::engine::Engine;
use super::plan::Plan;
use super::run::{Failure, Runner, Stats};
use crate::random::Random;

/// Where the machine went down when something was wrong afterwards.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CrashPoint {
    /// After this many I/Os.
    pub ios: u64,
    /// How.
    pub crash: Crash,
    /// What was wrong.
    pub failure: Failure,
}

/// Carries out `plan`, which should hold no accidents of its own, once for each of its I/Os and each way to go down:
/// killed, and without power in `powers` ways.
pub fn every_crash<E: Engine>(plan: &Plan, powers: u64) -> Result<Stats, CrashPoint> {
    let mut random = Random::new(plan.seed);
    let mut sum = Stats::default();
    for ios in 0.. {
        let mut crashed = false;
        for way in 0..=powers {
            let crash = if way == 0 { Crash::Kill } else { Crash::Power(random.bits()) };
            let (stats, down) =
                crash_at::<E>(plan, ios, crash).map_err(|failure| CrashPoint { ios, crash, failure })?;
            sum.add(&stats);
            crashed |= down;
        }
        if !crashed {
            break;
        }
    }
    Ok(sum)
}

/// Goes down after this many I/Os and carries on; whether the plan was long enough for that.
pub fn crash_at<E: Engine>(plan: &Plan, ios: u64, crash: Crash) -> Result<(Stats, bool), Failure> {
    let mut runner = Runner::<E>::new(plan);
    runner.crash_after(ios, crash);
    let mut at = 0;
    let mut go = || {
        runner.start()?;
        // A few actions more, so that what recovery made is used.
        let mut more = 6;
        for (index, action) in plan.actions.iter().enumerate() {
            at = index;
            if runner.crashes() > 0 {
                more -= 1;
                if more == 0 {
                    break;
                }
            }
            runner.act(action)?;
        }
        Ok(())
    };
    go().map_err(|what| Failure { action: at, what })?;
    let down = runner.crashes() > 0;
    let stats = runner.finish().map_err(|what| Failure { action: plan.actions.len(), what })?;
    Ok((stats, down))
}
