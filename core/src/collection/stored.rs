//! A document as its table holds it: a byte that says whether it goes at some time, that time, and the CBOR map.

use alloc::vec::Vec;

use crate::error::{Error, Result};
use crate::testing::Mutant;

const STAYS: u8 = 0;
const GOES: u8 = 1;

/// A stored document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stored<'b> {
    /// When it goes, in milliseconds since 1970.
    pub expires_ms: Option<u64>,
    /// The CBOR map.
    pub document: &'b [u8],
}

impl<'b> Stored<'b> {
    pub(crate) fn read(bytes: &'b [u8]) -> Result<Self> {
        let read = match bytes.split_first() {
            Some((&STAYS, document)) => Some(Self { expires_ms: None, document }),
            Some((&GOES, rest)) => rest
                .split_first_chunk()
                .map(|(at, document)| Self { expires_ms: Some(u64::from_le_bytes(*at)), document }),
            _ => None,
        };
        read.ok_or_else(|| Error::invalid("a stored document is malformed; run 'lightning check'"))
    }

    /// Appends the stored form.
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        match self.expires_ms {
            None => out.push(STAYS),
            Some(at) => {
                out.push(GOES);
                out.extend_from_slice(&at.to_le_bytes());
            }
        }
        out.extend_from_slice(self.document);
    }

    /// The document in stored bytes, unless it is gone at this time.
    pub(crate) fn present(bytes: &'b [u8], now_ms: u64) -> Result<Option<Self>> {
        Self::read(bytes).map(|stored| Some(stored).filter(|stored| !stored.is_expired(now_ms)))
    }

    /// Whether it is gone at this time.
    pub(crate) fn is_expired(&self, now_ms: u64) -> bool {
        self.expires_ms.is_some_and(|at| at <= now_ms) && !Mutant::ExpiredServed.is_active()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_and_anything_else_refused() {
        for expires_ms in [None, Some(0), Some(u64::MAX)] {
            let (stored, mut bytes) = (Stored { expires_ms, document: b"\xa0" }, Vec::new());
            stored.write(&mut bytes);
            assert_eq!(Stored::read(&bytes), Ok(stored));
        }
        for wrong in [[].as_slice(), &[2, 0xa0], &[GOES, 1, 2, 3]] {
            assert!(Stored::read(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn a_document_is_gone_from_its_time_on() {
        let stored = Stored { expires_ms: Some(10), document: &[] };
        assert!(!stored.is_expired(9) && stored.is_expired(10));
        assert!(!Stored { expires_ms: None, document: &[] }.is_expired(u64::MAX));
    }
}
