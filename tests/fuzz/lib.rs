//! What libFuzzer calls: the targets of `lightning_db_tests::hostile`.

use std::sync::OnceLock;

use lightning_db_tests::hostile::{Target, corpus, find, mutate};
use lightning_db_tests::random::Random;

pub use libfuzzer_sys;

/// Gives these bytes to the target of this name.
pub fn run(name: &'static str, bytes: &[u8]) {
    static TARGET: OnceLock<Target> = OnceLock::new();
    (TARGET.get_or_init(|| find(name).expect("a target of this name")).run)(bytes);
}

/// Changes packed files as the stable run does; libFuzzer's own changes would shift everything behind them.
pub fn mutate_files(name: &'static str, bytes: &mut [u8], len: usize, max: usize, seed: u32) -> usize {
    static SEEDS: OnceLock<Vec<(String, Vec<u8>)>> = OnceLock::new();
    let seeds = SEEDS.get_or_init(|| corpus::load(find(name).map_or(name, |target| target.corpus)).unwrap_or_default());
    let mut random = Random::new(u64::from(seed));
    if random.below(4) == 0 || seeds.is_empty() {
        return libfuzzer_sys::fuzzer_mutate(bytes, len, max);
    }
    let target = find(name).expect("a target of this name");
    let other = &seeds[random.index(seeds.len())].1;
    let mutated = mutate::mutate(&target, &bytes[..len], other, &mut random);
    let len = mutated.len().min(max);
    bytes[..len].copy_from_slice(&mutated[..len]);
    len
}

/// The target of this name, given what libFuzzer makes.
#[macro_export]
macro_rules! bytes {
    ($name:literal) => {
        $crate::libfuzzer_sys::fuzz_target!(|bytes: &[u8]| $crate::run($name, bytes));
    };
}

/// The target of this name, given packed files.
#[macro_export]
macro_rules! files {
    ($name:literal) => {
        $crate::bytes!($name);
        $crate::libfuzzer_sys::fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
            $crate::mutate_files($name, data, size, max_size, seed)
        });
    };
}
