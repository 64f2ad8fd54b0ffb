//! Where a page of a result ended.

use alloc::vec::Vec;
use core::fmt;

use crate::error::{Error, Result};

/// Bytes of the fingerprint before the position.
const FINGERPRINT_LEN: usize = 8;

/// The end of one page of a result, so that the next begins behind it.
///
/// Its bytes are a matter of the database: keep them, hand them to somebody, give them back with the same query.
/// A token of another query (another filter or order; limit and fields may differ) is refused.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct PageToken {
    bytes: Vec<u8>,
}

impl PageToken {
    /// A token that was kept as bytes. Whether it is one of this query is seen when it is used.
    pub fn from_bytes(bytes: impl Into<Vec<u8>>) -> Self {
        Self { bytes: bytes.into() }
    }

    /// The bytes to keep.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The token of a position in the result of the query with this fingerprint.
    pub(crate) fn new(fingerprint: u64, position: &[u8]) -> Self {
        let mut bytes = Vec::with_capacity(FINGERPRINT_LEN + position.len());
        bytes.extend_from_slice(&fingerprint.to_le_bytes());
        bytes.extend_from_slice(position);
        Self { bytes }
    }

    /// The position, for the query with this fingerprint.
    pub(crate) fn position(&self, fingerprint: u64) -> Result<&[u8]> {
        match self.bytes.split_first_chunk::<FINGERPRINT_LEN>() {
            Some((found, position)) if u64::from_le_bytes(*found) == fingerprint => Ok(position),
            Some(_) => Err(Error::invalid(
                "the page token is of another query; a page goes on with the filter and order of the page before it",
            )),
            None => Err(Error::invalid("these bytes are no page token; begin with the first page")),
        }
    }
}

impl fmt::Debug for PageToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PageToken(")?;
        self.bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))?;
        f.write_str(")")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_gives_its_position_to_its_own_query_alone() {
        let token = PageToken::new(7, b"here");
        assert_eq!(token.position(7).unwrap(), b"here");
        let kept = PageToken::from_bytes(token.as_bytes());
        assert_eq!(kept.position(7).unwrap(), b"here");
        assert!(kept.position(8).unwrap_err().to_string().contains("another query"));
        assert!(PageToken::from_bytes([7; 5]).position(7).unwrap_err().to_string().contains("no page token"));
    }
}
