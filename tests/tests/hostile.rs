//! Every decoder, and whole databases, against the corpus of hostile bytes and seeded mutations of it: an answer or an error,
//! never a panic, within bounds of memory and of what is read. `cargo xtask fuzz` searches further.
//!
//! `HOSTILE_FACTOR=10` tries ten times as many mutations, `HOSTILE_TARGET=open` only those of one target, and
//! `HOSTILE_FILE=PATH` that file alone.

use std::collections::BTreeMap;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use lightning_db::env::{FixedClock, SeededEntropy};
use lightning_db::testing::decoders;
use lightning_db::{Compression, Database, Environment, Options, Table, WriteTransaction};
use lightning_db_tests::hostile::{Files, Shape, TARGETS, Target, corpus, mutate};
use lightning_db_tests::memory::{Counting, peak_of};
use lightning_db_tests::random::Random;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const RECORDS: Table<u32, &[u8]> = Table::new("records");

/// Mutations of the corpus of one target.
const MUTATIONS_OF_BYTES: u64 = 40_000;
const MUTATIONS_OF_FILES: u64 = 1_200;

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

/// Sealing again makes right what is wrong, and nothing else.
#[test]
fn what_is_resealed_without_a_change_is_the_same() {
    for (name, seed) in corpus::load("open").expect("the corpus is readable") {
        let before = Files::unpack(&seed);
        let mut files = before.clone();
        decoders::reseal(&mut files.data, &mut files.log);
        assert!(files.data == before.data, "the data file of {name} is another");
        let report = checked(&files).unwrap_or_else(|error| panic!("{name} does not open: {error}"));
        assert!(report.is_empty(), "{name}: {report:?}");
    }
}

/// Otherwise all that lies behind the checksums would never be tried.
#[test]
fn changes_behind_checksums_that_were_resealed_are_not_kept_out_by_them() {
    let mut random = Random::new(5);
    let (mut kept_out, mut by_checksum, mut structure, mut all) = (0, 0, 0, 0);
    for (_, seed) in corpus::load("open").expect("the corpus is readable") {
        let whole = Files::unpack(&seed);
        let written: Vec<usize> = (0..whole.data.len()).filter(|&at| whole.data[at] != 0).collect();
        for _ in 0..60 {
            let mut files = whole.clone();
            files.data[written[random.index(written.len())]] ^= 1 << random.below(8);
            let is_kept_out = |files: &Files| checked(files).map_or_else(Some, |found| found.into_iter().next());
            kept_out += u32::from(is_kept_out(&files).is_some());
            decoders::reseal(&mut files.data, &mut files.log);
            all += 1;
            match is_kept_out(&files) {
                // Nothing is decoded behind these, and those that the log or a compressed leaf names are left as they are.
                Some(what) if what.contains("a block of a value is damaged") => {}
                Some(what)
                    if [": checksum", "record is damaged", "map is damaged"].iter().any(|word| what.contains(word)) =>
                {
                    by_checksum += 1;
                }
                Some(_) => structure += 1,
                None => {}
            }
        }
    }
    assert!(kept_out > all / 2, "{kept_out} of {all} changes are seen by checksums");
    assert!(by_checksum * 50 < all, "{by_checksum} of {all} changes are still kept out by checksums");
    assert!(structure * 5 > all, "{structure} of {all} changes are seen by what is behind the checksums");
}

/// What a check of the database in these files finds.
fn checked(files: &Files) -> Result<Vec<String>, String> {
    let environment =
        Environment { clock: Arc::new(FixedClock(1_700_000_000_000)), entropy: Arc::new(SeededEntropy::new(3)) };
    let mut options = Options::default();
    options.background_thread = false;
    options.read_only = true;
    let database = Database::open_storage(files.storage(), environment, options).map_err(|error| error.to_string())?;
    Ok(database.check().map_err(|error| error.to_string())?.problems)
}

/// Memory is for the budget and what is being read, not for the file.
#[test]
fn memory_of_a_salvage_does_not_grow_as_the_file_does() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let peak = |megabytes: u32, destroyed: bool| {
        let name = format!("{megabytes}{destroyed}");
        let (source, new) = (folder.path().join(format!("{name}.ldb")), folder.path().join(format!("{name}-new.ldb")));
        let mut options = Options::default();
        options.memory_budget_bytes = 2 << 20;
        options.background_thread = false;
        options.compression = Compression::None;
        let database = Database::open(&source, options.clone()).expect("a new database");
        let records = megabytes * 1024;
        // Out of order, so that all levels of the trees come to be.
        for batch in 0..records / 256 {
            let fill = |tx: &mut WriteTransaction| {
                let mut table = tx.table(RECORDS)?;
                (0..256u32).try_for_each(|at| table.put((at * (records / 256) + batch) * 3, [at as u8; 1000]))
            };
            database.transaction(fill).expect("the disk is not full");
        }
        database.close().expect("the disk is not full");
        drop(database);
        if destroyed {
            let mut bytes = fs::read(&source).expect("it is there");
            bytes[..8192].fill(0);
            bytes.chunks_mut(4096).skip(2).step_by(37).for_each(|sector| sector.fill(0xdb));
            fs::write(&source, bytes).expect("the disk is not full");
        }
        let len = fs::metadata(&source).expect("it is there").len();
        assert!(len > u64::from(megabytes) << 20, "{len} bytes");
        let (report, peak) = peak_of(|| Database::repair(&source, &new, options, &mut |_| {}).expect("it is readable"));
        assert_eq!(report.is_complete(), !destroyed, "{} records", report.records);
        assert!(report.records > u64::from(records) / 2, "{} records", report.records);
        peak
    };
    for destroyed in [false, true] {
        let (short, long) = (peak(12, destroyed), peak(36, destroyed));
        assert!(long < 16 << 20, "{long} bytes of memory for a file of 36 MiB");
        // A little per leaf where they are to be looked for, and pieces of at most 4 MiB.
        assert!(long < short + (6 << 20), "{short} bytes for a file of 12 MiB, {long} for one of 36 MiB");
    }
}

fn chosen(shape: Shape) -> impl Iterator<Item = &'static Target> {
    let only = std::env::var("HOSTILE_TARGET").ok();
    TARGETS.iter().filter(move |target| target.shape == shape && only.as_ref().is_none_or(|name| name == target.name))
}

fn attack(target: &Target, mutations: u64) {
    let factor = std::env::var("HOSTILE_FACTOR").map_or(1, |factor| factor.parse().expect("a number"));
    if let Ok(path) = std::env::var("HOSTILE_FILE") {
        return strike(target, &fs::read(path).expect("the file is readable"), "the file asked for,");
    }
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
