//! Every decoder, and whole databases, against the corpus of hostile bytes and seeded mutations of it: an answer or an error,
//! never a panic, within bounds of memory and of what is read. `cargo xtask fuzz` searches further.
//!
//! `HOSTILE_FACTOR=10` tries ten times as many mutations, `HOSTILE_TARGET=open` only those of one target.

use std::collections::BTreeMap;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};

use lightning_db_tests::hostile::memory::Counting;
use lightning_db_tests::hostile::{Shape, TARGETS, Target, corpus, mutate};
use lightning_db_tests::random::Random;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Mutations of the corpus of one target.
const MUTATIONS_OF_BYTES: u64 = 20_000;
const MUTATIONS_OF_FILES: u64 = 600;

#[test]
fn decoders_hold_against_the_corpus_and_mutations_of_it() {
    for target in chosen(Shape::Bytes) {
        attack(target, MUTATIONS_OF_BYTES);
    }
}

#[test]
fn imports_hold_against_the_corpus_and_mutations_of_it() {
    for target in chosen(Shape::Text) {
        attack(target, MUTATIONS_OF_BYTES);
    }
}

#[test]
fn any_two_files_are_a_database_or_an_error() {
    for target in chosen(Shape::Files) {
        attack(target, MUTATIONS_OF_FILES);
    }
}

#[test]
fn the_corpus_holds_the_seeds_and_what_targets_there_are() {
    let seeds = corpus::seeds();
    for target in TARGETS {
        assert!(seeds.contains_key(target.corpus), "there are no seeds of {}", target.corpus);
        let bodies = corpus::folder().join("../fuzz_targets").join(format!("{}.rs", target.name));
        assert!(bodies.is_file(), "{} is missing: each target is a file for cargo-fuzz too", bodies.display());
    }
    for (name, seeds) in seeds {
        let stored: BTreeMap<_, _> = corpus::load(name).unwrap_or_default().into_iter().collect();
        for (number, seed) in seeds.iter().enumerate() {
            // Not compared byte by byte: compressors may choose otherwise in another version.
            assert!(
                stored.contains_key(&format!("seed-{number:02}")),
                "a seed of {name} ({} bytes) is missing: run 'cargo xtask fuzz --make-corpus'",
                seed.len()
            );
        }
    }
}

fn chosen(shape: Shape) -> impl Iterator<Item = &'static Target> {
    let only = std::env::var("HOSTILE_TARGET").ok();
    TARGETS.iter().filter(move |target| target.shape == shape && only.as_ref().is_none_or(|name| name == target.name))
}

fn attack(target: &Target, mutations: u64) {
    let factor = std::env::var("HOSTILE_FACTOR").map_or(1, |factor| factor.parse().expect("a number"));
    let seeds = corpus::load(target.corpus).expect("the corpus is readable");
    for (name, seed) in &seeds {
        strike(target, seed, &format!("the corpus's {name}"));
    }
    let mut random = Random::new(0x10ca1);
    for number in 0..mutations * factor {
        let (name, seed) = &seeds[random.index(seeds.len())];
        let (_, other) = &seeds[random.index(seeds.len())];
        let mut bytes = mutate::mutate(target, seed, other, &mut random);
        // Now and then what is far from any seed.
        for _ in 0..[0, 0, 0, 1, 4][random.index(5)] {
            bytes = mutate::mutate(target, &bytes, other, &mut random);
        }
        strike(target, &bytes, &format!("mutation {number}, of {name},"));
    }
}

fn strike(target: &Target, bytes: &[u8], what: &str) {
    if let Err(panic) = catch_unwind(AssertUnwindSafe(|| (target.run)(bytes))) {
        let path = std::env::temp_dir().join(format!("hostile-{}", target.name));
        let kept = fs::write(&path, bytes).map_or_else(|error| error.to_string(), |()| path.display().to_string());
        let message = panic
            .downcast_ref::<String>()
            .map(String::as_str)
            .or_else(|| panic.downcast_ref::<&str>().copied())
            .unwrap_or("a panic without words");
        panic!("{} does not hold against {what} kept in {kept}: {message}", target.name);
    }
}
