//! `lightning compact`

use std::path::Path;

use clap::Args;
use lightning_db::CompactionStage;
use serde_json::json;

use crate::database::{Access, DatabaseArgs};
use crate::failure::{Failure, Outcome};
use crate::output::Output;
use crate::progress::{Progress, Rate, Unit, bytes, grouped};

/// Merge everything into one tree, move it together, and give free space back to the file system
#[derive(Args, Debug)]
pub struct Compact {
    #[command(flatten)]
    database: DatabaseArgs,
    /// Tell how far it is, also where standard error is no terminal
    #[arg(long)]
    progress: bool,
}

impl Compact {
    pub fn run(self, output: &mut Output) -> Outcome {
        let before = stored_bytes(&self.database.path);
        let rate = Rate::start();
        let progress = Progress::start(None, Unit::Bytes, self.progress);
        let database = self.database.open_with(Access::Write, &mut |stage| progress.stage(stage))?;
        let mut stage = None;
        let compacted = database.compact_with(&mut |at| {
            if stage.replace(at.stage) != Some(at.stage) {
                progress.done(at.stage.name());
            }
            progress.at(at.node_bytes_written, || match at.stage {
                CompactionStage::Merge => format!("written; {} changes to merge", grouped(at.changes_left)),
                _ => format!("written; {} of {} free", bytes(at.free_bytes), bytes(at.file_bytes)),
            });
        });
        let compacted = compacted.and_then(|()| database.close());
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
