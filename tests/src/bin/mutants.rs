//! `mutants`: simulates each deliberate bug of the engine until it is caught.

use std::process::ExitCode;
use std::time::Instant;

use lightning_db::testing::mutant::Mutant;
use lightning_db_tests::mutants::{line, trial};

fn main() -> ExitCode {
    std::panic::set_hook(Box::new(|_| {}));
    let mut names: Vec<String> = std::env::args().skip(1).collect();
    let mut rounds = 60;
    if let Some(at) = names.iter().position(|n| n == "--rounds") {
        names.remove(at);
        rounds = names.remove(at).parse().unwrap();
    }
    let start = Instant::now();
    if names.is_empty() || names.iter().any(|n| n == "none") {
        let control = trial(None, rounds.min(40));
        println!("control: {:?} {:?}", control, start.elapsed());
    }
    for mutant in Mutant::ALL {
        if !names.is_empty() && !names.iter().any(|n| n == mutant.name()) {
            continue;
        }
        let start = Instant::now();
        let trial = trial(Some(*mutant), rounds);
        println!("{:.1}s {}", start.elapsed().as_secs_f32(), line(*mutant, &trial));
    }
    ExitCode::SUCCESS
}
