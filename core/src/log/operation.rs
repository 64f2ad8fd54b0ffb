//! What a commit does: the payload of its frames.
//!
//! A payload is the wall-clock time (varint, milliseconds since 1970), a byte of flags, and then the operations to the end.
//! Flag 2 says that the values in extents were not known to be durable when it was written. An operation is a byte saying
//! which, then its fields; keys and inline values have a varint length before them:
//!
//! | byte | operation | fields |
//! |---|---|---|
//! | 1 | put | key, value |
//! | 2 | put of a value in its own extent, with a CRC-32 | key, 20 bytes of [`ValueRef`] |
//! | 3 | delete | key |
//! | 4 | delete of a range | first key, first key not in it |
//! | 5 | delete of a range to the end | first key |
//! | 6 | put of a value in its own extent, with a hash | key, 32 bytes of [`ValueRef`] |
//! | 7 | put of a sealed value in its own extent | key, 33 bytes of [`ValueRef`] |

use alloc::format;
use alloc::vec::Vec;

use crate::codec::bytes::{Reader, Writer};
use crate::codec::checksum::Checksum;
use crate::codec::slot::ValueRef;
use crate::env::FileId;
use crate::error::{Error, Result};

const PUT: u8 = 1;
const PUT_EXTENT: u8 = 2;
const DELETE: u8 = 3;
const DELETE_RANGE: u8 = 4;
const DELETE_FROM: u8 = 5;
#[cfg(feature = "blake3")]
const PUT_HASHED_EXTENT: u8 = 6;
#[cfg(feature = "encryption")]
const PUT_SEALED_EXTENT: u8 = 7;

const VALUES_UNSYNCED: u8 = 2;

/// One change of the key space, final: increments are resolved, index entries are operations of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operation<'a> {
    /// The key has this value now.
    Put {
        /// The key.
        key: &'a [u8],
        /// The value itself.
        value: &'a [u8],
    },
    /// The key has the value in this extent now, which was durable before the commit was written, unless its preamble says
    /// otherwise.
    PutExtent {
        /// The key.
        key: &'a [u8],
        /// Where the value is.
        value: ValueRef,
    },
    /// The key is gone.
    Delete {
        /// The key.
        key: &'a [u8],
    },
    /// All keys from `start` on and below `end` are gone; without `end`, all from `start` on.
    DeleteRange {
        /// The first key of the range.
        start: &'a [u8],
        /// The first key after it.
        end: Option<&'a [u8]>,
    },
}

/// Builds a payload in a vector the caller keeps, so that a steady stream of commits allocates nothing.
#[derive(Debug)]
pub(crate) struct OperationWriter<'a> {
    out: &'a mut Vec<u8>,
}

impl<'a> OperationWriter<'a> {
    /// Clears `out` and begins a payload in it.
    pub(crate) fn begin(out: &'a mut Vec<u8>, preamble: Preamble) -> Self {
        let Preamble { time_ms, values_unsynced } = preamble;
        out.clear();
        out.put_varint(time_ms);
        out.put_u8(if values_unsynced { VALUES_UNSYNCED } else { 0 });
        Self { out }
    }

    pub(crate) fn put(&mut self, key: &[u8], value: &[u8]) {
        self.out.put_u8(PUT);
        self.out.put_prefixed(key);
        self.out.put_prefixed(value);
    }

    pub(crate) fn put_extent(&mut self, key: &[u8], value: ValueRef) {
        self.out.put_u8(match value.checksum.kind() {
            Checksum::Crc32 => PUT_EXTENT,
            #[cfg(feature = "blake3")]
            Checksum::Blake3 => PUT_HASHED_EXTENT,
            #[cfg(feature = "encryption")]
            Checksum::Tag => PUT_SEALED_EXTENT,
        });
        self.out.put_prefixed(key);
        value.encode(self.out);
    }

    pub(crate) fn delete(&mut self, key: &[u8]) {
        self.out.put_u8(DELETE);
        self.out.put_prefixed(key);
    }

    pub(crate) fn delete_range(&mut self, start: &[u8], end: Option<&[u8]>) {
        self.out.put_u8(if end.is_some() { DELETE_RANGE } else { DELETE_FROM });
        self.out.put_prefixed(start);
        if let Some(end) = end {
            self.out.put_prefixed(end);
        }
    }

    #[cfg(test)]
    /// Bytes of the payload so far.
    pub(crate) fn len(&self) -> usize {
        self.out.len()
    }
}

/// What stands before the operations of a payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Preamble {
    pub time_ms: u64,
    /// The barrier for the commit's values in extents had been asked for, but was not complete: they may be missing where
    /// the commit is not.
    pub values_unsynced: bool,
}

impl Preamble {
    /// Of a commit with its values durable.
    pub(crate) fn at(time_ms: u64) -> Self {
        Self { time_ms, values_unsynced: false }
    }

    /// Splits a payload; `None` if it does not begin as one does.
    pub(crate) fn split(payload: &[u8]) -> Option<(Self, &[u8])> {
        let mut reader = Reader::new(payload);
        let time_ms = reader.varint()?;
        let flags = reader.u8()?;
        if flags & !VALUES_UNSYNCED != 0 {
            return None;
        }
        let operations = reader.take(reader.remaining())?;
        Some((Self { time_ms, values_unsynced: flags & VALUES_UNSYNCED != 0 }, operations))
    }
}

/// Reads operations one by one. Any bytes give operations or an error, never a panic; nothing follows an error.
#[derive(Clone, Debug)]
pub(crate) struct Operations<'a> {
    reader: Reader<'a>,
    sequence: u64,
    offset: u64,
}

impl<'a> Operations<'a> {
    /// The operations of commit `sequence`, whose record begins at `offset` in the log file (both for messages only).
    pub(crate) fn new(operations: &'a [u8], sequence: u64, offset: u64) -> Self {
        Self { reader: Reader::new(operations), sequence, offset }
    }

    fn read(&mut self) -> Option<Operation<'a>> {
        let reader = &mut self.reader;
        Some(match reader.u8()? {
            PUT => Operation::Put { key: reader.prefixed()?, value: reader.prefixed()? },
            PUT_EXTENT => Operation::PutExtent {
                key: reader.prefixed()?,
                value: ValueRef::decode(reader.take(ValueRef::encoded_len(Checksum::Crc32))?)?,
            },
            #[cfg(feature = "blake3")]
            PUT_HASHED_EXTENT => Operation::PutExtent {
                key: reader.prefixed()?,
                value: ValueRef::decode(reader.take(ValueRef::encoded_len(Checksum::Blake3))?)?,
            },
            #[cfg(feature = "encryption")]
            PUT_SEALED_EXTENT => Operation::PutExtent {
                key: reader.prefixed()?,
                value: ValueRef::decode(reader.take(ValueRef::encoded_len(Checksum::Tag))?)?,
            },
            DELETE => Operation::Delete { key: reader.prefixed()? },
            DELETE_RANGE => Operation::DeleteRange { start: reader.prefixed()?, end: Some(reader.prefixed()?) },
            DELETE_FROM => Operation::DeleteRange { start: reader.prefixed()?, end: None },
            _ => return None,
        })
    }
}

impl<'a> Iterator for Operations<'a> {
    type Item = Result<Operation<'a>>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.reader.is_empty() {
            return None;
        }
        let before = self.reader.remaining();
        if let Some(operation) = self.read() {
            return Some(Ok(operation));
        }
        self.reader = Reader::new(&[]);
        let what = format!("commit {}: no operation {before} bytes before the end of its payload", self.sequence);
        Some(Err(Error::corrupt(FileId::Log, self.offset, what)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_operation_comes_back() {
        Checksum::ALL.iter().for_each(|&checksum| comes_back(checksum.of(&[b"x"])));
        #[cfg(feature = "encryption")]
        comes_back(crate::codec::checksum::Digest::Tag([7; 16]));
    }

    fn comes_back(checksum: crate::codec::checksum::Digest) {
        let value = ValueRef { offset: 1 << 40, len: 9, checksum };
        let written = Preamble { time_ms: 1_700_000_000_000, values_unsynced: true };
        let mut payload = alloc::vec![1, 2, 3];
        let mut writer = OperationWriter::begin(&mut payload, written);
        writer.put(b"a", b"one");
        writer.put(b"", b"");
        writer.put_extent(b"b", value);
        writer.delete(b"c");
        writer.delete_range(b"d", Some(b"e"));
        writer.delete_range(b"f", None);
        let len = writer.len();
        assert_eq!(len, payload.len());

        let (preamble, operations) = Preamble::split(&payload).unwrap();
        assert_eq!(preamble, written);
        let found: Vec<_> = Operations::new(operations, 1, 0).map(Result::unwrap).collect();
        let expected = [
            Operation::Put { key: b"a", value: b"one" },
            Operation::Put { key: b"", value: b"" },
            Operation::PutExtent { key: b"b", value },
            Operation::Delete { key: b"c" },
            Operation::DeleteRange { start: b"d", end: Some(b"e") },
            Operation::DeleteRange { start: b"f", end: None },
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn a_payload_cut_anywhere_inside_an_operation_is_an_error() {
        let mut payload = Vec::new();
        OperationWriter::begin(&mut payload, Preamble::at(5)).put(b"key", b"value");
        let (_, operations) = Preamble::split(&payload).unwrap();
        for cut in 1..operations.len() {
            let mut read = Operations::new(&operations[..cut], 9, 4160);
            let error = read.next().unwrap().unwrap_err();
            assert!(matches!(&error, Error::Corrupt(c) if c.offset == 4160 && c.what.contains("commit 9")), "{error}");
            assert_eq!(read.next(), None);
        }
    }

    proptest! {
        #[test]
        fn any_bytes_give_operations_or_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            if let Some((_, operations)) = Preamble::split(&bytes) {
                let results: Vec<_> = Operations::new(operations, 1, 0).collect();
                prop_assert!(results.iter().rev().skip(1).all(Result::is_ok));
            }
        }
    }
}
