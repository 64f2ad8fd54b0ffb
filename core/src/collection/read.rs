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

    /// Shows the value of a key, with its table's prefix before it, to `see`, and says whether there is one. `see` must not
    /// read from the database.
    fn show(&mut self, key: &[u8], see: &mut dyn FnMut(&[u8]) -> Result<()>) -> Result<bool>;

    /// Says that these keys, with their table's prefix before them, will be asked for soon.
    fn expect(&mut self, keys: &mut dyn Iterator<Item = &[u8]>);

    /// A cursor over a span.
    fn cursor(&mut self, table: u64, span: &Span) -> Result<ByteCursor>;

    /// How many keys a span has.
    fn count(&mut self, table: u64, span: &Span) -> Result<u64>;

    /// About how many keys a span has, at the cost of a few steps.
    fn estimate(&mut self, table: u64, span: &Span) -> Result<u64>;
}

/// What is made of the values that a [`Reader`] shows. Queries are one copy of code for snapshots and transactions, because code
/// is what browsers fetch: there a `dyn Reader` is read, whose calls cost little beside what they do. Single documents are read
/// directly.
pub(crate) trait Reads: Reader {
    /// Shows the value of a key, with its table's prefix before it, to `see`, which must not read from the database.
    fn with_whole<R>(&mut self, key: &[u8], see: impl FnOnce(&[u8]) -> Result<R>) -> Result<Option<R>>;

    /// The same for a key of a table.
    fn with<R>(&mut self, table: u64, key: &[u8], see: impl FnOnce(&[u8]) -> Result<R>) -> Result<Option<R>> {
        let mut whole = KeyBuffer::new();
        prefix::encode_prefix(table, &mut whole);
        whole.extend(key);
        self.with_whole(&whole, see)
    }

    /// A document that is not gone.
    fn document(&mut self, table: u64, record: &[u8]) -> Result<Option<Vec<u8>>> {
        let now_ms = self.now_ms();
        let found = self
            .with(table, record, |bytes| Ok(Stored::present(bytes, now_ms)?.map(|stored| stored.document.to_vec())))?;
        Ok(found.flatten())
    }
}

impl Reads for dyn Reader + '_ {
    fn with_whole<R>(&mut self, key: &[u8], see: impl FnOnce(&[u8]) -> Result<R>) -> Result<Option<R>> {
        let (mut see, mut seen) = (Some(see), None);
        self.show(key, &mut |bytes| {
            // It is called once.
            if let Some(see) = see.take() {
                seen = Some(see(bytes)?);
            }
            Ok(())
        })?;
        Ok(seen)
    }
}

/// Both have tables as bytes, read by the same calls.
macro_rules! reader {
    ($name:ident, $source:ty, $expect:expr) => {
        impl Reads for $source {
            #[inline]
            fn with_whole<R>(&mut self, key: &[u8], see: impl FnOnce(&[u8]) -> Result<R>) -> Result<Option<R>> {
                self.with_raw(key, see)
            }
        }

        impl Reader for $source {
            fn now_ms(&mut self) -> u64 {
                $name::now_ms(self)
            }

            fn show(&mut self, key: &[u8], see: &mut dyn FnMut(&[u8]) -> Result<()>) -> Result<bool> {
                Ok(self.with_raw(key, see)?.is_some())
            }

            fn expect(&mut self, keys: &mut dyn Iterator<Item = &[u8]>) {
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
