//! The floor of synced transactions: an append of 128 bytes into preallocated space, then `fdatasync`.

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::FileExt;

use crate::bench::Result;
use crate::bench::arguments::Job;
use crate::bench::clock::Stopwatch;
use crate::bench::measure::rates;
use crate::bench::phase::Phase;
use crate::bench::worker::serve;

pub(crate) const NAME: &str = "raw";

/// A record of 116 bytes with a small header.
const APPEND_BYTES: usize = 128;
const APPENDS: usize = 2_000;

pub(crate) fn description() -> String {
    format!("not a database: {APPEND_BYTES} bytes appended into preallocated, already written space, then fdatasync")
}

pub(crate) fn work(job: &Job) -> Result<()> {
    let directory = job.directory.join(NAME);
    fs::create_dir_all(&directory)?;
    let appends = ((APPENDS as f64 * job.seconds.min(1.0)) as usize).max(1);
    serve(|request| match request.phase {
        Phase::PutSync { clients: 1 } => {
            let file = OpenOptions::new().create(true).truncate(true).write(true).open(directory.join("log"))?;
            file.write_all_at(&vec![0; appends * APPEND_BYTES], 0)?;
            file.sync_all()?;
            let mut watch = Stopwatch::default();
            watch.time(|| append_all(&file, appends))?;
            Ok(Some(rates(&request.phase.name(), appends as u64, &watch, 1)))
        }
        _ => Ok(None),
    })
}

fn append_all(file: &File, appends: usize) -> Result<()> {
    for index in 0..appends {
        file.write_all_at(&[index as u8 | 1; APPEND_BYTES], (index * APPEND_BYTES) as u64)?;
        file.sync_data()?;
    }
    Ok(())
}
