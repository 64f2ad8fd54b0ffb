//! Increments of all shapes come back, in pieces of any size; cut and changed ones are told.

use alloc::vec;
use alloc::vec::Vec;

use proptest::prelude::*;

use super::header::HEADER_BYTES;
use super::*;
use crate::error::Error;

const ID: [u8; 16] = *b"0123456789abcdef";

fn history() -> History {
    History { incarnation: 7, ancestors: vec![(5, 3), (6, 8)] }
}

fn place(sequence: u64) -> Place {
    Place { incarnation: 7, sequence }
}

/// Every kind of record once, a commit and a value of several pieces among them.
fn sample() -> (Vec<u8>, Vec<Event>) {
    let mut encoder = Encoder::new(&ID, place(10), &history());
    let long = vec![3; BODY_BYTES_MAX + 5];
    encoder.commit(place(11), b"small");
    encoder.begin_value(long.len() as u64);
    encoder.value(&long);
    encoder.begin_value(9);
    encoder.value(b"1234");
    encoder.value_is_gone();
    encoder.begin_value(0);
    encoder.commit(place(12), &long);
    let end = End { at: place(12), time_ms: 99, commits: 2 };
    encoder.end(&end);
    let expected = Vec::from([
        Event::Begins { database_id: ID, after: place(10) },
        Event::History(history()),
        Event::Commit { at: place(11), payload: b"small".to_vec() },
        Event::ValueBegins(long.len() as u64),
        Event::ValuePiece(vec![3; BODY_BYTES_MAX]),
        Event::ValuePiece(vec![3; 5]),
        Event::ValueEnds,
        Event::ValueBegins(9),
        Event::ValuePiece(b"1234".to_vec()),
        Event::ValueGone,
        Event::ValueBegins(0),
        Event::ValueEnds,
        Event::Commit { at: place(12), payload: long },
        Event::Ends(end),
    ]);
    (encoder.take(), expected)
}

fn decode(bytes: &[u8], piece: usize) -> crate::Result<Vec<Event>> {
    let (mut decoder, mut events) = (Decoder::default(), Vec::new());
    for piece in bytes.chunks(piece) {
        decoder.push(piece);
        while let Some(event) = decoder.next()? {
            events.push(event);
        }
    }
    decoder.finish()?;
    Ok(events)
}

#[test]
fn what_was_written_is_read_in_pieces_of_any_size() {
    let (bytes, expected) = sample();
    for piece in [1, 7, 4096, bytes.len()] {
        assert_eq!(decode(&bytes, piece).unwrap(), expected);
    }
}

#[test]
fn one_that_was_cut_or_goes_on_is_told() {
    let (bytes, _) = sample();
    let near_the_ends = (0..400).chain(bytes.len() - 400..bytes.len());
    for len in near_the_ends {
        let error = decode(&bytes[..len], 4096).unwrap_err();
        assert_eq!(error.name(), "DamagedBackup", "{len}: {error}");
    }
    let longer = [&bytes[..], &[0; 9]].concat();
    assert_eq!(decode(&longer, 4096).unwrap_err().name(), "DamagedBackup");
}

#[test]
fn a_record_of_another_place_or_file_is_told() {
    let of = |id: &[u8; 16], first: u64| {
        let mut encoder = Encoder::new(id, place(first - 1), &history());
        encoder.commit(place(first), b"one");
        encoder.commit(place(first + 1), b"two");
        encoder.end(&End { at: place(first + 1), time_ms: 1, commits: 2 });
        encoder.take()
    };
    let (one, other) = (of(&ID, 5), of(b"another database", 5));
    let mixed = [&one[..HEADER_BYTES], &other[HEADER_BYTES..]].concat();
    assert_eq!(decode(&mixed, 4096).unwrap_err().name(), "DamagedBackup");
    let record = RECORD_HEADER_BYTES + 16 + 3;
    let first = HEADER_BYTES + RECORD_HEADER_BYTES + 8 + 2 * 16;
    let left_out = [&one[..first], &one[first + record..]].concat();
    assert_eq!(decode(&left_out, 4096).unwrap_err().name(), "DamagedBackup");
    let left_out = [&one[..HEADER_BYTES], &one[first..]].concat();
    assert_eq!(decode(&left_out, 4096).unwrap_err().name(), "DamagedBackup");
    assert!(matches!(decode(&[b'x'; 300], 4096), Err(Error::NotADatabase { .. })));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn every_changed_byte_is_told(at in any::<prop::sample::Index>(), flip in 1..=255_u8) {
        let mut encoder = Encoder::new(&ID, place(10), &history());
        for sequence in 11..40 {
            encoder.begin_value(3);
            encoder.value(b"val");
            encoder.commit(place(sequence), &[sequence as u8; 50]);
        }
        encoder.end(&End { at: place(39), time_ms: 99, commits: 29 });
        let mut bytes = encoder.take();
        let at = at.index(bytes.len());
        bytes[at] ^= flip;
        prop_assert!(decode(&bytes, 512).is_err());
    }
}
