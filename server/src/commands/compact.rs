//! `lightning compact`

use std::path::Path;

use clap::Args;
use serde_json::json;

use crate::database::{Access, DatabaseArgs};
use crate::failure::{Failure, Outcome};
use crate::output::Output;
use crate::progress::{Progress, Rate, Unit, bytes};

/// Merge everything into one tree, move it together, and give free space back to the file system
#[derive(Args, Debug)]
pub struct Compact {
    #[command(flatten)]
    database: DatabaseArgs,
}

impl Compact {
    pub fn run(self, output: &mut Output) -> Outcome {
        let database = self.database.open(Access::Write)?;
        let before = stored_bytes(&self.database.path);
        let rate = Rate::start();
        let progress = Progress::start(None, Unit::Bytes, false);
        progress.at(before, || "being compacted".to_owned());
        let compacted = database.compact().and_then(|()| database.close());
        progress.finish();
        compacted.map_err(Failure::engine(self.database.name()))?;
        let after = stored_bytes(&self.database.path);
        output.result(
            || format!("compacted {}: {} before, {} now", self.database.name(), bytes(before), bytes(after)),
            || json!({ "bytes_before": before, "bytes_after": after, "seconds": rate.seconds() }),
        )
    }
}

/// What the database's two files take.
fn stored_bytes(path: &Path) -> u64 {
    let mut log = path.as_os_str().to_owned();
    log.push("-log");
    [path, Path::new(&log)].iter().filter_map(|path| path.metadata().ok()).map(|metadata| metadata.len()).sum()
}
