//! What was begun and what was acknowledged, in a file that a killed child leaves behind whole: each entry is one small
//! write, done when the system call returns.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

/// Writers of one database at most.
pub const WRITERS_MAX: u32 = 8;
const ENTRY_BYTES: u64 = 24;

/// One writer's place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Entry {
    /// The newest commit it has begun.
    pub begun: u64,
    /// The newest commit that was acknowledged to it.
    pub acknowledged: u64,
    /// The newest commit acknowledged as durable.
    pub durable: u64,
}

/// The file.
#[derive(Debug)]
pub struct Ledger(File);

impl Ledger {
    pub fn create(path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(true).open(path)?;
        file.set_len(ENTRY_BYTES * u64::from(WRITERS_MAX))?;
        Ok(Self(file))
    }

    pub fn open(path: &Path) -> io::Result<Self> {
        OpenOptions::new().read(true).write(true).open(path).map(Self)
    }

    pub fn entry(&self, writer: u32) -> io::Result<Entry> {
        let mut bytes = [0; ENTRY_BYTES as usize];
        self.0.read_exact_at(&mut bytes, u64::from(writer) * ENTRY_BYTES)?;
        let word = |at: usize| u64::from_le_bytes(std::array::from_fn(|i| bytes[at + i]));
        Ok(Entry { begun: word(0), acknowledged: word(8), durable: word(16) })
    }

    pub fn set(&self, writer: u32, entry: Entry) -> io::Result<()> {
        let mut bytes = [0; ENTRY_BYTES as usize];
        bytes[..8].copy_from_slice(&entry.begun.to_le_bytes());
        bytes[8..16].copy_from_slice(&entry.acknowledged.to_le_bytes());
        bytes[16..].copy_from_slice(&entry.durable.to_le_bytes());
        self.0.write_all_at(&bytes, u64::from(writer) * ENTRY_BYTES)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_of_writers_do_not_touch_each_other() {
        let path = std::env::temp_dir().join(format!("lightning-crash-ledger-{}", std::process::id()));
        let ledger = Ledger::create(&path).unwrap();
        let entry = |n| Entry { begun: n + 2, acknowledged: n + 1, durable: n };
        (0..WRITERS_MAX).for_each(|writer| ledger.set(writer, entry(u64::from(writer) * 10)).unwrap());
        let again = Ledger::open(&path).unwrap();
        assert!((0..WRITERS_MAX).all(|writer| again.entry(writer).unwrap() == entry(u64::from(writer) * 10)));
        std::fs::remove_file(path).unwrap();
    }
}
