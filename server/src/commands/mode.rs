//! `lightning mode`

use clap::{Args, ValueEnum};
use serde_json::json;

use crate::database::{Access, DatabaseArgs};
use crate::failure::{Failure, Outcome};
use crate::output::Output;

/// Show or decide whether the database may be written to
///
/// A read-only database can be read, verified, compacted and backed up by everybody, and whoever opens it is refused to write, until
/// its mode is normal again. A backup of it is not read-only. That an application is under maintenance, it says to
/// its own database while that is open.
#[derive(Args, Debug)]
pub struct Mode {
    #[command(flatten)]
    database: DatabaseArgs,
    /// The mode from now on; shown without it
    mode: Option<Wanted>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Wanted {
    /// Everybody may write
    Normal,
    /// Nobody may write
    ReadOnly,
}

impl Mode {
    pub fn run(self, output: &mut Output) -> Outcome {
        let failed = |error| Failure::engine(self.database.name())(error);
        let is_frozen = match self.mode {
            None => self.database.open(Access::Read)?.is_frozen(),
            Some(wanted) => {
                let database = self.database.open(Access::Write)?;
                let is_frozen = wanted == Wanted::ReadOnly;
                database.set_frozen(is_frozen).map_err(failed)?;
                database.close().map_err(failed)?;
                is_frozen
            }
        };
        let mode = if is_frozen { "read-only" } else { "normal" };
        output.result(|| mode.to_owned(), || json!({ "mode": mode }))
    }
}
