//! The modules with `unsafe` code, and a short simulation of the whole engine, as they are built for other tests, with
//! valgrind's memcheck looking at every instruction.

use std::env::consts;

use anyhow::Result;

use super::stage::Stage;
use crate::process;
use crate::setup::{Consent, debian};

/// Valgrind runs one thread at a time; it is told to let each have its turn, because waiting by yielding ends never else.
const RUNNER: &str = "valgrind --quiet --error-exitcode=9 --fair-sched=yes --leak-check=full --errors-for-leak-kinds=definite --show-leak-kinds=definite";
/// Some fifty times slower than the machine, so not everything.
/// The two left out open databases hundreds of times, a minute and more each, and go nowhere else than the others.
const TESTS: [&[&str]; 2] = [
    &["-p", "lightning-db", "--lib", "--", "cache::", "memtable::", "env::"],
    &[
        "-p",
        "lightning-db-tests",
        "--test",
        "regressions",
        "--",
        "--skip",
        "a_bit_read_wrong_while_opening_loses_no_commit",
        "--skip",
        "one_job_at_a_time_brings_a_new_base",
    ],
];

pub fn run(stage: &mut Stage, consent: Consent) -> Result<()> {
    if (consts::ARCH, consts::OS) != ("x86_64", "linux") {
        println!("left out: valgrind is run on 64-bit Linux only");
        return Ok(());
    }
    if process::find(&["valgrind"]).is_none() {
        debian::install("valgrind, which looks for memory errors", &["valgrind", "libc6-dbg"], consent)?;
    }
    for tests in TESTS {
        stage.tests(
            "valgrind",
            process::cargo()?
                .args(["test", "--no-fail-fast"])
                .args(tests)
                .env("CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_RUNNER", RUNNER),
        )?;
    }
    Ok(())
}
