//! Doors for tests that feed the decoders of this layer arbitrary bytes: see [`crate::testing`].
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use alloc::vec::Vec;

use super::header::{self, HEADER_BYTES};
use super::{Decoder, END_BYTES, Encoder, End, Ends, Event, History, Kind, Place, RECORD_HEADER_BYTES};
use crate::codec::checksum::crc32;
use crate::error::Error;

const ID: [u8; 16] = *b"0123456789abcdef";
const AFTER: Place = Place { incarnation: 7, sequence: 41 };

/// Takes an increment apart, and what came of it again.
pub fn increment(bytes: &[u8]) {
    let Some(events) = events_of(bytes) else { return };
    let [Event::Begins { database_id, after }, Event::History(history), ..] = events.as_slice() else {
        return assert!(events.len() <= 1);
    };
    let mut encoder = Encoder::new(database_id, *after, history);
    for event in &events {
        match event {
            Event::Begins { .. } | Event::History(_) | Event::ValueEnds => {}
            Event::ValueBegins(len) => encoder.begin_value(*len),
            Event::ValuePiece(piece) => encoder.value(piece),
            Event::ValueGone => encoder.value_is_gone(),
            Event::Commit { at, payload } => encoder.commit(*at, payload),
            Event::Ends(end) => encoder.end(end),
        }
    }
    let again = encoder.take();
    assert_eq!(events_of(&again).as_ref(), Some(&events));
    if let (Some(Event::Ends(end)), Some(first), Some(last)) = (events.last(), again.first_chunk(), again.last_chunk())
    {
        let ends = Ends::decode(first, last).unwrap();
        assert_eq!((ends.after, ends.end), (*after, *end));
    }
}

/// Looks at the first and the last bytes of a piece of an archive.
pub fn archive_piece(bytes: &[u8]) {
    let mut bytes = bytes.to_vec();
    reseal_increment(&mut bytes, None);
    if let (Some(first), Some(last)) = (bytes.first_chunk::<HEADER_BYTES>(), bytes.last_chunk::<END_BYTES>())
        && let Some(ends) = Ends::decode(first, last)
    {
        assert_eq!((ends.database_id, ends.after), (ID, AFTER));
        assert!(ends.end.at.sequence >= AFTER.sequence);
    }
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
    let (len, kind) = (RECORD_HEADER_BYTES + 8, Kind::History as u8);
    if of.is_some() && rest.len() >= len && rest[7] == kind {
        rest[RECORD_HEADER_BYTES..len].copy_from_slice(&after.incarnation.to_le_bytes());
    }
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
    let history = History { incarnation: 7, ancestors: Vec::from([(5, 20), (6, 30)]) };
    let mut encoder = Encoder::new(&ID, AFTER, &history);
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
