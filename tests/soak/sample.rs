//! How things stand at one moment.

use std::fmt;
use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use lightning_db::Database;
use lightning_db_tests::memory;

use super::load::Window;
use super::process;

/// One moment, and the stretch of load before it.
#[derive(Clone, Debug)]
pub struct Sample {
    /// Since the load began.
    pub at: Duration,
    pub memory_bytes: u64,
    /// Of it, what the program holds: the rest the allocator keeps, for the system or for itself.
    pub held_bytes: u64,
    /// Of that, what the engine knows of: resident nodes, and memtables that are not merged yet.
    pub cache_bytes: u64,
    pub memtable_bytes: u64,
    /// Both files.
    pub file_bytes: u64,
    pub log_bytes: u64,
    /// Bytes in use in the data file.
    pub used_bytes: u64,
    pub handles: u64,
    pub threads: u64,
    /// Medians and 99th percentiles, in microseconds.
    pub read_us: [f64; 2],
    pub write_us: [f64; 2],
    /// Median of the fixed piece of work, in microseconds: how slow the machine was.
    pub yardstick_us: f64,
}

impl Sample {
    pub fn take(at: Duration, database: &Database, path: &Path, window: &Window) -> Result<Self> {
        let log_bytes = fs::metadata(path.with_extension("ldb-log"))?.len();
        let stats = database.stats();
        Ok(Self {
            at,
            memory_bytes: process::own_memory_bytes()?,
            held_bytes: memory::held(),
            cache_bytes: stats.cache_bytes,
            memtable_bytes: stats.memtable_bytes,
            file_bytes: fs::metadata(path)?.len() + log_bytes,
            log_bytes,
            used_bytes: stats.used_bytes,
            handles: process::handles()?,
            threads: process::threads()?,
            read_us: percentiles(&window.reads),
            write_us: percentiles(&window.writes),
            yardstick_us: percentiles(&window.yardsticks)[0],
        })
    }
}

/// Median and 99th percentile in microseconds.
fn percentiles(nanoseconds: &[u64]) -> [f64; 2] {
    let mut sorted = nanoseconds.to_vec();
    sorted.sort_unstable();
    let at = |part: usize| sorted.get((sorted.len() * part / 100).min(sorted.len().saturating_sub(1)));
    [at(50), at(99)].map(|value| value.map_or(0.0, |value| *value as f64 / 1000.0))
}

impl fmt::Display for Sample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
        write!(
            f,
            "{:5.1} min: memory {:.1} MiB ({:.1} held, nodes {:.1}, memtables {:.1}), files {:.1} MiB ({:.1} in use, log {:.1}), {} handles, {} threads, read {:.1} µs \
             (99 %: {:.0}), write {:.1} µs (99 %: {:.0})",
            self.at.as_secs_f64() / 60.0,
            mib(self.memory_bytes),
            mib(self.held_bytes),
            mib(self.cache_bytes),
            mib(self.memtable_bytes),
            mib(self.file_bytes),
            mib(self.used_bytes),
            mib(self.log_bytes),
            self.handles,
            self.threads,
            self.read_us[0],
            self.read_us[1],
            self.write_us[0],
            self.write_us[1],
        )
    }
}
