//! `cargo xtask bench`: Lightning DB and its peers, measured in one run. See `docs/benchmarks.md`.

use std::process::ExitCode;

fn main() -> ExitCode {
    match lightning_db_tests::bench::main() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("peer-bench: {error}");
            ExitCode::FAILURE
        }
    }
}
