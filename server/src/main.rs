//! `lightning`: the command line of Lightning DB.

use std::process::ExitCode;

fn main() -> ExitCode {
    lightning_db_server::run()
}
