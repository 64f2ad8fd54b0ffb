//! Where queries read: a snapshot, or a transaction with its own changes, which remembers what it has read.

use alloc::vec::Vec;
use core::ops::Bound;

use super::stored::Stored;
use crate::db::{Bytes, Cursor, Snapshot, WriteTransaction};
use crate::error::Result;
use crate::table::{KeyBuffer, prefix};

/// A position in one table of bytes.
pub(crate) type ByteCursor = Cursor<Bytes, Bytes>;

/// Keys of one table from `from` up to, not including, `to`; to the table's end without it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Span {
    pub from: Vec<u8>,
    pub to: Option<Vec<u8>>,
}

impl Span {
    pub(crate) fn all() -> Self {
        Self::default()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.to.as_ref().is_some_and(|to| *to <= self.from)
    }

    pub(crate) fn bounds(&self) -> (Bound<&[u8]>, Bound<&[u8]>) {
        (Bound::Included(&self.from), self.to.as_deref().map_or(Bound::Unbounded, Bound::Excluded))
    }
}

/// What queries read from.
pub(crate) trait Reader {
    /// What documents are gone by, in milliseconds since 1970.
    fn now_ms(&mut self) -> u64;

    /// Shows the value of a key to `see`.
    fn with<R>(&mut self, table: u64, key: &[u8], see: impl FnOnce(&[u8]) -> Result<R>) -> Result<Option<R>> {
        let mut whole = KeyBuffer::new();
        prefix::encode_prefix(table, &mut whole);
        whole.extend(key);
        self.with_whole(&whole, see)
    }

    /// The same for a key with its table's prefix before it. `see` must not read from the database.
    fn with_whole<R>(&mut self, key: &[u8], see: impl FnOnce(&[u8]) -> Result<R>) -> Result<Option<R>>;

    /// Says that these keys, with their table's prefix before them, will be asked for soon.
    fn expect<'k>(&mut self, keys: impl Iterator<Item = &'k [u8]>);

    /// A cursor over a span.
    fn cursor(&mut self, table: u64, span: &Span) -> Result<ByteCursor>;

    /// How many keys a span has.
    fn count(&mut self, table: u64, span: &Span) -> Result<u64>;

    /// About how many keys a span has, at the cost of a few steps.
    fn estimate(&mut self, table: u64, span: &Span) -> Result<u64>;

    /// A document that is not gone.
    fn document(&mut self, table: u64, record: &[u8]) -> Result<Option<Vec<u8>>> {
        let now_ms = self.now_ms();
        let found = self
            .with(table, record, |bytes| Ok(Stored::present(bytes, now_ms)?.map(|stored| stored.document.to_vec())))?;
        Ok(found.flatten())
    }
}

/// Both have tables as bytes, read by the same calls.
macro_rules! reader {
    ($name:ident, $source:ty, $expect:expr) => {
        impl Reader for $source {
            fn now_ms(&mut self) -> u64 {
                $name::now_ms(self)
            }

            #[inline]
            fn with_whole<R>(&mut self, key: &[u8], see: impl FnOnce(&[u8]) -> Result<R>) -> Result<Option<R>> {
                self.with_raw(key, see)
            }

            fn expect<'k>(&mut self, keys: impl Iterator<Item = &'k [u8]>) {
                $expect(self, keys)
            }

            fn cursor(&mut self, table: u64, span: &Span) -> Result<ByteCursor> {
                self.bytes_table(table).cursor(span.bounds())
            }

            fn count(&mut self, table: u64, span: &Span) -> Result<u64> {
                if span.is_empty() { Ok(0) } else { self.bytes_table(table).count(span.bounds()) }
            }

            fn estimate(&mut self, table: u64, span: &Span) -> Result<u64> {
                if span.is_empty() { Ok(0) } else { self.estimate_keys(table, &span.from, span.to.as_deref()) }
            }
        }
    };
}

reader!(Snapshot, &Snapshot, |snapshot: &Self, keys| snapshot.expect_raw(keys));
reader!(WriteTransaction, &mut WriteTransaction, |_, _| ());
