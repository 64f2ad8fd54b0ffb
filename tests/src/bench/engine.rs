//! What the benchmark asks of a database.

use std::path::Path;

use super::Result;
use super::data::{Entry, Key, Value};

/// What a commit promises once it returned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Durability {
    /// Visible; nothing is synced for it. The peers differ in what a killed process keeps; the phase `reopen` counts.
    Relaxed,
    /// Survives a loss of power.
    Sync,
}

/// How a database is opened. A peer derives its own settings from these alone, so all get the same budget.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Settings {
    /// Of every transaction while the database is open.
    pub(crate) durability: Durability,
    /// For caches and write buffers together. LMDB has none: it reads through the page cache of the system.
    pub(crate) memory_bytes: usize,
}

impl Settings {
    /// The share of the budget for a write buffer: what the peers that have one use by default (64 MiB), or a quarter.
    #[allow(dead_code, reason = "the peers that ask are not in every build")]
    pub(crate) fn write_buffer_bytes(&self) -> usize {
        (self.memory_bytes / 4).clamp(1 << 20, 64 << 20)
    }

    /// The share of the budget left for a cache when there are two write buffers: one filling, one being flushed.
    #[allow(dead_code, reason = "the peers that ask are not in every build")]
    pub(crate) fn cache_bytes(&self) -> usize {
        self.memory_bytes.saturating_sub(2 * self.write_buffer_bytes()).max(1 << 20)
    }
}

/// Which way a scan goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    Forward,
    Backward,
}

/// An open database with one table of byte strings.
///
/// Generic rather than dynamic: a call through a table of functions would be a visible part of the fastest gets.
pub(crate) trait Engine: Sized + Send + Sync + 'static {
    /// As in `--peers`.
    const NAME: &'static str;

    /// What was measured: version, and the settings that are not the peer's defaults.
    fn description() -> String;

    /// Opens the database in `directory`, which exists, and creates it when the directory is empty.
    fn open(directory: &Path, settings: Settings) -> Result<Self>;

    /// A snapshot with whatever the peer keeps beside it to read quickly (an open table, statements, a cursor).
    type View<'v>: View;

    /// Takes a snapshot and runs `body` in it. A closure, because several peers' handles borrow one another.
    fn read<R>(&self, body: impl FnOnce(&mut Self::View<'_>) -> Result<R>) -> Result<R>;

    /// Reads one key as of now, as a program that holds no snapshot would.
    fn get_fresh(&self, key: &Key, found: impl FnOnce(&[u8])) -> Result<bool> {
        self.read(|view| view.get(key, found))
    }

    /// One transaction that writes one entry.
    fn put(&self, key: &Key, value: &Value) -> Result<()>;

    /// One transaction that writes all `entries`, in their order.
    fn put_batch(&self, entries: &[Entry]) -> Result<()>;

    /// Returns when no background work is left (merges, flushes): reads are measured on a database at rest.
    fn settle(&self) -> Result<()> {
        Ok(())
    }

    /// Makes the files as small as the peer can, and closes.
    fn compact(self, directory: &Path, settings: Settings) -> Result<()>;

    /// Closes so that everything committed is on the disk.
    fn close(self) -> Result<()>;
}

/// Reads at one point in time. Values are lent to the closures without a copy where the peer can.
pub(crate) trait View {
    /// Whether there is such a key; its value is given to `found`.
    fn get(&mut self, key: &Key, found: impl FnOnce(&[u8])) -> Result<bool>;

    /// Many keys at once, in their order. Peers without such a call get them one by one.
    fn get_many(&mut self, keys: &[Key], mut found: impl FnMut(usize, &[u8])) -> Result<()> {
        for (index, key) in keys.iter().enumerate() {
            self.get(key, |value| found(index, value))?;
        }
        Ok(())
    }

    /// At most `limit` entries from the first key that is not below `from`, upwards.
    fn seek(&mut self, from: &Key, limit: usize, entry: impl FnMut(&[u8], &[u8])) -> Result<()>;

    /// Every entry.
    fn scan(&mut self, direction: Direction, entry: impl FnMut(&[u8], &[u8])) -> Result<()>;
}
