//! Doors for tests that feed the decoders of this layer arbitrary bytes: see [`crate::testing`].
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use alloc::vec::Vec;

use super::header::{self, HEADER_BYTES};
use super::{Decoder, Encoder, End, Event, Place, RECORD_HEADER_BYTES};
use crate::codec::checksum::crc32;
use crate::error::Error;

const ID: [u8; 16] = *b"0123456789abcdef";
const AFTER: Place = Place { incarnation: 7, sequence: 41 };

/// Takes an increment apart, and what came of it again.
pub fn increment(bytes: &[u8]) {
    let Some(events) = events_of(bytes) else { return };
    let Some(Event::Begins { database_id, after }) = events.first() else { return assert!(events.is_empty()) };
    let mut encoder = Encoder::new(database_id, *after);
    for event in &events {
        match event {
            Event::Begins { .. } | Event::ValueEnds => {}
            Event::ValueBegins(len) => encoder.begin_value(*len),
            Event::ValuePiece(piece) => encoder.value(piece),
            Event::ValueGone => encoder.value_is_gone(),
            Event::Commit { at, payload } => encoder.commit(*at, payload),
            Event::Ends(end) => encoder.end(end),
        }
    }
    assert_eq!(events_of(&encoder.take()), Some(events));
}

/// As [`increment`], with checksums that are right.
pub fn increment_resealed(bytes: &[u8]) {
    let mut bytes = bytes.to_vec();
    reseal_increment(&mut bytes, None);
    increment(&bytes);
}

/// Makes the checksums of an increment right, and it one of this database and after this commit (incarnation and sequence).
pub fn reseal_increment(bytes: &mut [u8], of: Option<([u8; 16], (u64, u64))>) {
    let Some((first, mut rest)) = bytes.split_at_mut_checked(HEADER_BYTES) else { return };
    let (id, after) = match of {
        Some((id, (incarnation, sequence))) => (id, Place { incarnation, sequence }),
        None => (ID, AFTER),
    };
    let mut header = Vec::new();
    let mut chain = header::encode(&id, after, &[], &mut header);
    first.copy_from_slice(&header);
    while rest.len() >= RECORD_HEADER_BYTES {
        let len = u32::from_le_bytes([rest[4], rest[5], rest[6], 0]) as usize;
        let Some((record, more)) = rest.split_at_mut_checked(RECORD_HEADER_BYTES + len) else { return };
        chain = crc32(&[&chain.to_le_bytes(), &record[4..]]);
        record[..4].copy_from_slice(&chain.to_le_bytes());
        rest = more;
    }
}

/// Everything up to its end, or to where there is not enough; none where it is damaged.
fn events_of(bytes: &[u8]) -> Option<Vec<Event>> {
    let (mut decoder, mut events) = (Decoder::default(), Vec::new());
    for piece in bytes.chunks(100) {
        decoder.push(piece);
        loop {
            match decoder.next() {
                Ok(Some(event)) => events.push(event),
                Ok(None) => break,
                Err(error) => {
                    let told = matches!(
                        error,
                        Error::DamagedBackup { .. } | Error::NotADatabase { .. } | Error::Unsupported { .. }
                    );
                    assert!(told, "{error}");
                    return None;
                }
            }
        }
    }
    Some(events)
}

/// An increment of every kind of record.
pub(crate) fn seeds() -> Vec<(&'static str, Vec<u8>)> {
    let place = |sequence| Place { sequence, ..AFTER };
    let mut encoder = Encoder::new(&ID, AFTER);
    // A put, a delete and a deleted range, after the time and the flags.
    encoder.commit(place(42), b"\x01\x00\x01\x04\x01key\x05value\x03\x04\x01old\x04\x02\x01a\x02\x01b");
    encoder.begin_value(12);
    encoder.value(b"a long value");
    encoder.begin_value(4);
    encoder.value_is_gone();
    let extent = [&b"\x02\x00\x02\x04\x01big"[..], &[0; 20], b"\x02\x05\x01gone", &[0; 20]].concat();
    encoder.commit(place(43), &extent);
    encoder.end(&End { at: place(43), time_ms: 2, commits: 2 });
    Vec::from([("increment", encoder.take())])
}
