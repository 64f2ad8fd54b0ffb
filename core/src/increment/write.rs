//! Making an increment, piece by piece.

use alloc::vec::Vec;

use super::header::{self, Place};
use super::{BODY_BYTES_MAX, End, History, Kind};
use crate::codec::bytes::Writer;
use crate::codec::checksum::crc32;

/// Appends records to bytes that somebody takes away.
#[derive(Debug)]
pub(crate) struct Encoder {
    out: Vec<u8>,
    chain: u32,
    /// Bytes that were taken.
    taken: u64,
}

impl Encoder {
    /// An increment of the commits after `after`, of this history.
    pub(crate) fn new(database_id: &[u8; 16], after: Place, history: &History) -> Self {
        let mut out = Vec::new();
        let chain = header::encode(database_id, after, &mut out);
        let mut encoder = Self { out, chain, taken: 0 };
        let mut fields = history.incarnation.to_le_bytes().to_vec();
        for (ancestor, left_at) in &history.ancestors {
            fields.extend([ancestor, left_at].map(|field| field.to_le_bytes()).concat());
        }
        encoder.record(Kind::History, &[&fields]);
        encoder
    }

    /// What came together since the last call.
    pub(crate) fn take(&mut self) -> Vec<u8> {
        let taken = core::mem::take(&mut self.out);
        self.taken += taken.len() as u64;
        taken
    }

    /// Bytes that wait to be taken.
    pub(crate) fn waiting(&self) -> usize {
        self.out.len()
    }

    /// Bytes so far.
    pub(crate) fn bytes(&self) -> u64 {
        self.taken + self.out.len() as u64
    }

    /// The next value has so many bytes.
    pub(crate) fn begin_value(&mut self, len: u64) {
        self.record(Kind::ValueBegins, &[&len.to_le_bytes()]);
    }

    /// Bytes of the value, in the order in which they are in it.
    pub(crate) fn value(&mut self, bytes: &[u8]) {
        for piece in bytes.chunks(BODY_BYTES_MAX) {
            self.record(Kind::ValuePiece, &[piece]);
        }
    }

    /// The value is not to be had, whatever of it was written.
    pub(crate) fn value_is_gone(&mut self) {
        self.record(Kind::ValueGone, &[]);
    }

    /// A commit whose values have been written.
    pub(crate) fn commit(&mut self, at: Place, payload: &[u8]) {
        let first = [at.incarnation.to_le_bytes(), at.sequence.to_le_bytes()].concat();
        let mut before: &[u8] = &first;
        let mut rest = payload;
        loop {
            let (piece, more) = rest.split_at(rest.len().min(BODY_BYTES_MAX - before.len()));
            let kind = if more.is_empty() { Kind::CommitEnds } else { Kind::CommitPiece };
            self.record(kind, &[before, piece]);
            if more.is_empty() {
                return;
            }
            (before, rest) = (&[], more);
        }
    }

    /// Nothing comes after it.
    pub(crate) fn end(&mut self, end: &End) {
        let fields = [end.at.incarnation, end.at.sequence, end.time_ms, end.commits];
        self.record(Kind::End, &[&fields.map(u64::to_le_bytes).concat()]);
    }

    fn record(&mut self, kind: Kind, body: &[&[u8]]) {
        let len: usize = body.iter().map(|part| part.len()).sum();
        let start = self.out.len();
        self.out.put_u32(0);
        self.out.put_u32(len as u32 | (kind as u32) << 24);
        for part in body {
            self.out.extend_from_slice(part);
        }
        let covered = self.out.get(start + 4..).unwrap_or_default();
        self.chain = crc32(&[&self.chain.to_le_bytes(), covered]);
        if let Some(place) = self.out.get_mut(start..start + 4) {
            place.copy_from_slice(&self.chain.to_le_bytes());
        }
    }
}
