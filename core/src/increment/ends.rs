//! What the first and the last bytes of an increment say: enough to choose among many.

use super::header::{self, HEADER_BYTES, Header, Place};
use super::{END_BYTES, End};
use crate::codec::bytes::Reader;

/// Where an increment begins and ends. What lies between is not looked at, and the last record's checksum with it: whoever
/// reads all of it verifies that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ends {
    pub database_id: [u8; 16],
    pub after: Place,
    pub end: End,
}

impl Ends {
    /// Of the first and the last bytes; `None` where they are no ends of a whole increment.
    pub(crate) fn decode(first: &[u8; HEADER_BYTES], last: &[u8; END_BYTES]) -> Option<Self> {
        let Header { database_id, after, .. } = header::decode(first).ok()?;
        let mut reader = Reader::new(last);
        let at = Place { incarnation: reader.u64()?, sequence: reader.counter()? };
        let (time_ms, commits) = (reader.u64()?, reader.u64()?);
        let whole = after.sequence.checked_add(commits) == Some(at.sequence);
        whole.then_some(Self { database_id, after, end: End { at, time_ms, commits } })
    }
}
