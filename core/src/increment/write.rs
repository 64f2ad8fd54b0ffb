//! Making an increment, piece by piece.

#[cfg(feature = "encryption")]
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::header::{self, Place};
#[cfg(feature = "encryption")]
use super::sealed::{PIECE_BYTES_MAX, Records, encode_keys};
use super::{BODY_BYTES_MAX, End, History, Kind};
use crate::codec::bytes::Writer;
use crate::codec::checksum::crc32;
#[cfg(feature = "encryption")]
use crate::codec::cipher::{Cipher, KeyArea};

/// Appends records to bytes that somebody takes away.
#[derive(Debug)]
pub(crate) struct Encoder {
    out: Vec<u8>,
    chain: u32,
    /// Bytes that were taken.
    taken: u64,
    #[cfg(feature = "encryption")]
    records: Option<Records>,
}

impl Encoder {
    /// An increment of the commits after `after`, of this history.
    pub(crate) fn new(database_id: &[u8; 16], after: Place, history: &History) -> Self {
        let mut out = Vec::new();
        let chain = header::encode(database_id, after, &[], &mut out);
        Self {
            out,
            chain,
            taken: 0,
            #[cfg(feature = "encryption")]
            records: None,
        }
        .beginning(history)
    }

    /// As [`new`](Self::new), sealed, and opened by these keys.
    #[cfg(feature = "encryption")]
    pub(crate) fn sealed(
        database_id: &[u8; 16],
        after: Place,
        history: &History,
        cipher: &Arc<Cipher>,
        keys: &KeyArea,
    ) -> Self {
        let mut out = Vec::new();
        let chain = header::encode(database_id, after, &encode_keys(cipher, keys), &mut out);
        Self { out, chain, taken: 0, records: Some(Records::new(Arc::clone(cipher), after)) }.beginning(history)
    }

    fn beginning(mut self, history: &History) -> Self {
        let mut fields = history.incarnation.to_le_bytes().to_vec();
        for (ancestor, left_at) in &history.ancestors {
            fields.extend([ancestor, left_at].map(|field| field.to_le_bytes()).concat());
        }
        self.record(Kind::History, &[&fields]);
        self
    }

    /// What one record holds at most.
    fn piece_bytes_max(&self) -> usize {
        #[cfg(feature = "encryption")]
        if self.records.is_some() {
            return PIECE_BYTES_MAX;
        }
        BODY_BYTES_MAX
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
        for piece in bytes.chunks(self.piece_bytes_max()) {
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
            let (piece, more) = rest.split_at(rest.len().min(self.piece_bytes_max() - before.len()));
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
        #[cfg(feature = "encryption")]
        if let Some(records) = &mut self.records {
            let sealed = records.seal(kind, body);
            return self.stored(kind, &[&sealed]);
        }
        self.stored(kind, body);
    }

    fn stored(&mut self, kind: Kind, body: &[&[u8]]) {
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
