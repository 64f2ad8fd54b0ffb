//! Keys of documents that are read next, known before they are read so that memory can bring several documents at once.

use alloc::vec::Vec;

use super::read::Reader;
use crate::engine::PREFETCHED_MAX;
use crate::error::Result;
use crate::table::{KeyBuffer, prefix};

/// Bytes of a key, about.
const KEY_BYTES_LIKELY: usize = 16;

/// Keys, the first to be read first.
pub(super) struct Ahead {
    /// The table's prefix, with which each key begins.
    prefix: KeyBuffer,
    /// The keys one behind the other, and where each ends.
    bytes: Vec<u8>,
    ends: Vec<usize>,
    /// Keys that were read, and their bytes.
    passed: (usize, usize),
    /// How many are gathered the next time, where it is not known how many are wanted: more each time, because whoever reads
    /// many reads more of them.
    batch: usize,
}

impl Ahead {
    pub(super) fn new(table: u64) -> Self {
        let mut prefix = KeyBuffer::new();
        prefix::encode_prefix(table, &mut prefix);
        Self { prefix, bytes: Vec::new(), ends: Vec::new(), passed: (0, 0), batch: 1 }
    }

    /// The next key, the table's prefix before it.
    pub(super) fn first(&self) -> Option<&[u8]> {
        self.bytes.get(self.passed.1..*self.ends.get(self.passed.0)?)
    }

    /// The next key as the table has it.
    pub(super) fn record(&self) -> Option<&[u8]> {
        self.first()?.get(self.prefix.len()..)
    }

    /// The document of the first key was read.
    pub(super) fn pass(&mut self) {
        if let Some(end) = self.ends.get(self.passed.0) {
            self.passed = (self.passed.0 + 1, *end);
        }
    }

    /// Makes room for the next keys, and says how many; `wanted` says how many will be read, where that is known.
    pub(super) fn begin(&mut self, wanted: Option<u64>) -> usize {
        self.bytes.clear();
        self.ends.clear();
        self.passed = (0, 0);
        let batch = match wanted {
            Some(wanted) => wanted.clamp(1, PREFETCHED_MAX as u64) as usize,
            None => self.batch,
        };
        self.bytes.reserve(batch * KEY_BYTES_LIKELY);
        self.ends.reserve(batch);
        self.batch = (self.batch * 2).min(PREFETCHED_MAX);
        batch
    }

    pub(super) fn push(&mut self, record: &[u8]) {
        self.bytes.extend_from_slice(&self.prefix);
        self.bytes.extend_from_slice(record);
        self.ends.push(self.bytes.len());
    }

    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    /// All keys are there that will be for now.
    pub(super) fn announce(&self, reader: &mut dyn Reader) {
        if self.len() > 1 {
            let starts = core::iter::once(0).chain(self.ends.iter().copied());
            reader.expect(&mut starts.zip(&self.ends).filter_map(|(start, end)| self.bytes.get(start..*end)));
        }
    }

    /// What is gathered by `next`, which says whether there was a key.
    pub(super) fn gather(
        &mut self,
        wanted: Option<u64>,
        mut next: impl FnMut(&mut Self) -> Result<bool>,
    ) -> Result<()> {
        let batch = self.begin(wanted);
        while self.len() < batch {
            match next(self) {
                Ok(true) => {}
                Ok(false) => break,
                // It comes again when those before it are read.
                Err(_) if self.len() > 0 => break,
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Error;

    #[test]
    fn keys_come_in_their_order_and_an_error_after_those_before_it() {
        let mut ahead = Ahead::new(9);
        let mut records = [Some("a"), Some(""), None, Some("ccc")].into_iter();
        let mut next = |ahead: &mut Ahead| match records.next() {
            None => Ok(false),
            Some(None) => Err(Error::invalid("unreadable")),
            Some(Some(record)) => {
                ahead.push(record.as_bytes());
                Ok(true)
            }
        };
        ahead.gather(Some(100), &mut next).unwrap();
        for record in ["a", ""] {
            assert_eq!(ahead.record(), Some(record.as_bytes()));
            assert_eq!(ahead.first().map(<[u8]>::len), Some(record.len() + 1));
            ahead.pass();
        }
        assert_eq!(ahead.record(), None);
        ahead.pass();
        ahead.gather(None, &mut next).unwrap();
        assert_eq!((ahead.len(), ahead.record()), (1, Some(b"ccc".as_slice())));
        ahead.gather(None, |_| Err(Error::invalid("unreadable"))).unwrap_err();
        ahead.gather(None, &mut next).unwrap();
        assert_eq!(ahead.record(), None);
    }

    #[test]
    fn more_are_gathered_each_time_up_to_as_many_as_memory_brings_at_once() {
        let mut ahead = Ahead::new(1);
        assert_eq!(ahead.begin(Some(20)), 20);
        let batches: Vec<usize> = (0..7).map(|_| ahead.begin(None)).collect();
        assert_eq!(batches, [2, 4, 8, 16, 32, 32, 32]);
        assert_eq!((ahead.begin(Some(0)), ahead.begin(Some(u64::MAX))), (1, 32));
    }
}
